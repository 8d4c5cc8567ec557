//! The parts that a shape is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What a message looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageShape {
    /// Fields by number, those of oneofs among them.
    pub fields: BTreeMap<u32, FieldShape>,
    /// Numbers and names that may not be used again.
    pub reserved: Reserved,
}

/// What a field looks like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldShape {
    /// Name in the proto.
    pub name: String,
    /// Name in JSON.
    pub json_name: String,
    /// How many values there are, and whether none is told from the default.
    pub cardinality: Cardinality,
    /// The type; of the values, for a map.
    pub ty: TypeShape,
    /// The default that the proto gives, as descriptors write it; proto3 has none.
    pub default: Option<String>,
}

/// How many values a field has, and whether none is told from the default.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cardinality {
    /// One, its default value being the same as none.
    Implicit,
    /// None or one.
    Optional,
    /// Exactly one.
    Required,
    /// Any number.
    Repeated,
    /// Any number by key.
    Map(Scalar),
    /// None or one, and then no other of the same oneof.
    Oneof(String),
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TypeShape {
    /// A type of the language.
    Scalar(Scalar),
    /// A message by its full name.
    Message(String),
    /// A message by its full name, encoded between tags instead of after its length.
    Group(String),
    /// An enum by its full name.
    Enum(String),
}

/// What an enum looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnumShape {
    /// Names by number, the aliases in the order of their declaration.
    pub values: BTreeMap<i32, Vec<String>>,
    /// Numbers and names that may not be used again.
    pub reserved: Reserved,
}

/// Numbers and names that may not be used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reserved {
    /// First and last of each range, in order, never touching each other.
    numbers: Vec<(i64, i64)>,
    names: BTreeSet<String>,
}

impl Reserved {
    /// Ranges of numbers, both ends included, and names.
    pub fn new(numbers: impl IntoIterator<Item = (i64, i64)>, names: impl IntoIterator<Item = String>) -> Self {
        let mut sorted: Vec<_> = numbers.into_iter().filter(|(first, last)| first <= last).collect();
        sorted.sort_unstable();
        let mut numbers: Vec<(i64, i64)> = Vec::new();
        for (first, last) in sorted {
            match numbers.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => numbers.push((first, last)),
            }
        }
        Reserved { numbers, names: names.into_iter().collect() }
    }

    /// Whether nothing is reserved.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.names.is_empty()
    }

    /// The ranges, both ends included, in order.
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.numbers
    }

    /// The names, in order.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Whether a number is reserved.
    pub fn has_number(&self, number: i64) -> bool {
        self.numbers.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// Whether a name is reserved.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// Declares the scalar types with their names in the proto.
macro_rules! scalars {
    ($($variant:ident $name:literal;)*) => {
        /// A type of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scalar {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Scalar {
            /// Every scalar type.
            pub const ALL: &'static [Scalar] = &[$(Scalar::$variant,)*];

            /// The name in the proto.
            pub fn as_str(self) -> &'static str {
                match self { $(Scalar::$variant => $name,)* }
            }
        }
    };
}

scalars! {
    Double "double";
    Float "float";
    Int32 "int32";
    Int64 "int64";
    Uint32 "uint32";
    Uint64 "uint64";
    Sint32 "sint32";
    Sint64 "sint64";
    Fixed32 "fixed32";
    Fixed64 "fixed64";
    Sfixed32 "sfixed32";
    Sfixed64 "sfixed64";
    Bool "bool";
    String "string";
    Bytes "bytes";
}

impl Scalar {
    /// The type of that name in the proto.
    pub fn named(name: &str) -> Option<Self> {
        Scalar::ALL.iter().copied().find(|it| it.as_str() == name)
    }

    /// Whether it can be the key of a map.
    pub fn is_map_key(self) -> bool {
        !matches!(self, Scalar::Double | Scalar::Float | Scalar::Bytes)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TypeShape {
    /// The message that it names.
    pub fn message(&self) -> Option<&str> {
        match self {
            TypeShape::Message(name) | TypeShape::Group(name) => Some(name),
            TypeShape::Scalar(_) | TypeShape::Enum(_) => None,
        }
    }
}

impl TypeShape {
    /// The message or enum that it names.
    pub fn named(&self) -> Option<&str> {
        match self {
            TypeShape::Message(name) | TypeShape::Group(name) | TypeShape::Enum(name) => Some(name),
            TypeShape::Scalar(_) => None,
        }
    }

    /// The same kind of type, called otherwise; a scalar has no name of its own.
    pub fn called(&self, name: &str) -> Self {
        match self {
            TypeShape::Message(_) => TypeShape::Message(name.to_owned()),
            TypeShape::Group(_) => TypeShape::Group(name.to_owned()),
            TypeShape::Enum(_) => TypeShape::Enum(name.to_owned()),
            TypeShape::Scalar(scalar) => TypeShape::Scalar(*scalar),
        }
    }
}

impl fmt::Display for TypeShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeShape::Scalar(scalar) => scalar.fmt(f),
            TypeShape::Message(name) => write!(f, ".{name}"),
            TypeShape::Group(name) => write!(f, "group .{name}"),
            TypeShape::Enum(name) => write!(f, "enum .{name}"),
        }
    }
}
