-- Tables of the read models; the events themselves are in tables of the framework.

CREATE TABLE IF NOT EXISTS "products" (
  "product_id" TEXT COLLATE "C" NOT NULL CONSTRAINT "products__key" PRIMARY KEY,
  "name" TEXT COLLATE "C",
  "category" TEXT COLLATE "C",
  "stock" BIGINT,
  "created_at" TEXT COLLATE "C",
  "potter_row" BYTEA NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS "products__category" ON "products" ("category" NULLS FIRST, "product_id");
CREATE INDEX IF NOT EXISTS "products__stock" ON "products" ("stock" NULLS FIRST, "product_id");
