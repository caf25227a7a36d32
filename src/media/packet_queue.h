/* A first-in first-out queue of packets that knows its bytes. Owns its packets. One thread.
 *
 *   packet_queue_push(&q, take_packet);
 *   AVPacket *p = packet_queue_pop(&q);     // NULL when empty; the caller's
 *   packet_queue_clear(&q);
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <stddef.h>

struct packet_queue {
	AVPacket **ring;
	size_t head, count, capacity;
	size_t bytes;
};

void packet_queue_push(struct packet_queue *q, AVPacket *take_packet);
AVPacket *packet_queue_pop(struct packet_queue *q);
/* The packet that would be popped after `i` others; borrowed. i < q->count. */
AVPacket *packet_queue_at(const struct packet_queue *q, size_t i);
/* Frees those of the first `count` that belong to the stream. */
void packet_queue_drop(struct packet_queue *q, size_t count, int stream);
/* Frees the packets and the memory; the queue may be used again. */
void packet_queue_clear(struct packet_queue *q);
