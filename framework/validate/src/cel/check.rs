//! Gives every part of an expression its type, finds the names that it uses, and computes what is constant.
//!
//! A misspelt field or a comparison of a string with a number is found here, when the service starts, and not when a
//! request comes in.

use super::eval::{Env, Iteration, Node, Selection};
use super::functions;
use super::signatures::{self, Run};
use super::syntax::{Each, Expr, ExprKind};
use super::time::{Duration, Timestamp};
use super::types::Type;
use super::value::{List, Map, Message, Value};
use super::{Error, Scope, format, regex};

type Checked = Result<(Node, Type), Error>;

pub(super) fn check(expr: &Expr, scope: &Scope<'_>) -> Checked {
    Checker { scope, locals: Vec::new() }.expr(expr)
}

struct Checker<'s> {
    scope: &'s Scope<'s>,
    /// The variables of the macros around the current part, outermost first.
    locals: Vec<(String, Type)>,
}

/// The types that have names of their own.
const TYPE_NAMES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

impl Checker<'_> {
    fn expr(&mut self, expr: &Expr) -> Checked {
        self.kind(expr).map_err(|error| error.at(expr.at))
    }

    fn kind(&mut self, expr: &Expr) -> Checked {
        match &expr.kind {
            ExprKind::Literal(value) => Ok((Node::Constant(value.clone()), type_of(value))),
            ExprKind::Ident(name) => self.name(name),
            ExprKind::Select { operand, field } => match self.qualified(expr) {
                Some(constant) => Ok(constant),
                None => self.select(operand, field),
            },
            ExprKind::Has { operand, field } => {
                let (selection, _) = self.selection(operand, field)?;
                Ok((fold(Node::Has(Box::new(selection))), Type::Bool))
            }
            ExprKind::Call { function, receiver, arguments } => self.call(function, receiver.as_deref(), arguments),
            ExprKind::List(items) => self.list(items),
            ExprKind::Map(entries) => self.map(entries),
            ExprKind::And(left, right) => {
                let sides = [self.bool(left)?, self.bool(right)?];
                Ok((logical(sides, false), Type::Bool))
            }
            ExprKind::Or(left, right) => {
                let sides = [self.bool(left)?, self.bool(right)?];
                Ok((logical(sides, true), Type::Bool))
            }
            ExprKind::Conditional { condition, then, otherwise } => self.conditional(condition, then, otherwise),
            ExprKind::Each { each, range, variable, filter, body } => {
                self.each(*each, range, variable, filter.as_deref(), body)
            }
        }
    }

    fn name(&self, name: &str) -> Checked {
        if let Some(index) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Ok((Node::Local(index), self.locals[index].1.clone()));
        }
        match (name, &self.scope.rules, &self.scope.rule) {
            ("this", ..) => Ok((Node::This, self.scope.this.clone())),
            ("now", ..) => Ok((Node::Now, Type::Timestamp)),
            ("rules", Some(rules), _) => {
                let ty = Type::Message(prost_reflect::ReflectMessage::descriptor(&**rules));
                Ok((Node::Constant(Value::Message(Message::Owned(rules.clone()))), ty))
            }
            ("rule", _, Some((value, ty))) => Ok((Node::Constant(value.clone()), ty.clone())),
            _ if TYPE_NAMES.contains(&name) => Ok(type_name(name)),
            _ => Err(Error::new(format!("there is no variable `{name}`"))),
        }
    }

    /// `my.package.Status.ACTIVE` and `google.protobuf.Timestamp`: enum values and types go by their full names.
    fn qualified(&self, expr: &Expr) -> Option<(Node, Type)> {
        let name = dotted(expr)?;
        let root = name.split('.').next()?;
        if self.name(root).is_ok() {
            return None;
        }
        if let Some((parent, value)) = name.rsplit_once('.')
            && let Some(found) = self.scope.pool.get_enum_by_name(parent).and_then(|it| it.get_value_by_name(value))
        {
            return Some((Node::Constant(Value::Int(i64::from(found.number()))), Type::Int));
        }
        let is_type = TYPE_NAMES.contains(&name.as_str()) || self.scope.pool.get_message_by_name(&name).is_some();
        is_type.then(|| type_name(&name))
    }

    fn select(&mut self, operand: &Expr, field: &str) -> Checked {
        let (selection, ty) = self.selection(operand, field)?;
        Ok((fold(Node::Select(Box::new(selection))), ty))
    }

    fn selection(&mut self, operand: &Expr, name: &str) -> Result<(Selection, Type), Error> {
        let (operand, ty) = self.expr(operand)?;
        let (field, ty) = match ty {
            Type::Message(message) => match message.get_field_by_name(name) {
                Some(field) => (Some(field.clone()), Type::of_field(&field)),
                None => return Err(Error::new(format!("{} has no field `{name}`", message.full_name()))),
            },
            Type::Map(key, value) if key.is_comparable_with(&Type::String) => (None, *value),
            Type::Dyn => (None, Type::Dyn),
            other => return Err(Error::new(format!("{other} has no field `{name}`"))),
        };
        Ok((Selection { operand, name: name.to_owned(), field }, ty))
    }

    fn call(&mut self, function: &str, receiver: Option<&Expr>, arguments: &[Expr]) -> Checked {
        let all = receiver.into_iter().chain(arguments).map(|it| self.expr(it)).collect::<Result<Vec<_>, _>>()?;
        let (nodes, types): (Vec<Node>, Vec<Type>) = all.into_iter().unzip();
        if let (None, [left, right]) = (receiver, types.as_slice())
            && let Some((run, ty)) = polymorphic(function, left, right)?
        {
            return Ok((fold(Node::Call { run, arguments: nodes }), ty));
        }
        let (run, ty) = signatures::resolve(function, receiver.is_some(), &types)?;
        if let ("format", [Expr { kind: ExprKind::List(values), .. }]) = (function, arguments) {
            self.try_format(&nodes, values)?;
        }
        try_literal(run, function, &nodes, &types)?;
        match (function, <[Node; 2]>::try_from(nodes)) {
            ("matches", Ok(arguments)) => Ok((matches(run, arguments)?, ty)),
            ("getField", Ok(arguments)) => self.get_field(run, arguments, &types, ty),
            (_, Ok(arguments)) => Ok((fold(Node::Call { run, arguments: arguments.into() }), ty)),
            (_, Err(arguments)) => Ok((fold(Node::Call { run, arguments }), ty)),
        }
    }

    /// A field by a constant name has the field's type, as if it had been selected.
    fn get_field(&self, run: Run, arguments: [Node; 2], types: &[Type], ty: Type) -> Checked {
        let ty = match (types.first(), arguments[1].constant()) {
            (Some(Type::Message(message)), Some(Value::String(name))) => match message.get_field_by_name(name) {
                Some(field) => Type::of_field(&field),
                None => return Err(Error::new(format!("{} has no field `{name}`", message.full_name()))),
            },
            _ => ty,
        };
        Ok((fold(Node::Call { run, arguments: arguments.into() }), ty))
    }

    fn list(&mut self, items: &[Expr]) -> Checked {
        let mut of: Option<Type> = None;
        let mut nodes = Vec::with_capacity(items.len());
        for item in items {
            let (node, ty) = self.expr(item)?;
            nodes.push(node);
            of = Some(of.map_or(ty.clone(), |of| of.or(&ty)));
        }
        Ok((fold(Node::List(nodes)), Type::List(Box::new(of.unwrap_or(Type::Dyn)))))
    }

    fn map(&mut self, entries: &[(Expr, Expr)]) -> Checked {
        let mut of: Option<(Type, Type)> = None;
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let ((key, key_type), (value, value_type)) = (self.expr(key)?, self.expr(value)?);
            nodes.push((key, value));
            of = Some(match of {
                Some((keys, values)) => (keys.or(&key_type), values.or(&value_type)),
                None => (key_type, value_type),
            });
        }
        let (key, value) = of.unwrap_or((Type::Dyn, Type::Dyn));
        Ok((fold(Node::Map(nodes)), Type::Map(Box::new(key), Box::new(value))))
    }

    fn bool(&mut self, expr: &Expr) -> Result<Node, Error> {
        match self.expr(expr)? {
            (node, Type::Bool | Type::Dyn) => Ok(node),
            (_, ty) => Err(Error::new(format!("{ty} is not a bool")).at(expr.at)),
        }
    }

    fn conditional(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr) -> Checked {
        let condition = self.bool(condition)?;
        let ((then, ty), (otherwise, other)) = (self.expr(then)?, self.expr(otherwise)?);
        let node = match condition.constant() {
            Some(Value::Bool(true)) => then,
            Some(Value::Bool(false)) => otherwise,
            _ => Node::Conditional(Box::new([condition, then, otherwise])),
        };
        Ok((node, ty.or(&other)))
    }

    fn each(&mut self, each: Each, range: &Expr, variable: &str, filter: Option<&Expr>, body: &Expr) -> Checked {
        let (range, ty) = self.expr(range)?;
        let element = match &ty {
            Type::List(of) => (**of).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Dyn => Type::Dyn,
            other => return Err(Error::new(format!("{other} has no elements"))),
        };
        self.locals.push((variable.to_owned(), element.clone()));
        let inside = self.inside(each, filter, body);
        self.locals.pop();
        let (filter, body, mapped) = inside?;
        let ty = match each {
            Each::All | Each::Exists | Each::ExistsOne => Type::Bool,
            Each::Filter => Type::List(Box::new(element)),
            Each::Map => Type::List(Box::new(mapped)),
        };
        Ok((Node::Each(Box::new(Iteration { each, range, filter, body })), ty))
    }

    fn inside(&mut self, each: Each, filter: Option<&Expr>, body: &Expr) -> Result<(Option<Node>, Node, Type), Error> {
        let filter = filter.map(|it| self.bool(it)).transpose()?;
        match each {
            Each::Map => self.expr(body).map(|(body, ty)| (filter, body, ty)),
            _ => self.bool(body).map(|body| (filter, body, Type::Bool)),
        }
    }

    /// Formats some value of each type, to find a format that does not fit its values. Where a type is not known, there
    /// is nothing to try.
    fn try_format(&mut self, nodes: &[Node], values: &[Expr]) -> Result<(), Error> {
        let Some(Value::String(template)) = nodes.first().and_then(Node::constant) else {
            return Ok(());
        };
        let types = values.iter().map(|it| self.expr(it).map(|(_, ty)| ty)).collect::<Result<Vec<_>, _>>()?;
        match types.iter().map(sample).collect::<Option<_>>() {
            Some(samples) => format::format(template, &List::Values(samples)).map(drop),
            None => Ok(()),
        }
    }
}

/// A duration, time or time zone that is written in the rule and that nobody can read would fail on every request.
fn try_literal(run: Run, function: &str, nodes: &[Node], types: &[Type]) -> Result<(), Error> {
    let result = match (function, types, nodes) {
        ("duration" | "timestamp", [Type::String], [Node::Constant(text)]) => run(&[text.borrowed()]),
        (_, [Type::Timestamp, Type::String], [_, Node::Constant(zone)]) => {
            run(&[Value::Timestamp(Timestamp::new(0, 0)), zone.borrowed()])
        }
        _ => return Ok(()),
    };
    result.map(drop)
}

/// Some value of a type.
fn sample(ty: &Type) -> Option<Value<'static>> {
    Some(match ty {
        Type::Dyn => return None,
        Type::Null => Value::Null,
        Type::Bool => Value::Bool(false),
        Type::Int => Value::Int(0),
        Type::Uint => Value::Uint(0),
        Type::Double => Value::Double(0.0),
        Type::String => Value::String("".into()),
        Type::Bytes => Value::Bytes(Vec::new().into()),
        Type::Duration => Value::Duration(Duration::new(0, 0)),
        Type::Timestamp => Value::Timestamp(Timestamp::new(0, 0)),
        Type::List(of) => Value::List(List::Values([sample(of)?].into())),
        Type::Map(key, value) => Value::Map(Map::Entries([(sample(key)?, sample(value)?)].into())),
        Type::Message(it) => Value::Message(Message::Unset(it.clone())),
        Type::Kind => Value::Type("type".into()),
    })
}

fn type_of(literal: &Value<'_>) -> Type {
    match literal {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        // There are no other literals.
        _ => Type::Dyn,
    }
}

fn type_name(name: &str) -> (Node, Type) {
    (Node::Constant(Value::Type(name.to_owned().into())), Type::Kind)
}

fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Ident(name) => Some(name.clone()),
        ExprKind::Select { operand, field } => Some(format!("{}.{field}", dotted(operand)?)),
        _ => None,
    }
}

/// The operators that take operands of any type, as long as the two go together.
fn polymorphic(function: &str, left: &Type, right: &Type) -> Result<Option<(Run, Type)>, Error> {
    let refused = || Err(Error::new(format!("`{function}` does not take ({left}, {right})")));
    match (function, left, right) {
        ("==", a, b) if a.is_comparable_with(b) => Ok(Some((functions::equal, Type::Bool))),
        ("!=", a, b) if a.is_comparable_with(b) => Ok(Some((functions::unequal, Type::Bool))),
        ("in", it, Type::List(of) | Type::Map(of, _)) if it.is_comparable_with(of) => {
            Ok(Some((functions::is_in, Type::Bool)))
        }
        ("in", _, Type::Dyn) => Ok(Some((functions::is_in, Type::Bool))),
        ("[]", Type::List(of), at) if at.is_number() || *at == Type::Dyn => {
            Ok(Some((functions::index, (**of).clone())))
        }
        ("[]", Type::Map(key, value), it) if it.is_comparable_with(key) => {
            Ok(Some((functions::index, (**value).clone())))
        }
        ("[]", Type::Dyn, _) => Ok(Some((functions::index, Type::Dyn))),
        ("==" | "!=" | "in" | "[]", ..) => refused(),
        _ => Ok(None),
    }
}

fn matches(run: Run, [text, pattern]: [Node; 2]) -> Result<Node, Error> {
    match pattern.constant() {
        Some(Value::String(pattern)) => Ok(fold(Node::Matches(Box::new(text), Box::new(regex::compile(pattern)?)))),
        _ => Ok(Node::Call { run, arguments: vec![text, pattern] }),
    }
}

/// Drops a side that decides nothing, and the other one where one decides.
fn logical([left, right]: [Node; 2], decisive: bool) -> Node {
    let constant = |node: &Node| match node.constant() {
        Some(Value::Bool(it)) => Some(*it),
        _ => None,
    };
    match (constant(&left), constant(&right)) {
        (Some(it), _) | (_, Some(it)) if it == decisive => Node::Constant(Value::Bool(decisive)),
        (Some(_), _) => right,
        (_, Some(_)) => left,
        _ if decisive => Node::Or(Box::new([left, right])),
        _ => Node::And(Box::new([left, right])),
    }
}

/// Computes a node whose parts are all constant. What fails stays as it is: it may never be reached.
fn fold(node: Node) -> Node {
    let constant = match &node {
        Node::Select(it) | Node::Has(it) => it.operand.constant().is_some(),
        Node::Call { arguments, .. } => arguments.iter().all(|it| it.constant().is_some()),
        Node::Matches(text, _) => text.constant().is_some(),
        Node::List(items) => items.iter().all(|it| it.constant().is_some()),
        Node::Map(entries) => entries.iter().all(|(key, value)| key.constant().is_some() && value.constant().is_some()),
        _ => false,
    };
    let folded = match constant {
        true => node.eval(&mut Env::new(Value::Null, None)).ok().map(Value::into_static),
        false => None,
    };
    folded.map_or(node, Node::Constant)
}
