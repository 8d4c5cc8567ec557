//! The ways in: files, a plugin's request, a descriptor set.

use std::panic;

use potter_gen::{
    descriptors::{Descriptors, RawRequest, compile},
    diagnostic::Code,
    framework::Framework,
    model::{Settings, build},
    proposal::{Past, Source, propose},
    request,
};
use prost::Message;
use prost_types::{FileDescriptorProto, SourceCodeInfo, source_code_info::Location};

use crate::protos::{self, FileDescriptorSetBytes, cases, write};

const SHOP: &str = r#"
syntax = "proto3";

package shop;

import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "buf/validate/validate.proto";
import "potter/options.proto";

// Sells.
service Shop {
  option (potter.service) = { module_name: "shop" };

  // Finds a product.
  rpc GetProduct(GetProductRequest) returns (Product) {
    option (potter.query) = { cacheable: true };
    option (google.api.http).get = "/products/{id}";
  }
}

message Product {
  option (potter.aggregate) = {};
  string id = 1;
  google.protobuf.Timestamp at = 2 [(potter.field).index = true];
}

message GetProductRequest {
  string id = 1 [(buf.validate.field).string.min_len = 3];
}
"#;

fn compiled(text: &str) -> Descriptors {
    let folder = write(&[("shop.proto", text)]);
    compile(&[folder.path().join("shop.proto")], &[]).unwrap_or_else(|findings| panic!("{findings}"))
}

fn model_of(descriptors: &Descriptors) -> String {
    let (module, _) = build(descriptors, &Settings::default()).unwrap_or_else(|findings| panic!("{findings}"));
    protos::dump(&module)
}

#[test]
fn all_ways_lead_to_the_same_model() {
    let files = ["go_potter_product/product.proto", "go_potter_item/item.proto"];
    let cases = files.map(|file| compile(&[cases("diagnostics").join(file)], &[]).expect("these protos are right"));
    let hazards = compile(&[protos::cases("model").join("hazards.proto")], &[]).expect("these protos are right");
    for descriptors in cases.into_iter().chain([compiled(SHOP), hazards]) {
        let expected = model_of(&descriptors);
        let request = protos::request(&descriptors, "");
        let by_request = Descriptors::from_request(&request, |_| None).expect("a good request");
        assert_eq!(model_of(&by_request), expected);
        let by_set = Descriptors::from_set(&descriptors.pool().encode_to_vec(), &[], |_| None).expect("a good set");
        assert_eq!(model_of(&by_set), expected);
    }
}

#[test]
fn only_the_files_to_generate_are_generated() {
    let second = SHOP.replace("package shop;", "package other;").replace("Shop", "Other");
    let folder = write(&[("a.proto", SHOP), ("b.proto", &second)]);
    let paths = ["a.proto", "b.proto"].map(|it| folder.path().join(it));
    let both = compile(&paths, &[folder.path().to_owned()]).expect("these protos are right");
    let mut request = protos::request(&both, "");
    request.file_to_generate = vec!["b.proto".to_owned()];
    let input = request::understand(&request, |_| None).expect("a good request");
    let names: Vec<_> = input.module.services.iter().map(|it| it.descriptor.full_name()).collect();
    assert_eq!(names, ["other.Other"]);
    assert!(input.module.messages.iter().all(|it| it.package_name() == "other"));
}

#[test]
fn a_file_with_its_source_options_replaces_the_one_without() {
    let mut request = protos::request(&compiled(SHOP), "");
    let renamed = protos::request(&compiled(&SHOP.replace("module_name: \"shop\"", "module_name: \"store\"")), "");
    request.source_file_descriptors = renamed.proto_file.last().cloned().into_iter().collect();
    let input = request::understand(&request, |_| None).expect("a good request");
    assert_eq!(input.module.name, "store");
}

#[test]
fn an_edition_is_located_whoever_sends_it() {
    let mut request = protos::request(&compiled(SHOP), "");
    let mut file = request.proto_file.pop().expect("a file");
    let info =
        SourceCodeInfo { location: vec![Location { path: vec![14], span: vec![1, 0, 17], ..Location::default() }] };
    let addition = FileDescriptorProto {
        syntax: Some("editions".to_owned()),
        source_code_info: Some(info),
        ..FileDescriptorProto::default()
    };
    file.extend(addition.encode_to_vec());
    // Field 14 is the edition, 1002 its number for 2026; the library has no name for it.
    file.extend([14 << 3, 0xEA, 0x07]);
    request.proto_file.push(file);
    let text = SHOP.replace("syntax = \"proto3\"", "edition = \"2026\"");
    let findings = request::understand(&request, |_| Some(text.clone())).expect_err("this edition is not supported");
    let said = findings.to_string();
    assert!(said.starts_with("shop.proto:2:1: error[P003]: edition 2026"), "{said}");
    assert!(said.contains("| edition = \"2026\";"), "{said}");
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let good = protos::request(&compiled(SHOP), "");
    let missing = RawRequest { file_to_generate: vec!["gone.proto".to_owned()], ..good.clone() };
    let nothing = RawRequest { proto_file: Vec::new(), ..good.clone() };
    let no_imports = RawRequest { proto_file: good.proto_file[good.proto_file.len() - 1..].to_vec(), ..good.clone() };
    let garbage = RawRequest { proto_file: vec![vec![0xFF; 9]], ..good.clone() };
    for request in [missing, nothing, no_imports, garbage] {
        let findings = request::understand(&request, |_| None).expect_err("this request is wrong");
        assert!(findings.iter().all(|it| it.code == Code::MalformedDescriptors), "{findings}");
    }
    let wrong_parameters = RawRequest { parameter: Some("modul=x,y".to_owned()), ..good };
    let findings = request::understand(&wrong_parameters, |_| None).expect_err("these parameters are wrong");
    assert_eq!(findings.errors(), 2, "{findings}");
}

/// Bytes are changed in a way that is the same in each run.
#[test]
fn no_request_is_so_broken_that_it_panics() {
    // Without the rules for validation, which are by far the longest file.
    let light = SHOP
        .replace("import \"buf/validate/validate.proto\";", "")
        .replace("[(buf.validate.field).string.min_len = 3]", "");
    let request = protos::request(&compiled(&light), "");
    let own = request.proto_file.last().cloned().expect("a file");
    let mut random: u32 = 1;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    for _ in 0..3000 {
        let mut file = own.clone();
        for _ in 0..=next(3) {
            let at = next(file.len());
            match next(3) {
                0 => file[at] = next(256) as u8,
                1 => file.truncate(at.max(1)),
                _ => drop(file.splice(at..at, [next(256) as u8])),
            }
        }
        let mut broken = request.clone();
        *broken.proto_file.last_mut().expect("a file") = file;
        let outcome = panic::catch_unwind(|| drop(request::understand(&broken, |_| Some(SHOP.to_owned()))));
        assert!(outcome.is_ok(), "a broken request must be answered");
    }
    let bytes = request.encode_to_vec();
    for length in (0..bytes.len()).step_by(997) {
        if let Ok(cut) = request::decode(&bytes[..length]) {
            assert!(request::understand(&cut, |_| None).is_err(), "a request cut at {length} lacks files");
        }
    }
    assert!(request::decode(&[]).is_err(), "nothing is no request");
    assert!(request::decode(b"hello there").is_err(), "text is no request");
}

#[test]
fn the_usual_imports_need_no_file_and_win_over_old_copies() {
    let with_all = format!(
        "{SHOP}\nimport \"github.com/akriventsev/potter/options.proto\";\nimport \"google/type/money.proto\";\n\
         import \"google/api/field_behavior.proto\";\nimport \"google/protobuf/wrappers.proto\";\n"
    );
    assert!(model_of(&compiled(&with_all)).contains("Shop"));

    let own = "syntax = \"proto3\";\npackage potter;\nimport \"google/protobuf/descriptor.proto\";\n\
               message ServiceOptions { string module_name = 1; }\n\
               extend google.protobuf.ServiceOptions { optional ServiceOptions service = 50001; }\n";
    let text = "syntax = \"proto3\";\nimport \"potter/options.proto\";\n\
                service Old { option (potter.service) = { module_name: \"old\" }; }\n";
    let folder = write(&[("old.proto", text), ("potter/options.proto", own)]);
    let descriptors = compile(&[folder.path().join("old.proto")], &[]).unwrap_or_else(|findings| panic!("{findings}"));
    let (module, _) = build(&descriptors, &Settings::default()).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!(module.name, "old");
    let read: Vec<_> = descriptors.protos().iter().map(|it| (it.name.as_str(), it.path.is_some())).collect();
    assert_eq!(read, [("old.proto", true), ("potter/options.proto", false)]);
}

#[test]
fn inputs_are_found_by_path_and_by_name() {
    let folder = write(&[("shops/shop.proto", SHOP), ("other/shop.proto", SHOP)]);
    let at = |path: &str| folder.path().join(path);
    let name = |inputs: &[std::path::PathBuf], includes: &[std::path::PathBuf]| {
        compile(inputs, includes).map(|it| it.files()[0].name().to_owned()).map_err(|findings| findings.to_string())
    };
    assert_eq!(name(&[at("shops/shop.proto")], &[]).as_deref(), Ok("shop.proto"));
    assert_eq!(name(&[at("shops/shop.proto")], &[at("")]).as_deref(), Ok("shops/shop.proto"));
    assert_eq!(name(&["shops/shop.proto".into()], &[at("")]).as_deref(), Ok("shops/shop.proto"));
    let hidden = name(&[at("other/shop.proto")], &[at("shops"), at("other")]).expect_err("the other one is found");
    assert!(hidden.contains("error[P004]") && hidden.contains("is hidden by"), "{hidden}");
    let gone = name(&["gone.proto".into()], &[at("")]).expect_err("there is no such file");
    assert!(gone.starts_with("gone.proto: error[P004]"), "{gone}");
    let folder = name(&[at("shops")], &[]).expect_err("that is a folder");
    assert!(folder.contains("error[P004]: it is not a file"), "{folder}");
}

#[test]
fn a_set_gives_all_files_but_those_that_come_along() {
    let set = compiled(SHOP).pool().encode_to_vec();
    let descriptors = Descriptors::from_set(&set, &[], |_| None).expect("a good set");
    let names: Vec<_> = descriptors.files().iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names, ["shop.proto"]);
    assert!(Descriptors::from_set(b"nonsense", &[], |_| None).is_err());
    let empty = FileDescriptorSetBytes { file: Vec::new() }.encode_to_vec();
    let findings = Descriptors::from_set(&empty, &["shop.proto".to_owned()], |_| None).expect_err("it isn't there");
    assert!(findings.to_string().contains("`shop.proto`"), "{findings}");
}

/// Whatever carries them, a README shows requests that somebody answers.
#[test]
fn a_readme_shows_requests_over_what_is_served() {
    let readme = |transport: &str| {
        let option = format!("module_name: \"shop\" transport: [\"{transport}\"]");
        let descriptors = compiled(&SHOP.replace("module_name: \"shop\"", &option));
        let (module, _) = build(&descriptors, &Settings::default()).unwrap_or_else(|findings| panic!("{findings}"));
        let source = Source { descriptors, module, framework: Framework::Version("0.1.0".to_owned()) };
        let proposal = propose(&source, &Past::default()).unwrap_or_else(|findings| panic!("{findings}"));
        proposal.files.into_iter().find(|file| file.path == "README.md").expect("there is one").contents
    };
    for (transport, request) in [
        ("REST", "curl localhost:8080/products/$ID"),
        ("GRPC", "grpcurl -plaintext -d '{\"id\":"),
        ("NATS", "nats request shop.queries.GetProduct '{\"id\":"),
    ] {
        let readme = readme(transport);
        let is_request = |line: &&str| ["curl ", "grpcurl ", "nats "].iter().any(|word| line.starts_with(word));
        let requests: Vec<_> = readme.lines().filter(is_request).collect();
        assert!(requests.len() == 1 && requests[0].starts_with(request), "{transport}: {requests:?}");
    }
}
