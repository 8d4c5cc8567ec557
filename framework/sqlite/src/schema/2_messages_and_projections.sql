-- The framework's tables, version 2.

ALTER TABLE potter_commands ADD COLUMN announced INTEGER NOT NULL DEFAULT 0; -- whether the outcome has been told over the broker
UPDATE potter_commands SET announced = 1 WHERE outcome IS NOT NULL;
CREATE INDEX potter_commands_unannounced ON potter_commands (id) WHERE outcome IS NOT NULL AND announced = 0;

CREATE TABLE potter_dead_letters ( -- messages that could not be taken in; kept until they are replayed or discarded
  id         BLOB    NOT NULL PRIMARY KEY,
  source     TEXT    NOT NULL, -- who could not take it in: a subscription, 'commands'
  key        TEXT    NOT NULL, -- the stream that waits behind it; empty: none
  message_id TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  parked_at  INTEGER NOT NULL,
  message    BLOB    NOT NULL, -- subject, headers, payload, what was tried
  UNIQUE (source, message_id)
) STRICT;
CREATE INDEX potter_dead_letters_key ON potter_dead_letters (source, key, id);

CREATE TABLE potter_projections ( -- projections that were paused, rebuilt or reset
  projection TEXT    NOT NULL PRIMARY KEY,
  paused     INTEGER NOT NULL, -- whether nothing of the live generation may be written
  epoch      INTEGER NOT NULL  -- how often the live generation has been replaced or emptied
) STRICT, WITHOUT ROWID;
