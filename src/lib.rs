//! Turns an annotated proto into a running, event-sourced CQRS service.

//!
//! # Ok::<(), potter_gen::diagnostic::Diagnostics>(())
//! Beside them, for regeneration:
//! In: protos with Potter's annotations. Out: the files of a service. The stages, each of which only looks at the
//! What is wrong in the input comes out as [`diagnostic::Diagnostics`], all of it in one run; [`explain`] has a page
//! ```
//! ```no_run
//! assert_eq!(module.name, "shop");
//! for each code. Nothing here prints or exits: that is for the binaries.
//! let (module, warnings) = model::build(&protos, &model::Settings::default())?;
//! let protos = descriptors::compile(&["shop.proto".into()], &["proto".into()])?;
//! one before it:
//! print!("{warnings}");
//! use potter_gen::{descriptors, model};
//! | [`descriptors`] | proto files, a request or a descriptor set | [`descriptors::Descriptors`] |
//! | [`model`] | descriptors and options | [`model::Module`], everything resolved and valid |
//! | [`options`] | descriptors | typed options |
//! | [`request`] | a plugin's standard input | parameters and files, later the response |
//! | [`shape`] | a message | what it looks like, as text that `potter.lock` keeps |
//! | part | in | out |
//! | stage | in | out |
//! |---|---|---|
pub mod descriptors;
pub mod diagnostic;
pub mod explain;
pub mod file;
pub mod lock;
pub mod model;
pub mod options;
pub mod output;
pub mod reconcile;
pub mod request;
pub mod shape;
