use std::{fs, path::Path, process::Command};

use prost::Message;
use prost_reflect::{Cardinality, DescriptorPool, Kind, Syntax as Is};

use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::{
    descriptors::{Descriptors, compile},
    diagnostic::Diagnostics,
};

/// Compiles a file of an edition with the current protoc, and lowers it; Potter's options can be imported.
fn lowered(text: &str) -> Result<DescriptorPool, Diagnostics> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("shop.proto"), text).expect("a writable folder");
    let mut protoc = Command::new(root.join("target/tools/venv/bin/python"));
    protoc
        .args(["-m", "grpc_tools.protoc", "--include_imports", "--include_source_info", "--descriptor_set_out=set"])
        .arg("--proto_path=.")
        .arg(format!("--proto_path={}", root.join("proto").display()))
        .arg("shop.proto")
        .current_dir(folder.path());
    let output = protoc.output().unwrap_or_else(|error| panic!("{protoc:?}: {error}; `make tools` installs it"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let set = fs::read(folder.path().join("set")).expect("protoc wrote it");
    let by_protoc = Descriptors::from_set(&set, &["shop.proto".to_owned()], |_| Some(text.to_owned()));
    let by_text = compile(&[folder.path().join("shop.proto")], &[folder.path().to_owned()]);
    let by_protoc = by_protoc.map(|it| it.pool().clone());
    same(by_protoc.as_ref(), by_text.as_ref(), folder.path());
    by_protoc
}

/// Whoever has parsed a file, it is the same afterwards.
fn same(by_protoc: Result<&DescriptorPool, &Diagnostics>, by_text: Result<&Descriptors, &Diagnostics>, at: &Path) {
    match (by_protoc, by_text) {
        (Ok(by_protoc), Ok(by_text)) => assert_eq!(plain(by_text.pool()), plain(by_protoc)),
        (Err(by_protoc), Err(by_text)) => {
            let shown = by_text.to_string().replace(&format!("{}/", at.display()), "");
            assert_eq!(shown, by_protoc.to_string());
        }
        (Ok(_), Err(wrong)) => panic!("only protoc reads it:\n{wrong}"),
        (Err(wrong), Ok(_)) => panic!("protoc's is refused:\n{wrong}"),
    }
}

/// What a pool has of the file, without the places and the JSON names that compilers add.
fn plain(pool: &DescriptorPool) -> FileDescriptorProto {
    fn plain_message(message: &mut DescriptorProto) {
        message.field.iter_mut().for_each(|it| it.json_name = None);
        message.nested_type.iter_mut().for_each(plain_message);
        message.nested_type.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut file = pool.get_file_by_name("shop.proto").expect("it was compiled").file_descriptor_proto().clone();
    file.source_code_info = None;
    file.message_type.iter_mut().for_each(plain_message);
    file
}

fn refused(text: &str) -> String {
    lowered(text).map(|_| ()).expect_err("it cannot be lowered").to_string()
}

#[test]
fn presence_is_what_the_features_say() {
    for edition in ["2023", "2024"] {
        let pool = lowered(&format!(
            r#"edition = "{edition}";
            package shop;
            message M {{
              int32 explicit = 1;
              int32 implicit = 2 [features.field_presence = IMPLICIT];
              repeated int32 list = 3;
              repeated int32 expanded = 4 [features.repeated_field_encoding = EXPANDED];
              map<string, int32> map = 5;
              oneof o {{ string a = 6; M m = 7; }}
              M message = 8;
            }}
            enum E {{ E_ZERO = 0; }}"#
        ))
        .unwrap_or_else(|wrong| panic!("{wrong}"));
        let message = pool.get_message_by_name("shop.M").expect("it is declared");
        let presence = |name: &str| message.get_field_by_name(name).expect("it is declared").supports_presence();
        assert_eq!(message.parent_file().syntax(), Is::Proto3);
        assert_eq!(["explicit", "implicit", "a", "message"].map(presence), [true, false, true, true]);
        let packed = |name: &str| message.get_field_by_name(name).expect("it is declared").is_packed();
        assert_eq!(["list", "expanded"].map(packed), [true, false]);
        assert!(message.get_field_by_name("map").expect("it is declared").is_map());
        let oneofs: Vec<_> = message.oneofs().map(|it| (it.name().to_owned(), it.is_synthetic())).collect();
        let expected = [("o", false), ("_explicit", true)];
        assert_eq!(oneofs, expected.map(|(name, synthetic)| (name.to_owned(), synthetic)));
    }
}

#[test]
fn a_whole_file_may_be_implicit() {
    let pool = lowered(
        "edition = \"2023\"; option features.field_presence = IMPLICIT;
         message M { int32 a = 1; int32 b = 2 [features.field_presence = EXPLICIT]; }",
    )
    .unwrap_or_else(|wrong| panic!("{wrong}"));
    let message = pool.get_message_by_name("M").expect("it is declared");
    assert_eq!(message.fields().map(|it| it.supports_presence()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_only_proto2_has_goes_to_proto2() {
    let pool = lowered(
        r#"edition = "2023";
        message M {
          int32 required = 1 [features.field_presence = LEGACY_REQUIRED];
          string text = 2 [default = "x"];
          M delimited = 3 [features.message_encoding = DELIMITED];
          repeated int32 list = 4;
          E closed = 5;
        }
        enum E { option features.enum_type = CLOSED; E_ONE = 1; }"#,
    )
    .unwrap_or_else(|wrong| panic!("{wrong}"));
    let message = pool.get_message_by_name("M").expect("it is declared");
    let field = |name: &str| message.get_field_by_name(name).expect("it is declared");
    assert_eq!(message.parent_file().syntax(), Is::Proto2);
    assert_eq!(field("required").cardinality(), Cardinality::Required);
    assert_eq!(field("text").default_value().as_str(), Some("x"));
    assert!(field("delimited").is_group() && field("list").is_packed());
    assert!(matches!(field("closed").kind(), Kind::Enum(it) if it.default_value().number() == 1));
}

#[test]
fn delimited_files_leave_maps_alone() {
    let pool = lowered(
        "edition = \"2023\"; option features.message_encoding = DELIMITED;
         message M { map<string, M> map = 1; M m = 2; }",
    )
    .unwrap_or_else(|wrong| panic!("{wrong}"));
    let message = pool.get_message_by_name("M").expect("it is declared");
    let field = |name: &str| message.get_field_by_name(name).expect("it is declared");
    assert!(field("map").is_map() && !field("map").is_group());
    assert!(field("m").is_group());
}

#[test]
fn what_needs_both_is_refused_where_it_stands() {
    let text = "edition = \"2023\";\nmessage M {\n  int32 a = 1 [features.field_presence = IMPLICIT];\n  int32 b = 2 [default = 7];\n}\n";
    let said = refused(text);
    assert!(said.starts_with("shop.proto:3:3: error[P003]: field `a` has implicit presence, which doesn't go together with the default of field `b` in one file"), "{said}");
}

#[test]
fn potters_options_are_read_through_either_import() {
    for (edition, import) in [("2023", "import"), ("2024", "import"), ("2024", "import option")] {
        let text = format!(
            "edition = \"{edition}\"; package shop; {import} \"potter/options.proto\";
             message Order {{ option (potter.aggregate) = {{ name: \"Cart\" }}; string id = 1; }}"
        );
        let pool = lowered(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        let message = pool.get_message_by_name("shop.Order").expect("it is declared");
        let extension = pool.get_extension_by_name("potter.aggregate").expect("the options came along");
        let said = message.options().get_extension(&extension).to_string();
        assert!(said.contains("Cart"), "{edition} {import}: {said}");
    }
}

#[test]
fn visibility_of_edition_2024_is_dropped() {
    let text =
        "edition = \"2024\"; export message A { local enum E { E_ZERO = 0; } E e = 1; } local message B { A a = 1; }";
    let pool = lowered(text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(pool.get_message_by_name("B").is_some());
}

#[test]
fn what_is_written_in_many_ways_means_the_same() {
    let text = r#"
        edition = "2024"; // the edition
        package shop.v1;
        import "potter/options.proto";
        option features = { field_presence: IMPLICIT, enum_type: OPEN };
        option features.(pb.cpp).string_type = VIEW;
        message Outer {
          option (potter.aggregate) = { name: "Outer" };
          reserved a, b;
          reserved 90 to 99;
          string id = 1;
          Inner inner = 2;
          .shop.v1.Outer.Kind kind = 3 [features.field_presence = EXPLICIT];
          repeated Kind kinds = 4 [features.repeated_field_encoding = EXPANDED, deprecated = true];
          repeated Inner.Deep deep = 5;
          map<string, Inner> inners = 6;
          oneof choice { Kind one = 7; string two = 8; }
          string reserved = 9; string export = 10; string local = 11;
          message Inner { message Deep { Outer outer = 1; Kind kind = 2; } Deep deep = 1; enum Kind { K_ZERO = 0; } }
          enum Kind { KIND_ZERO = 0; reserved KIND_OLD; reserved 7; }
        }"#;
    let text = text.replace("option features.(pb.cpp).string_type = VIEW;", "");
    let pool = lowered(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(pool.get_message_by_name("shop.v1.Outer.Inner.Deep").is_some());
}

#[test]
fn what_editions_do_not_have_is_refused_in_a_text() {
    let said = |text: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("shop.proto");
        fs::write(&path, text).expect("a writable folder");
        compile(&[path], &[]).map(|_| ()).expect_err("it is wrong").to_string()
    };
    let optional = said("edition = \"2023\";\nmessage M {\n  optional int32 a = 1;\n}\n");
    assert!(optional.contains("shop.proto:3:3: error[P003]: `optional a` is not part of editions"), "{optional}");
    let typo = said("edition = \"2023\";\noption features.field_presense = IMPLICIT;\n");
    assert!(typo.contains("`features.field_presense = IMPLICIT` is no feature"), "{typo}");
    let later = said("edition = \"2026\";\n");
    assert!(later.contains("shop.proto:1:1: error[P003]: edition 2026 is not yet supported"), "{later}");
}

#[test]
fn the_oneof_of_an_optional_field_has_a_name_of_its_own() {
    let taken = ["_a".to_owned(), "Xb".to_owned()];
    assert_eq!(super::synthetic_name("a", &taken, &["X_a".to_owned()]), "XX_a");
    assert_eq!(super::synthetic_name("b", &taken, &[]), "_b");
}

#[test]
fn an_edition_that_nobody_knows_is_not_lowered() {
    assert!(super::lower(&[], 1002, |_| true).is_none());
    assert!(super::lower(&[0xff], 1000, |_| true).is_some_and(|it| it.is_err()));
}

#[test]
fn what_is_no_feature_comes_out_as_it_went_in() {
    let field = prost_types::FieldDescriptorProto { name: Some("a".into()), ..Default::default() };
    let mut bytes = field.encode_to_vec();
    // An option of somebody else, whose number nobody here knows.
    bytes.extend([0x42, 0x07, 0x8a, 0xb5, 0x18, 0x03, 1, 2, 3]);
    let raw = super::Raw::decode(&bytes).expect("a message");
    assert_eq!(raw.encode(), bytes);
}
