/* Objects that were sent lately, kept open: an HTTP thread answers from these at once, without a turn on the pool.
 *
 *   struct open_object *o = open_objects_find(all, store, key);        // NULL: on the pool, please
 *   ... send o->data, or from o->fd where there is none, say what o->info says ...
 *   open_object_release(o);
 *
 * An object is put here when the pool has just read all of it; it is found for a second, then the pool reads it again.
 * A small one is kept in memory, which takes one system call to send where a file takes six; a larger one is in the page
 * cache, since it has just been read, and sent from there: copying a segment of 88 KB takes 5 to 25 µs, by how busy the
 * machine's memory is, the five calls more take 3. Guarantees: what is found is the object that the store has under that
 * key at this moment (store_reader_is_current: deleted or replaced, by whichever process, it is not found any more);
 * finding does no I/O; at most OPEN_OBJECTS_MAX are kept, none for longer than it can be found and open_objects_expire is
 * late, so that a deleted object's space is free soon; at most OPEN_OBJECTS_BYTES are in memory, with those that are still
 * being sent to slow clients. Does not guarantee: that the kernel still has the pages. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "http/fields.h"
#include "store/store.h"

#define OPEN_OBJECTS_MAX 128
#define OPEN_OBJECT_FRESH_MS 1000
#define OPEN_OBJECT_DATA_BYTES (16u << 10) /* what is larger is not kept in memory */
#define OPEN_OBJECTS_BYTES (16u << 20)

struct open_objects;

/* Immutable but for its count. */
struct open_object {
	atomic_uint references;
	struct open_objects *all; /* where its memory is counted */
	struct store_reader *reader;
	int fd; /* the reader's; to be copied by who wants to keep it */
	struct store_info info;
	char *data; /* all of it; NULL: not in memory */
};

struct open_objects *open_objects_new(void) __attribute__((returns_nonnull));
/* After everything that was found has been released. NULL is fine. */
void open_objects_free(struct open_objects *all);

/* A reference, or NULL. */
struct open_object *open_objects_find(struct open_objects *all, const struct store *store, const char *key);
/* Takes the reader. Reads the object into memory if it is small and there is room; else, and if it can't be read, data is
 * NULL. May block. */
struct open_object *open_object_new(struct open_objects *all, struct store_reader *take_reader,
				    const struct store_info *info) __attribute__((returns_nonnull));
/* Lets others find an object, which has just been read to its end; nothing happens if the store can't tell whether it is
 * current. The caller keeps its own reference. */
void open_objects_put(struct open_objects *all, const struct store *store, const char *key, struct open_object *o);
struct open_object *open_object_hold(struct open_object *o);
void open_object_release(struct open_object *o);

/* Closes what is not found any more, which may block. */
void open_objects_expire(struct open_objects *all);
size_t open_objects_count(struct open_objects *all);
