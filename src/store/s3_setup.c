/* The bucket itself and what is set once for all of it: CORS and lifecycle rules; the service's clock. In the processes
 * of setup and doctor; blocks.
 *
 * Guarantees: what others configured stays, and what is as it should be isn't written. Does not guarantee anything if
 * somebody else configures the same bucket at the same moment: S3 has no condition for that. */
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

#define RULES_MAX (1u << 20)

static bool refused_as(const struct err *e, const char *code)
{
	return strcmp(err_code(e), "STORE_REFUSED") == 0 && strstr(e->message, code);
}

/* ---- the bucket ---- */

static int look(struct store_s3 *s, int64_t *ret_date_ms, struct err *e)
{
	const struct s3_request q = { .method = "GET",
				      .query = { { "list-type", "2" }, { "max-keys", "1" } },
				      .once = true };
	struct s3_answer a;
	int r = s3_call(s, &q, &a, e);
	if (r < 0)
		return r;
	if (ret_date_ms)
		*ret_date_ms = a.date_ms;
	s3_answer_release(&a);
	return 0;
}

/* `region` NULL: wherever the service puts buckets. */
static int make(struct store_s3 *s, const char *region, struct err *e)
{
	_cleanup_free_ char *body =
		region ? mr_asprintf("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
				     "<LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>",
				     region)
		       : NULL;
	const struct s3_request q = { .method = "PUT",
				      .headers = { { "content-type", body ? "application/xml" : NULL } },
				      .body = body,
				      .body_len = body ? strlen(body) : 0 };
	struct s3_answer a;
	int r = s3_call(s, &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	return r;
}

/* AWS wants to be told the region, except its first, which mustn't be; other services know none of them, or all. */
static int make_somewhere(struct store_s3 *s, struct err *e)
{
	const char *region = s->config.region;
	bool first = strcmp(region, "us-east-1") == 0;
	int r = make(s, first ? NULL : region, e);
	if (r < 0 && !first && !strstr(s->config.host, "amazonaws.com") && strstr(e->message, "LocationConstraint")) {
		err_clear(e);
		r = make(s, NULL, e);
	}
	if (r < 0 && refused_as(e, "BucketAlreadyOwnedByYou")) { /* somebody was quicker */
		err_clear(e);
		r = 0;
	}
	return r;
}

static enum store_need_state see_to_bucket(struct store_s3 *s, bool change, struct err *e)
{
	if (look(s, NULL, e) == 0)
		return STORE_NEED_MET;
	if (!refused_as(e, "NoSuchBucket"))
		return STORE_NEED_FAILED;
	if (!change)
		return STORE_NEED_MISSING;
	err_clear(e);
	return make_somewhere(s, e) < 0 ? STORE_NEED_FAILED : STORE_NEED_MADE;
}

/* ---- rules ---- */

/* *ret is empty where there is no such configuration. */
static int fetch_rules(struct store_s3 *s, const char *which, struct buf *ret, struct err *e)
{
	const struct s3_request q = { .method = "GET", .query = { { which, "" } } };
	struct s3_answer a;
	int r = s3_call(s, &q, &a, e);
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	if (r < 0)
		return r;
	buf_append(ret, a.text.data, a.text.len);
	s3_answer_release(&a);
	return buf_finish(ret, e);
}

/* S3 wants a digest of both documents. */
static int put_rules(struct store_s3 *s, const char *which, const struct buf *body, struct err *e)
{
	uint8_t raw[16];
	char md5[S3_MD5_SIZE];
	s3_md5(body->data, body->len, raw, md5);
	const struct s3_request q = { .method = "PUT",
				      .query = { { which, "" } },
				      .headers = { { "content-md5", md5 }, { "content-type", "application/xml" } },
				      .body = body->data,
				      .body_len = body->len };
	struct s3_answer a;
	int r = s3_call(s, &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	return r;
}

struct outcome {
	enum store_need_state state;
	size_t others;
};

static int see_to_rules(struct store_s3 *s, const char *which, const struct s3_rules *rules, bool change,
			struct outcome *ret, struct err *e)
{
	_cleanup_buf_ struct buf current, wanted;
	bool same = false;
	size_t others = 0;
	buf_init(&current, RULES_MAX);
	buf_init(&wanted, RULES_MAX);
	int r = fetch_rules(s, which, &current, e);
	if (r == 0)
		r = s3_rules_merge(rules, current.len ? current.data : NULL, current.len, &wanted, &same, &others, e);
	if (r == 0 && !same && change)
		r = put_rules(s, which, &wanted, e);
	if (r == 0)
		*ret = (struct outcome) { same     ? STORE_NEED_MET
					  : change ? STORE_NEED_CHANGED
						   : STORE_NEED_MISSING,
					  others };
	return r;
}

static void tell_rules(struct store_s3 *s, const char *which, const char *text, struct s3_rules *take_rules,
		       bool change, store_need_fn fn, void *ctx)
{
	struct err e = { 0 };
	struct outcome o = { .state = STORE_NEED_FAILED };
	if (see_to_rules(s, which, take_rules, change, &o, &e) < 0)
		o.state = STORE_NEED_FAILED;
	_cleanup_free_ char *whole =
		o.others ? mr_asprintf("%s; beside %zu of others, which stay", text, o.others) : mr_strdup(text);
	fn(ctx, which, o.state, whole, e.kind ? &e : NULL);
	s3_rules_release(take_rules);
}

/* "narrations/ 1 d, …" */
static void describe_lifetimes(const struct store_needs *needs, struct buf *out)
{
	for (size_t i = 0; i < needs->lifetime_count; i++)
		buf_printf(out, "%s/ %u d, ", needs->lifetimes[i].folder, needs->lifetimes[i].days);
	buf_printf(out, "incomplete multipart uploads %u d", needs->multipart_days);
}

void s3_prepare(struct store *store, const struct store_needs *needs, bool change, store_need_fn fn, void *ctx)
{
	struct store_s3 *s = s3_of(store);
	struct err e = { 0 };
	struct s3_rules rules;
	_cleanup_buf_ struct buf text;
	buf_init(&text, RULES_MAX);
	enum store_need_state state = see_to_bucket(s, change, &e);
	_cleanup_free_ char *bucket = mr_asprintf("%s at %s", s->config.bucket, s->config.host);
	fn(ctx, "bucket", state, bucket, e.kind ? &e : NULL);
	buf_puts(&text, "GET, HEAD and PUT from");
	for (size_t i = 0; i < needs->origin_count; i++)
		buf_printf(&text, " %s", needs->origins[i]);
	s3_rules_cors(s->config.prefix, needs, &rules);
	tell_rules(s, "cors", text.data ? text.data : "", &rules, change, fn, ctx);
	buf_clear(&text);
	describe_lifetimes(needs, &text);
	s3_rules_lifecycle(s->config.prefix, needs, &rules);
	tell_rules(s, "lifecycle", text.data ? text.data : "", &rules, change, fn, ctx);
}

/* ---- the clock ---- */

int s3_clock(struct store *store, int64_t *ret_ms, struct err *e)
{
	int64_t ms = 0;
	int r = look(s3_of(store), &ms, e);
	if (r < 0)
		return r;
	if (!ms)
		return err_set(e, ERR_PROTOCOL, "S3 says no date");
	*ret_ms = ms;
	return 0;
}
