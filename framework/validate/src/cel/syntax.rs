//! Reads the text of an expression: [CEL's grammar](https://github.com/google/cel-spec/blob/master/doc/langdef.md),
//! with the standard macros as expressions of their own.

use std::borrow::Cow;

use super::Error;
use super::value::Value;

/// An expression and where in the source it begins.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) kind: ExprKind,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Literal(Value<'static>),
    Ident(String),
    Select {
        operand: Box<Expr>,
        field: String,
    },
    /// `has(operand.field)`
    Has {
        operand: Box<Expr>,
        field: String,
    },
    /// Operators are calls of functions named by their symbol.
    Call {
        function: String,
        receiver: Option<Box<Expr>>,
        arguments: Vec<Expr>,
    },
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Conditional {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `range.all(variable, body)` and its relatives.
    Each {
        each: Each,
        range: Box<Expr>,
        variable: String,
        filter: Option<Box<Expr>>,
        body: Box<Expr>,
    },
}

/// What is done with the elements of a list, or with the keys of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// How deep parentheses and the like may nest. Checking and running an expression recurse as deep.
const MAX_DEPTH: usize = 64;

/// How many operators may follow each other on one level, `a || b || c`: they nest to the left.
const MAX_CHAIN: usize = 256;

pub(super) fn parse(source: &str) -> Result<Expr, Error> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        token => Err(parser.unexpected(&token.clone())),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Ident(String),
    /// A magnitude: the sign is an operator, and -2^63 needs it before the range is checked.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

fn tokens(source: &str) -> Result<Vec<(usize, Token)>, Error> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        rest = skip_blank(rest);
        let at = source.len() - rest.len();
        let (token, after) = token(rest).map_err(|error| error.at(at))?;
        let end = token == Token::End;
        tokens.push((at, token));
        if end {
            return Ok(tokens);
        }
        rest = after;
    }
}

fn skip_blank(mut rest: &str) -> &str {
    loop {
        rest = rest.trim_start();
        match rest.strip_prefix("//") {
            Some(comment) => rest = comment.find('\n').map_or("", |end| &comment[end..]),
            None => return rest,
        }
    }
}

fn token(rest: &str) -> Result<(Token, &str), Error> {
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, rest));
    };
    if let Some(quoted) = quoted(rest) {
        return quoted;
    }
    let second_is_digit = rest[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || first == '.' && second_is_digit {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Token::Ident(rest[..end].to_owned()), &rest[end..]));
    }
    match SYMBOLS.into_iter().find_map(|symbol| Some((symbol, rest.strip_prefix(symbol)?))) {
        Some((symbol, rest)) => Ok((Token::Symbol(symbol), rest)),
        None => Err(Error::new(format!("`{first}` does not belong here"))),
    }
}

fn number(text: &str) -> Result<(Token, &str), Error> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (whole, rest) = digits.split_at(end);
    let fraction = rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if radix == 10 && (fraction || rest.starts_with(['e', 'E'])) {
        return double(text);
    }
    let value =
        u64::from_str_radix(whole, radix).map_err(|_| Error::new(format!("`{whole}` is not a 64 bit number")))?;
    Ok(match rest.strip_prefix(['u', 'U']) {
        Some(rest) => (Token::Uint(value), rest),
        None => (Token::Int(value), rest),
    })
}

fn double(text: &str) -> Result<(Token, &str), Error> {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let exponent_sign = matches!(c, '+' | '-') && text[..at].ends_with(['e', 'E']);
        if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent_sign) {
            break;
        }
        end = at + 1;
    }
    let (number, rest) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Double(value), rest)),
        _ => Err(Error::new(format!("`{number}` is not a number"))),
    }
}

/// A string or bytes literal with its prefixes `r` (raw) and `b` (bytes), when `text` begins with one.
fn quoted(text: &str) -> Option<Result<(Token, &str), Error>> {
    let prefix = text.bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''))?;
    let (raw, bytes) = match text[..prefix].to_ascii_lowercase().as_str() {
        "" => (false, false),
        "r" => (true, false),
        "b" => (false, true),
        "br" => (true, true),
        _ => return None,
    };
    let body = &text[prefix..];
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| body.starts_with(quote))?;
    Some(string(&body[quote.len()..], quote, raw, bytes))
}

fn string<'s>(body: &'s str, quote: &str, raw: bool, bytes: bool) -> Result<(Token, &'s str), Error> {
    let mut value = Vec::new();
    let mut rest = body;
    loop {
        if let Some(after) = rest.strip_prefix(quote) {
            let token = match bytes {
                true => Token::Bytes(value),
                false => Token::String(String::from_utf8(value).expect("whole characters only were pushed")),
            };
            return Ok((token, after));
        }
        let c = rest.chars().next().filter(|&c| c != '\n' || quote.len() == 3);
        let c = c.ok_or_else(|| Error::new("a string without an end"))?;
        rest = match (c, raw) {
            ('\\', false) => escape(&rest[1..], bytes, &mut value)?,
            _ => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                &rest[c.len_utf8()..]
            }
        };
    }
}

/// What follows a backslash. Numeric escapes are code points in a string and octets in bytes.
fn escape<'s>(rest: &'s str, bytes: bool, value: &mut Vec<u8>) -> Result<&'s str, Error> {
    let unknown = || Error::new("an unknown escape sequence");
    let c = rest.chars().next().ok_or_else(unknown)?;
    let (digits, length, radix) = match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' => {
            let at = "abtnvfr".find(c).ok_or_else(unknown)?;
            value.push(b"\x07\x08\t\n\x0b\x0c\r"[at]);
            return Ok(&rest[1..]);
        }
        '\\' | '\'' | '"' | '`' | '?' => {
            value.extend_from_slice(&rest.as_bytes()[..1]);
            return Ok(&rest[1..]);
        }
        'x' | 'X' => (&rest[1..], 2, 16),
        'u' if !bytes => (&rest[1..], 4, 16),
        'U' if !bytes => (&rest[1..], 8, 16),
        '0'..='3' => (rest, 3, 8),
        _ => return Err(unknown()),
    };
    let (digits, rest) = digits.split_at_checked(length).ok_or_else(unknown)?;
    let all_digits = digits.chars().all(|c| c.is_digit(radix));
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| all_digits).ok_or_else(unknown)?;
    if bytes {
        value.push(u8::try_from(code).map_err(|_| unknown())?);
    } else {
        let c = char::from_u32(code).ok_or_else(unknown)?;
        value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(rest)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

/// Names that cannot begin an expression.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
];

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |&(at, _)| at)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn accept(&mut self, symbol: &'static str) -> bool {
        let accepted = *self.peek() == Token::Symbol(symbol);
        self.next += usize::from(accepted);
        accepted
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), Error> {
        if self.accept(symbol) {
            return Ok(());
        }
        Err(self.error(format!("`{symbol}` is missing")))
    }

    fn unexpected(&self, token: &Token) -> Error {
        match token {
            Token::End => self.error("the expression ends too early"),
            Token::Ident(it) => self.error(format!("`{it}` does not belong here")),
            Token::Symbol("{") => self.error("a message cannot be written in a rule"),
            Token::Symbol(it) => self.error(format!("`{it}` does not belong here")),
            _ => self.error("this literal does not belong here"),
        }
    }

    fn error(&self, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(message).at(self.at())
    }

    fn expr(&mut self) -> Result<Expr, Error> {
        self.deeper(Self::conditional)
    }

    fn deeper(&mut self, parse: fn(&mut Self) -> Result<Expr, Error>) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression nests too deep"));
        }
        let expr = parse(self);
        self.depth -= 1;
        expr
    }

    fn longer(&self, chain: &mut usize) -> Result<(), Error> {
        *chain += 1;
        if *chain > MAX_CHAIN {
            return Err(self.error("too many operators in a row"));
        }
        Ok(())
    }

    fn conditional(&mut self) -> Result<Expr, Error> {
        let condition = self.or()?;
        if !self.accept("?") {
            return Ok(condition);
        }
        let then = Box::new(self.or()?);
        self.expect(":")?;
        let otherwise = Box::new(self.expr()?);
        Ok(Expr { at: condition.at, kind: ExprKind::Conditional { condition: Box::new(condition), then, otherwise } })
    }

    fn or(&mut self) -> Result<Expr, Error> {
        let mut left = self.and()?;
        let mut chain = 0;
        while self.accept("||") {
            self.longer(&mut chain)?;
            let right = Box::new(self.and()?);
            left = Expr { at: left.at, kind: ExprKind::Or(Box::new(left), right) };
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let mut left = self.operators(0)?;
        let mut chain = 0;
        while self.accept("&&") {
            self.longer(&mut chain)?;
            let right = Box::new(self.operators(0)?);
            left = Expr { at: left.at, kind: ExprKind::And(Box::new(left), right) };
        }
        Ok(left)
    }

    /// Relations, sums and products: left-associative operators from loose to tight.
    fn operators(&mut self, level: usize) -> Result<Expr, Error> {
        const LEVELS: [&[&str]; 3] = [&["==", "!=", "<=", ">=", "<", ">", "in"], &["+", "-"], &["*", "/", "%"]];
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.operators(level + 1)?;
        let mut chain = 0;
        while let Some(operator) = self.operator(operators) {
            self.longer(&mut chain)?;
            let right = self.operators(level + 1)?;
            left = call(left.at, operator, vec![left, right]);
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        let found = match self.peek() {
            Token::Symbol(symbol) => operators.iter().find(|it| *it == symbol),
            Token::Ident(name) => operators.iter().find(|it| *it == name),
            _ => None,
        };
        self.next += usize::from(found.is_some());
        found.copied()
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let at = self.at();
        let operator = match self.peek() {
            Token::Symbol("!") => "!",
            Token::Symbol("-") => "-",
            _ => return self.member(),
        };
        self.next += 1;
        if let (Token::Int(magnitude), "-") = (self.peek(), operator) {
            let value = 0_i64.checked_sub_unsigned(*magnitude).ok_or_else(|| self.error("the number is too small"))?;
            self.next += 1;
            return self.suffixes(literal(at, Value::Int(value)));
        }
        let operand = self.deeper(Self::unary)?;
        Ok(call(at, operator, vec![operand]))
    }

    fn member(&mut self) -> Result<Expr, Error> {
        let primary = self.primary()?;
        self.suffixes(primary)
    }

    fn suffixes(&mut self, mut expr: Expr) -> Result<Expr, Error> {
        let mut chain = 0;
        loop {
            let at = self.at();
            if self.accept(".") {
                let Token::Ident(name) = self.advance() else {
                    return Err(self.error("a name is missing after `.`"));
                };
                expr = match self.accept("(") {
                    true => self.method(at, expr, name)?,
                    false => Expr { at, kind: ExprKind::Select { operand: Box::new(expr), field: name } },
                };
            } else if self.accept("[") {
                let index = self.expr()?;
                self.expect("]")?;
                expr = call(at, "[]", vec![expr, index]);
            } else {
                return Ok(expr);
            }
            self.longer(&mut chain)?;
        }
    }

    fn method(&mut self, at: usize, receiver: Expr, name: String) -> Result<Expr, Error> {
        let arguments = self.list(")")?;
        let each = match (name.as_str(), arguments.len()) {
            ("all", 2) => Each::All,
            ("exists", 2) => Each::Exists,
            ("exists_one" | "existsOne", 2) => Each::ExistsOne,
            ("filter", 2) => Each::Filter,
            ("map", 2 | 3) => Each::Map,
            _ => {
                return Ok(Expr {
                    at,
                    kind: ExprKind::Call { function: name, receiver: Some(Box::new(receiver)), arguments },
                });
            }
        };
        let mut arguments = arguments.into_iter();
        let Some(Expr { kind: ExprKind::Ident(variable), .. }) = arguments.next() else {
            return Err(Error::new(format!("the first argument of `{name}` must be a name")).at(at));
        };
        let rest: Vec<Expr> = arguments.collect();
        let (filter, body) = match <[Expr; 2]>::try_from(rest) {
            Ok([filter, body]) => (Some(Box::new(filter)), Some(body)),
            Err(mut rest) => (None, rest.pop()),
        };
        let body = Box::new(body.ok_or_else(|| self.error("an argument is missing"))?);
        Ok(Expr { at, kind: ExprKind::Each { each, range: Box::new(receiver), variable, filter, body } })
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let at = self.at();
        let token = self.advance();
        match token {
            Token::Int(it) => match i64::try_from(it) {
                Ok(it) => Ok(literal(at, Value::Int(it))),
                Err(_) => Err(Error::new("the number is too large").at(at)),
            },
            Token::Uint(it) => Ok(literal(at, Value::Uint(it))),
            Token::Double(it) => Ok(literal(at, Value::Double(it))),
            Token::String(it) => Ok(literal(at, Value::String(Cow::Owned(it)))),
            Token::Bytes(it) => Ok(literal(at, Value::Bytes(Cow::Owned(it)))),
            Token::Symbol("(") => {
                let expr = self.expr()?;
                self.expect(")")?;
                Ok(expr)
            }
            Token::Symbol("[") => Ok(Expr { at, kind: ExprKind::List(self.list("]")?) }),
            Token::Symbol("{") => Ok(Expr { at, kind: ExprKind::Map(self.entries()?) }),
            // `.name` is a name that is not looked up in the local scope; there is no other.
            Token::Symbol(".") => match self.advance() {
                Token::Ident(name) => self.name(at, name),
                _ => Err(Error::new("a name is missing after `.`").at(at)),
            },
            Token::Ident(name) => self.name(at, name),
            token => {
                self.next -= 1;
                Err(self.unexpected(&token))
            }
        }
    }

    fn name(&mut self, at: usize, name: String) -> Result<Expr, Error> {
        match name.as_str() {
            "true" => return Ok(literal(at, Value::Bool(true))),
            "false" => return Ok(literal(at, Value::Bool(false))),
            "null" => return Ok(literal(at, Value::Null)),
            reserved if RESERVED.contains(&reserved) => {
                return Err(Error::new(format!("`{reserved}` is a reserved word")).at(at));
            }
            _ => {}
        }
        if !self.accept("(") {
            return Ok(Expr { at, kind: ExprKind::Ident(name) });
        }
        let mut arguments = self.list(")")?;
        if name != "has" {
            return Ok(Expr { at, kind: ExprKind::Call { function: name, receiver: None, arguments } });
        }
        match (arguments.pop().map(|it| it.kind), arguments.is_empty()) {
            (Some(ExprKind::Select { operand, field }), true) => {
                Ok(Expr { at, kind: ExprKind::Has { operand, field } })
            }
            _ => Err(Error::new("`has` takes one field, as in `has(this.name)`").at(at)),
        }
    }

    fn list(&mut self, end: &'static str) -> Result<Vec<Expr>, Error> {
        let mut items = Vec::new();
        while !self.accept(end) {
            items.push(self.expr()?);
            if !self.accept(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, Error> {
        let mut entries = Vec::new();
        while !self.accept("}") {
            let key = self.expr()?;
            self.expect(":")?;
            entries.push((key, self.expr()?));
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }
}

fn literal(at: usize, value: Value<'static>) -> Expr {
    Expr { at, kind: ExprKind::Literal(value) }
}

fn call(at: usize, operator: &str, arguments: Vec<Expr>) -> Expr {
    Expr { at, kind: ExprKind::Call { function: operator.to_owned(), receiver: None, arguments } }
}
