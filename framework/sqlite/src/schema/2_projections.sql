-- The framework's tables, version 2.

CREATE TABLE potter_projections ( -- projections that were paused, rebuilt or reset
  projection TEXT    NOT NULL PRIMARY KEY,
  paused     INTEGER NOT NULL, -- whether nothing of the live generation may be written
  epoch      INTEGER NOT NULL  -- how often the live generation has been replaced or emptied
) STRICT, WITHOUT ROWID;
