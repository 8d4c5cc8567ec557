//! The text of contracts.

use std::{fmt, str::FromStr};

use super::{Contract, ErrorShape, Role, RouteShape, RpcShape, Target};
use crate::shape::{
    MalformedShape, serde_as_text,
    text::{Reader, Words, quoted},
};

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rpcs.iter().try_for_each(|(name, rpc)| writeln!(f, "rpc .{name} {{\n{rpc}}}"))?;
        self.errors.iter().try_for_each(|(code, error)| writeln!(f, "error {} {error}", quoted(code)))?;
        self.types.fmt(f)
    }
}

impl fmt::Display for RpcShape {
    /// What is between the braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = |it: bool| if it { "stream " } else { "" };
        writeln!(f, "  request {}.{}", stream(self.request_stream), self.request)?;
        writeln!(f, "  reply {}.{}", stream(self.reply_stream), self.reply)?;
        writeln!(f, "  {}", self.role)?;
        self.routes.iter().try_for_each(|route| writeln!(f, "  route {route}"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Query => f.write_str("query"),
            Role::Command { id, is_async, idempotent, target } => {
                write!(f, "command {}", quoted(id))?;
                f.write_str(if *is_async { " async" } else { "" })?;
                f.write_str(if *idempotent { " idempotent" } else { "" })?;
                target.as_ref().map_or(Ok(()), |target| write!(f, " {target}"))
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {}{}", quoted(&self.aggregate), if self.creates { " creates" } else { "" })
    }
}

impl fmt::Display for RouteShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quoted(&self.method), quoted(&self.path))?;
        if let Some(body) = &self.body {
            write!(f, " body {}", quoted(body))?;
        }
        match &self.response_body {
            Some(field) => write!(f, " response {}", quoted(field)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ErrorShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".{}{}", self.message, if self.retryable { " retryable" } else { "" })
    }
}

impl FromStr for Contract {
    type Err = MalformedShape;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut contract = Contract::default();
        let mut reader = Reader::new(text);
        while let Some(mut words) = reader.next()? {
            match words.peek() {
                Some("rpc") => contract.read_rpc(&mut words, &mut reader)?,
                Some("error") => contract.read_error(&mut words).map_err(|message| reader.wrong(message))?,
                _ => reader.definition(&mut words, &mut contract.types)?,
            }
        }
        reader.check_references(&contract.types)?;
        Ok(contract)
    }
}

serde_as_text!(Contract);

impl Contract {
    fn read_rpc(&mut self, words: &mut Words, reader: &mut Reader<'_>) -> Result<(), MalformedShape> {
        let name = rpc_name(words).map_err(|message| reader.wrong(message))?;
        let rpc = rpc(reader)?;
        match self.rpcs.insert(name, rpc) {
            Some(_) => Err(reader.wrong("this rpc is there already")),
            None => Ok(()),
        }
    }

    fn read_error(&mut self, words: &mut Words) -> Result<(), String> {
        words.expect("error")?;
        let code = words.string()?;
        let error = ErrorShape { message: words.full_name()?, retryable: words.take_if("retryable") };
        words.end()?;
        match self.errors.insert(code, error) {
            Some(_) => Err("this error is there already".to_owned()),
            None => Ok(()),
        }
    }
}

fn rpc_name(words: &mut Words) -> Result<String, String> {
    words.expect("rpc")?;
    let name = words.full_name()?;
    words.expect("{")?;
    words.end()?;
    Ok(name)
}

/// Reads an rpc up to its closing brace.
fn rpc(reader: &mut Reader<'_>) -> Result<RpcShape, MalformedShape> {
    let (request_stream, request) = line(reader, |words| carried(words, "request"))?;
    let (reply_stream, reply) = line(reader, |words| carried(words, "reply"))?;
    let role = line(reader, role)?;
    let mut routes = Vec::new();
    while let Some(route) = line(reader, route_or_end)? {
        routes.push(route);
    }
    Ok(RpcShape { request, request_stream, reply, reply_stream, role, routes })
}

/// Reads one line.
fn line<T>(reader: &mut Reader<'_>, read: impl Fn(&mut Words) -> Result<T, String>) -> Result<T, MalformedShape> {
    let Some(mut words) = reader.next()? else { return Err(reader.wrong("`}` is missing")) };
    let found = read(&mut words).and_then(|it| words.end().map(|()| it));
    found.map_err(|message| reader.wrong(message))
}

fn carried(words: &mut Words, what: &str) -> Result<(bool, String), String> {
    words.expect(what)?;
    Ok((words.take_if("stream"), words.full_name()?))
}

fn role(words: &mut Words) -> Result<Role, String> {
    if words.take_if("query") {
        return Ok(Role::Query);
    }
    words.expect("command")?;
    let (id, is_async, idempotent) = (words.string()?, words.take_if("async"), words.take_if("idempotent"));
    let target = if words.take_if("to") { Some(target(words)?) } else { None };
    Ok(Role::Command { id, is_async, idempotent, target })
}

fn target(words: &mut Words) -> Result<Target, String> {
    Ok(Target { aggregate: words.string()?, creates: words.take_if("creates") })
}

fn route_or_end(words: &mut Words) -> Result<Option<RouteShape>, String> {
    if words.take_if("}") {
        return Ok(None);
    }
    words.expect("route")?;
    let (method, path) = (words.string()?, words.string()?);
    let body = if words.take_if("body") { Some(words.string()?) } else { None };
    let response_body = if words.take_if("response") { Some(words.string()?) } else { None };
    Ok(Some(RouteShape { method, path, body, response_body }))
}
