//! How names become subjects.
//!
//! A subject is tokens separated by dots. A name may hold anything; whatever would mean something else in a subject
//! (and everything that isn't an ASCII letter, a digit, `-` or `_`) is written as `%` and two hexadecimal digits per
//! byte. So different names are always different subjects.

/// The longest correlation id that is part of a subject, in bytes.
pub const LONGEST_ADDRESS: usize = 255;

/// The subjects of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    module: String,
}

impl Subjects {
    /// Of the module with that name.
    #[must_use]
    pub fn of(module: &str) -> Self {
        Self { module: token(module) }
    }

    /// Where events of that type are published: `shop.events.product.created`.
    #[must_use]
    pub fn event(&self, event_type: &str) -> String {
        format!("{}.events.{}", self.module, tokens(event_type))
    }

    /// All events.
    #[must_use]
    pub fn events(&self) -> String {
        format!("{}.events.>", self.module)
    }

    /// Where a command is sent: `shop.commands.shop.create_product`.
    #[must_use]
    pub fn command(&self, name: &str) -> String {
        format!("{}.commands.{}", self.module, tokens(name))
    }

    /// All commands.
    #[must_use]
    pub fn commands(&self) -> String {
        format!("{}.commands.>", self.module)
    }

    /// Where a query is asked: `shop.queries.GetProduct`.
    #[must_use]
    pub fn query(&self, rpc: &str) -> String {
        format!("{}.queries.{}", self.module, token(rpc))
    }

    /// All queries.
    #[must_use]
    pub fn queries(&self) -> String {
        format!("{}.queries.*", self.module)
    }

    /// Where the outcome of a command is told: `shop.outcomes.<correlation id>`; without a correlation id that
    /// [is an address](is_address), the command's own id instead of it.
    #[must_use]
    pub fn outcome(&self, correlation_id: &str, command_id: &str) -> String {
        let address = if is_address(correlation_id) { correlation_id } else { command_id };
        format!("{}.outcomes.{}", self.module, token(address))
    }

    /// All outcomes.
    #[must_use]
    pub fn outcomes(&self) -> String {
        format!("{}.outcomes.>", self.module)
    }

    /// Name of the channel that keeps `what` of the module: `shop-events`.
    #[must_use]
    pub fn channel(&self, what: &str) -> String {
        format!("{}-{what}", self.module)
    }
}

/// Whether an outcome can be told under that correlation id or command id: there is one, and it is no longer than
/// [`LONGEST_ADDRESS`]. Brokers take no subjects of any length.
#[must_use]
pub fn is_address(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ADDRESS
}

/// A name as one token: a dot in it is written as `%2E`, and nothing at all as `%`.
///
/// ```
/// use potter_broker::subject::token;
/// assert_eq!(token("a.b c"), "a%2Eb%20c");
/// assert_eq!(token(""), "%");
/// ```
#[must_use]
pub fn token(name: &str) -> String {
    if name.is_empty() { "%".to_owned() } else { name.bytes().map(escaped).collect() }
}

/// A name whose dots part tokens.
///
/// ```
/// assert_eq!(potter_broker::subject::tokens("product.*"), "product.%2A");
/// ```
#[must_use]
pub fn tokens(name: &str) -> String {
    name.split('.').map(token).collect::<Vec<_>>().join(".")
}

fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

/// Whether a subject is among those that `pattern` stands for: `*` is one token, a final `>` one or more.
#[must_use]
pub fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_are_different_subjects() {
        let names = ["a.b", "a%2Eb", "a b", "a..b", ".", "", "ä", "a>", "*"];
        let mut seen: Vec<_> = names.iter().map(|name| token(name)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), names.len());
        assert!(seen.iter().all(|token| !token.contains(['.', ' ', '*', '>'])), "{seen:?}");
    }

    #[test]
    fn patterns_match_whole_tokens() {
        assert!(matches("shop.events.>", "shop.events.product.created"));
        assert!(matches("shop.*.product", "shop.events.product"));
        assert!(!matches("shop.events.>", "shop.events"));
        assert!(!matches("shop.events.*", "shop.events.product.created"));
        assert!(!matches("shop.events", "shop.events.x"));
    }

    #[test]
    fn a_module_has_subjects_of_its_own() {
        let shop = Subjects::of("my.shop");
        assert_eq!(shop.event("product.created"), "my%2Eshop.events.product.created");
        assert_eq!(shop.command("shop.create"), "my%2Eshop.commands.shop.create");
        assert_eq!(shop.outcome("a.b", "1"), "my%2Eshop.outcomes.a%2Eb");
        assert_eq!(shop.outcome("", "1"), "my%2Eshop.outcomes.1");
        assert_eq!(shop.outcome(&"x".repeat(LONGEST_ADDRESS + 1), "1"), "my%2Eshop.outcomes.1");
        assert!(matches(&shop.events(), &shop.event("x")));
    }
}
