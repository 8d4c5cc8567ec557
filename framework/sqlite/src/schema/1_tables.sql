-- The framework's tables, version 1. Read models are beside them, made by the service's own migrations.
-- Times are nanoseconds since 1970-01-01 UTC; ids are UUIDv7, 16 bytes; payloads are protobuf.

CREATE TABLE potter_events ( -- the event log; nothing in it is ever changed or removed
  position       INTEGER PRIMARY KEY, -- place in the log: from 1, without a gap, in the order of the commits
  aggregate      TEXT    NOT NULL,    -- kind of the aggregate; the stream is aggregate || '-' || aggregate_id
  aggregate_id   TEXT    NOT NULL,    -- identity of the aggregate within its kind
  version        INTEGER NOT NULL,    -- place in the stream: from 1, without a gap
  id             BLOB    NOT NULL,    -- the event's id; consumers deduplicate by it
  type           TEXT    NOT NULL,    -- stable type name
  schema_version INTEGER NOT NULL,    -- version of the payload's shape
  payload        BLOB    NOT NULL,    -- the event
  correlation_id TEXT    NOT NULL,    -- ties together everything that follows from one request
  causation_id   TEXT    NOT NULL,    -- the command
  actor          TEXT,                -- who, if that is known
  recorded_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX potter_events_stream ON potter_events (aggregate_id, aggregate, version); -- ids differ early, kinds seldom

CREATE TABLE potter_snapshots ( -- the latest snapshot of each stream; may be emptied at any time
  aggregate    TEXT    NOT NULL,
  aggregate_id TEXT    NOT NULL,
  schema       TEXT    NOT NULL, -- shape of the state; a snapshot of another shape is not read
  version      INTEGER NOT NULL, -- version of the stream that it holds
  ended        INTEGER NOT NULL, -- whether the aggregate's life had ended
  state        BLOB    NOT NULL,
  PRIMARY KEY (aggregate, aggregate_id)
) STRICT;

CREATE TABLE potter_idempotency ( -- replies by idempotency key; kept for IDEMPOTENCY_KEPT_HOURS
  number       INTEGER PRIMARY KEY, -- in the order of time, so that the oldest are found without an index
  command      TEXT    NOT NULL,    -- stable name of the command
  caller       TEXT    NOT NULL,    -- empty when unknown
  key          TEXT    NOT NULL,
  request_hash BLOB    NOT NULL,    -- SHA-256; another request under the same key is refused
  reply        BLOB    NOT NULL,
  aggregate_id TEXT    NOT NULL,
  version      INTEGER NOT NULL,
  command_id   BLOB,                -- of an accepted command
  claimed_at   INTEGER NOT NULL,
  UNIQUE (command, caller, key)
) STRICT;

CREATE TABLE potter_commands ( -- asynchronous commands; kept for 7 days once they have an outcome
  id                BLOB    NOT NULL PRIMARY KEY,
  name              TEXT    NOT NULL, -- stable name of the command
  aggregate         TEXT    NOT NULL,
  aggregate_id      TEXT    NOT NULL,
  request           BLOB    NOT NULL,
  expected_version  INTEGER,          -- if the caller gave one
  correlation_id    TEXT    NOT NULL,
  actor             TEXT,
  accepted_at       INTEGER NOT NULL,
  outcome           TEXT,             -- 'succeeded', 'failed'; absent while the command waits or runs
  outcome_version   INTEGER,          -- succeeded: version of the stream afterwards
  outcome_code      TEXT,             -- failed: stable code
  outcome_message   TEXT,             -- failed: for people
  outcome_retryable INTEGER,          -- failed: whether sending it again may help
  outcome_events    BLOB,             -- what was recorded, or the error event
  settled_at        INTEGER
) STRICT;
CREATE INDEX potter_commands_pending ON potter_commands (id) WHERE outcome IS NULL;

CREATE TABLE potter_checkpoints ( -- how far each projection is
  projection TEXT    NOT NULL,
  generation TEXT    NOT NULL, -- 'live', 'next' (a rebuild that goes on)
  position   INTEGER NOT NULL, -- of the last event that it has taken in
  PRIMARY KEY (projection, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE potter_projection_failures ( -- dead letters: events that a projection has set aside
  projection TEXT    NOT NULL,
  generation TEXT    NOT NULL,
  position   INTEGER NOT NULL, -- of the event
  row_key    TEXT    NOT NULL, -- the row that waits for it; later events about that row are set aside as well
  event_type TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  parked_at  INTEGER NOT NULL,
  PRIMARY KEY (projection, generation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE potter_migrations ( -- the service's own migrations that have been applied
  name       TEXT    NOT NULL PRIMARY KEY,
  hash       TEXT    NOT NULL, -- SHA-256 of the text, hexadecimal
  applied_at INTEGER NOT NULL
) STRICT;
