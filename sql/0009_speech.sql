-- Spoken sentences that are kept in the store (speech/{user}/{digest of text, voice and provider}), and when one was last wanted.
CREATE TABLE speech (
	object_key TEXT PRIMARY KEY,
	used_ms BIGINT NOT NULL
);
CREATE INDEX speech_by_use ON speech (used_ms);
