//! Turns an annotated proto into a running, event-sourced CQRS service.
