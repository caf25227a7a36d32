/* A ring of packets: see packet_queue.h. */
#include "media/packet_queue.h"

#include <stdlib.h>

#include "base/mem.h"

static void grow(struct packet_queue *q)
{
	size_t capacity = q->capacity ? q->capacity * 2 : 64;
	AVPacket **ring = mr_calloc(capacity, sizeof(AVPacket *));
	for (size_t i = 0; i < q->count; i++)
		ring[i] = q->ring[(q->head + i) % q->capacity];
	free(q->ring);
	q->ring = ring;
	q->capacity = capacity;
	q->head = 0;
}

void packet_queue_push(struct packet_queue *q, AVPacket *take_packet)
{
	if (q->count == q->capacity)
		grow(q);
	q->ring[(q->head + q->count++) % q->capacity] = take_packet;
	q->bytes += (size_t)take_packet->size + sizeof(AVPacket);
}

AVPacket *packet_queue_pop(struct packet_queue *q)
{
	if (q->count == 0)
		return NULL;
	AVPacket *p = q->ring[q->head];
	q->head = (q->head + 1) % q->capacity;
	q->count--;
	q->bytes -= (size_t)p->size + sizeof(AVPacket);
	return p;
}

AVPacket *packet_queue_at(const struct packet_queue *q, size_t i)
{
	return q->ring[(q->head + i) % q->capacity];
}

/* All go once round: what stays comes back in the same order. */
void packet_queue_drop(struct packet_queue *q, size_t count, int stream)
{
	const size_t all = q->count;
	for (size_t i = 0; i < all; i++) {
		AVPacket *p = packet_queue_pop(q);
		if (i < count && p->stream_index == stream)
			av_packet_free(&p);
		else
			packet_queue_push(q, p);
	}
}

void packet_queue_clear(struct packet_queue *q)
{
	AVPacket *p;
	while ((p = packet_queue_pop(q)))
		av_packet_free(&p);
	free(q->ring);
	*q = (struct packet_queue){ 0 };
}
