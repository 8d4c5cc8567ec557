//! The grpc crate of the Potter framework.
