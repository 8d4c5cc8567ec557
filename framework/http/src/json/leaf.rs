//! Scalars, from JSON values and from the text of paths and query strings.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{EnumDescriptor, Kind, MapKey, Value};

use super::tree::{Json, Number};

/// Why a value doesn't fit its field.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Name of the rule in the violation.
    pub(crate) rule: &'static str,
    /// For people.
    pub(crate) message: String,
}

impl Wrong {
    pub(crate) fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self { rule, message: message.into() }
    }

    pub(crate) fn ty(wanted: &str, found: &Json<'_>) -> Self {
        Self::new("type", format!("must be {wanted}, not {}", found.kind()))
    }

    fn format(wanted: &str) -> Self {
        Self::new("format", format!("must be {wanted}"))
    }

    fn range(wanted: &str) -> Self {
        Self::new("range", format!("is out of range: must be {wanted}"))
    }
}

/// A scalar or an enum; messages are read elsewhere.
pub(crate) fn scalar(kind: &Kind, json: &Json<'_>) -> Result<Value, Wrong> {
    match kind {
        Kind::Bool => match json {
            Json::Bool(value) => Ok(Value::Bool(*value)),
            other => Err(Wrong::ty("a boolean", other)),
        },
        Kind::String => match json {
            Json::Text(text) => Ok(Value::String(text.to_string())),
            other => Err(Wrong::ty("a string", other)),
        },
        Kind::Bytes => match json {
            Json::Text(text) => bytes(text),
            other => Err(Wrong::ty("a string in base64", other)),
        },
        Kind::Enum(ty) => enumeration(ty, json),
        Kind::Float | Kind::Double => float(kind, json),
        Kind::Message(ty) => Err(Wrong::new("type", format!("{} is not a scalar", ty.full_name()))),
        _ => integer(json).and_then(|number| sized(kind, number)),
    }
}

/// A scalar or an enum as it is written in a path or a query string.
pub(crate) fn scalar_from_text(kind: &Kind, text: &str) -> Result<Value, Wrong> {
    match kind {
        Kind::Bool => match text {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(Wrong::format("true or false")),
        },
        Kind::Enum(ty) => match text.parse() {
            Ok(number) => Ok(Value::EnumNumber(number)),
            Err(_) => enumeration(ty, &Json::Text(text.into())),
        },
        _ => scalar(kind, &Json::Text(text.into())),
    }
}

/// The key of a map's entry.
pub(crate) fn map_key(kind: &Kind, text: &str) -> Result<MapKey, Wrong> {
    let key = match kind {
        // `1` is a bool in a query string, but not here.
        Kind::Bool => match text {
            "true" => Some(MapKey::Bool(true)),
            "false" => Some(MapKey::Bool(false)),
            _ => None,
        },
        _ => scalar(kind, &Json::Text(text.into()))?.into_map_key(),
    };
    key.ok_or_else(|| Wrong::new("format", format!("`{text}` is not a key of this map")))
}

fn bytes(text: &str) -> Result<Value, Wrong> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
    const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);
    let engine = if text.contains(['-', '_']) { FOR_URLS } else { PLAIN };
    engine
        .decode(text)
        .map(|bytes| Value::Bytes(bytes.into()))
        .map_err(|error| Wrong::new("format", format!("must be base64: {error}")))
}

fn enumeration(ty: &EnumDescriptor, json: &Json<'_>) -> Result<Value, Wrong> {
    match json {
        Json::Text(name) => match ty.get_value_by_name(name) {
            Some(value) => Ok(Value::EnumNumber(value.number())),
            None => Err(Wrong::new("enum", format!("`{name}` is not a value of {}", ty.full_name()))),
        },
        Json::Number(_) => integer(json).and_then(|number| match i32::try_from(number) {
            Ok(number) => Ok(Value::EnumNumber(number)),
            Err(_) => Err(Wrong::range("a 32-bit number")),
        }),
        other => Err(Wrong::ty("the name of an enum value", other)),
    }
}

fn float(kind: &Kind, json: &Json<'_>) -> Result<Value, Wrong> {
    let wide = match json {
        Json::Number(number) => number.as_float(),
        Json::Text(text) => match text.as_ref() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            text => finite(text).ok_or_else(|| Wrong::format("a number"))?,
        },
        other => return Err(Wrong::ty("a number", other)),
    };
    if matches!(kind, Kind::Double) {
        return Ok(Value::F64(wide));
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is what is asked for")]
    let narrow = wide as f32;
    match narrow.is_infinite() && wide.is_finite() {
        true => Err(Wrong::range("a single-precision number")),
        false => Ok(Value::F32(narrow)),
    }
}

/// Whole numbers come as numbers or as strings; `1e3` and `1.0` are whole.
fn integer(json: &Json<'_>) -> Result<i128, Wrong> {
    match json {
        Json::Number(Number::Unsigned(number)) => Ok(i128::from(*number)),
        Json::Number(Number::Signed(number)) => Ok(i128::from(*number)),
        Json::Number(Number::Float(number)) => whole(*number),
        Json::Text(text) => match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(number),
            _ => finite(text).ok_or_else(|| Wrong::format("a whole number")).and_then(whole),
        },
        other => Err(Wrong::ty("a whole number", other)),
    }
}

fn whole(number: f64) -> Result<i128, Wrong> {
    match number.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates, far outside of any field's range")]
        true => Ok(number as i128),
        false => Err(Wrong::format("a whole number")),
    }
}

/// A number as JSON writes it; `f64::from_str` alone takes `inf` and `+1` as well.
fn finite(text: &str) -> Option<f64> {
    serde_json::from_str::<f64>(text).ok().filter(|_| !text.contains(char::is_whitespace))
}

fn sized(kind: &Kind, number: i128) -> Result<Value, Wrong> {
    let fits = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => i32::try_from(number).ok().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => i64::try_from(number).ok().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => u32::try_from(number).ok().map(Value::U32),
        _ => u64::try_from(number).ok().map(Value::U64),
    };
    fits.ok_or_else(|| {
        Wrong::range(match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a signed 32-bit number",
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a signed 64-bit number",
            Kind::Uint32 | Kind::Fixed32 => "an unsigned 32-bit number",
            _ => "an unsigned 64-bit number",
        })
    })
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "that is what a floating-point field means")]
    pub(crate) fn as_float(self) -> f64 {
        match self {
            Self::Unsigned(number) => number as f64,
            Self::Signed(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}
