-- By-products of a file: how far its analysis is, and what is known of them. States are src/job/model.h's.
ALTER TABLE file ADD COLUMN analysis_state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN analysis_json TEXT;

-- A doomed key that ends in '/' is all objects below it. doomed_ms may lie ahead: not before then.
CREATE INDEX doomed_by_time ON doomed_object (doomed_ms);
