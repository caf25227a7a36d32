-- Playlists of I-frames. A job from before this migration has none: its segments were made without noting them.

-- [[ticks from the segment's start, offset, size in bytes], …]; empty: none noted.
ALTER TABLE segment ADD COLUMN iframes TEXT NOT NULL DEFAULT '';
ALTER TABLE rendition ADD COLUMN has_iframes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN iframe_peak_bps BIGINT NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN iframe_average_bps BIGINT NOT NULL DEFAULT 0;
