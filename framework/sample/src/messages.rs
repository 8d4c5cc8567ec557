#![expect(missing_docs, reason = "made by prost from shop.proto")]

include!(concat!(env!("OUT_DIR"), "/shop.v1.rs"));
