/* The control plane of the Kinesis Video Streams API: streams, their settings and tags, where data goes. Runs in the server
 * process, on the I/O pool. Source: Amazon Kinesis Video Streams API Reference. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/kvs_internal.h"
#include "base/mem.h"

#define OWNER_OF_SHARED_KEYS "local" /* who owns what a key without a user creates: as on the open door */
#define NAME_MAX_BYTES 128
#define TAG_KEY_MAX 128
#define TAG_VALUE_MAX 256
#define LIST_MAX 10000
#define PAGE_MAX 1000
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define TYPE_CHARS NAME_CHARS "+"
#define TAG_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _.:/=+-@"

/* ---- tags ---- */

/* At most so many characters, of which those of ASCII are letters, digits, spaces and _ . : / = + - @ */
static bool is_tag_text(const char *s, size_t max)
{
	size_t count = 0;
	for (const char *p = s; *p; p++) {
		count += ((unsigned char)*p & 0xC0) != 0x80; /* not a continuation of UTF-8 */
		if (!((unsigned char)*p & 0x80) && !strchr(TAG_CHARS, *p))
			return false;
	}
	return count <= max;
}

static int check_tags(const json_t *tags, struct err *e)
{
	const char *key;
	const json_t *value;
	if (json_object_size(tags) > STREAM_TAGS_MAX)
		return err_set_code(e, ERR_TOO_LARGE, "TOO_MANY_TAGS", "a stream has %d tags at most", STREAM_TAGS_MAX);
	json_object_foreach((json_t *)(uintptr_t)tags, key, value)
	{
		if (!*key || !is_tag_text(key, TAG_KEY_MAX))
			return err_set(e, ERR_INVALID, "a tag's key has 1 to %d letters, digits, spaces and _.:/=+-@",
				       TAG_KEY_MAX);
		if (!json_is_string(value) || !is_tag_text(json_string_value(value), TAG_VALUE_MAX))
			return err_set(e, ERR_INVALID, "the tag %.64s must have at most %d letters, digits, spaces and _.:/=+-@",
				       key, TAG_VALUE_MAX);
	}
	return 0;
}

static json_t *tags_of(const struct stream *s)
{
	json_t *tags = json_loads(s->tags_json ? s->tags_json : "{}", 0, NULL);
	return tags ? tags : json_object();
}

static int save_tags(struct api *a, const struct stream *s, const json_t *tags, struct err *e)
{
	int r = check_tags(tags, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *text = json_dumps(tags, JSON_COMPACT | JSON_SORT_KEYS);
	if (!text)
		return err_set(e, ERR_INTERNAL, "tags can't be written");
	/* By the version that was read: two that change tags at once don't lose any. */
	return repo_stream_change(
		a->o.repo, s, &(struct stream_change) { .version = s->version, .retention_hours = -1, .tags_json = text }, e);
}

int kvs_tag_stream(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream s = { 0 };
	json_t *more = NULL;
	int r = json_get_object(http_request_json(req), "Tags", JSON_REQUIRED, &more, e);
	if (r == 0 && !json_object_size(more))
		r = err_set(e, ERR_INVALID, "Tags must have at least one");
	if (r == 0)
		r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	json_t *tags = tags_of(&s);
	(void)json_object_update(tags, more);
	r = save_tags(a, &s, tags, e);
	json_decref(tags);
	stream_release(&s);
	return r < 0 ? r : kvs_respond(req, json_object());
}

static int check_keys(const json_t *keys, struct err *e)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
		if (!json_is_string(json_array_get(keys, i)))
			return err_set(e, ERR_INVALID, "TagKeyList must have texts alone");
	return json_array_size(keys) ? 0 : err_set(e, ERR_INVALID, "TagKeyList must have at least one");
}

int kvs_untag_stream(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream s = { 0 };
	json_t *keys = NULL;
	int r = json_get_array(http_request_json(req), "TagKeyList", JSON_REQUIRED, STREAM_TAGS_MAX, &keys, e);
	if (r == 0)
		r = check_keys(keys, e);
	if (r == 0)
		r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	json_t *tags = tags_of(&s), *key;
	size_t i;
	json_array_foreach(keys, i, key)(void) json_object_del(tags, json_string_value(key));
	r = save_tags(a, &s, tags, e);
	json_decref(tags);
	stream_release(&s);
	return r < 0 ? r : kvs_respond(req, json_object());
}

int kvs_list_tags(void *ctx, struct http_request *req, struct err *e)
{
	struct stream s = { 0 };
	int r = kvs_find_stream(ctx, req, &s, e);
	if (r < 0)
		return r;
	json_t *out = json_pack("{s:o}", "Tags", tags_of(&s));
	stream_release(&s);
	return kvs_respond(req, out);
}

/* ---- streams ---- */

/* A text of these characters, absent or not. */
static int get_word(const json_t *in, const char *field, const char *chars, const char **ret, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string_max(in, field, JSON_OPTIONAL, NAME_MAX_BYTES, &s, e);
	if (r < 0)
		return r;
	if (s && (!*s || strspn(s, chars) != strlen(s)))
		return err_set(e, ERR_INVALID, "%s has characters that it may not have", field);
	*ret = s;
	return 0;
}

/* "video/h264,audio/aac" */
static bool is_media_type(const char *s)
{
	for (;; s++) {
		size_t kind = strspn(s, TYPE_CHARS), of = s[kind] == '/' ? strspn(s + kind + 1, TYPE_CHARS) : 0;
		if (!kind || !of)
			return false;
		s += kind + 1 + of;
		if (*s != ',')
			return !*s;
	}
}

static int read_new(const json_t *in, struct stream_new *n, json_t **ret_tags, struct err *e)
{
	int64_t hours = 0;
	json_t *tags = NULL;
	if (json_get_string(in, "StreamName", JSON_REQUIRED, &n->name, e) < 0 ||
	    json_get_int(in, "DataRetentionInHours", JSON_OPTIONAL, 0, STREAM_RETENTION_MAX_HOURS, &hours, e) < 0 ||
	    get_word(in, "MediaType", TYPE_CHARS "/,", &n->media_type, e) < 0 ||
	    get_word(in, "DeviceName", NAME_CHARS, &n->device_name, e) < 0 ||
	    json_get_object(in, "Tags", JSON_OPTIONAL, &tags, e) < 0)
		return -(int)e->kind;
	if (!stream_name_valid(n->name))
		return err_set(e, ERR_INVALID, "StreamName must have 1 to 256 of A-Z a-z 0-9 . _ -");
	if (n->media_type && !is_media_type(n->media_type))
		return err_set(e, ERR_INVALID, "MediaType must be like video/h264,audio/aac");
	if (json_object_get(in, "KmsKeyId"))
		return err_set(e, ERR_INVALID, "KmsKeyId: fragments are not encrypted with keys here");
	n->retention_hours = (uint32_t)hours;
	*ret_tags = tags;
	return tags ? check_tags(tags, e) : 0;
}

int kvs_create_stream(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream_new n = { 0 };
	struct stream s = { 0 };
	json_t *tags = NULL;
	const char *user = kvs_user(a, req);
	int r = read_new(http_request_json(req), &n, &tags, e);
	if (r < 0)
		return r;
	_cleanup_free_ char *text = tags ? json_dumps(tags, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	n.tags_json = text;
	r = repo_stream_create(a->o.repo, user ? user : OWNER_OF_SHARED_KEYS, &n, &s, e);
	if (r < 0)
		return r;
	char arn[STREAM_ARN_SIZE];
	stream_arn_format(&s, arn);
	http_request_log(req, "stream", s.name);
	stream_release(&s);
	return kvs_respond(req, json_pack("{s:s}", "StreamARN", arn));
}

static json_t *info_json(const struct stream *s)
{
	char arn[STREAM_ARN_SIZE], version[24];
	stream_arn_format(s, arn);
	(void)snprintf(version, sizeof(version), "%" PRId64, s->version);
	return json_pack("{s:s, s:s, s:s*, s:s*, s:s, s:s, s:o, s:i}", "StreamName", s->name, "StreamARN", arn, "MediaType",
			 s->media_type, "DeviceName", s->device_name, "Version", version, "Status", "ACTIVE", "CreationTime",
			 kvs_time(s->created_ms), "DataRetentionInHours", (int)s->retention_hours);
}

int kvs_describe_stream(void *ctx, struct http_request *req, struct err *e)
{
	struct stream s = { 0 };
	int r = kvs_find_stream(ctx, req, &s, e);
	if (r < 0)
		return r;
	json_t *out = json_pack("{s:o}", "StreamInfo", info_json(&s));
	stream_release(&s);
	return kvs_respond(req, out);
}

struct stream_page {
	json_t *list;
	size_t wanted;
	char last[STREAM_NAME_MAX + 1];
	bool more;
};

static void add_to_page(void *ctx, const struct stream *s)
{
	struct stream_page *p = ctx;
	p->more = json_array_size(p->list) == p->wanted;
	if (p->more)
		return;
	(void)json_array_append_new(p->list, info_json(s));
	memcpy(p->last, s->name, sizeof(p->last));
}

int kvs_list_streams(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const json_t *in = http_request_json(req);
	static const char *const operators[] = { "BEGINS_WITH", NULL };
	_cleanup_free_ char *after = NULL;
	int64_t max = PAGE_MAX;
	json_t *condition = NULL;
	const char *prefix = NULL;
	size_t op = 0;
	if (json_get_int(in, "MaxResults", JSON_OPTIONAL, 1, LIST_MAX, &max, e) < 0 || kvs_get_token(in, &after, e) < 0 ||
	    json_get_object(in, "StreamNameCondition", JSON_OPTIONAL, &condition, e) < 0)
		return -(int)e->kind;
	if (condition && (json_get_choice(condition, "ComparisonOperator", JSON_OPTIONAL, operators, &op, e) < 0 ||
			  json_get_string(condition, "ComparisonValue", JSON_OPTIONAL, &prefix, e) < 0))
		return -(int)e->kind;
	struct stream_page page = { .list = json_array(), .wanted = max > PAGE_MAX ? PAGE_MAX : (size_t)max };
	int r = repo_stream_list(a->o.repo, kvs_user(a, req), prefix, after, (uint32_t)page.wanted + 1, add_to_page, &page,
				 e);
	if (r < 0) {
		json_decref(page.list);
		return r;
	}
	json_t *out = json_pack("{s:o}", "StreamInfoList", page.list);
	if (page.more)
		kvs_set_token(out, page.last);
	return kvs_respond(req, out);
}

static int get_version(const json_t *in, enum json_need need, int64_t *ret, struct err *e)
{
	const char *text = NULL;
	char *end = NULL;
	int r = json_get_string(in, "CurrentVersion", need, &text, e);
	if (r < 0 || !text)
		return r;
	long long v = strtoll(text, &end, 10);
	/* What can't be one of ours is just not the current one. */
	*ret = *end || v < 1 ? INT64_MAX : v;
	return 0;
}

int kvs_update_retention(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	const json_t *in = http_request_json(req);
	static const char *const operations[] = { "INCREASE_DATA_RETENTION", "DECREASE_DATA_RETENTION", NULL };
	struct stream s = { 0 };
	int64_t version = 0, change = 0;
	size_t op = 0;
	if (get_version(in, JSON_REQUIRED, &version, e) < 0 ||
	    json_get_choice(in, "Operation", JSON_REQUIRED, operations, &op, e) < 0 ||
	    json_get_int(in, "DataRetentionChangeInHours", JSON_REQUIRED, 1, STREAM_RETENTION_MAX_HOURS, &change, e) < 0)
		return -(int)e->kind;
	int r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	int64_t hours = (int64_t)s.retention_hours + (op == 0 ? change : -change);
	if (hours < 0 || hours > STREAM_RETENTION_MAX_HOURS)
		r = err_set(e, ERR_INVALID, "DataRetentionChangeInHours: the stream would keep %" PRId64 " hours", hours);
	else
		r = repo_stream_change(a->o.repo, &s,
				       &(struct stream_change) { .version = version, .retention_hours = hours }, e);
	stream_release(&s);
	return r < 0 ? r : kvs_respond(req, json_object());
}

int kvs_delete_stream(void *ctx, struct http_request *req, struct err *e)
{
	struct api *a = ctx;
	struct stream s = { 0 };
	int64_t version = 0;
	int r = get_version(http_request_json(req), JSON_OPTIONAL, &version, e);
	if (r == 0)
		r = kvs_find_stream(a, req, &s, e);
	if (r < 0)
		return r;
	r = repo_stream_delete(a->o.repo, &s, version, e);
	if (r == 0)
		bus_publish(a->o.bus, &(struct bus_event) { .topic = BUS_STREAM, .stream_id = s.id });
	stream_release(&s);
	return r < 0 ? r : kvs_respond(req, json_object());
}

static int put_media_endpoint(const struct api *a, struct http_request *req, const char **ret, struct err *e)
{
	if (!a->o.put_media_port)
		return err_set(e, ERR_INVALID, "PutMedia is not served here");
	/* A literal IPv6 address keeps its brackets. */
	const char *host = http_request_host(req), *bracket = strchr(host, ']');
	size_t len = bracket ? (size_t)(bracket + 1 - host) : strcspn(host, ":");
	*ret = a->o.put_media_url ? a->o.put_media_url
				  : http_request_printf(req, "%s://%.*s:%u", http_request_scheme(req), (int)len, host,
							a->o.put_media_port);
	return 0;
}

int kvs_get_data_endpoint(void *ctx, struct http_request *req, struct err *e)
{
	static const char *const names[] = { "PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST",
					     NULL };
	const char *url = http_request_base_url(req);
	struct stream s = { 0 };
	size_t which = 0;
	int r = json_get_choice(http_request_json(req), "APIName", JSON_REQUIRED, names, &which, e);
	if (r == 0)
		r = kvs_find_stream(ctx, req, &s, e);
	if (r < 0)
		return r;
	stream_release(&s);
	if (which == 0)
		r = put_media_endpoint(ctx, req, &url, e);
	return r < 0 ? r : kvs_respond(req, json_pack("{s:s}", "DataEndpoint", url));
}
