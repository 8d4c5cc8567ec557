//! Turns an annotated proto into a running, event-sourced CQRS service.
//!
//! In: protos with Potter's annotations. Out: the files of a service. The stages, each of which only looks at the
//! one before it:
//!
//! | stage | in | out |
//! |---|---|---|
//! | [`request`] | a plugin's standard input | parameters and files, later the response |
//! | [`descriptors`] | proto files, a request or a descriptor set | [`descriptors::Descriptors`] |
//! | [`options`] | descriptors | typed options |
//! | [`model`] | descriptors and options | [`model::Module`], everything resolved and valid |
//! | [`lower`], [`messages`] | the module's messages | their Rust names, and their Rust types by prost |
//! | [`plan`] | a module | [`file::File`]s: which there are, and a view of each for its template |
//! | [`render`], [`rust`] | views and small syntax trees | text |
//!
//! Around them, what makes a project of it and keeps it one for years:
//!
//! | part | in | out |
//! |---|---|---|
//! | [`proposal`] | the plan, the framework, the past | every file that a project should have |
//! | [`migrations`] | tables as they were and as they are | the next migration |
//! | [`reconcile`] | proposal, lock and disk | what happens to each file, and why |
//! | [`update`] | a command line | all of the above in a row, carried out |
//! | [`output`] | changes | the disk, all or nothing |
//! | [`check`] | a project | where protos, lock and disk don't agree |
//! | [`report`] | what is done or found | text, JSON, SARIF, annotations |
//!
//! and what they lean on:
//!
//! | part | in | out |
//! |---|---|---|
//! | [`shape`] | a message | what it looks like, as text that `potter.lock` keeps |
//! | [`contract`] | a module | what its callers lean on, likewise |
//! | [`history`] | a module, again and again | every shape that its events ever had |
//! | [`evolution`] | the history and the module | what recorded events and callers will notice |
//! | [`merge`] | the user's file, its base and the proposal | the three merged, or where they conflict |
//! | [`structured`] | `Cargo.toml` or a Rust file | the same with Potter's keys and lines changed |
//! | [`knowledge`] | a seed as it was proposed and as it would be | the second, knowing no less |
//! | [`rename`], [`tokens`] | a user's Rust file, old and new names | the same with the names changed |
//!
//! What is wrong in the input comes out as [`diagnostic::Diagnostics`], all of it in one run; [`explain`] has a page
//! for each code. Nothing here prints or exits: that is for the binaries.
//!
//! ```no_run
//! use potter_gen::{descriptors, model};
//!
//! let protos = descriptors::compile(&["shop.proto".into()], &["proto".into()])?;
//! let (module, warnings) = model::build(&protos, &model::Settings::default())?;
//! print!("{warnings}");
//! assert_eq!(module.name, "shop");
//! # Ok::<(), potter_gen::diagnostic::Diagnostics>(())
//! ```

pub mod accept;
pub mod check;
pub mod contract;
pub mod descriptors;
pub mod diagnostic;
pub mod docs;
pub mod evolution;
pub mod explain;
pub mod file;
pub mod framework;
pub mod history;
pub mod knowledge;
pub mod lock;
pub mod lower;
pub mod merge;
pub mod messages;
pub mod migrations;
pub mod model;
pub mod openapi;
pub mod options;
pub mod output;
pub mod plan;
pub mod project;
pub mod proposal;
pub mod reconcile;
pub mod rename;
pub mod render;
pub mod report;
pub mod request;
pub mod rust;
pub mod shape;
pub mod structured;
pub mod tokens;
pub mod update;

#[cfg(test)]
mod testing;
