/* Continuity counters: what goes in comes out, in sixteens. */
#include "../base/cm.h"

#include <string.h>

#include "media/ts_neutral.h"

#define PMT 4096
#define VIDEO 256

struct stream {
	uint8_t data[64 * TS_PACKET_SIZE];
	size_t len;
	uint8_t next; /* payload bytes rise, so that order and loss show */
};

static uint8_t *packet(struct stream *s, unsigned pid, bool start, uint8_t control)
{
	uint8_t *p = s->data + s->len;
	s->len += TS_PACKET_SIZE;
	memset(p, 0xff, TS_PACKET_SIZE);
	p[0] = 0x47;
	p[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
	p[2] = (uint8_t)pid;
	p[3] = control;
	return p;
}

static void tables(struct stream *s)
{
	uint8_t *p = packet(s, 0, true, 0x10);
	const uint8_t pat[] = { 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0 };
	memcpy(p + 4, pat, sizeof(pat));
	p = packet(s, PMT, true, 0x10);
	p[4] = 0;
	p[5] = 2;
}

/* A media packet with `field` bytes of adaptation field (with a clock reference if there is room) and rising payload. */
static void media(struct stream *s, bool start, size_t field)
{
	uint8_t *p = packet(s, VIDEO, start, field ? 0x30 : 0x10);
	if (field) {
		p[4] = (uint8_t)(field - 1);
		if (field >= 8) {
			p[5] = 0x10;
			memcpy(p + 6, "\1\2\3\4\5\6", 6);
		} else if (field >= 2) {
			p[5] = 0;
		}
	}
	for (size_t i = 4 + field; i < TS_PACKET_SIZE; i++)
		p[i] = s->next++;
}

struct seen {
	size_t packets[3]; /* PAT, PMT, media; with payload */
	size_t starts, clocks, bytes;
	bool ordered, counted;
};

static struct seen inspect(const struct buf *b)
{
	struct seen s = { .ordered = true, .counted = true };
	uint8_t counter[3] = { 0, 0, 0 }, next = 0;
	assert_int_equal(b->len % TS_PACKET_SIZE, 0);
	for (size_t at = 0; at < b->len; at += TS_PACKET_SIZE) {
		const uint8_t *p = (const uint8_t *)b->data + at;
		assert_int_equal(p[0], 0x47);
		unsigned pid = (unsigned)(p[1] & 0x1f) << 8 | p[2];
		int which = pid == 0 ? 0 : pid == PMT ? 1 : 2;
		assert_true(which < 2 || pid == VIDEO);
		size_t payload = p[3] & 0x20 ? 5u + p[4] : 4;
		if (p[3] & 0x20 && p[4] > 0 && p[5] & 0x10) {
			s.clocks++;
			assert_memory_equal(p + 6, "\1\2\3\4\5\6", 6);
		}
		if (!(p[3] & 0x10)) {
			s.counted = s.counted && (p[3] & 15) == ((counter[which] + 15) & 15);
			continue;
		}
		s.packets[which]++;
		s.counted = s.counted && (p[3] & 15) == (counter[which]++ & 15);
		if (which < 2)
			continue;
		assert_true(payload < TS_PACKET_SIZE);
		s.starts += (p[1] & 0x40) != 0;
		for (size_t i = payload; i < TS_PACKET_SIZE; i++, s.bytes++)
			s.ordered = s.ordered && p[i] == next++;
	}
	return s;
}

static void neutral(const struct stream *s, struct buf *out)
{
	struct err e;
	buf_init(out, 1 << 20);
	if (ts_neutral(s->data, s->len, out, &e) < 0)
		fail_msg("%s", e.message);
}

static void test_all_counts(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 40; n++) {
		struct stream s = { .len = 0 };
		packet(&s, 17, true, 0x10); /* a service description */
		tables(&s);
		for (size_t i = 0; i < n; i++)
			media(&s, i % 7 == 0, i == 0 ? 8 : i % 5 == 1 ? i : 0);
		size_t bytes = 0;
		for (size_t i = 0; i < n; i++)
			bytes += 184 - (i == 0 ? 8 : i % 5 == 1 ? i : 0);
		_cleanup_buf_ struct buf out;
		neutral(&s, &out);
		struct seen seen = inspect(&out);
		assert_true(seen.ordered && seen.counted);
		assert_int_equal(seen.bytes, bytes);
		assert_int_equal(seen.starts, (n + 6) / 7);
		assert_int_equal(seen.packets[0], 16);
		assert_int_equal(seen.packets[1], 16);
		assert_int_equal(seen.packets[2], (n + 15) / 16 * 16);
		/* a second time changes nothing */
		struct stream again = { .len = out.len };
		if (out.len <= sizeof(again.data)) {
			memcpy(again.data, out.data, out.len);
			_cleanup_buf_ struct buf twice;
			neutral(&again, &twice);
			assert_int_equal(twice.len, out.len);
			assert_memory_equal(twice.data, out.data, out.len);
		}
	}
}

static void test_tables_are_spread(void **state)
{
	(void)state;
	struct stream s = { .len = 0 };
	tables(&s);
	for (int i = 0; i < 60; i++)
		media(&s, i % 4 == 0, 0);
	_cleanup_buf_ struct buf out;
	neutral(&s, &out);
	size_t last = 0, gap = 0;
	for (size_t at = 0; at < out.len; at += TS_PACKET_SIZE)
		if ((out.data[at + 1] & 0x1f) == 0 && out.data[at + 2] == 0) {
			gap = at - last > gap ? at - last : gap;
			last = at;
		}
	assert_true(gap <= 12 * TS_PACKET_SIZE);
}

static void test_packets_without_payload_and_clocks_stay(void **state)
{
	(void)state;
	struct stream s = { .len = 0 };
	tables(&s);
	uint8_t *p = packet(&s, VIDEO, false, 0x20);
	p[4] = 183;
	p[5] = 0x10;
	memcpy(p + 6, "\1\2\3\4\5\6", 6);
	media(&s, true, 8);
	p = packet(&s, VIDEO, false, 0x20);
	p[4] = 183;
	p[5] = 0;
	media(&s, false, 0);
	_cleanup_buf_ struct buf out;
	neutral(&s, &out);
	struct seen seen = inspect(&out);
	assert_true(seen.ordered && seen.counted);
	assert_int_equal(seen.clocks, 2);
	assert_int_equal(seen.packets[2], 16);
}

static void test_refusals(void **state)
{
	(void)state;
	struct err e;
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 20);
	struct stream s = { .len = 0 };
	assert_int_equal(ts_neutral(s.data, 0, &out, &e), -ERR_INVALID);
	assert_int_equal(ts_neutral(s.data, 187, &out, &e), -ERR_INVALID);
	assert_int_equal(ts_neutral(s.data, 188, &out, &e), -ERR_INVALID); /* no sync byte */
	media(&s, true, 0);
	s.data[3] = 0x30;
	s.data[4] = 200; /* an adaptation field longer than the packet */
	assert_int_equal(ts_neutral(s.data, s.len, &out, &e), -ERR_INVALID);
	s.len = 0;
	media(&s, true, 180); /* four bytes can't fill sixteen packets */
	assert_int_equal(ts_neutral(s.data, s.len, &out, &e), -ERR_INTERNAL);
	s.len = 0;
	for (unsigned pid = 100; pid < 120; pid++)
		packet(&s, pid, true, 0x10);
	assert_int_equal(ts_neutral(s.data, s.len, &out, &e), -ERR_INVALID);
	assert_int_equal(out.len, 0);
	buf_release(&out);
	buf_init(&out, 100);
	s.len = 0;
	media(&s, true, 0);
	assert_int_equal(ts_neutral(s.data, s.len, &out, &e), -ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_counts),
		cmocka_unit_test(test_tables_are_spread),
		cmocka_unit_test(test_packets_without_payload_and_clocks_stay),
		cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
