//! `potter.lock`: what was generated from what, and whose it is.
//!
//! Sorted TOML, committed with the project. It is all that a regeneration knows of the past: nothing depends on
//! version control or on an older binary.

pub(crate) mod conflict;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::descriptors::Input;
use crate::file::Class;
use crate::history::History;
use crate::migrations::Tables;
use crate::rename::Names;

/// Name of the file, at the root of a project.
pub const LOCK_PATH: &str = "potter.lock";

const HEADER: &str =
    "# Written by potter-gen; commit it. It says whose each file is and from which proto it comes.\n\n";

/// The last line: a text that was cut off may still be TOML.
const END: &str = "# The end: where this line is missing, more is.";

/// What to do about a lock that is none.
const DAMAGED: &str = "help: take it back from version control, as with `git checkout -- potter.lock`; it alone knows whose \
                       each file is and which events were recorded. Where there is none, `potter-gen init` into a new folder \
                       makes one, with the same protos, and your files can be copied there";

/// The format that this version writes.
const FORMAT: u32 = 1;

/// The contents of `potter.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of the lock's own format.
    pub format: u32,
    /// Version of the generator; the only place in a project that has it.
    pub generator: String,
    /// Name of the module.
    pub module: String,
    /// Whether that name was given on the command line, and so holds whatever the protos say.
    #[serde(skip_serializing_if = "is_false", default)]
    pub module_given: bool,
    /// The protos, relative to the project.
    pub protos: Vec<String>,
    /// Directories in which imports are looked up, relative to the project.
    pub proto_paths: Vec<String>,
    /// The descriptor set that is generated from instead, relative to the project or absolute.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub descriptor_set: Option<String>,
    /// Where the framework comes from, as `--framework` takes it.
    pub framework: String,
    /// Every file, by path.
    pub files: BTreeMap<String, LockedFile>,
    /// Every shape that events ever had, what was accepted on purpose, and the contract that was published last.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// The read models' tables as the migrations make them.
    #[serde(skip_serializing_if = "Tables::is_empty", default)]
    pub tables: Tables,
    /// What user code calls what the protos name; see [`crate::rename`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub names: Names,
    /// Of a lock that was rebuilt from a conflict: the files as the other side knows them. It is never written.
    #[serde(skip)]
    pub others: BTreeMap<String, LockedFile>,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Whose it is.
    pub class: Class,
    /// Full name of the proto element that it is there for.
    pub symbol: String,
    /// What was proposed last.
    pub emitted: Hash,
    /// For generated files: what it says, its layout left out, so that one which rustfmt touched is known again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub meaning: Option<Hash>,
    /// For seeds: the proposal that the user's file is based on, and for migrations the file itself; the bytes are kept
    /// in the project.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<Hash>,
    /// For structured files: Potter's part, as [`crate::structured::parts`] tells it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<String>,
    /// Those of the parts that the user changed or took out, and that are the user's from then on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub released: Vec<String>,
    /// For seeds: the user deleted it, and doesn't want it back.
    #[serde(skip_serializing_if = "is_false", default)]
    pub declined: bool,
}

/// SHA-256 of a file, in lowercase hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(String);

/// A lock that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("potter.lock: {0}")]
pub struct UnreadableLock(String);

impl Lock {
    /// A lock that knows no file yet.
    pub fn new(module: &str) -> Self {
        Self {
            format: FORMAT,
            generator: env!("CARGO_PKG_VERSION").to_owned(),
            module: module.to_owned(),
            module_given: false,
            protos: Vec::new(),
            proto_paths: Vec::new(),
            descriptor_set: None,
            framework: String::new(),
            files: BTreeMap::new(),
            history: History::default(),
            tables: Tables::new(),
            names: Names::new(),
            others: BTreeMap::new(),
        }
    }

    /// What the project, which is in `root`, is generated from.
    pub fn input(&self, root: &Path) -> Input {
        let is_here = root == Path::new(".") || root.as_os_str().is_empty();
        // The shorter, the better they read in diagnostics.
        let within = |path: &String| if is_here { path.into() } else { root.join(path) };
        match &self.descriptor_set {
            Some(set) => Input::Set(within(set)),
            None => {
                Input::Protos(self.protos.iter().map(within).collect(), self.proto_paths.iter().map(within).collect())
            }
        }
    }

    /// Reads a lock, even one in which version control left the marks of a conflict: see [`Lock::recover`].
    ///
    /// # Errors
    /// The text isn't a lock, or one of a newer version of Potter.
    pub fn read(text: &str) -> Result<Self, UnreadableLock> {
        if conflict::is_in(text) { Self::recover(text) } else { Self::parse(text) }
    }

    /// Rebuilds a lock from both sides of its conflicts.
    ///
    /// What either side knows of the past is kept: the histories are united. Of what they say of one file, ours is
    /// kept and theirs is at hand in [`Lock::others`]; a regeneration renews it.
    ///
    /// # Errors
    /// One of the sides is no lock, or one of a newer version of Potter.
    pub fn recover(text: &str) -> Result<Self, UnreadableLock> {
        let sides = conflict::sides(text).map_err(UnreadableLock)?;
        let side = |name: &str, text: &str| {
            let told = |error: UnreadableLock| UnreadableLock(format!("{name} side of its conflict: {}", error.0));
            Self::parse(text).map_err(told)
        };
        let mut lock = side("our", &sides.ours)?;
        let theirs = side("their", &sides.theirs)?;
        lock.history.unite(theirs.history);
        for (path, file) in &theirs.files {
            lock.files.entry(path.clone()).or_insert_with(|| file.clone());
        }
        lock.others = theirs.files;
        for (identity, name) in theirs.names {
            lock.names.entry(identity).or_insert(name);
        }
        // A table that the sides don't agree on is made anew by the next migration.
        lock.tables.retain(|name, table| theirs.tables.get(name) == Some(table));
        Ok(lock)
    }

    /// Reads a lock that has no conflict.
    ///
    /// # Errors
    /// The text isn't a lock, or one of a newer version of Potter.
    pub fn parse(text: &str) -> Result<Self, UnreadableLock> {
        let damaged = |what: &str| UnreadableLock(format!("{}\n{DAMAGED}", what.trim_end()));
        if text.trim().is_empty() {
            return Err(damaged("it is empty"));
        }
        let lock: Self = toml::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        if lock.format > FORMAT {
            let newer = format!("format {} is of a newer potter-gen; this one reads {FORMAT}", lock.format);
            return Err(UnreadableLock(newer));
        }
        match text.trim_end().ends_with(END) {
            true => Ok(lock),
            false => Err(damaged(&format!("its last line, `{END}`, is missing: what was before it may be too"))),
        }
    }

    /// The text of the lock.
    pub fn print(&self) -> String {
        let body = toml::to_string_pretty(self).expect("a lock is made of strings, numbers and tables");
        format!("{HEADER}{body}\n{END}\n")
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Where the bytes of that hash are kept, relative to the project.
    pub fn base_path(&self) -> String {
        format!(".potter/base/{}", self.0)
    }
}

impl TryFrom<String> for Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.len() == 64 && text.bytes().all(is_digit) {
            true => Ok(Self(text)),
            false => Err(format!("`{text}` is no hash; one has 64 lowercase hexadecimal digits")),
        }
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{EventHistory, RecordedShape};

    fn sample() -> Lock {
        let mut lock = Lock::new("shop");
        lock.protos.push("proto/shop.proto".into());
        for path in ["src/main.rs", "Cargo.toml"] {
            let file = LockedFile {
                class: Class::Seed,
                symbol: "shop".into(),
                emitted: Hash::of(path.as_bytes()),
                meaning: None,
                base: Some(Hash::of(b"base")),
                parts: Vec::new(),
                released: Vec::new(),
                declined: false,
            };
            lock.files.insert(path.into(), file);
        }
        lock
    }

    #[test]
    fn what_was_printed_is_read_back() {
        assert_eq!(Lock::parse(&sample().print()).expect("a lock"), sample());
    }

    #[test]
    fn files_are_sorted() {
        let text = sample().print();
        assert!(text.find("Cargo.toml") < text.find("src/main.rs"), "{text}");
    }

    /// The sample, its history knowing these shapes of one event.
    fn with_shapes(shapes: &[&str]) -> Lock {
        let mut lock = sample();
        let recorded = shapes.iter().map(|fields| RecordedShape {
            version: 1,
            shape: format!("message .shop.OrderPlaced {{\n{fields}}}\n").parse().expect("a shape"),
        });
        let event = EventHistory {
            aggregate: "Order".into(),
            retired: false,
            internal: false,
            module: None,
            shapes: recorded.collect(),
        };
        lock.history.events.insert("order.placed".into(), event);
        lock
    }

    /// What version control leaves of two texts: common lines, and one conflict over all that differs.
    fn conflicting(ours: &str, theirs: &str) -> String {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (ours.lines().collect(), theirs.lines().collect());
        let head = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let tail = ours[head..].iter().rev().zip(theirs[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let middle = |lines: &[&str]| lines[head..lines.len() - tail].join("\n");
        format!(
            "{}\n<<<<<<< HEAD\n{}\n||||||| 1234567\nformat = 0\n=======\n{}\n>>>>>>> topic\n{}\n",
            ours[..head].join("\n"),
            middle(&ours),
            middle(&theirs),
            ours[ours.len() - tail..].join("\n"),
        )
    }

    const ID: &str = "  1 string order_id\n";
    const NOTE: &str = "  1 string order_id\n  2 string note\n";
    const CODE: &str = "  1 string order_id\n  2 int32 code\n";

    #[test]
    fn the_histories_of_a_conflict_are_united() {
        let (ours, mut theirs) = (with_shapes(&[ID, NOTE]), with_shapes(&[ID, CODE]));
        let only_theirs = theirs.files["Cargo.toml"].clone();
        theirs.files.insert("src/lib.rs".into(), only_theirs);
        let text = conflicting(&ours.print(), &theirs.print());
        assert!(Lock::parse(&text).is_err(), "it has marks in it");
        let united = Lock::read(&text).expect("both sides are locks");
        assert_eq!(united.history, with_shapes(&[ID, NOTE, CODE]).history);
        assert!(united.files.contains_key("src/lib.rs") && united.files.contains_key("src/main.rs"));
    }

    #[test]
    fn a_conflict_that_is_cut_short_is_refused() {
        let text = conflicting(&with_shapes(&[NOTE]).print(), &with_shapes(&[CODE]).print());
        let cut = text.split(">>>>>>>").next().expect("there is something before");
        let error = Lock::read(cut).expect_err("its end is missing").to_string();
        assert!(error.contains("line") && error.contains(">>>>>>>"), "{error}");
    }

    #[test]
    fn a_side_that_is_no_lock_is_told_from_the_other() {
        let text = conflicting(&with_shapes(&[NOTE]).print(), &with_shapes(&[CODE]).print());
        let error = Lock::read(&text.replace("2 int32 code", "2 int32 code\n  2 again")).expect_err("twice a number");
        assert!(error.to_string().contains("their side"), "{error}");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = Hash::of(b"base").to_string();
        for wrong in ["../../../etc/passwd", "", &hash[1..], &hash.to_uppercase()] {
            let error = Lock::parse(&sample().print().replace(&hash, wrong)).expect_err("no hash").to_string();
            assert!(error.contains(&format!("`{wrong}` is no hash")) && error.contains("line"), "{error}");
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let text = sample().print().replace("format = 1", "format = 2");
        let error = Lock::parse(&text).expect_err("newer").to_string();
        assert!(error.contains("newer potter-gen"), "{error}");
    }

    #[test]
    fn what_is_no_lock_is_told_with_what_to_do() {
        let whole = sample().print();
        let cut = (1..whole.len() - 1).map(|end| &whole[..end]).chain(["\n", "\u{0}\u{1}", "garbage"]);
        for damaged in cut {
            let error = Lock::read(damaged).expect_err("it is no lock").to_string();
            assert!(error.starts_with("potter.lock: ") && error.contains("git checkout -- potter.lock"), "{error}");
        }
    }

    #[test]
    fn a_typo_is_located() {
        let text = sample().print().replace("class = \"seed\"", "class = \"seeed\"");
        let error = Lock::parse(&text).expect_err("no such class").to_string();
        assert!(error.contains("seeed") && error.contains("line"), "{error}");
    }
}
