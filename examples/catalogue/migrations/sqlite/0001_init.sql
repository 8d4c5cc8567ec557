-- Tables of the read models; the events themselves are in tables of the framework.

CREATE TABLE IF NOT EXISTS "products" (
  "product_id" TEXT NOT NULL PRIMARY KEY,
  "name" TEXT,
  "category" TEXT,
  "stock" INTEGER,
  "created_at" TEXT,
  "potter_row" BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "products__category" ON "products" ("category", "product_id");
CREATE INDEX IF NOT EXISTS "products__stock" ON "products" ("stock", "product_id");
