//! Whether the project has changes that version control doesn't know yet.

use std::path::Path;
use std::process::Command;

/// Asks git.
///
/// # Errors
/// There are such changes, or git can't tell; which.
pub(super) fn refuse_dirty(root: &Path) -> Result<(), String> {
    let output = Command::new("git").arg("-C").arg(root).args(["status", "--porcelain", "--", "."]).output();
    let output = output.map_err(|error| format!("git can't be asked ({error})"))?;
    if !output.status.success() {
        return Err("it isn't in a git repository".to_owned());
    }
    match String::from_utf8_lossy(&output.stdout).lines().count() {
        0 => Ok(()),
        1 => Err("1 file has changes".to_owned()),
        many => Err(format!("{many} files have changes")),
    }
}
