//! Renaming: the user's code follows when the proto calls the same thing by another name.
//!
//! In: what user code called everything at the last regeneration, and what it calls it now, by identities that
//! survive a renaming (an `event_type`, an aggregate's `name`, a table, an rpc and its `renamed_from`, the fields that
//! have a type). Out: a [`Renaming`], which changes the names in a text and nothing else: no comment, no string, no
//! blank. A word that only looks like one of them stays: `scope` tells what a file defines itself or takes from another
//! crate, and which methods are those that the generated traits ask for. `types` finds the types that have no identity
//! but the fields that they are used in.

mod blocks;
mod fields;
mod scope;
mod types;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Module, RpcKind};
use crate::plan::library_name;
use crate::tokens::{Kind, Token, tokens};
use scope::Scope;

/// Names by identity, as `plan` tells them and `potter.lock` remembers them.
pub type Names = BTreeMap<String, String>;

/// Which names change into which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    /// Types and modules, wherever they stand.
    words: BTreeMap<String, String>,
    /// Methods, where the generated traits' are written or called.
    methods: BTreeMap<String, String>,
    /// Functions of the generated module `effects`.
    effects: BTreeMap<String, String>,
    /// Variants of enums, by what enum and variant were called.
    variants: BTreeMap<(String, String), String>,
    /// Modules of what is within messages.
    modules: BTreeMap<String, String>,
    /// Modules of the messages' packages, `shop::v1`, which are called after no message.
    packages: BTreeSet<String>,
    /// What is in the modules of an event's versions, `order_placed::v1`, whose types keep the names of their time.
    versions: BTreeMap<String, BTreeSet<String>>,
    /// What became of the fields of messages, see [`Renaming::field`].
    fields: fields::Fields,
    /// Files that are called after what was renamed: new path by old path.
    moves: BTreeMap<String, String>,
    /// The project's own crates, which paths may begin with.
    crates: BTreeSet<String>,
}

impl Renaming {
    /// What became of the names of `before`; `versions` is what the modules of events' versions have in them now.
    pub fn between(
        before: &Names,
        now: &Names,
        module: &Module,
        versions: &BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let library = library_name(&module.name);
        let crates = BTreeSet::from([format!("{library}_sdk"), library]);
        let Became { words, methods, effects } = Became::between(before, now, module);
        let names = |found| {
            let mut names = one_each(found);
            drop_the_doubtful(&mut names, before, now);
            names
        };
        let [words, methods, effects] = [words, methods, effects].map(names);
        let moves = moves(&words, before, now);
        let mut renaming =
            Self { words, methods, effects, moves, crates, versions: versions.clone(), ..Self::default() };
        renaming.variants = types::variants(&renaming.words, module);
        renaming.modules = types::modules(&renaming.words);
        renaming.packages = types::packages(module);
        renaming.fields = fields::fields(before, now, &renaming.words, &renaming.packages);
        renaming
    }

    /// What a field of a message is called now, which was called `name`, by the message's name of now; none if it is
    /// gone. What isn't a message's field, as far as is known, is called as it was.
    pub fn field<'a>(&'a self, message: &str, name: &'a str) -> Option<&'a str> {
        match self.fields.get(&(message.to_owned(), name.to_owned())) {
            Some(now) => now.as_deref(),
            None => Some(name),
        }
    }

    /// Whether nothing was renamed.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.methods.is_empty() && self.effects.is_empty() && self.moves.is_empty()
    }

    /// Where a file goes that was called after what was renamed.
    pub fn moved(&self, path: &str) -> Option<&str> {
        self.moves.get(path).map(String::as_str)
    }

    /// What was renamed in a text, for a person: "ProductCreated is ProductAdded". Of a file that only moves, all.
    pub fn told_of(&self, before: &str, after: &str) -> String {
        let (old, new) = (words(before), words(after));
        let count = |words: &BTreeMap<&str, usize>, word: &str| words.get(word).copied().unwrap_or_default();
        self.told_if(|word| before == after || count(&new, word) < count(&old, word))
    }

    fn told_if(&self, is_meant: impl Fn(&str) -> bool) -> String {
        let mut pairs: Vec<_> = self.words.iter().chain(&self.methods).collect();
        pairs.extend(self.effects.iter().filter(|(old, _)| !self.methods.contains_key(*old)));
        pairs.retain(|(old, _)| is_meant(old));
        pairs.into_iter().map(|(old, new)| format!("{old} is {new}")).collect::<Vec<_>>().join(", ")
    }

    /// The text with all new names, those of methods included where they are known to be the rpcs'.
    pub fn of_all(&self, text: &str) -> String {
        let all = tokens(text);
        let significant: Vec<usize> = (0..all.len()).filter(|at| is_significant(&all[*at])).collect();
        let mut texts: Vec<&str> = all.iter().map(|it| it.text).collect();
        let scope = Scope::of(significant.iter().map(|at| all[*at].text).collect(), &self.crates);
        let mut literals: Vec<(usize, String)> = Vec::new();
        for (place, at) in significant.iter().enumerate() {
            let near = Near { all: &all, significant: &significant, place };
            match all[*at].kind {
                Kind::Word => texts[*at] = self.word(&near, &scope),
                Kind::Literal => literals.extend(self.unimplemented(&near, &scope).map(|it| (*at, it))),
                _ => {}
            }
        }
        literals.iter().for_each(|(at, text)| texts[*at] = text);
        texts.concat()
    }

    fn word<'a>(&'a self, near: &Near<'a>, scope: &Scope<'_>) -> &'a str {
        let word = near.text(0);
        let is_type = word.starts_with(char::is_uppercase);
        let is_module = || scope.is_module(near.place) && !self.is_among_messages(near.place, scope);
        let is_named = || scope.may_be_own(near.place) && (is_type || is_module());
        let is_written = near.text(-1) == "fn";
        let is_called = || near.text(1) == "(" || (near.text(1), near.text(2)) == (":", ":") || near.text(-1) == ":";
        let is_method = || (is_written || is_called()) && scope.is_answer(near.place);
        let is_effect = || scope.is_of_module(near.place, "effects");
        match (self.words.get(word), self.methods.get(word), self.effects.get(word)) {
            (_, _, Some(new)) if is_effect() => new,
            (Some(new), _, _) if is_named() && !self.is_of_its_time(near.place, scope) => new,
            (_, Some(new), _) if is_method() => new,
            _ => self.within(near, scope).unwrap_or(word),
        }
    }

    /// What is within a type that was renamed: a variant of an enum, the module of a message's oneofs.
    fn within(&self, near: &Near<'_>, scope: &Scope<'_>) -> Option<&str> {
        if let Some(new) = self.modules.get(near.text(0)) {
            let is_renamed = scope.is_module(near.place) && self.is_of_messages(near.place, scope);
            return is_renamed.then_some(new).map(String::as_str);
        }
        let holder = scope.holder(near.place)?;
        let holder_name = near.text(-3);
        let new = self.variants.get(&(holder_name.to_owned(), near.text(0).to_owned()))?;
        (!self.is_of_its_time(holder, scope)).then_some(new)
    }

    /// Whether a module holds what is within a message: it stands among the messages and is no package's.
    fn is_of_messages(&self, place: usize, scope: &Scope<'_>) -> bool {
        let is_of_message = self.is_among_messages(place, scope) && !self.is_package(place, scope);
        is_of_message && scope.may_be_own(place) && !self.is_of_its_time(place, scope)
    }

    /// Whether a word stands among the messages, those of a version included.
    fn is_among_messages(&self, place: usize, scope: &Scope<'_>) -> bool {
        let path = scope.whole_path(place);
        let before = &path[..path.len() - 1];
        let is_sdk = before.first().is_some_and(|it| it.ends_with("_sdk") && self.crates.contains(*it));
        let version = before.last().copied();
        let is_version = self.versions.keys().any(|key| key.split_once("::").map(|it| it.1) == version);
        before.contains(&"messages") || is_sdk || is_version
    }

    /// Whether what stands among the messages is the module of a package, or of one around it.
    fn is_package(&self, place: usize, scope: &Scope<'_>) -> bool {
        let path = scope.whole_path(place);
        let within = path.iter().skip_while(|it| **it != "messages").skip(1).copied().collect::<Vec<_>>().join("::");
        let is_around = |it: &String| it.strip_prefix(&within).is_some_and(|it| it.is_empty() || it.starts_with("::"));
        self.packages.iter().any(is_around)
    }

    /// Whether a name is that of a type of a former version, as it was called then and is still.
    fn is_of_its_time(&self, place: usize, scope: &Scope<'_>) -> bool {
        let path = scope.whole_path(place);
        let [before @ .., name] = path.as_slice() else { return false };
        // Where nothing tells whose the version is, it may be any event's.
        let is_in = |key: &str| match before {
            [.., module, version] => key.split_once("::") == Some((module, version)),
            [version] => key.split_once("::").is_some_and(|it| it.1 == *version),
            [] => false,
        };
        self.versions.iter().any(|(key, items)| is_in(key) && items.contains(*name))
    }

    /// `Unimplemented("reserve_stock")` names the method in a string.
    fn unimplemented(&self, near: &Near<'_>, scope: &Scope<'_>) -> Option<String> {
        let is_refusal =
            near.text(-1) == "(" && near.text(-2) == "Unimplemented" && scope.is_within_answers(near.place);
        let old = near.text(0).trim_matches('"');
        self.methods.get(old).filter(|_| is_refusal).map(|new| format!("\"{new}\""))
    }
}

/// What names have become, all of it: what was one may be several.
type Many = BTreeMap<String, BTreeSet<String>>;

/// What has become of the names of each kind, see [`Renaming`].
#[derive(Default)]
struct Became {
    words: Many,
    methods: Many,
    effects: Many,
}

impl Became {
    fn between(before: &Names, now: &Names, module: &Module) -> Self {
        let mut became = Self::default();
        for (identity, old) in before {
            let role = identity.split_once(' ').map_or(identity.as_str(), |it| it.0);
            became.add(role, Some(old), now.get(identity));
        }
        for (old, new) in rpcs(before, now, module) {
            for role in ["answer", "rule", "effect", "request", "reply"] {
                became.add(role, before.get(&format!("{role} {old}")), now.get(&format!("{role} {new}")));
            }
        }
        for (old, new) in types::renamed(before, now, module, &one_each(became.words.clone())) {
            became.words.entry(old).or_default().insert(new);
        }
        became
    }

    fn add(&mut self, role: &str, old: Option<&String>, new: Option<&String>) {
        let (Some(old), Some(new)) = (old, new) else { return };
        let names = match role {
            "effect" => &mut self.effects,
            "answer" | "handler" | "rule" => &mut self.methods,
            "command" | "type" | "fields" => return,
            _ => &mut self.words,
        };
        names.entry(old.clone()).or_default().insert(new.clone());
    }
}

/// The names that have become one thing, and another than they were.
fn one_each(found: Many) -> Names {
    let only = |(old, mut new): (String, BTreeSet<String>)| {
        let first = new.pop_first().filter(|it| new.is_empty() && *it != old)?;
        Some((old, first))
    };
    found.into_iter().filter_map(only).collect()
}

/// A name that still stands for something, or a new one that did already, is not renamed.
fn drop_the_doubtful(names: &mut Names, before: &Names, now: &Names) {
    let (were, are): (BTreeSet<_>, BTreeSet<_>) = (before.values().collect(), now.values().collect());
    names.retain(|old, new| !are.contains(old) && !were.contains(new));
}

/// The files that are called after views whose names change.
fn moves(words: &Names, before: &Names, now: &Names) -> BTreeMap<String, String> {
    let path = |module: &str| format!("src/application/{module}.rs");
    let views = before.iter().filter(|(identity, _)| identity.starts_with("view "));
    let renamed = views.filter_map(|(identity, old)| Some((old, now.get(identity)?)));
    renamed.filter(|(old, new)| words.get(*old) == Some(new)).map(|(old, new)| (path(old), path(new))).collect()
}

/// The rpcs that are there under another name: by `renamed_from`, or by the command's unchanged `id`.
fn rpcs(before: &Names, now: &Names, module: &Module) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for rpc in module.services.iter().flat_map(|it| &it.rpcs) {
        let RpcKind::Command(command) = &rpc.kind else { continue };
        let full = rpc.descriptor.full_name();
        let service = rpc.descriptor.parent_service().full_name().to_owned();
        let named = command.renamed_from.as_ref().map(|old| format!("{service}.{old}"));
        let by_id = before.get(&format!("command {}", command.id)).cloned();
        let is_gone = |old: &String| old != full && !now.contains_key(&format!("answer {old}"));
        found.extend(named.or(by_id).filter(is_gone).map(|old| (old, full.to_owned())));
    }
    found
}

/// How often each word is in a text, comments aside; a literal may name a method.
fn words(text: &str) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    for token in tokens(text).iter().filter(|it| matches!(it.kind, Kind::Word | Kind::Literal)) {
        *words.entry(token.text.trim_matches('"')).or_default() += 1;
    }
    words
}

fn is_significant(token: &Token<'_>) -> bool {
    !matches!(token.kind, Kind::Space | Kind::Comment)
}

/// A token among those that mean something.
struct Near<'a> {
    all: &'a [Token<'a>],
    significant: &'a [usize],
    place: usize,
}

impl<'a> Near<'a> {
    /// The token so many places away; empty beyond the ends.
    fn text(&self, away: isize) -> &'a str {
        let at = self.place.checked_add_signed(away).and_then(|it| self.significant.get(it));
        at.map_or("", |at| self.all[*at].text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn names(pairs: &[(&str, &str)]) -> Names {
        pairs.iter().map(|(identity, name)| ((*identity).to_owned(), (*name).to_owned())).collect()
    }

    fn renaming() -> Renaming {
        Renaming {
            words: names(&[("Placed", "Ordered"), ("PlaceRequest", "OrderRequest")]),
            methods: names(&[("place", "order")]),
            effects: names(&[("place_it", "order_it")]),
            crates: BTreeSet::from(["shop".to_owned()]),
            ..Renaming::default()
        }
    }

    #[test]
    fn words_that_only_look_alike_stay() {
        for text in [
            "use other::Placed;\nfn f(it: Placed) {}\n",
            "use other::{a, Placed as It};\n",
            "struct Placed;\nimpl Placed {}\nfn f(it: &Placed) {}\n",
            "fn f(it: other::Placed, that: other::events::Placed) {}\n",
            "pub type Placed = u8;\n",
            "enum Kind { Other { a: [u8; 2] }, #[x] Placed, }\nfn f() { Kind::Placed; crate::Kind::Placed }\n",
            "enum Kind { Placed }\nimpl Kind { fn all() -> [Self; 1] { [Self::Placed] } }\n",
            "enum Kind { Placed }\nuse self::Kind::*;\nfn f() { Placed }\n",
            "use crate::mine::Kind;\nfn f() { Kind::Placed }\n",
            "pub(crate) mod inner { pub struct Placed; fn f(it: Placed) {} }\nfn f(it: inner::Placed) {}\n",
            "mod inner { pub struct Placed; }\nuse inner::Placed;\nfn f(it: Placed) {}\n",
            "mod inner { use other::Placed; mod most { use super::*; fn f(it: Placed) {} } }\n",
            "fn f() { struct Placed; let it = Placed; }\n",
            "use crate::Other as Placed;\nfn f(it: Placed) {}\n",
            "trait Mine { type Placed; fn f() -> Self::Placed; }\n",
        ] {
            assert_eq!(renaming().of_all(text), text);
        }
    }

    #[test]
    fn words_of_the_project_follow_wherever_they_come_from() {
        for text in [
            "use crate::events::{Other, Placed};\nfn f(it: Placed) {}\n",
            "use super::*;\nfn f(it: events::Placed) {}\n",
            "use shop::generated::events;\nfn f(it: events::Placed) {}\n",
            "mod events;\npub use events::Placed;\n",
            "fn f(it: OrderEvent) { matches!(it, OrderEvent::Placed(_)) }\n",
            "use {crate::Placed, other::Thing};\n",
            "use crate::generated::OrderEvent as E;\nfn f() { E::Placed(1) }\n",
            "fn f(it: Placed) { struct Other; }\n",
        ] {
            assert_eq!(renaming().of_all(text), text.replace("Placed", "Ordered"));
        }
    }

    #[test]
    fn a_name_is_told_from_its_namesake_in_another_block() {
        for (text, expected) in [
            ("fn f() { struct Placed; }\nfn g(it: Placed) {}\n", "fn f() { struct Placed; }\nfn g(it: Ordered) {}\n"),
            ("enum Kind { Placed(Placed) }\n", "enum Kind { Placed(Ordered) }\n"),
            (
                "mod a { struct Placed; }\nmod b { use crate::Placed; }\n",
                "mod a { struct Placed; }\nmod b { use crate::Ordered; }\n",
            ),
            (
                "impl Decider for Order { type Placed = Placed; }\n",
                "impl Decider for Order { type Placed = Ordered; }\n",
            ),
            ("fn f() -> <Placed as Event>::Placed {}\n", "fn f() -> <Ordered as Event>::Placed {}\n"),
            ("fn f(it: *const Placed, that: Placed) {}\n", "fn f(it: *const Ordered, that: Ordered) {}\n"),
        ] {
            assert_eq!(renaming().of_all(text), expected);
        }
    }

    const DECIDER: &str = "impl OrderDecider for Order { fn place(&self) {} }\n";

    #[test]
    fn methods_of_others_stay() {
        for text in [
            "impl Stack { fn put(&mut self) { self.0.place(1); self.place(); Self::place() } fn place(&self) {} }\n",
            "trait Mine { fn place(&self); }\nimpl Mine for Order { fn place(&self) {} }\n",
            "trait MyDecider {}\nimpl MyDecider for Order { fn place(&self) {} }\n",
            "impl other::OrderDecider for Order { fn place(&self) {} }\n",
            "fn place() {}\nfn f(it: &Vec<u8>) { it.place(1); Stack::place(); iter().place(2) }\n",
            "fn f() { let mut it = Stack::new(); it.place(1); [1].iter().for_each(|it| it.place(1)); }\n",
            "fn f(it: &Order) {}\nfn g() { S { it: 1 }; it.place() }\n",
            "fn f() { Mine::Unimplemented(\"place\") }\n",
        ] {
            assert_eq!(renaming().of_all(text), text);
            let both = format!("{DECIDER}{text}");
            assert_eq!(renaming().of_all(&both), format!("{}{text}", DECIDER.replace("place", "order")));
        }
        let own = format!("{DECIDER}impl Order {{ fn place(&self) {{}} fn f(&self) {{ self.place() }} }}\n");
        assert_eq!(renaming().of_all(&own), own.replacen("place", "order", 1), "the inherent one goes before");
    }

    #[test]
    fn methods_of_the_generated_traits_follow_where_they_are_called() {
        for text in [
            "impl Order { fn f(&self) { self.place(); Self::place(self); it(|| self.place()) } }\n",
            "fn f(a: [u8; 2], it: &'a mut Order) { it.place(); Order::place(it); OrderDecider::place(it) }\n",
            "fn f() { let mut it = Order::default(); it.place(); <Order as OrderDecider>::place(&it) }\n",
            "fn f() { let it: Order = g(); it.place(); Order { a: 1 }.place(); Order::default().place() }\n",
            "mod tests { fn f() { given::<Order>([]).when(|it, context| it.place(1, context)) } }\n",
            "impl<T: Fn() -> u8> a::OrdersHandlers for Orders<T> { fn place(&self) { Unimplemented(\"place\") } }\n",
        ] {
            let text = format!("use super::*;\n{DECIDER}{text}");
            assert_eq!(renaming().of_all(&text), text.replace("place", "order"));
        }
    }

    #[test]
    fn effects_follow_behind_the_path_of_their_module() {
        let renaming = renaming();
        let text = "use crate::generated::application::effects;\nfn f() { effects::place_it(&it) }\n";
        assert_eq!(renaming.of_all(text), text.replace("place_it", "order_it"));
        for text in [
            "use other::effects;\nfn f() { effects::place_it(&it) }\n",
            "use crate::generated::application::effects;\nfn place_it() { place_it(); own::place_it(); it.place_it() }\n",
        ] {
            assert_eq!(renaming.of_all(text), text);
        }
    }

    #[test]
    fn handlers_follow_where_they_are_named_as_values() {
        let text = "use super::*;\nimpl OrdersEventHandlers for Orders { fn place() {} }\n\
                    fn f() { heard(1).when(Orders::place); own::place; Kind::place }\n";
        let expected = text.replacen("fn place", "fn order", 1).replace("Orders::place", "Orders::order");
        assert_eq!(renaming().of_all(text), expected);
    }

    #[test]
    fn modules_follow_where_modules_stand() {
        let renaming = Renaming { words: names(&[("orders", "lines")]), ..renaming() };
        let text = "mod orders;\nuse crate::views::{orders, x};\nfn f(orders: u8) { orders::g(x.orders, orders) }\n";
        let expected = "mod lines;\nuse crate::views::{lines, x};\nfn f(orders: u8) { lines::g(x.orders, orders) }\n";
        assert_eq!(renaming.of_all(text), expected);
    }

    #[test]
    fn modules_of_packages_are_called_after_no_message_and_no_view() {
        let renaming = Renaming {
            words: names(&[("Shop", "Store"), ("orders", "lines")]),
            modules: names(&[("shop", "store")]),
            packages: ["shop", "orders::v1"].map(str::to_owned).into(),
            ..renaming()
        };
        let text = "use crate::generated::messages::{self, orders, shop::Order};\n\
                    fn f(it: messages::shop::Order, that: orders::v1::Order) {}\n";
        assert_eq!(renaming.of_all(text), text);
        let text = "fn f(it: crate::generated::messages::shop::shop::Kind, that: crate::views::orders::Row) {}\n";
        let expected = text.replace("shop::shop", "shop::store").replace("orders", "lines");
        assert_eq!(renaming.of_all(text), expected);
    }

    #[test]
    fn only_names_change() {
        let text = "impl OrderDecider for Rules {\n// Placed by place().\nfn place(&self, it: PlaceRequest) {\n    /* \
                    PlaceRequest */ self.place (it);\n    let place = \"Placed\";\n    \
                    Rules::place::<Placed>(place);\n    Unimplemented(\"place\")\n}\n}\n";
        let expected = "impl OrderDecider for Rules {\n// Placed by place().\nfn order(&self, it: OrderRequest) {\n    /* \
                        PlaceRequest */ self.order (it);\n    let place = \"Placed\";\n    \
                        Rules::order::<Ordered>(place);\n    Unimplemented(\"order\")\n}\n}\n";
        assert_eq!(renaming().of_all(text), expected);
    }

    #[test]
    fn identities_tell_what_was_renamed() {
        let before =
            names(&[("event order.placed", "Placed"), ("read-model orders", "Orders"), ("view orders", "orders")]);
        let now = names(&[("event order.placed", "Ordered"), ("read-model orders", "Lines"), ("view orders", "lines")]);
        let (_, module) = testing::shop("");
        let renaming = Renaming::between(&before, &now, &module, &BTreeMap::new());
        assert_eq!(renaming.of_all("orders::f(Orders, Placed)"), "lines::f(Lines, Ordered)");
        assert_eq!(renaming.moved("src/application/orders.rs"), Some("src/application/lines.rs"));
    }

    #[test]
    fn names_that_still_stand_for_something_stay() {
        let before = names(&[("event a", "A"), ("event b", "B")]);
        let (_, module) = testing::shop("");
        let swapped = names(&[("event a", "B"), ("event b", "A")]);
        assert!(Renaming::between(&before, &swapped, &module, &BTreeMap::new()).is_empty());
        let taken = names(&[("event a", "C"), ("event b", "B"), ("event c", "A")]);
        assert!(Renaming::between(&before, &taken, &module, &BTreeMap::new()).is_empty());
    }

    #[test]
    fn types_of_former_versions_keep_the_names_of_their_time() {
        let items = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
        let renaming = Renaming {
            words: names(&[("Line", "Row"), ("Placed", "Ordered")]),
            modules: names(&[("line", "row"), ("placed", "ordered")]),
            versions: BTreeMap::from([
                ("order_placed::v1".to_owned(), items(&["Ordered", "ordered", "Line", "line"])),
                ("order_placed::v2".to_owned(), items(&["Ordered", "ordered", "Row", "row"])),
                ("order_noted::v1".to_owned(), items(&["Row", "row"])),
            ]),
            ..renaming()
        };
        for (text, expected) in [
            ("order_placed::v1::Line, order_placed::v2::Line", "order_placed::v1::Line, order_placed::v2::Row"),
            ("order_placed::v1::Placed", "order_placed::v1::Ordered"),
            ("order_placed::v2::line::A, order_noted::v1::Line", "order_placed::v2::row::A, order_noted::v1::Row"),
            (
                "order_placed::v1::placed::Line, order_placed::v1::line::A",
                "order_placed::v1::ordered::Row, order_placed::v1::line::A",
            ),
        ] {
            let text = format!("use a::history::{{order_noted, order_placed}};\nfn f() {{ {text} }}\n")
                .replace("a::", "crate::");
            let expected = format!("use a::history::{{order_noted, order_placed}};\nfn f() {{ {expected} }}\n")
                .replace("a::", "crate::");
            assert_eq!(renaming.of_all(&text), expected);
        }
        for text in [
            "use crate::history::order_placed::{self as past, v1};\nfn f(a: v1::Line, b: v1::line::A, c: past::v1::Line) {}\n",
            "use crate::history::order_placed::v1::Line;\nfn f(it: Line) {}\n",
            "use crate::history::order_placed;\nuse order_placed::v1::{Line, line};\nfn f(it: Line, that: line::A) {}\n",
            "use super::*;\nfn f(it: v1::Line) {}\n",
        ] {
            assert_eq!(renaming.of_all(text), text);
        }
    }

    #[test]
    fn what_is_within_a_type_follows_behind_it_alone() {
        let renaming = Renaming {
            words: names(&[("Kind", "Sort"), ("Line", "Row")]),
            modules: names(&[("line", "row")]),
            variants: BTreeMap::from([(("Kind".to_owned(), "Gift".to_owned()), "KindGift".to_owned())]),
            ..renaming()
        };
        let text =
            "use crate::messages::{Kind, line};\nfn f(it: line::Price) { Kind::Gift; messages::line::A::Gift; Gift }\n";
        let expected = "use crate::messages::{Sort, row};\nfn f(it: row::Price) { Sort::KindGift; messages::line::A::Gift; Gift }\n";
        assert_eq!(renaming.of_all(text), expected);
        for text in [
            "use other::{Kind, line};\nfn f() { Kind::Gift; line::Price }\n",
            "enum Kind { Gift }\nmod line {}\nfn f() { Kind::Gift; line::Price }\n",
            "use crate::views::line;\nfn f(line: u8) { line::g(x.line) }\n",
        ] {
            assert_eq!(renaming.of_all(text), text);
        }
    }

    #[test]
    fn types_of_fields_are_followed_by_their_uses() {
        let (_, module) = testing::shop("message Row { Sort sort = 1; } enum Sort { SORT_NONE = 0; } message Other {}");
        let before = names(&[
            ("event e", "A"),
            ("type shop::A 1", "Line"),
            ("type shop::A 2", "Line"),
            ("type shop::Line 1", "Kind"),
        ]);
        let now = |uses: &[(&str, &str)]| names(&[&[("event e", "B")], uses].concat());
        let followed = |now: &Names| Renaming::between(&before, now, &module, &BTreeMap::new()).words;
        let row = ("type shop::Row 1", "Sort");
        let all = now(&[("type shop::B 1", "Row"), ("type shop::B 2", "Row"), row]);
        assert_eq!(followed(&all), names(&[("A", "B"), ("Kind", "Sort"), ("Line", "Row")]));
        let gone = now(&[("type shop::B 1", "Row"), row]);
        assert_eq!(followed(&gone), followed(&all), "a field that is gone says nothing");
        for (uses, why) in [
            ([("type shop::B 1", "Row"), ("type shop::B 2", "Other")], "two"),
            ([("type shop::B 1", "Row"), ("type shop::B 2", "Line")], "one of them still"),
            ([("type shop::B 1", "Kind"), ("type shop::B 2", "Kind")], "known before"),
        ] {
            assert_eq!(followed(&now(&uses)), names(&[("A", "B")]), "{why}");
        }
    }

    #[test]
    fn fields_are_followed_in_a_package_that_is_called_like_a_message() {
        let (_, module) = testing::shop("message Store { message Row {} }");
        let before = names(&[
            ("aggregate shop", "Shop"),
            ("view a", "shop"),
            ("type shop::Order 1", "Line"),
            ("type shop::shop::Line 1", "Kind"),
        ]);
        let now = names(&[
            ("aggregate shop", "Store"),
            ("view a", "orders"),
            ("type shop::Order 1", "Row"),
            ("type shop::store::Row 1", "Sort"),
        ]);
        let renaming = Renaming::between(&before, &now, &module, &BTreeMap::new());
        let types = [("Kind", "Sort"), ("Line", "Row"), ("Shop", "Store"), ("shop", "orders")];
        assert_eq!(renaming.words, names(&types));
        let text = "use crate::generated::messages::shop::{Order, shop::Line};\n";
        assert_eq!(renaming.of_all(text), "use crate::generated::messages::shop::{Order, store::Row};\n");
    }

    #[test]
    fn an_rpc_is_followed_by_renamed_from_and_by_its_id() {
        let before = names(&[
            ("answer shop.Orders.Place", "place"),
            ("rule shop.Orders.Place", "place"),
            ("request shop.Orders.Place", "PlaceRequest"),
            ("command shop.place_order", "shop.Orders.Place"),
        ]);
        let now = names(&[
            ("answer shop.Orders.PlaceOrder", "place_order"),
            ("rule shop.Orders.PlaceOrder", "place_order"),
            ("request shop.Orders.PlaceOrder", "PlaceOrderRequest"),
        ]);
        let (_, module) = testing::shop("");
        let renaming = Renaming::between(&before, &now, &module, &BTreeMap::new());
        let text = "impl OrderDecider for Order { fn place(it: PlaceRequest) {} }";
        assert_eq!(renaming.of_all(text), text.replace("place", "place_order").replace("Place", "PlaceOrder"));
    }

    #[test]
    fn a_name_that_became_two_is_left_to_a_person() {
        let before = names(&[
            ("answer shop.Orders.Cancel", "cancel"),
            ("answer shop.Returns.Cancel", "cancel"),
            ("effect shop.Orders.Cancel", "cancel_it"),
            ("effect shop.Returns.Cancel", "cancel_it"),
            ("handler mail order.placed", "placed"),
            ("request shop.Orders.Cancel", "IdRequest"),
            ("request shop.Orders.Close", "IdRequest"),
            ("reply shop.Orders.Cancel", "Done"),
            ("reply shop.Orders.Close", "Done"),
        ]);
        let now = names(&[
            ("answer shop.Orders.Cancel", "revoke"),
            ("answer shop.Returns.Cancel", "withdraw"),
            ("effect shop.Orders.Cancel", "revoke_it"),
            ("effect shop.Returns.Cancel", "withdraw_it"),
            ("handler mail order.placed", "ordered"),
            ("request shop.Orders.Cancel", "CancelRequest"),
            ("request shop.Orders.Close", "CloseRequest"),
            ("reply shop.Orders.Cancel", "Ended"),
            ("reply shop.Orders.Close", "Ended"),
        ]);
        let (_, module) = testing::shop("");
        let renaming = Renaming::between(&before, &now, &module, &BTreeMap::new());
        assert_eq!(renaming.words, names(&[("Done", "Ended")]));
        assert_eq!((renaming.methods, renaming.effects), (names(&[("placed", "ordered")]), Names::new()));
    }

    proptest! {
        #[test]
        fn nothing_but_names_changes(text in "(Placed|place|PlaceRequest|[a-z]{1,3}|\"|//|\n| |\\(|\\.|fn )*") {
            let all = renaming().of_all(&text);
            let kinds = |text: &str| tokens(text).iter().map(|it| it.kind).collect::<Vec<_>>();
            prop_assert_eq!(kinds(&all), kinds(&text));
            let other = |text: &str| -> Vec<String> {
                tokens(text).iter().filter(|it| it.kind != Kind::Word).map(|it| it.text.to_owned()).collect()
            };
            prop_assert_eq!(other(&all), other(&text));
        }
    }
}
