//! Shapes back to descriptors: the messages of a past that no proto has any more.
//!
//! All types of a shape become top-level ones of one package, whatever they were nested in: a shape doesn't say where
//! a package ends. Only names change by that; numbers and types, which are all that protobuf's encoding has, stay.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToShoutySnakeCase, ToUpperCamelCase};
use prost_reflect::{DescriptorError, DescriptorPool, EnumDescriptor, MessageDescriptor};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MessageOptions, OneofDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use super::{Cardinality, EnumShape, FieldShape, MessageShape, Scalar, Shape, TypeShape, Types, is_well_known};
use crate::lower::names::{to_upper_camel, to_variant};

/// The package of rebuilt types.
const PACKAGE: &str = "history";

/// Descriptors made from a shape.
#[derive(Debug)]
pub struct Rebuilt {
    /// The shape's own message.
    pub root: MessageDescriptor,
    /// All messages, the root among them.
    pub messages: Vec<MessageDescriptor>,
    /// All enums.
    pub enums: Vec<EnumDescriptor>,
}

/// Makes descriptors of a shape, its types having these simple names.
///
/// # Errors
///
/// The shape was edited by hand into something that protobuf doesn't know.
pub fn rebuild(shape: &Shape, names: &BTreeMap<String, String>) -> Result<Rebuilt, DescriptorError> {
    let mut pool = DescriptorPool::global();
    let file = Builder { names, types: shape.types(), values: BTreeSet::new() }.file(&pool);
    pool.add_file_descriptor_proto(file)?;
    let full = |name: &String| format!("{PACKAGE}.{}", names[name]);
    let messages = shape.types().messages.keys().filter_map(|it| pool.get_message_by_name(&full(it)));
    let enums = shape.types().enums.keys().filter_map(|it| pool.get_enum_by_name(&full(it)));
    let root = pool.get_message_by_name(&full(&shape.message)).expect("the root is one of the messages");
    Ok(Rebuilt { root, messages: messages.collect(), enums: enums.collect() })
}

/// A simple name for each type, by its full name: the given one for the shape's own message, and for the others their
/// own, with those around it in front where several share it.
pub fn simple_names(shape: &Shape, root: &str) -> BTreeMap<String, String> {
    let types = &shape.types;
    let others = types.messages.keys().chain(types.enums.keys()).filter(|it| **it != shape.message);
    let mut lengths: BTreeMap<&String, usize> = others.map(|it| (it, 1)).collect();
    loop {
        let mut sharing: BTreeMap<String, Vec<&String>> = BTreeMap::new();
        lengths.iter().for_each(|(name, length)| sharing.entry(ending(name, *length)).or_default().push(name));
        let longer = sharing.into_iter().filter(|(ending, names)| names.len() > 1 || ending == root);
        let longer = longer.flat_map(|(_, names)| names);
        let longer: Vec<_> = longer.filter(|name| lengths[name] < name.split('.').count()).collect();
        if longer.is_empty() {
            let mut names: BTreeMap<_, _> =
                lengths.into_iter().map(|(name, length)| (name.clone(), ending(name, length))).collect();
            names.insert(shape.message.clone(), root.to_owned());
            return names;
        }
        longer.into_iter().for_each(|name| *lengths.entry(name).or_default() += 1);
    }
}

/// The last segments of a name as one.
fn ending(name: &str, segments: usize) -> String {
    let all: Vec<&str> = name.split('.').collect();
    let last = all[all.len() - segments.min(all.len())..].iter().map(|it| it.to_upper_camel_case());
    to_upper_camel(&last.collect::<String>())
}

struct Builder<'a> {
    names: &'a BTreeMap<String, String>,
    types: &'a Types,
    /// Names of enum values that are taken: they live around their enums.
    values: BTreeSet<String>,
}

impl Builder<'_> {
    fn file(mut self, pool: &DescriptorPool) -> FileDescriptorProto {
        let proto2 = self.types.messages.values().any(is_proto2) || self.types.enums.values().any(is_closed);
        let messages = self.types.messages.iter().map(|(name, it)| self.message(name, it, proto2)).collect();
        let types = self.types;
        FileDescriptorProto {
            name: Some("history.proto".to_owned()),
            package: Some(PACKAGE.to_owned()),
            syntax: Some(if proto2 { "proto2" } else { "proto3" }.to_owned()),
            dependency: dependencies(types, pool),
            message_type: messages,
            enum_type: types.enums.iter().map(|(name, it)| self.enumeration(name, it)).collect(),
            ..FileDescriptorProto::default()
        }
    }

    fn message(&self, name: &str, message: &MessageShape, proto2: bool) -> DescriptorProto {
        let mut proto = DescriptorProto { name: Some(self.names[name].clone()), ..DescriptorProto::default() };
        let mut presences = Vec::new();
        for (number, field) in &message.fields {
            let mut made = self.field(*number, field);
            match &field.cardinality {
                Cardinality::Map(key) => self.map(*key, field, &mut made, &mut proto, name),
                Cardinality::Oneof(oneof) => made.oneof_index = Some(oneof_index(oneof, &mut proto.oneof_decl)),
                Cardinality::Optional if !proto2 && field.ty.message().is_none() => presences.push(proto.field.len()),
                _ => {}
            }
            proto.field.push(made);
        }
        // The oneofs that `optional` makes in proto3 come last.
        for at in presences {
            let name = format!("_{}", proto.field[at].name());
            proto.field[at].oneof_index = Some(oneof_index(&name, &mut proto.oneof_decl));
            proto.field[at].proto3_optional = Some(true);
        }
        proto
    }

    fn field(&self, number: u32, field: &FieldShape) -> FieldDescriptorProto {
        let label = match &field.cardinality {
            Cardinality::Repeated | Cardinality::Map(_) => Label::Repeated,
            Cardinality::Required => Label::Required,
            Cardinality::Implicit | Cardinality::Optional | Cardinality::Oneof(_) => Label::Optional,
        };
        FieldDescriptorProto {
            name: Some(field.name.clone()),
            number: i32::try_from(number).ok(),
            label: Some(label.into()),
            r#type: Some(type_of(&field.ty).into()),
            type_name: self.type_name(&field.ty),
            default_value: field.default.clone().filter(|_| !matches!(field.ty, TypeShape::Enum(_))),
            ..FieldDescriptorProto::default()
        }
    }

    /// Makes a field a map, whose entries are a message within its own.
    fn map(
        &self,
        key: Scalar,
        field: &FieldShape,
        made: &mut FieldDescriptorProto,
        around: &mut DescriptorProto,
        message: &str,
    ) {
        let name = format!("{}Entry", field.name.to_upper_camel_case());
        let value = FieldDescriptorProto {
            name: Some("value".to_owned()),
            number: Some(2),
            label: Some(Label::Optional.into()),
            ..made.clone()
        };
        let key = FieldDescriptorProto {
            name: Some("key".to_owned()),
            number: Some(1),
            label: Some(Label::Optional.into()),
            r#type: Some(scalar_type(key).into()),
            ..FieldDescriptorProto::default()
        };
        made.r#type = Some(Type::Message.into());
        made.type_name = Some(format!(".{PACKAGE}.{}.{name}", self.names[message]));
        around.nested_type.push(DescriptorProto {
            name: Some(name),
            field: vec![key, value],
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        });
    }

    fn type_name(&self, ty: &TypeShape) -> Option<String> {
        let name = ty.named()?;
        Some(self.names.get(name).map_or_else(|| format!(".{name}"), |it| format!(".{PACKAGE}.{it}")))
    }

    fn enumeration(&mut self, name: &str, shape: &EnumShape) -> EnumDescriptorProto {
        let own = &self.names[name];
        let declared = name.rsplit('.').next().unwrap_or(name);
        let mut numbers: Vec<i32> = shape.values.keys().copied().collect();
        // An open enum begins with zero, and the first value is the default.
        numbers.sort_by_key(|it| (*it != 0, *it));
        let value = numbers.into_iter().filter_map(|number| {
            let first = shape.values[&number].first()?;
            let variant = to_variant(declared, first).replace("r#", "");
            let wanted = format!("{}_{}", own.to_shouty_snake_case(), variant.to_shouty_snake_case());
            let name = (1_u32..).map(|it| if it == 1 { wanted.clone() } else { format!("{wanted}_{it}") });
            let name = name.into_iter().find(|it| self.values.insert(it.clone()));
            Some(EnumValueDescriptorProto { name, number: Some(number), options: None })
        });
        EnumDescriptorProto { name: Some(own.clone()), value: value.collect(), ..EnumDescriptorProto::default() }
    }
}

/// Whether only proto2 can say it.
fn is_proto2(message: &MessageShape) -> bool {
    message.fields.values().any(|it| {
        it.default.is_some() || it.cardinality == Cardinality::Required || matches!(it.ty, TypeShape::Group(_))
    })
}

/// Whether an enum has no zero, which an open one must begin with.
fn is_closed(shape: &EnumShape) -> bool {
    !shape.values.contains_key(&0)
}

/// The files of the well-known types that are referred to.
fn dependencies(types: &Types, pool: &DescriptorPool) -> Vec<String> {
    let fields = types.messages.values().flat_map(|it| it.fields.values());
    let names = fields.filter_map(|it| it.ty.named());
    let file = |name: &str| {
        let message = pool.get_message_by_name(name).map(|it| it.parent_file());
        message.or_else(|| pool.get_enum_by_name(name).map(|it| it.parent_file())).map(|it| it.name().to_owned())
    };
    let files: BTreeSet<String> = names.filter(|it| is_well_known(it)).filter_map(file).collect();
    files.into_iter().collect()
}

fn oneof_index(name: &str, oneofs: &mut Vec<OneofDescriptorProto>) -> i32 {
    let index = oneofs.iter().position(|it| it.name() == name).unwrap_or_else(|| {
        oneofs.push(OneofDescriptorProto { name: Some(name.to_owned()), options: None });
        oneofs.len() - 1
    });
    i32::try_from(index).expect("a message has fewer oneofs than fields, whose numbers are of 29 bits")
}

fn type_of(ty: &TypeShape) -> Type {
    match ty {
        TypeShape::Scalar(scalar) => scalar_type(*scalar),
        TypeShape::Message(_) => Type::Message,
        TypeShape::Group(_) => Type::Group,
        TypeShape::Enum(_) => Type::Enum,
    }
}

fn scalar_type(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Double => Type::Double,
        Scalar::Float => Type::Float,
        Scalar::Int32 => Type::Int32,
        Scalar::Int64 => Type::Int64,
        Scalar::Uint32 => Type::Uint32,
        Scalar::Uint64 => Type::Uint64,
        Scalar::Sint32 => Type::Sint32,
        Scalar::Sint64 => Type::Sint64,
        Scalar::Fixed32 => Type::Fixed32,
        Scalar::Fixed64 => Type::Fixed64,
        Scalar::Sfixed32 => Type::Sfixed32,
        Scalar::Sfixed64 => Type::Sfixed64,
        Scalar::Bool => Type::Bool,
        Scalar::String => Type::String,
        Scalar::Bytes => Type::Bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::shop;

    /// The shape of the event, and the same after it was rebuilt, both without the names of its types.
    fn both(declarations: &str) -> (String, String) {
        let (_, module) = shop(declarations);
        let shape = Shape::of(&module.events[0].message);
        let rebuilt = rebuild(&shape, &simple_names(&shape, "E")).unwrap_or_else(|error| panic!("{error:?}\n{shape}"));
        let fields = |shape: &Shape| shape.to_string().replace(".shop.", ".").replace(".history.", ".");
        (fields(&shape), fields(&Shape::of(&rebuilt.root)))
    }

    const EVENT: &str = "option (potter.event) = { event_type: \"e\" aggregate: \"Order\" };";

    #[test]
    fn what_was_rebuilt_has_the_shape_that_it_was_rebuilt_from() {
        let (shape, again) = both(&format!(
            "message E {{ {EVENT} string a = 1; optional int32 b = 2; repeated L c = 3; map<string, L> d = 4;
               oneof o {{ L e = 5; bytes f = 6; }} K g = 7; optional L h = 8; map<int32, K> i = 9; sfixed64 j = 12; }}
             message L {{ E back = 1; repeated K kinds = 2; }}
             enum K {{ K_NONE = 0; K_TYPE = 3; }}"
        ));
        assert_eq!(again, shape);
    }

    #[test]
    fn types_of_protobuf_itself_are_referred_to() {
        let (_, module) = crate::testing::module(&format!(
            "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/struct.proto\";
             {} message E {{ {EVENT} google.protobuf.Timestamp at = 1; google.protobuf.NullValue none = 2; }}",
            crate::testing::SHOP
        ));
        let shape = Shape::of(&module.events[0].message);
        let rebuilt = rebuild(&shape, &simple_names(&shape, "E")).expect("it is a message");
        let at = rebuilt.root.get_field(1).expect("it has fields").kind();
        assert_eq!(at.as_message().map(|it| it.full_name()), Some("google.protobuf.Timestamp"));
    }

    #[test]
    fn types_of_one_name_get_those_around_them_too() {
        let text = "message .shop.E {\n  1 .shop.E.Line a\n  2 .shop.Line b\n  3 enum .shop.v1.Kind c\n}\n\
                    message .shop.E.Line {\n}\nmessage .shop.Line {\n}\nenum .shop.v1.Kind {\n  1 ONE\n}\n";
        let shape: Shape = text.parse().expect("a shape");
        let names = simple_names(&shape, "E");
        let expected = [("shop.E", "E"), ("shop.E.Line", "ELine"), ("shop.Line", "ShopLine"), ("shop.v1.Kind", "Kind")];
        assert_eq!(names, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(simple_names(&shape, "Kind")["shop.v1.Kind"], "V1Kind", "the root's name is taken");
        assert_eq!(rebuild(&shape, &names).expect("a closed enum, so proto2").enums[0].values().count(), 1);
    }
}
