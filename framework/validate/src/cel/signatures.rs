//! What can be called: CEL's operators and functions, its string extension, and protovalidate's own functions.
//!
//! [`FUNCTIONS`] says what exists and with which types; the checker reads it.

use super::Error;
use super::functions::*;
use super::types::Type;
use super::value::Value;
use crate::formats;

pub(super) struct Function {
    name: &'static str,
    call: Call,
    signatures: &'static [Signature],
    pub(super) run: Run,
}

pub(super) type Run = for<'a> fn(&[Value<'a>]) -> Result<Value<'a>, Error>;

type Signature = (&'static [Kind], Kind);

/// How a function is written.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    /// `f(x)`, operators among them.
    Global,
    /// `x.f()`
    Method,
    Either,
}

/// The types of parameters and results.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Any,
    Number,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    List,
    /// A list whose elements can be told apart cheaply.
    Scalars,
    Strings,
    Map,
    Message,
    /// As a result: the type of the first argument.
    First,
    Type,
}

use self::Call::{Either, Global, Method};
use self::Kind::{Any, First, Number, Scalars, Strings};

const fn function(name: &'static str, call: Call, signatures: &'static [Signature], run: Run) -> Function {
    Function { name, call, signatures, run }
}

const ORDERED: &[Signature] = &[
    (&[Number, Number], Kind::Bool),
    (&[Kind::String, Kind::String], Kind::Bool),
    (&[Kind::Bytes, Kind::Bytes], Kind::Bool),
    (&[Kind::Bool, Kind::Bool], Kind::Bool),
    (&[Kind::Duration, Kind::Duration], Kind::Bool),
    (&[Kind::Timestamp, Kind::Timestamp], Kind::Bool),
];

const NUMERIC: &[Signature] = &[
    (&[Kind::Int, Kind::Int], Kind::Int),
    (&[Kind::Uint, Kind::Uint], Kind::Uint),
    (&[Kind::Double, Kind::Double], Kind::Double),
];

const OF_TIMESTAMP: &[Signature] = &[(&[Kind::Timestamp], Kind::Int), (&[Kind::Timestamp, Kind::String], Kind::Int)];

const OF_TIMESTAMP_OR_DURATION: &[Signature] =
    &[(&[Kind::Timestamp], Kind::Int), (&[Kind::Timestamp, Kind::String], Kind::Int), (&[Kind::Duration], Kind::Int)];

const TEXT_IN_TEXT: &[Signature] =
    &[(&[Kind::String, Kind::String], Kind::Bool), (&[Kind::Bytes, Kind::Bytes], Kind::Bool)];

const TEXT_TO_BOOL: &[Signature] = &[(&[Kind::String], Kind::Bool)];

const TEXT_TO_TEXT: &[Signature] = &[(&[Kind::String], Kind::String)];

const SEARCH: &[Signature] =
    &[(&[Kind::String, Kind::String], Kind::Int), (&[Kind::String, Kind::String, Kind::Int], Kind::Int)];

static FUNCTIONS: &[Function] = &[
    function("!", Global, &[(&[Kind::Bool], Kind::Bool)], not),
    function("-", Global, &[(&[Kind::Int], Kind::Int), (&[Kind::Double], Kind::Double)], negate),
    function("<", Global, ORDERED, |args| ordered(args, |it| it.is_lt())),
    function("<=", Global, ORDERED, |args| ordered(args, |it| it.is_le())),
    function(">", Global, ORDERED, |args| ordered(args, |it| it.is_gt())),
    function(">=", Global, ORDERED, |args| ordered(args, |it| it.is_ge())),
    function(
        "+",
        Global,
        &[
            (&[Kind::Int, Kind::Int], Kind::Int),
            (&[Kind::Uint, Kind::Uint], Kind::Uint),
            (&[Kind::Double, Kind::Double], Kind::Double),
            (&[Kind::String, Kind::String], Kind::String),
            (&[Kind::Bytes, Kind::Bytes], Kind::Bytes),
            (&[Kind::List, Kind::List], First),
            (&[Kind::Duration, Kind::Duration], Kind::Duration),
            (&[Kind::Timestamp, Kind::Duration], Kind::Timestamp),
            (&[Kind::Duration, Kind::Timestamp], Kind::Timestamp),
        ],
        add,
    ),
    function(
        "-",
        Global,
        &[
            (&[Kind::Int, Kind::Int], Kind::Int),
            (&[Kind::Uint, Kind::Uint], Kind::Uint),
            (&[Kind::Double, Kind::Double], Kind::Double),
            (&[Kind::Duration, Kind::Duration], Kind::Duration),
            (&[Kind::Timestamp, Kind::Duration], Kind::Timestamp),
            (&[Kind::Timestamp, Kind::Timestamp], Kind::Duration),
        ],
        subtract,
    ),
    function("*", Global, NUMERIC, multiply),
    function("/", Global, NUMERIC, divide),
    function("%", Global, &[(&[Kind::Int, Kind::Int], Kind::Int), (&[Kind::Uint, Kind::Uint], Kind::Uint)], remainder),
    function(
        "size",
        Either,
        &[
            (&[Kind::String], Kind::Int),
            (&[Kind::Bytes], Kind::Int),
            (&[Kind::List], Kind::Int),
            (&[Kind::Map], Kind::Int),
        ],
        size,
    ),
    function("dyn", Global, &[(&[Any], Any)], |args| Ok(args[0].clone())),
    function("type", Global, &[(&[Any], Kind::Type)], |args| Ok(Value::Type(args[0].type_name()))),
    function("bool", Global, &[(&[Kind::Bool], Kind::Bool), (&[Kind::String], Kind::Bool)], to_bool),
    function(
        "int",
        Global,
        &[(&[Number], Kind::Int), (&[Kind::String], Kind::Int), (&[Kind::Timestamp], Kind::Int)],
        to_int,
    ),
    function("uint", Global, &[(&[Number], Kind::Uint), (&[Kind::String], Kind::Uint)], to_uint),
    function("double", Global, &[(&[Number], Kind::Double), (&[Kind::String], Kind::Double)], to_double),
    function(
        "string",
        Global,
        &[
            (&[Kind::String], Kind::String),
            (&[Kind::Bool], Kind::String),
            (&[Number], Kind::String),
            (&[Kind::Bytes], Kind::String),
            (&[Kind::Timestamp], Kind::String),
            (&[Kind::Duration], Kind::String),
        ],
        to_string,
    ),
    function("bytes", Global, &[(&[Kind::Bytes], Kind::Bytes), (&[Kind::String], Kind::Bytes)], to_bytes),
    function(
        "duration",
        Global,
        &[(&[Kind::Duration], Kind::Duration), (&[Kind::String], Kind::Duration)],
        to_duration,
    ),
    function(
        "timestamp",
        Global,
        &[(&[Kind::Timestamp], Kind::Timestamp), (&[Kind::String], Kind::Timestamp), (&[Kind::Int], Kind::Timestamp)],
        to_timestamp,
    ),
    function("contains", Method, TEXT_IN_TEXT, contains),
    function("startsWith", Method, TEXT_IN_TEXT, starts_with),
    function("endsWith", Method, TEXT_IN_TEXT, ends_with),
    function("matches", Either, &[(&[Kind::String, Kind::String], Kind::Bool)], matches),
    function("getFullYear", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.year)),
    function("getMonth", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.month - 1)),
    function("getDate", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.day)),
    function("getDayOfMonth", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.day - 1)),
    function("getDayOfWeek", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.day_of_week)),
    function("getDayOfYear", Method, OF_TIMESTAMP, |args| calendar(args, |it| it.day_of_year)),
    function("getHours", Method, OF_TIMESTAMP_OR_DURATION, |args| clock(args, 3_600_000_000_000, |it| it.hour)),
    function("getMinutes", Method, OF_TIMESTAMP_OR_DURATION, |args| clock(args, 60_000_000_000, |it| it.minute)),
    function("getSeconds", Method, OF_TIMESTAMP_OR_DURATION, |args| clock(args, 1_000_000_000, |it| it.second)),
    function("getMilliseconds", Method, OF_TIMESTAMP_OR_DURATION, milliseconds),
    // https://pkg.go.dev/github.com/google/cel-go/ext#Strings
    function("charAt", Method, &[(&[Kind::String, Kind::Int], Kind::String)], char_at),
    function("indexOf", Method, SEARCH, |args| index_of(args, Direction::Forwards)),
    function("lastIndexOf", Method, SEARCH, |args| index_of(args, Direction::Backwards)),
    function("join", Method, &[(&[Strings], Kind::String), (&[Strings, Kind::String], Kind::String)], join),
    function("lowerAscii", Method, TEXT_TO_TEXT, |args| text(args, |it| it.to_ascii_lowercase())),
    function("upperAscii", Method, TEXT_TO_TEXT, |args| text(args, |it| it.to_ascii_uppercase())),
    function("trim", Method, TEXT_TO_TEXT, |args| text(args, |it| it.trim().to_owned())),
    function("reverse", Method, TEXT_TO_TEXT, |args| text(args, |it| it.chars().rev().collect())),
    function(
        "replace",
        Method,
        &[
            (&[Kind::String, Kind::String, Kind::String], Kind::String),
            (&[Kind::String, Kind::String, Kind::String, Kind::Int], Kind::String),
        ],
        replace,
    ),
    function(
        "split",
        Method,
        &[(&[Kind::String, Kind::String], Strings), (&[Kind::String, Kind::String, Kind::Int], Strings)],
        split,
    ),
    function(
        "substring",
        Method,
        &[(&[Kind::String, Kind::Int], Kind::String), (&[Kind::String, Kind::Int, Kind::Int], Kind::String)],
        substring,
    ),
    function("format", Method, &[(&[Kind::String, Kind::List], Kind::String)], format_list),
    // https://protovalidate.com/reference/cel_extensions/
    function("getField", Global, &[(&[Kind::Message, Kind::String], Any)], get_field),
    function("isNan", Method, &[(&[Kind::Double], Kind::Bool)], is_nan),
    function("isInf", Method, &[(&[Kind::Double], Kind::Bool), (&[Kind::Double, Kind::Int], Kind::Bool)], is_inf),
    function("unique", Method, &[(&[Scalars], Kind::Bool)], unique),
    function("isEmail", Method, TEXT_TO_BOOL, |args| test(args, formats::is_email)),
    function("isHostname", Method, TEXT_TO_BOOL, |args| test(args, formats::is_hostname)),
    function("isUri", Method, TEXT_TO_BOOL, |args| test(args, formats::is_uri)),
    function("isUriRef", Method, TEXT_TO_BOOL, |args| test(args, formats::is_uri_reference)),
    function("isIp", Method, &[(&[Kind::String], Kind::Bool), (&[Kind::String, Kind::Int], Kind::Bool)], is_ip),
    function(
        "isIpPrefix",
        Method,
        &[
            (&[Kind::String], Kind::Bool),
            (&[Kind::String, Kind::Int], Kind::Bool),
            (&[Kind::String, Kind::Bool], Kind::Bool),
            (&[Kind::String, Kind::Int, Kind::Bool], Kind::Bool),
        ],
        is_ip_prefix,
    ),
    function("isHostAndPort", Method, &[(&[Kind::String, Kind::Bool], Kind::Bool)], is_host_and_port),
];

/// Finds the function for a call with arguments of these types, the receiver first, and the type of its result.
pub(super) fn resolve(name: &str, method: bool, arguments: &[Type]) -> Result<(Run, Type), Error> {
    let named = |it: &&Function| it.name == name && it.call != if method { Global } else { Method };
    let mut found: Option<(Run, Type)> = None;
    let fitting =
        FUNCTIONS.iter().filter(named).flat_map(|it| it.signatures.iter().map(move |signature| (it.run, signature)));
    for (run, (_, result)) in fitting.filter(|(_, (parameters, _))| takes(parameters, arguments)) {
        let ty = result.ty(arguments);
        found = Some(match found {
            // Several fit when an argument is `dyn`.
            Some((run, earlier)) => (run, earlier.or(&ty)),
            None => (run, ty),
        });
    }
    found.ok_or_else(|| unresolved(name, method, arguments))
}

fn unresolved(name: &str, method: bool, arguments: &[Type]) -> Error {
    if !FUNCTIONS.iter().any(|it| it.name == name) {
        return Error::new(format!("there is no function `{name}`"));
    }
    let list = |types: &[Type]| types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ");
    Error::new(match arguments {
        [receiver, rest @ ..] if method => format!("{receiver} has no `{name}({})`", list(rest)),
        arguments => format!("`{name}` does not take ({})", list(arguments)),
    })
}

fn takes(parameters: &[Kind], arguments: &[Type]) -> bool {
    parameters.len() == arguments.len() && parameters.iter().zip(arguments).all(|(kind, ty)| kind.takes(ty))
}

impl Kind {
    fn takes(self, ty: &Type) -> bool {
        match (self, ty) {
            (Any, _) | (_, Type::Dyn) => true,
            (Number, ty) => ty.is_number(),
            (Scalars, Type::List(of)) => {
                matches!(**of, Type::Dyn | Type::Bool | Type::String | Type::Bytes) || of.is_number()
            }
            (Strings, Type::List(of)) => matches!(**of, Type::Dyn | Type::String),
            (Self::List, Type::List(_)) | (Self::Map, Type::Map(..)) | (Self::Message, Type::Message(_)) => true,
            (kind, ty) => kind.ty(&[]) == *ty,
        }
    }

    fn ty(self, arguments: &[Type]) -> Type {
        match self {
            Any | Number | Self::List | Scalars | Self::Map | Self::Message => Type::Dyn,
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
            Self::Duration => Type::Duration,
            Self::Timestamp => Type::Timestamp,
            Self::Type => Type::Kind,
            Strings => Type::List(Box::new(Type::String)),
            First => arguments.first().cloned().unwrap_or(Type::Dyn),
        }
    }
}
