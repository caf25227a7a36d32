/* The push walker over EBML. Runs in the sandbox, on bytes of anybody.
 *
 * Guarantees: nothing is kept of an element but what its `collect` asks for; a child never reaches beyond its parent; the
 * sink sees begin and end of what it entered in pairs, unless an error cuts it short. Does not check what is in an
 * element, nor in which order elements come: that is its users'.
 */
#include "media/ebml.h"

#include <string.h>

/* The largest collect; a sink that wants more is ours. */
#define COLLECT_MAX_BYTES (128u << 10)
/* A buffer that grew larger than this for one element is given back. */
#define COLLECT_KEEP_BYTES (8u << 10)

static int broken(struct err *e, const char *why, uint64_t offset)
{
	return err_set_code(e, ERR_MEDIA, "DAMAGED_MEDIA", "%s at byte %llu", why, (unsigned long long)offset);
}

/* ---- values ---- */

unsigned ebml_vint(const uint8_t *p, size_t len, bool marker, uint64_t *ret)
{
	if (len == 0 || p[0] == 0)
		return 0;
	unsigned n = 1;
	while (!(p[0] & (0x80u >> (n - 1))))
		n++;
	if (len < n)
		return 0;
	uint64_t v = marker ? p[0] : p[0] & (0xFFu >> n);
	bool ones = (p[0] & (0xFFu >> n)) == (0xFFu >> n);
	for (unsigned i = 1; i < n; i++) {
		v = v << 8 | p[i];
		ones = ones && p[i] == 0xFF;
	}
	*ret = ones && !marker ? UINT64_MAX : v;
	return n;
}

bool ebml_uint(const uint8_t *p, size_t len, uint64_t *ret)
{
	if (len > 8)
		return false;
	uint64_t v = 0;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	*ret = v;
	return true;
}

bool ebml_int(const uint8_t *p, size_t len, int64_t *ret)
{
	uint64_t v;
	if (!ebml_uint(p, len, &v))
		return false;
	if (len && len < 8 && (p[0] & 0x80))
		v |= UINT64_MAX << (8 * len);
	*ret = (int64_t)v;
	return true;
}

bool ebml_float(const uint8_t *p, size_t len, double *ret)
{
	uint64_t v;
	if ((len != 0 && len != 4 && len != 8) || !ebml_uint(p, len, &v))
		return false;
	if (len == 4) {
		const uint32_t bits = (uint32_t)v;
		float f;
		memcpy(&f, &bits, sizeof(f));
		*ret = (double)f;
	} else {
		memcpy(ret, &v, sizeof(*ret)); /* no bytes: zero */
	}
	return true;
}

void ebml_text(const uint8_t *p, size_t len, char *out, size_t size)
{
	size_t n = 0;
	for (; n < len && n + 1 < size && p[n]; n++)
		out[n] = p[n] >= 0x20 && p[n] < 0x7F ? (char)p[n] : '?';
	out[n] = '\0';
}

/* ---- the walk ---- */

/* The level at which an element always stands, or -1: that of the element it is in. */
static int level_of(uint32_t id)
{
	switch (id) {
	case EBML_HEADER:
	case MKV_SEGMENT:
		return 0;
	case MKV_SEEKHEAD:
	case MKV_INFO:
	case MKV_TRACKS:
	case MKV_CLUSTER:
	case MKV_CUES:
	case MKV_CHAPTERS:
	case MKV_ATTACHMENTS:
	case MKV_TAGS:
		return 1;
	default:
		return -1;
	}
}

void ebml_init(struct ebml *p, const struct ebml_sink *sink, uint64_t offset)
{
	*p = (struct ebml){ .sink = *sink, .offset = offset };
	buf_init(&p->collected, COLLECT_MAX_BYTES);
}

void ebml_restart(struct ebml *p, uint64_t offset, bool in_segment)
{
	p->offset = offset;
	p->head_len = 0;
	p->in_data = false;
	p->depth = 0;
	buf_clear(&p->collected);
	if (in_segment)
		p->stack[p->depth++] = (struct ebml_element){ .id = MKV_SEGMENT, .unknown_size = true, .offset = offset };
}

void ebml_release(struct ebml *p)
{
	buf_release(&p->collected);
}

static uint64_t end_of(const struct ebml_element *el)
{
	return el->unknown_size ? UINT64_MAX : el->offset + el->head_bytes + el->size;
}

static int pop(struct ebml *p, struct err *e)
{
	const struct ebml_element el = p->stack[--p->depth];
	return p->sink.end(p->sink.ctx, &el, e);
}

static int pop_finished(struct ebml *p, struct err *e)
{
	int r = 0;
	while (r == 0 && p->depth && end_of(&p->stack[p->depth - 1]) == p->offset)
		r = pop(p, e);
	return r;
}

/* Ends what an element with this id can't be in, and checks that it may stand where that leaves it. */
static int make_place(struct ebml *p, const struct ebml_element *el, struct err *e)
{
	const int level = level_of(el->id);
	while (level >= 0 && p->depth > (unsigned)level && p->stack[p->depth - 1].unknown_size) {
		int r = pop(p, e);
		if (r < 0)
			return r;
	}
	if (level >= 0 ? p->depth != (unsigned)level : p->depth == 0 && el->id != EBML_VOID)
		return broken(e, "an element in the wrong place", el->offset);
	return 0;
}

static int check_size(const struct ebml *p, const struct ebml_element *el, struct err *e)
{
	if (el->unknown_size)
		return el->id == MKV_SEGMENT || el->id == MKV_CLUSTER ? 0 : broken(e, "an element of unknown size", el->offset);
	if (p->depth && el->size > end_of(&p->stack[p->depth - 1]) - el->offset - el->head_bytes)
		return broken(e, "an element that reaches beyond the one it is in", el->offset);
	return 0;
}

static int enter(struct ebml *p, const struct ebml_element *el, struct err *e)
{
	if (p->depth == EBML_DEPTH_MAX)
		return broken(e, "elements too deep in one another", el->offset);
	p->stack[p->depth++] = *el;
	return 0;
}

static int collected(struct ebml *p, const uint8_t *data, size_t len, struct err *e)
{
	int r = p->sink.data(p->sink.ctx, &p->current, data, len, e);
	p->want = 0;
	buf_clear(&p->collected);
	if (p->collected.cap > COLLECT_KEEP_BYTES)
		buf_release(&p->collected);
	return r;
}

/* A whole head is there: p->offset is behind it. */
static int begin(struct ebml *p, struct ebml_element *el, struct err *e)
{
	int r = make_place(p, el, e);
	if (r == 0)
		r = check_size(p, el, e);
	if (r < 0)
		return r;
	el->depth = p->depth;
	struct ebml_choice choice = { 0 };
	r = p->sink.begin(p->sink.ctx, el, &choice, e);
	if (r == 0 && !choice.enter && el->unknown_size)
		r = broken(e, "an element of unknown size that isn't entered", el->offset);
	if (r == 0 && choice.enter)
		r = enter(p, el, e);
	if (r < 0)
		return r;
	const unsigned n = p->head_len;
	p->head_len = 0;
	if (!choice.enter) {
		p->current = *el;
		p->left = el->size;
		p->want = 0;
		p->in_data = el->size > 0;
		if (choice.collect) {
			p->want = el->size < choice.max_bytes ? (uint32_t)el->size : choice.max_bytes;
			if (p->want == 0)
				r = collected(p, p->head, 0, e);
		}
	}
	if (r == 0 && p->sink.raw)
		r = p->sink.raw(p->sink.ctx, p->head, n, e);
	return r == 0 ? pop_finished(p, e) : r;
}

/* One more byte of a head. */
static int take_head(struct ebml *p, uint8_t byte, struct err *e)
{
	p->head[p->head_len++] = byte;
	p->offset++;
	const uint64_t offset = p->offset - p->head_len;
	if (p->head[0] < 0x10)
		return broken(e, "bytes that are no element", offset);
	uint64_t id, size;
	const unsigned id_len = ebml_vint(p->head, p->head_len, true, &id);
	if (id_len == 0 || p->head_len == id_len)
		return 0;
	if (p->head[id_len] == 0)
		return broken(e, "an element whose size is none", offset);
	const unsigned size_len = ebml_vint(p->head + id_len, p->head_len - id_len, false, &size);
	if (size_len == 0)
		return 0;
	struct ebml_element el = { .id = (uint32_t)id, .unknown_size = size == UINT64_MAX, .offset = offset,
				   .head_bytes = id_len + size_len };
	el.size = el.unknown_size ? 0 : size;
	if (p->offset > UINT64_MAX / 2)
		return broken(e, "more than can be counted", offset);
	return begin(p, &el, e);
}

static int take_data(struct ebml *p, const uint8_t *data, size_t len, struct err *e)
{
	int r = 0;
	if (p->want) {
		if (p->collected.len == 0 && len == p->want)
			r = collected(p, data, len, e);
		else if (!buf_append(&p->collected, data, len))
			r = broken(e, "an element too large to keep", p->current.offset);
		else if (p->collected.len == p->want)
			r = collected(p, (const uint8_t *)p->collected.data, p->want, e);
	}
	p->offset += len;
	p->left -= len;
	p->in_data = p->left > 0;
	if (r == 0 && p->sink.raw)
		r = p->sink.raw(p->sink.ctx, data, len, e);
	return r == 0 && !p->in_data ? pop_finished(p, e) : r;
}

int ebml_feed(struct ebml *p, const uint8_t *data, size_t len, struct err *e)
{
	int r = 0;
	for (size_t at = 0; r == 0 && at < len;) {
		if (!p->in_data) {
			r = take_head(p, data[at++], e);
			continue;
		}
		/* What is wanted comes by itself: if it is damaged, the same bytes are left behind it wherever they were cut. */
		const uint64_t next = p->want ? p->want - p->collected.len : p->left;
		const size_t n = len - at < next ? len - at : (size_t)next;
		r = take_data(p, data + at, n, e);
		at += n;
	}
	return r;
}

int ebml_finish(struct ebml *p, struct err *e)
{
	if (p->in_data || p->head_len)
		return broken(e, "the end within an element", p->offset);
	int r = 0;
	while (r == 0 && p->depth) {
		if (!p->stack[p->depth - 1].unknown_size)
			return broken(e, "the end within an element", p->offset);
		r = pop(p, e);
	}
	return r;
}
