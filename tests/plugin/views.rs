//! What each compiler shows of a module: files, folders, imports, syntaxes.

use crate::compilers::{ALL, Compiler};
use crate::protocol::SHOP;
use crate::workspace::Workspace;

/// The shop in two folders: its service, and its messages.
fn two_folders() -> Workspace {
    let (head, rest) = SHOP.split_once("// Sells.").expect("the service has its comment");
    let (service, messages) = rest.split_once("// Something on sale.").expect("the aggregate has its comment");
    let service = format!("{head}import \"shop/messages.proto\";\n// Sells.{service}");
    let messages = format!("{head}// Something on sale.{messages}");
    Workspace::new(&[("api/service.proto", &service), ("shop/messages.proto", &messages)])
}

#[test]
fn a_module_in_two_folders_is_one_for_every_compiler() {
    let workspace = two_folders();
    let names = ["api/service.proto", "shop/messages.proto"];
    let trees = ALL.map(|compiler| workspace.run(compiler, &names, &["module=shop"]).good(compiler));
    assert!(trees[0].contains_key("src/generated/domain/product.rs"));
    assert!(trees.windows(2).all(|pair| pair[0] == pair[1]), "the compilers' trees differ");
}

#[test]
fn a_partial_view_is_refused_with_the_fix() {
    let workspace = two_folders();
    let by_folder = workspace.buf("directory", &[], &["module=shop"]);
    for told in [
        by_folder.refusal("buf by folder"),
        workspace.run(Compiler::DebianProtoc, &["api/service.proto"], &["module=shop"]).refusal("protoc"),
        workspace.run(Compiler::CurrentProtoc, &["shop/messages.proto"], &["module=shop"]).refusal("protoc"),
    ] {
        assert!(told.contains("error[P023]") && told.contains("strategy: all"), "{told}");
    }
}

#[test]
fn one_folder_is_whole_however_buf_goes_through_it() {
    let workspace = Workspace::new(&[("shop/shop.proto", SHOP)]);
    let by_folder = workspace.buf("directory", &[], &["module=shop"]).good("buf by folder");
    assert_eq!(by_folder, workspace.run(Compiler::Buf, &[], &["module=shop"]).good("buf"));
}

#[test]
fn imports_that_are_included_are_not_generated() {
    let text = SHOP.replacen("import ", "import \"google/protobuf/timestamp.proto\";\nimport ", 1);
    let workspace = Workspace::new(&[("shop.proto", &text)]);
    let alone = workspace.buf("all", &[], &["module=shop"]).good("buf");
    let included = workspace.buf("all", &["--include-imports"], &["module=shop"]).good("buf --include-imports");
    let with_known =
        workspace.buf("all", &["--include-imports", "--include-wkt"], &["module=shop"]).good("buf with all");
    assert!(alone == included && alone == with_known);
    assert!(alone.keys().all(|it| !it.contains("potter") && !it.contains("google")), "{:?}", alone.keys());
}

#[test]
fn only_the_files_asked_for_are_generated() {
    let other = SHOP.replace("package shop;", "package other;").replace("\"shop\"", "\"other\"");
    let workspace = Workspace::new(&[("shop.proto", SHOP), ("other.proto", &other)]);
    for compiler in [Compiler::DebianProtoc, Compiler::CurrentProtoc] {
        let files = workspace.run(compiler, &["shop.proto"], &[]).good(compiler);
        assert!(files.contains_key("src/generated/messages/shop.rs"), "{:?}", files.keys());
        assert!(!files.contains_key("src/generated/messages/other.rs"), "{:?}", files.keys());
    }
}

#[test]
fn values_of_parameters_go_through_every_compiler() {
    let workspace = Workspace::new(&[("shop.proto", SHOP)]);
    for compiler in ALL {
        workspace.run(compiler, &["shop.proto"], &["module=shop", "lock=none"]).good(compiler);
        let told = workspace.run(compiler, &["shop.proto"], &["lock=c:/a=b:c"]).refusal(compiler);
        assert!(told.contains("`c:/a=b:c`"), "{compiler:?}: {told}");
        let told = workspace.run(compiler, &["shop.proto"], &["module", "modul=a"]).refusal(compiler);
        assert!(told.contains("has no value") && told.contains("did you mean `module`?"), "{compiler:?}: {told}");
    }
}

#[test]
fn proto2_is_read_by_every_compiler() {
    let text = SHOP
        .replace("proto3", "proto2")
        .replace("string id", "optional string id")
        .replace("string name", "optional string name")
        .replace("message Product { ", "message Product { optional int32 count = 3 [default = 7]; ");
    let workspace = Workspace::new(&[("shop.proto", &text)]);
    for compiler in ALL {
        let files = workspace.run(compiler, &["shop.proto"], &["module=shop"]).good(compiler);
        let messages = String::from_utf8_lossy(&files["src/generated/messages/shop.rs"]).into_owned();
        assert!(messages.contains("default = \"7\""), "{compiler:?}: {messages}");
    }
}

#[test]
fn editions_are_what_their_features_say() {
    for edition in ["2023", "2024"] {
        let text = SHOP.replace(
            "syntax = \"proto3\";",
            &format!("edition = \"{edition}\";\noption features.field_presence = IMPLICIT;"),
        );
        let workspace = Workspace::new(&[("shop.proto", &text)]);
        let lowered = workspace.run(Compiler::CurrentProtoc, &["shop.proto"], &["module=shop"]).good("protoc");
        let plain = Workspace::new(&[("shop.proto", SHOP)]);
        let expected = plain.run(Compiler::CurrentProtoc, &["shop.proto"], &["module=shop"]).good("protoc");
        let messages = "src/generated/messages/shop.rs";
        assert_eq!(lowered[messages], expected[messages], "edition {edition}");
        if edition == "2023" {
            let by_buf = workspace.run(Compiler::Buf, &[], &["module=shop"]).good("buf");
            assert_eq!(by_buf[messages], expected[messages]);
        }
    }
}

#[test]
fn the_plugin_reads_the_past_from_the_lock() {
    let raised = SHOP.replace(
        "aggregate: \"Product\" };\n  string id = 1;\n  string name = 2;",
        "aggregate: \"Product\" version: 2 };\n  string id = 1;\n  string title = 2;",
    );
    assert_ne!(raised, SHOP);
    let workspace = Workspace::new(&[("shop.proto", &raised)]);
    let mut lock = potter_gen::lock::Lock::new("shop");
    let shape = "message .shop.ProductCreated {\n  1 string id\n  2 string name\n}\n".parse().expect("a shape");
    let event = potter_gen::history::EventHistory {
        aggregate: "Product".to_owned(),
        retired: false,
        internal: false,
        module: None,
        shapes: vec![potter_gen::history::RecordedShape { version: 1, shape }],
    };
    lock.history.events.insert("product.created".to_owned(), event);
    let path = workspace.path().join("potter.lock");
    std::fs::write(&path, lock.print()).expect("a writable folder");
    for compiler in ALL {
        let told = workspace.run(compiler, &["shop.proto"], &["module=shop"]).refusal(compiler);
        assert!(told.contains("error[P212]") && told.contains("lock="), "{compiler:?}: {told}");
        let lock = format!("lock={}", path.display());
        let files = workspace.run(compiler, &["shop.proto"], &["module=shop", &lock]).good(compiler);
        let past = String::from_utf8_lossy(&files["src/generated/domain/history/product_created.rs"]).into_owned();
        assert!(past.contains("pub trait ProductCreatedV1ToV2"), "{compiler:?}: {past}");
    }
}
