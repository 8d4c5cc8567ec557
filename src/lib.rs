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
//! Beside them, for regeneration:
//!
//! | part | in | out |
//! |---|---|---|
//! | [`shape`] | a message | what it looks like, as text that `potter.lock` keeps |
//! | [`contract`] | a module | what its callers lean on, likewise |
//! | [`history`] | a module, again and again | every shape that its events ever had |
//! | [`evolution`] | the history and the module | what recorded events and callers will notice |
//! | [`accept`] | what a breaking change is about | the same, remembered as meant |
//! | [`merge`] | the user's file, its base and the proposal | the three merged, or where they conflict |
//! | [`structured`] | `Cargo.toml` or a Rust file | the same with Potter's keys and lines changed |
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
pub mod contract;
pub mod descriptors;
pub mod diagnostic;
pub mod docs;
pub mod evolution;
pub mod explain;
pub mod file;
pub mod framework;
pub mod history;
pub mod init;
pub mod lock;
pub mod lower;
pub mod merge;
pub mod messages;
pub mod model;
pub mod openapi;
pub mod options;
pub mod output;
pub mod plan;
pub mod project;
pub mod reconcile;
pub mod render;
pub mod request;
pub mod rust;
pub mod shape;
pub mod structured;

#[cfg(test)]
mod testing;
