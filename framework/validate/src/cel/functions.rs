//! What the operators and functions do. Which there are, and what they take, says [`super::signatures`].
//!
//! The checker has seen to the types, but a `dyn` shows its type at run time only: so every function looks once more.

use std::borrow::Cow;
use std::collections::HashSet;

use super::time::{Calendar, Duration, Timestamp};
use super::value::{List, Map, Value};
use super::{Error, format, regex};
use crate::formats;

fn mismatch<T>(name: &str, args: &[Value<'_>]) -> Result<T, Error> {
    let types: Vec<_> = args.iter().map(Value::type_name).collect();
    Err(Error::new(format!("`{name}` does not take ({})", types.join(", "))))
}

fn overflow() -> Error {
    Error::new("the number is out of range")
}

pub(super) fn not<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Bool(it)] => Ok(Value::Bool(!it)),
        args => mismatch("!", args),
    }
}

pub(super) fn negate<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(it)] => it.checked_neg().map(Value::Int).ok_or_else(overflow),
        [Value::Double(it)] => Ok(Value::Double(-it)),
        args => mismatch("-", args),
    }
}

pub(super) fn ordered<'a>(args: &[Value<'a>], holds: fn(std::cmp::Ordering) -> bool) -> Result<Value<'a>, Error> {
    match args {
        [a, b] => match a.compare(b) {
            Some(order) => Ok(Value::Bool(holds(order))),
            // A NaN is neither less nor greater; anything else cannot be compared at all.
            None if matches!((a, b), (Value::Double(_), _) | (_, Value::Double(_))) => Ok(Value::Bool(false)),
            None => mismatch("<", args),
        },
        args => mismatch("<", args),
    }
}

pub(super) fn add<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        [Value::Uint(a), Value::Uint(b)] => a.checked_add(*b).map(Value::Uint).ok_or_else(overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a + b)),
        [Value::String(a), Value::String(b)] => Ok(Value::String(format!("{a}{b}").into())),
        [Value::Bytes(a), Value::Bytes(b)] => Ok(Value::Bytes([a.as_ref(), b.as_ref()].concat().into())),
        [Value::List(a), Value::List(b)] => Ok(Value::List(List::Values(a.iter().chain(b.iter()).collect()))),
        [Value::Duration(a), Value::Duration(b)] => Ok(Value::Duration(a.plus(*b))),
        [Value::Timestamp(at), Value::Duration(by)] | [Value::Duration(by), Value::Timestamp(at)] => {
            Ok(Value::Timestamp(at.plus(*by)))
        }
        args => mismatch("+", args),
    }
}

pub(super) fn subtract<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_sub(*b).map(Value::Int).ok_or_else(overflow),
        [Value::Uint(a), Value::Uint(b)] => a.checked_sub(*b).map(Value::Uint).ok_or_else(overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a - b)),
        [Value::Duration(a), Value::Duration(b)] => Ok(Value::Duration(a.minus(*b))),
        [Value::Timestamp(at), Value::Duration(by)] => Ok(Value::Timestamp(at.minus(*by))),
        [Value::Timestamp(a), Value::Timestamp(b)] => Ok(Value::Duration(a.since(*b))),
        // The sign and the difference share their symbol, and a `dyn` may lead here from either.
        [_] => negate(args),
        args => mismatch("-", args),
    }
}

pub(super) fn multiply<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_mul(*b).map(Value::Int).ok_or_else(overflow),
        [Value::Uint(a), Value::Uint(b)] => a.checked_mul(*b).map(Value::Uint).ok_or_else(overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a * b)),
        args => mismatch("*", args),
    }
}

pub(super) fn divide<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(Error::new("division by zero")),
        [Value::Int(a), Value::Int(b)] => a.checked_div(*b).map(Value::Int).ok_or_else(overflow),
        [Value::Uint(a), Value::Uint(b)] => a.checked_div(*b).map(Value::Uint).ok_or_else(overflow),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a / b)),
        args => mismatch("/", args),
    }
}

pub(super) fn remainder<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(Error::new("division by zero")),
        [Value::Int(a), Value::Int(b)] => a.checked_rem(*b).map(Value::Int).ok_or_else(overflow),
        [Value::Uint(a), Value::Uint(b)] => a.checked_rem(*b).map(Value::Uint).ok_or_else(overflow),
        args => mismatch("%", args),
    }
}

pub(super) fn size<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(count(match args {
        [Value::String(it)] => it.chars().count(),
        [Value::Bytes(it)] => it.len(),
        [Value::List(it)] => it.len(),
        [Value::Map(it)] => it.len(),
        args => return mismatch("size", args),
    }))
}

fn count(number: usize) -> Value<'static> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn to_bool<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Bool(it)] => Ok(Value::Bool(*it)),
        [Value::String(it)] => match it.as_ref() {
            "1" | "t" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            other => Err(Error::new(format!("`{other}` is not a bool"))),
        },
        args => mismatch("bool", args),
    }
}

pub(super) fn to_int<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Timestamp(it)] => Ok(Value::Int(it.seconds())),
        [Value::String(it)] => it.parse().map(Value::Int).map_err(|_| Error::new(format!("`{it}` is not an int"))),
        [it] => i64::try_from(whole("int", it)?).map(Value::Int).map_err(|_| overflow()),
        args => mismatch("int", args),
    }
}

pub(super) fn to_uint<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(it)] => it.parse().map(Value::Uint).map_err(|_| Error::new(format!("`{it}` is not a uint"))),
        [it] => u64::try_from(whole("uint", it)?).map(Value::Uint).map_err(|_| overflow()),
        args => mismatch("uint", args),
    }
}

fn whole(name: &str, value: &Value<'_>) -> Result<i128, Error> {
    match value {
        Value::Int(it) => Ok(i128::from(*it)),
        Value::Uint(it) => Ok(i128::from(*it)),
        #[allow(clippy::cast_possible_truncation, reason = "towards zero as CEL prescribes; out of range it saturates")]
        Value::Double(it) if !it.is_nan() => Ok(*it as i128),
        Value::Double(_) => Err(overflow()),
        other => mismatch(name, std::slice::from_ref(other)),
    }
}

pub(super) fn to_double<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Double(it)] => Ok(Value::Double(*it)),
        #[allow(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
        [Value::Int(it)] => Ok(Value::Double(*it as f64)),
        #[allow(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
        [Value::Uint(it)] => Ok(Value::Double(*it as f64)),
        [Value::String(it)] => it.parse().map(Value::Double).map_err(|_| Error::new(format!("`{it}` is not a number"))),
        args => mismatch("double", args),
    }
}

pub(super) fn to_string<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::String(match args {
        [Value::String(it)] => it.clone(),
        [Value::Bytes(it)] => match std::str::from_utf8(it) {
            Ok(text) => text.to_owned().into(),
            Err(_) => return Err(Error::new("the bytes are not UTF-8")),
        },
        [
            it @ (Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::Timestamp(_)
            | Value::Duration(_)),
        ] => format::text(it)?.into(),
        args => return mismatch("string", args),
    }))
}

pub(super) fn to_bytes<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Bytes(it)] => Ok(Value::Bytes(it.clone())),
        [Value::String(Cow::Borrowed(it))] => Ok(Value::Bytes(Cow::Borrowed(it.as_bytes()))),
        [Value::String(it)] => Ok(Value::Bytes(it.as_bytes().to_vec().into())),
        args => mismatch("bytes", args),
    }
}

pub(super) fn to_duration<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Duration(it)] => Ok(Value::Duration(*it)),
        [Value::String(it)] => Duration::parse(it).map(Value::Duration),
        args => mismatch("duration", args),
    }
}

pub(super) fn to_timestamp<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Timestamp(it)] => Ok(Value::Timestamp(*it)),
        [Value::String(it)] => Timestamp::parse(it).map(Value::Timestamp),
        [Value::Int(it)] => Ok(Value::Timestamp(Timestamp::new(*it, 0))),
        args => mismatch("timestamp", args),
    }
}

pub(super) fn contains<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(match args {
        [Value::String(text), Value::String(part)] => text.contains(part.as_ref()),
        [Value::Bytes(_), Value::Bytes(part)] if part.is_empty() => true,
        [Value::Bytes(bytes), Value::Bytes(part)] => bytes.windows(part.len()).any(|window| window == part.as_ref()),
        args => return mismatch("contains", args),
    }))
}

pub(super) fn starts_with<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(match args {
        [Value::String(text), Value::String(part)] => text.starts_with(part.as_ref()),
        [Value::Bytes(bytes), Value::Bytes(part)] => bytes.starts_with(part),
        args => return mismatch("startsWith", args),
    }))
}

pub(super) fn ends_with<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(match args {
        [Value::String(text), Value::String(part)] => text.ends_with(part.as_ref()),
        [Value::Bytes(bytes), Value::Bytes(part)] => bytes.ends_with(part),
        args => return mismatch("endsWith", args),
    }))
}

/// With a pattern that is computed; a constant one was compiled by the checker.
pub(super) fn matches<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(text), Value::String(pattern)] => Ok(Value::Bool(regex::compile(pattern)?.is_match(text))),
        args => mismatch("matches", args),
    }
}

pub(super) fn calendar<'a>(args: &[Value<'a>], get: fn(&Calendar) -> i64) -> Result<Value<'a>, Error> {
    let (at, zone) = match args {
        [Value::Timestamp(at)] => (at, None),
        [Value::Timestamp(at), Value::String(zone)] => (at, Some(zone.as_ref())),
        args => return mismatch("this function of a time", args),
    };
    Ok(Value::Int(get(&at.calendar(zone)?)))
}

/// Of a time the part that the clock shows, of a duration all of it in that unit.
pub(super) fn clock<'a>(args: &[Value<'a>], unit: i64, get: fn(&Calendar) -> i64) -> Result<Value<'a>, Error> {
    match args {
        [Value::Duration(it)] => Ok(Value::Int(it.whole(unit))),
        args => calendar(args, get),
    }
}

/// The part below a second, of durations too: the specification says so and regrets it.
pub(super) fn milliseconds<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Duration(it)] => Ok(Value::Int(it.whole(1_000_000) % 1000)),
        args => calendar(args, |it| i64::from(it.nanos / 1_000_000)),
    }
}

pub(super) fn text<'a>(args: &[Value<'a>], convert: fn(&str) -> String) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(it)] => Ok(Value::String(convert(it).into())),
        args => mismatch("this function of a string", args),
    }
}

pub(super) fn test<'a>(args: &[Value<'a>], holds: fn(&str) -> bool) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(it)] => Ok(Value::Bool(holds(it))),
        args => mismatch("this function of a string", args),
    }
}

/// The byte where a character begins; the end counts as one.
fn offset(text: &str, character: i64) -> Result<usize, Error> {
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let index = usize::try_from(character).ok();
    let found = index.and_then(|index| ends.into_iter().nth(index));
    found.ok_or_else(|| Error::new(format!("the string has no character {character}")))
}

pub(super) fn char_at<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(text), Value::Int(at)] => {
            let found = text[offset(text, *at)?..].chars().next();
            Ok(Value::String(found.map(String::from).unwrap_or_default().into()))
        }
        args => mismatch("charAt", args),
    }
}

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Forwards,
    Backwards,
}

pub(super) fn index_of<'a>(args: &[Value<'a>], direction: Direction) -> Result<Value<'a>, Error> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, Some(offset(text, *from)?)),
        args => return mismatch("indexOf", args),
    };
    let found = match direction {
        Direction::Forwards => {
            let from = from.unwrap_or(0);
            text[from..].find(part.as_ref()).map(|at| at + from)
        }
        // The last one that does not begin behind `from`.
        Direction::Backwards => {
            let end = from.map_or(text.len(), |from| from.saturating_add(part.len()).min(text.len()));
            text.get(..end).unwrap_or(text).rfind(part.as_ref())
        }
    };
    Ok(found.map_or(Value::Int(-1), |at| count(text[..at].chars().count())))
}

pub(super) fn join<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (list, separator) = match args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, separator.as_ref()),
        args => return mismatch("join", args),
    };
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(item) = item else {
            return mismatch("join", args);
        };
        joined.push_str(if index == 0 { "" } else { separator });
        joined.push_str(&item);
    }
    Ok(Value::String(joined.into()))
}

pub(super) fn replace<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let replaced = match args {
        [Value::String(text), Value::String(from), Value::String(to)] => text.replace(from.as_ref(), to),
        [Value::String(text), Value::String(from), Value::String(to), Value::Int(limit)] => {
            match usize::try_from(*limit) {
                Ok(limit) => text.replacen(from.as_ref(), to, limit),
                // Below zero: all of them.
                Err(_) => text.replace(from.as_ref(), to),
            }
        }
        args => return mismatch("replace", args),
    };
    Ok(Value::String(replaced.into()))
}

pub(super) fn split<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, separator, limit) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator.as_ref(), -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => (text, separator.as_ref(), *limit),
        args => return mismatch("split", args),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<String> = match separator {
        // Rust would find an empty string at both ends as well.
        "" => {
            let head = text.chars().take(limit.saturating_sub(1)).map(String::from);
            let rest: String = text.chars().skip(limit.saturating_sub(1)).collect();
            head.chain((limit > 0 && !rest.is_empty()).then_some(rest)).collect()
        }
        separator => text.splitn(limit, separator).map(str::to_owned).collect(),
    };
    Ok(Value::List(List::Values(parts.into_iter().map(|part| Value::String(part.into())).collect())))
}

pub(super) fn substring<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, offset(text, *start)?, text.len()),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, offset(text, *start)?, offset(text, *end)?),
        args => return mismatch("substring", args),
    };
    match text.get(start..end) {
        Some(part) => Ok(Value::String(part.to_owned().into())),
        None => Err(Error::new("a substring cannot end before it starts")),
    }
}

pub(super) fn format_list<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(template), Value::List(values)] => Ok(Value::String(format::format(template, values)?.into())),
        args => mismatch("format", args),
    }
}

pub(super) fn get_field<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Message(message), Value::String(name)] => match message.descriptor().get_field_by_name(name) {
            Some(field) => Ok(message.get(&field)),
            None => Err(Error::new(format!("{} has no field `{name}`", message.descriptor().full_name()))),
        },
        args => mismatch("getField", args),
    }
}

pub(super) fn is_nan<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::Double(it)] => Ok(Value::Bool(it.is_nan())),
        args => mismatch("isNan", args),
    }
}

pub(super) fn is_inf<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (value, sign) = match args {
        [Value::Double(it)] => (it, 0),
        [Value::Double(it), Value::Int(sign)] => (it, sign.signum()),
        args => return mismatch("isInf", args),
    };
    Ok(Value::Bool(match sign {
        0 => value.is_infinite(),
        1 => *value == f64::INFINITY,
        _ => *value == f64::NEG_INFINITY,
    }))
}

/// What makes two list elements the same; numbers of different kinds are different.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(u64),
    String(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

pub(super) fn unique<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let [Value::List(list)] = args else {
        return mismatch("unique", args);
    };
    let mut seen = HashSet::with_capacity(list.len());
    for item in list.iter() {
        let key = match item {
            Value::Bool(it) => Key::Bool(it),
            Value::Int(it) => Key::Int(it),
            Value::Uint(it) => Key::Uint(it),
            // A NaN equals nothing, not even another one.
            Value::Double(it) if it.is_nan() => continue,
            // Adding zero makes -0.0 the same as 0.0.
            Value::Double(it) => Key::Double((it + 0.0).to_bits()),
            Value::String(it) => Key::String(it),
            Value::Bytes(it) => Key::Bytes(it),
            other => return mismatch("unique", &[other]),
        };
        if !seen.insert(key) {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

pub(super) fn is_ip<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(it)] => Ok(Value::Bool(formats::is_ip(it, 0))),
        [Value::String(it), Value::Int(version)] => Ok(Value::Bool(formats::is_ip(it, *version))),
        args => mismatch("isIp", args),
    }
}

pub(super) fn is_ip_prefix<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let (text, version, strict) = match args {
        [Value::String(it)] => (it, 0, false),
        [Value::String(it), Value::Int(version)] => (it, *version, false),
        [Value::String(it), Value::Bool(strict)] => (it, 0, *strict),
        [Value::String(it), Value::Int(version), Value::Bool(strict)] => (it, *version, *strict),
        args => return mismatch("isIpPrefix", args),
    };
    Ok(Value::Bool(formats::is_ip_prefix(text, version, strict)))
}

pub(super) fn is_host_and_port<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [Value::String(it), Value::Bool(required)] => Ok(Value::Bool(formats::is_host_and_port(it, *required))),
        args => mismatch("isHostAndPort", args),
    }
}

/// `a == b`, for any two types.
pub(super) fn equal<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(matches!(args, [a, b] if a == b)))
}

/// `a != b`
pub(super) fn unequal<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(matches!(args, [a, b] if a != b)))
}

/// `a in b`: an element of a list or a key of a map.
pub(super) fn is_in<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    match args {
        [item, Value::List(list)] => Ok(Value::Bool(list.iter().any(|it| it == *item))),
        [key, Value::Map(map)] => Ok(Value::Bool(map.get(key).is_some())),
        args => mismatch("in", args),
    }
}

/// `a[b]`
pub(super) fn index<'a>(args: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let absent =
        |what: &str, it: &Value<'_>| Error::new(format!("there is no {what} {}", format::text(it).unwrap_or_default()));
    match args {
        [Value::List(list), at @ (Value::Int(_) | Value::Uint(_) | Value::Double(_))] => {
            let index = whole("[]", at).ok().and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| list.get(index)).ok_or_else(|| absent("element", at))
        }
        [Value::Map(map), key] => map.get(key).ok_or_else(|| absent("key", key)),
        // What `dyn(rules)['in']` needs, in the files of early protovalidate versions.
        [Value::Message(_), Value::String(_)] => get_field(args),
        args => mismatch("[]", args),
    }
}

/// The keys of a map or the elements of a list: what `all` and its relatives walk over.
pub(super) fn elements<'a>(range: Value<'a>) -> Result<Box<dyn Iterator<Item = Value<'a>> + 'a>, Error> {
    match range {
        Value::List(List::Field(it)) => Ok(Box::new(it.iter().map(Value::of))),
        Value::List(List::Values(it)) => Ok(Box::new((0..it.len()).filter_map(move |index| it.get(index).cloned()))),
        Value::Map(Map::Field(it)) => Ok(Box::new(it.keys().map(Value::of_key))),
        Value::Map(Map::Entries(it)) => {
            Ok(Box::new((0..it.len()).filter_map(move |index| it.get(index).map(|(key, _)| key.clone()))))
        }
        other => Err(Error::new(format!("{} has no elements", other.type_name()))),
    }
}
