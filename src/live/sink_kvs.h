/* The sink over Kinesis Video Streams, or what speaks its API: fragments of sessions go there by PutMedia (live/kvs_stream.h). One
 * thread for all streams. */
#pragma once

#include "live/sink.h"

#define SINK_KVS_SCHEME "kvs://"

struct sink_kvs_opts {
	char *region;
	char *endpoint; /* of the control plane; NULL: AWS's of that region */
	uint32_t retention_hours; /* of streams that are made */
	uint32_t rotate_s;
	uint32_t copy_hours; /* for listeners here, of sink_copy.h; 0: none */
};
/* "kvs://REGION[?endpoint=URL&retention=HOURS&rotate=SECONDS&copy=HOURS]"; ERR_INVALID names what is wrong. */
int sink_kvs_parse(const char *url, struct sink_kvs_opts *ret, struct err *e) MR_MUST_USE;
void sink_kvs_opts_release(struct sink_kvs_opts *o);

/* Copies. */
int sink_kvs_new(const struct sink_kvs_opts *opts, struct sink **ret, struct err *e) MR_MUST_USE;
