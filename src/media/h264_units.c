/* H.264's outer shell: see h264_units.h. */
#include "media/h264_units.h"

#include <string.h>

#define RECORD_HEAD_BYTES 6
enum nal_type { NAL_SLICE = 1, NAL_PARTITION_C = 4, NAL_IDR = 5, NAL_SPS = 7, NAL_PPS = 8 };

/* `count` sets, each behind a length of two bytes. */
static bool take_sets(const uint8_t **at, const uint8_t *end, unsigned count, struct h264_sets *s)
{
	for (unsigned i = 0; i < count; i++) {
		if (end - *at < 2)
			return false;
		size_t len = (size_t)(*at)[0] << 8 | (*at)[1];
		*at += 2;
		if (len == 0 || len > (size_t)(end - *at) || s->count == H264_SETS_MAX)
			return false;
		s->at[s->count] = *at;
		s->len[s->count++] = len;
		*at += len;
	}
	return true;
}

bool h264_sets_parse(const uint8_t *record, size_t len, struct h264_sets *ret)
{
	if (!record || len < RECORD_HEAD_BYTES + 1 || record[0] != 1)
		return false;
	struct h264_sets s = { .length_bytes = (record[4] & 3u) + 1,
			       .profile_idc = record[1],
			       .constraints = record[2],
			       .level_idc = record[3] };
	const uint8_t *at = record + RECORD_HEAD_BYTES, *end = record + len;
	unsigned sequences = record[5] & 0x1fu;
	if (s.length_bytes == 3 || sequences == 0 || !take_sets(&at, end, sequences, &s) || at == end)
		return false;
	unsigned pictures = *at++;
	if (pictures == 0 || !take_sets(&at, end, pictures, &s))
		return false;
	*ret = s;
	return true;
}

static bool is_known(const struct h264_sets *s, const uint8_t *unit, size_t len)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->len[i] == len && memcmp(s->at[i], unit, len) == 0)
			return true;
	return false;
}

bool h264_unit_look(const struct h264_sets *sets, const uint8_t *data, size_t len, struct h264_unit *ret)
{
	struct h264_unit u = { 0 };
	bool others = false; /* slices of other pictures */
	while (len > 0) {
		size_t unit = 0;
		if (len < sets->length_bytes)
			return false;
		for (size_t i = 0; i < sets->length_bytes; i++)
			unit = unit << 8 | data[i];
		data += sets->length_bytes;
		len -= sets->length_bytes;
		if (unit == 0 || unit > len)
			return false;
		const unsigned type = data[0] & 0x1fu;
		u.idr = u.idr || type == NAL_IDR;
		others = others || (type >= NAL_SLICE && type <= NAL_PARTITION_C);
		u.foreign_sets = u.foreign_sets || ((type == NAL_SPS || type == NAL_PPS) && !is_known(sets, data, unit));
		data += unit;
		len -= unit;
	}
	u.picture = u.idr || others;
	u.idr = u.idr && !others;
	*ret = u;
	return true;
}
