//! Protos that come along, so that the usual imports resolve with nothing installed.

/// Where Potter's annotations are imported from.
pub const OPTIONS: &str = "potter/options.proto";

/// Where protos written for the Go Potter import them from.
pub const GO_OPTIONS: &str = "github.com/akriventsev/potter/options.proto";

/// Under the Go path only a public import, so that no name is defined twice when both paths are used.
const GO_OPTIONS_TEXT: &str = "syntax = \"proto3\";\n\nimport public \"potter/options.proto\";\n";

/// Names a file of `proto/` by its import path.
macro_rules! bundled {
    ($($name:literal)*) => {
        &[(GO_OPTIONS, GO_OPTIONS_TEXT), $(($name, include_str!(concat!("../../proto/", $name))),)*]
    };
}

/// Import name and text of every file that comes along; the well-known types come with protox.
pub const FILES: &[(&str, &str)] = bundled! {
    "potter/options.proto"
    "buf/validate/validate.proto"
    "google/api/annotations.proto"
    "google/api/client.proto"
    "google/api/field_behavior.proto"
    "google/api/field_info.proto"
    "google/api/http.proto"
    "google/api/launch_stage.proto"
    "google/api/resource.proto"
    "google/rpc/code.proto"
    "google/rpc/status.proto"
    "google/type/date.proto"
    "google/type/datetime.proto"
    "google/type/dayofweek.proto"
    "google/type/decimal.proto"
    "google/type/interval.proto"
    "google/type/latlng.proto"
    "google/type/money.proto"
    "google/type/month.proto"
    "google/type/phone_number.proto"
    "google/type/postal_address.proto"
    "google/type/timeofday.proto"
};

/// The text of a file that comes along.
pub fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(it, _)| *it == name).map(|(_, text)| *text)
}

/// Whether the file is nobody's own: it comes along, or holds well-known types.
pub fn is_foreign(name: &str) -> bool {
    name.starts_with("google/protobuf/") || text(name).is_some()
}
