//! Finds the route of a request: a tree of path segments, built once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use percent_encoding::percent_decode_str;

use crate::template::{Segment, Template, Variable};

/// Routes with what belongs to them.
#[derive(Debug)]
pub(crate) struct Router<T> {
    root: Node,
    routes: Vec<T>,
    has_verbs: bool,
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Found<'r, 'p, T> {
    /// A route, and the segments of the path.
    Route(&'r T, Vec<&'p str>),
    /// Nothing for this method; these are the ones that there is something for.
    OtherMethods(BTreeSet<&'r str>),
    /// Nothing.
    Nothing,
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<String, Node>,
    any: Option<Box<Node>>,
    /// Routes that end here, by verb.
    ends: Ends,
    /// Routes that take whatever follows.
    rests: Ends,
}

#[derive(Debug, Default)]
struct Ends(Vec<End>);

#[derive(Debug)]
struct End {
    verb: Option<String>,
    method: Method,
    route: usize,
}

/// One request on its way through the tree.
struct Search<'r, 'p> {
    segments: &'p [&'p str],
    verb: Option<&'p str>,
    method: &'p Method,
    allowed: BTreeSet<&'r str>,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self { root: Node::default(), routes: Vec::new(), has_verbs: false }
    }
}

impl<T> Router<T> {
    /// Adds a route; refused if there is one of the same method and form.
    pub(crate) fn add(&mut self, method: Method, template: &Template, route: T) -> Result<(), String> {
        let rest = template.segments.last() == Some(&Segment::Rest);
        let mut node = &mut self.root;
        for segment in &template.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
                Segment::Rest => break,
            };
        }
        let ends = if rest { &mut node.rests } else { &mut node.ends };
        if ends.0.iter().any(|end| end.method == method && end.verb == template.verb) {
            return Err(format!("there is another {method} route of the same form"));
        }
        self.has_verbs |= template.verb.is_some();
        ends.0.push(End { verb: template.verb.clone(), method, route: self.routes.len() });
        self.routes.push(route);
        Ok(())
    }

    /// Finds the route of a path; literals go before variables. What ends
    /// like a verb that there is, is that verb for every method; an id that does has its colon encoded.
    pub(crate) fn find<'p>(&self, method: &'p Method, path: &'p str) -> Found<'_, 'p, T> {
        let Some(path) = path.strip_prefix('/') else {
            return Found::Nothing;
        };
        let whole: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        if self.has_verbs
            && let Some((last, before)) = whole.split_last()
            && let Some((last, verb)) = last.rsplit_once(':')
        {
            let segments = [before, &[last]].concat();
            let mut search = Search { segments: &segments, verb: Some(verb), method, allowed: BTreeSet::new() };
            if let Some(route) = search.node(&self.root, 0) {
                return Found::Route(&self.routes[route], segments);
            }
            if !search.allowed.is_empty() {
                return Found::OtherMethods(search.allowed);
            }
        }
        let mut search = Search { segments: &whole, verb: None, method, allowed: BTreeSet::new() };
        if let Some(route) = search.node(&self.root, 0) {
            return Found::Route(&self.routes[route], whole);
        }
        if search.allowed.is_empty() { Found::Nothing } else { Found::OtherMethods(search.allowed) }
    }
}

impl<'r> Search<'r, '_> {
    fn node(&mut self, node: &'r Node, depth: usize) -> Option<usize> {
        match self.segments.get(depth) {
            None => self.end(&node.ends).or_else(|| self.end(&node.rests)),
            Some(segment) => self
                .literal(node, segment, depth)
                .or_else(|| self.any(node, segment, depth))
                .or_else(|| self.end(&node.rests)),
        }
    }

    fn literal(&mut self, node: &'r Node, segment: &str, depth: usize) -> Option<usize> {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        self.node(node.literals.get(segment.as_ref())?, depth + 1)
    }

    fn any(&mut self, node: &'r Node, segment: &str, depth: usize) -> Option<usize> {
        let any = node.any.as_ref().filter(|_| !segment.is_empty())?;
        self.node(any, depth + 1)
    }

    fn end(&mut self, ends: &'r Ends) -> Option<usize> {
        let mut found = None;
        for end in ends.0.iter().filter(|end| end.verb.as_deref() == self.verb) {
            if end.method == *self.method {
                found = Some(end.route);
            }
            self.allowed.insert(end.method.as_str());
        }
        found
    }
}

impl Variable {
    /// What a path carries for this variable; `None` if that isn't UTF-8.
    pub(crate) fn capture<'p>(&self, segments: &[&'p str]) -> Option<Cow<'p, str>> {
        if !self.several {
            return percent_decode_str(segments.get(self.start)?).decode_utf8().ok();
        }
        let end = self.end.unwrap_or(segments.len());
        let joined = segments.get(self.start..end).unwrap_or_default().join("/");
        decode_but_slashes(&joined).map(Cow::Owned)
    }
}

/// In a variable of several segments an encoded slash is not a separator, so it has to stay encoded.
fn decode_but_slashes(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(index) = rest.find("%2F").into_iter().chain(rest.find("%2f")).min() {
        decoded.push_str(&percent_decode_str(&rest[..index]).decode_utf8().ok()?);
        decoded.push_str(&rest[index..index + 3]);
        rest = &rest[index + 3..];
    }
    decoded.push_str(&percent_decode_str(rest).decode_utf8().ok()?);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;

    fn router(routes: &[(&'static str, &'static str)]) -> Router<Template> {
        let mut router = Router::default();
        for (method, path) in routes {
            let template = template::parse(path).expect("a valid template");
            let method = method.parse().expect("a method");
            router.add(method, &template.clone(), template).expect("no conflict");
        }
        router
    }

    /// The values of the variables, or why there is none.
    fn follow(router: &Router<Template>, method: &str, path: &str) -> Result<Vec<String>, String> {
        match router.find(&method.parse().expect("a method"), path) {
            Found::Route(template, segments) => Ok(template
                .variables
                .iter()
                .map(|variable| {
                    format!("{}={}", variable.field, variable.capture(&segments).unwrap_or("not UTF-8".into()))
                })
                .collect()),
            Found::OtherMethods(methods) => Err(methods.into_iter().collect::<Vec<_>>().join(", ")),
            Found::Nothing => Err("nothing".to_owned()),
        }
    }

    #[test]
    fn a_path_leads_to_its_most_specific_route() {
        let router = router(&[
            ("GET", "/"),
            ("GET", "/v1/products"),
            ("POST", "/v1/products"),
            ("GET", "/v1/products/{id}"),
            ("POST", "/v1/products/search"),
            ("POST", "/v1/products/{id}:archive"),
            ("POST", "/v1/products:import"),
            ("GET", "/v1/{name=shelves/*}/books/{book.id}"),
            ("GET", "/v1/files/{path=**}"),
            ("GET", "/v1/{parent=files/**}:stat"),
        ]);
        let ok = |values: &[&str]| Ok(values.iter().map(|it| (*it).to_owned()).collect());
        let err = |text: &str| Err(text.to_owned());
        for (method, path, wanted) in [
            ("GET", "/", ok(&[])),
            ("GET", "/v1/products", ok(&[])),
            ("DELETE", "/v1/products", err("GET, POST")),
            ("GET", "/v1/products/", err("nothing")),
            ("GET", "/v1/products/7", ok(&["id=7"])),
            ("GET", "/v1/products/a%20b%2Fc", ok(&["id=a b/c"])),
            ("GET", "/v1/products/%FF", ok(&["id=not UTF-8"])),
            ("GET", "/v1/products/a:b", ok(&["id=a:b"])),
            ("GET", "/v1/products/search", ok(&["id=search"])),
            ("GET", "/v1/pro%64ucts/7", ok(&["id=7"])),
            ("PUT", "/v1/products/search", err("GET, POST")),
            ("POST", "/v1/products/7:archive", ok(&["id=7"])),
            ("POST", "/v1/products/a:b:archive", ok(&["id=a:b"])),
            ("PUT", "/v1/products/7:archive", err("POST")),
            ("GET", "/v1/products/7:archive", err("POST")),
            ("GET", "/v1/products/7%3Aarchive", ok(&["id=7:archive"])),
            ("POST", "/v1/products:import", ok(&[])),
            ("GET", "/v1/shelves/3/books/9", ok(&["name=shelves/3", "book.id=9"])),
            ("GET", "/v1/shelves/3/books", err("nothing")),
            ("GET", "/v1/files", ok(&["path="])),
            ("GET", "/v1/files/a%2Fb/c%20d", ok(&["path=a%2Fb/c d"])),
            ("GET", "/v1/files/a/b:stat", ok(&["parent=files/a/b"])),
            ("GET", "/v2", err("nothing")),
            ("GET", "*", err("nothing")),
        ] {
            assert_eq!(follow(&router, method, path), wanted, "{method} {path}");
        }
    }

    #[test]
    fn two_routes_of_the_same_form_are_refused() {
        let mut router = router(&[("GET", "/v1/{id}")]);
        let template = template::parse("/v1/{other}").expect("valid");
        assert!(router.add(Method::GET, &template, template.clone()).is_err());
        assert!(router.add(Method::PUT, &template, template.clone()).is_ok());
    }
}
