-- Up to which fragment of a stream the webhook has been told (src/live/hook.h).
CREATE TABLE fragment_hook (
  stream_id TEXT NOT NULL PRIMARY KEY REFERENCES stream (id) ON DELETE CASCADE,
  told BIGINT NOT NULL          -- number of the last fragment that was taken
);
