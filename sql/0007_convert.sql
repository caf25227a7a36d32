-- Conversions: what a chunk found out that later ones need, what came of the job, and when its file was removed because it
-- had been fetched. The texts' forms are src/job/convert_json.h's.
ALTER TABLE chunk ADD COLUMN result_json TEXT;
ALTER TABLE job ADD COLUMN result_json TEXT;
ALTER TABLE job ADD COLUMN removed_ms BIGINT NOT NULL DEFAULT 0;
