/* Where I-frames lie: see iframes.h. What is read here was written by our own muxers a moment before; it is read with
 * bounds all the same, because a muxer's habits may change with its version. */
#include "media/iframes.h"

#include <string.h>

#include "media/ts_neutral.h"

void iframes_choose(const struct segment_input *in, struct iframes *ret)
{
	*ret = (struct iframes){ 0 };
	if (in->par->codec_type != AVMEDIA_TYPE_VIDEO)
		return;
	size_t keys = 0;
	for (size_t i = 0; i < in->count; i++)
		keys += (in->packets[i]->flags & AV_PKT_FLAG_KEY) != 0;
	/* so far apart, no more than TASK_IFRAMES_MAX fit the segment */
	int64_t apart = keys > TASK_IFRAMES_MAX ? (in->end - in->start + TASK_IFRAMES_MAX - 1) / TASK_IFRAMES_MAX : 0;
	int64_t next = 0;
	for (size_t i = 0; i < in->count && ret->count < TASK_IFRAMES_MAX; i++) {
		int64_t ticks = in->packets[i]->pts - in->start;
		if (!(in->packets[i]->flags & AV_PKT_FLAG_KEY) || ticks < next)
			continue;
		ret->packets[ret->count] = i;
		ret->found[ret->count++].ticks = ticks;
		next = ticks + apart;
	}
}

bool iframes_has(const struct iframes *f, size_t packet)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (f->packets[i] == packet)
			return true;
	return false;
}

/* ---- fMP4 (ISO/IEC 14496-12) ---- */

struct box {
	const uint8_t *body;
	size_t size; /* of the body */
};

static uint32_t u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first box of `type` among those in [at, at + len). */
static bool find_box(const uint8_t *at, size_t len, const char *type, struct box *ret)
{
	while (len >= 8) {
		size_t size = u32_at(at);
		if (size < 8 || size > len)
			return false;
		if (memcmp(at + 4, type, 4) == 0) {
			*ret = (struct box){ at + 8, size - 8 };
			return true;
		}
		at += size;
		len -= size;
	}
	return false;
}

#define TFHD_BASE_OFFSET 0x1u
#define TFHD_DESCRIPTION 0x2u
#define TFHD_DURATION 0x8u
#define TFHD_SIZE 0x10u
#define TRUN_OFFSET 0x1u
#define TRUN_FIRST_FLAGS 0x4u
#define TRUN_DURATION 0x100u
#define TRUN_SIZE 0x200u

/* tfhd's default_sample_size (8.8.7); 0: none. */
static uint32_t default_size(const struct box *tfhd)
{
	if (tfhd->size < 8)
		return 0;
	uint32_t flags = u32_at(tfhd->body) & 0xffffff;
	size_t at = 8u + (flags & TFHD_BASE_OFFSET ? 8u : 0) + (flags & TFHD_DESCRIPTION ? 4u : 0);
	at += flags & TFHD_DURATION ? 4u : 0;
	return flags & TFHD_SIZE && tfhd->size >= at + 4 ? u32_at(tfhd->body + at) : 0;
}

/* Offset from the moof (default-base-is-moof) and size of a fragment's first sample (8.8.8). */
static bool first_sample(const struct box *moof, size_t *ret_offset, size_t *ret_size)
{
	struct box traf, tfhd, trun;
	if (!find_box(moof->body, moof->size, "traf", &traf) || !find_box(traf.body, traf.size, "tfhd", &tfhd) ||
	    !find_box(traf.body, traf.size, "trun", &trun) || trun.size < 12)
		return false;
	uint32_t flags = u32_at(trun.body) & 0xffffff;
	if (!(flags & TRUN_OFFSET) || u32_at(trun.body + 4) == 0)
		return false;
	size_t at = 12u + (flags & TRUN_FIRST_FLAGS ? 4u : 0) + (flags & TRUN_DURATION ? 4u : 0);
	*ret_offset = u32_at(trun.body + 8);
	*ret_size = default_size(&tfhd);
	if (flags & TRUN_SIZE)
		*ret_size = trun.size >= at + 4 ? u32_at(trun.body + at) : 0;
	return *ret_size > 0;
}

int iframes_find_fmp4(const uint8_t *segment, size_t len, size_t offset, uint32_t number, struct iframes *f, struct err *e)
{
	struct box moof;
	size_t start, size, rest = offset < len ? len - offset : 0;
	if (!find_box(segment + offset, rest, "moof", &moof) || moof.body != segment + offset + 8 ||
	    !first_sample(&moof, &start, &size) || start > rest || size > rest - start)
		return err_set(e, ERR_INTERNAL, "no fragment at byte %zu of a segment of %zu", offset, len);
	f->found[number].offset = offset;
	f->found[number].size_bytes = start + size;
	return 0;
}

/* ---- TS (ISO/IEC 13818-1, 2.4.3) ---- */

#define PID_PAT 0

struct ts_walk {
	struct iframes *f;
	uint32_t next;	   /* the I-frame that is looked for, or whose end */
	bool open;	   /* its beginning was found */
	bool has_tables;   /* PAT and PMT follow on each other right before `at` */
	size_t pat, units; /* where that PAT begins; how many PES have begun */
};

/* Ends the I-frame in hand where something else begins. */
static void close_range(struct ts_walk *w, size_t at)
{
	if (!w->open)
		return;
	struct task_iframe *i = &w->f->found[w->next++];
	i->size_bytes = at - i->offset;
	w->open = false;
}

static int unit_begins(struct ts_walk *w, size_t at, struct err *e)
{
	size_t unit = w->units++;
	close_range(w, w->has_tables ? w->pat : at);
	if (w->next == w->f->count || w->f->packets[w->next] != unit)
		return 0;
	if (!w->has_tables)
		return err_set(e, ERR_INTERNAL, "no PAT and PMT before I-frame %u", w->next);
	w->f->found[w->next].offset = w->pat;
	w->open = true;
	return 0;
}

int iframes_find_ts(const uint8_t *ts, size_t len, struct iframes *f, struct err *e)
{
	struct ts_walk w = { .f = f };
	bool pat = false;
	for (size_t at = 0; at + TS_PACKET_SIZE <= len; at += TS_PACKET_SIZE) {
		const uint8_t *p = ts + at;
		unsigned pid = (p[1] & 0x1fu) << 8 | p[2];
		bool begins = p[1] & 0x40;
		if (pid == PID_PAT) {
			w.pat = pat ? w.pat : at;
			pat = true;
			continue;
		}
		/* behind a PAT, what isn't media is the PMT: a PES begins with 00 00 01 */
		size_t payload = p[3] & 0x20 ? 5u + p[4] : 4u;
		bool pes = begins && payload + 3 <= TS_PACKET_SIZE && memcmp(p + payload, "\0\0\1", 3) == 0;
		if (begins && !pes) {
			w.has_tables = pat;
			continue;
		}
		int r = begins ? unit_begins(&w, at, e) : 0;
		if (r < 0)
			return r;
		pat = w.has_tables = false;
	}
	close_range(&w, w.has_tables ? w.pat : len);
	if (w.next != f->count)
		return err_set(e, ERR_INTERNAL, "%u of %u I-frames found", w.next, f->count);
	return 0;
}
