-- Jobs that were deleted, for streams of events that have yet to tell of them; kept for an hour.

CREATE TABLE deleted_job (
  job_id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  revision BIGINT NOT NULL,                 -- of the deletion, from the same counter as a job's
  deleted_ms BIGINT NOT NULL
);
CREATE INDEX deleted_job_by_user ON deleted_job (user_id, revision);
CREATE INDEX deleted_job_by_time ON deleted_job (deleted_ms);
