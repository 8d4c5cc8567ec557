-- Takes the migration beside it back. The tables are as they were, and filled again from the events by the service that
-- goes with them.

DROP TABLE IF EXISTS "products";
DROP TABLE IF EXISTS "products__next";
DELETE FROM potter_checkpoints WHERE projection = 'ProductView';
DELETE FROM potter_projection_failures WHERE projection = 'ProductView';
