-- The framework's tables, version 3.

CREATE TABLE potter_rebuilds ( -- the last rebuild of each projection
  projection  TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
  number      BIGINT NOT NULL, -- how many have been begun; the next generation's epoch: what an earlier one writes is refused
  begins_with TEXT   COLLATE "C" NOT NULL, -- JSON: {"after": position}, {"fromSnapshot": true},
                                           -- {"rowsOf": {aggregate, id, type}}
  begun_at    BIGINT NOT NULL,
  ended_at    BIGINT,          -- absent while it goes on, or was broken off
  failure     TEXT   COLLATE "C" -- why it was dropped; absent: it took the live generation's place
);

-- What a rebuild of an earlier version has begun with isn't known, so it isn't resumed.
INSERT INTO potter_rebuilds
SELECT projection, 1, '{"after":0}', extract(epoch FROM now())::bigint * 1000000000,
       extract(epoch FROM now())::bigint * 1000000000, 'an earlier version of the service has begun it: begin it anew'
FROM potter_checkpoints WHERE generation = 'next';
DELETE FROM potter_checkpoints WHERE generation = 'next';
DELETE FROM potter_projection_failures WHERE generation = 'next';
