//! The text of shapes: printed in one way only, and read back without loss.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{
    Cardinality, EnumShape, FieldShape, MessageShape, Reserved, Scalar, Shape, TypeShape, Types, is_well_known,
};

/// Largest field number of protobuf.
const MAX_FIELD: u32 = 536_870_911;

/// A text that is no shape: where and what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct MalformedShape {
    /// Line of the text, from 1; the last one for what is missing at the end.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message(f, &self.message, self.root())?;
        let others = self.types.messages().filter(|(name, _)| *name != self.message);
        others.into_iter().try_for_each(|(name, message)| write_message(f, name, message))?;
        self.types.enums().try_for_each(|(name, it)| write_enum(f, name, it))
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.messages().try_for_each(|(name, message)| write_message(f, name, message))?;
        self.enums().try_for_each(|(name, it)| write_enum(f, name, it))
    }
}

fn write_message(f: &mut fmt::Formatter<'_>, name: &str, message: &MessageShape) -> fmt::Result {
    writeln!(f, "message .{name} {{")?;
    for (number, field) in &message.fields {
        writeln!(f, "  {number} {field}")?;
    }
    write_reserved(f, &message.reserved)
}

fn write_enum(f: &mut fmt::Formatter<'_>, name: &str, shape: &EnumShape) -> fmt::Result {
    writeln!(f, "enum .{name} {{")?;
    for (number, names) in &shape.values {
        writeln!(f, "  {number} {}", names.join(", "))?;
    }
    write_reserved(f, &shape.reserved)
}

fn write_reserved(f: &mut fmt::Formatter<'_>, reserved: &Reserved) -> fmt::Result {
    let ranges = reserved.ranges().iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    });
    let items: Vec<_> = ranges.chain(reserved.names().iter().cloned()).collect();
    if !items.is_empty() {
        writeln!(f, "  reserved {}", items.join(", "))?;
    }
    writeln!(f, "}}")
}

impl fmt::Display for FieldShape {
    /// The field without its number: `repeated .shop.Line lines`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cardinality {
            Cardinality::Implicit | Cardinality::Oneof(_) => write!(f, "{}", self.ty)?,
            Cardinality::Optional => write!(f, "optional {}", self.ty)?,
            Cardinality::Required => write!(f, "required {}", self.ty)?,
            Cardinality::Repeated => write!(f, "repeated {}", self.ty)?,
            Cardinality::Map(key) => write!(f, "map<{key}, {}>", self.ty)?,
        }
        write!(f, " {}", self.name)?;
        if let Cardinality::Oneof(oneof) = &self.cardinality {
            write!(f, " in {oneof}")?;
        }
        if self.json_name != default_json_name(&self.name) {
            write!(f, " json {}", quoted(&self.json_name))?;
        }
        match &self.default {
            Some(default) => write!(f, " default {}", quoted(default)),
            None => Ok(()),
        }
    }
}

/// The JSON name that protobuf derives: no underscores, the letter after one in upper case.
pub(crate) fn default_json_name(name: &str) -> String {
    let mut after_underscore = false;
    let mut json = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter == '_' {
            after_underscore = true;
            continue;
        }
        json.push(if after_underscore { letter.to_ascii_uppercase() } else { letter });
        after_underscore = false;
    }
    json
}

/// In quotes, with what would end the line or the string escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl FromStr for Shape {
    type Err = MalformedShape;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = Reader::new(text);
        let types = reader.types()?;
        match reader.first_message.take() {
            Some(message) => Ok(Shape { message, types }),
            None => Err(reader.wrong("a shape begins with `message .…`")),
        }
    }
}

impl FromStr for Types {
    type Err = MalformedShape;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Reader::new(text).types()
    }
}

serde_as_text!(Shape);

/// Reads a text line by line.
pub(crate) struct Reader<'a> {
    lines: std::str::Lines<'a>,
    line: usize,
    first_message: Option<String>,
}

impl<'a> Reader<'a> {
    /// Starts at the first line.
    pub fn new(text: &'a str) -> Self {
        Reader { lines: text.lines(), line: 0, first_message: None }
    }

    /// What is wrong with the line read last.
    pub fn wrong(&self, message: impl Into<String>) -> MalformedShape {
        MalformedShape { line: self.line.max(1), message: message.into() }
    }

    /// The words of the next line that has any.
    pub fn next(&mut self) -> Result<Option<Words>, MalformedShape> {
        loop {
            let Some(line) = self.lines.next() else { return Ok(None) };
            self.line += 1;
            let words = Words::of(line).map_err(|message| self.wrong(message))?;
            if !words.is_empty() {
                return Ok(Some(words));
            }
        }
    }

    fn types(&mut self) -> Result<Types, MalformedShape> {
        let mut types = Types::default();
        while let Some(mut words) = self.next()? {
            self.definition(&mut words, &mut types)?;
        }
        self.check_references(&types)?;
        Ok(types)
    }

    /// Reads a message or an enum, whose first line these words are.
    pub fn definition(&mut self, words: &mut Words, types: &mut Types) -> Result<(), MalformedShape> {
        let kind = words.take().unwrap_or_default();
        let name = words.full_name().and_then(|name| words.expect("{").and(words.end()).map(|()| name));
        let name = name.map_err(|message| self.wrong(message))?;
        if types.messages.contains_key(&name) || types.enums.contains_key(&name) {
            return Err(self.wrong(format!("`.{name}` is there already")));
        }
        match kind.as_str() {
            "message" => {
                let message = self.message()?;
                types.messages.insert(name.clone(), message);
                self.first_message.get_or_insert(name);
            }
            "enum" => {
                let shape = self.enumeration()?;
                types.enums.insert(name, shape);
            }
            other => return Err(self.wrong(format!("`message` or `enum` expected, not `{other}`"))),
        }
        Ok(())
    }

    fn message(&mut self) -> Result<MessageShape, MalformedShape> {
        let (entries, reserved) = self.body(|words| words.field())?;
        let mut fields = BTreeMap::new();
        for (line, (number, field)) in entries {
            if fields.insert(number, field).is_some() {
                return Err(MalformedShape { line, message: format!("field {number} is there already") });
            }
        }
        Ok(MessageShape { fields, reserved })
    }

    fn enumeration(&mut self) -> Result<EnumShape, MalformedShape> {
        let (entries, reserved) = self.body(|words| words.enum_value())?;
        let mut values = BTreeMap::new();
        for (line, (number, names)) in entries {
            if values.insert(number, names).is_some() {
                return Err(MalformedShape { line, message: format!("value {number} is there already") });
            }
        }
        Ok(EnumShape { values, reserved })
    }

    /// Reads entries with their lines, and at most one list of what is reserved, up to the closing brace.
    #[allow(clippy::type_complexity, reason = "both callers take the pair apart at once")]
    fn body<T>(
        &mut self,
        entry: impl Fn(&mut Words) -> Result<T, String>,
    ) -> Result<(Vec<(usize, T)>, Reserved), MalformedShape> {
        let (mut entries, mut reserved) = (Vec::new(), Reserved::default());
        loop {
            let Some(mut words) = self.next()? else { return Err(self.wrong("`}` is missing")) };
            let read = match words.peek() {
                Some("}") => {
                    words.take();
                    return words.end().map(|()| (entries, reserved)).map_err(|message| self.wrong(message));
                }
                Some("reserved") if reserved.is_empty() => words.reserved().map(|it| reserved = it),
                Some("reserved") => Err("`reserved` is there already".to_owned()),
                _ => entry(&mut words).map(|it| entries.push((self.line, it))),
            };
            read.and_then(|()| words.end()).map_err(|message| self.wrong(message))?;
        }
    }

    /// Refuses a field whose type is missing.
    pub fn check_references(&self, types: &Types) -> Result<(), MalformedShape> {
        let fields = types.messages.values().flat_map(|it| it.fields.values());
        for field in fields {
            let (name, known) = match &field.ty {
                TypeShape::Message(name) | TypeShape::Group(name) => (name, types.messages.contains_key(name)),
                TypeShape::Enum(name) => (name, types.enums.contains_key(name)),
                TypeShape::Scalar(_) => continue,
            };
            if !known && !is_well_known(name) {
                return Err(self.wrong(format!("`.{name}`, the type of `{}`, is missing", field.name)));
            }
        }
        Ok(())
    }
}

/// The words of a line: names, numbers, quoted strings, and the signs `{ } < > ,`.
pub(crate) struct Words {
    words: std::collections::VecDeque<Word>,
}

enum Word {
    Plain(String),
    Quoted(String),
}

impl Words {
    fn of(line: &str) -> Result<Self, String> {
        let mut words = std::collections::VecDeque::new();
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => {
                    let (text, length) = unquote(rest)?;
                    words.push_back(Word::Quoted(text));
                    length
                }
                _ => {
                    let ends = |it: char| it.is_whitespace() || is_sign(it) || it == '"';
                    let length = if is_sign(first) { 1 } else { rest.find(ends).unwrap_or(rest.len()) };
                    words.push_back(Word::Plain(rest[..length].to_owned()));
                    length
                }
            };
            rest = rest[length..].trim_start();
        }
        Ok(Words { words })
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The next word, if it is no string.
    pub fn peek(&self) -> Option<&str> {
        match self.words.front() {
            Some(Word::Plain(word)) => Some(word),
            Some(Word::Quoted(_)) | None => None,
        }
    }

    /// Takes the next word, if it is no string.
    pub fn take(&mut self) -> Option<String> {
        self.peek()?;
        match self.words.pop_front() {
            Some(Word::Plain(word)) => Some(word),
            Some(Word::Quoted(_)) | None => None,
        }
    }

    /// Takes the word if it is this one.
    pub fn take_if(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.words.pop_front();
        }
        found
    }

    /// Takes this word.
    pub fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.take_if(word) {
            true => Ok(()),
            false => Err(format!("`{word}` expected{}", self.found())),
        }
    }

    /// Refuses any more words.
    pub fn end(&self) -> Result<(), String> {
        match self.words.is_empty() {
            true => Ok(()),
            false => Err(format!("end of line expected{}", self.found())),
        }
    }

    fn found(&self) -> String {
        match self.words.front() {
            Some(Word::Plain(word)) => format!(", not `{word}`"),
            Some(Word::Quoted(_)) => ", not a string".to_owned(),
            None => String::new(),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek().is_some_and(is_identifier) {
            true => Ok(self.take().unwrap_or_default()),
            false => Err(format!("name expected{}", self.found())),
        }
    }

    /// A name with its package and a leading dot, given back without that dot.
    pub fn full_name(&mut self) -> Result<String, String> {
        let name = self.peek().and_then(|it| it.strip_prefix('.')).filter(|it| it.split('.').all(is_identifier));
        match name.map(str::to_owned) {
            Some(name) => {
                self.words.pop_front();
                Ok(name)
            }
            None => Err(format!("full name with a leading dot expected{}", self.found())),
        }
    }

    /// Takes a string, without its quotes.
    pub fn string(&mut self) -> Result<String, String> {
        match self.words.pop_front() {
            Some(Word::Quoted(text)) => Ok(text),
            Some(Word::Plain(word)) => Err(format!("string expected, not `{word}`")),
            None => Err("string expected".to_owned()),
        }
    }

    fn number<T: FromStr>(&mut self) -> Result<T, String> {
        match self.peek().and_then(|it| it.parse().ok()) {
            Some(number) => {
                self.words.pop_front();
                Ok(number)
            }
            None => Err(format!("number expected{}", self.found())),
        }
    }

    fn field(&mut self) -> Result<(u32, FieldShape), String> {
        let number = self.number::<u32>()?;
        if !(1..=MAX_FIELD).contains(&number) {
            return Err(format!("{number} is no field number"));
        }
        let (cardinality, ty) = self.cardinality_and_type()?;
        let name = self.name()?;
        let cardinality = match self.take_if("in") {
            true if cardinality != Cardinality::Implicit => {
                return Err("a field of a oneof has no label".to_owned());
            }
            true => Cardinality::Oneof(self.name()?),
            false => cardinality,
        };
        let json_name = if self.take_if("json") { self.string()? } else { default_json_name(&name) };
        let default = if self.take_if("default") { Some(self.string()?) } else { None };
        Ok((number, FieldShape { name, json_name, cardinality, ty, default }))
    }

    fn cardinality_and_type(&mut self) -> Result<(Cardinality, TypeShape), String> {
        let cardinality = match self.peek() {
            Some("optional") => Cardinality::Optional,
            Some("required") => Cardinality::Required,
            Some("repeated") => Cardinality::Repeated,
            Some("map") => return self.map(),
            _ => return Ok((Cardinality::Implicit, self.ty()?)),
        };
        self.words.pop_front();
        Ok((cardinality, self.ty()?))
    }

    fn map(&mut self) -> Result<(Cardinality, TypeShape), String> {
        self.expect("map")?;
        self.expect("<")?;
        let key = self.scalar()?;
        if !key.is_map_key() {
            return Err(format!("`{key}` cannot be the key of a map"));
        }
        self.expect(",")?;
        let ty = self.ty()?;
        self.expect(">")?;
        Ok((Cardinality::Map(key), ty))
    }

    fn ty(&mut self) -> Result<TypeShape, String> {
        match self.peek() {
            Some("enum") => {
                self.words.pop_front();
                self.full_name().map(TypeShape::Enum)
            }
            Some("group") => {
                self.words.pop_front();
                self.full_name().map(TypeShape::Group)
            }
            Some(word) if word.starts_with('.') => self.full_name().map(TypeShape::Message),
            _ => self.scalar().map(TypeShape::Scalar),
        }
    }

    fn scalar(&mut self) -> Result<Scalar, String> {
        match self.peek().and_then(Scalar::named) {
            Some(scalar) => {
                self.words.pop_front();
                Ok(scalar)
            }
            None => Err(format!("type expected{}", self.found())),
        }
    }

    fn enum_value(&mut self) -> Result<(i32, Vec<String>), String> {
        let number = self.number()?;
        let mut names = vec![self.name()?];
        while self.take_if(",") {
            names.push(self.name()?);
        }
        Ok((number, names))
    }

    fn reserved(&mut self) -> Result<Reserved, String> {
        self.expect("reserved")?;
        let (mut numbers, mut names) = (Vec::new(), Vec::new());
        loop {
            match self.peek().is_some_and(is_identifier) {
                true => names.push(self.name()?),
                false => numbers.push(self.range()?),
            }
            if !self.take_if(",") {
                return Ok(Reserved::new(numbers, names));
            }
        }
    }

    fn range(&mut self) -> Result<(i64, i64), String> {
        let first = self.number::<i64>()?;
        let last = if self.take_if("to") { self.number()? } else { first };
        match first <= last {
            true => Ok((first, last)),
            false => Err(format!("{first} to {last} is no range")),
        }
    }
}

fn is_sign(letter: char) -> bool {
    matches!(letter, '{' | '}' | '<' | '>' | ',')
}

fn is_identifier(word: &str) -> bool {
    !word.starts_with(|it: char| it.is_ascii_digit())
        && !word.is_empty()
        && word.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}

/// The string at the start of `text`, and how many bytes it takes with its quotes.
fn unquote(text: &str) -> Result<(String, usize), String> {
    let mut unquoted = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((unquoted, at + 1)),
            '\\' => unquoted.push(escaped(&mut letters)?),
            letter => unquoted.push(letter),
        }
    }
    Err("a string has no end".to_owned())
}

fn escaped(letters: &mut impl Iterator<Item = (usize, char)>) -> Result<char, String> {
    let unknown = || "unknown escape in a string".to_owned();
    match letters.next().map(|(_, letter)| letter) {
        Some(letter @ ('"' | '\\')) => Ok(letter),
        Some('u') => {
            let code: String =
                letters.map(|(_, it)| it).skip_while(|it| *it == '{').take_while(|it| *it != '}').collect();
            u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}
