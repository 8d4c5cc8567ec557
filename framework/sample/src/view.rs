//! The read model.

use potter_core::domain::Aggregate;
use potter_core::event::RecordedEvent;
use potter_core::read_model::{Column, ColumnType, ReadModel, Table, TableColumn, Value};
use potter_core::store::{Migration, Script};

use crate::messages::Product;
use crate::product::ProductEvent;

/// All products that there are.
#[derive(Debug)]
pub struct Products;

pub(crate) const NAME: Column<String> = Column::new("name");
pub(crate) const COLOUR: Column<i32> = Column::new("colour");

impl ReadModel for Products {
    const NAME: &'static str = "Products";
    const TABLE: Table = Table {
        name: "products",
        key: "product_id",
        columns: &[
            TableColumn { name: "name", ty: ColumnType::Text, indexed: false, unique: false },
            TableColumn { name: "colour", ty: ColumnType::Integer, indexed: false, unique: false },
        ],
    };
    const EVENTS: &'static [(&'static str, &'static str)] = &[
        ("Product", "product.created"),
        ("Product", "product.updated"),
        ("Product", "product.stock_reserved"),
        ("Product", "product.deleted"),
    ];
    type Row = Product;
    type Event = ProductEvent;

    fn key(_: &ProductEvent, recorded: &RecordedEvent) -> Option<String> {
        Some(recorded.aggregate_id.clone())
    }

    fn project(row: &mut Option<Product>, event: ProductEvent, recorded: &RecordedEvent) {
        match event {
            ProductEvent::Deleted(_) => *row = None,
            event => row.get_or_insert_with(|| Product::with_id(&recorded.aggregate_id)).apply(event),
        }
    }

    fn values(row: &Product) -> Vec<Value> {
        vec![row.name.clone().into(), row.colour.into()]
    }
}

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    name: "0001_init",
    sqlite: Script {
        up: r#"CREATE TABLE IF NOT EXISTS "products" (
  "product_id" TEXT NOT NULL PRIMARY KEY,
  "name" TEXT,
  "colour" INTEGER,
  "potter_row" BLOB NOT NULL
) STRICT;
"#,
        down: "",
    },
    postgres: Script {
        up: r#"CREATE TABLE IF NOT EXISTS "products" (
  "product_id" TEXT COLLATE "C" NOT NULL CONSTRAINT "products__key" PRIMARY KEY,
  "name" TEXT COLLATE "C",
  "colour" BIGINT,
  "potter_row" BYTEA NOT NULL
) WITH (fillfactor = 70);
"#,
        down: "",
    },
}];
