//! The part of the [Common Expression Language](https://cel.dev) that validation rules are written in.
//!
//! [`Program::compile`] reads an expression ([`syntax`]), checks its types and names against the descriptors and
//! computes in advance whatever doesn't depend on the message ([`check`]); [`Program::run`] evaluates the rest
//! ([`eval`]). A standard rule such as `string.min_len` boils down to one comparison with a number that way.

mod check;
mod eval;
mod format;
mod functions;
pub(crate) mod regex;
mod signatures;
mod syntax;
mod time;
mod types;
mod value;

use std::sync::Arc;
use std::{borrow::Cow, fmt};

use prost_reflect::{DescriptorPool, DynamicMessage};

pub(crate) use self::eval::Env;
pub(crate) use self::time::Timestamp;
pub(crate) use self::types::Type;
pub(crate) use self::value::Value;

/// Why an expression cannot be compiled or evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Error {
    message: Cow<'static, str>,
    /// The byte of the source that it is about.
    at: Option<usize>,
}

impl Error {
    fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), at: None }
    }

    /// Places the error, unless something further inside has placed it already.
    fn at(mut self, offset: usize) -> Self {
        self.at.get_or_insert(offset);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What an expression can name, beside `now`.
pub(crate) struct Scope<'s> {
    pub(crate) pool: &'s DescriptorPool,
    /// The type of `this`, the value under validation.
    pub(crate) this: Type,
    /// `rules`: the message that sets the rule, for predefined rules.
    pub(crate) rules: Option<Arc<DynamicMessage>>,
    /// `rule`: the value that it sets, and its type.
    pub(crate) rule: Option<(Value<'static>, Type)>,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program {
    root: eval::Node,
}

/// What a rule found.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome<'a> {
    Valid,
    /// It evaluated to `false`.
    Invalid,
    /// It evaluated to the text of a violation.
    Message(Cow<'a, str>),
}

impl Program {
    /// Compiles an expression that answers with a bool or with the text of a violation.
    pub(crate) fn compile(source: &str, scope: &Scope<'_>) -> Result<Self, Error> {
        let describe = |error: Error| match error.at {
            Some(at) => {
                let column = source.get(..at).map_or(0, |before| before.chars().count()) + 1;
                Error::new(format!("{} (at character {column} of `{source}`)", error.message))
            }
            None => Error::new(format!("{} (in `{source}`)", error.message)),
        };
        let expr = syntax::parse(source).map_err(describe)?;
        let (root, ty) = check::check(&expr, scope).map_err(describe)?;
        match ty {
            Type::Bool | Type::String | Type::Dyn => Ok(Self { root }),
            ty => Err(describe(Error::new(format!("a rule must give bool or string, this gives {ty}")))),
        }
    }

    /// Whether no value whatever can break this rule.
    pub(crate) fn is_always_valid(&self) -> bool {
        match &self.root {
            eval::Node::Constant(value) => outcome(value.borrowed()) == Ok(Outcome::Valid),
            _ => false,
        }
    }

    /// Evaluates the expression for `env`'s `this`.
    pub(crate) fn run<'a>(&'a self, env: &mut Env<'a>) -> Result<Outcome<'a>, Error> {
        outcome(self.root.eval(env)?)
    }
}

fn outcome(value: Value<'_>) -> Result<Outcome<'_>, Error> {
    match value {
        Value::Bool(true) => Ok(Outcome::Valid),
        Value::Bool(false) => Ok(Outcome::Invalid),
        Value::String(message) if message.is_empty() => Ok(Outcome::Valid),
        Value::String(message) => Ok(Outcome::Message(message)),
        other => Err(Error::new(format!("a rule must give bool or string, this gives {}", other.type_name()))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_reflect::Value as Field;

    use super::*;

    fn compile(source: &str) -> Result<Program, String> {
        let pool = DescriptorPool::global();
        let scope = Scope { pool: &pool, this: Type::List(Box::new(Type::Int)), rules: None, rule: None };
        Program::compile(source, &scope).map_err(|error| error.to_string())
    }

    /// What an expression says of the list `[1, 2, 2]`: `ok`, `no`, a message or an error.
    fn run(source: &str) -> String {
        let this = Field::List([1, 2, 2].map(Field::I32).to_vec());
        let program = match compile(source) {
            Ok(program) => program,
            Err(error) => return format!("invalid: {error}"),
        };
        let mut env = Env::new(Value::of(&this), Some(Timestamp::new(0, 0)));
        match program.run(&mut env) {
            Ok(Outcome::Valid) => "ok".to_owned(),
            Ok(Outcome::Invalid) => "no".to_owned(),
            Ok(Outcome::Message(message)) => message.into_owned(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[track_caller]
    fn holds(sources: &[&str]) {
        for source in sources {
            assert_eq!(run(source), "ok", "{source}");
        }
    }

    #[test]
    fn operators_bind_as_in_cel() {
        holds(&[
            "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 10 - 3 - 2 == 5 && 7 % 4 == 3 && -5 % 3 == -2 && -7 / 2 == -3",
            "true || false && false",
            "!false && !!true && --1 == 1 && -(1) == -1",
            "1 < 2 == true && 1 in this == true",
            "false ? 1 == 2 : true ? true : false",
            "1.5 + .5 == 2.0 && 3u * 2u == 6u && 1e3 == 1000.0 && 0x1F == 31 && 0xAu == 10u",
            "-9223372036854775808 < 9223372036854775807 && 18446744073709551615u > 0u",
            "[1] + [2, 3] == [1, 2, 3,] && 'a' + \"b\" == 'ab' && b'a' + b'b' == b'ab'",
            "this[0] == 1 && {'a': 1}['a'] == 1 && {'a': 1,}.a == 1 && {1: 'a'}[1u] == 'a' // a comment",
        ]);
    }

    #[test]
    fn literals_are_read_as_in_cel() {
        holds(&[
            r#"'\a\b\f\n\r\t\v\\\'\"\`\?' == "\x07\x08\x0c\x0a\x0d\x09\x0b\\'\"`?""#,
            r"'\u00e9\U0001F600\101' == 'é😀A'",
            r"b'\xff\377' == b'\377\xff' && b'é'.size() == 2 && 'é'.size() == 1",
            r"r'\d' == '\\d' && br'\x' == b'\\x' && bR'a' == b'a' && R'\' == '\\'",
            "'''a\n'b''' == 'a\\n\\'b' && \"\"\"a\"\"\" == 'a'",
        ]);
        for invalid in [
            "'a",
            "'a\nb'",
            r"'\q'",
            r"'\u00'",
            r"'\ud800'",
            r"b'\u00e9'",
            r"'\xé1'",
            "1x",
            "0x",
            "1e999",
            "9223372036854775808",
            "#",
        ] {
            assert!(run(invalid).starts_with("invalid: "), "{invalid}: {}", run(invalid));
        }
    }

    #[test]
    fn values_of_different_types_compare_as_in_cel() {
        holds(&[
            "1 == 1u && 1 == 1.0 && 1u < 1.5 && 2 > 1.9 && [1] == [1.0] && {'a': 1} == {'a': 1u}",
            "9007199254740993 > 9007199254740992.0 && 9223372036854775807 < 9223372036854775808.0",
            "dyn(1) != 'a' && dyn(null) != 0 && dyn([1]) != dyn({})",
            "double('NaN') != double('NaN') && !(double('NaN') < 1.0) && !(double('NaN') >= 1.0)",
            "'a' < 'b' && b'a' < b'ab' && false < true && duration('1s') < duration('1m') && timestamp(0) < timestamp(1)",
            "type(1) == int && type(type(1)) == type && type(timestamp(0)) == google.protobuf.Timestamp && type([]) == list",
        ]);
    }

    #[test]
    fn macros_walk_over_lists_and_maps() {
        holds(&[
            "this.all(it, it > 0) && !this.all(it, it > 1) && this.exists(it, it == 2) && !this.exists(it, it == 3)",
            "this.exists_one(it, it == 1) && !this.existsOne(it, it == 2)",
            "this.filter(it, it == 2) == [2, 2] && this.map(it, it * 2) == [2, 4, 4] && this.map(it, it > 1, it) == [2, 2]",
            "{'a': 1, 'b': 2}.all(key, key in ['a', 'b']) && !({}.exists(key, true))",
            "this.all(a, this.exists(b, a == b && this.exists(a, a != b)))",
            "this.map(this, this + 1) == [2, 3, 3]",
        ]);
    }

    #[test]
    fn an_error_counts_only_where_it_decides() {
        holds(&[
            "true || 1 / 0 == 1",
            "1 / 0 == 1 || true",
            "!(1 / 0 == 1 && false)",
            "this.exists(it, 2 / (it - 1) == 2)",
            "!this.all(it, 2 / (it - 1) == 1)",
            "has({'a': 1}.a) && !has({'a': 1}.b) && !('b' in {'a': 1})",
        ]);
        for (source, error) in [
            ("this.all(it, 2 / (it - 1) == 2)", "division by zero"),
            ("this[3] == 1", "there is no element 3"),
            ("this[-1] == 1", "there is no element -1"),
            ("{'a': 1}.b == 1", "there is no key b"),
            ("{'a': 1, 'a': 2} == {}", "a map has the same key twice"),
            ("9223372036854775807 + this[0] > 0", "the number is out of range"),
            ("-9223372036854775808 / -this[0] > 0", "the number is out of range"),
            ("0u - 1u == 1u", "the number is out of range"),
            ("int(1e30) == 1", "the number is out of range"),
            ("dyn(this) > 1", "`<` does not take (list, int)"),
            ("dyn(this).a", "list has no field `a`"),
            ("dyn(1) ? true : false", "int is not a bool"),
            ("dyn(1)", "a rule must give bool or string, this gives int"),
            ("string(b'\\xff') == ''", "the bytes are not UTF-8"),
            ("'x'.matches('a' + '(')", "`a(` is not a regular expression: unclosed group"),
        ] {
            let result = run(source);
            assert!(
                result == format!("error: {error}") || result.starts_with(&format!("invalid: {error}")),
                "{source}: {result}"
            );
        }
    }

    #[test]
    fn functions_do_what_they_do_in_cel() {
        holds(&[
            "int('12') == 12 && int(-1.9) == -1 && int(timestamp('1970-01-01T00:00:05Z')) == 5 && uint('1') == 1u && uint(1.9) == 1u",
            "double('1.5') == 1.5 && double(2) == 2.0 && bool('true') && !bool('0') && bytes('a') == b'a' && string(b'a') == 'a'",
            "string(1) == '1' && string(1.5) == '1.5' && string(true) == 'true' && string(duration('90s')) == '90s'",
            "string(timestamp(0)) == '1970-01-01T00:00:00Z' && timestamp(timestamp(0)) == timestamp(0)",
            "timestamp(0) + duration('1h') - duration('1h') == timestamp(0) && timestamp(5) - timestamp(2) == duration('3s')",
            "now == timestamp(0)",
            "timestamp('2020-02-03T04:05:06.789Z').getFullYear() == 2020 && timestamp(0).getMonth() == 0 && timestamp(0).getDate() == 1",
            "timestamp(0).getDayOfMonth() == 0 && timestamp(0).getDayOfWeek() == 4 && timestamp('2020-02-03T04:05:06Z').getDayOfYear() == 33",
            "timestamp(0).getHours('+05:30') == 5 && timestamp(0).getMinutes('05:30') == 30 && timestamp(0).getHours('-01:00') == 23",
            "timestamp('2020-02-03T04:05:06.789Z').getMilliseconds() == 789 && timestamp(6).getSeconds('UTC') == 6",
            "duration('1h1m1.5s').getSeconds() == 3661 && duration('90s').getMinutes() == 1 && duration('1.5s').getMilliseconds() == 500",
            "'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b') && b'abc'.contains(b'b') && b'abc'.contains(b'')",
            "b'abc'.startsWith(b'a') && b'abc'.endsWith(b'c') && 'abc'.matches('^a.c$') && matches('abc', 'b') && 'a'.matches('a' + '$')",
            "'äbc'.charAt(1) == 'b' && 'abc'.charAt(3) == '' && 'äbcb'.indexOf('b') == 1 && 'äbcb'.indexOf('b', 2) == 3",
            "'äbcb'.lastIndexOf('b') == 3 && 'äbcb'.lastIndexOf('b', 2) == 1 && 'abc'.indexOf('x') == -1 && 'abab'.lastIndexOf('ab', 2) == 2",
            "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b' && 'AbÄ'.lowerAscii() == 'abÄ' && 'ab'.upperAscii() == 'AB'",
            "'abab'.replace('a', 'x') == 'xbxb' && 'abab'.replace('a', 'x', 1) == 'xbab' && 'ab'.replace('a', 'x', 0) == 'ab'",
            "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b'] && 'a'.split(',', 0) == []",
            "'äbc'.substring(1) == 'bc' && 'äbc'.substring(0, 1) == 'ä' && ' a '.trim() == 'a' && 'äb'.reverse() == 'bä'",
            "[1, 2].unique() && !this.unique() && [1.0, -0.0].unique() && ![0.0, -0.0].unique() && dyn([1, 1u]).unique()",
            "double('NaN').isNan() && (1.0 / 0.0).isInf() && (1.0 / 0.0).isInf(1) && !(1.0 / 0.0).isInf(-1) && (-1.0 / 0.0).isInf(-5)",
            "'1.2.3.4'.isIp() && '::1'.isIp(6) && !'::1'.isIp(4) && !'::1'.isIp(5) && '1.0.0.0/8'.isIpPrefix(4, true) && '::1/64'.isIpPrefix(6)",
            "'a:1'.isHostAndPort(true) && 'a'.isHostAndPort(false) && 'a@b'.isEmail() && 'a.b'.isHostname() && 'a:b'.isUri() && '/a'.isUriRef()",
        ]);
        assert_eq!(run("'%d of %s'.format([this.size(), this])"), "3 of [1, 2, 2]");
    }

    #[test]
    fn what_does_not_depend_on_the_message_is_computed_in_advance() {
        for source in [
            "1 + 1 == 2",
            "'a'.matches('^a$')",
            "!(false && this[0] == 1)",
            "this[0] == 1 || true",
            "size([1, 2]) > 1 ? '' : 'x'",
        ] {
            assert!(compile(source).unwrap().is_always_valid(), "{source}");
        }
        assert!(!compile("this[0] == 1").unwrap().is_always_valid());
        assert!(!compile("1 / 0 == 1").unwrap().is_always_valid(), "it is an error, when it is reached");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |open: &str, close: &str| format!("{}true{}", open.repeat(10_000), close.repeat(10_000));
        for source in [
            nested("(", ")"),
            nested("!", ""),
            nested("[", "]"),
            nested("", " || true"),
            nested("", ".a"),
            nested("true ? true : ", ""),
        ] {
            let error = compile(&source).unwrap_err();
            assert!(error.contains("nests too deep") || error.contains("in a row"), "{}", &error[..60]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_compiler_panic(source in "\\PC*") {
            drop(compile(&source));
        }

        #[test]
        fn no_expression_panics(parts in prop::collection::vec(prop::sample::select(PARTS), 0..12)) {
            drop(run(&parts.concat()));
        }
    }

    /// What expressions are made of, with extreme values.
    const PARTS: &[&str] = &[
        "this",
        "now",
        "(",
        ")",
        "[",
        "]",
        "[0]",
        "{",
        "}",
        ":",
        ",",
        " ? ",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "*",
        "/",
        "%",
        "==",
        "<",
        " in ",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615u",
        "1e308",
        "'é'",
        "b'\\xff'",
        "''",
        "null",
        ".size()",
        ".all(it, it",
        ".map(it, it",
        ".unique()",
        ".format([",
        "'%s %d %.3f'",
        ".substring(1)",
        ".charAt(-1)",
        ".split('')",
        "duration('",
        "99999999999h",
        "')",
        "timestamp(",
        ".getHours('",
        "+23:59",
        ".matches('(a')",
        "string(",
        "int(",
        "dyn(",
        ".a",
        "1.5",
    ];
}
