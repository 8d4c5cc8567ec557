//! Asynchronous commands: awaiting their outcome.

use std::time::Duration;

use potter_client::prost::Message;
use potter_client::{Connection, Error, FailureKind, Ticket};
use potter_proto::runtime::v1::command_status::Status as Stage;
use potter_proto::runtime::v1::{AwaitCommandRequest, CommandError, CommandEvent, CommandStatus, FieldViolation};
use tonic::{Code, Status};

use crate::calls::{client, hanging};
use crate::script::{Answer, Call, ScriptedServer, any, failure, reply};
use crate::sdk::{
    CreateProductRequest, CreateProductResponse, ErrorEvent, ProductCreatedEvent, ProductCreationFailed, ProductEvent,
};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn accepted() -> Answer {
    let body = CreateProductResponse { product_id: "p-1".to_owned() }.encode_to_vec();
    Answer::Reply(body, vec![("potter-command-id", ID.to_owned()), ("potter-aggregate-id", "p-1".to_owned())])
}

fn status(stage: Stage) -> CommandStatus {
    CommandStatus {
        command_id: ID.to_owned(),
        status: stage.into(),
        aggregate_id: "p-1".to_owned(),
        ..Default::default()
    }
}

fn succeeded() -> CommandStatus {
    let event = |ty: &str, data| CommandEvent { r#type: ty.to_owned(), data: Some(data) };
    let created = ProductCreatedEvent { name: "lamp".to_owned() };
    let events = vec![
        event("product.created", any("product.ProductCreatedEvent", &created)),
        event("product.praised", any("product.ProductPraisedEvent", &created)),
    ];
    CommandStatus { version: 2, events, ..status(Stage::Succeeded) }
}

fn ticket(url: &str) -> Ticket<ProductEvent, ErrorEvent> {
    let connection = Connection::to(url).expect("a valid address");
    Ticket::resume(&connection, ID.parse().expect("a UUID"))
}

fn poll_time(call: &Call) -> Duration {
    let request = AwaitCommandRequest::decode(call.body.as_slice()).expect("an await request");
    request.timeout.expect("a timeout").try_into().expect("a positive timeout")
}

#[tokio::test]
async fn an_accepted_command_is_awaited_until_it_has_succeeded() {
    let server = ScriptedServer::start(|n, _| match n {
        0 => accepted(),
        1 | 2 => reply(&status(Stage::Pending)),
        _ => reply(&succeeded()),
    })
    .await;
    let pending = client(&server.url()).create_product(CreateProductRequest::default()).await.expect("accepted");
    assert_eq!(pending.reply.product_id, "p-1");
    assert_eq!(pending.command_id().to_string(), ID);
    assert_eq!(pending.aggregate_id(), Some("p-1"));

    let outcome = pending.outcome().await.expect("an outcome");
    assert_eq!((outcome.version, outcome.aggregate_id.as_str()), (2, "p-1"));
    assert_eq!(outcome.events, [ProductEvent::ProductCreatedEvent(ProductCreatedEvent { name: "lamp".to_owned() })]);
    let [unknown] = &outcome.unknown_events[..] else { panic!("one event of a newer service") };
    assert_eq!(unknown.event_type, "product.praised");

    let calls = server.calls();
    assert_eq!(calls.len(), 4);
    assert_eq!(calls[3].path, "/potter.runtime.v1.Commands/AwaitCommand");
    assert!(poll_time(&calls[3]) > Duration::from_secs(1), "the service is asked to wait");
}

#[tokio::test]
async fn a_refused_command_fails_with_its_error_event() {
    let event = ProductCreationFailed { reason: "no such category".to_owned() };
    let sent = event.clone();
    let server = ScriptedServer::start(move |_, _| {
        let error = CommandError {
            code: "PRODUCT_CREATION_FAILED".to_owned(),
            message: "no such category".to_owned(),
            retryable: false,
            event: Some(any("product.ProductCreationFailed", &sent)),
            violations: Vec::new(),
        };
        reply(&CommandStatus { error: Some(error), correlation_id: "c-1".to_owned(), ..status(Stage::Failed) })
    })
    .await;
    let error = ticket(&server.url()).outcome().await.expect_err("refused");
    assert_eq!(error.failure().correlation_id.as_deref(), Some("c-1"));
    let Error::Refused { event: ErrorEvent::ProductCreationFailed(read), failure } = error else { panic!("{error:?}") };
    assert_eq!((read, failure.kind), (event, FailureKind::Refused));
}

#[tokio::test]
async fn a_command_that_failed_by_the_framework_has_its_kind() {
    let server = ScriptedServer::start(|_, _| {
        let error = CommandError { code: "ALREADY_EXISTS".to_owned(), ..Default::default() };
        reply(&CommandStatus { error: Some(error), ..status(Stage::Failed) })
    })
    .await;
    let error = ticket(&server.url()).outcome().await.expect_err("a conflict");
    assert_eq!((error.code(), error.kind()), ("ALREADY_EXISTS", FailureKind::Conflict));
}

#[tokio::test]
async fn a_request_that_is_not_valid_is_told_with_its_violations() {
    let server = ScriptedServer::start(|_, _| {
        let violation =
            FieldViolation { field: "name".into(), rule: "string.min_len".into(), message: "is too short".into() };
        let error =
            CommandError { code: "INVALID_REQUEST".into(), violations: vec![violation], ..CommandError::default() };
        reply(&CommandStatus { error: Some(error), ..status(Stage::Failed) })
    })
    .await;
    let error = ticket(&server.url()).outcome().await.expect_err("not valid");
    assert_eq!(error.kind(), FailureKind::Invalid);
    let told: Vec<_> = error.violations().iter().map(|it| (it.field.as_str(), it.rule.as_str())).collect();
    assert_eq!(told, [("name", "string.min_len")]);
}

#[tokio::test]
async fn waiting_survives_a_restart_of_the_service() {
    let (server, arrival) = hanging().await;
    let address = server.address;
    let ticket = ticket(&server.url());
    let restart = async move {
        arrival.await.expect("the poll arrives");
        server.kill().await;
        ScriptedServer::start_at(address, |n, _| match n {
            0 => failure(Code::Unavailable, "unavailable", "UNAVAILABLE", true, None),
            _ => reply(&succeeded()),
        })
        .await
    };
    let (outcome, _restarted) = tokio::join!(ticket.outcome().into_future(), restart);
    assert_eq!(outcome.expect("an outcome").version, 2);
}

#[tokio::test]
async fn waiting_ends_when_its_time_is_up_and_can_be_taken_up_again() {
    let server = ScriptedServer::start(|n, _| match n {
        0 => reply(&status(Stage::Pending)),
        _ => reply(&succeeded()),
    })
    .await;
    let ticket = ticket(&server.url());
    let error = ticket.outcome().within(Duration::from_millis(50)).await.expect_err("too early");
    assert_eq!(error.code(), "DEADLINE_EXCEEDED");
    assert!(error.message().contains(ID), "{error}");
    assert!(poll_time(&server.calls()[0]) <= Duration::from_millis(50));
    ticket.outcome().await.expect("an outcome");
}

#[tokio::test]
async fn a_command_that_nobody_knows_is_told_at_once() {
    let server = ScriptedServer::start(|_, _| Answer::Fail(Status::not_found("no command"))).await;
    let error = ticket(&server.url()).outcome().await.expect_err("unknown");
    assert_eq!(error.code(), "NOT_FOUND");
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_say_the_commands_id_breaks_the_protocol() {
    let server = ScriptedServer::start(|_, _| reply(&CreateProductResponse::default())).await;
    let command = client(&server.url()).create_product(CreateProductRequest::default());
    let error = command.await.expect_err("no id");
    assert_eq!((error.code(), error.kind()), ("PROTOCOL", FailureKind::Bug));
}
