-- Where a stream's sliding window for listeners is, so that its sequence numbers go on over restarts (src/job/stream.h).
CREATE TABLE listen (
  stream_id TEXT NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL,                 -- of the fragment that a segment begins with
  frame BIGINT NOT NULL,                  -- that segment's first
  discontinuity BIGINT NOT NULL,          -- 1: it is behind one
  media_sequence BIGINT NOT NULL,         -- the segment's
  discontinuity_sequence BIGINT NOT NULL  -- discontinuities before it
);
