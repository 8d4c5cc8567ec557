//! rustfmt's layout, with its default settings, for the trees of [`crate::rust`].

use super::{Arm, Expr, Link, Stmt};

/// Widest line.
const MAX_WIDTH: usize = 100;
/// A list of imports is broken a little earlier.
const USE_WIDTH: usize = 98;
/// Widest arguments of a call on one line.
const FN_CALL_WIDTH: usize = 60;
/// Widest items of an array on one line.
const ARRAY_WIDTH: usize = 60;
/// Widest chain on one line.
const CHAIN_WIDTH: usize = 60;
/// Widest fields of a struct literal on one line.
const STRUCT_LIT_WIDTH: usize = 18;
/// Widest `if … else …` on one line.
const IF_ELSE_WIDTH: usize = 50;
/// One level of indentation.
const TAB: usize = 4;

/// Where an expression is printed.
#[derive(Clone, Copy)]
struct Place {
    /// Indentation of the line it starts on.
    indent: usize,
    /// Column it starts at.
    column: usize,
    /// Room that what follows on its last line needs.
    after: usize,
}

/// Statements at a level of indentation, each on its own line, with the final newline.
pub fn block(statements: &[Stmt], indent: usize) -> String {
    statements.iter().map(|it| statement(it, indent)).collect()
}

/// An expression that begins at the start of a line at a level of indentation.
pub fn expression(expr: &Expr, indent: usize) -> String {
    layout(expr, Place { indent, column: indent, after: 0 })
}

/// The head of a function, up to its opening brace: `fn name(&self, a: A) -> B {`.
///
/// `name` has everything before the parenthesis, `output` is empty for the unit type.
pub fn signature(name: &str, parameters: &[String], output: &str, indent: usize) -> String {
    let output = if output.is_empty() { String::new() } else { format!(" -> {output}") };
    let line = format!("{name}({}){output} {{", parameters.join(", "));
    if indent + width(&line) <= MAX_WIDTH {
        return line;
    }
    let parameters: String = parameters.iter().map(|it| format!("{}{it},\n", pad(indent + TAB))).collect();
    format!("{name}(\n{parameters}{}){output} {{", pad(indent))
}

/// A `use` of names of one module, sorted by the caller, with the final newline.
pub fn use_list(module: &str, names: &[String], indent: usize) -> String {
    if let [name] = names {
        return format!("{}use {module}::{name};\n", pad(indent));
    }
    let line = format!("{}use {module}::{{{}}};", pad(indent), names.join(", "));
    if width(&line) <= USE_WIDTH {
        return line + "\n";
    }
    let mut text = format!("{}use {module}::{{", pad(indent));
    let mut column = MAX_WIDTH;
    for name in names {
        let wide = width(name) + 2;
        // The comma must fit, the space after it needn't.
        if column + wide - 1 > MAX_WIDTH {
            text.truncate(text.trim_end().len());
            text += &format!("\n{}", pad(indent + TAB));
            column = indent + TAB;
        }
        text.push_str(name);
        text.push_str(", ");
        column += wide;
    }
    text.truncate(text.trim_end().len());
    format!("{text}\n{}}};\n", pad(indent))
}

fn statement(statement: &Stmt, indent: usize) -> String {
    let line = |text: String| format!("{}{text}\n", pad(indent));
    match statement {
        Stmt::Let(pattern, value) => line(assignment(&format!("let {pattern} ="), value, indent) + ";"),
        Stmt::Assign(place, value) => line(assignment(&format!("{place} ="), value, indent) + ";"),
        Stmt::Do(value) => line(layout(value, Place { indent, column: indent, after: 1 }) + ";"),
        Stmt::Value(value) => line(expression(value, indent)),
        Stmt::If(condition, body) => line(if_let_chain(condition, body, indent)),
        Stmt::Return => line("return;".to_owned()),
        Stmt::Comment(text) => line(format!("// {text}")),
        Stmt::Blank => "\n".to_owned(),
    }
}

/// `if condition { … }`; conditions that hold nothing but the next one are chained, as clippy wants them.
fn if_let_chain(condition: &str, body: &[Stmt], indent: usize) -> String {
    let (mut conditions, mut body) = (vec![condition], body);
    while let [Stmt::If(condition, inner)] = body {
        conditions.push(condition);
        body = inner;
    }
    let body = format!("{{\n{}{}}}", block(body, indent + TAB), pad(indent));
    match conditions.as_slice() {
        [condition] => format!("if {condition} {body}"),
        chain => format!("if {}\n{}{body}", chain.join(&format!("\n{}&& ", pad(indent + TAB))), pad(indent)),
    }
}

/// `left value`, without the semicolon; the value goes to the next line only if it doesn't fit beside.
fn assignment(left: &str, value: &Expr, indent: usize) -> String {
    let column = indent + width(left) + 1;
    let beside = layout(value, Place { indent, column, after: 1 });
    if fits(&beside, column, 1) && !prefers_next_line(value, &beside, indent) {
        return format!("{left} {beside}");
    }
    let below = layout(value, Place { indent: indent + TAB, column: indent + TAB, after: 1 });
    if fits(&below, indent + TAB, 1) {
        format!("{left}\n{}{below}", pad(indent + TAB))
    } else {
        format!("{left} {beside}")
    }
}

/// rustfmt prefers a value that fits whole on the next line to one broken on the same line, unless breaking is
/// natural to it, as with calls and literals.
fn prefers_next_line(value: &Expr, beside: &str, indent: usize) -> bool {
    let Expr::Chain(_, links) = value else {
        return false;
    };
    let whole = one_line(value).is_some_and(|it| indent + TAB + width(&it) < MAX_WIDTH);
    beside.contains('\n') && whole && children(links).len() == 1
}

fn layout(expr: &Expr, place: Place) -> String {
    if let Some(line) = one_line(expr)
        && place.column + width(&line) + place.after <= MAX_WIDTH
    {
        return line;
    }
    match expr {
        Expr::Text(text) => text.clone(),
        Expr::Struct { path, fields, rest } => struct_literal(path, fields, rest.as_deref(), place.indent),
        Expr::Call(function, arguments) => call(function, arguments, ('(', ')'), place),
        Expr::Macro(name, items) => call(&format!("{name}!"), items, ('[', ']'), place),
        Expr::Array(items) => call("", items, ('[', ']'), place),
        Expr::Chain(root, links) => chain(root, links, place),
        Expr::If(condition, then, otherwise) => if_else(condition, then, otherwise, place),
        Expr::Closure(parameters, body) => {
            if let Expr::Struct { path, fields, rest } = body.as_ref() {
                // A literal that spans lines needs no braces around it.
                return format!("|{parameters}| {}", struct_literal(path, fields, rest.as_deref(), place.indent));
            }
            let inner = place.indent + TAB;
            let body = expression(body, inner);
            format!("|{parameters}| {{\n{}{body}\n{}}}", pad(inner), pad(place.indent))
        }
        Expr::Match(value, arms) => match_arms(value, arms, place.indent),
        Expr::AsyncBlock(body) => format!("async {{\n{}{}}}", block(body, place.indent + TAB), pad(place.indent)),
    }
}

/// The expression on one line, if rustfmt ever puts it there.
fn one_line(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Text(text) => Some(text.clone()),
        Expr::Struct { path, fields, rest } if fields.is_empty() && rest.is_none() => Some(format!("{path} {{}}")),
        Expr::Struct { path, fields, rest } => {
            let mut inner = fields.iter().map(one_line_field).collect::<Option<Vec<_>>>()?;
            if let Some(rest) = rest {
                inner.push(format!("..{}", one_line(rest)?));
            }
            let inner = inner.join(", ");
            (width(&inner) <= STRUCT_LIT_WIDTH).then(|| format!("{path} {{ {inner} }}"))
        }
        Expr::Call(function, arguments) => Some(format!("{function}({})", one_line_list(arguments, FN_CALL_WIDTH)?)),
        Expr::Macro(name, items) => Some(format!("{name}![{}]", one_line_list(items, ARRAY_WIDTH)?)),
        Expr::Array(items) => Some(format!("[{}]", one_line_list(items, ARRAY_WIDTH)?)),
        Expr::Chain(root, links) => {
            let line = links.iter().try_fold(one_line(root)?, |line, link| Some(line + &one_line_link(link)?))?;
            (children(links).len() == 1 || width(&line) <= CHAIN_WIDTH).then_some(line)
        }
        Expr::If(condition, then, otherwise) => {
            let [condition, then, otherwise] = [one_line(condition)?, one_line(then)?, one_line(otherwise)?];
            let line = format!("if {condition} {{ {then} }} else {{ {otherwise} }}");
            (width(&line) <= IF_ELSE_WIDTH).then_some(line)
        }
        Expr::Closure(parameters, body) => Some(format!("|{parameters}| {}", one_line(body)?)),
        Expr::Match(..) | Expr::AsyncBlock(_) => None,
    }
}

fn one_line_field((name, value): &(String, Expr)) -> Option<String> {
    let value = one_line(value)?;
    Some(if *name == value { value } else { format!("{name}: {value}") })
}

fn one_line_link(link: &Link) -> Option<String> {
    Some(match link {
        Link::Field(name) => format!(".{name}"),
        Link::Method(name, arguments) => format!(".{name}({})", one_line_list(arguments, FN_CALL_WIDTH)?),
        Link::Try => "?".to_owned(),
    })
}

/// A closure at the end may be wider than the others together are allowed to be.
fn one_line_list(items: &[Expr], widest: usize) -> Option<String> {
    let line = items.iter().map(one_line).collect::<Option<Vec<_>>>()?.join(", ");
    let closure = matches!(items, [Expr::Closure(..)]);
    (closure || width(&line) <= widest).then_some(line)
}

fn struct_literal(path: &str, fields: &[(String, Expr)], rest: Option<&Expr>, indent: usize) -> String {
    let inner = indent + TAB;
    let mut text = format!("{path} {{\n");
    for field @ (name, value) in fields {
        let column = inner + width(name) + 2;
        let line = match one_line_field(field) {
            Some(short) if short == *name => short,
            _ => {
                let value_beside = layout(value, Place { indent: inner, column, after: 1 });
                if fits(&value_beside, column, 1) {
                    format!("{name}: {value_beside}")
                } else {
                    let below = layout(value, Place { indent: inner + TAB, column: inner + TAB, after: 1 });
                    format!("{name}:\n{}{below}", pad(inner + TAB))
                }
            }
        };
        text += &format!("{}{line},\n", pad(inner));
    }
    if let Some(rest) = rest {
        text += &format!("{}..{}\n", pad(inner), layout(rest, Place { indent: inner, column: inner + 2, after: 0 }));
    }
    text + &pad(indent) + "}"
}

fn call(function: &str, arguments: &[Expr], (open, close): (char, char), place: Place) -> String {
    let inner = place.indent + TAB;
    let lines: String = arguments
        .iter()
        .map(|it| format!("{}{},\n", pad(inner), layout(it, Place { indent: inner, column: inner, after: 1 })))
        .collect();
    if let [argument] = arguments
        && overflows(argument)
    {
        let column = place.column + width(function) + 1;
        let beside = Place { indent: place.indent, column, after: place.after + 1 };
        let inside = match argument {
            // What is too wide for arguments on one line breaks within, though the line would hold it.
            Expr::Call(function, arguments) => call(function, arguments, ('(', ')'), beside),
            _ => layout(argument, beside),
        };
        // Where nothing fits, the fewer lines win.
        if fits(&inside, column, place.after + 1) || !fits(&lines, 0, 0) {
            return format!("{function}{open}{inside}{close}");
        }
    }
    format!("{function}{open}\n{lines}{}{close}", pad(place.indent))
}

/// Whether an only argument may begin on the line of the call and end on that of the parenthesis.
fn overflows(argument: &Expr) -> bool {
    matches!(
        argument,
        Expr::Struct { .. }
            | Expr::Call(..)
            | Expr::Macro(..)
            | Expr::Closure(..)
            | Expr::Match(..)
            | Expr::AsyncBlock(_)
    )
}

/// Links as rustfmt counts them: `?` belongs to what it follows.
fn children(links: &[Link]) -> Vec<&[Link]> {
    let mut children = Vec::new();
    let mut start = 0;
    for end in 1..=links.len() {
        if end == links.len() || links[end] != Link::Try {
            children.push(&links[start..end]);
            start = end;
        }
    }
    children
}

fn chain(root: &Expr, links: &[Link], place: Place) -> String {
    chain_beside(root, links, place).unwrap_or_else(|| chain_below(root, links, place))
}

/// All links on the line of the root, where only what the last one's arguments hold needs more lines; `None` where
/// rustfmt prefers the last one on a line of its own.
fn chain_beside(root: &Expr, links: &[Link], place: Place) -> Option<String> {
    let children = children(links);
    let (last, others) = children.split_last()?;
    let others: String = others.concat().iter().map(one_line_link).collect::<Option<_>>()?;
    let head = one_line(root)? + &others;
    let beside = child_links(last, Place { column: place.column + width(&head), ..place });
    let inner = place.indent + TAB;
    let below = child_links(last, Place { indent: inner, column: inner, ..place });
    let room = if children.len() == 1 { MAX_WIDTH - place.column } else { CHAIN_WIDTH };
    let fits = width(&head) + width(beside.lines().next().unwrap_or_default()) <= room;
    let lines = beside.lines().count();
    (fits && (lines >= 5 || below.lines().count() >= lines)).then(|| head + &beside)
}

/// Each link on its own line, below the root.
fn chain_below(root: &Expr, links: &[Link], place: Place) -> String {
    let mut children = children(links).into_iter().peekable();
    let mut text = layout(root, place);
    // Short roots take links onto their line, as long as those stay on it.
    let short = TAB.saturating_sub(place.column - place.indent);
    while width(&text) <= short
        && let Some(child) = children.peek()
    {
        let joined = child_links(child, Place { column: place.column + width(&text), ..place });
        if text.contains('\n') || joined.contains('\n') {
            break;
        }
        text += &joined;
        children.next();
    }
    // Links stand below the last line of a root that takes several.
    let inner = if text.contains('\n') { place.indent } else { place.indent + TAB };
    let count = children.len();
    for (index, child) in children.enumerate() {
        let after = if index + 1 == count { place.after } else { 0 };
        text += &format!("\n{}{}", pad(inner), child_links(child, Place { indent: inner, column: inner, after }));
    }
    text
}

fn child_links(links: &[Link], place: Place) -> String {
    let tries = links.iter().filter(|it| **it == Link::Try).count();
    let text = match &links[0] {
        Link::Field(name) => format!(".{name}"),
        Link::Method(name, arguments) => {
            let call = Expr::Call(name.clone(), arguments.clone());
            format!(".{}", layout(&call, Place { column: place.column + 1, after: place.after + tries, ..place }))
        }
        Link::Try => String::new(),
    };
    text + &"?".repeat(tries)
}

fn if_else(condition: &Expr, then: &Expr, otherwise: &Expr, place: Place) -> String {
    let inner = place.indent + TAB;
    let condition = layout(condition, Place { indent: place.indent, column: place.column + 3, after: 2 });
    let [then, otherwise] = [then, otherwise].map(|it| format!("{}{}\n", pad(inner), expression(it, inner)));
    let end = pad(place.indent);
    format!("if {condition} {{\n{then}{end}}} else {{\n{otherwise}{end}}}")
}

fn match_arms(value: &Expr, arms: &[Arm], indent: usize) -> String {
    let value = layout(value, Place { indent, column: indent + 6, after: 2 });
    if arms.is_empty() {
        return format!("match {value} {{}}");
    }
    let arms: String = arms.iter().map(|it| format!("{}{}\n", pad(indent + TAB), arm(it, indent + TAB))).collect();
    format!("match {value} {{\n{arms}{}}}", pad(indent))
}

fn arm(Arm { pattern, body }: &Arm, indent: usize) -> String {
    let lone = match body.as_slice() {
        [] => return format!("{pattern} => {{}}"),
        [Stmt::Value(value)] => value.clone(),
        [Stmt::Assign(place, value)] if one_line(value).is_some() => {
            Expr::text(format!("{place} = {}", one_line(value).unwrap_or_default()))
        }
        _ => return format!("{pattern} => {{\n{}{}}}", block(body, indent + TAB), pad(indent)),
    };
    let column = indent + width(pattern) + 4;
    let beside = layout(&lone, Place { indent, column, after: 1 });
    let flows = !beside.contains('\n') || overflows(&lone);
    if flows && fits(&beside, column, 1) {
        return format!("{pattern} => {beside},");
    }
    format!("{pattern} => {{\n{}{}\n{}}}", pad(indent + TAB), expression(&lone, indent + TAB), pad(indent))
}

/// Whether text that begins at `column` stays within the lines.
fn fits(text: &str, column: usize, after: usize) -> bool {
    let mut column = column;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let after = if lines.peek().is_none() { after } else { 0 };
        if column + width(line) + after > MAX_WIDTH {
            return false;
        }
        column = 0;
    }
    true
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn pad(columns: usize) -> String {
    " ".repeat(columns)
}
