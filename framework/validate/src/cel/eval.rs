//! Evaluates what the checker has left of an expression.

use std::time::SystemTime;

use prost_reflect::FieldDescriptor;
use regex::Regex;

use super::Error;
use super::functions;
use super::signatures::Run;
use super::syntax::Each;
use super::time::Timestamp;
use super::value::{List, Map, Message, Value};

/// A checked expression.
#[derive(Debug)]
pub(crate) enum Node {
    Constant(Value<'static>),
    This,
    Now,
    /// A variable of an enclosing [`Node::Each`], counted from the outermost.
    Local(usize),
    Select(Box<Selection>),
    Has(Box<Selection>),
    Call {
        run: Run,
        arguments: Vec<Node>,
    },
    /// A call of `matches` with a constant pattern.
    Matches(Box<Node>, Box<Regex>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// Condition, then, otherwise.
    Conditional(Box<[Node; 3]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Each(Box<Iteration>),
}

#[derive(Debug)]
pub(crate) struct Selection {
    pub(super) operand: Node,
    pub(super) name: String,
    /// The field, where the operand's type is known.
    pub(super) field: Option<FieldDescriptor>,
}

#[derive(Debug)]
pub(crate) struct Iteration {
    pub(super) each: Each,
    pub(super) range: Node,
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// What an evaluation sees.
pub(crate) struct Env<'a> {
    pub(crate) this: Value<'a>,
    locals: Vec<Value<'a>>,
    /// Read from the clock when it is first asked for; from then on the same for all rules.
    now: Option<Timestamp>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(this: Value<'a>, now: Option<Timestamp>) -> Self {
        Self { this, locals: Vec::new(), now }
    }
}

type Evaluated<'a> = Result<Value<'a>, Error>;

impl Node {
    pub(super) fn eval<'a>(&'a self, env: &mut Env<'a>) -> Evaluated<'a> {
        match self {
            Self::Constant(value) => Ok(value.borrowed()),
            Self::This => Ok(env.this.clone()),
            Self::Now => Ok(Value::Timestamp(*env.now.get_or_insert_with(|| Timestamp::at(SystemTime::now())))),
            Self::Local(index) => Ok(env.locals.get(*index).cloned().expect("the checker has numbered the variables")),
            Self::Select(it) => it.select(env),
            Self::Has(it) => it.has(env),
            Self::Call { run, arguments } => call(*run, arguments, env),
            Self::Matches(text, pattern) => match text.eval(env)? {
                Value::String(text) => Ok(Value::Bool(pattern.is_match(&text))),
                other => Err(Error::new(format!("{} has no `matches`", other.type_name()))),
            },
            Self::And(sides) => logical(sides, env, false),
            Self::Or(sides) => logical(sides, env, true),
            Self::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if bool(condition.eval(env)?)? { then.eval(env) } else { otherwise.eval(env) }
            }
            Self::List(items) => {
                let items = items.iter().map(|item| item.eval(env)).collect::<Result<_, _>>()?;
                Ok(Value::List(List::Values(items)))
            }
            Self::Map(entries) => map(entries, env),
            Self::Each(it) => it.run(env),
        }
    }

    pub(super) fn constant(&self) -> Option<&Value<'static>> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// Without a heap allocation for the usual one or two arguments.
fn call<'a>(run: Run, arguments: &'a [Node], env: &mut Env<'a>) -> Evaluated<'a> {
    match arguments {
        [one] => run(&[one.eval(env)?]),
        [one, two] => run(&[one.eval(env)?, two.eval(env)?]),
        more => run(&more.iter().map(|it| it.eval(env)).collect::<Result<Vec<_>, _>>()?),
    }
}

fn bool(value: Value<'_>) -> Result<bool, Error> {
    match value {
        Value::Bool(it) => Ok(it),
        other => Err(Error::new(format!("{} is not a bool", other.type_name()))),
    }
}

/// `&&` and `||` are commutative in CEL: a side that decides the result hides an error on the other.
fn logical<'a>(sides: &'a [Node; 2], env: &mut Env<'a>, decisive: bool) -> Evaluated<'a> {
    let left = sides[0].eval(env).and_then(bool);
    if left == Ok(decisive) {
        return Ok(Value::Bool(decisive));
    }
    let right = sides[1].eval(env).and_then(bool);
    if right == Ok(decisive) {
        return Ok(Value::Bool(decisive));
    }
    left.and(right).map(Value::Bool)
}

fn map<'a>(entries: &'a [(Node, Node)], env: &mut Env<'a>) -> Evaluated<'a> {
    let mut evaluated: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = key.eval(env)?;
        if !matches!(key, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_)) {
            return Err(Error::new(format!("{} cannot be a key", key.type_name())));
        }
        if evaluated.iter().any(|(it, _)| *it == key) {
            return Err(Error::new("a map has the same key twice"));
        }
        evaluated.push((key, value.eval(env)?));
    }
    Ok(Value::Map(Map::Entries(evaluated.into())))
}

impl Selection {
    fn select<'a>(&'a self, env: &mut Env<'a>) -> Evaluated<'a> {
        match self.operand.eval(env)? {
            Value::Message(message) => Ok(message.get(&*self.field(&message)?)),
            Value::Map(map) => map.get(&self.key()).ok_or_else(|| Error::new(format!("there is no key {}", self.name))),
            other => Err(Error::new(format!("{} has no field `{}`", other.type_name(), self.name))),
        }
    }

    fn has<'a>(&'a self, env: &mut Env<'a>) -> Evaluated<'a> {
        match self.operand.eval(env)? {
            Value::Message(message) => Ok(Value::Bool(message.has(&*self.field(&message)?))),
            Value::Map(map) => Ok(Value::Bool(map.get(&self.key()).is_some())),
            other => Err(Error::new(format!("{} has no field `{}`", other.type_name(), self.name))),
        }
    }

    fn field(&self, message: &Message<'_>) -> Result<std::borrow::Cow<'_, FieldDescriptor>, Error> {
        use std::borrow::Cow;
        if let Some(field) = &self.field {
            return Ok(Cow::Borrowed(field));
        }
        let descriptor = message.descriptor();
        let field = descriptor.get_field_by_name(&self.name).map(Cow::Owned);
        field.ok_or_else(|| Error::new(format!("{} has no field `{}`", descriptor.full_name(), self.name)))
    }

    fn key(&self) -> Value<'_> {
        Value::String(self.name.as_str().into())
    }
}

impl Iteration {
    fn run<'a>(&'a self, env: &mut Env<'a>) -> Evaluated<'a> {
        let range = self.range.eval(env)?;
        let outside = env.locals.len();
        let result = self.over(functions::elements(range)?, env);
        env.locals.truncate(outside);
        result
    }

    fn over<'a>(&'a self, elements: impl Iterator<Item = Value<'a>>, env: &mut Env<'a>) -> Evaluated<'a> {
        match self.each {
            Each::All => self.decide(elements, env, false),
            Each::Exists => self.decide(elements, env, true),
            Each::ExistsOne => {
                let mut found = 0;
                for element in elements {
                    found += usize::from(bool(within(&self.body, element, env)?)?);
                }
                Ok(Value::Bool(found == 1))
            }
            Each::Filter | Each::Map => self.collect(elements, env),
        }
    }

    /// As with `&&` and `||`, one element that decides hides the errors of the others.
    fn decide<'a>(
        &'a self,
        elements: impl Iterator<Item = Value<'a>>,
        env: &mut Env<'a>,
        decisive: bool,
    ) -> Evaluated<'a> {
        let mut failed = None;
        for element in elements {
            match within(&self.body, element, env).and_then(bool) {
                Ok(it) if it == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn collect<'a>(&'a self, elements: impl Iterator<Item = Value<'a>>, env: &mut Env<'a>) -> Evaluated<'a> {
        let filter = if self.each == Each::Filter { Some(&self.body) } else { self.filter.as_ref() };
        let mut collected = Vec::new();
        for element in elements {
            if let Some(filter) = filter
                && !bool(within(filter, element.clone(), env)?)?
            {
                continue;
            }
            collected.push(match self.each {
                Each::Map => within(&self.body, element, env)?,
                _ => element,
            });
        }
        Ok(Value::List(List::Values(collected.into())))
    }
}

/// Evaluates `node` with `element` as the innermost variable.
fn within<'a>(node: &'a Node, element: Value<'a>, env: &mut Env<'a>) -> Evaluated<'a> {
    let index = env.locals.len();
    env.locals.push(element);
    let result = node.eval(env);
    env.locals.truncate(index);
    result
}
