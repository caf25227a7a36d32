-- How far a live session's recording is stored, with the fragment itself: after a crash its client is told exactly that
-- (src/live/session.h).
ALTER TABLE fragment ADD COLUMN recording BIGINT NOT NULL DEFAULT 0;     -- of its first chunk's digest; 0: none
ALTER TABLE fragment ADD COLUMN last_chunk BIGINT NOT NULL DEFAULT -1;   -- all up to this one are stored
