//! Fixtures: a sample of each shape that was recorded, and a test that reads it as what the event is now.

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde::Serialize;

use super::recorded;
use crate::{
    file::{Class, File},
    history::{RecordedShape, Subject},
    model::Event,
    plan::{Scope, domain::events_of, symbols},
    render::Bug,
    rust,
    shape::{
        Shape,
        rebuild::{rebuild, simple_names},
    },
};

/// How many hexadecimal digits stand in a line.
const LINE: usize = 96;

/// How deep a sample goes.
const DEPTH: usize = 4;

/// The fixtures, and the file with their tests, if there are any.
pub(super) fn files(scope: &Scope<'_>) -> Result<Vec<File>, Bug> {
    let mut files = Vec::new();
    let mut imports = scope.imports(&["DomainEvent", "fixture"]);
    imports.add("potter::domain", "DomainEvent");
    imports.add("potter::testing", "fixture");
    let mut tests = Vec::new();
    for (index, names) in scope.symbols.aggregates.iter().enumerate() {
        for (event, variant) in events_of(scope, crate::model::AggregateId(index)) {
            for shape in former(scope, event) {
                let file = fixture(event, shape)?;
                imports.add(&format!("crate::generated::domain::{}", names.module), &names.event);
                tests.push(test(event, shape, &file, &names.event, variant));
                files.push(file);
            }
        }
    }
    if !files.is_empty() {
        let view = ReplayView { uses: imports.render(0), tests };
        let path = "src/generated/domain/history/replay.rs".to_owned();
        files.push(scope.generated(path, &scope.module.name, "generated/domain/history/replay.rs.tera", &view)?);
    }
    Ok(files)
}

#[derive(Serialize)]
struct ReplayView {
    uses: String,
    tests: Vec<TestView>,
}

#[derive(Serialize)]
struct TestView {
    name: String,
    event_type: String,
    version: u32,
    fixture: String,
    event: String,
    variant: String,
}

/// The shapes that the event had and no longer has, but for those that were given up on purpose.
fn former<'a>(scope: &Scope<'a>, event: &'a Event) -> impl Iterator<Item = &'a RecordedShape> {
    let now = Shape::of(&event.message);
    let subject = Subject::Event(event.event_type.clone());
    let accepted = &scope.history.accepted;
    let given_up = move |shape: &Shape| accepted.iter().any(|it| it.subject == subject && it.from == shape.hash());
    let shapes = recorded(scope, event).into_iter().flat_map(|it| &it.shapes);
    shapes.filter(move |it| {
        let is_current = it.version == event.version && it.shape == now;
        it.version <= event.version && !is_current && !given_up(&it.shape)
    })
}

fn test(event: &Event, shape: &RecordedShape, file: &File, of: &str, variant: &str) -> TestView {
    let name = symbols::file_name(event.message.name(), "event");
    let hash = &shape.shape.hash()[..8];
    TestView {
        name: format!("{}_v{}_{hash}_is_read", name.trim_end_matches('_'), shape.version),
        event_type: rust::string_literal(&event.event_type),
        version: shape.version,
        fixture: rust::string_literal(file.path.rsplit('/').next().unwrap_or_default()),
        event: of.to_owned(),
        variant: variant.to_owned(),
    }
}

fn fixture(event: &Event, recorded: &RecordedShape) -> Result<File, Bug> {
    let RecordedShape { version, shape } = recorded;
    let bug = |error| Bug::new(format!("version {version} of {}", shape.message()), error);
    let rebuilt = rebuild(shape, &simple_names(shape, "Event")).map_err(bug)?;
    let hex: String = sample(&rebuilt.root, DEPTH).encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut contents = format!(
        "# A sample of `{}` version {version}. It stays for ever: the service must read what it once recorded.\n#\n",
        event.event_type.escape_default()
    );
    shape.to_string().lines().for_each(|line| contents.push_str(&format!("# {line}\n")));
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(LINE).for_each(|line| contents.push_str(&format!("{}\n", line.iter().collect::<String>())));
    Ok(File {
        path: path(&event.event_type, recorded),
        class: Class::Append,
        symbol: event.message.full_name().to_owned(),
        contents,
    })
}

/// Where the fixtures are, in the project.
pub(crate) const FOLDER: &str = "tests/fixtures";

/// Where the fixture of a recorded shape is.
pub(crate) fn path(event_type: &str, RecordedShape { version, shape }: &RecordedShape) -> String {
    format!("{FOLDER}/{}.v{version}.{}.hex", file_safe(event_type), &shape.hash()[..8])
}

/// Whether a path is that of a fixture of whatever shape.
pub(crate) fn is_fixture(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplitn(4, '.').collect();
    let [extension, hash, version, _] = parts.as_slice() else { return false };
    let is_version = version.strip_prefix('v').is_some_and(|it| it.parse::<u32>().is_ok());
    *extension == "hex" && is_version && hash.len() == 8 && hash.bytes().all(|it| it.is_ascii_hexdigit())
}

/// An event type as part of a file's name.
fn file_safe(event_type: &str) -> String {
    let safe = |it: char| if it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_') { it } else { '_' };
    event_type.chars().map(safe).collect()
}

/// A message with something in every field, down to some depth.
fn sample(message: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut sample = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let oneof = field.containing_oneof().filter(|it| !it.is_synthetic());
        let is_first = oneof.is_none_or(|oneof| oneof.fields().next().as_ref() == Some(&field));
        if let Some(value) = value(&field, depth).filter(|_| is_first) {
            sample.set_field(&field, value);
        }
    }
    sample
}

fn value(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
        let key = map_key(&entry.map_entry_key_field());
        return Some(Value::Map([(key, single(&entry.map_entry_value_field(), depth)?)].into()));
    }
    let value = single(field, depth)?;
    Some(if field.is_list() { Value::List(vec![value]) } else { value })
}

fn single(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    let number = field.number() % 100 + 1;
    let signed = i32::try_from(number).ok()?;
    Some(match field.kind() {
        Kind::Double => Value::F64(f64::from(number) + 0.5),
        Kind::Float => Value::F32(signed as f32 + 0.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(-signed),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(-i64::from(signed)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::from(number)),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String(format!("a {}", field.name().replace('_', " "))),
        Kind::Bytes => Value::Bytes(vec![0, 255, u8::try_from(number).unwrap_or_default()].into()),
        Kind::Enum(enumeration) => Value::EnumNumber(enumeration.values().last()?.number()),
        Kind::Message(message) => Value::Message(sample(&message, depth.checked_sub(1)?)),
    })
}

fn map_key(field: &FieldDescriptor) -> MapKey {
    match field.kind() {
        Kind::Bool => MapKey::Bool(true),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(-7),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(-7),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(7),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(7),
        _ => MapKey::String("a key".to_owned()),
    }
}
