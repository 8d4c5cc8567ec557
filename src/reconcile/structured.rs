//! Structured files: the user's, but for the keys and lines that Potter introduced.

use super::{Action, Step, is_as_written};
use crate::file::File;
use crate::lock::LockedFile;
use crate::structured::{self, Edited};

/// What happens to a structured file that is there and isn't what is proposed.
pub(super) fn step(mut step: Step, disk: &[u8], file: &File, locked: Option<&LockedFile>) -> Step {
    if locked.is_some_and(|it| is_as_written(disk, &it.emitted)) {
        let after = Some(file.contents.clone().into_bytes());
        return step.to(Action::Replace, after, "nobody changed it since it was written");
    }
    match edited(disk, file, locked) {
        Ok(Edited { text, .. }) if text.as_bytes() == disk => {
            step.stays(Action::LeaveChanged, "yours; Potter's part is in it")
        }
        Ok(Edited { text, along }) => step.to(Action::Edit, Some(text.into_bytes()), reason(&along)),
        Err(why) => {
            step.proposed = Some(file.contents.clone().into_bytes());
            step.stays(Action::SetAside, why)
        }
    }
}

/// Nothing of the user's goes silently.
fn reason(along: &[String]) -> String {
    let only = "only Potter's keys and lines change";
    match along {
        [] => only.to_owned(),
        _ => format!("{only}; with a line that goes, what you wrote to it goes along: `{}`", along.join("`, `")),
    }
}

fn edited(disk: &[u8], file: &File, locked: Option<&LockedFile>) -> Result<Edited, String> {
    let text = std::str::from_utf8(disk).map_err(|_| "it is not valid UTF-8".to_owned())?;
    let before = locked.map(|it| it.parts.as_slice()).unwrap_or_default();
    let told = |error: structured::MalformedManifest| error.to_string();
    let now = structured::parts(&file.path, &file.contents).map_err(told)?;
    structured::edit(&file.path, text, before, &now).map_err(told)
}
