//! `'at least %d'.format([rules.min])`: the texts of violations.

use std::fmt::Write;

use super::Error;
use super::value::{List, Value};

/// Fills `template`'s clauses `%s %d %f %e %b %o %x %X` from `values`, in order; `%%` is a percent sign.
pub(super) fn format(template: &str, values: &List<'_>) -> Result<String, Error> {
    let mut formatted = String::with_capacity(template.len());
    let mut values = values.iter();
    let mut rest = template;
    while let Some((before, clause)) = rest.split_once('%') {
        formatted.push_str(before);
        rest = match clause.strip_prefix('%') {
            Some(rest) => {
                formatted.push('%');
                rest
            }
            None => fill(clause, &mut values, &mut formatted)?,
        };
    }
    formatted.push_str(rest);
    Ok(formatted)
}

fn fill<'t>(
    clause: &'t str,
    values: &mut dyn Iterator<Item = Value<'_>>,
    formatted: &mut String,
) -> Result<&'t str, Error> {
    let (precision, clause) = match clause.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let precision = rest[..end].parse().ok().filter(|&it: &usize| it <= 1000);
            (precision.ok_or_else(|| Error::new("the precision is not a number up to 1000"))?, &rest[end..])
        }
        None => (6, clause),
    };
    let mut chars = clause.chars();
    let verb = chars.next().ok_or_else(|| Error::new("`%` at the end formats nothing"))?;
    let value = values.next().ok_or_else(|| Error::new(format!("there is no value for `%{verb}`")))?;
    formatted.push_str(&one(verb, precision, &value)?);
    Ok(chars.as_str())
}

fn one(verb: char, precision: usize, value: &Value<'_>) -> Result<String, Error> {
    match (verb, value) {
        ('s', value) => text(value),
        ('d', Value::Int(_) | Value::Uint(_) | Value::Double(_)) => text(value),
        ('f' | 'e', Value::Double(it)) if !it.is_finite() => text(value),
        ('f', value) => Ok(format!("{:.precision$}", double(verb, value)?)),
        ('e', value) => Ok(exponent(&format!("{:.precision$e}", double(verb, value)?))),
        ('b', Value::Bool(it)) => Ok(u8::from(*it).to_string()),
        ('b' | 'o' | 'x' | 'X', Value::Int(it)) => {
            let sign = if *it < 0 { "-" } else { "" };
            Ok(format!("{sign}{}", radix(verb, it.unsigned_abs())))
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(it)) => Ok(radix(verb, *it)),
        ('x' | 'X', Value::String(it)) => Ok(hex(verb, it.as_bytes())),
        ('x' | 'X', Value::Bytes(it)) => Ok(hex(verb, it)),
        ('d' | 'b' | 'o' | 'x' | 'X', value) => unformattable(verb, value),
        (verb, _) => Err(Error::new(format!("`%{verb}` is not a clause of `format`"))),
    }
}

fn unformattable<T>(verb: char, value: &Value<'_>) -> Result<T, Error> {
    Err(Error::new(format!("`%{verb}` cannot format {}", value.type_name())))
}

fn double(verb: char, value: &Value<'_>) -> Result<f64, Error> {
    #[allow(clippy::cast_precision_loss, reason = "it is about to be rounded to a few digits anyway")]
    match value {
        Value::Double(it) => Ok(*it),
        Value::Int(it) => Ok(*it as f64),
        Value::Uint(it) => Ok(*it as f64),
        other => unformattable(verb, other),
    }
}

/// Rust writes `1.5e4` and `1.5e-4`, C and Go `1.5e+04` and `1.5e-04`.
fn exponent(rust: &str) -> String {
    let (mantissa, exponent) = rust.split_once('e').unwrap_or((rust, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn radix(verb: char, number: u64) -> String {
    match verb {
        'b' => format!("{number:b}"),
        'o' => format!("{number:o}"),
        'X' => format!("{number:X}"),
        _ => format!("{number:x}"),
    }
}

fn hex(verb: char, bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let written = if verb == 'X' { write!(hex, "{byte:02X}") } else { write!(hex, "{byte:02x}") };
        written.expect("writing to a string cannot fail");
    }
    hex
}

/// A value as `%s` shows it.
pub(super) fn text(value: &Value<'_>) -> Result<String, Error> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(it) => it.to_string(),
        Value::Int(it) => it.to_string(),
        Value::Uint(it) => it.to_string(),
        Value::Double(it) if it.is_infinite() => format!("{}Infinity", if *it < 0.0 { "-" } else { "" }),
        Value::Double(it) => it.to_string(),
        Value::String(it) => it.clone().into_owned(),
        Value::Bytes(it) => String::from_utf8_lossy(it).into_owned(),
        Value::Duration(it) => it.to_string(),
        Value::Timestamp(it) => it.to_string(),
        Value::Type(it) => it.clone().into_owned(),
        Value::List(it) => {
            let items = it.iter().map(|item| text(&item)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Map(it) => {
            let entry = |(key, value)| Ok(format!("{}: {}", text(&key)?, text(&value)?));
            let mut entries = it.entries().map(entry).collect::<Result<Vec<_>, Error>>()?;
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Message(it) => return Err(Error::new(format!("a {} has no text", it.descriptor().full_name()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(template: &str, values: Vec<Value<'static>>) -> Result<String, String> {
        format(template, &List::Values(values.into())).map_err(|error| error.to_string())
    }

    #[test]
    fn every_clause_formats() {
        let double = Value::Double;
        for (template, value, expected) in [
            ("%s", Value::Int(-1), "-1"),
            ("%s", double(1.0), "1"),
            ("%s", double(1e21), "1000000000000000000000"),
            ("%s", double(f64::NEG_INFINITY), "-Infinity"),
            ("%d", Value::Uint(7), "7"),
            ("%d", double(f64::NAN), "NaN"),
            ("%f", double(1.5), "1.500000"),
            ("%.2f", Value::Int(1), "1.00"),
            ("%e", double(12345.678), "1.234568e+04"),
            ("%.1e", double(0.000_12), "1.2e-04"),
            ("%b", Value::Int(5), "101"),
            ("%b", Value::Bool(true), "1"),
            ("%o", Value::Int(8), "10"),
            ("%x", Value::Int(-255), "-ff"),
            ("%X", Value::String("hi\u{e9}".into()), "6869C3A9"),
            ("%x", Value::Bytes(vec![1, 255].into()), "01ff"),
            ("%s", Value::Null, "null"),
            ("%%%s", Value::Bool(true), "%true"),
        ] {
            assert_eq!(formatted(template, vec![value]).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(formatted("%s", vec![]).unwrap_err(), "there is no value for `%s`");
        assert_eq!(formatted("%q", vec![Value::Null]).unwrap_err(), "`%q` is not a clause of `format`");
        assert_eq!(formatted("%d", vec![Value::Null]).unwrap_err(), "`%d` cannot format null_type");
        assert_eq!(formatted("%", vec![]).unwrap_err(), "`%` at the end formats nothing");
        assert!(formatted("%.9999f", vec![Value::Double(1.0)]).is_err());
        assert!(formatted("%.é", vec![Value::Double(1.0)]).is_err());
    }
}
