//! Told: what names and types tell where the options are silent.
//!
//! Inference only says what is plain. Where two readings fit, it says nothing, and the seed refuses.

use std::collections::BTreeSet;

use prost_reflect::MessageDescriptor;

use super::{
    EventEffect,
    fields::{is_flat_copy, nested},
    words::{is_past_of, singular, synonyms, words},
};

/// The event that a command plainly records: the index of the only one that fits among `events`, which are the names
/// of its aggregate's messages.
pub(super) fn emitted(rpc: &str, aggregate: &str, events: &[&str]) -> Option<usize> {
    let command = words(rpc);
    let verb = command.first()?;
    let object = without(&command[1..], aggregate);
    let fits = |event: &str, verb: &str| {
        past_and_object(event, verb).is_some_and(|words| without(&words, aggregate) == object)
    };
    let only = |verbs: &[&str]| {
        let mut found = (0..events.len()).filter(|at| verbs.iter().any(|verb| fits(events[*at], verb)));
        found.next().filter(|_| found.next().is_none())
    };
    let own = events.iter().any(|event| fits(event, verb));
    if own { only(&[verb]) } else { only(synonyms(verb)) }
}

/// What an event plainly does to its aggregate, as one of its names tells: its message's, its type.
pub(super) fn effect(names: &[&str], aggregate: &str) -> EventEffect {
    let concerns_all = |verbs: &[&str]| {
        let tells = |event: &str, verb: &str| {
            past_and_object(event, verb).is_some_and(|words| without(&words, aggregate).is_empty())
        };
        verbs.iter().any(|verb| names.iter().any(|event| tells(event, verb)))
    };
    if concerns_all(&["create", "register", "add"]) {
        EventEffect::Creates
    } else if concerns_all(&["delete", "remove", "destroy"]) {
        EventEffect::Ends
    } else {
        EventEffect::Changes
    }
}

/// The words of an event's name without the past of `verb`, if it has that.
fn past_and_object(event: &str, verb: &str) -> Option<Vec<String>> {
    let mut words = words(event);
    if words.len() > 1 && words.last().is_some_and(|it| it == "event") {
        words.pop();
    }
    let at = words.iter().position(|word| is_past_of(word, verb))?;
    words.remove(at);
    Some(words)
}

/// The words, in the singular, that are neither those of the aggregate nor only link others; their order is nothing.
fn without(words: &[String], aggregate: &str) -> BTreeSet<String> {
    const LINKS: &[&str] = &["a", "an", "as", "at", "by", "for", "from", "in", "into", "of", "on", "the", "to", "with"];
    let aggregate: BTreeSet<_> = super::words::words(aggregate).iter().map(|it| singular(it)).collect();
    let counts = |it: &String| !aggregate.contains(it) && !LINKS.contains(&it.as_str());
    words.iter().map(|it| singular(it)).filter(counts).collect()
}

/// The words of an rpc's name without those of the aggregate, if they are there in one piece.
pub(super) fn rest_of_rpc(rpc: &str, aggregate: &str) -> Vec<String> {
    let (rpc, aggregate) = (words(rpc), words(aggregate));
    match find(&rpc, &aggregate) {
        Some(at) => [&rpc[..at], &rpc[at + aggregate.len()..]].concat(),
        None => rpc,
    }
}

/// Where `part` stands in `words`, in the singular or the plural.
fn find(words: &[String], part: &[String]) -> Option<usize> {
    let same = |(a, b): (&String, &String)| {
        a == b || (a.as_bytes().first() == b.as_bytes().first() && singular(a) == singular(b))
    };
    words.windows(part.len().max(1)).position(|window| window.iter().zip(part).all(same))
}

/// An aggregate, as far as names and types tell of it.
pub(super) struct Named<'a> {
    /// Its name.
    pub name: &'a str,
    /// The message that is its state.
    pub message: &'a MessageDescriptor,
    words: Vec<String>,
}

impl<'a> Named<'a> {
    pub fn new(name: &'a str, message: &'a MessageDescriptor) -> Self {
        Named { name, message, words: words(name) }
    }
}

/// What a query says of itself.
pub(super) struct Asked<'a> {
    /// The name of the rpc.
    pub rpc: &'a str,
    /// The read model that it names, or nothing.
    pub read_model: &'a str,
    /// What it replies.
    pub reply: &'a MessageDescriptor,
}

/// The aggregate that a query is about: the one whose name its read model begins with, else the one that its
/// reply holds or copies, else the one that its name contains, else the only one.
pub(super) fn aggregate_of(asked: &Asked<'_>, aggregates: &[Named<'_>]) -> Option<usize> {
    by_prefix(asked.read_model, aggregates)
        .or_else(|| by_reply(asked.reply, aggregates))
        .or_else(|| by_name(asked.rpc, aggregates))
        .or_else(|| (aggregates.len() == 1).then_some(0))
}

/// The aggregate with the longest name that begins `name`.
pub(super) fn by_prefix(name: &str, aggregates: &[Named<'_>]) -> Option<usize> {
    let name = words(name);
    longest(aggregates, |aggregate| find(&name, aggregate) == Some(0))
}

/// The aggregate with the longest name that stands in `name`.
pub(super) fn by_name(name: &str, aggregates: &[Named<'_>]) -> Option<usize> {
    let name = words(name);
    longest(aggregates, |aggregate| find(&name, aggregate).is_some())
}

fn longest(aggregates: &[Named<'_>], fits: impl Fn(&[String]) -> bool) -> Option<usize> {
    let length = |at: &usize| aggregates[*at].words.len();
    (0..aggregates.len()).filter(|at| fits(&aggregates[*at].words)).rev().max_by_key(length)
}

/// The only aggregate that the reply holds, at any depth, or that it or a message in it copies.
fn by_reply(reply: &MessageDescriptor, aggregates: &[Named<'_>]) -> Option<usize> {
    let held = reachable(reply);
    let only = |fits: &dyn Fn(&MessageDescriptor) -> bool| {
        let mut found = (0..aggregates.len()).filter(|at| fits(aggregates[*at].message));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|aggregate| held.contains(aggregate))
        .or_else(|| only(&|aggregate| held.iter().any(|it| it.fields().len() > 1 && is_flat_copy(it, aggregate))))
}

/// The message and all that it holds.
fn reachable(message: &MessageDescriptor) -> Vec<MessageDescriptor> {
    let mut found = vec![message.clone()];
    let mut at = 0;
    while let Some(message) = found.get(at).cloned() {
        at += 1;
        for inner in message.fields().filter_map(|it| nested(&it)) {
            if !found.contains(&inner) && !inner.full_name().starts_with("google.protobuf.") {
                found.push(inner);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_event_from_the_verb() {
        for (rpc, aggregate, event) in [
            ("CreateProduct", "Product", "ProductCreated"),
            ("CreateProduct", "Product", "ProductCreatedEvent"),
            ("ReserveStock", "Product", "StockReserved"),
            ("ReserveStock", "Product", "ProductStockReserved"),
            ("ReserveProductStock", "Product", "StockReserved"),
            ("ActivateUser", "User", "UserActivated"),
            ("Activate", "User", "UserActivated"),
            ("ChangeProduct", "Product", "ProductUpdated"),
            ("RemoveProduct", "Product", "ProductDeleted"),
            ("AddItems", "Cart", "ItemAddedToCart"),
            ("SignUp", "User", "UserSignedUp"),
            ("SendInvoice", "Invoice", "InvoiceSent"),
        ] {
            assert_eq!(emitted(rpc, aggregate, &[event]), Some(0), "{rpc} → {event}");
        }
    }

    #[test]
    fn tells_nothing_where_it_isnt_plain() {
        assert_eq!(emitted("UpdateItem", "Item", &["ItemCreatedEvent"]), None);
        assert_eq!(emitted("UpdateProduct", "Product", &["ProductPriceChanged"]), None);
        assert_eq!(emitted("ChangeProduct", "Product", &["ProductUpdated", "ProductEdited"]), None);
        assert_eq!(emitted("ChangeProduct", "Product", &["ProductUpdated", "ProductChanged"]), Some(1));
    }

    #[test]
    fn knows_the_birth_and_the_end_of_an_aggregate_from_those_of_its_parts() {
        assert_eq!(effect(&["ProductCreatedEvent"], "Product"), EventEffect::Creates);
        assert_eq!(effect(&["ProductRemoved"], "Product"), EventEffect::Ends);
        assert_eq!(effect(&["ProductTakenOff", "product.removed"], "Product"), EventEffect::Ends);
        assert_eq!(effect(&["ItemAdded"], "Cart"), EventEffect::Changes);
        assert_eq!(effect(&["ItemRemoved", "cart.item_removed"], "Cart"), EventEffect::Changes);
    }
}
