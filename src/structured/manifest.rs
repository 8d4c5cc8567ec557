//! Keys of `Cargo.toml`.

use std::fmt;
use std::str::FromStr;

use toml_edit::{Array, DocumentMut, Item, Key, Table, TableLike, Value};

use super::line_end;

/// A key that Potter writes into `Cargo.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A key with a value: `["dependencies", "potter"]` and `{ version = "0.1" }`, as TOML writes it.
    Key {
        /// The tables that lead to it, and its name.
        path: Vec<String>,
        /// The value, as TOML writes it.
        value: String,
    },
    /// An item of an array of strings: `["workspace", "members"]` and `sdk`.
    Item {
        /// The tables that lead to the array, and its name.
        path: Vec<String>,
        /// The string.
        item: String,
    },
}

/// A `Cargo.toml` that cannot be edited, or an entry that has no place in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedManifest(String);

impl Entry {
    /// A key with a value that is written in TOML.
    pub fn key(path: &[&str], value: &str) -> Self {
        Entry::Key { path: owned(path), value: value.to_owned() }
    }

    /// An item of an array of strings.
    pub fn item(path: &[&str], item: &str) -> Self {
        Entry::Item { path: owned(path), item: item.to_owned() }
    }

    fn path(&self) -> &[String] {
        match self {
            Entry::Key { path, .. } | Entry::Item { path, .. } => path,
        }
    }

    /// Whether both stand in the same place, whatever is there.
    fn same_place(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::Key { path, .. }, Entry::Key { path: other, .. }) => path == other,
            (Entry::Item { .. }, Entry::Item { .. }) => self == other,
            _ => false,
        }
    }
}

/// `dependencies.potter = "0.1"` for a key, `workspace.members += "sdk"` for an item.
impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<String> = self.path().iter().map(|it| Key::new(it).display_repr().into_owned()).collect();
        let path = path.join(".");
        match self {
            Entry::Key { value, .. } => write!(out, "{path} = {value}"),
            Entry::Item { item, .. } => write!(out, "{path} += {}", Value::from(item.as_str())),
        }
    }
}

impl FromStr for Entry {
    type Err = MalformedManifest;

    fn from_str(text: &str) -> Result<Self, MalformedManifest> {
        let wrong = || MalformedManifest(format!("`{text}` is no key with a value"));
        // The sign that comes first: the other one may be part of the value.
        let (item, key) = (text.split_once(" += "), text.split_once(" = "));
        let is_item = item.is_some_and(|(path, _)| key.is_none_or(|(other, _)| path.len() < other.len()));
        let (path, value) = if is_item { item } else { key }.ok_or_else(wrong)?;
        let path = Key::parse(path).map_err(|_| wrong())?.iter().map(|it| it.get().to_owned()).collect();
        match (is_item, parse(value)?) {
            (true, Value::String(item)) => Ok(Entry::Item { path, item: item.into_value() }),
            (true, _) => Err(wrong()),
            (false, _) => Ok(Entry::Key { path, value: value.to_owned() }),
        }
    }
}

/// The tables whose keys follow from the protos; everything else that Potter writes into a new `Cargo.toml` is only
/// where the user begins.
const FOLLOWING: [&[&str]; 3] = [&["dependencies"], &["workspace", "dependencies"], &["package", "name"]];

/// What Potter writes into a `Cargo.toml` that it proposes.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, MalformedManifest> {
    let mut document = document(text)?;
    let mut found = Vec::new();
    for path in FOLLOWING {
        let path = owned(path);
        let (name, tables) = path.split_last().expect("none of them is empty");
        if let Some(item) = find(document.as_table_mut(), tables).and_then(|it| it.get(name)) {
            take_apart(item, &path, true, &mut found);
        }
    }
    let members = owned(&["workspace", "members"]);
    if let Some(item) = find(document.as_table_mut(), &members[..1]).and_then(|it| it.get("members")) {
        take_apart(item, &members, false, &mut found);
    }
    Ok(found)
}

/// Arrays of strings and the tables around them are taken apart, so that items of the user's keep their place among
/// Potter's; other values are changed as a whole.
fn take_apart(item: &Item, path: &[String], is_outermost: bool, found: &mut Vec<Entry>) {
    let of = |name: &str| [path, &[name.to_owned()]].concat();
    if let Some(array) = item.as_array() {
        let items = array.iter().filter_map(Value::as_str);
        found.extend(items.map(|it| Entry::Item { path: path.to_vec(), item: it.to_owned() }));
    } else if let Some(table) = item.as_table_like().filter(|it| is_outermost || has_array(*it)) {
        table.iter().for_each(|(name, item)| take_apart(item, &of(name), false, found));
    } else if let Some(value) = item.as_value() {
        found.push(Entry::Key { path: path.to_vec(), value: value.to_string().trim().to_owned() });
    }
}

fn has_array(table: &dyn TableLike) -> bool {
    table.iter().any(|(_, item)| item.is_array())
}

/// Those of the entries that a text doesn't have as they are.
pub(super) fn missing(text: &str, entries: &[Entry]) -> Result<Vec<Entry>, MalformedManifest> {
    let mut document = document(text)?;
    let mut is_there = |entry: &Entry| {
        let Some((name, tables)) = entry.path().split_last() else { return true };
        let item = find(document.as_table_mut(), tables).and_then(|table| table.get(name));
        item.is_some_and(|there| match entry {
            Entry::Key { value, .. } => is_value(there, value),
            Entry::Item { item, .. } => {
                there.as_array().is_some_and(|it| it.iter().any(|it| it.as_str() == Some(item)))
            }
        })
    };
    Ok(entries.iter().filter(|entry| !is_there(entry)).cloned().collect())
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|it| (*it).to_owned()).collect()
}

/// The text with Potter's entries brought from `before` to `now`.
///
/// A value that is still the one of `before` is replaced or taken out; one that the user changed is the user's, and
/// stays. An entry that is new goes to the end of its table. A key that the user took out stays out. A
/// table that becomes empty stays, since its comments are the user's.
///
/// # Errors
///
/// The text is not TOML, or where an entry's table or array should be there is something else.
pub fn manifest(text: &str, before: &[Entry], now: &[Entry]) -> Result<String, MalformedManifest> {
    // What cargo can't read is told even if there is nothing to do.
    let mut document = document(text)?;
    if before == now {
        return Ok(text.to_owned());
    }
    let unedited = document.to_string();
    for old in before.iter().filter(|old| !now.iter().any(|it| it.same_place(old))) {
        remove(document.as_table_mut(), old)?;
    }
    for new in now {
        match before.iter().find(|it| it.same_place(new)) {
            Some(old) if old == new => {}
            Some(old) => replace(document.as_table_mut(), old, new)?,
            None => add(document.as_table_mut(), new)?,
        }
    }
    let edited = document.to_string();
    Ok(match edited == unedited {
        true => text.to_owned(),
        false if line_end(text) == "\r\n" => edited.replace("\r\n", "\n").replace('\n', "\r\n"),
        false => edited,
    })
}

fn remove(root: &mut Table, entry: &Entry) -> Result<(), MalformedManifest> {
    let Some((name, tables)) = entry.path().split_last() else { return Ok(()) };
    let Some(table) = find(root, tables) else { return Ok(()) };
    match entry {
        Entry::Key { value, .. } => {
            if table.get(name).is_some_and(|it| is_value(it, value)) {
                table.remove(name);
            }
        }
        Entry::Item { item, .. } => {
            if let Some(array) = table.get_mut(name).and_then(Item::as_array_mut) {
                take_out(array, item);
            }
        }
    }
    Ok(())
}

/// Takes an item out. A comment before it stays with what comes next.
fn take_out(array: &mut Array, item: &str) {
    array.retain(|it| it.as_str() != Some(item));
}

fn replace(root: &mut Table, old: &Entry, new: &Entry) -> Result<(), MalformedManifest> {
    let (Entry::Key { path, value: old }, Entry::Key { value: new, .. }) = (old, new) else { return Ok(()) };
    let Some((name, tables)) = path.split_last() else { return Ok(()) };
    let Some(item) = find(root, tables).and_then(|table| table.get_mut(name)) else { return Ok(()) };
    if is_value(item, old)
        && let Some(there) = item.as_value_mut()
    {
        let decor = there.decor().clone();
        *there = parse(new)?;
        *there.decor_mut() = decor;
    }
    Ok(())
}

fn add(root: &mut Table, entry: &Entry) -> Result<(), MalformedManifest> {
    let Some((name, tables)) = entry.path().split_last() else { return Ok(()) };
    let table = find_or_make(root, tables)?;
    match entry {
        Entry::Key { value, .. } => {
            if !table.contains_key(name) {
                table.insert(name, Item::Value(parse(value)?));
            }
            Ok(())
        }
        Entry::Item { item, .. } => {
            let array = table.entry(name).or_insert(Item::Value(Value::Array(Array::new())));
            let array = array.as_array_mut().ok_or_else(|| misplaced(entry.path(), "an array"))?;
            if !array.iter().any(|it| it.as_str() == Some(item)) {
                push(array, item);
            }
            Ok(())
        }
    }
}

/// Adds an item the way the others are written: on a line of its own if they are.
fn push(array: &mut Array, item: &str) {
    let prefix = array.iter().last().and_then(|it| it.decor().prefix()).and_then(|it| it.as_str()).unwrap_or_default();
    // A comment before the last item is not written again.
    let line = prefix.rfind('\n').map(|at| prefix[at..].to_owned());
    array.push(item);
    if let (Some(line), Some(last)) = (line, array.len().checked_sub(1).and_then(|it| array.get_mut(it))) {
        last.decor_mut().set_prefix(line);
    }
}

fn find<'a>(root: &'a mut Table, path: &[String]) -> Option<&'a mut dyn TableLike> {
    let mut table: &mut dyn TableLike = root;
    for name in path {
        table = table.get_mut(name)?.as_table_like_mut()?;
    }
    Some(table)
}

fn find_or_make<'a>(root: &'a mut Table, path: &[String]) -> Result<&'a mut dyn TableLike, MalformedManifest> {
    let mut table: &mut dyn TableLike = root;
    for (at, name) in path.iter().enumerate() {
        let last = at + 1 == path.len();
        let item = table.entry(name).or_insert_with(|| {
            let mut made = Table::new();
            // `[target.x.dependencies]` needs no `[target]` above it.
            made.set_implicit(!last);
            Item::Table(made)
        });
        table = item.as_table_like_mut().ok_or_else(|| misplaced(&path[..=at], "a table"))?;
    }
    Ok(table)
}

fn misplaced(path: &[String], expected: &str) -> MalformedManifest {
    MalformedManifest(format!("Cargo.toml: `{}` is not {expected}", path.join(".")))
}

/// The manifest, if it is one.
fn document(text: &str) -> Result<DocumentMut, MalformedManifest> {
    text.parse().map_err(|error| MalformedManifest(format!("Cargo.toml: {error}")))
}

fn parse(value: &str) -> Result<Value, MalformedManifest> {
    value.parse().map_err(|error| MalformedManifest(format!("`{value}` is no value in TOML: {error}")))
}

/// Whether a value means what `text` says, however it is written.
fn is_value(item: &Item, text: &str) -> bool {
    let (Ok(there), Ok(expected)) = (item.clone().into_value(), text.parse::<Value>()) else { return false };
    meaning(&there) == meaning(&expected)
}

/// A value in one spelling: keys sorted, no comments.
fn meaning(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("[{}]", array.iter().map(meaning).collect::<Vec<_>>().join(",")),
        Value::InlineTable(table) => {
            let mut keys: Vec<_> = table.iter().map(|(key, it)| format!("{key:?}={}", meaning(it))).collect();
            keys.sort();
            format!("{{{}}}", keys.join(","))
        }
        Value::String(it) => format!("{:?}", it.value()),
        Value::Integer(it) => it.value().to_string(),
        Value::Float(it) => format!("{:?}", it.value()),
        Value::Boolean(it) => it.value().to_string(),
        Value::Datetime(it) => it.value().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"# The shop.
[package]
name = "shop"   # ours

[workspace]
members = ["sdk", "tools/import"]

[dependencies]
# What it stands on.
potter = { version = "0.1", features = ["rest"] }
anyhow = "1"  # errors

[dependencies.serde]
version = "1"
"#;

    fn potter(features: &str) -> Entry {
        Entry::key(&["dependencies", "potter"], &format!("{{ version = \"0.1\", features = [{features}] }}"))
    }

    #[test]
    fn a_changed_value_is_replaced_and_nothing_else() {
        let edited = manifest(TEXT, &[potter("\"rest\"")], &[potter("\"rest\", \"grpc\"")]);
        assert_eq!(edited, Ok(TEXT.replace("[\"rest\"]", "[\"rest\", \"grpc\"]")));
    }

    #[test]
    fn what_the_user_changed_is_the_users() {
        let text = TEXT.replace("\"0.1\"", "\"0.1.7\"");
        assert_eq!(manifest(&text, &[potter("\"rest\"")], &[potter("\"grpc\"")]), Ok(text.clone()));
        assert_eq!(manifest(&text, &[potter("\"rest\"")], &[]), Ok(text));
    }

    #[test]
    fn the_same_value_in_another_spelling_is_still_potters() {
        let text = TEXT.replace(r#"{ version = "0.1", features = ["rest"] }"#, r#"{features=['rest'],version='0.1'}"#);
        let expected = TEXT.lines().filter(|it| !it.contains("potter") && !it.contains("stands")).count();
        let edited = manifest(&text, &[potter("\"rest\"")], &[]).expect("it can be edited");
        assert_eq!(edited.lines().filter(|it| !it.contains("stands")).count(), expected, "{edited}");
    }

    #[test]
    fn what_the_user_took_out_stays_out() {
        let old = Entry::key(&["dependencies", "tokio"], "\"1\"");
        let new = Entry::key(&["dependencies", "tokio"], "\"2\"");
        assert_eq!(manifest(TEXT, &[old], &[new]), Ok(TEXT.to_owned()));
    }

    #[test]
    fn a_new_key_goes_to_the_end_of_its_table() {
        let new = Entry::key(&["dependencies", "uuid"], "\"1\"");
        let expected = TEXT.replace("# errors\n", "# errors\nuuid = \"1\"\n");
        assert_eq!(manifest(TEXT, &[], &[new]), Ok(expected));
        let new = Entry::key(&["target", "cfg(unix)", "dependencies", "nix"], "\"1\"");
        let expected = format!("{TEXT}\n[target.\"cfg(unix)\".dependencies]\nnix = \"1\"\n");
        assert_eq!(manifest(TEXT, &[], &[new]), Ok(expected));
    }

    #[test]
    fn what_is_there_already_is_left_as_it_is() {
        let serde = Entry::key(&["dependencies", "serde"], "\"2\"");
        let sdk = Entry::item(&["workspace", "members"], "sdk");
        assert_eq!(manifest(TEXT, &[], &[serde, sdk]), Ok(TEXT.to_owned()));
    }

    #[test]
    fn items_come_and_go() {
        let member = |name: &str| Entry::item(&["workspace", "members"], name);
        let expected = TEXT.replace("\"tools/import\"]", "\"tools/import\", \"client\"]");
        assert_eq!(manifest(TEXT, &[], &[member("client")]), Ok(expected.clone()));
        assert_eq!(manifest(&expected, &[member("client")], &[]), Ok(TEXT.to_owned()));
        let lines = "[workspace]\nmembers = [\n  # Ours.\n  \"sdk\",\n]\n";
        let expected = "[workspace]\nmembers = [\n  # Ours.\n  \"sdk\",\n  \"client\",\n]\n";
        assert_eq!(manifest(lines, &[], &[member("client")]), Ok(expected.to_owned()));
    }

    #[test]
    fn crlf_is_kept() {
        let text = TEXT.replace('\n', "\r\n");
        let edited = manifest(&text, &[], &[Entry::key(&["dependencies", "uuid"], "\"1\"")]).expect("it can be edited");
        assert!(edited.contains("uuid = \"1\"\r\n"), "{edited:?}");
        assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
    }

    #[test]
    fn what_cannot_be_edited_is_said() {
        let new = [Entry::key(&["package", "name", "x"], "1")];
        assert_eq!(
            manifest(TEXT, &[], &new).expect_err("it is a string").to_string(),
            "Cargo.toml: `package.name` is not a table"
        );
        let new = [Entry::item(&["package", "name"], "x")];
        assert_eq!(
            manifest(TEXT, &[], &new).expect_err("it is a string").to_string(),
            "Cargo.toml: `package.name` is not an array"
        );
        assert!(manifest("[a", &[], &new).is_err());
        assert!(manifest(TEXT, &[], &[Entry::key(&["a"], "][")]).is_err());
    }

    fn keys() -> impl Strategy<Value = std::collections::BTreeMap<String, u8>> {
        prop::collection::btree_map("k[a-d]", 0_u8..3, 0..4)
    }

    proptest! {
        #[test]
        fn the_users_keys_and_comments_stay(
            user in prop::collection::btree_map("u[a-d]", "[0-9]{1,3}( # [a-z]{0,4})?", 0..4),
            (before, now) in (keys(), keys()),
        ) {
            let entries = |keys: &std::collections::BTreeMap<String, u8>| -> Vec<Entry> {
                keys.iter().map(|(key, it)| Entry::key(&["dependencies", key], &format!("\"{it}\""))).collect()
            };
            let ours: String = before.iter().map(|(key, it)| format!("{key} = \"{it}\"\n")).collect();
            let users: Vec<String> = user
                .iter()
                .map(|(key, it)| format!("{key} = 1{it}"))
                .collect();
            let text = format!("# Head.\n[dependencies]\n{}\n{ours}", users.join("\n"));
            let edited = manifest(&text, &entries(&before), &entries(&now)).expect("it can be edited");
            for line in ["# Head.".to_owned()].iter().chain(&users) {
                prop_assert!(edited.lines().any(|it| it == line), "{} in\n{}", line, edited);
            }
            let document: DocumentMut = edited.parse().expect("it is still TOML");
            let table = document["dependencies"].as_table().expect("the table is there");
            let left: std::collections::BTreeMap<_, _> =
                table.iter().filter(|(key, _)| key.starts_with('k')).map(|(key, it)| (key.to_owned(), it.as_str().unwrap_or_default().to_owned())).collect();
            prop_assert_eq!(left, now.iter().map(|(key, it)| (key.clone(), it.to_string())).collect());
            prop_assert_eq!(manifest(&edited, &entries(&now), &entries(&now)), Ok(edited.clone()));
        }

        #[test]
        fn no_text_makes_the_editor_panic(text in "(\\[|\\]|[a-c]|=|\"|\\.|\n|\\{|\\}|1){0,20}") {
            let entries = [Entry::key(&["a", "b"], "1"), Entry::item(&["a", "c"], "x")];
            let (first, rest) = entries.split_at(1);
            let _ = manifest(&text, first, rest);
            let _ = manifest(&text, rest, first);
        }
    }
}
