//! The plugin protocol: what goes wrong is said where the compiler shows it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use prost::Message;
use prost_types::compiler::CodeGeneratorResponse;
use prost_types::compiler::code_generator_response::Feature;

use crate::compilers::{ALL, plugin};

#[test]
fn a_mistake_in_the_proto_is_located_by_every_compiler() {
    for compiler in ALL {
        let out = tempfile::tempdir().expect("a temporary directory");
        let run = compiler.run("unknown_aggregate.proto", &["module=shop"], out.path());
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success(), "{compiler:?} accepted the mistake");
        assert!(stderr.contains("unknown_aggregate.proto:13:"), "{compiler:?} doesn't say where: {stderr}");
        assert!(stderr.contains("error[P"), "{compiler:?} shows no code: {stderr}");
        assert!(stderr.contains("Product"), "{compiler:?} doesn't suggest the near name: {stderr}");
        assert_eq!(std::fs::read_dir(out.path()).expect("a directory").count(), 0, "{compiler:?} wrote files");
    }
}

#[test]
fn all_wrong_parameters_are_reported_together() {
    for compiler in ALL {
        let out = tempfile::tempdir().expect("a temporary directory");
        let run = compiler.run("product.proto", &["modul=shop", "colour=red"], out.path());
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success(), "{compiler:?} accepted unknown parameters");
        for word in ["modul", "module", "colour"] {
            assert!(stderr.contains(word), "{compiler:?} doesn't mention `{word}`: {stderr}");
        }
    }
}

#[test]
fn an_error_response_has_the_features_of_a_good_one() {
    // A request for a file that it doesn't contain.
    let request = prost_types::compiler::CodeGeneratorRequest {
        file_to_generate: vec!["missing.proto".into()],
        ..Default::default()
    };
    let run = feed(&request.encode_to_vec());
    assert!(run.status.success(), "schema errors are answered, not exited with");
    let response = CodeGeneratorResponse::decode(run.stdout.as_slice()).expect("a response");
    assert!(response.error().contains("missing.proto"), "{}", response.error());
    assert_eq!(response.supported_features() & Feature::Proto3Optional as u64, Feature::Proto3Optional as u64);
}

#[test]
fn empty_input_is_refused() {
    let run = feed(&[]);
    assert_eq!(run.status.code(), Some(1));
    assert!(run.stdout.is_empty());
    assert!(String::from_utf8_lossy(&run.stderr).contains("protoc"), "says what the binary is for");
}

#[test]
fn bytes_that_are_no_request_never_panic() {
    for length in 1..200_u8 {
        let noise: Vec<u8> = (0..length).map(|index| index.wrapping_mul(37).wrapping_add(length)).collect();
        let run = feed(&noise);
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code().is_some(), "killed by a signal on {noise:?}");
        assert!(!stderr.contains("panicked"), "panicked on {noise:?}: {stderr}");
    }
}

/// What the plugin makes of some bytes.
pub fn feed(input: &[u8]) -> Output {
    let mut child = Command::new(plugin())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the plugin runs");
    // A plugin that refuses at once may close its end first; its answer is what counts.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("the plugin ends")
}
