//! The rules of `buf breaking`, as far as a published contract can break them.

use std::fmt;

/// Whom a change breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Generated source, file by file.
    File,
    /// Generated source, package by package.
    Package,
    /// JSON, or protobuf's own encoding.
    WireJson,
    /// Protobuf's own encoding.
    Wire,
}

impl Category {
    /// The name in `buf.yaml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Category::File => "FILE",
            Category::Package => "PACKAGE",
            Category::WireJson => "WIRE_JSON",
            Category::Wire => "WIRE",
        }
    }
}

/// Declares the rules: constant, categories. The name in `buf.yaml` is that of the constant.
macro_rules! rules {
    ($($name:ident $($category:ident)*;)*) => {
        /// A rule of `buf breaking`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct Rule {
            id: &'static str,
            categories: &'static [Category],
        }

        impl Rule {
            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                pub const $name: Rule = Rule { id: stringify!($name), categories: &[$(Category::$category,)*] };
            )*

            /// Every rule that is judged here.
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];
        }
    };
}

rules! {
    ENUM_NO_DELETE File;
    MESSAGE_NO_DELETE File;
    SERVICE_NO_DELETE File;
    ENUM_VALUE_NO_DELETE File Package;
    FIELD_NO_DELETE File Package;
    FIELD_SAME_CARDINALITY File Package;
    FIELD_SAME_TYPE File Package;
    ONEOF_NO_DELETE File Package;
    RPC_NO_DELETE File Package;
    ENUM_VALUE_SAME_NAME File Package WireJson;
    FIELD_SAME_JSON_NAME File Package WireJson;
    FIELD_SAME_NAME File Package WireJson;
    FIELD_SAME_DEFAULT File Package WireJson Wire;
    FIELD_SAME_ONEOF File Package WireJson Wire;
    MESSAGE_SAME_REQUIRED_FIELDS File Package WireJson Wire;
    RESERVED_ENUM_NO_DELETE File Package WireJson Wire;
    RESERVED_MESSAGE_NO_DELETE File Package WireJson Wire;
    RPC_SAME_CLIENT_STREAMING File Package WireJson Wire;
    RPC_SAME_REQUEST_TYPE File Package WireJson Wire;
    RPC_SAME_RESPONSE_TYPE File Package WireJson Wire;
    RPC_SAME_SERVER_STREAMING File Package WireJson Wire;
    ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED WireJson;
    FIELD_NO_DELETE_UNLESS_NAME_RESERVED WireJson;
    FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY WireJson;
    FIELD_WIRE_JSON_COMPATIBLE_TYPE WireJson;
    ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED WireJson Wire;
    FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED WireJson Wire;
    FIELD_WIRE_COMPATIBLE_CARDINALITY Wire;
    FIELD_WIRE_COMPATIBLE_TYPE Wire;
}

impl Rule {
    /// The name in `buf.yaml`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The categories that it is part of, the strictest first.
    pub fn categories(&self) -> &'static [Category] {
        self.categories
    }

    /// The most lenient category that it is part of.
    pub fn level(&self) -> Category {
        self.categories.iter().copied().max().unwrap_or(Category::File)
    }
}

impl fmt::Display for Rule {
    /// The name and its categories: `FIELD_NO_DELETE: FILE, PACKAGE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let categories: Vec<_> = self.categories.iter().map(|it| it.as_str()).collect();
        write!(f, "{}: {}", self.id, categories.join(", "))
    }
}
