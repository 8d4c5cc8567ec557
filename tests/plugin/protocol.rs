//! What goes over standard input and output, byte by byte.

use std::process::Command;

use prost::Message;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};

use crate::compilers::plugin;
use crate::conformance::feed;
use crate::workspace::Workspace;

/// A service in one file.
pub const SHOP: &str = r#"syntax = "proto3";
package shop;
import "potter/options.proto";
// Sells.
service Shop {
  option (potter.service) = { module_name: "shop" };
  // Puts something on sale.
  rpc CreateProduct(CreateProductRequest) returns (CreateProductReply) {
    option (potter.command) = { aggregate: "Product" };
  }
}
// Something on sale.
message Product { option (potter.aggregate) = {}; string id = 1; string name = 2; }
message CreateProductRequest { string name = 1; }
message CreateProductReply { string id = 1; }
// It was put on sale.
message ProductCreated {
  option (potter.event) = { event_type: "product.created" aggregate: "Product" };
  string id = 1;
  string name = 2;
}
"#;

/// `CodeGeneratorRequest` with its files as bytes, so that no option is lost on the way.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, optional, tag = "2")]
    parameter: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "15")]
    proto_file: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "17")]
    source_file_descriptors: Vec<Vec<u8>>,
}

/// A `FileDescriptorSet`, likewise.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// A request for the shop as protoc would send it, without `SourceCodeInfo` and without `compiler_version`.
fn request(text: &str, parameter: &str) -> Request {
    let set = Workspace::new(&[("shop.proto", text)]).set(&["shop.proto"], &[]);
    Request {
        file_to_generate: vec!["shop.proto".to_owned()],
        parameter: Some(parameter.to_owned()),
        proto_file: Set::decode(set.as_slice()).expect("a set").file,
        source_file_descriptors: Vec::new(),
    }
}

/// The response; its fields that this test's library doesn't know would show as a difference of the bytes.
fn answer(request: &Request) -> (CodeGeneratorResponse, Vec<u8>) {
    let run = feed(&request.encode_to_vec());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    (CodeGeneratorResponse::decode(run.stdout.as_slice()).expect("nothing but a response"), run.stdout)
}

/// Features and range of editions.
#[derive(Clone, PartialEq, Message)]
struct Support {
    #[prost(uint64, optional, tag = "2")]
    supported_features: Option<u64>,
    #[prost(int32, optional, tag = "3")]
    minimum_edition: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    maximum_edition: Option<i32>,
}

#[test]
fn good_and_bad_responses_support_the_same_and_nothing_unknown() {
    let (good, good_bytes) = answer(&request(SHOP, ""));
    let (bad, bad_bytes) = answer(&request(SHOP, "modul=shop"));
    assert!(good.error.is_none() && !good.file.is_empty());
    assert!(bad.error.is_some() && bad.file.is_empty());
    let support = |bytes: &[u8]| Support::decode(bytes).expect("a response");
    assert_eq!(support(&good_bytes), support(&bad_bytes));
    // proto3 `optional` and editions; proto2, which counts as the first one, to 2024.
    let expected = Support { supported_features: Some(3), minimum_edition: Some(998), maximum_edition: Some(1001) };
    assert_eq!(support(&good_bytes), expected);
}

#[test]
fn neither_places_nor_a_compilers_version_are_needed() {
    let request = request(SHOP, "");
    let decoded = CodeGeneratorRequest::decode(request.encode_to_vec().as_slice()).expect("a request");
    assert!(decoded.compiler_version.is_none() && decoded.proto_file.iter().all(|it| it.source_code_info.is_none()));
    assert!(answer(&request).0.file.len() > 10);
    let (wrong, _) = answer(&self::request(&SHOP.replace("aggregate: \"Product\" }", "aggregate: \"Prodct\" }"), ""));
    let said = wrong.error.expect("it is wrong");
    assert!(said.contains("shop.proto: error[P012]") && said.contains("did you mean `Product`?"), "{said}");
}

#[test]
fn options_that_are_kept_in_the_source_count() {
    let mut request = request(SHOP, "");
    let renamed = self::request(&SHOP.replace("module_name: \"shop\"", "module_name: \"store\""), "");
    request.source_file_descriptors = renamed.proto_file.last().cloned().into_iter().collect();
    let (response, _) = answer(&request);
    let manifest = response.file.iter().find(|it| it.name() == "src/generated/mod.rs").expect("it is generated");
    assert!(manifest.content().contains("module `store`"), "{}", manifest.content());
}

#[test]
fn names_of_files_are_relative_clean_and_unique() {
    let (response, _) = answer(&request(SHOP, ""));
    let mut names: Vec<_> = response.file.iter().map(|it| it.name()).collect();
    let clean = |name: &&str| {
        name.split('/').all(|it| !it.is_empty() && it != "." && it != "..") && !name.contains(['\\', ':'])
    };
    assert!(names.iter().all(clean), "{names:?}");
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    assert!(names.iter().all(|it| it.starts_with("src/generated/") || it.starts_with("sdk/")), "{names:?}");
}

#[test]
fn what_is_wrong_with_parameters_is_said_at_once() {
    let cases: &[(&str, &[&str])] = &[
        ("modul=shop", &["unknown parameter `modul`", "did you mean `module`?"]),
        ("module", &["parameter `module` has no value"]),
        ("module=a,module=b", &["parameter `module` is given twice"]),
        ("module=\"a", &["the quotes of parameter `module` are not closed"]),
        ("frame=x,module,lok=y", &["`frame`", "`module` has no value", "`lok`", "did you mean `lock`?"]),
        ("framework=version:1.0.0", &["`framework` has no effect", "potter-gen update --framework"]),
        ("lock=none/such.lock", &["parameter `lock` names `none/such.lock`, which cannot be read"]),
    ];
    for (parameter, expected) in cases {
        let said = answer(&request(SHOP, parameter)).0.error.unwrap_or_default();
        for part in *expected {
            assert!(said.contains(part), "{parameter}: {part} is missing in\n{said}");
        }
    }
    for right in ["", "module=shop", " module=\"shop\" ,", "lock=none,module=shop", ",,module=shop"] {
        assert_eq!(answer(&request(SHOP, right)).0.error, None, "{right}");
    }
}

#[test]
fn files_that_came_along_emit_nothing() {
    let mut request = request(SHOP, "");
    request.file_to_generate = vec!["potter/options.proto".to_owned(), "google/protobuf/descriptor.proto".to_owned()];
    let (response, _) = answer(&request);
    assert_eq!((response.error, response.file.len()), (None, 0));
}

#[test]
fn says_its_version_and_its_usage_and_refuses_other_arguments() {
    let run = |argument: &str| Command::new(plugin()).arg(argument).output().expect("the plugin runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&run("--version").stdout), concat!("protoc-gen-potter ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = text(&run("--help").stdout);
    assert!(["module=", "lock="].iter().all(|it| help.contains(it)), "{help}");
    let other = run("--verbose");
    assert!(!other.status.success() && other.stdout.is_empty());
    assert!(text(&other.stderr).contains("unknown argument `--verbose`"));
}
