//! What may be the identity of an aggregate, and what may be an idempotency key.

use crate::failure::Failure;

/// Bytes of an identity or key at most.
pub const MAX_LENGTH: usize = 255;

/// What an identity may contain beside letters and digits of any script: what survives in a path and in a log line.
const MARKS: &str = "-._~:@+=,;!$&*'()|";

/// Checks the identity of an aggregate that a request carries in `field`.
///
/// # Errors
/// It is empty, longer than [`MAX_LENGTH`] bytes, `.` or `..`, or has characters that don't belong there: controls,
/// blanks, slashes.
pub fn check(field: &str, id: &str) -> Result<(), Failure> {
    let field = if field.is_empty() { "id" } else { field };
    let wrong = |c: char| !c.is_alphanumeric() && !MARKS.contains(c);
    match id {
        "" => Err(Failure::invalid(field, "must not be empty")),
        "." | ".." => Err(Failure::invalid(field, "must not be a path")),
        id if id.len() > MAX_LENGTH => {
            Err(Failure::invalid(field, format!("must not be longer than {MAX_LENGTH} bytes")))
        }
        id => match id.chars().find(|c| wrong(*c)) {
            Some(c) => Err(Failure::invalid(field, format!("must not contain {c:?}"))),
            None => Ok(()),
        },
    }
}

/// Checks an idempotency key.
///
/// # Errors
/// It is empty, longer than [`MAX_LENGTH`] bytes, or has control characters.
pub fn check_idempotency_key(key: &str) -> Result<(), Failure> {
    const FIELD: &str = "idempotency_key";
    match key {
        "" => Err(Failure::invalid(FIELD, "must not be empty")),
        key if key.len() > MAX_LENGTH => {
            Err(Failure::invalid(FIELD, format!("must not be longer than {MAX_LENGTH} bytes")))
        }
        key if key.chars().any(char::is_control) => Err(Failure::invalid(FIELD, "must not have control characters")),
        _ => Ok(()),
    }
}

/// Checks the id of what caused a request.
///
/// # Errors
/// It is longer than [`MAX_LENGTH`] bytes, or has control characters.
pub fn check_causation_id(id: &str) -> Result<(), Failure> {
    const FIELD: &str = "causation_id";
    match id {
        id if id.len() > MAX_LENGTH => {
            Err(Failure::invalid(FIELD, format!("must not be longer than {MAX_LENGTH} bytes")))
        }
        id if id.chars().any(char::is_control) => Err(Failure::invalid(FIELD, "must not have control characters")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_identities_are_fine() {
        for id in ["0198f7c2-7b7e-7cc3-9a51-0f6f1de2b0aa", "42", "müller", "sku:4711", "a@b.c", "urn:x:y", "日本"] {
            assert_eq!(check("id", id), Ok(()), "{id}");
        }
    }

    #[test]
    fn others_are_refused_at_their_field() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for id in ["", " ", "a b", "a/b", "..", "a\u{0}", "a\n", "<script>", "a?b", "a#b", "100%", &long] {
            let failure = check("product_id", id).expect_err(id);
            assert_eq!(failure.violations[0].field, "product_id");
        }
    }

    #[test]
    fn keys_may_be_anything_that_can_be_printed() {
        assert_eq!(check_idempotency_key("order 17/b"), Ok(()));
        assert!(check_idempotency_key("").is_err());
        assert!(check_idempotency_key("a\tb").is_err());
        assert!(check_idempotency_key(&"x".repeat(MAX_LENGTH + 1)).is_err());
    }
}
