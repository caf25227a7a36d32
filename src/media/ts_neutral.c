/* Continuity counters that join: see ts_neutral.h. Section numbers are ISO/IEC 13818-1's. */
#include "media/ts_neutral.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#define PIDS_MAX 8
#define PID_PAT 0
#define PID_SDT 17
#define PID_NULL 0x1fff
#define COUNTER_PERIOD 16

struct pid {
	uint16_t number;
	bool table;		  /* PAT or PMT: repeated, not split */
	const uint8_t *last;	  /* table: its latest packet */
	size_t packets;		  /* with payload, in the input */
	size_t extra;		  /* to be added */
	size_t seen, added;
	uint8_t counter;	  /* of the next packet with payload */
};

struct neutral {
	struct pid pids[PIDS_MAX];
	size_t pid_count;
	uint16_t pmt;
	size_t media_packets, media_seen; /* of the PIDs that aren't tables */
	uint8_t *out;
	size_t out_len;
};

/* ---- One packet (2.4.3.2) ---- */

static uint16_t packet_pid(const uint8_t *p)
{
	return (uint16_t)((p[1] & 0x1f) << 8 | p[2]);
}

static bool has_payload(const uint8_t *p)
{
	return p[3] & 0x10;
}

static bool has_adaptation(const uint8_t *p)
{
	return p[3] & 0x20;
}

static bool starts_unit(const uint8_t *p)
{
	return p[1] & 0x40;
}

/* Where the payload begins; TS_PACKET_SIZE if there is none or the adaptation field runs over the packet. */
static size_t payload_offset(const uint8_t *p)
{
	size_t offset = has_adaptation(p) ? 5u + p[4] : 4u;
	return has_payload(p) && offset < TS_PACKET_SIZE ? offset : TS_PACKET_SIZE;
}

static bool ignored(uint16_t pid)
{
	return pid == PID_SDT || pid == PID_NULL;
}

/* ---- Counting ---- */

static struct pid *find_pid(struct neutral *n, uint16_t number)
{
	for (size_t i = 0; i < n->pid_count; i++)
		if (n->pids[i].number == number)
			return &n->pids[i];
	if (n->pid_count == PIDS_MAX)
		return NULL;
	struct pid *p = &n->pids[n->pid_count++];
	*p = (struct pid){ .number = number, .table = number == PID_PAT || number == n->pmt };
	return p;
}

/* The first program's PMT in a PAT that is one packet (2.4.4.3); PID_NULL if it isn't one. */
static uint16_t pat_program(const uint8_t *p)
{
	size_t at = payload_offset(p);
	if (!starts_unit(p) || at >= TS_PACKET_SIZE)
		return PID_NULL;
	at += 1u + p[at] + 8u; /* pointer field, section header */
	for (; at + 4 <= TS_PACKET_SIZE; at += 4) {
		unsigned program = (unsigned)p[at] << 8 | p[at + 1];
		if (program != 0 && program != 0xffff)
			return (uint16_t)((p[at + 2] & 0x1f) << 8 | p[at + 3]);
	}
	return PID_NULL;
}

static int count_packet(struct neutral *n, const uint8_t *p, struct err *e)
{
	uint16_t number = packet_pid(p);
	if (p[0] != 0x47)
		return err_set(e, ERR_INVALID, "not a transport stream: no sync byte");
	if (ignored(number))
		return 0;
	if (number == PID_PAT && n->pmt == PID_NULL)
		n->pmt = pat_program(p);
	struct pid *pid = find_pid(n, number);
	if (!pid)
		return err_set(e, ERR_INVALID, "a transport stream with more than %d PIDs", PIDS_MAX);
	if (!has_payload(p))
		return 0;
	if (payload_offset(p) == TS_PACKET_SIZE)
		return err_set(e, ERR_INVALID, "an adaptation field longer than its packet");
	if (pid->table && !starts_unit(p))
		return err_set(e, ERR_INVALID, "a table of more than one packet");
	pid->packets++;
	if (!pid->table)
		n->media_packets++;
	return 0;
}

static int count(struct neutral *n, const uint8_t *ts, size_t len, struct err *e)
{
	for (size_t at = 0; at < len; at += TS_PACKET_SIZE) {
		int r = count_packet(n, ts + at, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n->pid_count; i++) {
		struct pid *p = &n->pids[i];
		p->extra = (COUNTER_PERIOD - p->packets % COUNTER_PERIOD) % COUNTER_PERIOD;
	}
	return 0;
}

/* ---- Writing ---- */

static uint8_t *new_packet(struct neutral *n, const uint8_t *header)
{
	uint8_t *p = n->out + n->out_len;
	memcpy(p, header, 4);
	n->out_len += TS_PACKET_SIZE;
	return p;
}

static void set_counter(uint8_t *p, struct pid *pid)
{
	/* A packet without payload repeats the counter of the one before it (2.4.3.3). */
	uint8_t value = has_payload(p) ? pid->counter++ : (uint8_t)(pid->counter - 1);
	p[3] = (uint8_t)((p[3] & 0xf0) | (value & 0x0f));
}

static void copy_packet(struct neutral *n, struct pid *pid, const uint8_t *in)
{
	uint8_t *p = new_packet(n, in);
	memcpy(p + 4, in + 4, TS_PACKET_SIZE - 4);
	set_counter(p, pid);
}

/* Writes `size` payload bytes at the packet's end and an adaptation field before them: `adaptation` bytes of the
 * original, then stuffing (2.4.3.5). */
static void fill_packet(uint8_t *p, const uint8_t *adaptation, size_t adaptation_size, const uint8_t *payload, size_t size)
{
	size_t field = TS_PACKET_SIZE - 4 - size;
	p[3] |= 0x30;
	memset(p + 4, 0xff, field);
	memcpy(p + 4, adaptation, adaptation_size);
	p[4] = (uint8_t)(field - 1);
	if (adaptation_size < 2 && field > 1)
		p[5] = 0; /* no flags */
	memcpy(p + 4 + field, payload, size);
}

/* One packet's payload over several: the first keeps the adaptation field and the start of the unit. */
static void split_packet(struct neutral *n, struct pid *pid, const uint8_t *in, size_t parts)
{
	size_t at = payload_offset(in), left = TS_PACKET_SIZE - at;
	for (size_t i = 0; i < parts; i++) {
		size_t size = left / (parts - i);
		uint8_t *p = new_packet(n, in);
		if (i > 0)
			p[1] &= (uint8_t)~0x40;
		fill_packet(p, in + 4, i == 0 ? payload_offset(in) - 4 : 0, in + at, size);
		set_counter(p, pid);
		at += size;
		left -= size;
	}
}

static void write_media(struct neutral *n, struct pid *pid, const uint8_t *in)
{
	size_t parts = 1;
	if (has_payload(in)) {
		assert(pid->seen < pid->packets);
		size_t rest = pid->packets - pid->seen++;
		size_t missing = pid->extra - pid->added;
		size_t payload = TS_PACKET_SIZE - payload_offset(in);
		parts += (missing + rest - 1) / rest;
		if (parts > payload)
			parts = payload;
	}
	pid->added += parts - 1;
	if (parts == 1)
		copy_packet(n, pid, in);
	else
		split_packet(n, pid, in, parts);
}

/* Tables are repeated at even distances: the k-th of `extra` when k / (extra + 1) of the media has passed. */
static void repeat_tables(struct neutral *n)
{
	for (size_t i = 0; i < n->pid_count; i++) {
		struct pid *t = &n->pids[i];
		while (t->table && t->last && t->added < t->extra &&
		       n->media_seen * (t->extra + 1) >= n->media_packets * (t->added + 1)) {
			t->added++;
			copy_packet(n, t, t->last);
		}
	}
}

static void write_packet(struct neutral *n, const uint8_t *in)
{
	if (ignored(packet_pid(in)))
		return;
	struct pid *pid = find_pid(n, packet_pid(in));
	assert(pid); /* every packet was counted before */
	if (pid->table) {
		copy_packet(n, pid, in);
		if (has_payload(in))
			pid->last = in;
		return;
	}
	if (starts_unit(in) || n->media_seen % COUNTER_PERIOD == 0)
		repeat_tables(n);
	write_media(n, pid, in);
	if (has_payload(in))
		n->media_seen++;
}

static int check_complete(const struct neutral *n, struct err *e)
{
	for (size_t i = 0; i < n->pid_count; i++)
		if (n->pids[i].added != n->pids[i].extra)
			return err_set(e, ERR_INTERNAL, "PID %u has too little payload to spread", n->pids[i].number);
	return 0;
}

int ts_neutral(const uint8_t *ts, size_t len, struct buf *out, struct err *e)
{
	if (len == 0 || len % TS_PACKET_SIZE != 0)
		return err_set(e, ERR_INVALID, "not a transport stream: %zu bytes", len);
	struct neutral n = { .pmt = PID_NULL };
	int r = count(&n, ts, len, e);
	if (r < 0)
		return r;
	n.out = buf_reserve(out, len + (size_t)PIDS_MAX * COUNTER_PERIOD * TS_PACKET_SIZE);
	if (!n.out)
		return buf_finish(out, e);
	for (size_t at = 0; at < len; at += TS_PACKET_SIZE)
		write_packet(&n, ts + at);
	n.media_seen = n.media_packets;
	repeat_tables(&n);
	r = check_complete(&n, e);
	if (r == 0)
		buf_commit(out, n.out_len);
	return r;
}
