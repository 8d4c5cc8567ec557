//! What is to be checked, message by message: the options of the descriptors, compiled.

use std::collections::{HashMap, HashSet};

use prost_reflect::{EnumDescriptor, FieldDescriptor, Value};

use crate::cel::Program;

/// The plans of all messages of a pool.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    pub(crate) messages: Vec<MessagePlan>,
    /// Where each message that has something to check is found, by its full name.
    pub(crate) by_name: HashMap<String, usize>,
}

#[derive(Debug, Default)]
pub(crate) struct MessagePlan {
    pub(crate) rules: Vec<CelRule>,
    pub(crate) groups: Vec<Group>,
    pub(crate) oneofs: Vec<RequiredOneof>,
    pub(crate) fields: Vec<FieldPlan>,
}

/// A rule written in CEL, standard ones included.
#[derive(Debug)]
pub(crate) struct CelRule {
    pub(crate) id: String,
    /// Takes the place of whatever text the expression gives.
    pub(crate) message: Option<String>,
    pub(crate) source: String,
    pub(crate) program: Program,
}

/// Fields of which one at most may be set: `(buf.validate.message).oneof`.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) fields: Vec<FieldDescriptor>,
    pub(crate) required: bool,
}

/// A oneof of which a field must be set.
#[derive(Debug)]
pub(crate) struct RequiredOneof {
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldDescriptor>,
}

#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) field: FieldDescriptor,
    pub(crate) required: bool,
    pub(crate) when: When,
    pub(crate) value: ValuePlan,
}

/// When a field is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Always,
    Set,
    /// Not even when it is set to its default; older versions of protovalidate have this.
    SetToOther,
}

/// What is checked of one value.
#[derive(Debug, Default)]
pub(crate) struct ValuePlan {
    pub(crate) rules: Vec<CelRule>,
    /// The enum whose values are the only ones allowed.
    pub(crate) defined_only: Option<EnumDescriptor>,
    pub(crate) any: Option<AnyRules>,
    pub(crate) inside: Inside,
}

/// The allowed and the forbidden type URLs of an `Any`.
#[derive(Debug, Default)]
pub(crate) struct AnyRules {
    pub(crate) allowed: HashSet<String>,
    pub(crate) forbidden: HashSet<String>,
}

/// What is checked within a value.
#[derive(Debug, Default)]
pub(crate) enum Inside {
    #[default]
    Nothing,
    /// A message, by its index in [`Plans::messages`].
    Message(usize),
    Items(Box<PartPlan>),
    Entries {
        keys: Box<PartPlan>,
        values: Box<PartPlan>,
    },
}

/// What is checked of each item, key or value.
#[derive(Debug, Default)]
pub(crate) struct PartPlan {
    /// The value that is let through unseen.
    pub(crate) skip: Option<Value>,
    pub(crate) value: ValuePlan,
}

impl Plans {
    /// Drops whatever leads nowhere, so that a message without rules, itself and below, costs nothing.
    pub(crate) fn prune(&mut self) {
        let live = self.live();
        for message in &mut self.messages {
            message.fields.retain_mut(|field| {
                field.value.prune(&live);
                field.required || !field.value.is_empty()
            });
        }
        self.by_name.retain(|_, index| live[*index]);
    }

    /// The messages with rules, and those that can contain one: found by letting life spread until it stops.
    fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.messages.len()];
        loop {
            let before = live.clone();
            for (index, message) in self.messages.iter().enumerate() {
                live[index] = before[index] || message.is_live(&before);
            }
            if live == before {
                return live;
            }
        }
    }
}

impl MessagePlan {
    fn is_live(&self, live: &[bool]) -> bool {
        let own = !self.rules.is_empty() || !self.groups.is_empty() || !self.oneofs.is_empty();
        own || self.fields.iter().any(|field| field.required || field.value.is_live(live))
    }
}

impl ValuePlan {
    fn has_own_rules(&self) -> bool {
        !self.rules.is_empty() || self.defined_only.is_some() || self.any.is_some()
    }

    fn is_live(&self, live: &[bool]) -> bool {
        self.has_own_rules()
            || match &self.inside {
                Inside::Nothing => false,
                Inside::Message(index) => live[*index],
                Inside::Items(items) => items.value.is_live(live),
                Inside::Entries { keys, values } => keys.value.is_live(live) || values.value.is_live(live),
            }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.has_own_rules() && matches!(self.inside, Inside::Nothing)
    }

    fn prune(&mut self, live: &[bool]) {
        match &mut self.inside {
            Inside::Nothing => {}
            Inside::Message(index) if live[*index] => {}
            Inside::Message(_) => self.inside = Inside::Nothing,
            Inside::Items(items) => {
                items.value.prune(live);
                if items.value.is_empty() {
                    self.inside = Inside::Nothing;
                }
            }
            Inside::Entries { keys, values } => {
                keys.value.prune(live);
                values.value.prune(live);
                if keys.value.is_empty() && values.value.is_empty() {
                    self.inside = Inside::Nothing;
                }
            }
        }
    }
}
