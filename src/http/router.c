/* The router: the table sorted so that the more special pattern comes first, then tried in order. Some fifty routes of
 * four segments: a walk costs less than a hash of the path. Also the table's check. */
#include "http/router.h"

#include <string.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/mem.h"
#include "http/upload.h"

enum part_kind { PART_LITERAL, PART_PARAM, PART_REST };

struct part {
	enum part_kind kind;
	const char *text; /* literal, or the parameter's name; not terminated */
	size_t len;
};

#define PARTS_MAX 12

struct entry {
	const struct http_route *route;
	struct part parts[PARTS_MAX];
	size_t part_count;
};

struct router {
	struct entry *entries;
	size_t count;
};

static bool name_valid(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
			return false;
	return len > 0;
}

/* Splits a pattern; NULL or what is wrong with it. */
static const char *compile(const struct http_route *route, struct entry *out)
{
	*out = (struct entry) { .route = route };
	const char *s = route->pattern;
	size_t params = 0;
	if (!s || *s != '/')
		return "must begin with '/'";
	while (*s == '/') {
		s++;
		size_t len = strcspn(s, "/");
		if (out->part_count == PARTS_MAX)
			return "has too many segments";
		struct part *p = &out->parts[out->part_count++];
		*p = (struct part) { PART_LITERAL, s, len };
		if (memchr(s, '{', len) || memchr(s, '}', len)) {
			if (s[0] != '{' || s[len - 1] != '}' || len < 3)
				return "has a brace inside a segment";
			*p = (struct part) { PART_PARAM, s + 1, len - 2 };
			if (p->len > 3 && memcmp(p->text + p->len - 3, "...", 3) == 0) {
				p->kind = PART_REST;
				p->len -= 3;
			}
			if (!name_valid(p->text, p->len))
				return "has a bad parameter name";
			if (++params > ROUTER_PARAMS_MAX)
				return "has too many parameters";
		}
		s += len;
		if (p->kind == PART_REST && *s)
			return "must end with its {rest...}";
	}
	return NULL;
}

/* <0: a is more special. 0: they match the same paths. */
static int compare(const struct entry *a, const struct entry *b)
{
	for (size_t i = 0; i < a->part_count && i < b->part_count; i++) {
		const struct part *p = &a->parts[i], *q = &b->parts[i];
		if (p->kind != q->kind)
			return p->kind < q->kind ? -1 : 1;
		if (p->kind == PART_LITERAL) {
			size_t n = p->len < q->len ? p->len : q->len;
			int c = memcmp(p->text, q->text, n);
			if (c || p->len != q->len)
				return c ? c : p->len < q->len ? -1 : 1;
		}
	}
	return a->part_count == b->part_count ? 0 : a->part_count < b->part_count ? -1 : 1;
}

static bool is_method(const char *s)
{
	return s && *s && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(s);
}

static const char *check_body(const struct http_route *r)
{
	bool streamed = r->body == HTTP_BODY_STREAM || r->body == HTTP_BODY_STREAM_RAW;
	if (streamed && (!r->sink || !r->sink->begin || !r->sink->write || !r->sink->finish || !r->sink->abort))
		return "streams its body but has no whole sink";
	if (streamed && r->handler)
		return "has a sink, whose finish answers, and a handler";
	if (!streamed && !r->handler)
		return "has no handler";
	if (!streamed && r->sink)
		return "has a sink but doesn't stream its body";
	if (r->where == HTTP_INLINE && (r->access != HTTP_ACCESS_PUBLIC || r->body != HTTP_BODY_NONE))
		return "runs on the HTTP thread, which only public routes without a body may";
	if (r->where == HTTP_INLINE_FIRST && (r->access != HTTP_ACCESS_SIGNED || r->body != HTTP_BODY_NONE))
		return "begins on the HTTP thread, which only signed routes without a body may";
	return NULL;
}

static const char *check_access(const struct http_route *r, bool has_param)
{
	if (r->metrics_token && r->access != HTTP_ACCESS_ADMIN)
		return "takes the token for metrics, but isn't for administrators";
	if (r->signed_too && r->access != HTTP_ACCESS_OWNER)
		return "takes pre-signed URLs as well, but has no owner";
	switch (r->access) {
	case HTTP_ACCESS_UNSET:
		return "does not say who may call it (access)";
	case HTTP_ACCESS_PUBLIC:
		if (has_param && !r->public_param)
			return "names a resource and is public: say public_param if that is meant";
		break;
	case HTTP_ACCESS_USER:
		if (has_param)
			return "names a resource: it needs access OWNER and a load function";
		break;
	case HTTP_ACCESS_OWNER:
		if (!r->load)
			return "has access OWNER but no load function";
		if (r->signed_too && r->body != HTTP_BODY_NONE)
			return "takes pre-signed URLs, which don't cover its body";
		break;
	case HTTP_ACCESS_ADMIN: /* everybody's resources are theirs */
	case HTTP_ACCESS_SIGNED:
		break;
	case HTTP_ACCESS_SIGNED_HEADER:
		if (!r->service || has_param || (r->body != HTTP_BODY_JSON && r->body != HTTP_BODY_BYTES))
			return "is signed by header: it needs a service and a buffered body, and no parameter";
		break;
	default:
		return "has an unknown access";
	}
	return r->load && r->access != HTTP_ACCESS_OWNER ? "has a load function that is never called" : NULL;
}

int http_routes_check(const struct http_route *routes, size_t count, struct err *e)
{
	_cleanup_free_ struct entry *all = mr_calloc(count, sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		const struct http_route *r = &routes[i];
		const char *wrong = is_method(r->method) ? compile(r, &all[i]) : "has a bad method";
		bool has_param = !wrong && strchr(r->pattern, '{');
		if (!wrong)
			wrong = check_access(r, has_param);
		if (!wrong)
			wrong = check_body(r);
		for (size_t j = 0; !wrong && j < i; j++)
			if (strcmp(r->method, routes[j].method) == 0 && compare(&all[i], &all[j]) == 0)
				wrong = "is there twice";
		if (wrong)
			return err_set(e, ERR_INVALID, "route %s %s %s", r->method ? r->method : "?",
				       r->pattern ? r->pattern : "?", wrong);
	}
	return 0;
}

static int compare_void(const void *a, const void *b)
{
	return compare(a, b);
}

struct router *router_new(const struct http_route *routes, size_t count)
{
	struct router *r = mr_calloc(1, sizeof(*r));
	r->entries = mr_calloc(count, sizeof(*r->entries));
	r->count = count;
	for (size_t i = 0; i < count; i++)
		(void)compile(&routes[i], &r->entries[i]);
	if (count)
		qsort(r->entries, count, sizeof(*r->entries), compare_void);
	return r;
}

void router_free(struct router *r)
{
	if (r)
		free(r->entries);
	free(r);
}

/* Literals compare against the decoded segment, so that "/api/%6Aobs" is the same resource. */
static const char *decode_segment(const char *s, size_t len, struct arena *a)
{
	if (!memchr(s, '%', len))
		return arena_strndup(a, s, len);
	_cleanup_buf_ struct buf b;
	buf_init(&b, len + 1);
	if (!uri_decode(&b, s, len) || !b.data)
		return NULL;
	return arena_strndup(a, b.data, b.len);
}

struct split {
	const char *raw[PARTS_MAX + 1]; /* where each segment begins, still encoded, up to the path's end */
	const char *decoded[PARTS_MAX + 1];
	size_t count; /* PARTS_MAX + 1: more than any pattern without a rest has */
};

static void split_path(const char *raw_path, struct arena *a, struct split *out)
{
	out->count = 0;
	for (const char *s = raw_path; *s == '/' && out->count <= PARTS_MAX;) {
		s++;
		size_t len = strcspn(s, "/");
		out->raw[out->count] = s;
		out->decoded[out->count++] = decode_segment(s, len, a);
		s += len;
	}
}

static bool match(const struct entry *en, const struct split *path)
{
	for (size_t i = 0; i < en->part_count; i++) {
		const struct part *p = &en->parts[i];
		if (i >= path->count)
			return false;
		if (p->kind == PART_REST)
			return path->raw[i][0] != '\0';
		const char *seg = path->decoded[i];
		if (!seg || (p->kind == PART_PARAM && !*seg))
			return false;
		if (p->kind == PART_LITERAL && (strlen(seg) != p->len || memcmp(seg, p->text, p->len) != 0))
			return false;
	}
	return path->count == en->part_count;
}

static int take_params(const struct entry *en, const struct split *path, struct arena *a, struct router_match *m,
		       struct err *e)
{
	for (size_t i = 0; i < en->part_count; i++) {
		const struct part *p = &en->parts[i];
		if (p->kind == PART_LITERAL)
			continue;
		const char *value = p->kind == PART_PARAM ? path->decoded[i]
							  : decode_segment(path->raw[i], strlen(path->raw[i]), a);
		const char *name = arena_strndup(a, p->text, p->len);
		if (!value || (p->kind == PART_PARAM && strchr(value, '/')))
			return err_set_code(e, ERR_INVALID, "INVALID_URL", "the URL's %s holds a slash or a bad escape",
					    name);
		m->params[m->param_count++] = (struct sigv4_pair) { name, value };
	}
	return 0;
}

static void allow_add(struct buf *b, const char *method)
{
	if (!b->data || !strstr(b->data, method))
		(void)buf_printf(b, "%s%s", b->len ? ", " : "", method);
}

int router_find(const struct router *r, const char *method, const char *raw_path, struct arena *a,
		struct router_match *ret, struct err *e)
{
	struct router_match m = { 0 };
	struct split path;
	split_path(raw_path, a, &path);
	const struct entry *exact = NULL, *get = NULL;
	_cleanup_buf_ struct buf allow;
	buf_init(&allow, 256);
	for (size_t i = 0; i < r->count; i++) {
		const struct entry *en = &r->entries[i];
		if (!match(en, &path))
			continue;
		allow_add(&allow, en->route->method);
		if (!exact && strcmp(en->route->method, method) == 0)
			exact = en;
		if (strcmp(en->route->method, "GET") == 0) {
			allow_add(&allow, "HEAD");
			if (!get)
				get = en;
		}
	}
	if (!allow.len)
		return err_set(e, ERR_NOT_FOUND, "there is nothing at this URL");
	allow_add(&allow, "OPTIONS");
	m.allow = arena_strdup(a, allow.data);
	if (!exact && strcmp(method, "HEAD") == 0)
		exact = get;
	if (exact) {
		m.route = exact->route;
		int rc = take_params(exact, &path, a, &m, e);
		if (rc < 0)
			return rc;
	}
	*ret = m;
	return 0;
}
