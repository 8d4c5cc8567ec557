//! Requests over a real socket against a hand-written service, and canonical JSON shape by shape.

mod json;
