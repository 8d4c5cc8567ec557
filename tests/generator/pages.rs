//! The pages of the codes: each has a wrong example that yields the code and a right one that doesn't.

use std::{collections::BTreeSet, fmt::Write};

use potter_gen::{
    descriptors::{Descriptors, compile},
    diagnostic::{Code, Diagnostic, Diagnostics, Severity},
    explain,
    framework::Framework,
    lock::Lock,
    proposal::{Past, Source, propose},
    request,
    update::{Judgement, judge},
};

use crate::protos::{self, build_texts};

/// What is between the fences of an example, and the word behind the first of them.
struct Example<'a> {
    kind: &'a str,
    text: &'a str,
}

#[test]
fn every_code_has_a_page_that_shows_it() {
    for code in Code::ALL {
        let page = explain::explain(*code);
        assert!(page.starts_with(&format!("# {code}: {}\n", code.title())), "{code}: the heading");
        if page.contains("\n## Recorded\n") {
            shows_a_change(*code, page);
            continue;
        }
        let wrong = example(page, "## Wrong");
        let right = example(page, "## Right");
        assert!(said(&wrong).contains(code), "{code}: the wrong example yields {:?}", said(&wrong));
        assert!(!said(&right).contains(code), "{code}: the right example yields it too");
        let errors = complete_and_build(&right).filter(|it| it.has_errors());
        assert!(errors.is_none(), "{code}: the right example has errors:\n{}", errors.unwrap_or_default());
    }
}

/// A page about what was recorded shows three days of a module: then, wrong, and right.
fn shows_a_change(code: Code, page: &str) {
    let source = |heading: &str| {
        let (descriptors, module) = protos::build(&complete(example(page, heading).text));
        Source { descriptors, module, framework: Framework::Version("0.1.0".to_owned()) }
    };
    let recorded = source("## Recorded");
    let mut lock = Lock::new("shop");
    lock.history.record(&recorded.module);
    lock.names = propose(&recorded, &Past::default()).expect("these protos are right").names;
    let found = |heading: &str| -> Vec<Diagnostic> {
        let Judgement { breaking, warnings } = judge(Some(&lock), &source(heading));
        breaking.into_iter().chain(warnings).collect()
    };
    let wrong = found("## Wrong");
    assert!(wrong.iter().any(|it| it.code == code), "{code}: the wrong example yields {wrong:#?}");
    assert!(wrong.iter().all(|it| it.location.as_ref().is_some_and(|it| it.line > 0)), "{code}: {wrong:#?}");
    let is_fine = |it: &Diagnostic| it.code != code && it.severity != Severity::Error;
    let right = found("## Right");
    assert!(right.iter().all(is_fine), "{code}: the right example yields {right:#?}");
}

#[test]
fn the_index_lists_every_code() {
    let index = include_str!("../../docs/diagnostics/README.md");
    for code in Code::ALL {
        let severity = format!("{:?}", code.severity()).to_lowercase();
        let line = format!("| [{code}]({code}.md) | {severity} | {} |", code.title());
        assert!(index.contains(&line), "docs/diagnostics/README.md lacks the line\n{line}");
    }
}

#[test]
fn every_code_is_its_own() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len());
    assert!(Code::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "codes are in order");
}

fn example<'a>(page: &'a str, heading: &str) -> Example<'a> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{page}\nlacks {heading}"));
    let (_, fenced) = section.split_once("```").unwrap_or_else(|| panic!("{page}\n{heading} has no example"));
    let (kind, text) = fenced.split_once('\n').expect("a fence ends with its line");
    let (text, _) = text.split_once("```").expect("a fence is closed");
    Example { kind, text }
}

fn said(example: &Example<'_>) -> BTreeSet<Code> {
    complete_and_build(example).into_iter().flatten().map(|it| it.code).collect()
}

/// What is said of an example; nothing for one that only a person can run.
fn complete_and_build(example: &Example<'_>) -> Option<Diagnostics> {
    match example.kind {
        "proto" => match build_texts(&[("shop.proto", &complete(example.text)), ("orders.proto", ORDERS)]) {
            Ok((_, warnings)) => Some(warnings),
            Err(findings) => Some(findings),
        },
        "parameters" => request::parameters(example.text.trim()).err(),
        "sh" if example.text.contains("service.proto") => part_of_a_module(example.text),
        "sh" if example.text.contains("--potter_out") => without_past(example.text),
        "sh" if example.text.contains("--descriptor_set_out") => set_made_by(example.text),
        "sh" => compile(&["shp.proto".into()], &[]).err().filter(|_| example.text.contains("shp.proto")),
        kind => panic!("what is an example in {kind}?"),
    }
}

/// The set that protoc writes with and without `--include_imports`.
fn set_made_by(command: &str) -> Option<Diagnostics> {
    let folder = protos::write(&[("shop.proto", &complete("message Any {}"))]);
    let descriptors = compile(&[folder.path().join("shop.proto")], &[]).expect("this proto is right");
    let set = protos::request(&descriptors, "").proto_file;
    let file = if command.contains("--include_imports") { set } else { set.into_iter().rev().take(1).collect() };
    let set = prost::Message::encode_to_vec(&protos::FileDescriptorSetBytes { file });
    Descriptors::from_set(&set, &[], |_| None).err()
}

/// What the plugin says of the files that a command names, of a module that lies in two.
fn part_of_a_module(command: &str) -> Option<Diagnostics> {
    let head = "syntax = \"proto3\"; package shop; import \"potter/options.proto\";";
    let service = format!(
        "{head} import \"product.proto\";
         service Shop {{ option (potter.service) = {{ module_name: \"shop\" }};
           rpc CreateProduct(Product) returns (Product) {{ option (potter.command) = {{ aggregate: \"Product\" }}; }} }}"
    );
    let product = format!("{head} message Product {{ option (potter.aggregate) = {{}}; string id = 1; }}");
    let folder = protos::write(&[("service.proto", &service), ("product.proto", &product)]);
    let files = ["service.proto", "product.proto"].map(|it| folder.path().join(it));
    let descriptors = compile(&files, &[folder.path().to_owned()]).expect("these protos are right");
    let mut request = protos::request(&descriptors, "");
    request.file_to_generate.retain(|file| command.contains(file.as_str()));
    request::understand(&request, |_| None).err()
}

/// What the plugin says of an event with the options of a command: of its second version, if that is in the file's name.
fn without_past(command: &str) -> Option<Diagnostics> {
    let version = if command.contains("shop_v2.proto") { 2 } else { 1 };
    let event = format!(
        "message E {{ option (potter.event) = {{ event_type: \"e\" aggregate: \"Product\" version: {version} }}; }}"
    );
    let folder = protos::write(&[("shop.proto", &complete(&event))]);
    let descriptors = compile(&[folder.path().join("shop.proto")], &[]).expect("this proto is right");
    let options = command.split_whitespace().filter_map(|it| it.strip_prefix("--potter_opt="));
    let request = protos::request(&descriptors, &options.collect::<Vec<_>>().join(","));
    let read = |name: &str| name.ends_with("potter.lock").then(|| Lock::new("shop").print());
    Some(request::understand(&request, read).map_or_else(|wrong| wrong, |input| input.warnings))
}

/// What `orders.proto` is, which examples about other modules import.
const ORDERS: &str = r#"syntax = "proto3";
package orders;
import "potter/options.proto";
service Orders {
  option (potter.service) = { module_name: "orders" transport: "NATS" };
  rpc PlaceOrder(PlaceOrderRequest) returns (PlaceOrderReply) { option (potter.command) = { aggregate: "Order" }; }
}
message PlaceOrderRequest {}
message PlaceOrderReply { string order_id = 1; }
message Order { option (potter.aggregate) = {}; string order_id = 1; }
message OrderPlaced { option (potter.event) = { event_type: "order.placed" aggregate: "Order" }; string order_id = 1; }
message OrderChecked { option (potter.event) = { event_type: "order.checked" aggregate: "Order" internal: true }; }
message OrderFaxed { option (potter.event) = { event_type: "order.faxed" aggregate: "Order" retired: true }; }
"#;

/// Examples show what matters; the rest is the same for all: the head, a service, an aggregate, and the messages of
/// the rpcs that are shown.
fn complete(text: &str) -> String {
    if text.contains("syntax = ") || text.contains("edition = ") {
        return text.to_owned();
    }
    let mut file = String::from(
        "syntax = \"proto3\";\npackage shop;\nimport \"potter/options.proto\";\nimport \"google/api/annotations.proto\";\n\
         import \"buf/validate/validate.proto\";\n",
    );
    if text.starts_with("rpc ") {
        let service = "service Shop {\n  option (potter.service) = { module_name: \"shop\" };\n";
        writeln!(file, "{service}{text}}}").expect("a string takes it");
    } else {
        file.push_str(text);
    }
    if !text.contains("service ") && !text.starts_with("rpc ") {
        file.push_str(
            "service Shop {\n  option (potter.service) = { module_name: \"shop\" };\n  \
             rpc GetProduct(GetProductRequest) returns (Product) { option (potter.query) = {}; }\n}\n\
             message GetProductRequest { string id = 1; }\n",
        );
    }
    if !text.contains("message Product ") && !text.contains("(potter.aggregate)") {
        file.push_str(
            "message Product {\n  option (potter.aggregate) = {};\n  string id = 1;\n  string name = 2;\n}\n",
        );
    }
    let mut missing: BTreeSet<&str> = rpc_types(text).collect();
    missing.retain(|name| !file.contains(&format!("message {name} ")) && !name.contains('.'));
    for name in missing {
        writeln!(file, "message {name} {{ string id = 1; }}").expect("a string takes it");
    }
    file
}

/// The names of requests and replies.
fn rpc_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|it| it.trim_start().starts_with("rpc ")).flat_map(|line| {
        line.split(['(', ')']).skip(1).step_by(2).take(2).map(|it| it.trim().trim_start_matches("stream "))
    })
}
