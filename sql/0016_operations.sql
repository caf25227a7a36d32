-- What people who run this want to see: processes, what came of jobs also when those are gone, and what was logged of a job.

-- One row a process, renewed by itself every few seconds (src/worker/monitor.h). Who stops in order takes its row away.
CREATE TABLE worker (
  id TEXT NOT NULL PRIMARY KEY,             -- as chunk.worker
  host TEXT NOT NULL,                       -- for people
  pid BIGINT NOT NULL,
  role TEXT NOT NULL,                       -- serve, worker
  version TEXT NOT NULL,
  slots BIGINT NOT NULL,                    -- chunks at once
  started_ms BIGINT NOT NULL,
  seen_ms BIGINT NOT NULL,
  report_json TEXT NOT NULL                 -- what it says of itself
);

CREATE INDEX job_finished ON job (finished_ms, id) WHERE finished_ms > 0;

-- Jobs that were deleted or have expired, for a week: so that figures don't fall when a job goes.
CREATE TABLE past_job (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  status INTEGER NOT NULL CHECK (status BETWEEN 4 AND 6),
  error_code TEXT NOT NULL,
  source_bytes BIGINT NOT NULL,
  duration_ticks BIGINT NOT NULL,
  generation_attempt BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  started_ms BIGINT NOT NULL,
  streaming_ms BIGINT NOT NULL,
  finished_ms BIGINT NOT NULL
);
CREATE INDEX past_job_finished ON past_job (finished_ms, id);
