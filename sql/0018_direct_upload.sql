-- Uploads that go from the browser straight into the bucket: the store's multipart upload takes the place of pieces. offset_bytes is
-- set to the length once all parts are there.
ALTER TABLE upload ADD COLUMN multipart_id TEXT NOT NULL DEFAULT '';     -- the store's; '': the upload comes through a server
ALTER TABLE upload ADD COLUMN part_bytes BIGINT NOT NULL DEFAULT 0;      -- of every part but the last
