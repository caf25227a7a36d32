/* Listing the local folder in byte order of the keys, with bounded memory. A folder may have a million entries and the
 * kernel gives them in no order, so each is read in windows: of the names behind the last one taken, the smallest few
 * are kept and sorted; when they are used up, the folder is read again from there. At most one folder is open at a
 * time.
 *
 * Byte order of keys is not that of names: "a.txt" comes before "a/b" because '.' is less than '/'. A folder therefore
 * sorts as its name with the slash.
 *
 * Guarantees: no key twice, order kept, whatever is put or deleted meanwhile; what was there all the time is listed.
 * Does not guarantee a snapshot. Entries that no key can name (links, sockets, control characters) are left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/local.h"

/* Names kept at once: many near the top, where folders are wide; few below, so that 500 nested folders stay small too.
 */
#define WINDOW_TOP 1024
#define WINDOW_DEEP 32
#define DEEP 8

struct walk {
	const struct store_local *store;
	const char *prefix;
	size_t prefix_len;
	const char *after;
	size_t left;
	store_list_fn fn;
	void *ctx;
	bool want_info;
	char path[STORE_KEY_MAX + NAME_MAX + 2]; /* the folder being read, with its slash, or the key at hand */
	size_t path_len;
};

struct window {
	char **names; /* a folder's with a slash at its end */
	size_t count;
	size_t size;               /* names wanted; there is room for twice as many */
	char cursor[NAME_MAX + 2]; /* the last name of the window before */
	bool more;                 /* names were left out behind this window */
};

static void window_clear(struct window *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->names[i]);
	w->count = 0;
}

static void window_release(struct window *w)
{
	window_clear(w);
	free(w->names);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts and keeps the smallest `size`. */
static void window_trim(struct window *w)
{
	qsort(w->names, w->count, sizeof(*w->names), compare);
	while (w->count > w->size) {
		free(w->names[--w->count]);
		w->more = true;
	}
}

static void window_add(struct window *w, const char *name)
{
	if (w->count == 2 * w->size)
		window_trim(w);
	w->names[w->count++] = mr_strdup(name);
}

/* Whether keys at or below the walk's path can be wanted: they have the prefix and come behind `after`. */
static bool wanted(const struct walk *w, bool folder)
{
	size_t len = w->path_len;
	if (len > STORE_KEY_MAX)
		return false;
	if (strncmp(w->path, w->prefix, len < w->prefix_len ? len : w->prefix_len) != 0 ||
	    (!folder && len < w->prefix_len))
		return false;
	/* All keys below a folder begin with its path: they end before `after` only if the path is less than its
	 * beginning. */
	return folder ? strncmp(w->path, w->after, len) >= 0 : strcmp(w->path, w->after) > 0;
}

static bool path_push(struct walk *w, const char *name)
{
	size_t len = strlen(name);
	if (w->path_len + len >= sizeof(w->path))
		return false;
	memcpy(w->path + w->path_len, name, len + 1);
	w->path_len += len;
	return true;
}

static void path_pop(struct walk *w, size_t len)
{
	w->path_len = len;
	w->path[len] = '\0';
}

/* A folder, an object, or 0 for what is neither. */
static int entry_type(int dir_fd, const struct dirent *d)
{
	if (d->d_type != DT_UNKNOWN)
		return d->d_type == DT_DIR || d->d_type == DT_REG ? d->d_type : 0;
	struct stat st;
	if (fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : 0;
}

static void consider(struct walk *w, struct window *win, int dir_fd, const struct dirent *d)
{
	bool special = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		       (!w->path_len && strcmp(d->d_name, STORE_RESERVED_PART) == 0);
	int type = special ? 0 : entry_type(dir_fd, d);
	/* Deeper down the reserved name is a name like any other. */
	if (!type || (strcmp(d->d_name, STORE_RESERVED_PART) != 0 && store_key_check(d->d_name, NULL) < 0))
		return;
	char name[NAME_MAX + 2];
	size_t len = strlen(d->d_name);
	memcpy(name, d->d_name, len + 1);
	if (type == DT_DIR)
		memcpy(name + len, "/", 2);
	if (strcmp(name, win->cursor) <= 0)
		return;
	size_t path_len = w->path_len;
	if (path_push(w, name) && wanted(w, type == DT_DIR))
		window_add(win, name);
	path_pop(w, path_len);
}

/* Reads the walk's folder once: the next names behind the cursor. */
static int window_fill(struct walk *w, struct window *win, struct err *e)
{
	window_clear(win);
	win->more = false;
	/* Without the slash at its end. */
	char folder[sizeof(w->path)];
	size_t len = w->path_len ? w->path_len - 1 : 0;
	memcpy(folder, w->path, len);
	folder[len] = '\0';
	DIR *dir = local_opendir(w->store, folder);
	if (!dir && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (!dir)
		return local_errno(e, errno, "list %s", folder);
	const struct dirent *d;
	errno = 0;
	while ((d = readdir(dir))) {
		consider(w, win, dirfd(dir), d);
		errno = 0;
	}
	int why = errno;
	(void)closedir(dir);
	if (why)
		return local_errno(e, why, "list %s", folder);
	window_trim(win);
	return 0;
}

/* 1: enough, 0: go on. */
static int emit(struct walk *w, struct err *e)
{
	struct store_info info;
	if (w->want_info) {
		_cleanup_fd_ int fd = local_open(w->store, w->path, O_RDONLY | O_NONBLOCK);
		int r = fd < 0 ? fd : local_info(fd, w->path, &info);
		if (r == -ENOENT || r == -ENOTDIR)
			return 0; /* deleted since its name was read */
		if (r < 0)
			return local_errno(e, -r, "list %s", w->path);
	}
	w->left--;
	return !w->fn(w->ctx, w->path, w->want_info ? &info : NULL) || !w->left;
}

static int walk_folder(struct walk *w, unsigned depth, struct err *e)
{
	MR_CLEANUP(window_release) struct window win = { .size = depth < DEEP ? WINDOW_TOP : WINDOW_DEEP };
	if (win.size > w->left)
		win.size = w->left > WINDOW_DEEP ? w->left : WINDOW_DEEP;
	win.names = mr_calloc(2 * win.size, sizeof(*win.names));
	const size_t path_len = w->path_len;
	do {
		int r = window_fill(w, &win, e);
		if (r < 0)
			return r;
		for (size_t i = 0; i < win.count; i++) {
			const char *name = win.names[i];
			if (!path_push(w, name))
				continue;
			r = name[strlen(name) - 1] == '/' ? walk_folder(w, depth + 1, e) : emit(w, e);
			path_pop(w, path_len);
			if (r)
				return r;
		}
		if (win.count)
			memcpy(win.cursor, win.names[win.count - 1], strlen(win.names[win.count - 1]) + 1);
	} while (win.more);
	return 0;
}

static int walk_from_prefix(struct walk *w, struct err *e)
{
	/* Everything is below the folder that the prefix names; it is read straight away. */
	w->prefix_len = strlen(w->prefix);
	const char *slash = strrchr(w->prefix, '/');
	w->path_len = slash ? (size_t)(slash - w->prefix) + 1 : 0;
	memcpy(w->path, w->prefix, w->path_len);
	w->path[w->path_len] = '\0';
	int r = local_check_names(w->store, w->path, e);
	if (r == 0)
		r = walk_folder(w, 0, e);
	return r < 0 ? r : 0;
}

int local_list(struct store *s, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	       struct err *e)
{
	struct walk w = { .store = local_of(s),
			  .prefix = prefix,
			  .after = after,
			  .left = max,
			  .fn = fn,
			  .ctx = ctx,
			  .want_info = true };
	return walk_from_prefix(&w, e);
}

int local_list_names(struct store_local *s, const char *prefix, store_list_fn fn, void *ctx, struct err *e)
{
	struct walk w = { .store = s, .prefix = prefix, .after = "", .left = SIZE_MAX, .fn = fn, .ctx = ctx };
	return walk_from_prefix(&w, e);
}
