/* Objects kept open for a second. The front process; any thread. A table that is searched from end to end: comparing 128
 * hashes takes less time than one system call. */
#include "http/open_objects.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"

struct slot {
	uint64_t hash;
	int64_t until_ms; /* monotonic; 0: free */
	const struct store *store;
	char *key;
	struct open_object *object;
};

struct open_objects {
	atomic_size_t bytes; /* mapped */
	pthread_mutex_t lock;
	/* protected by lock */
	struct slot slots[OPEN_OBJECTS_MAX];
	size_t used; /* slots in use are among the first of these */
	size_t count;
};

/* FNV-1a. Who can choose keys can make them collide: that costs a comparison of texts more. */
static uint64_t hash_of(const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return h;
}

struct open_objects *open_objects_new(void)
{
	struct open_objects *all = mr_calloc(1, sizeof(*all));
	(void)pthread_mutex_init(&all->lock, NULL);
	return all;
}

/* Whole pages of their own: they go back to the kernel when the object does. */
static char *map_bytes(struct open_objects *all, size_t len)
{
	if (atomic_fetch_add(&all->bytes, len) + len <= OPEN_OBJECTS_BYTES) {
		char *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (data != MAP_FAILED)
			return data;
	}
	atomic_fetch_sub(&all->bytes, len);
	return NULL;
}

static void unmap_bytes(struct open_objects *all, char *data, size_t len)
{
	if (!data)
		return;
	(void)munmap(data, len);
	atomic_fetch_sub(&all->bytes, len);
}

static char *read_all(struct open_objects *all, struct store_reader *reader, size_t size)
{
	char *data = map_bytes(all, size);
	size_t got = 0;
	if (data && (store_reader_read(reader, 0, data, size, &got, NULL) < 0 || got < size)) {
		unmap_bytes(all, data, size);
		data = NULL;
	}
	return data;
}

struct open_object *open_object_new(struct open_objects *all, struct store_reader *take_reader,
				    const struct store_info *info)
{
	struct open_object *o = mr_calloc(1, sizeof(*o));
	atomic_init(&o->references, 1);
	o->all = all;
	o->reader = take_reader;
	o->fd = store_reader_fd(take_reader);
	o->info = *info;
	if (info->size > 0 && info->size <= OPEN_OBJECT_DATA_BYTES)
		o->data = read_all(all, take_reader, (size_t)info->size);
	return o;
}

struct open_object *open_object_hold(struct open_object *o)
{
	atomic_fetch_add(&o->references, 1);
	return o;
}

void open_object_release(struct open_object *o)
{
	if (atomic_fetch_sub(&o->references, 1) > 1)
		return;
	unmap_bytes(o->all, o->data, (size_t)o->info.size);
	store_reader_close(o->reader);
	free(o);
}

/* What is returned is to be released without the lock: that may close the file, and the last close of a deleted file
 * frees its blocks. NULL if the slot was free. */
static struct open_object *empty_locked(struct open_objects *all, struct slot *s)
{
	struct open_object *o = s->object;
	all->count -= o != NULL;
	free(s->key);
	*s = (struct slot){ 0 };
	return o;
}

static struct slot *find_locked(struct open_objects *all, uint64_t hash, const struct store *store, const char *key)
{
	for (struct slot *s = all->slots; s < all->slots + all->used; s++)
		if (s->hash == hash && s->object && s->store == store && strcmp(s->key, key) == 0)
			return s;
	return NULL;
}

struct open_object *open_objects_find(struct open_objects *all, const struct store *store, const char *key)
{
	uint64_t hash = hash_of(key);
	int64_t now = clock_mono_ms();
	struct open_object *o = NULL;
	(void)pthread_mutex_lock(&all->lock);
	const struct slot *s = find_locked(all, hash, store, key);
	if (s && now < s->until_ms)
		o = open_object_hold(s->object);
	(void)pthread_mutex_unlock(&all->lock);
	if (!o || store_reader_is_current(o->reader))
		return o;
	open_object_release(o);
	return NULL;
}

/* One that is free, else the oldest. */
static struct slot *choose_locked(struct open_objects *all)
{
	struct slot *oldest = all->slots;
	for (struct slot *s = all->slots; s < all->slots + all->used; s++) {
		if (!s->object)
			return s;
		if (s->until_ms < oldest->until_ms)
			oldest = s;
	}
	return all->used < OPEN_OBJECTS_MAX ? &all->slots[all->used++] : oldest;
}

void open_objects_put(struct open_objects *all, const struct store *store, const char *key, struct open_object *o)
{
	if (!store_reader_is_current(o->reader))
		return;
	uint64_t hash = hash_of(key);
	char *own_key = mr_strdup(key);
	(void)pthread_mutex_lock(&all->lock);
	struct slot *s = find_locked(all, hash, store, key);
	if (!s)
		s = choose_locked(all);
	struct open_object *old = empty_locked(all, s);
	*s = (struct slot){ .hash = hash,
			    .until_ms = clock_mono_ms() + OPEN_OBJECT_FRESH_MS,
			    .store = store,
			    .key = own_key,
			    .object = open_object_hold(o) };
	all->count++;
	(void)pthread_mutex_unlock(&all->lock);
	if (old)
		open_object_release(old);
}

static void drop_until(struct open_objects *all, int64_t now_ms)
{
	struct open_object *dropped[OPEN_OBJECTS_MAX];
	size_t count = 0;
	(void)pthread_mutex_lock(&all->lock);
	for (struct slot *s = all->slots; s < all->slots + all->used; s++)
		if (s->object && s->until_ms <= now_ms)
			dropped[count++] = empty_locked(all, s);
	if (!all->count)
		all->used = 0;
	(void)pthread_mutex_unlock(&all->lock);
	for (size_t i = 0; i < count; i++)
		open_object_release(dropped[i]);
}

void open_objects_expire(struct open_objects *all)
{
	drop_until(all, clock_mono_ms());
}

size_t open_objects_count(struct open_objects *all)
{
	(void)pthread_mutex_lock(&all->lock);
	size_t count = all->count;
	(void)pthread_mutex_unlock(&all->lock);
	return count;
}

void open_objects_free(struct open_objects *all)
{
	if (!all)
		return;
	drop_until(all, INT64_MAX);
	(void)pthread_mutex_destroy(&all->lock);
	free(all);
}
