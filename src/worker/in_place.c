/* A file that its chunks write into: see in_place.h. */
#include "worker/in_place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/fd.h"

#define FILE_MODE 0640 /* as the store's */
#define RIFF_MAX_BYTES UINT64_C(0xf0000000) /* with room for tags */
/* So much longer than planned (and once as much) a sound may be: media/sound_feed.c. */
#define BEYOND_SECONDS 3600
#define MOVE_BYTES (256u << 10)

/* What was written in one go, from the head's end on. */
struct extent {
	uint64_t start, end;
};

struct in_place {
	char *path;
	pthread_mutex_t lock;
	/* protected by lock until they are set, then constant */
	int fd;
	uint64_t head_bytes; /* 0: not told yet */
	/* protected by lock */
	struct extent *extents;
	uint32_t extent_count;
};

struct in_place *in_place_new(const char *path)
{
	struct in_place *p = mr_calloc(1, sizeof(*p));
	p->path = mr_strdup(path);
	p->fd = -1;
	(void)pthread_mutex_init(&p->lock, NULL);
	return p;
}

void in_place_free(struct in_place **p)
{
	if (!*p)
		return;
	fd_close(&(*p)->fd);
	(void)pthread_mutex_destroy(&(*p)->lock);
	free((*p)->extents);
	free((*p)->path);
	free(*p);
	*p = NULL;
}

bool in_place_fits(const struct in_place *p, const struct convert_spec *whole)
{
	const uint64_t frame = (uint64_t)whole->channels * sizeof(float); /* at most */
	if (!p || whole->format != CONVERT_WAV || whole->sample_count < 0 || whole->sample_count > INT32_MAX)
		return false;
	return (2 * (uint64_t)whole->sample_count + (uint64_t)BEYOND_SECONDS * whole->rate) * frame < RIFF_MAX_BYTES;
}

static int open_locked(struct in_place *p, uint64_t head_bytes, struct err *e)
{
	if (p->head_bytes)
		return p->head_bytes == head_bytes ? 0
						   : err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "chunks tell of other heads");
	p->fd = open(p->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (p->fd < 0)
		return err_errno(e, errno, "make %s", p->path);
	p->head_bytes = head_bytes;
	return 0;
}

int in_place_head(struct in_place *p, uint64_t head_bytes, struct err *e)
{
	(void)pthread_mutex_lock(&p->lock);
	int r = open_locked(p, head_bytes, e);
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}

bool in_place_used(struct in_place *p)
{
	if (!p)
		return false;
	(void)pthread_mutex_lock(&p->lock);
	const bool used = p->head_bytes > 0;
	(void)pthread_mutex_unlock(&p->lock);
	return used;
}

static int write_at(const struct in_place *p, uint64_t at, const void *data, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		const ssize_t n = pwrite(p->fd, (const char *)data + done, len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(e, n < 0 ? errno : EIO, "write %s", p->path);
		done += (size_t)n;
	}
	return 0;
}

static void note(struct in_place *p, uint64_t start, uint64_t end)
{
	(void)pthread_mutex_lock(&p->lock);
	uint32_t i = 0;
	while (i < p->extent_count && (start < p->extents[i].start || start > p->extents[i].end))
		i++;
	if (i == p->extent_count) {
		p->extents = mr_reallocarray(p->extents, p->extent_count + 1, sizeof(*p->extents));
		p->extents[p->extent_count++] = (struct extent){ start, start };
	}
	if (end > p->extents[i].end)
		p->extents[i].end = end;
	(void)pthread_mutex_unlock(&p->lock);
}

int in_place_write(struct in_place *p, uint64_t offset, const void *data, size_t len, struct err *e)
{
	if (offset + len > RIFF_MAX_BYTES)
		return err_set_code(e, ERR_PROTOCOL, "TASK_PROTOCOL", "a part behind all that a file may have");
	int r = write_at(p, p->head_bytes + offset, data, len, e);
	if (r == 0)
		note(p, offset, offset + len);
	return r;
}

static int by_start(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

static int move_down(const struct in_place *p, const struct extent *x, uint64_t to, struct err *e)
{
	_cleanup_free_ char *block = mr_calloc(1, MOVE_BYTES);
	for (uint64_t from = x->start; from < x->end;) {
		const size_t want = x->end - from < MOVE_BYTES ? (size_t)(x->end - from) : MOVE_BYTES;
		const ssize_t n = pread(p->fd, block, want, (off_t)(p->head_bytes + from));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_errno(e, n < 0 ? errno : EIO, "read %s", p->path);
		int r = write_at(p, p->head_bytes + to, block, (size_t)n, e);
		if (r < 0)
			return r;
		from += (uint64_t)n;
		to += (uint64_t)n;
	}
	return 0;
}

/* A chunk may give less than was planned, and one behind it something yet: of a source whose time stamps say other than what was
 * decoded from its start. What parts would give by standing one behind the other is given here by moving. */
static int close_gaps(struct in_place *p, uint64_t *ret_bytes, struct err *e)
{
	uint64_t at = 0, seen = 0;
	qsort(p->extents, p->extent_count, sizeof(*p->extents), by_start);
	for (uint32_t i = 0; i < p->extent_count; i++) {
		struct extent *x = &p->extents[i];
		/* What was made a second time may have been noted with its neighbour the first time, and by itself now. */
		x->start = x->start > seen ? x->start : seen;
		if (x->end <= x->start)
			continue;
		seen = x->end;
		int r = x->start > at ? move_down(p, x, at, e) : 0;
		if (r < 0) {
			p->extent_count = 0; /* half moved, it is nothing any more: nor for another attempt */
			return r;
		}
		at += x->end - x->start;
	}
	if (p->extent_count)
		p->extents[0] = (struct extent){ 0, at };
	p->extent_count = p->extent_count > 0;
	*ret_bytes = at;
	return 0;
}

int in_place_finish(struct in_place *p, const void *head, size_t head_bytes, const void *tail, size_t tail_bytes,
		    uint64_t body_bytes, struct err *e)
{
	uint64_t bytes;
	if (head_bytes != p->head_bytes)
		return err_set(e, ERR_INTERNAL, "the head has %zu bytes, and its place %llu", head_bytes,
			       (unsigned long long)p->head_bytes);
	int r = close_gaps(p, &bytes, e);
	if (r == 0 && bytes != body_bytes)
		r = err_set(e, ERR_INTERNAL, "%llu bytes were written, not %llu", (unsigned long long)bytes,
			    (unsigned long long)body_bytes);
	if (r == 0)
		r = write_at(p, 0, head, head_bytes, e);
	if (r == 0)
		r = write_at(p, head_bytes + body_bytes, tail, tail_bytes, e);
	if (r == 0 && ftruncate(p->fd, (off_t)(head_bytes + body_bytes + tail_bytes)) < 0)
		r = err_errno(e, errno, "cut %s to its length", p->path);
	return r;
}
