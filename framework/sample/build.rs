//! Compiles `shop.proto`: messages, and descriptors as generated services carry them.

use std::error::Error;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use protox::prost_reflect::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shop.proto");
    let descriptors = protox::compile(["shop.proto"], ["."])?;
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(folder.join("descriptors.b64"), BASE64_STANDARD.encode(descriptors.encode_to_vec()))?;
    prost_build::compile_fds(descriptors)?;
    Ok(())
}
