-- For people and their dashboards: what is being made, and what came of it. Times are Unix milliseconds; analyses and what makes a
-- narration's MP3 are nobody's jobs.
CREATE VIEW active_transcoding_jobs AS
SELECT id AS job_id, user_id, CASE kind WHEN 1 THEN 'ladder' WHEN 3 THEN 'convert' WHEN 4 THEN 'narration' END AS kind,
  CASE status WHEN 1 THEN 'pending' WHEN 2 THEN 'processing' ELSE 'streaming' END AS status, stage, percent, speed, eta_seconds,
  segment_count, visible_segments, source_name, source_bytes, generation_attempt,
  (SELECT COUNT(*) FROM chunk c WHERE c.job_id = job.id AND c.state = 3) AS running_chunks,
  (SELECT COUNT(*) FROM chunk c WHERE c.job_id = job.id AND c.state IN (1, 2)) AS waiting_chunks,
  created_ms, started_ms, updated_ms
FROM job WHERE status <= 3 AND kind IN (1, 3, 4);

CREATE VIEW transcoding_history AS
SELECT id AS job_id, user_id, CASE kind WHEN 1 THEN 'ladder' WHEN 3 THEN 'convert' WHEN 4 THEN 'narration' END AS kind,
  CASE status WHEN 4 THEN 'completed' WHEN 5 THEN 'failed' ELSE 'canceled' END AS status, error_code, error_message,
  source_name, source_bytes, duration_ticks / 90000.0 AS duration_seconds, segment_count, generation_attempt,
  CASE WHEN started_ms > 0 THEN started_ms - created_ms END AS waited_ms,
  CASE WHEN started_ms > 0 AND finished_ms > 0 THEN finished_ms - started_ms END AS took_ms,
  created_ms, started_ms, streaming_ms, finished_ms
FROM job WHERE status BETWEEN 4 AND 6 AND kind IN (1, 3, 4);
