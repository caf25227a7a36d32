/* Listing and deleting. In every process that has an S3 store open; any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"

#define PAGE_MAX 1000 /* S3's, for lists and for deletes */
#define KEY_TEXT_MAX (STORE_KEY_MAX * 6 + 64)

struct entry {
	char *key;
	struct store_info info;
};

struct page {
	size_t skip; /* the store's own prefix */
	struct entry *entries;
	size_t count;
	struct entry now; /* the one that is being read */
	char *token;
};

static void page_clear(struct page *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->entries[i].key);
	free(mr_steal(p->entries));
	free(mr_steal(p->now.key));
	free(mr_steal(p->token));
	p->count = 0;
}

static void unquote(char *to, size_t size, const char *text)
{
	size_t n = strlen(text);
	bool quoted = n >= 2 && text[0] == '"' && text[n - 1] == '"';
	(void)snprintf(to, size, "%.*s", (int)(quoted ? n - 2 : n), text + quoted);
}

static int on_list_field(void *ctx, const char *path, const char *text, struct err *e)
{
	struct page *p = ctx;
	if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
		if (strlen(text) < p->skip)
			return err_set(e, ERR_PROTOCOL, "a key outside of the store's prefix");
		free(p->now.key);
		p->now.key = mr_strdup(text + p->skip);
	} else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
		p->now.info.size = strtoull(text, NULL, 10);
	} else if (strcmp(path, "ListBucketResult/Contents/ETag") == 0) {
		unquote(p->now.info.etag, sizeof(p->now.info.etag), text);
	} else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
		p->now.info.modified_ms = s3_time_parse(text);
	} else if (strcmp(path, "ListBucketResult/Contents") == 0 && p->now.key) {
		p->entries = mr_reallocarray(p->entries, p->count + 1, sizeof(*p->entries));
		p->entries[p->count++] = p->now;
		p->now = (struct entry) { 0 };
	} else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		free(p->token);
		p->token = mr_strdup(text);
	}
	return 0;
}

static int check_page(void *ctx, const struct s3_answer *a, struct err *e)
{
	struct page *p = ctx;
	page_clear(p);
	return s3_xml_read(a->text.data, a->text.len, on_list_field, p, e);
}

/* The next page behind `token`, or of keys behind `after`. */
static int fetch_page(struct store_s3 *s, const char *prefix, const char *after, const char *token, size_t max,
		      struct page *p, struct err *e)
{
	char count[16];
	_cleanup_free_ char *whole = mr_asprintf("%s%s", s->config.prefix, prefix);
	_cleanup_free_ char *start = *after && !token ? mr_asprintf("%s%s", s->config.prefix, after) : NULL;
	(void)snprintf(count, sizeof(count), "%zu", max < PAGE_MAX ? max : PAGE_MAX);
	const struct s3_request q = { .method = "GET",
				      .query = { { "list-type", "2" },
						 { "max-keys", count },
						 { "prefix", whole },
						 { "start-after", start },
						 { "continuation-token", token } },
				      .check = check_page,
				      .ctx = p };
	struct s3_answer a;
	p->skip = strlen(s->config.prefix);
	int r = s3_call(s, &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	return r;
}

int s3_list(struct store *store, const char *prefix, const char *after, size_t max, store_list_fn fn, void *ctx,
	    struct err *e)
{
	struct store_s3 *s = s3_of(store);
	struct page p = { 0 };
	_cleanup_free_ char *token = NULL;
	bool go_on = true;
	int r = 0;
	while (r == 0 && go_on && max) {
		r = fetch_page(s, prefix, after, token, max, &p, e);
		for (size_t i = 0; r == 0 && go_on && max && i < p.count; i++) {
			max--;
			go_on = fn(ctx, p.entries[i].key, &p.entries[i].info);
		}
		free(token);
		token = mr_steal(p.token);
		go_on = go_on && token;
		page_clear(&p);
	}
	page_clear(&p);
	return s3_wrap(e, r, "list", prefix);
}

int s3_delete(struct store *store, const char *key, struct err *e)
{
	const struct s3_request q = { .method = "DELETE", .key = key };
	struct s3_answer a;
	int r = s3_call(s3_of(store), &q, &a, e);
	if (r == -ERR_NOT_FOUND) {
		err_clear(e);
		return 0;
	}
	if (r == 0)
		s3_answer_release(&a);
	return s3_wrap(e, r, "delete", key);
}

static int on_delete_field(void *ctx, const char *path, const char *text, struct err *e)
{
	(void)ctx;
	if (strcmp(path, "DeleteResult/Error/Code") != 0)
		return 0;
	(void)err_set(e, ERR_UNAVAILABLE, "S3 doesn't delete all: %.40s", text);
	return -ERR_UNAVAILABLE;
}

static int check_deleted(void *ctx, const struct s3_answer *a, struct err *e)
{
	return s3_xml_read(a->text.data, a->text.len, on_delete_field, ctx, e);
}

static int delete_page(struct store_s3 *s, const struct page *p, struct err *e)
{
	uint8_t raw[16];
	char md5[S3_MD5_SIZE];
	_cleanup_buf_ struct buf body;
	buf_init(&body, PAGE_MAX * KEY_TEXT_MAX);
	buf_puts(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < p->count; i++) {
		buf_puts(&body, "<Object><Key>");
		s3_xml_escape(&body, s->config.prefix);
		s3_xml_escape(&body, p->entries[i].key);
		buf_puts(&body, "</Key></Object>");
	}
	buf_puts(&body, "</Delete>");
	int r = buf_finish(&body, e);
	if (r < 0)
		return r;
	s3_md5(body.data, body.len, raw, md5);
	const struct s3_request q = { .method = "POST",
				      .query = { { "delete", "" } },
				      .headers = { { "content-md5", md5 }, { "content-type", "application/xml" } },
				      .body = body.data,
				      .body_len = body.len,
				      .check = check_deleted };
	struct s3_answer a;
	r = s3_call(s, &q, &a, e);
	if (r == 0)
		s3_answer_release(&a);
	return r;
}

int s3_delete_prefix(struct store *store, const char *prefix, struct err *e)
{
	struct store_s3 *s = s3_of(store);
	struct page p = { 0 };
	_cleanup_free_ char *below = mr_asprintf("%s/", prefix);
	int r = s3_delete(store, prefix, e);
	size_t found = r == 0;
	while (r == 0 && found) {
		/* From the start each time: what was deleted isn't listed any more. */
		r = fetch_page(s, below, "", NULL, PAGE_MAX, &p, e);
		found = p.count;
		if (r == 0 && found)
			r = delete_page(s, &p, e);
		page_clear(&p);
	}
	return s3_wrap(e, r, "delete", prefix);
}
