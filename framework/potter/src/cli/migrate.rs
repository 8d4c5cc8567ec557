//! `migrate`: applies migrations.

use std::collections::BTreeMap;
use std::time::SystemTime;

use clap::Args;
use potter_core::module::Module;
use potter_core::store::SharedStore;

use super::Output;
use crate::error::TaskError;

/// Applies the migrations that haven't been yet
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Migrate {
    /// Only tells which are applied and which aren't
    #[arg(long)]
    status: bool,
}

impl Migrate {
    /// Does what is asked for.
    pub(crate) async fn run(
        &self,
        module: &Module,
        store: &SharedStore,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        if self.status { status(module, store, output).await } else { apply(module, store, output).await }
    }
}

async fn apply(module: &Module, store: &SharedStore, output: &mut Output<'_>) -> Result<(), TaskError> {
    let applied = store.migrate(module.own_migrations()).await?;
    for name in &applied {
        output.line(format!("applied {name}"))?;
    }
    if applied.is_empty() {
        output.line("nothing to apply")?;
    }
    Ok(())
}

async fn status(module: &Module, store: &SharedStore, output: &mut Output<'_>) -> Result<(), TaskError> {
    let applied: BTreeMap<_, _> =
        store.applied_migrations().await?.into_iter().map(|migration| (migration.name, migration.applied_at)).collect();
    let rows: Vec<_> = module.own_migrations().iter().map(|migration| row(migration.name, &applied)).collect();
    output.table(&["MIGRATION", "APPLIED"], &rows)?;
    Ok(())
}

fn row(name: &str, applied: &BTreeMap<String, SystemTime>) -> Vec<String> {
    let when = applied.get(name).map(|time| potter_core::inspect::rfc3339(*time));
    vec![name.to_owned(), when.unwrap_or_else(|| "no".to_owned())]
}
