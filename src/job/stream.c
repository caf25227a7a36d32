/* Streams as values: names, ARNs, fragment numbers. Pure; the server process. */
#include "job/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARN_REGION "us-east-1"
#define ARN_ACCOUNT "000000000000"
#define HOUR_MS (3600 * INT64_C(1000))
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
/* A '9' so that all have as many digits as AWS's, the stream's creation, the number: 1 + 13 + 33. */
#define CREATED_DIGITS 13
#define NUMBER_DIGITS 33

void stream_release(struct stream *s)
{
	free(s->media_type);
	free(s->device_name);
	free(s->tags_json);
	*s = (struct stream) { 0 };
}

int64_t stream_kept_ms(uint32_t retention_hours)
{
	return retention_hours ? retention_hours * HOUR_MS : STREAM_UNKEPT_MS;
}

bool stream_name_valid(const char *name)
{
	size_t n = strlen(name);
	return n >= 1 && n <= STREAM_NAME_MAX && strspn(name, NAME_CHARS) == n;
}

void stream_arn_format(const struct stream *s, char out[STREAM_ARN_SIZE])
{
	(void)snprintf(out, STREAM_ARN_SIZE, "arn:aws:kinesisvideo:" ARN_REGION ":" ARN_ACCOUNT ":stream/%s/%" PRId64,
		       s->name, s->created_ms);
}

static bool digits_parse(const char *text, size_t len, int64_t *ret)
{
	int64_t v = 0;
	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, text[i] - '0', &v))
			return false;
	}
	*ret = v;
	return true;
}

bool stream_arn_parse(const char *arn, char ret_name[STREAM_NAME_MAX + 1], int64_t *ret_created_ms)
{
	const char *p = strstr(arn, ":kinesisvideo:");
	if (strncmp(arn, "arn:", 4) != 0 || !p)
		return false;
	const char *name = strstr(p, ":stream/");
	const char *slash = name ? strchr(name + 8, '/') : NULL;
	if (!slash || slash == name + 8 || (size_t)(slash - name - 8) > STREAM_NAME_MAX)
		return false;
	char copy[STREAM_NAME_MAX + 1];
	size_t n = (size_t)(slash - name - 8);
	memcpy(copy, name + 8, n);
	copy[n] = '\0';
	if (!stream_name_valid(copy) || !digits_parse(slash + 1, strlen(slash + 1), ret_created_ms))
		return false;
	memcpy(ret_name, copy, n + 1);
	return true;
}

void fragment_number_format(const struct stream *s, int64_t number, char out[FRAGMENT_NUMBER_SIZE])
{
	(void)snprintf(out, FRAGMENT_NUMBER_SIZE, "9%0*" PRId64 "%0*" PRId64, CREATED_DIGITS, s->created_ms, NUMBER_DIGITS,
		       number);
}

bool fragment_number_parse(const struct stream *s, const char *text, int64_t *ret)
{
	int64_t number;
	char same[FRAGMENT_NUMBER_SIZE];
	if (strlen(text) != FRAGMENT_NUMBER_SIZE - 1 || !digits_parse(text + 1 + CREATED_DIGITS, NUMBER_DIGITS, &number))
		return false;
	fragment_number_format(s, number, same);
	if (strcmp(same, text) != 0)
		return false;
	*ret = number;
	return true;
}
