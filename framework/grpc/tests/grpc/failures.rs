//! Failures as statuses with rich details.

use potter_sample::{FailRequest, UpdateProductRequest};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::shop::Shop;

async fn fail(shop: &Shop, kind: &str) -> Status {
    let request = FailRequest { kind: kind.to_owned() };
    shop.call::<_, ()>("shop.v1.Mirror/Fail", request).await.expect_err("it always fails")
}

#[tokio::test]
async fn every_kind_of_failure_has_its_code() {
    let shop = Shop::open().await;
    for (kind, code, reason, class, retryable) in [
        ("invalid", Code::InvalidArgument, "INVALID_REQUEST", "invalid", "false"),
        ("refused", Code::FailedPrecondition, "TOO_LATE", "refused", "false"),
        ("not_found", Code::NotFound, "NOT_FOUND", "refused", "false"),
        ("unimplemented", Code::Unimplemented, "UNIMPLEMENTED", "refused", "false"),
        ("conflict", Code::Aborted, "CONTENTION", "conflict", "true"),
        ("exists", Code::AlreadyExists, "ALREADY_EXISTS", "conflict", "false"),
        ("version", Code::Aborted, "VERSION_MISMATCH", "conflict", "false"),
        ("unavailable", Code::Unavailable, "UNAVAILABLE", "unavailable", "true"),
        ("deadline", Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "unavailable", "true"),
        ("bug", Code::Internal, "INTERNAL", "bug", "false"),
        ("panic", Code::Internal, "INTERNAL", "bug", "false"),
    ] {
        let status = fail(&shop, kind).await;
        assert_eq!(status.code(), code, "{kind}");
        assert!(!status.message().contains("secret"), "{kind}");
        let info = status.get_details_error_info().expect("always there");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "shop"), "{kind}");
        assert_eq!(info.metadata["kind"], class, "{kind}");
        assert_eq!(info.metadata["retryable"], retryable, "{kind}");
        assert_eq!(status.get_details_retry_info().is_some(), kind == "unavailable", "{kind}");
        assert_eq!(status.get_details_bad_request().is_some(), kind == "invalid", "{kind}");
        assert!(status.metadata().get("x-correlation-id").is_some(), "{kind}");
    }
}

#[tokio::test]
async fn violations_name_their_fields() {
    let shop = Shop::open().await;
    let request = UpdateProductRequest::default();
    let status = shop.call::<_, ()>("shop.v1.Catalogue/UpdateProduct", request).await.expect_err("without an id");
    let violations = status.get_details_bad_request().expect("there").field_violations;
    assert_eq!((violations.len(), violations[0].field.as_str()), (1, "product_id"));
    assert_eq!(violations[0].description, "must not be empty");
}

#[tokio::test]
async fn bytes_that_are_not_the_message_are_invalid() {
    let shop = Shop::open().await;
    // Field 1 of this message is a number, of a product's update it is text.
    let wrong = prost_types::Duration { seconds: 5, nanos: 0 };
    let status = shop.call::<_, ()>("shop.v1.Catalogue/UpdateProduct", wrong).await.expect_err("no such message");
    assert_eq!(status.code(), Code::InvalidArgument);
}
