/* H.264 as MP4 and Matroska carry it: the parameter sets of an avcC record, and what an access unit is made of. Reads headers of
 * NAL units only. Pure; runs in the task; what it reads is hostile.
 *
 *   struct h264_sets sets;
 *   if (!h264_sets_parse(par->extradata, par->extradata_size, &sets)) ...     // not an avcC record
 *   struct h264_unit u;
 *   if (!h264_unit_look(&sets, packet->data, packet->size, &u)) ...           // damaged
 *   if (u.idr && !u.foreign_sets) ...
 *
 * ISO/IEC 14496-15, 5.3.3.1 (the record) and 5.3.4.2 (lengths before NAL units); ITU-T H.264, table 7-1 (types).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define H264_SETS_MAX 64

struct h264_sets {
	size_t length_bytes; /* of the length before each NAL unit: 1, 2 or 4 */
	uint8_t profile_idc, constraints, level_idc;
	size_t count; /* sequence and picture parameter sets, whole NAL units; borrowed from the record */
	const uint8_t *at[H264_SETS_MAX];
	size_t len[H264_SETS_MAX];
};

struct h264_unit {
	bool picture;	   /* has a coded slice */
	bool idr;	   /* all of its slices are an IDR picture's */
	bool foreign_sets; /* brings a parameter set that the record doesn't have */
};

/* `record` is borrowed for as long as the sets are used. False if it isn't a record with at least one set of each kind. */
bool h264_sets_parse(const uint8_t *record, size_t len, struct h264_sets *ret) MR_MUST_USE;
/* False if the lengths don't add up. */
bool h264_unit_look(const struct h264_sets *sets, const uint8_t *data, size_t len, struct h264_unit *ret) MR_MUST_USE;
