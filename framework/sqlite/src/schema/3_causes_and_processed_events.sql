-- The framework's tables, version 3.

ALTER TABLE potter_commands ADD COLUMN causation_id TEXT; -- what caused the command, if that was said

-- Claims of the effects that other modules' events have had.
ALTER TABLE potter_idempotency ADD COLUMN subscription   TEXT;    -- which brought the event; absent: a caller's claim
ALTER TABLE potter_idempotency ADD COLUMN source_stream  TEXT;    -- the event's stream
ALTER TABLE potter_idempotency ADD COLUMN source_version INTEGER; -- its place in there; 0: unknown
CREATE INDEX potter_idempotency_callers ON potter_idempotency (number) WHERE subscription IS NULL; -- kept for other times,
CREATE INDEX potter_idempotency_events ON potter_idempotency (number) WHERE subscription IS NOT NULL; -- so found apart

CREATE TABLE potter_processed_events ( -- how far the streams of other modules have been processed; kept for ever
  subscription TEXT    NOT NULL,
  stream       TEXT    NOT NULL,
  version      INTEGER NOT NULL, -- every event up to it has had its effects, whose claims may have been forgotten
  PRIMARY KEY (subscription, stream)
) STRICT, WITHOUT ROWID;
