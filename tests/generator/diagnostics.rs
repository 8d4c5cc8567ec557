//! Cases of wrong protos: a folder with protos, and what is said of them in `expected.txt`.
//!
//! The protos directly in the folder are generated together; those in folders below it are there to be imported.
//! `parameters.txt` holds what would be given as `--potter_opt`. Every case goes both ways: compiled here, and as the
//! request that a compiler would send; both must say the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use potter_gen::{
    descriptors::compile,
    diagnostic::Diagnostics,
    model::{Settings, build},
    request,
};

use crate::protos;

#[test]
fn every_case_says_what_is_expected() {
    let mut failed = Vec::new();
    for case in folders(&protos::cases("diagnostics")) {
        if let Err(wrong) = check(&case) {
            failed.push(format!("{}: {wrong}", case.display()));
        }
    }
    assert!(failed.is_empty(), "{}\n`make bless` rewrites what is expected", failed.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let said = run(case);
    let file = case.join("expected.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &said).map_err(|error| error.to_string())?;
    }
    let expected = fs::read_to_string(&file).map_err(|error| format!("expected.txt: {error}"))?;
    foreign_files(case)?;
    if said == expected { Ok(()) } else { Err(format!("expected\n{expected}\nsaid\n{said}")) }
}

/// Everything that is said, the way by the request included where it can be gone.
fn run(case: &Path) -> String {
    let inputs = protos_in(case);
    let parameters = fs::read_to_string(case.join("parameters.txt")).unwrap_or_default();
    let folder = case.display().to_string();
    let shown = |findings: &Diagnostics| findings.to_string().replace(&format!("{folder}/"), "").replace(&folder, ".");
    let module = request::parameters(parameters.trim()).ok().and_then(|it| it.module);
    let descriptors = match compile(&inputs, &[case.to_owned()]) {
        Ok(descriptors) => descriptors,
        Err(findings) => return shown(&findings),
    };
    let by_file = match build(&descriptors, &Settings { module }) {
        Ok((_, warnings)) => shown(&warnings),
        Err(findings) => shown(&findings),
    };
    let read = |name: &str| fs::read_to_string(case.join(name)).ok();
    // Where there is no past, a compiler has to be told so.
    let parameters = format!("{},lock=none", parameters.trim());
    let by_request = match request::understand(&protos::request(&descriptors, &parameters), read) {
        Ok(input) => input.warnings.to_string(),
        Err(findings) => findings.to_string(),
    };
    assert_eq!(by_file, by_request, "{}: both ways in must say the same", case.display());
    by_file
}

fn foreign_files(case: &Path) -> Result<(), String> {
    let is_known = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir()
            || path.extension().is_some_and(|it| it == "proto")
            || name == "expected.txt"
            || name == "parameters.txt"
    };
    match entries(case).into_iter().find(|it| !is_known(it)) {
        Some(foreign) => Err(format!("{} doesn't belong there", foreign.display())),
        None => Ok(()),
    }
}

fn protos_in(case: &Path) -> Vec<PathBuf> {
    entries(case).into_iter().filter(|it| it.extension().is_some_and(|it| it == "proto")).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let folders: Vec<_> = entries(path).into_iter().filter(|it| it.is_dir()).collect();
    assert!(!folders.is_empty(), "there are no cases in {}", path.display());
    folders
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut entries: Vec<_> = read.map(|it| it.expect("a readable entry").path()).collect();
    entries.sort();
    entries
}
