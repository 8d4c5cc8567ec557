//! Read models: typed rows in tables, kept by projections, read through [`View`](crate::query::View)s.

use std::marker::PhantomData;

use crate::domain::DomainEvent;
use crate::event::RecordedEvent;

/// A read model: which events it follows, what a row is, how an event changes it.
///
/// Generated; the part that people write is the projection trait that is generated beside it.
pub trait ReadModel: Send + Sync + 'static {
    /// Name in metrics, in the checkpoints' table and on the command line.
    const NAME: &'static str;
    /// The table.
    const TABLE: Table;
    /// Where its rows are kept if configuration doesn't say otherwise.
    const KEPT_IN: KeptIn = KeptIn::Database;
    /// What it is built from: pairs of aggregate and stored event type.
    const EVENTS: &'static [(&'static str, &'static str)];
    /// A row, whole.
    type Row: prost::Message + Default + Clone + PartialEq + 'static;
    /// The events that it follows.
    type Event: DomainEvent;

    /// Identity of the row that an event is about; `None`: of no row.
    fn key(event: &Self::Event, recorded: &RecordedEvent) -> Option<String>;

    /// Changes the row, makes it, or with `None` removes it.
    fn project(row: &mut Option<Self::Row>, event: Self::Event, recorded: &RecordedEvent);

    /// The row's values in the order of the table's columns.
    fn values(row: &Self::Row) -> Vec<Value>;
}

/// Where the rows of a read model are kept, together with its checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptIn {
    /// In the database of the events.
    #[default]
    Database,
    /// In Redis.
    Redis,
    /// In a PostgreSQL database of its own.
    Postgres,
}

impl KeptIn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Database, Self::Redis, Self::Postgres];

    /// What it is called in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }
}

/// A table: the key, the columns, and the whole row as protobuf bytes in [`crate::store::sql::ROW_COLUMN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Snake case.
    pub name: &'static str,
    /// Name of the key's column, text.
    pub key: &'static str,
    /// The others.
    pub columns: &'static [TableColumn],
}

/// A column of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// Snake case.
    pub name: &'static str,
    /// What it holds.
    pub ty: ColumnType,
    /// Whether an index is made.
    pub indexed: bool,
    /// Whether two rows may not have the same.
    pub unique: bool,
}

impl TableColumn {
    /// A column without an index.
    #[must_use]
    pub const fn new(name: &'static str, ty: ColumnType) -> Self {
        Self { name, ty, indexed: false, unique: false }
    }

    /// With an index.
    #[must_use]
    pub const fn indexed(self) -> Self {
        Self { indexed: true, ..self }
    }

    /// No two rows may have the same.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// bool.
    Bool,
    /// Whole numbers, enums' numbers, durations in nanoseconds.
    Integer,
    /// float, double.
    Real,
    /// string; timestamps as RFC 3339 in UTC with nine digits of nanoseconds, which sort as they should.
    Text,
    /// bytes.
    Bytes,
}

/// A value of a column.
///
/// Made with `Value::from` from every proto scalar, from timestamps, durations and options of these:
///
/// ```
/// # use potter_core::read_model::Value;
/// assert_eq!(Value::from(7_u32), Value::Integer(7));
/// assert_eq!(Value::from(None::<String>), Value::Null);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Absent.
    Null,
    /// See [`ColumnType::Bool`].
    Bool(bool),
    /// See [`ColumnType::Integer`].
    Integer(i64),
    /// See [`ColumnType::Real`].
    Real(f64),
    /// See [`ColumnType::Text`].
    Text(String),
    /// See [`ColumnType::Bytes`].
    Bytes(Vec<u8>),
}

/// A column as query handlers name it: `product_read_model::NAME`.
#[derive(Debug)]
pub struct Column<T> {
    /// Snake case.
    pub name: &'static str,
    ty: PhantomData<fn() -> T>,
}

impl<T> Column<T> {
    /// The column `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, ty: PhantomData }
    }
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Column<T> {}
