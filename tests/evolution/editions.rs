//! What is said of a file that has an edition.

use crate::project::{Project, placed, proto, refusal};

/// What is said when the event has these fields and then those, in a file with this head.
fn told(head: &str, was: &str, now: &str) -> String {
    let edition = |fields: &str| proto(&placed(1, fields)).replace("syntax = \"proto3\";", head);
    refusal(Project::new(&edition(was)).update(&edition(now)))
}

#[test]
fn presence_is_told_as_the_feature_that_it_is() {
    let implicit = told(
        "edition = \"2023\"; option features.field_presence = IMPLICIT;",
        "int32 rank = 2; int32 old = 3 [features.field_presence = EXPLICIT];",
        "int32 rank = 2 [features.field_presence = EXPLICIT];",
    );
    let explicit = told(
        "edition = \"2024\";",
        "int32 rank = 2;",
        "int32 rank = 2; int32 new = 4 [features.field_presence = LEGACY_REQUIRED];",
    );
    for (told, part) in [
        (&implicit, "was `features.field_presence = IMPLICIT`, and is `features.field_presence = EXPLICIT` now"),
        (&implicit, "keep the field: `int32 rank = 2 [features.field_presence = IMPLICIT];`"),
        (&implicit, "keep the field: `int32 old = 3 [features.field_presence = EXPLICIT];`"),
        (&explicit, "or write `[features.field_presence = EXPLICIT]`"),
    ] {
        assert!(told.contains(part), "{part} is missing in\n{told}");
        assert!(!told.contains("optional"), "{told}");
    }
}
