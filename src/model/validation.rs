//! Rules of `buf.validate` that no service could enforce: told here, rather than by the service when it starts.

use potter_validate::Validator;

use super::context::{Context, Element};
use crate::diagnostic::Code;

pub(super) fn check(context: &mut Context<'_>) {
    let pool = context.descriptors().pool().clone();
    if pool.get_file_by_name("buf/validate/validate.proto").is_none() {
        return;
    }
    let Err(wrong) = Validator::new(pool.clone()) else { return };
    for rule in wrong.iter() {
        let field = rule.element.rsplit_once('.').and_then(|(message, field)| {
            let message = pool.get_message_by_name(message)?;
            message.get_field_by_name(field)
        });
        let message = pool.get_message_by_name(&rule.element);
        let element = match (&field, &message) {
            (Some(field), _) => Element::Field(field),
            (None, Some(message)) => Element::Message(message),
            // What is wrong with a rule that somebody else defined shows where it is used.
            (None, None) => continue,
        };
        let text = format!("`{}` on {} cannot be enforced: {}", rule.rule, rule.element, rule.reason);
        let help = "correct the rule, or leave it out; a service enforces all rules or none".to_owned();
        context.on(element, Code::UnenforceableRule, text, help);
    }
}
