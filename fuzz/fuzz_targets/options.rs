//! The options of a file's elements, as a compiler encodes them: file, service, rpc, message, field.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use potter_gen::{
    descriptors::{self, RawRequest},
    request,
};
use prost::Message;

/// `FileDescriptorProto`, its options and those of what is in it being bytes.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Element>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
    #[prost(string, tag = "12")]
    syntax: String,
}

/// `DescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Element {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(bytes = "vec", tag = "7")]
    options: Vec<u8>,
}

/// `FieldDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    ty: i32,
    #[prost(bytes = "vec", tag = "8")]
    options: Vec<u8>,
}

/// `ServiceDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
    #[prost(bytes = "vec", tag = "3")]
    options: Vec<u8>,
}

/// `MethodDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input: String,
    #[prost(string, tag = "3")]
    output: String,
    #[prost(bytes = "vec", tag = "4")]
    options: Vec<u8>,
}

/// `FileDescriptorSet`.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// The files that define the options.
static DEFINITIONS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let names = ["potter/options.proto".into(), "google/api/annotations.proto".into()];
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto");
    let compiled = descriptors::compile(&names, &[root.into()]);
    let pool = compiled.unwrap_or_else(|findings| panic!("{findings}")).pool().encode_to_vec();
    Set::decode(pool.as_slice()).expect("a set").file
});

/// A service with one rpc over two messages; each part of the bytes is the options of one element.
fn file(bytes: &[u8]) -> File {
    let mut parts = bytes.split(|byte| *byte == 0xff).map(<[u8]>::to_vec);
    let mut next = || parts.next().unwrap_or_default();
    let field = |name: &str, number, options| Field { name: name.into(), number, label: 1, ty: 9, options };
    let fields = vec![field("id", 1, next()), field("note", 2, next())];
    let message = |name: &str, options| Element { name: name.into(), fields: fields.clone(), options };
    let (first, second) = (message("Product", next()), message("ProductCreated", next()));
    let method = Method {
        name: "CreateProduct".into(),
        input: ".shop.Product".into(),
        output: ".shop.ProductCreated".into(),
        options: next(),
    };
    File {
        name: "shop.proto".into(),
        package: "shop".into(),
        dependency: vec!["potter/options.proto".into(), "google/api/annotations.proto".into()],
        messages: vec![first, second],
        services: vec![Service { name: "Shop".into(), methods: vec![method], options: next() }],
        syntax: "proto3".into(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut proto_file = DEFINITIONS.clone();
    proto_file.push(file(bytes).encode_to_vec());
    let request = RawRequest { file_to_generate: vec!["shop.proto".into()], proto_file, ..RawRequest::default() };
    if let Err(findings) = request::understand(&request, |_| None) {
        assert!(findings.has_errors(), "refused, and nothing is wrong: {findings}");
    }
});
