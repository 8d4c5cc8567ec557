//! The OpenAPI document and Swagger UI, all of it from this binary.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION};

macro_rules! swagger_ui {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui/", $name))
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Addresses are relative, so that the page works behind a prefix.
const PAGE: &[u8] = br#"<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>API</title>
    <link rel="stylesheet" href="docs/swagger-ui.css">
    <link rel="stylesheet" href="docs/index.css">
    <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/swagger-ui-standalone-preset.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
"#;

const START: &[u8] = br##"window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
});
"##;

/// A file that is served as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

/// Swagger UI.
pub(crate) const SWAGGER_UI: [Asset; 7] = [
    Asset { path: "/docs", content_type: HTML, content: PAGE },
    Asset { path: "/docs/start.js", content_type: SCRIPT, content: START },
    Asset { path: "/docs/swagger-ui.css", content_type: CSS, content: swagger_ui!("swagger-ui.css") },
    Asset { path: "/docs/index.css", content_type: CSS, content: swagger_ui!("index.css") },
    Asset { path: "/docs/swagger-ui-bundle.js", content_type: SCRIPT, content: swagger_ui!("swagger-ui-bundle.js") },
    Asset {
        path: "/docs/swagger-ui-standalone-preset.js",
        content_type: SCRIPT,
        content: swagger_ui!("swagger-ui-standalone-preset.js"),
    },
    Asset { path: "/docs/favicon-32x32.png", content_type: "image/png", content: swagger_ui!("favicon-32x32.png") },
];

impl Asset {
    /// The OpenAPI document.
    pub(crate) const fn openapi(document: &'static str) -> Self {
        Self { path: "/openapi.json", content_type: "application/json", content: document.as_bytes() }
    }

    pub(crate) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(Bytes::from_static(self.content)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        // A new version of the service may have other contents under the same names.
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// The page's addresses are relative to the root, so that `/docs/` cannot serve it as well.
pub(crate) fn redirect_to_docs() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("../docs"));
    response
}
