-- Live sessions: whose they are, and what another front (or the same after a crash) needs to go on with one.
CREATE TABLE live_session (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL,
  state_hex TEXT NOT NULL,          -- the decoder's: src/live/decoder.h, live_sound_state; empty: none
  next_chunk BIGINT NOT NULL,       -- the chunkIndex that is due; -1: a new recording
  end_ms BIGINT NOT NULL,           -- of the last fragment: later ones don't begin before it
  updated_ms BIGINT NOT NULL
);
CREATE INDEX live_session_updated ON live_session (updated_ms);
