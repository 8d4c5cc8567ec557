//! Answers questions that come over the broker; each goes to one of the processes of the service.

use std::sync::Arc;

use futures::StreamExt;
use potter_broker::{Call, Message, headers};
use potter_core::dispatch::{Outcome, Reply, Request};
use potter_core::failure::Failure;

use crate::link::Link;
use crate::wire::{Payload, metadata_of, payload_of};

/// Answers until the intake is closed.
pub(crate) async fn run(link: Arc<Link>, at_once: usize) {
    let closed = link.intake_closed.clone();
    let pattern = link.wire.subjects().queries();
    for attempt in 1.. {
        let Some(calls) = closed.run_until_cancelled(link.broker.serve(pattern.clone(), "service".to_owned())).await
        else {
            return;
        };
        match calls {
            Ok(calls) => {
                // What has been asked is answered, also when the intake is closed meanwhile.
                let asked = calls.take_until(closed.clone().cancelled_owned());
                asked.for_each_concurrent(at_once, |call| answer(&link, call)).await;
            }
            Err(error) => link.failed(&error, attempt.max(2)),
        }
        if closed.run_until_cancelled(link.pause(attempt)).await.flatten().is_none() {
            return;
        }
    }
}

async fn answer(link: &Link, Call { message, reply }: Call) {
    // Who doesn't say how it writes is answered in protobuf.
    let payload = payload_of(&message).unwrap_or(Payload::Protobuf);
    let answer = match ask(link, &message, payload).await {
        Ok(answer) => answer,
        Err(failure) => link.wire.failure(&failure, payload),
    };
    let correlation_id = message.get(headers::CORRELATION_ID).unwrap_or_default();
    if let Err(error) = reply.respond(answer.header(headers::CORRELATION_ID, correlation_id)).await {
        link.failed(&error, 1);
    }
}

async fn ask(link: &Link, message: &Message, payload: Payload) -> Result<Message, Failure> {
    let subjects = link.wire.subjects();
    let mut rpcs = link.dispatcher.module().queries();
    let rpc = rpcs.find(|rpc| subjects.query(short_name(rpc)) == message.subject);
    let rpc = rpc.ok_or_else(|| Failure::unimplemented(&message.subject))?;
    let request = Request { body: link.wire.request(rpc, message)?, metadata: metadata_of(message)? };
    let Reply { body, outcome, .. } = link.dispatcher.call(rpc, request).await?;
    let (content_type, body) = link.wire.encode(&link.wire.reply_name(rpc), body, payload);
    let position = match outcome {
        Outcome::Executed { position, .. } => position.to_string(),
        Outcome::Queried | Outcome::Accepted { .. } => String::new(),
    };
    Ok(Message::new("", body).header(headers::CONTENT_TYPE, content_type).header(headers::POSITION, position))
}

/// The rpc's own name, without its service's.
fn short_name(rpc: &str) -> &str {
    rpc.rsplit_once('/').map_or(rpc, |(_, name)| name)
}
