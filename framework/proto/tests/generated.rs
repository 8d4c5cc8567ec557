//! The committed code is what `proto/potter/runtime.proto` gives.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use protox::prost_reflect::prost_types::FileDescriptorSet;

const RENEW: &str = "out of date; renew it with `BLESS=1 cargo test -p potter-proto`";

#[test]
fn the_committed_code_is_current() {
    let descriptors = compile();
    let wanted = [
        ("potter.runtime.v1.rs", generate(descriptors.clone())),
        ("runtime.binpb", without_positions(descriptors).encode_to_vec()),
    ];
    for (name, content) in wanted {
        let path = package().join("src/generated").join(name);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &content).expect("the package is writable");
        }
        let committed = fs::read(&path).unwrap_or_default();
        assert!(committed == content, "{name} is {RENEW}");
    }
}

/// Source positions carry the comments, which become docs.
fn compile() -> FileDescriptorSet {
    let root = package().join("../../proto");
    let mut compiler = protox::Compiler::new([&root]).expect("the folder of protos exists");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(root.join("potter/runtime.proto")).expect("runtime.proto is valid");
    compiler.file_descriptor_set()
}

/// As embedded into services: whoever reflects wants the shapes.
fn without_positions(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors
}

fn generate(descriptors: FileDescriptorSet) -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("potter-proto-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder is writable");
    tonic_prost_build::configure()
        .build_transport(false)
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .emit_rerun_if_changed(false)
        .out_dir(&folder)
        .compile_fds(descriptors)
        .expect("runtime.proto gives code");
    let code = fs::read(folder.join("potter.runtime.v1.rs")).expect("one file for each package");
    fs::remove_dir_all(&folder).expect("the temporary folder is ours");
    code
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
