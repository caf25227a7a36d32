/* A store in a folder of its own, and looks behind its back. For tests/unit/store only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"

struct fixture {
	char root[256];
	struct store *store;
	bool has_xattr;
};

static inline int fixture_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void fixture_open_at(struct fixture *f, const char *base)
{
	struct err e = { 0 };
	(void)snprintf(f->root, sizeof(f->root), "%s/millrace-store-XXXXXX", base);
	assert_non_null(mkdtemp(f->root));
	f->has_xattr = setxattr(f->root, "user.millrace-probe", "1", 1, 0) == 0;
	if (store_open_local(&(struct store_local_opts) { .root = f->root }, &f->store, &e) < 0)
		fail_msg("%s", e.message);
}

static inline void fixture_open(struct fixture *f)
{
	const char *base = getenv("TMPDIR");
	fixture_open_at(f, base ? base : "/tmp");
}

static inline void fixture_close(struct fixture *f)
{
	store_close(f->store);
	assert_int_equal(nftw(f->root, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = mr_calloc(1, sizeof(*f));
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

/* Entries of a folder below the root, or -1 if it is not there. */
static inline int fixture_count(const struct fixture *f, const char *folder)
{
	_cleanup_free_ char *path = mr_asprintf("%s/%s", f->root, folder);
	DIR *dir = opendir(path);
	if (!dir)
		return -1;
	int n = 0;
	const struct dirent *d;
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

static inline int fixture_temps(const struct fixture *f)
{
	return fixture_count(f, ".millrace/tmp");
}

static inline bool fixture_exists(const struct fixture *f, const char *path)
{
	_cleanup_free_ char *full = mr_asprintf("%s/%s", f->root, path);
	struct stat st;
	return lstat(full, &st) == 0;
}

/* The call has to succeed. */
#define OK(call)                                                                                                       \
	do {                                                                                                           \
		struct err ok_e = { 0 };                                                                               \
		struct err *e = &ok_e;                                                                                 \
		if ((call) < 0)                                                                                        \
			fail_msg("%s: %s: %s", #call, err_code(e), e->message);                                        \
	} while (0)

/* The call has to fail with that kind and code. */
#define FAILS(call, want_kind, want_code)                                                                              \
	do {                                                                                                           \
		struct err fails_e = { 0 };                                                                            \
		struct err *e = &fails_e;                                                                              \
		int fails_r = (call);                                                                                  \
		if (fails_r != -(want_kind) || e->kind != (want_kind) || strcmp(err_code(e), (want_code)) != 0)        \
			fail_msg("%s: %d %s: %s", #call, fails_r, err_code(e), e->message);                            \
		assert_int_equal(e->retriable, err_kind_retriable(want_kind));                                         \
	} while (0)

static inline void fixture_put(struct fixture *f, const char *key, const char *text)
{
	OK(store_put(f->store, key, text, strlen(text), NULL, NULL, e));
}

/* The whole object, which is small, is `text`. */
static inline void fixture_expect(struct fixture *f, const char *key, const char *text)
{
	struct store_reader *r;
	struct store_info info;
	char buf[4096];
	size_t len;
	OK(store_reader_open(f->store, key, &r, &info, e));
	OK(store_reader_read(r, 0, buf, sizeof(buf) - 1, &len, e));
	store_reader_close(r);
	buf[len] = '\0';
	assert_string_equal(buf, text);
	assert_int_equal(info.size, len);
}

static inline void fixture_expect_absent(struct fixture *f, const char *key)
{
	struct store_info info;
	FAILS(store_stat(f->store, key, &info, e), ERR_NOT_FOUND, "NOT_FOUND");
}
