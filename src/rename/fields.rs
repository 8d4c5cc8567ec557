//! Fields, known by their messages and numbers.
//!
//! In: the fields' names as they were, and as they are now: `fields shop::Order` is `1 order_id, 2 note`. Out: what
//! became of each. The user's code doesn't follow, since nothing tells there of which message a field is; what Potter
//! wrote does, see [`crate::knowledge`].

use std::collections::{BTreeMap, BTreeSet};

use super::Names;
use super::types::path_now;

/// By what the message is called now, and what the field was called: what it is called now, none if it is gone.
pub(super) type Fields = BTreeMap<(String, String), Option<String>>;

/// What became of the fields of all messages that are still there.
pub(super) fn fields(before: &Names, now: &Names, renamed: &Names, packages: &BTreeSet<String>) -> Fields {
    let mut fields = Fields::new();
    for (identity, were) in before {
        let Some(path) = identity.strip_prefix("fields ").map(|it| path_now(it, renamed, packages)) else { continue };
        let Some(are) = now.get(&format!("fields {path}")) else { continue };
        let are: BTreeMap<&str, &str> = numbered(are).collect();
        let message = path.rsplit("::").next().unwrap_or_default();
        for (number, old) in numbered(were) {
            let new = are.get(number).map(|it| (*it).to_owned());
            // Of two messages of one name either may be meant.
            let known = fields.entry((message.to_owned(), old.to_owned())).or_insert_with(|| new.clone());
            *known = known.take().or(new);
        }
    }
    fields
}

/// Number and name of each field.
fn numbered(fields: &str) -> impl Iterator<Item = (&str, &str)> {
    fields.split(", ").filter_map(|it| it.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_their_numbers() {
        let names = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let before: Names = names(&[("fields shop::Order", "1 id, 2 note, 3 code"), ("fields shop::Gone", "1 id")]);
        let now: Names = names(&[("fields shop::Purchase", "1 id, 2 remark")]);
        let fields = fields(&before, &now, &names(&[("Order", "Purchase")]), &BTreeSet::from(["shop".to_owned()]));
        let told: Vec<(&str, Option<&str>)> =
            fields.iter().map(|((_, old), new)| (old.as_str(), new.as_deref())).collect();
        assert_eq!(told, [("code", None), ("id", Some("id")), ("note", Some("remark"))]);
        assert!(fields.keys().all(|(message, _)| message == "Purchase"));
    }
}
