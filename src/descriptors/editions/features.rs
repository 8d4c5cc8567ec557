//! Features: what an edition says by default, and what files, messages and fields say instead.

use super::raw::Raw;

/// How none is told from the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// How messages are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    LengthPrefixed,
    Delimited,
}

/// The features that decide what a file means; the others are for compilers and for other languages.
///
/// Nothing is made of `utf8_validation` and `json_format`: strings are always UTF-8 here, as in proto3, and JSON names
/// are checked by the compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub presence: Presence,
    pub open_enum: bool,
    pub packed: bool,
    pub message: Encoding,
}

/// Numbers of fields and values in `google.protobuf.FeatureSet`.
mod tag {
    pub const FIELD_PRESENCE: u32 = 1;
    pub const ENUM_TYPE: u32 = 2;
    pub const REPEATED_FIELD_ENCODING: u32 = 3;
    pub const MESSAGE_ENCODING: u32 = 5;
}

impl Features {
    /// The defaults of an edition, by its number in `google.protobuf.Edition`; 2023 and 2024 have the same.
    pub fn of_edition(edition: i32) -> Option<Self> {
        let defaults =
            Features { presence: Presence::Explicit, open_enum: true, packed: true, message: Encoding::LengthPrefixed };
        matches!(edition, 1000 | 1001).then_some(defaults)
    }

    /// With what an element's options say instead; `tag` is the number of `features` in them.
    pub fn overridden(self, options: &Raw, tag: u32) -> Self {
        let said = options.child(tag);
        Features {
            presence: match said.number(tag::FIELD_PRESENCE) {
                Some(1) => Presence::Explicit,
                Some(2) => Presence::Implicit,
                Some(3) => Presence::Required,
                _ => self.presence,
            },
            open_enum: match said.number(tag::ENUM_TYPE) {
                Some(1) => true,
                Some(2) => false,
                _ => self.open_enum,
            },
            packed: match said.number(tag::REPEATED_FIELD_ENCODING) {
                Some(1) => true,
                Some(2) => false,
                _ => self.packed,
            },
            message: match said.number(tag::MESSAGE_ENCODING) {
                Some(1) => Encoding::LengthPrefixed,
                Some(2) => Encoding::Delimited,
                _ => self.message,
            },
        }
    }
}
