//! Whoever compiles the proto, the tool-owned files are those of `potter-gen`, byte for byte.

use std::collections::BTreeMap;
use std::process::Command;

use crate::compilers::{ALL, Compiler, protos, repository, tree};

const PROTOS: [&str; 3] = ["product.proto", "hazards.proto", "validated.proto"];

#[test]
fn every_compiler_gives_the_files_of_potter_gen() {
    for proto in PROTOS {
        let expected = generated_by_the_cli(proto);
        assert!(expected.len() > 10, "{proto}: only {} files", expected.len());
        for compiler in ALL {
            let actual = generated_by(compiler, proto);
            assert_eq!(
                actual.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
                "{proto} under {compiler:?}: the files differ",
            );
            for (path, bytes) in &expected {
                assert!(actual[path] == *bytes, "{proto} under {compiler:?}: {path} differs");
            }
        }
    }
}

fn generated_by(compiler: Compiler, proto: &str) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().expect("a temporary directory");
    let run = compiler.run(proto, &["module=shop"], out.path());
    assert!(run.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&run.stderr));
    tree(out.path())
}

/// The tool-owned files of a project that `potter-gen init` made.
fn generated_by_the_cli(proto: &str) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().expect("a temporary directory");
    let project = out.path().join("shop");
    let run = Command::new(env!("CARGO_BIN_EXE_potter-gen"))
        .args(["init", "--module", "shop", "--proto"])
        .arg(protos().join(proto))
        .arg("--proto-path")
        .arg(protos())
        .arg("--proto-path")
        .arg(repository().join("proto"))
        .arg("--output")
        .arg(&project)
        .output()
        .expect("potter-gen runs");
    assert!(run.status.success(), "potter-gen: {}", String::from_utf8_lossy(&run.stderr));
    let mut files = tree(&project);
    files.retain(|path, _| path.starts_with("src/generated/") || path.starts_with("sdk/"));
    files
}
