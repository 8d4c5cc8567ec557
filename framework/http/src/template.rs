//! Path templates in the notation of `google.api.http`.
//!
//! ```text
//! Template  = "/" [ Segments ] [ ":" Verb ]
//! Segments  = Segment { "/" Segment }
//! Segment   = "*" | "**" | LITERAL | Variable
//! Variable  = "{" FieldPath [ "=" Segments ] "}"
//! ```

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) verb: Option<String>,
    pub(crate) variables: Vec<Variable>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    /// `*`: anything but nothing.
    Any,
    /// `**`: any number of segments, none included; the last one.
    Rest,
}

/// A field that the path carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// `product.id`
    pub(crate) field: String,
    /// Its first segment.
    pub(crate) start: usize,
    /// The segment after its last; `None` if it ends with the path's rest.
    pub(crate) end: Option<usize>,
    /// Whether it stands for more than one segment; then `%2F` stays as it is.
    pub(crate) several: bool,
}

/// Parses a template.
pub(crate) fn parse(text: &str) -> Result<Template, String> {
    let (path, verb) = split_verb(text);
    let path = path.strip_prefix('/').ok_or("must begin with `/`")?;
    let mut template = Template { segments: Vec::new(), verb: None, variables: Vec::new() };
    let parts = if path.is_empty() { Vec::new() } else { split_outside_braces(path)? };
    for part in parts {
        match part.strip_prefix('{') {
            Some(variable) => push_variable(&mut template, variable)?,
            None => push_segment(&mut template, part)?,
        }
    }
    template.verb = verb.map(str::to_owned);
    if template.verb.as_deref() == Some("") {
        return Err("has an empty verb".to_owned());
    }
    Ok(template)
}

/// A colon after the last slash and the last brace begins a verb.
fn split_verb(text: &str) -> (&str, Option<&str>) {
    let tail = text.rfind(['/', '}']).map_or(0, |index| index + 1);
    match text[tail..].find(':') {
        Some(colon) => (&text[..tail + colon], Some(&text[tail + colon + 1..])),
        None => (text, None),
    }
}

fn split_outside_braces(path: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (index, character) in path.char_indices() {
        match character {
            '{' if inside => return Err("has a variable inside of a variable".to_owned()),
            '{' => inside = true,
            '}' if !inside => return Err("has a `}` without `{`".to_owned()),
            '}' => inside = false,
            '/' if !inside => {
                parts.push(&path[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err("has a `{` without `}`".to_owned());
    }
    parts.push(&path[start..]);
    Ok(parts)
}

fn push_variable(template: &mut Template, text: &str) -> Result<(), String> {
    let text = text.strip_suffix('}').ok_or("has text after a variable")?;
    let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
    if field.split('.').any(str::is_empty) {
        return Err(format!("has a variable without a field's name: `{{{text}}}`"));
    }
    if template.variables.iter().any(|variable| variable.field == field) {
        return Err(format!("names `{field}` twice"));
    }
    let start = template.segments.len();
    for part in pattern.split('/') {
        push_segment(template, part)?;
    }
    let end = template.segments.len();
    let rest = template.segments.last() == Some(&Segment::Rest);
    let (several, end) = (rest || end - start > 1, (!rest).then_some(end));
    template.variables.push(Variable { field: field.to_owned(), start, end, several });
    Ok(())
}

fn push_segment(template: &mut Template, text: &str) -> Result<(), String> {
    if template.segments.last() == Some(&Segment::Rest) {
        return Err("has something after `**`".to_owned());
    }
    template.segments.push(match text {
        "" => return Err("has an empty segment".to_owned()),
        "*" => Segment::Any,
        "**" => Segment::Rest,
        literal if literal.contains(['*', '{', '}']) => return Err(format!("has an unclear segment `{literal}`")),
        literal => Segment::Literal(literal.to_owned()),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn a_template_has_segments_variables_and_a_verb() {
        let template = parse("/v1/{name=shelves/*}/books/{book.id}:archive").expect("valid");
        assert_eq!(
            template.segments,
            [literal("v1"), literal("shelves"), Segment::Any, literal("books"), Segment::Any]
        );
        assert_eq!(template.verb.as_deref(), Some("archive"));
        let variables: Vec<_> =
            template.variables.iter().map(|it| (it.field.as_str(), it.start, it.end, it.several)).collect();
        assert_eq!(variables, [("name", 1, Some(3), true), ("book.id", 4, Some(5), false)]);
    }

    #[test]
    fn a_variable_may_take_the_rest() {
        let template = parse("/v1/files/{path=**}").expect("valid");
        assert_eq!(template.segments, [literal("v1"), literal("files"), Segment::Rest]);
        assert!(template.variables[0].several);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        for (template, wrong) in [
            ("v1", "must begin with `/`"),
            ("/v1//a", "has an empty segment"),
            ("/v1/", "has an empty segment"),
            ("/v1/{a", "has a `{` without `}`"),
            ("/v1/a}", "has a `}` without `{`"),
            ("/v1/{a{b}}", "has a variable inside of a variable"),
            ("/v1/{a}b", "has text after a variable"),
            ("/v1/{}", "has a variable without a field's name: `{}`"),
            ("/v1/{a.}", "has a variable without a field's name: `{a.}`"),
            ("/v1/{a}/{a}", "names `a` twice"),
            ("/v1/**/b", "has something after `**`"),
            ("/v1/a*", "has an unclear segment `a*`"),
            ("/v1/a:", "has an empty verb"),
        ] {
            assert_eq!(parse(template), Err(wrong.to_owned()), "{template}");
        }
    }
}
