//! Rules that the protos put on requests are enforced before a command or query sees them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use potter_core::dispatch::{Dispatcher, Options, StartError};
use potter_core::failure::FailureKind;
use potter_core::memory::MemoryStore;
use potter_core::module::Module;
use potter_core::testing::TestApp;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::product::*;

/// Files that are only here.
struct Source(String);

impl FileResolver for Source {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name != "shop.proto" {
            return Err(protox::Error::file_not_found(name));
        }
        File::from_source(name, &self.0)
    }
}

/// The descriptors of the sample with these options on the field `name` and in the message around it.
fn descriptors(on_name: &str, on_message: &str) -> &'static str {
    let source = format!(
        r#"
        syntax = "proto3";
        package shop;
        import "buf/validate/validate.proto";
        message CreateProduct {{
            {on_message}
            string product_id = 1;
            string name = 2 [{on_name}];
            int64 stock = 3;
        }}
        message ProductReply {{}}
        service Catalogue {{ rpc CreateProduct(CreateProduct) returns (ProductReply); }}
        "#
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(Source(source));
    resolver.add(IncludeFileResolver::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("shop.proto").expect("the proto compiles");
    // A test lives as long as its process.
    STANDARD.encode(compiler.encode_file_descriptor_set()).leak()
}

fn module(on_name: &str, on_message: &str) -> Module {
    let mut module = Module::new("shop", descriptors(on_name, on_message));
    module.aggregate::<Product>(&[]).read_model::<Products>();
    declare(&mut module, Catalogue);
    module
}

#[tokio::test]
async fn a_breach_is_told_by_field_and_rule() {
    let app = TestApp::start(module("(buf.validate.field).string.min_len = 3", "")).await;
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "ab", 1)).await.expect_err("too short");
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert_eq!(failure.violations.len(), 1);
    assert_eq!((failure.violations[0].field.as_str(), failure.violations[0].rule.as_str()), ("name", "string.min_len"));
    app.call::<_, ProductReply>(CREATE, &create("p", "abc", 1)).await.expect("long enough");
}

#[tokio::test]
async fn rules_across_fields_are_enforced_too() {
    let rule = r#"option (buf.validate.message).cel = {
        id: "stocked", message: "must have a name when in stock", expression: "this.stock == 0 || this.name != ''" };"#;
    let app = TestApp::start(module("deprecated = false", rule)).await;
    let failure = app.call::<_, ProductReply>(CREATE, &create("p", "", 1)).await.expect_err("no name");
    assert_eq!((failure.violations[0].field.as_str(), failure.violations[0].rule.as_str()), ("", "stocked"));
    app.call::<_, ProductReply>(CREATE, &create("p", "", 0)).await.expect("not in stock");
}

#[tokio::test]
async fn a_rule_that_cannot_be_enforced_is_found_at_the_start() {
    let broken = module("(buf.validate.field).string.pattern = \"(\"", "");
    let started = Dispatcher::start(broken, std::sync::Arc::new(MemoryStore::new()), Options::default()).await;
    let error = started.err().expect("no such pattern");
    assert!(matches!(error, StartError::Rules(_)), "{error}");
    assert!(error.to_string().contains("string.pattern"), "{error}");
}
