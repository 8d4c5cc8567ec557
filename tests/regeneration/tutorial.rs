//! The tutorial's steps, run in the order in which it tells them.
//!
//! Blocks of `sh` are run, `# ends with N` saying how; `diff` is applied; lines of `text` are in what the last command
//! printed. A comment before a block says which file it is (`file`), or that its lines are in one (`in`).

use std::fs;
use std::path::PathBuf;

use diffy::Patch;

use crate::project::command;

const TUTORIAL: &str = include_str!("../../docs/tutorials/living-with-a-service.md");

#[test]
fn every_step_of_the_tutorial_works() {
    let place = tempfile::tempdir().expect("a folder");
    let mut reader = Reader { folder: place.path().to_owned(), printed: String::new() };
    let blocks = blocks(TUTORIAL);
    assert!(blocks.len() > 10, "the tutorial has steps");
    blocks.iter().for_each(|block| reader.follow(block));
}

/// A fenced block and the comment before it.
struct Block {
    comment: String,
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    let mut comment = String::new();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text = body.join("\n") + "\n";
            blocks.push(Block { comment: std::mem::take(&mut comment), language: language.to_owned(), text });
        } else if let Some(it) = line.strip_prefix("<!-- ") {
            comment = it.trim_end_matches("-->").trim().to_owned();
        }
    }
    blocks
}

/// Somebody who does what the page says.
struct Reader {
    folder: PathBuf,
    printed: String,
}

impl Reader {
    fn follow(&mut self, block: &Block) {
        match (block.language.as_str(), block.comment.split_once(' ')) {
            ("sh", _) => block.text.lines().for_each(|line| self.run(line)),
            ("diff", _) => self.apply(&block.text),
            ("text", _) => self.has_printed(&block.text),
            (_, Some(("file", path))) => fs::write(self.folder.join(path), &block.text).expect("a writable folder"),
            (_, Some(("in", path))) => self.has(path, &block.text),
            (language, _) => panic!("nobody knows what to do with this {language}:\n{}", block.text),
        }
    }

    fn run(&mut self, line: &str) {
        let (words, expected) = line.split_once("# ends with ").unwrap_or((line, "0"));
        let words: Vec<&str> = words.split_whitespace().collect();
        match words.as_slice() {
            ["cd", folder] => self.folder.push(folder),
            ["potter-gen", arguments @ ..] => {
                let run = command().current_dir(&self.folder).args(arguments).output().expect("potter-gen runs");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.printed = text(&run.stdout) + &text(&run.stderr);
                let code = run.status.code().map(|it| it.to_string());
                assert_eq!(code.as_deref(), Some(expected), "{line}\n{}", self.printed);
            }
            _ => panic!("`{line}` is no command of the tutorial"),
        }
    }

    fn apply(&self, diff: &str) {
        let path = diff.lines().find_map(|line| line.strip_prefix("+++ b/")).expect("a diff names its file");
        let path = self.folder.join(path);
        let text = fs::read_to_string(&path).expect("the file is there");
        let patch = Patch::from_str(diff).unwrap_or_else(|error| panic!("{error}:\n{diff}"));
        let changed = diffy::apply(&text, &patch).unwrap_or_else(|error| panic!("{error}:\n{diff}\nin\n{text}"));
        fs::write(path, changed).expect("a writable file");
    }

    fn has_printed(&self, text: &str) {
        for line in text.lines() {
            assert!(self.printed.contains(line.trim()), "`{line}` is not in\n{}", self.printed);
        }
    }

    fn has(&self, path: &str, text: &str) {
        let there = fs::read_to_string(self.folder.join(path)).expect("the file is there");
        for line in text.lines() {
            assert!(there.lines().any(|it| it == line), "`{line}` is not in {path}:\n{there}");
        }
    }
}
