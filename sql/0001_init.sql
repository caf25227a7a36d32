-- Files, jobs and their work. For SQLite 3.40 and PostgreSQL alike. Times are Unix milliseconds, 0: not yet; truth is 0 or 1.
-- The numbers of kinds, statuses and states are the enums' of src/job/model.h.

CREATE TABLE setting (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- One row a counter, taken at the end of a transaction: its lock makes revisions rise in the order of their commits, so a
-- reader that saw revision n has seen all below it.
CREATE TABLE counter (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
-- The first revision is 2, so that "after revision 1", the lowest that a list can ask for, leaves none out.
INSERT INTO counter (name, value) VALUES ('revision', 1);

CREATE TABLE file (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  object_key TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  ready INTEGER NOT NULL,
  probe_json TEXT,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL
);
CREATE INDEX file_by_user ON file (user_id, created_ms, id);
CREATE INDEX file_by_time ON file (created_ms, id);
CREATE INDEX file_arriving ON file (updated_ms) WHERE ready = 0;

-- Objects whose row is gone and that still have to be deleted.
CREATE TABLE doomed_object (
  object_key TEXT NOT NULL PRIMARY KEY,
  doomed_ms BIGINT NOT NULL
);

CREATE TABLE job (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 7),
  params_json TEXT NOT NULL,
  file_id TEXT NOT NULL,
  source_key TEXT NOT NULL,
  source_bytes BIGINT NOT NULL,
  source_name TEXT NOT NULL,                -- as its file was called; outlives the file
  prefix TEXT NOT NULL,
  spec_json TEXT NOT NULL,
  duration_ticks BIGINT NOT NULL,
  segment_count BIGINT NOT NULL,
  target_duration_s BIGINT NOT NULL,
  rendition_count BIGINT NOT NULL,
  visible_segments BIGINT NOT NULL DEFAULT 0,
  published_segments BIGINT NOT NULL DEFAULT 0,
  ended INTEGER NOT NULL DEFAULT 0,
  percent DOUBLE PRECISION NOT NULL DEFAULT 0,
  speed DOUBLE PRECISION NOT NULL DEFAULT 0,
  eta_seconds DOUBLE PRECISION NOT NULL DEFAULT -1,
  stage TEXT NOT NULL,
  generation_attempt BIGINT NOT NULL DEFAULT 1,
  error_code TEXT NOT NULL DEFAULT '',
  error_message TEXT,
  error_retriable INTEGER NOT NULL DEFAULT 0,
  created_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  started_ms BIGINT NOT NULL DEFAULT 0,
  streaming_ms BIGINT NOT NULL DEFAULT 0,
  finished_ms BIGINT NOT NULL DEFAULT 0,
  expires_ms BIGINT NOT NULL DEFAULT 0,
  revision BIGINT NOT NULL,
  -- Of the machinery, shown to nobody:
  weight_ticks BIGINT NOT NULL,             -- of all its chunks
  done_ticks BIGINT NOT NULL DEFAULT 0,     -- of all its chunks
  run_ms BIGINT NOT NULL DEFAULT 0,         -- this generation's first claim, and what had been done then:
  run_ticks BIGINT NOT NULL DEFAULT 0,      --   speed is measured from there
  advanced_ms BIGINT NOT NULL DEFAULT 0,    -- when visible_segments rose last
  served_ms BIGINT NOT NULL DEFAULT 0,      -- last claim of a chunk of it: whose turn it is
  CHECK (visible_segments <= segment_count AND published_segments <= visible_segments)
);
CREATE INDEX job_by_revision ON job (revision);
CREATE INDEX job_by_user ON job (user_id, created_ms, id);
CREATE INDEX job_by_user_revision ON job (user_id, revision);
CREATE INDEX job_by_time ON job (created_ms, id);
CREATE INDEX job_by_file ON job (file_id, created_ms, id);
CREATE INDEX job_open ON job (user_id, served_ms) WHERE status <= 3;
CREATE INDEX job_expiring ON job (expires_ms) WHERE expires_ms > 0;
CREATE INDEX job_deleting ON job (id) WHERE status = 7;

CREATE TABLE idempotency (
  user_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (user_id, idempotency_key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_ms);
CREATE INDEX idempotency_by_job ON idempotency (job_id);

CREATE TABLE rendition (
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  idx INTEGER NOT NULL,
  is_audio INTEGER NOT NULL,
  name TEXT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  frame_rate_milli BIGINT NOT NULL,
  channels BIGINT NOT NULL,
  language TEXT NOT NULL,
  timescale BIGINT NOT NULL,
  declared_bps BIGINT NOT NULL,
  peak_bps BIGINT NOT NULL DEFAULT 0,
  average_bps BIGINT NOT NULL DEFAULT 0,
  init_committed INTEGER NOT NULL DEFAULT 0,
  codecs TEXT NOT NULL DEFAULT '',
  init_bytes BIGINT NOT NULL DEFAULT 0,
  init_sha256 TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, idx)
);

-- Planned (committed = 0) or stored and verified. The partial index makes "the first that is missing" one look-up.
CREATE TABLE segment (
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  rendition INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  committed INTEGER NOT NULL DEFAULT 0,
  start_ticks BIGINT NOT NULL,
  duration_ticks BIGINT NOT NULL,
  bytes BIGINT NOT NULL DEFAULT 0,
  sha256 TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, rendition, idx)
);
CREATE INDEX segment_missing ON segment (job_id, idx) WHERE committed = 0;

-- due_ms is set exactly while the chunk may be claimed at some time: ready: not before it (back-off); running: the lease's end.
CREATE TABLE chunk (
  job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  idx INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  first_segment BIGINT NOT NULL,
  segment_count BIGINT NOT NULL,
  is_last INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
  claims BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  weight_ticks BIGINT NOT NULL,
  done_ticks BIGINT NOT NULL DEFAULT 0,
  due_ms BIGINT,
  worker TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (job_id, idx),
  CHECK ((due_ms IS NOT NULL) = (state IN (2, 3)))
);
CREATE INDEX chunk_due ON chunk (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX chunk_open ON chunk (job_id, idx, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX chunk_held ON chunk (worker) WHERE state = 3;
