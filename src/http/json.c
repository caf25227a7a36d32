/* Fields of JSON objects from outside. Pure; the front process. */
#include "http/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int check_depth(const char *text, size_t len, struct err *e)
{
	unsigned depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_MAX_DEPTH)
				return err_set_code(e, ERR_INVALID, "INVALID_JSON",
						    "the JSON is more than %d levels deep", JSON_MAX_DEPTH);
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
	}
	return 0;
}

int json_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
	int r = check_depth(text, len, e);
	if (r < 0)
		return r;
	json_error_t why;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!v)
		return err_set_code(e, ERR_INVALID, "INVALID_JSON", "not valid JSON: %s (line %d, column %d)", why.text,
				    why.line, why.column);
	*ret = v;
	return 0;
}

static int invalid(struct err *e, const char *field, const char *what)
{
	return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "%s must be %s", field, what);
}

/* 0 and *ret (NULL if absent), or the error for a required one. */
static int find(const json_t *obj, const char *field, enum json_need need, json_t **ret, struct err *e)
{
	json_t *v = json_object_get(obj, field);
	if (json_is_null(v))
		v = NULL;
	if (!v && need == JSON_REQUIRED)
		return err_set_code(e, ERR_INVALID, "MISSING_FIELD", "%s is missing", field);
	*ret = v;
	return 0;
}

int json_get_string_max(const json_t *obj, const char *field, enum json_need need, size_t max_bytes, const char **ret,
			struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	if (!json_is_string(v))
		return invalid(e, field, "a string");
	size_t len = json_string_length(v);
	if (need == JSON_REQUIRED && len == 0)
		return invalid(e, field, "a string that is not empty");
	if (max_bytes && len > max_bytes)
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "%s is longer than %zu bytes", field, max_bytes);
	*ret = json_string_value(v);
	return 0;
}

int json_get_string(const json_t *obj, const char *field, enum json_need need, const char **ret, struct err *e)
{
	return json_get_string_max(obj, field, need, 0, ret, e);
}

int json_get_choice(const json_t *obj, const char *field, enum json_need need, const char *const *names, size_t *ret,
		    struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(obj, field, need, &s, e);
	if (r < 0 || !s)
		return r;
	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], s) == 0) {
			*ret = i;
			return 0;
		}
	_cleanup_buf_ struct buf list;
	buf_init(&list, 300);
	for (size_t i = 0; names[i]; i++)
		(void)buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
	return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "%s must be one of %s", field,
			    list.data ? list.data : "nothing");
}

int json_get_int(const json_t *obj, const char *field, enum json_need need, int64_t min, int64_t max, int64_t *ret,
		 struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	bool ok = json_is_integer(v);
	int64_t n = ok ? (int64_t)json_integer_value(v) : 0;
	if (json_is_real(v)) {
		double d = json_real_value(v);
		ok = d == floor(d) && fabs(d) <= 9007199254740992.0; /* 2^53: beyond it a double is no exact number */
		n = ok ? (int64_t)d : 0;
	}
	if (!ok || n < min || n > max)
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD",
				    "%s must be a whole number from %" PRId64 " to %" PRId64, field, min, max);
	*ret = n;
	return 0;
}

int json_get_double(const json_t *obj, const char *field, enum json_need need, double min, double max, double *ret,
		    struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	double d = json_number_value(v);
	if (!json_is_number(v) || !(d >= min && d <= max))
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "%s must be a number from %g to %g", field, min,
				    max);
	*ret = d;
	return 0;
}

int json_get_bool(const json_t *obj, const char *field, enum json_need need, bool *ret, struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	if (!json_is_boolean(v))
		return invalid(e, field, "true or false");
	*ret = json_is_true(v);
	return 0;
}

int json_get_object(const json_t *obj, const char *field, enum json_need need, json_t **ret, struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	if (!json_is_object(v))
		return invalid(e, field, "an object");
	*ret = v;
	return 0;
}

int json_get_array(const json_t *obj, const char *field, enum json_need need, size_t max_items, json_t **ret,
		   struct err *e)
{
	json_t *v = NULL;
	int r = find(obj, field, need, &v, e);
	if (r < 0 || !v)
		return r;
	if (!json_is_array(v))
		return invalid(e, field, "an array");
	if (json_array_size(v) > max_items)
		return err_set_code(e, ERR_INVALID, "INVALID_FIELD", "%s has more than %zu items", field, max_items);
	*ret = v;
	return 0;
}

int json_only_fields(const json_t *obj, const char *const *names, struct err *e)
{
	/* jansson iterates without const; iterating changes nothing. */
	json_t *members = (json_t *)(uintptr_t)obj;
	for (void *it = json_object_iter(members); it; it = json_object_iter_next(members, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;
		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (!names[i])
			return err_set_code(e, ERR_INVALID, "UNKNOWN_FIELD", "%.100s is no field of this request", key);
	}
	return 0;
}
