//! Read models: of a store, or of a service whose events are elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use potter_core::read_model::Table;
use potter_core::store::{
    Generation, Migration, ParkedEvent, ProjectionBatch, ProjectionError, ProjectionRecord, ReadModels, Rebuild,
    Selected, Selection, StoreError,
};
use tokio::sync::OnceCell;

use crate::connection::{Connection, Connector, bring_up_to_date, failure};
use crate::dsn::Dsn;
use crate::pool::Pool;
use crate::{OpenError, admin, rows};

/// Read models in a PostgreSQL database, 15 or later.
pub struct PostgresReadModels {
    pub(crate) pool: Pool,
    connector: Connector,
    migrations: &'static [Migration],
    /// Set when the tables are there.
    prepared: OnceCell<()>,
}

impl PostgresReadModels {
    /// The read models of a service whose events are elsewhere, in tables that its migrations make.
    ///
    /// `dsn` is one that [`PostgresStore::open`](crate::PostgresStore::open) takes. The server need not answer yet:
    /// whoever needs it first connects, and applies the migrations.
    ///
    /// # Errors
    /// `dsn` isn't one.
    pub fn new(dsn: &str, migrations: &'static [Migration]) -> Result<Self, OpenError> {
        let connector = Connector::new(Dsn::parse(dsn)?)?;
        let pool = Pool::new("read_models", connector.clone());
        Ok(Self { pool, connector, migrations, prepared: OnceCell::new() })
    }

    /// Those of a store, whose tables are there.
    pub(crate) fn of_store(connector: Connector) -> Self {
        let pool = Pool::new("postgres", connector.clone());
        Self { pool, connector, migrations: &[], prepared: OnceCell::new_with(Some(())) }
    }

    /// Connections to a database that has the tables.
    async fn pool(&self) -> Result<&Pool, StoreError> {
        self.prepared.get_or_try_init(|| self.pool.act("prepare read models", |it| self.prepare(it))).await?;
        Ok(&self.pool)
    }

    async fn prepare(&self, connection: Arc<Connection>) -> Result<(), StoreError> {
        let prepared = bring_up_to_date(&connection, &self.connector.dsn).await;
        prepared.map_err(|error| StoreError::new("prepare read models", error))?;
        admin::migrate(&connection, self.migrations).await.map(drop)
    }
}

impl ReadModels for PostgresReadModels {
    fn rows_by_key(
        &self,
        table: Table,
        generation: Generation,
        keys: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<(String, Bytes)>, StoreError>> {
        async move {
            let (table, keys) = (&table, &keys);
            let read = |connection: Arc<Connection>| async move {
                rows::rows_by_key(&connection, table, generation, keys).await
            };
            self.pool().await?.read("read rows", read).await
        }
        .boxed()
    }

    fn select(&self, table: Table, selection: Selection) -> BoxFuture<'_, Result<Selected, StoreError>> {
        async move {
            let (table, selection) = (&table, &selection);
            let select = |connection: Arc<Connection>| async move { rows::select(&connection, table, selection).await };
            self.pool().await?.read("select rows", select).await
        }
        .boxed()
    }

    fn checkpoint(&self, projection: &'static str, generation: Generation) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let read = move |connection: Arc<Connection>| async move {
                rows::checkpoint(&connection, projection, generation).await
            };
            self.pool().await?.read("read a checkpoint", read).await
        }
        .boxed()
    }

    fn commit_projection(&self, batch: ProjectionBatch) -> BoxFuture<'_, Result<(), ProjectionError>> {
        async move {
            let batch = &batch;
            let write = |connection: Arc<Connection>| async move { rows::write_batch(&connection, batch).await };
            self.pool().await?.act("commit a projection", write).await
        }
        .boxed()
    }

    fn parked(
        &self,
        projection: &'static str,
        generation: Generation,
    ) -> BoxFuture<'_, Result<Vec<ParkedEvent>, StoreError>> {
        async move {
            let read = move |connection: Arc<Connection>| async move {
                rows::parked(&connection, projection, generation).await
            };
            self.pool().await?.read("list the parked events", read).await
        }
        .boxed()
    }

    fn projection(&self, projection: &'static str) -> BoxFuture<'_, Result<ProjectionRecord, StoreError>> {
        async move {
            let read =
                move |connection: Arc<Connection>| async move { rows::projection(&connection, projection).await };
            self.pool().await?.read("read about a projection", read).await
        }
        .boxed()
    }

    fn set_paused(&self, projection: &'static str, paused: bool) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let set = move |connection: Arc<Connection>| async move {
                rows::set_paused(&connection, projection, paused).await
            };
            self.pool().await?.read("pause a projection", set).await
        }
        .boxed()
    }

    fn begin_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        begin: Rebuild,
    ) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        async move {
            let begin = &begin;
            let begin = move |connection: Arc<Connection>| async move {
                let begun = admin::begin_rebuild(&connection, projection, &table, begin).await;
                begun.map_err(|error| failure("begin a rebuild", &error))
            };
            self.pool().await?.act("begin a rebuild", begin).await
        }
        .boxed()
    }

    fn save_copy(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move {
            let save = move |connection: Arc<Connection>| async move {
                let saved = admin::save_copy(&connection, projection, &table).await;
                saved.map_err(|error| failure("save a read model", &error))
            };
            self.pool().await?.act("save a read model", save).await
        }
        .boxed()
    }

    fn reset_projection(&self, projection: &'static str, table: Table) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let reset = move |connection: Arc<Connection>| async move {
                let reset = admin::reset(&connection, projection, &table).await;
                reset.map_err(|error| failure("reset a projection", &error))
            };
            self.pool().await?.act("reset a projection", reset).await
        }
        .boxed()
    }

    fn finish_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        expected_checkpoint: u64,
    ) -> BoxFuture<'_, Result<(), ProjectionError>> {
        async move {
            let finish = move |connection: Arc<Connection>| async move {
                admin::finish_rebuild(&connection, projection, &table, number, expected_checkpoint).await
            };
            self.pool().await?.act("finish a rebuild", finish).await
        }
        .boxed()
    }

    fn drop_rebuild(
        &self,
        projection: &'static str,
        table: Table,
        number: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let reason = reason.as_str();
            let drop = move |connection: Arc<Connection>| async move {
                let dropped = admin::drop_rebuild(&connection, projection, &table, number, reason).await;
                dropped.map_err(|error| failure("drop a rebuild", &error))
            };
            self.pool().await?.act("drop a rebuild", drop).await
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let see = |connection: Arc<Connection>| async move {
                connection.row("SELECT 1 FROM potter_schema", &[]).await.map(drop)
            };
            self.pool().await?.read("ping", see).await
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pool.close().boxed()
    }
}
