-- The framework's tables, version 4.

CREATE TABLE potter_rebuilds ( -- the last rebuild of each projection
  projection  TEXT    NOT NULL PRIMARY KEY,
  number      INTEGER NOT NULL, -- how many have been begun; what an earlier one writes is refused
  begins_with TEXT    NOT NULL, -- JSON: {"after": position}, {"fromSnapshot": true}, {"rowsOf": {aggregate, id, type}}
  begun_at    INTEGER NOT NULL,
  ended_at    INTEGER,          -- absent while it goes on, or was broken off
  failure     TEXT              -- why it was dropped; absent: it took the live generation's place
) STRICT, WITHOUT ROWID;

-- What a rebuild of an earlier version has begun with isn't known, so it isn't resumed.
INSERT INTO potter_rebuilds
SELECT projection, 1, '{"after":0}', unixepoch() * 1000000000, unixepoch() * 1000000000,
       'an earlier version of the service has begun it: begin it anew'
FROM potter_checkpoints WHERE generation = 'next';
DELETE FROM potter_checkpoints WHERE generation = 'next';
DELETE FROM potter_projection_failures WHERE generation = 'next';
