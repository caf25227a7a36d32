/* Documents that are lists of rules, as a bucket's CORS and lifecycle configurations are. Pure; any thread.
 *
 * A bucket has one document of each kind, and setting it replaces all of it: so the rules of others are taken over as
 * they stand, byte for byte, and ours are known by their IDs. Two rules are the same if they have the same leaves with
 * the same texts, in whatever order: services sort what they keep. Sources: PutBucketLifecycleConfiguration,
 * PutBucketCors (Amazon S3 API Reference). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/digest.h"
#include "store/s3.h"

#define DOCUMENT_MAX (512u << 10)
#define ID_MAX 256
#define PREFIX_DIGITS 12 /* of its digest: installations that share a bucket have IDs of their own */
#define CORS_SECONDS "3600"

/* "millrace-parts", or with a prefix "millrace-0123456789ab-parts". */
static char *rule_id(const char *prefix, const char *what)
{
	char hex[SHA256_HEX_SIZE];
	sha256_hex(prefix, strlen(prefix), hex);
	return *prefix ? mr_asprintf("millrace-%.*s-%s", PREFIX_DIGITS, hex, what) : mr_asprintf("millrace-%s", what);
}

static void add_wanted(struct s3_rules *r, struct buf *text)
{
	r->wanted = mr_reallocarray(r->wanted, r->count + 1, sizeof(*r->wanted));
	r->wanted[r->count++] = buf_steal(text);
}

static void add_lifetime(struct s3_rules *r, const char *prefix, const char *folder, const char *what,
			 const char *action)
{
	struct buf text;
	_cleanup_free_ char *id = rule_id(prefix, what);
	buf_init(&text, DOCUMENT_MAX);
	buf_printf(&text, "<Rule><ID>%s</ID><Filter><Prefix>", id);
	s3_xml_escape(&text, prefix);
	buf_puts(&text, folder);
	buf_printf(&text, "%s</Prefix></Filter><Status>Enabled</Status>%s</Rule>", *folder ? "/" : "", action);
	add_wanted(r, &text);
}

void s3_rules_lifecycle(const char *prefix, const struct store_needs *needs, struct s3_rules *ret)
{
	struct s3_rules r = { .root = "LifecycleConfiguration", .rule = "Rule" };
	for (size_t i = 0; i < needs->lifetime_count; i++) {
		const struct store_lifetime *l = &needs->lifetimes[i];
		_cleanup_free_ char *action = mr_asprintf("<Expiration><Days>%u</Days></Expiration>", l->days);
		add_lifetime(&r, prefix, l->folder, l->folder, action);
	}
	_cleanup_free_ char *abort =
		mr_asprintf("<AbortIncompleteMultipartUpload><DaysAfterInitiation>%u</DaysAfterInitiation>"
			    "</AbortIncompleteMultipartUpload>",
			    needs->multipart_days);
	add_lifetime(&r, prefix, "", "incomplete-multipart", abort);
	*ret = r;
}

void s3_rules_cors(const char *prefix, const struct store_needs *needs, struct s3_rules *ret)
{
	struct s3_rules r = { .root = "CORSConfiguration", .rule = "CORSRule" };
	struct buf text;
	_cleanup_free_ char *id = rule_id(prefix, "cors");
	buf_init(&text, DOCUMENT_MAX);
	buf_printf(&text, "<CORSRule><ID>%s</ID>", id);
	for (size_t i = 0; i < needs->origin_count; i++) {
		buf_puts(&text, "<AllowedOrigin>");
		s3_xml_escape(&text, needs->origins[i]);
		buf_puts(&text, "</AllowedOrigin>");
	}
	buf_puts(
		&text,
		"<AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>PUT</AllowedMethod>"
		"<AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>Content-Range</ExposeHeader>"
		"<MaxAgeSeconds>" CORS_SECONDS "</MaxAgeSeconds></CORSRule>");
	add_wanted(&r, &text);
	*ret = r;
}

void s3_rules_release(struct s3_rules *r)
{
	while (r->count)
		free(r->wanted[--r->count]);
	free(mr_steal(r->wanted));
}

/* ---- one rule ---- */

/* What it says: its leaves, sorted. */
struct leaves {
	char **lines;
	size_t count;
	char id[ID_MAX];
};

static void leaves_release(struct leaves *l)
{
	while (l->count)
		free(l->lines[--l->count]);
	free(mr_steal(l->lines));
}

static int on_leaf(void *ctx, const char *path, const char *text, struct err *e)
{
	struct leaves *l = ctx;
	(void)e;
	const char *below = strchr(path, '/');
	if (!below || text[strspn(text, " \t\r\n")] == '\0')
		return 0;
	if (strcmp(below, "/ID") == 0)
		(void)snprintf(l->id, sizeof(l->id), "%s", text);
	/* The same, said as it was before there were filters. */
	if (strcmp(below, "/Prefix") == 0)
		below = "/Filter/Prefix";
	l->lines = mr_reallocarray(l->lines, l->count + 1, sizeof(*l->lines));
	l->lines[l->count++] = mr_asprintf("%s=%s", below, text);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int leaves_read(const char *slice, size_t len, struct leaves *ret, struct err *e)
{
	struct leaves l = { 0 };
	int r = s3_xml_read(slice, len, on_leaf, &l, e);
	if (r < 0) {
		leaves_release(&l);
		return r;
	}
	if (l.count)
		qsort(l.lines, l.count, sizeof(*l.lines), by_text);
	*ret = l;
	return 0;
}

static bool leaves_equal(const struct leaves *a, const struct leaves *b)
{
	bool equal = a->count == b->count;
	for (size_t i = 0; equal && i < a->count; i++)
		equal = strcmp(a->lines[i], b->lines[i]) == 0;
	return equal;
}

/* ---- all of them ---- */

struct merge {
	struct leaves *wanted; /* in the order of the rules */
	size_t count;
	struct buf *out;
	size_t met, differing, others;
};

static int on_rule(void *ctx, const char *slice, size_t len, struct err *e)
{
	struct merge *m = ctx;
	struct leaves found;
	size_t i = 0;
	int r = leaves_read(slice, len, &found, e);
	if (r < 0)
		return r;
	while (i < m->count && strcmp(m->wanted[i].id, found.id) != 0)
		i++;
	if (i == m->count) {
		m->others++;
		buf_append(m->out, slice, len);
	} else if (leaves_equal(&m->wanted[i], &found)) {
		m->met++;
	} else {
		m->differing++;
	}
	leaves_release(&found);
	return 0;
}

int s3_rules_merge(const struct s3_rules *rules, const char *current, size_t len, struct buf *out, bool *ret_same,
		   size_t *ret_others, struct err *e)
{
	struct merge m = { .wanted = mr_calloc(rules->count, sizeof(*m.wanted)), .out = out };
	_cleanup_free_ char *path = mr_asprintf("%s/%s", rules->root, rules->rule);
	int r = 0;
	buf_printf(out, "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", rules->root);
	for (; r == 0 && m.count < rules->count; m.count += r == 0) {
		buf_puts(out, rules->wanted[m.count]);
		r = leaves_read(rules->wanted[m.count], strlen(rules->wanted[m.count]), &m.wanted[m.count], e);
	}
	if (r == 0 && current)
		r = s3_xml_slices(current, len, path, on_rule, &m, e);
	buf_printf(out, "</%s>", rules->root);
	if (r == 0)
		r = buf_finish(out, e);
	if (r == 0) {
		*ret_same = m.met == m.count && m.differing == 0;
		*ret_others = m.others;
	}
	while (m.count)
		leaves_release(&m.wanted[--m.count]);
	free(m.wanted);
	return r;
}
