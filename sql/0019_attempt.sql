-- What became of claims of a chunk that didn't end with its being done: for who looks into what went wrong. The last few of each chunk.
CREATE TABLE attempt (
  job_id TEXT NOT NULL,
  idx INTEGER NOT NULL,
  claim BIGINT NOT NULL,                    -- chunk.claims at that time
  worker TEXT NOT NULL,                     -- as chunk.worker; '': nobody knows any more
  outcome TEXT NOT NULL,                    -- failed, released, dropped, lost (job/figures.h)
  code TEXT NOT NULL,                       -- of the error; '': none is known
  message TEXT NOT NULL,
  log TEXT NOT NULL,                        -- lines of the process that had it
  ended_ms BIGINT NOT NULL,
  PRIMARY KEY (job_id, idx, claim),
  FOREIGN KEY (job_id, idx) REFERENCES chunk (job_id, idx) ON DELETE CASCADE
);
