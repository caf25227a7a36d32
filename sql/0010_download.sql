-- A narration's MP3, made on demand by a job of its own that nobody sees (kind 5).
ALTER TABLE job ADD COLUMN parent_id TEXT NOT NULL DEFAULT '';          -- of such a job: the narration's
ALTER TABLE job ADD COLUMN grace_ms BIGINT NOT NULL DEFAULT 0;          -- of such a job: how long the stream stays once the file is there
ALTER TABLE job ADD COLUMN download_key TEXT NOT NULL DEFAULT '';       -- of a narration: the file, once it is there
ALTER TABLE job ADD COLUMN stream_until_ms BIGINT NOT NULL DEFAULT 0;   -- of a narration: when its stream goes; 0: with the job
CREATE INDEX job_by_parent ON job (parent_id) WHERE parent_id <> '';
