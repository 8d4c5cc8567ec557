//! Panics of rules, projections and handlers: bugs of one request, not the end of the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::Failure;

/// Runs code that people have written; a panic in it is a bug failure, logged with the correlation id of the span.
///
/// What `act` may leave half done when it panics is dropped by all callers.
pub(crate) fn caught<T>(what: &str, act: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| failure(what, &*panic))
}

/// Runs code that people have written; a panic in it is an error that says what the panic said.
pub(crate) fn quietly<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| format!("panicked: {}", message(&*panic)))
}

/// The failure that a panic in `what` is.
pub(crate) fn failure(what: &str, panic: &(dyn Any + Send)) -> Failure {
    Failure::bug(&format!("`{what}` panicked: {}", message(panic)))
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;

    #[test]
    fn a_panic_is_a_bug_and_its_words_stay_here() {
        let failure = caught("rule", || panic!("secret {}", 1)).expect_err("panics");
        assert_eq!(failure.kind, FailureKind::Bug);
        assert!(!failure.to_string().contains("secret"));
    }
}
