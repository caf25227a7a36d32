-- Streams (the built-in store behind the Kinesis Video Streams API) and their fragments. What a fragment's object is:
-- src/live/stream_store.h. A stream that is being deleted gives its name free at once.
CREATE TABLE stream (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  status INTEGER NOT NULL,                    -- 1 active, 2 deleting
  retention_hours BIGINT NOT NULL,
  version BIGINT NOT NULL DEFAULT 1,
  media_type TEXT,
  device_name TEXT,
  tags_json TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  epoch BIGINT NOT NULL DEFAULT 0,            -- of its latest writer: the fencing token
  writer_until_ms BIGINT NOT NULL DEFAULT 0   -- when that one counts as gone
);
CREATE UNIQUE INDEX stream_name ON stream (name) WHERE status = 1;
CREATE INDEX stream_doomed ON stream (created_ms) WHERE status = 2;

CREATE TABLE fragment (
  stream_id TEXT NOT NULL REFERENCES stream (id) ON DELETE CASCADE,
  number BIGINT NOT NULL,                     -- epoch * 1000000000 + n
  producer_ms BIGINT NOT NULL,
  server_ms BIGINT NOT NULL,
  timecode_ms BIGINT NOT NULL,
  length_ms BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  PRIMARY KEY (stream_id, number)
);
CREATE INDEX fragment_producer ON fragment (stream_id, producer_ms, number);
CREATE INDEX fragment_server ON fragment (stream_id, server_ms, number);
CREATE INDEX fragment_expires ON fragment (expires_ms);
