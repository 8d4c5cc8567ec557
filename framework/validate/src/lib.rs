//! Enforces [`buf.validate`](https://protovalidate.com) rules on messages that are known by their descriptors.
//!
//! In goes a [`DescriptorPool`] whose files carry rules as options, once, when a service starts; then, request by
//! request, a [`DynamicMessage`]. Out comes nothing, or the [`Violation`]s, each with the path of the field, the id of
//! the rule and protovalidate's message. No code is generated and no `protoc` is needed.
//!
//! ```
//! # use potter_validate::Validator;
//! # use prost_reflect::{DescriptorPool, DynamicMessage, Value};
//! # let mut compiler = protox::Compiler::new(["tests/cases", "../../proto"]).unwrap();
//! # let set = compiler.include_imports(true).open_file("messages.proto").unwrap().encode_file_descriptor_set();
//! # let pool = DescriptorPool::decode(set.as_slice()).unwrap();
//! // message Product { string sku = 1 [(buf.validate.field).string.min_len = 3]; }
//! let validator = Validator::new(pool.clone())?;
//!
//! let mut product = DynamicMessage::new(pool.get_message_by_name("messages.Product").expect("it is in the pool"));
//! product.set_field_by_name("sku", Value::String("ab".into()));
//!
//! let violations = validator.validate(&product).unwrap_err();
//! assert_eq!(violations[0].to_string(), "sku: must be at least 3 characters [string.min_len]");
//! # Ok::<(), potter_validate::InvalidRules>(())
//! ```
//!
//! Where to look: `compile.rs` turns options into plans, `run.rs` walks a message along its plan, and `cel/` is the
//! language that all rules are written in, the standard ones included.

mod cel;
mod compile;
mod formats;
mod invalid;
mod pattern;
mod plan;
mod run;
mod violation;

use std::time::SystemTime;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage};

use crate::cel::Timestamp;
pub use crate::invalid::{InvalidRule, InvalidRules};
pub use crate::pattern::{InvalidPattern, Pattern};
use crate::plan::{MessagePlan, Plans};
use crate::run::Run;
pub use crate::violation::{Cause, Violation};

/// How many violations a message can have; the rest is not looked for. One request of a few megabytes could hold
/// millions of bad items otherwise, and each violation takes a hundred times an item's memory.
pub const MAX_VIOLATIONS: usize = 100;

/// The rules of a service, ready to run.
#[derive(Debug)]
pub struct Validator {
    plans: Plans,
}

impl Validator {
    /// Compiles the rules of all messages in `pool`. Without any, the validator lets everything through.
    ///
    /// # Errors
    ///
    /// Every rule that cannot be enforced, with the field that has it: an expression that isn't CEL or names a field
    /// that doesn't exist, a pattern that isn't a regular expression, a rule for strings on a number, ….
    pub fn new(pool: DescriptorPool) -> Result<Self, InvalidRules> {
        Ok(Self { plans: compile::compile(&pool)? })
    }

    /// Checks a message against its rules and those of all messages in it.
    ///
    /// # Errors
    ///
    /// What is wrong, [`MAX_VIOLATIONS`] at most: the message as a whole before its fields, and these in the order of
    /// their declaration.
    pub fn validate(&self, message: &DynamicMessage) -> Result<(), Vec<Violation>> {
        self.run(message, None)
    }

    /// [`validate`](Self::validate) as if it was `now`, for rules such as `timestamp.gt_now`.
    ///
    /// # Errors
    ///
    /// As for [`validate`](Self::validate).
    pub fn validate_at(&self, message: &DynamicMessage, now: SystemTime) -> Result<(), Vec<Violation>> {
        self.run(message, Some(Timestamp::at(now)))
    }

    /// Whether there is anything to check in messages of this type. A caller can spare itself the decoding if not.
    pub fn has_rules(&self, message: &MessageDescriptor) -> bool {
        self.plan(message).is_some()
    }

    fn run(&self, message: &DynamicMessage, now: Option<Timestamp>) -> Result<(), Vec<Violation>> {
        match self.plan(&message.descriptor()) {
            Some(plan) => Run::new(&self.plans, now).of(message, plan),
            None => Ok(()),
        }
    }

    fn plan(&self, message: &MessageDescriptor) -> Option<&MessagePlan> {
        self.plans.messages.get(*self.plans.by_name.get(message.full_name())?)
    }
}
