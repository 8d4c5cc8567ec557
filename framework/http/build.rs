//! Unpacks the few files of Swagger UI that are served at `/docs`.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Cursor};
use std::path::PathBuf;

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

const FILES: [&str; 5] =
    ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png", "index.css"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("swagger-ui");
    fs::create_dir_all(&folder)?;
    let mut archive = zip::ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let path = archive
            .file_names()
            .filter_map(Result::ok)
            .find(|path| path.matches('/').count() == 2 && path.ends_with(&format!("/dist/{name}")))
            .map(Cow::into_owned)
            .ok_or_else(|| io::Error::other(format!("Swagger UI has no {name}")))?;
        io::copy(&mut archive.by_name(&path)?, &mut File::create(folder.join(name))?)?;
    }
    Ok(())
}
