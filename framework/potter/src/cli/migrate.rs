//! `migrate`: applies migrations of the module's own tables, takes them back, and says where they stand.

mod create;

use std::time::SystemTime;

use clap::{Args, Subcommand};
use potter_core::module::Module;
use potter_core::store::columns::migration_hash;
use potter_core::store::{AppliedMigration, Migration, Script, SharedStore};

use self::create::Create;
use super::Output;
use crate::error::TaskError;

/// Applies the migrations that haven't been yet, or what else is to be done with them
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    step: Option<Step>,
}

/// What is done with them.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Step {
    /// Applies those that haven't been yet (what happens without a subcommand)
    Up(Way),
    /// Takes back the last one that was applied; stop the service first
    Down(Way),
    /// Tells which are applied and which aren't
    Status,
    /// Tells whether the database and this service agree; ends with 1 if they don't
    Validate,
    /// Makes empty files for one of your own; `potter-gen update` then lists it
    Create(Create),
}

/// How far, and whether at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
struct Way {
    /// Up: the last one to apply. Down: the one to stay, all after it are taken back
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Only prints the statements
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    /// Whether the database may come into being by it.
    pub(crate) fn may_make_the_database(&self) -> bool {
        matches!(&self.step, None | Some(Step::Up(Way { dry_run: false, .. })))
    }

    /// Makes the files that are asked for, if that is what is asked for: that needs no database.
    pub(crate) fn create(&self, module: &Module, output: &mut Output<'_>) -> Option<Result<(), TaskError>> {
        match &self.step {
            Some(Step::Create(create)) => Some(create.run(module.own_migrations(), output)),
            _ => None,
        }
    }

    /// Does what is asked for.
    pub(crate) async fn run(
        &self,
        module: &Module,
        store: &SharedStore,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let known = module.own_migrations();
        match &self.step {
            None => up(&Way::default(), known, store, output).await,
            Some(Step::Up(way)) => up(way, known, store, output).await,
            Some(Step::Down(way)) => down(way, known, store, output).await,
            Some(Step::Status) => status(known, &store.applied_migrations().await?, output),
            Some(Step::Validate) => validate(known, &store.applied_migrations().await?, &|it| store.script(it), output),
            Some(Step::Create(_)) => unreachable!("made before a database is opened"),
        }
    }

    /// Tells what is asked for of a database that isn't there, and that shall not come into being by that; `script` is what
    /// a migration has for such a database.
    pub(crate) fn look(
        &self,
        module: &Module,
        script: &dyn Fn(&Migration) -> Script,
        output: &mut Output<'_>,
    ) -> Result<(), TaskError> {
        let known = module.own_migrations();
        match &self.step {
            None => show_pending(known, &[], script, output),
            Some(Step::Up(way)) => show_pending(way.wanted(known)?, &[], script, output),
            Some(Step::Down(way)) => going(way, known, &[]).and_then(|_| done("took back", "take back", &[], output)),
            Some(Step::Status) => status(known, &[], output),
            Some(Step::Validate) => validate(known, &[], script, output),
            Some(Step::Create(_)) => unreachable!("made before a database is looked for"),
        }
    }
}

impl Way {
    /// The migrations up to where one wants to go.
    fn wanted(&self, known: &'static [Migration]) -> Result<&'static [Migration], TaskError> {
        match &self.to {
            Some(name) => Ok(&known[..=place(name, known)?]),
            None => Ok(known),
        }
    }
}

async fn up(
    way: &Way,
    known: &'static [Migration],
    store: &SharedStore,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let wanted = way.wanted(known)?;
    if way.dry_run {
        return show_pending(wanted, &store.applied_migrations().await?, &|it| store.script(it), output);
    }
    let applied = store.migrate(wanted).await?;
    done("applied", "apply", &applied, output)
}

fn show_pending(
    wanted: &[Migration],
    applied: &[AppliedMigration],
    script: &dyn Fn(&Migration) -> Script,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let pending = wanted.iter().filter(|it| !is_applied(it.name, applied));
    let pending = pending.map(|it| (it.name, script(it).up)).filter(|(_, sql)| !sql.is_empty());
    show("apply", pending.collect(), output)
}

async fn down(
    way: &Way,
    known: &'static [Migration],
    store: &SharedStore,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let applied = store.applied_migrations().await?;
    let going = going(way, known, &applied)?;
    if let Some(stuck) = going.iter().find(|it| store.script(it).down.is_empty()) {
        let reason = format!("nothing takes `{}` back: it has no `{0}.down.sql`; nothing was done", stuck.name);
        return Err(TaskError::new(reason));
    }
    if way.dry_run {
        return show("take back", going.iter().map(|it| (it.name, store.script(it).down)).collect(), output);
    }
    let mut reverted = Vec::new();
    for migration in going {
        if store.revert(migration).await? {
            reverted.push(migration.name);
        }
    }
    done("took back", "take back", &reverted, output)
}

/// The migrations to take back, the last one first.
fn going(way: &Way, known: &[Migration], applied: &[AppliedMigration]) -> Result<Vec<Migration>, TaskError> {
    let count = match &way.to {
        Some(name) => {
            let stays = applied.iter().position(|it| it.name == *name);
            let Some(at) = stays else {
                return Err(TaskError::new(format!("`{name}` isn't applied, so nothing can be taken back to it")));
            };
            applied.len() - at - 1
        }
        None => 1,
    };
    let found = applied.iter().rev().take(count).map(|it| {
        let migration = known.iter().find(|migration| migration.name == it.name);
        migration.copied().ok_or_else(|| TaskError::new(format!("{}; {UNKNOWN}", unknown(&it.name))))
    });
    found.collect()
}

const UNKNOWN: &str = "take it back with the version of the service that has it";

fn unknown(name: &str) -> String {
    format!("the database has `{name}`, which this service doesn't know")
}

fn status(known: &[Migration], applied: &[AppliedMigration], output: &mut Output<'_>) -> Result<(), TaskError> {
    let when = |name: &str| applied.iter().find(|it| it.name == name).map(|it| it.applied_at);
    let rows = known.iter().map(|it| row(it.name, when(it.name)));
    let foreign = applied.iter().filter(|it| !known.iter().any(|known| known.name == it.name));
    let rows: Vec<_> = rows.chain(foreign.map(|it| row(&it.name, Some(it.applied_at)))).collect();
    output.table(&["MIGRATION", "APPLIED"], &rows)?;
    Ok(())
}

fn row(name: &str, applied_at: Option<SystemTime>) -> Vec<String> {
    let when = applied_at.map(potter_core::inspect::rfc3339);
    vec![name.to_owned(), when.unwrap_or_else(|| "no".to_owned())]
}

fn validate(
    known: &[Migration],
    applied: &[AppliedMigration],
    script: &dyn Fn(&Migration) -> Script,
    output: &mut Output<'_>,
) -> Result<(), TaskError> {
    let wrong = wrong(known, applied, script);
    for each in &wrong {
        output.line(each)?;
    }
    match wrong.len() {
        0 => {
            output.line("all migrations are applied, as this service has them")?;
            Ok(())
        }
        1 => Err(TaskError::new("1 migration is not as it should be")),
        many => Err(TaskError::new(format!("{many} migrations are not as they should be"))),
    }
}

/// What a database has otherwise than the service.
fn wrong(known: &[Migration], applied: &[AppliedMigration], script: &dyn Fn(&Migration) -> Script) -> Vec<String> {
    let of_applied = applied.iter().filter_map(|it| match known.iter().find(|known| known.name == it.name) {
        None => Some(unknown(&it.name)),
        Some(known) if migration_hash(script(known).up) != it.hash => {
            Some(format!("the text of `{}` has changed since it was applied", it.name))
        }
        Some(_) => None,
    });
    let last = known.iter().rposition(|it| is_applied(it.name, applied)).unwrap_or(0);
    let of_known = known.iter().enumerate().filter_map(|(at, it)| match is_applied(it.name, applied) {
        // It has nothing to do in this database.
        false if script(it).up.is_empty() => None,
        false if at < last => Some(format!("`{}` isn't applied, although a later one is", it.name)),
        false => Some(format!("`{}` isn't applied", it.name)),
        true => None,
    });
    of_applied.chain(of_known).collect()
}

fn place(name: &str, known: &[Migration]) -> Result<usize, TaskError> {
    known.iter().position(|it| it.name == name).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|it| it.name).collect();
        TaskError::new(format!("there is no migration `{name}`; there are {}", names.join(", ")))
    })
}

fn is_applied(name: &str, applied: &[AppliedMigration]) -> bool {
    applied.iter().any(|it| it.name == name)
}

fn show(what: &str, scripts: Vec<(&str, &str)>, output: &mut Output<'_>) -> Result<(), TaskError> {
    for (name, sql) in &scripts {
        output.line(format!("-- {what} {name}\n{}", sql.trim_end()))?;
    }
    if scripts.is_empty() {
        output.line(format!("-- nothing to {what}"))?;
    }
    Ok(())
}

fn done(did: &str, what: &str, names: &[&str], output: &mut Output<'_>) -> Result<(), TaskError> {
    for name in names {
        output.line(format!("{did} {name}"))?;
    }
    if names.is_empty() {
        output.line(format!("nothing to {what}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration = Migration::of_any_database("0001_first", "a").reverted_by("b");
    const SECOND: Migration = Migration::of_any_database("0002_second", "c").reverted_by("d");

    fn applied(name: &str, text: &str) -> AppliedMigration {
        AppliedMigration { name: name.to_owned(), hash: migration_hash(text), applied_at: SystemTime::UNIX_EPOCH }
    }

    fn names(way: &Way, applied: &[AppliedMigration]) -> Result<Vec<&'static str>, String> {
        let going = going(way, &[FIRST, SECOND], applied);
        going.map(|it| it.iter().map(|it| it.name).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_one_goes_first() {
        let both = [applied("0001_first", "a"), applied("0002_second", "c")];
        let to = |name: &str| Way { to: Some(name.to_owned()), dry_run: false };
        assert_eq!(names(&Way::default(), &both), Ok(vec!["0002_second"]));
        assert_eq!(names(&Way::default(), &[]), Ok(vec![]));
        assert_eq!(names(&to("0002_second"), &both), Ok(vec![]));
        assert_eq!(names(&to("0001_first"), &both), Ok(vec!["0002_second"]));
        assert!(names(&to("0003"), &both).is_err_and(|it| it.contains("`0003` isn't applied")));
        assert!(names(&Way::default(), &[applied("0009", "x")]).is_err_and(|it| it.contains("0009")));
    }

    #[test]
    fn what_differs_is_told() {
        let script = |it: &Migration| it.sqlite;
        let check = |applied: &[AppliedMigration]| wrong(&[FIRST, SECOND], applied, &script);
        assert_eq!(check(&[applied("0001_first", "a"), applied("0002_second", "c")]), [""; 0]);
        assert_eq!(check(&[applied("0001_first", "a")]), ["`0002_second` isn't applied"]);
        assert_eq!(check(&[applied("0002_second", "c")]), ["`0001_first` isn't applied, although a later one is"]);
        let changed = check(&[applied("0001_first", "z"), applied("0002_second", "c")]);
        assert_eq!(changed, ["the text of `0001_first` has changed since it was applied"]);
        let elsewhere = Migration { sqlite: Script::NONE, ..FIRST };
        assert_eq!(wrong(&[elsewhere], &[], &script), [""; 0], "it has nothing to do here");
    }
}
