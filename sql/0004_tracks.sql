-- Several sound tracks and subtitles: a rendition's kind in the place of is_audio, and what its track is called and for.
-- The numbers of kinds are enum rendition_kind's of src/job/model.h.

ALTER TABLE rendition ADD COLUMN kind INTEGER NOT NULL DEFAULT 1;
ALTER TABLE rendition ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE rendition ADD COLUMN is_default INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN commentary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN hearing_impaired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rendition ADD COLUMN visual_impaired INTEGER NOT NULL DEFAULT 0;
UPDATE rendition SET kind = 2, is_default = 1 WHERE is_audio = 1;
ALTER TABLE rendition DROP COLUMN is_audio;
