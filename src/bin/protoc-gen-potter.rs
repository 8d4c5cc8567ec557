//! The `protoc-gen-potter` binary: the generator as a plugin of protoc and buf.

use std::{
    env, fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use anyhow::Context;
use potter_gen::{file::Class, plan, request, request::Input};

const USAGE: &str = "\
protoc-gen-potter: Potter as a plugin of protoc and buf; they call it, not you.

  protoc --potter_out=DIR --potter_opt=module=NAME FILE…

Parameters, separated by commas:
  module=NAME         the module's name, instead of `module_name`
  lock=PATH           the project's potter.lock, which knows what is recorded; `none` if nothing is

It writes what Potter owns; `potter-gen` makes whole projects.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        None => run(),
        Some("--version" | "-V") => answer(concat!("protoc-gen-potter ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()),
        Some("--help" | "-h") => answer(USAGE.as_bytes()),
        Some(other) => Err(anyhow::anyhow!("unknown argument `{other}`; a plugin takes its request on standard input")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protoc-gen-potter: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
    let request = request::decode(&bytes)?;
    if request::is_foreign(&request) {
        return answer(&request::response([]));
    }
    // Protoc doesn't say where a file lies; below the current folder is a good guess, for snippets only. The lock is
    // named from there too.
    let read = |name: &str| fs::read_to_string(name).ok();
    let response = match request::understand(&request, read) {
        Ok(input) => {
            eprint!("{}", input.warnings);
            request::response(tool_owned(&input)?)
        }
        Err(findings) => request::error_response(&findings),
    };
    answer(&response)
}

fn answer(response: &[u8]) -> anyhow::Result<()> {
    io::stdout().write_all(response).context("the response cannot be written")
}

/// A plugin can't see what is on disk, but for the lock that it is told of: it emits only what nobody edits.
fn tool_owned(input: &Input) -> anyhow::Result<Vec<(String, String)>> {
    let files = plan::files(&input.module, &input.descriptors, &input.history)?;
    let owned = files.into_iter().filter(|file| file.class == Class::Generated);
    Ok(owned.map(|file| (file.path, file.contents)).collect())
}
