/* One request to S3: put together, signed, sent, its answer told apart, and all of that again where it may help. In
 * every process that has an S3 store open; blocks its caller; any thread.
 *
 * Guarantees: what is sent is the same in every attempt but for its date and signature; an answer that was cut off, an
 * error within an answer of 200 (of what takes S3 long) and one that `check` doesn't like are no success. Does not
 * guarantee that a request was executed once: callers send only what may be repeated. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/id.h"
#include "net/digest.h"
#include "store/s3.h"

#define AUTHORIZATION_MAX 4096
#define URL_MAX (16u << 10)
#define ONCE_MS 3000
#define KEYS_TRIES 2 /* credentials are fetched anew at most so often */
#define MD5_BYTES 16

enum { H_ETAG, H_TYPE, H_RANGE, H_LENGTH, H_MODIFIED, H_SHA256, H_AFTER, H_SSE, H_DATE };
static const char *const wanted[] = { "ETag",          "Content-Type",
				      "Content-Range", "Content-Length",
				      "Last-Modified", "x-amz-meta-millrace-sha256",
				      "Retry-After",   "x-amz-server-side-encryption",
				      "Date" };
static_assert(MR_ARRAY_SIZE(wanted) == CALL_HEADERS_MAX, "with fewer, a NULL ends them");

/* A request under way, with what its attempt points to. */
struct s3_flight {
	struct store_s3 *store;
	struct s3_request q;
	char payload[SHA256_HEX_SIZE];
	char date[AMZ_DATE_SIZE];
	char *path;
	struct buf url, authorization;
	struct aws_keys keys;
	struct sigv4_pair headers[S3_PAIRS_MAX + 8];
	struct buf text; /* of the answer */
	struct call *call;
	struct err why; /* the attempt couldn't begin */
	uint32_t attempts, keys_tried;
	int64_t began_ms, retry_after_ms;
};

void s3_answer_release(struct s3_answer *a)
{
	buf_release(&a->text);
}

void s3_md5(const void *data, size_t len, uint8_t raw[16], char text[S3_MD5_SIZE])
{
	uint8_t digest[DIGEST_MAX_BYTES];
	struct digest_stream *sum = digest_stream_new("md5");
	digest_stream_update(sum, data, len);
	(void)digest_stream_final(sum, digest);
	memcpy(raw, digest, MD5_BYTES);
	_cleanup_buf_ struct buf b;
	buf_init(&b, S3_MD5_SIZE);
	(void)base64_encode(&b, raw, MD5_BYTES, false);
	(void)snprintf(text, S3_MD5_SIZE, "%s", b.data);
}

int s3_wrap(struct err *e, int r, const char *doing, const char *key)
{
	return e && r < 0 ? err_wrap(e, "%s %s", doing, key) : r;
}

int64_t s3_time_parse(const char *text)
{
	struct tm tm = { 0 };
	const char *rest =
		strptime(text, text[0] >= '0' && text[0] <= '9' ? "%Y-%m-%dT%H:%M:%S" : "%a, %d %b %Y %H:%M:%S", &tm);
	if (!rest)
		return 0;
	int64_t ms = (int64_t)timegm(&tm) * 1000;
	for (int64_t unit = 100; *rest == '.' || (*rest >= '0' && *rest <= '9' && unit); rest++)
		if (*rest != '.') {
			ms += (*rest - '0') * unit;
			unit /= 10;
		}
	return ms;
}

/* ---- an attempt ---- */

static void add_header(struct s3_flight *f, size_t *n, const char *name, const char *value)
{
	if (value)
		f->headers[(*n)++] = (struct sigv4_pair) { name, value };
}

/* What is signed, and then what isn't. Returns how many are signed. */
static size_t collect_headers(struct s3_flight *f)
{
	size_t n = 0;
	add_header(f, &n, "host", f->store->config.host);
	add_header(f, &n, "x-amz-date", f->date);
	add_header(f, &n, "x-amz-content-sha256", f->payload);
	add_header(f, &n, "x-amz-security-token", f->keys.session_token);
	for (size_t i = 0; i < S3_PAIRS_MAX; i++)
		add_header(f, &n, f->q.headers[i].name, f->q.headers[i].value);
	return n;
}

static void make_url(struct s3_flight *f)
{
	const char sep[] = { '?', '&' };
	size_t n = 0;
	buf_clear(&f->url);
	buf_puts(&f->url, f->store->config.base);
	uri_encode(&f->url, f->path, strlen(f->path), true);
	for (size_t i = 0; i < S3_PAIRS_MAX; i++) {
		const struct sigv4_pair *p = &f->q.query[i];
		if (!p->value)
			continue;
		buf_append(&f->url, &sep[n++ != 0], 1);
		uri_encode(&f->url, p->name, strlen(p->name), false);
		if (*p->value) {
			buf_append(&f->url, "=", 1);
			uri_encode(&f->url, p->value, strlen(p->value), false);
		}
	}
}

static int sign(struct s3_flight *f, size_t header_count, int64_t wall_ms, struct err *e)
{
	struct sigv4_pair query[S3_PAIRS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < S3_PAIRS_MAX; i++)
		if (f->q.query[i].value)
			query[n++] = f->q.query[i];
	const struct sigv4_key key = { .access_key_id = f->keys.access_key_id,
				       .secret = f->keys.secret,
				       .session_token = f->keys.session_token,
				       .region = f->store->config.region,
				       .service = "s3" };
	const struct sigv4_request req = { .method = f->q.method,
					   .path = f->path,
					   .query = query,
					   .query_count = n,
					   .headers = f->headers,
					   .header_count = header_count,
					   .payload_hash = f->payload };
	buf_clear(&f->authorization);
	return sigv4_authorization(&key, &req, wall_ms, &f->authorization, e);
}

/* The date is taken once, so that header and signature agree. */
static int prepare(struct s3_flight *f, size_t *ret_headers, struct err *e)
{
	aws_keys_release(&f->keys);
	int r = aws_credentials_get(f->store->credentials, &f->keys, e);
	if (r < 0)
		return r;
	make_url(f);
	const int64_t now_ms = clock_wall_ms();
	amz_date_format(now_ms, f->date);
	*ret_headers = collect_headers(f);
	r = sign(f, *ret_headers, now_ms, e);
	add_header(f, ret_headers, "authorization", f->authorization.data);
	bool typed = false;
	for (size_t i = 0; i < *ret_headers; i++)
		typed = typed || strcmp(f->headers[i].name, "content-type") == 0;
	if (!typed)
		add_header(f, ret_headers, "content-type", ""); /* libcurl would say that it is a form */
	return r == 0 ? buf_finish(&f->url, e) : r;
}

static void attempt(struct s3_flight *f)
{
	size_t headers = 0;
	f->attempts++;
	f->retry_after_ms = 0;
	err_clear(&f->why);
	buf_clear(&f->text);
	if (prepare(f, &headers, &f->why) < 0)
		return;
	f->call = call_start(f->store->loop,
			     &(struct call_opts) { .method = f->q.method,
						   .url = f->url.data,
						   .headers = f->headers,
						   .header_count = headers,
						   .body = f->q.body,
						   .body_len = f->q.body_len,
						   .into = f->q.into,
						   .into_max = f->q.into_max,
						   .text = &f->text,
						   .timeout_ms = f->q.once ? ONCE_MS : 0,
						   .stall_s = f->q.stall_s ? f->q.stall_s : f->store->config.stall_s,
						   .want = wanted });
}

/* ---- the answer ---- */

struct told {
	char code[40];
	char message[200];
};

static int on_error_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct told *t = ctx;
	(void)e;
	if (strcmp(path, "Error/Code") == 0)
		(void)snprintf(t->code, sizeof(t->code), "%s", text);
	else if (strcmp(path, "Error/Message") == 0)
		(void)snprintf(t->message, sizeof(t->message), "%s", text);
	return 0;
}

static void copy_text(char *to, size_t size, const char *from, bool quoted)
{
	size_t n = from ? strlen(from) : 0;
	bool strip = quoted && n >= 2 && from[0] == '"' && from[n - 1] == '"';
	(void)snprintf(to, size, "%.*s", (int)(strip ? n - 2 : n), from ? from + strip : "");
}

static void read_headers(const struct call_answer *a, struct s3_answer *ret)
{
	const char *range = a->values[H_RANGE], *length = a->values[H_LENGTH];
	const char *slash = range ? strchr(range, '/') : NULL;
	ret->status = a->status;
	ret->got = a->got;
	ret->has_range = slash && slash[1] >= '0' && slash[1] <= '9';
	ret->total_bytes = ret->has_range ? strtoull(slash + 1, NULL, 10) : length ? strtoull(length, NULL, 10) : 0;
	ret->info.size = ret->total_bytes;
	ret->info.modified_ms = a->values[H_MODIFIED] ? s3_time_parse(a->values[H_MODIFIED]) : 0;
	ret->date_ms = a->values[H_DATE] ? s3_time_parse(a->values[H_DATE]) : 0;
	ret->etag_is_opaque = a->values[H_SSE] && strncmp(a->values[H_SSE], "aws:kms", 7) == 0;
	copy_text(ret->info.etag, sizeof(ret->info.etag), a->values[H_ETAG], true);
	copy_text(ret->info.content_type, sizeof(ret->info.content_type), a->values[H_TYPE], false);
	if (a->values[H_SHA256] && strlen(a->values[H_SHA256]) == SHA256_HEX_SIZE - 1)
		copy_text(ret->info.sha256, sizeof(ret->info.sha256), a->values[H_SHA256], false);
}

/* Waits for the attempt and says what it came to. */
static enum s3_verdict judge(struct s3_flight *f, struct s3_answer *ret, struct err *e)
{
	struct call_answer a;
	struct told told = { 0 };
	*ret = (struct s3_answer) { 0 };
	if (f->why.kind) {
		(void)err_copy(e, &f->why);
		return f->why.retriable ? S3_AGAIN : S3_FINAL;
	}
	if (call_wait(mr_steal(f->call), &a, e) < 0)
		return e->kind == ERR_CANCELED || e->kind == ERR_TOO_LARGE ? S3_FINAL : S3_AGAIN;
	read_headers(&a, ret);
	f->retry_after_ms = a.values[H_AFTER] ? strtol(a.values[H_AFTER], NULL, 10) * 1000 : 0;
	call_answer_release(&a);
	/* Copying and putting together begin their answer before they know. What isn't XML has no code: a proxy's page.
	 */
	if (f->text.data && f->text.len && (a.status / 100 != 2 || memmem(f->text.data, f->text.len, "<Error>", 7)))
		if (s3_xml_read(f->text.data, f->text.len, on_error_field, &told, e) < 0 && a.status / 100 == 2)
			return S3_AGAIN;
	enum s3_verdict v =
		s3_verdict_of(a.status / 100 == 2 && *told.code ? 500 : a.status, told.code, told.message, e);
	if (v == S3_DONE && f->q.check) {
		ret->text = f->text; /* lent */
		if (f->q.check(f->q.ctx, ret, e) < 0)
			v = e->retriable ? S3_AGAIN : S3_FINAL;
		ret->text = (struct buf) { 0 };
	}
	return v;
}

static void pause_ms(int64_t ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* False: there is no further attempt. */
static bool may_go_on(struct s3_flight *f, enum s3_verdict v)
{
	uint32_t random;
	uint32_t patience_s = f->q.patience_s ? f->q.patience_s : f->store->config.patience_s;
	if (v == S3_DONE || v == S3_FINAL || f->q.once)
		return false;
	if (v == S3_AGAIN_KEYS) {
		if (++f->keys_tried >= KEYS_TRIES)
			return false;
		aws_credentials_reject(f->store->credentials, f->keys.access_key_id);
	}
	random_bytes(&random, sizeof(random));
	int64_t pause = s3_retry_pause_ms(f->attempts, clock_mono_ms() - f->began_ms, (int64_t)patience_s * 1000,
					  f->retry_after_ms, (double)random / 4294967296.0);
	if (pause < 0)
		return false;
	pause_ms(pause);
	return true;
}

static void flight_free(struct s3_flight *f)
{
	aws_keys_release(&f->keys);
	buf_release(&f->url);
	buf_release(&f->authorization);
	buf_release(&f->text);
	free(f->path);
	free(f);
}

struct s3_flight *s3_start(struct store_s3 *s, const struct s3_request *q)
{
	struct s3_flight *f = mr_calloc(1, sizeof(*f));
	f->store = s;
	f->q = *q;
	f->began_ms = clock_mono_ms();
	buf_init(&f->url, URL_MAX);
	buf_init(&f->authorization, AUTHORIZATION_MAX);
	buf_init(&f->text, S3_TEXT_MAX);
	f->path = q->key ? mr_asprintf("%s/%s%s", s->config.root, s->config.prefix, q->key)
			 : mr_asprintf("%s/", s->config.root);
	if (q->body_len && !s->config.sign_payload && !q->sha256)
		(void)snprintf(f->payload, sizeof(f->payload), "%s", SIGV4_UNSIGNED_PAYLOAD);
	else if (q->sha256)
		(void)snprintf(f->payload, sizeof(f->payload), "%s", q->sha256);
	else
		sha256_hex(q->body_len ? q->body : "", q->body_len, f->payload);
	attempt(f);
	return f;
}

int s3_finish(struct s3_flight *take_f, struct s3_answer *ret, struct err *e)
{
	struct s3_flight *f = take_f;
	struct s3_answer a;
	struct err why = { 0 };
	enum s3_verdict v = judge(f, &a, &why);
	while (may_go_on(f, v)) {
		attempt(f);
		v = judge(f, &a, &why);
	}
	if (v == S3_DONE) {
		a.text = f->text;
		buf_init(&f->text, S3_TEXT_MAX);
		*ret = a;
	} else if (f->attempts > 1) {
		(void)err_wrap(&why, "%u attempts", f->attempts);
	}
	flight_free(f);
	return v == S3_DONE ? 0 : err_copy(e, &why);
}

void s3_drop(struct s3_flight *take_f)
{
	struct s3_answer a;
	struct err ignored = { 0 };
	(void)judge(take_f, &a, &ignored);
	flight_free(take_f);
}

int s3_call(struct store_s3 *s, const struct s3_request *q, struct s3_answer *ret, struct err *e)
{
	return s3_finish(s3_start(s, q), ret, e);
}
