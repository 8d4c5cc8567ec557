//! Stories: what happens to a project from day to day.
//!
//! A directory has one file or more per day, in the order of their names:
//!
//! - `day.proto`: the proto changes, and the project is brought up to date; the first makes it. A first line
//!   `// run: --merge --prune` says with which options.
//! - `day.edit`: a person edits files. `in PATH` begins a file, lines with `-` are replaced by the lines with `+` that
//!   follow; without `-` lines the `+` lines are the new file's.
//! - `day.txt`: what is expected after the proto of that day: what happened to each file, how the run ended, what a check
//!   finds; written by `BLESS=1`.
//! - `day.holds`: what is in files then, beyond the plan: `in PATH`, then lines with `+` that are in it, and with `-`
//!   that are not.

use std::fs;
use std::path::{Path, PathBuf};

use potter_gen::reconcile::{Action, Allowed};
use potter_gen::update::{Error, Plan};

use crate::project::{PROTO, Project};

#[test]
fn stories_end_as_they_are_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let stories = sorted(&root);
    assert!(!stories.is_empty(), "there are stories");
    stories.iter().for_each(|story| tell(story));
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    paths.sort();
    paths
}

fn tell(story: &Path) {
    let mut project: Option<Project> = None;
    for path in sorted(story) {
        let text = fs::read_to_string(&path).expect("a readable file");
        match (path.extension().and_then(|it| it.to_str()), &project) {
            (Some("proto"), None) => project = Some(Project::new(&text)),
            (Some("proto"), Some(project)) => {
                project.write(PROTO, &text);
                let run = project.try_update(allowed(&text));
                compare(&path.with_extension("txt"), &told(&run, project));
            }
            (Some("edit"), Some(project)) => blocks(&text).iter().for_each(|block| block.apply(project, &path)),
            (Some("holds"), Some(project)) => blocks(&text).iter().for_each(|block| block.holds(project, &path)),
            (Some("txt" | "md"), _) => {}
            _ => panic!("{} has no place in a story", path.display()),
        }
    }
}

/// The options in the first line.
fn allowed(text: &str) -> Allowed {
    let options = text.lines().next().and_then(|line| line.strip_prefix("// run:")).unwrap_or_default();
    let has = |option: &str| options.split_whitespace().any(|it| it == option);
    Allowed { force: has("--force"), prune: has("--prune"), merge: has("--merge"), markers: false }
}

/// What happened, for the file of expectations.
fn told(run: &Result<Plan, Error>, project: &Project) -> String {
    let plan = match run {
        Ok(plan) => plan,
        Err(Error::Breaking(findings)) => {
            let codes: Vec<String> = findings.iter().map(|it| format!("{}: {}", it.code, it.message)).collect();
            return format!("refused\n{}\n", codes.join("\n"));
        }
        Err(error) => panic!("{error}"),
    };
    let is_told = |action: Action| !matches!(action, Action::Keep | Action::LeaveChanged);
    let steps = plan.steps.iter().filter(|step| is_told(step.action));
    let lines: String = steps.map(|step| format!("{:<9} {}\n", step.action.name(), step.path)).collect();
    let found = project.check();
    let findings: String =
        found.findings.iter().map(|it| format!("{:<9} {}\n", it.status.to_string(), it.path)).collect();
    let exit = if plan.needs_a_person() { 2 } else { 0 };
    format!("update ends with {exit}\n{lines}\ncheck ends with {}\n{findings}", found.exit_code(false))
}

fn compare(expected: &Path, told: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, told).expect("a writable file");
        return;
    }
    let text = fs::read_to_string(expected).unwrap_or_default();
    assert_eq!(told, text, "{} (BLESS=1 rewrites it)", expected.display());
}

/// The lines about one file.
#[derive(Default)]
struct Block {
    path: String,
    /// Each: lines with `-`, lines with `+`.
    changes: Vec<(Vec<String>, Vec<String>)>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("in ") {
            blocks.push(Block { path: path.to_owned(), ..Block::default() });
        } else if let Some(block) = blocks.last_mut() {
            block.line(line);
        }
    }
    blocks
}

impl Block {
    fn line(&mut self, line: &str) {
        if let Some(old) = line.strip_prefix('-') {
            if self.changes.last().is_none_or(|(_, new)| !new.is_empty()) {
                self.changes.push(Default::default());
            }
            self.changes.last_mut().expect("there is one now").0.push(old.to_owned());
        } else if let Some(new) = line.strip_prefix('+') {
            if self.changes.is_empty() {
                self.changes.push(Default::default());
            }
            self.changes.last_mut().expect("there is one now").1.push(new.to_owned());
        }
    }

    fn apply(&self, project: &Project, story: &Path) {
        for (old, new) in &self.changes {
            if old.is_empty() {
                project.write(&self.path, &(new.join("\n") + "\n"));
                continue;
            }
            let text = project.text(&self.path);
            assert!(text.contains(&old.join("\n")), "{}: {} has no\n{}", story.display(), self.path, old.join("\n"));
            project.edit(&self.path, &old.join("\n"), &new.join("\n"));
        }
    }

    fn holds(&self, project: &Project, story: &Path) {
        let text = project.text(&self.path);
        let has = |line: &String| text.lines().any(|it| it.trim() == line.trim());
        for (absent, present) in &self.changes {
            for line in absent {
                assert!(!has(line), "{}: `{line}` is in {}\n{text}", story.display(), self.path);
            }
            for line in present {
                assert!(has(line), "{}: `{line}` is not in {}\n{text}", story.display(), self.path);
            }
        }
    }
}
