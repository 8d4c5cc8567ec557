//! Rendering: views become text through the templates.
//!
//! Generated Rust goes through syn and prettyplease: what doesn't parse never reaches a disk, and templates needn't
//! care for indentation. Seeds are printed as they are: comments are theirs, and the views bring them laid out.

use std::sync::LazyLock;

use serde::Serialize;
use tera::{Context, Kwargs, State, Tera};

/// What is generated isn't what it should be. That is a bug in Potter, never the user's fault.
#[derive(Debug, thiserror::Error)]
#[error("bug in potter-gen, please report it: {what}: {why}")]
pub struct Bug {
    what: String,
    why: String,
}

impl Bug {
    /// A bug in making `what`.
    pub fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../templates/", $name)))),*]
    };
}

/// All templates by name.
static TERA: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::new();
    tera.autoescape_on(Vec::<&str>::new());
    tera.register_filter("doc", doc);
    tera.add_raw_templates(templates![
        "generated/application/effects.rs.tera",
        "generated/application/mod.rs.tera",
        "generated/application/read_model.rs.tera",
        "generated/application/service.rs.tera",
        "generated/application/subscription.rs.tera",
        "generated/application/views.rs.tera",
        "generated/domain/aggregate.rs.tera",
        "generated/domain/event_impl.rs.tera",
        "generated/domain/history/event.rs.tera",
        "generated/domain/history/mod.rs.tera",
        "generated/domain/history/replay.rs.tera",
        "generated/domain/mod.rs.tera",
        "generated/domain/value_objects.rs.tera",
        "generated/infrastructure/mod.rs.tera",
        "generated/infrastructure/read_model.rs.tera",
        "generated/messages/mod.rs.tera",
        "generated/mod.rs.tera",
        "generated/transport/mod.rs.tera",
        "generated/transport/rest.rs.tera",
        "migration.sql.tera",
        "migrations.rs.tera",
        "project/.dockerignore.tera",
        "project/.env.example.tera",
        "project/.gitignore.tera",
        "project/Cargo.toml.tera",
        "project/Dockerfile.tera",
        "project/Makefile.tera",
        "project/README.md.tera",
        "project/docker-compose.yml.tera",
        "sdk/Cargo.toml.tera",
        "sdk/client.rs.tera",
        "sdk/errors.rs.tera",
        "sdk/events.rs.tera",
        "sdk/invokers.rs.tera",
        "sdk/lib.rs.tera",
        "seed/application/mod.rs.tera",
        "seed/application/read_model.rs.tera",
        "seed/application/service.rs.tera",
        "seed/application/subscription.rs.tera",
        "seed/domain/aggregate.rs.tera",
        "seed/domain/mod.rs.tera",
        "seed/lib.rs.tera",
        "seed/main.rs.tera",
        "seed/tests/layers.rs.tera",
        "seed/tests/service.rs.tera",
    ])
    .expect("the templates are tested");
    tera
});

/// Lines as documentation comments; with `mark` those of the file itself.
fn doc(lines: Vec<String>, arguments: Kwargs, _: &State<'_>) -> tera::TeraResult<String> {
    let mark = arguments.get::<String>("mark")?.unwrap_or_else(|| "///".to_owned());
    let lines: Vec<String> = lines.iter().map(|it| format!("{mark} {it}").trim_end().to_owned()).collect();
    Ok(lines.join("\n"))
}

/// A template's text for a view.
///
/// # Errors
///
/// The template names something that the view doesn't have.
pub fn text(template: &str, view: &impl Serialize) -> Result<String, Bug> {
    let bug = |error: tera::Error| Bug::new(template, report(&error));
    let context = Context::from_serialize(view).map_err(bug)?;
    TERA.render(template, &context).map_err(bug)
}

/// Rust text, laid out, under a line that says where it comes from.
///
/// # Errors
///
/// It isn't Rust.
pub fn rust(path: &str, origin: &str, text: &str) -> Result<String, Bug> {
    let file = syn::parse_file(text).map_err(|error| Bug::new(path, format!("{error} in\n{text}")))?;
    Ok(format!("{origin}{}", spaced(&prettyplease::unparse(&file))))
}

/// Puts empty lines between items, where prettyplease has none.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + text.len() / 16);
    let (mut before, mut head) = ("", "");
    // The attribute seen last; one that isn't the file's own belongs to what follows it.
    let mut attribute = "";
    for line in text.lines() {
        let import_ends = before == "};" && head.starts_with("use ");
        let is_attributed = before.trim_start() == ")]" && attribute.starts_with("#[");
        if between_items(if import_ends { head } else { before }, line) && !is_attributed {
            spaced.push('\n');
        }
        spaced.push_str(line);
        spaced.push('\n');
        before = line;
        if line.trim_start().starts_with('#') {
            attribute = line.trim_start();
        }
        if indentation(line) == 0 && line != "};" {
            head = line;
        }
    }
    spaced
}

/// Whether one item ends with a line and another one begins with the next. Several in a row that are short, like
/// `use` and `mod`, stay together.
fn between_items(before: &str, line: &str) -> bool {
    let (indent, text) = (indentation(line), line.trim_start());
    let begins = [
        "///",
        "#[",
        "pub ",
        "pub(",
        "const ",
        "static ",
        "type ",
        "use ",
        "mod ",
        "impl ",
        "fn ",
        "async fn ",
        "struct ",
        "enum ",
        "trait ",
    ];
    let same_level = indentation(before) == indent && !before.is_empty();
    if !same_level || !begins.iter().any(|it| text.starts_with(it)) {
        return false;
    }
    let before = before.trim_start();
    if before.starts_with("//!") || before.ends_with("{}") || matches!(before, "}" | ")]") {
        return true;
    }
    if before.starts_with("///") {
        return false;
    }
    let crate_of = |it: &str| it.strip_prefix("use ").and_then(|it| it.split("::").next().map(str::to_owned));
    if let (Some(one), Some(other)) = (crate_of(before), crate_of(text)) {
        return one != other;
    }
    let kind = |it: &str| it.trim_start_matches("pub ").split(' ').next().unwrap_or_default().to_owned();
    let documented = text.starts_with("///") || text.starts_with("#[");
    let ends = before.ends_with(';') || before.starts_with("use ");
    let is_field = before.ends_with(',');
    !is_field && ends && (documented || kind(before) != kind(text))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn report(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |it| it.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
