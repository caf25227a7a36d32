/* The store's checks: see doctor.h. What they put lies below parts/, whose leftovers the bucket's rule removes within a
 * day if the doctor is killed; a folder's are removed by the next doctor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/doctor.h"

#define LIMIT_MS 30000
#define OBJECT_BYTES (300u << 10)
#define RANGE_AT 70001
#define RANGE_BYTES 4096
#define TAIL_BYTES 1000
#define LEFTOVERS_MAX 100
#define LEFT_AFTER_MS (3600 * INT64_C(1000))
#define CLOCK_TOLERATED_MS 120000 /* S3 refuses what is signed 15 minutes off */
#define FOLDER_SCHEME "file:"

static char *key_of(const struct doctor *d, const char *name)
{
	return mr_asprintf("%s/%s", d->folder, name);
}

/* Not what a store that gives back something else would have. */
static void fill(char *bytes, size_t len)
{
	uint32_t x = 1;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (char)(x >> 24);
	}
}

static int other_bytes(const char *where, struct err *e)
{
	return err_set(e, ERR_INTERNAL, "%s gives other bytes than were stored", where);
}

/* ---- opening ---- */

static int see_folder(const struct doctor *d, struct err *e)
{
	const char *path = d->at.store + strlen(FOLDER_SCHEME);
	if (!d->store_is_folder || access(path, F_OK) == 0)
		return 0;
	return errno == ENOENT ? err_set_code(e, ERR_NOT_FOUND, "NO_STORE", "there is no folder %s yet", path)
			       : err_errno(e, errno, "%s", path);
}

static int check_open(struct doctor *d, struct finding *f, struct err *e)
{
	struct store *store = NULL;
	char place[PLACE_SIZE];
	place_name(d->at.store, place);
	int r = see_folder(d, e);
	/* Whoever waits for an answer here is told sooner than a job would be; of two values the later counts. */
	_cleanup_free_ char *url = d->store_is_folder ? mr_strdup(d->at.store)
						      : mr_asprintf("%s%cpatience_seconds=4&stall_seconds=4",
								    d->at.store, strchr(d->at.store, '?') ? '&' : '?');
	if (r == 0)
		r = store_open(url, &store, e);
	if (r == 0)
		r = store_check(store, e);
	if (r < 0) {
		if (store)
			store_close(store);
		return r;
	}
	d->store = store;
	return finding_say(f, "%s", place);
}

/* ---- objects ---- */

static int check_write(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *key = key_of(d, "object"), *bytes = mr_calloc(1, OBJECT_BYTES);
	struct store_info info;
	fill(bytes, OBJECT_BYTES);
	int r = store_put(d->store, key, bytes, OBJECT_BYTES, "application/octet-stream", &info, e);
	if (r == 0 && info.size != OBJECT_BYTES)
		r = other_bytes("the store", e);
	return r < 0 ? r : finding_say(f, "%u KiB stored and verified", OBJECT_BYTES >> 10);
}

static int read_some(struct doctor *d, uint64_t offset, size_t len, struct err *e)
{
	_cleanup_free_ char *key = key_of(d, "object"), *wanted = mr_calloc(1, OBJECT_BYTES), *got = mr_calloc(1, len);
	struct store_reader *in;
	size_t n = 0;
	fill(wanted, OBJECT_BYTES);
	int r = store_reader_open(d->store, key, &in, NULL, e);
	if (r < 0)
		return r;
	r = store_reader_read(in, offset, got, len, &n, e);
	store_reader_close(in);
	if (r == 0 && (n != len || memcmp(got, wanted + offset, len) != 0))
		r = other_bytes("reading", e);
	return r;
}

static int check_read(struct doctor *d, struct finding *f, struct err *e)
{
	int r = read_some(d, 0, OBJECT_BYTES, e);
	return r < 0 ? r : finding_say(f, "the same bytes");
}

static int check_range(struct doctor *d, struct finding *f, struct err *e)
{
	int r = read_some(d, RANGE_AT, RANGE_BYTES, e);
	return r < 0 ? r : finding_say(f, "%d bytes from byte %d on", RANGE_BYTES, RANGE_AT);
}

static bool count_key(void *ctx, const char *key, const struct store_info *info)
{
	size_t *count = ctx;
	(void)key;
	(void)info;
	(*count)++;
	return true;
}

static int check_list(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *prefix = key_of(d, "");
	size_t count = 0;
	int r = store_list(d->store, prefix, NULL, 10, count_key, &count, e);
	if (r == 0 && count != 1)
		r = err_set(e, ERR_INTERNAL, "a list has %zu objects, not the one that was stored", count);
	return r < 0 ? r : finding_say(f, "what was stored is listed");
}

static int check_url(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *key = key_of(d, "object"), *wanted = mr_calloc(1, OBJECT_BYTES),
			    *got = mr_calloc(1, RANGE_BYTES);
	bool is_signed = true;
	fill(wanted, OBJECT_BYTES);
	int r = doctor_fetch_by_url(d, key, RANGE_AT, got, RANGE_BYTES, &is_signed, e);
	if (r == 0 && memcmp(got, wanted + RANGE_AT, RANGE_BYTES) != 0)
		r = other_bytes("its URL", e);
	if (r < 0)
		return r;
	return is_signed ? finding_say(f, "signed, a range fetched; refused without its signature")
			 : finding_say(f, "a range fetched by the public URL");
}

/* ---- multipart uploads ---- */

static int send_parts(struct doctor *d, const char *key, const char *id, char *bytes, struct err *e)
{
	struct store_part parts[2], listed[2];
	struct store_info info;
	size_t count = 0;
	int r = store_multipart_put(d->store, key, id, 1, bytes, STORE_PART_MIN_BYTES, &parts[0], e);
	if (r == 0)
		r = store_multipart_put(d->store, key, id, 2, bytes, TAIL_BYTES, &parts[1], e);
	if (r == 0)
		r = store_multipart_list(d->store, key, id, listed, 2, &count, e);
	if (r == 0 && (count != 2 || listed[0].size != STORE_PART_MIN_BYTES || listed[1].size != TAIL_BYTES))
		r = err_set(e, ERR_INTERNAL, "the list of parts isn't what was sent");
	if (r == 0)
		r = store_multipart_complete(d->store, key, id, parts, 2, &info, e);
	if (r == 0 && info.size != STORE_PART_MIN_BYTES + TAIL_BYTES)
		r = err_set(e, ERR_INTERNAL, "the parts give %llu bytes", (unsigned long long)info.size);
	return r;
}

static int check_multipart(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *key = key_of(d, "parts"), *bytes = mr_calloc(1, STORE_PART_MIN_BYTES);
	char id[STORE_UPLOAD_ID_SIZE];
	struct err ignored = { 0 };
	fill(bytes, STORE_PART_MIN_BYTES);
	int r = store_multipart_begin(d->store, key, NULL, id, e);
	if (r < 0)
		return r;
	r = send_parts(d, key, id, bytes, e);
	if (r < 0) {
		bool gone = store_multipart_abort(d->store, key, id, &ignored) == 0;
		return gone ? r : err_wrap(e, "and its parts aren't removed");
	}
	r = store_multipart_begin(d->store, key, NULL, id, e);
	if (r == 0)
		r = store_multipart_abort(d->store, key, id, e);
	return r < 0 ? r : finding_say(f, "two parts sent, listed and put together; another upload aborted");
}

/* ---- the rest ---- */

struct old {
	char *keys[LEFTOVERS_MAX];
	size_t count;
};

static bool note_old(void *ctx, const char *key, const struct store_info *info)
{
	struct old *old = ctx;
	if (info->modified_ms < clock_wall_ms() - LEFT_AFTER_MS)
		old->keys[old->count++] = mr_strdup(key);
	return old->count < LEFTOVERS_MAX;
}

/* Of doctors that were killed. */
static int remove_old(struct doctor *d, struct err *e)
{
	struct old old = { 0 };
	int r = store_list(d->store, "parts/doctor-", NULL, 1000, note_old, &old, e);
	for (size_t i = 0; i < old.count; i++) {
		if (r == 0)
			r = store_delete(d->store, old.keys[i], e);
		free(old.keys[i]);
	}
	return r;
}

static int check_delete(struct doctor *d, struct finding *f, struct err *e)
{
	_cleanup_free_ char *prefix = key_of(d, "");
	size_t count = 0;
	int r = store_delete_prefix(d->store, d->folder, e);
	if (r == 0)
		r = store_list(d->store, prefix, NULL, 10, count_key, &count, e);
	if (r == 0 && count)
		r = err_set(e, ERR_INTERNAL, "%zu deleted objects are still listed", count);
	if (r == 0)
		r = remove_old(d, e);
	return r < 0 ? r : finding_say(f, "nothing of it is left");
}

static void on_need(void *ctx, const char *what, enum store_need_state state, const char *text, const struct err *why)
{
	struct finding *f = ctx;
	static const char make_it[] = "millrace setup sets it";
	if (strcmp(what, "bucket") == 0)
		return;
	if (state == STORE_NEED_MISSING)
		(void)finding_warn(f, make_it, "%s is not set as it should be (%s)", what, text);
	else if (why && f->result == REPORT_OK)
		(void)finding_warn(f, "the key may not look at it, or the service has none: check it by other means",
				   "%s: %s", what, why->message);
}

static int check_rules(struct doctor *d, struct finding *f, struct err *e)
{
	int r = store_prepare(d->store, &d->needs.needs, false, on_need, f, e);
	if (r == -ERR_UNSUPPORTED) {
		err_clear(e);
		f->result = REPORT_SKIPPED;
		return finding_say(f, "a folder has none: the server's janitor removes what has had its time");
	}
	return r < 0 || f->result != REPORT_OK ? r : finding_say(f, "CORS and lifecycle rules are set");
}

static int check_clock(struct doctor *d, struct finding *f, struct err *e)
{
	int64_t now = 0;
	int r = store_clock(d->store, &now, e);
	if (r == -ERR_UNSUPPORTED) {
		err_clear(e);
		f->result = REPORT_SKIPPED;
		return finding_say(f, "a folder's clock is this machine's");
	}
	return r < 0 ? r : doctor_compare_clock(f, "the store's clock", now, CLOCK_TOLERATED_MS);
}

const struct doctor_check doctor_store_checks[] = {
	{ "store", GROUP_STORE, check_open, LIMIT_MS, .opens = true },
	{ "store write", GROUP_STORE, check_write, LIMIT_MS },
	{ "store read", GROUP_STORE, check_read, LIMIT_MS },
	{ "store range", GROUP_STORE, check_range, LIMIT_MS },
	{ "store list", GROUP_STORE, check_list, LIMIT_MS },
	{ "store url", GROUP_STORE, check_url, LIMIT_MS },
	{ "store multipart", GROUP_STORE, check_multipart, LIMIT_MS },
	{ "store delete", GROUP_STORE, check_delete, LIMIT_MS },
	{ "store rules", GROUP_STORE, check_rules, LIMIT_MS },
	{ "store clock", GROUP_STORE, check_clock, LIMIT_MS },
};
const size_t doctor_store_check_count = MR_ARRAY_SIZE(doctor_store_checks);
