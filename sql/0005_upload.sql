-- Resumable uploads (tus): what has arrived of a file that isn't ready yet, in pieces that are objects of their own until they
-- are joined. offset_bytes is the sum of the pieces' sizes, and what the client is told.
CREATE TABLE upload (
  id TEXT NOT NULL PRIMARY KEY REFERENCES file (id) ON DELETE CASCADE,
  length BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  offset_bytes BIGINT NOT NULL DEFAULT 0,
  piece_count BIGINT NOT NULL DEFAULT 0,
  writer TEXT NOT NULL DEFAULT '',            -- who may add pieces: the last that asked
  joined INTEGER NOT NULL DEFAULT 0,
  join_due_ms BIGINT NOT NULL DEFAULT 0,      -- when another may join it: the joiner's lease
  CHECK (offset_bytes <= length)
);
CREATE INDEX upload_unjoined ON upload (join_due_ms) WHERE joined = 0;

CREATE TABLE upload_piece (
  upload_id TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
  idx BIGINT NOT NULL,
  object_key TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  PRIMARY KEY (upload_id, idx)
);
