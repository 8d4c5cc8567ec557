//! Path templates of `google.api.http`.
//!
//! ```text
//! Template = "/" Segments [ ":" LITERAL ] ;
//! Segments = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}" ;
//! ```

use std::fmt;

/// A path as it is written in an annotation, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    /// Between the slashes.
    pub segments: Vec<Segment>,
    /// After the colon at the end.
    pub verb: Option<String>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// That very text.
    Literal(String),
    /// One segment, whatever it is.
    Any,
    /// All that follows.
    Rest,
    /// What matches `pattern` is the value of a field of the request.
    Variable {
        /// The field, or the field of a field: `product.id`.
        field: String,
        /// Literals, [`Segment::Any`] and [`Segment::Rest`].
        pattern: Vec<Segment>,
    },
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix('/').ok_or("it must begin with `/`")?;
        let (path, verb) = split_verb(path)?;
        let segments = split(path)?.into_iter().map(segment).collect::<Result<Vec<_>, _>>()?;
        let template = PathTemplate { segments, verb };
        template.check()?;
        Ok(template)
    }

    /// The fields that the variables name.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|it| match it {
            Segment::Variable { field, .. } => Some(field.as_str()),
            _ => None,
        })
    }

    /// What two templates share that match the same paths: variables give way to what they match.
    pub fn shape(&self) -> String {
        let flat: Vec<String> = self.segments.iter().flat_map(shape_of).collect();
        match &self.verb {
            Some(verb) => format!("/{}:{verb}", flat.join("/")),
            None => format!("/{}", flat.join("/")),
        }
    }

    fn check(&self) -> Result<(), String> {
        let flat: Vec<String> = self.segments.iter().flat_map(shape_of).collect();
        if flat.iter().rev().skip(1).any(|it| it == "**") {
            return Err("`**` can only stand at the end".to_owned());
        }
        let mut fields: Vec<_> = self.variables().collect();
        fields.sort_unstable();
        match fields.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("the field `{}` stands in it twice", pair[0])),
            None => Ok(()),
        }
    }
}

fn shape_of(segment: &Segment) -> Vec<String> {
    match segment {
        Segment::Literal(text) => vec![text.clone()],
        Segment::Any => vec!["*".to_owned()],
        Segment::Rest => vec!["**".to_owned()],
        Segment::Variable { pattern, .. } => pattern.iter().flat_map(shape_of).collect(),
    }
}

/// Cuts the verb off: it follows the last colon, outside of braces.
fn split_verb(path: &str) -> Result<(&str, Option<String>), String> {
    let after = path.rfind(['}', '/']).map_or(0, |it| it + 1);
    let Some(colon) = path[after..].find(':') else {
        return Ok((path, None));
    };
    let verb = &path[after + colon + 1..];
    check_literal(verb)?;
    Ok((&path[..after + colon], Some(verb.to_owned())))
}

/// Cuts at the slashes outside of braces.
fn split(path: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in path.char_indices() {
        match letter {
            '{' if depth > 0 => return Err("a variable cannot hold another".to_owned()),
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1).ok_or("`}` without `{`")?,
            '/' if depth == 0 => {
                parts.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("`{` without `}`".to_owned());
    }
    parts.push(&path[start..]);
    Ok(parts)
}

fn segment(text: &str) -> Result<Segment, String> {
    match text {
        "*" => Ok(Segment::Any),
        "**" => Ok(Segment::Rest),
        _ => match text.strip_prefix('{') {
            Some(rest) => variable(rest.strip_suffix('}').ok_or("a variable must be a segment of its own")?),
            None => check_literal(text).map(|()| Segment::Literal(text.to_owned())),
        },
    }
}

fn variable(text: &str) -> Result<Segment, String> {
    let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
    let is_name = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !field.split('.').all(is_name) {
        return Err(format!("`{field}` is no field"));
    }
    let pattern = pattern.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
    Ok(Segment::Variable { field: field.to_owned(), pattern })
}

fn check_literal(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()+,;=@%".contains(c);
    match text.chars().find(|c| !plain(*c)) {
        _ if text.is_empty() => Err("a segment is empty".to_owned()),
        Some(odd) => Err(format!("`{odd}` cannot stand in a path")),
        None => Ok(()),
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|it| write!(f, "/{it}"))?;
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Literal(text) => f.write_str(text),
            Segment::Any => f.write_str("*"),
            Segment::Rest => f.write_str("**"),
            Segment::Variable { field, pattern } if pattern == &[Segment::Any] => write!(f, "{{{field}}}"),
            Segment::Variable { field, pattern } => {
                let pattern: Vec<_> = pattern.iter().map(ToString::to_string).collect();
                write!(f, "{{{field}={}}}", pattern.join("/"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["/v1/products", "/v1/{id}", "/v1/{name=shelves/*/books/*}:archive", "/v1/*/{rest=**}", "/a:b"] {
            assert_eq!(PathTemplate::parse(text).map(|it| it.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, wrong) in [
            ("v1", "it must begin with `/`"),
            ("/v1//x", "a segment is empty"),
            ("/", "a segment is empty"),
            ("/v1/{id", "`{` without `}`"),
            ("/v1/id}", "`}` without `{`"),
            ("/v1/{a={b}}", "a variable cannot hold another"),
            ("/v1/x{id}", "`{` cannot stand in a path"),
            ("/v1/{id}x", "a variable must be a segment of its own"),
            ("/v1/{1d}", "`1d` is no field"),
            ("/v1/{a=**}/b", "`**` can only stand at the end"),
            ("/v1/{a}/{a}", "the field `a` stands in it twice"),
            ("/v1/a b", "` ` cannot stand in a path"),
            ("/v1/a:", "a segment is empty"),
        ] {
            assert_eq!(PathTemplate::parse(text), Err(wrong.to_owned()), "{text}");
        }
    }

    #[test]
    fn gives_templates_that_match_the_same_the_same_shape() {
        let shape = |text| PathTemplate::parse(text).map(|it| it.shape());
        assert_eq!(shape("/v1/{name=shelves/*}"), shape("/v1/shelves/{id}"));
        assert_ne!(shape("/v1/{id}"), shape("/v1/{id}:archive"));
    }
}
