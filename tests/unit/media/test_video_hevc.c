/* RFC 6381's name of HEVC, from parameter sets as encoders write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "media/video_encode.h"

#define START 0, 0, 0, 1
/* What stands before it, and isn't looked at. */
#define VPS START, 0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x02, 0x20, 0, 0, 3, 0, 0xB0, 0, 0, 3, 0, 0, 3, 0, 0x99

static void names_follow_the_parameters(void **state)
{
	(void)state;
	static const struct {
		uint8_t bytes[64];
		size_t len; /* 0: all, zeros behind */
		const char *expect; /* NULL: refused */
	} cases[] = {
		{ { VPS, START, 0x42, 1, 1, 0x01, 0x60, 0, 0, 3, 0, 0xB0, 0, 0, 3, 0, 0, 3, 0, 0x5D, 0xA0 }, 0, "hvc1.1.6.L93.B0" },
		{ { START, 0x42, 1, 1, 0x01, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5A, 0xA0 }, 0, "hvc1.1.6.L90.90" },
		{ { START, 0x42, 1, 1, 0x02, 0x20, 0, 0, 3, 0, 0xB0, 0, 0, 3, 0, 0, 3, 0, 0x99, 0xA0 }, 0, "hvc1.2.4.L153.B0" },
		{ { 0, 0, 1, 0x42, 1, 1, 0x21, 0x60, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0x78, 0xA0 }, 0, "hvc1.1.6.H120" },
		{ { START, 0x42, 1, 1, 0x44, 0x08, 1, 2, 3, 0x90, 0, 8, 4, 5, 6, 0x1E, 0xA0 }, 0,
		  "hvc1.A4.C0408010.L30.90.00.08.04.05.06" },
		{ { VPS }, 0, NULL },
		{ { START, 0x42, 1, 1, 0x01, 0x60, 0, 0, 3, 0, 0xB0, 0, 0 }, 15, NULL },
		{ { 0x42 }, 1, NULL },
	};
	for (size_t i = 0; i < MR_ARRAY_SIZE(cases); i++) {
		char name[64] = "";
		struct err e = { 0 };
		size_t len = cases[i].len ? cases[i].len : sizeof(cases[i].bytes);
		int r = video_codec_string(AV_CODEC_ID_HEVC, cases[i].bytes, len, name, sizeof(name), &e);
		assert_int_equal(r, cases[i].expect ? 0 : -ERR_INTERNAL);
		if (cases[i].expect)
			assert_string_equal(name, cases[i].expect);
	}
	static const uint8_t avc[] = { START, 0x67, 0x64, 0x00, 0x1F, 0xAC };
	char name[64];
	assert_int_equal(video_codec_string(AV_CODEC_ID_H264, avc, sizeof(avc), name, sizeof(name), NULL), 0);
	assert_string_equal(name, "avc1.64001F");
	assert_int_equal(video_codec_string(AV_CODEC_ID_HEVC, cases[0].bytes, sizeof(cases[0].bytes), name, 8, &(struct err){ 0 }),
			 -ERR_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_follow_the_parameters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
