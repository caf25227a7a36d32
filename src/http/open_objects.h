/* Objects that were sent lately, kept open: an HTTP thread answers from these at once, without a turn on the pool.
 *
 *   struct open_object *o = open_objects_find(all, store, key);        // NULL: on the pool, please
 *   ... sendfile from o->fd, say what o->info says ...
 *   open_object_release(o);
 *
 * An object is put here when the pool has just read all of it, so it is in the page cache; it is found for a second,
 * then the pool reads it again. Guarantees: what is found is the object that the store has under that key at this
 * moment (store_reader_is_current: deleted or replaced, by whichever process, it is not found any more); finding does no
 * I/O; at most OPEN_OBJECTS_MAX are kept, none for longer than it can be found and open_objects_expire is late, so that
 * a deleted object's space is free soon. Does not guarantee: that the kernel still has the pages. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "http/fields.h"
#include "store/store.h"

#define OPEN_OBJECTS_MAX 128
#define OPEN_OBJECT_FRESH_MS 1000

struct open_objects;

/* Immutable but for its count. */
struct open_object {
	atomic_uint references;
	struct store_reader *reader;
	int fd; /* the reader's; to be copied by who wants to keep it */
	struct store_info info;
};

struct open_objects *open_objects_new(void) __attribute__((returns_nonnull));
/* What others still hold of it stays valid. NULL is fine. */
void open_objects_free(struct open_objects *all);

/* A reference, or NULL. */
struct open_object *open_objects_find(struct open_objects *all, const struct store *store, const char *key);
/* Takes a reader whose object has just been read to its end. Closed at once if the store can't tell that it is current. */
void open_objects_put(struct open_objects *all, const struct store *store, const char *key,
		      struct store_reader *take_reader, const struct store_info *info);
void open_object_release(struct open_object *o);

/* Closes what is not found any more, which may block. */
void open_objects_expire(struct open_objects *all);
size_t open_objects_count(struct open_objects *all);
