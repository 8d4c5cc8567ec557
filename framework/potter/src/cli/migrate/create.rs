//! `migrate create`: empty files for a migration of the user's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use potter_core::store::Migration;

use crate::cli::Output;
use crate::error::TaskError;

/// What the migration is to be called, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Create {
    /// What it is about, in lowercase letters, digits and underscores: `price_index`
    #[arg(value_parser = name)]
    name: String,
    /// The folder of the migrations, with one for each database in it
    #[arg(long, default_value = "migrations", value_name = "FOLDER")]
    folder: PathBuf,
}

fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
    if fits { Ok(text.to_owned()) } else { Err("write lowercase letters, digits and underscores".to_owned()) }
}

impl Create {
    pub(super) fn run(&self, known: &[Migration], output: &mut Output<'_>) -> Result<(), TaskError> {
        let databases = databases(&self.folder).map_err(|error| self.failed(&error))?;
        if databases.is_empty() {
            return Err(self.failed(&io::Error::other("it has no folder `sqlite` or `postgres`")));
        }
        let number = self.last(known, &databases).map_err(|error| self.failed(&error))? + 1;
        let name = format!("{number:04}_{}", self.name);
        for path in
            databases.iter().flat_map(|it| [it.join(format!("{name}.sql")), it.join(format!("{name}.down.sql"))])
        {
            let text = if path.to_string_lossy().ends_with(".down.sql") { DOWN } else { UP };
            fs::File::create_new(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
                .map_err(|error| TaskError::new(format!("cannot write {}: {error}", path.display())))?;
            output.line(format!("wrote {}", path.display()))?;
        }
        output.line(
            "write the statements, delete the files of databases that have nothing to do, then `potter-gen update`",
        )?;
        Ok(())
    }

    /// The highest number that a migration has, here or in the service.
    fn last(&self, known: &[Migration], databases: &[PathBuf]) -> io::Result<u32> {
        let mut names: Vec<String> = known.iter().map(|it| it.name.to_owned()).collect();
        for folder in databases {
            for entry in fs::read_dir(folder)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names.iter().filter_map(|it| it.split('_').next()?.parse().ok()).max().unwrap_or(0))
    }

    fn failed(&self, error: &io::Error) -> TaskError {
        let folder = self.folder.display();
        TaskError::new(format!("no migrations in {folder}: {error}; run it in the project's folder, or name --folder"))
    }
}

const UP: &str = "-- What is to be done. It runs in one transaction, and once applied it is never changed.\n";
const DOWN: &str = "-- What takes it back; delete this file if nothing can.\n";

fn databases(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?;
    let found = ["sqlite", "postgres"].map(|it| folder.join(it));
    Ok(found.into_iter().filter(|it| it.is_dir()).collect())
}
