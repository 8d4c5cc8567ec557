//! The plugin protocol: what protoc and buf send, and what they expect back.
//!
//! In: the bytes on standard input. Out: parameters and files as an [`Input`]; later the bytes for standard output.
//! The protocol asks that what is wrong in the protos or the parameters is an ordinary response with `error` set,
//! and that only what concerns the plugin itself ends it with a status. See `google/protobuf/compiler/plugin.proto`.

mod partial;

use std::{collections::BTreeMap, fmt};

use prost::Message;

use crate::{
    descriptors::{Descriptors, RawRequest, bundled},
    diagnostic::{Code, Diagnostic, Diagnostics, suggestion},
    evolution,
    history::History,
    lock::Lock,
    model::{self, Module, Settings},
};

/// `CodeGeneratorResponse.Feature.FEATURE_PROTO3_OPTIONAL`: `optional` in proto3 is understood.
const FEATURE_PROTO3_OPTIONAL: u64 = 1;

/// `CodeGeneratorResponse.Feature.FEATURE_SUPPORTS_EDITIONS`: so are files of editions, within the range below.
const FEATURE_SUPPORTS_EDITIONS: u64 = 2;

/// `EDITION_PROTO2`, the first one there is.
const FIRST_EDITION: i32 = 998;

/// `EDITION_2024`, the last one that is lowered.
const LAST_EDITION: i32 = 1001;

/// What was given as `--potter_opt`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `module=NAME`: names the module.
    pub module: Option<String>,
    /// `lock=PATH`: the project's `potter.lock`, which knows the past of its events; `none`: there is no past.
    pub lock: Option<String>,
}

/// `lock=none`.
const NO_LOCK: &str = "none";

/// The names of all parameters.
const PARAMETERS: &[&str] = &["module", "lock"];

/// What `potter-gen` takes and a plugin can't heed: the framework is named in the manifest, which is the user's.
const FRAMEWORK: &str = "framework";

/// Everything that a request says, understood.
#[derive(Debug)]
pub struct Input {
    /// What was given as `--potter_opt`.
    pub parameters: Parameters,
    /// All files, those to generate among them.
    pub descriptors: Descriptors,
    /// What they mean.
    pub module: Module,
    /// What the lock remembers, and with it what there is now.
    pub history: History,
    /// What is worth saying on standard error.
    pub warnings: Diagnostics,
}

/// What is on standard input is no request: that is not the user's protos' fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRequest(String);

impl fmt::Display for NoRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoRequest {}

/// Decodes a request.
///
/// # Errors
///
/// There is nothing to decode, or it is no `CodeGeneratorRequest`.
pub fn decode(bytes: &[u8]) -> Result<RawRequest, NoRequest> {
    if bytes.is_empty() {
        let usage = "protoc --potter_out=DIR --potter_opt=module=NAME FILE…";
        return Err(NoRequest(format!("this is a plugin: protoc or buf calls it, as in `{usage}`")));
    }
    RawRequest::decode(bytes).map_err(|error| NoRequest(format!("standard input is no CodeGeneratorRequest: {error}")))
}

/// Whether a request asks for nothing but files that came along with Potter or with protobuf: buf does so for a
/// folder that holds only such. There is nothing to generate, and nothing wrong.
pub fn is_foreign(request: &RawRequest) -> bool {
    !request.file_to_generate.is_empty() && request.file_to_generate.iter().all(|it| bundled::is_foreign(it))
}

/// Understands a request. `read` gives the text of a proto file by its import name, if it is at hand, and that of the
/// lock by its path.
///
/// # Errors
///
/// All that is wrong with the parameters and the protos.
pub fn understand(request: &RawRequest, read: impl Fn(&str) -> Option<String>) -> Result<Input, Diagnostics> {
    let mut wrong = Diagnostics::new();
    let parameters = parameters(request.parameter.as_deref().unwrap_or_default()).unwrap_or_else(|findings| {
        wrong.append(findings);
        Parameters::default()
    });
    let settings = Settings { module: parameters.module.clone() };
    let built = Descriptors::from_request(request, &read).and_then(|descriptors| {
        partial::refuse(&descriptors)?;
        model::build(&descriptors, &settings).map(|built| (descriptors, built))
    });
    let (descriptors, (module, mut warnings)) = match built {
        Ok(built) => built,
        Err(findings) => {
            wrong.append(findings);
            return Err(wrong.sorted());
        }
    };
    let history = history(&parameters, read).unwrap_or_else(|findings| {
        wrong.append(findings);
        History::default()
    });
    if parameters.lock.is_none() {
        warnings.append(evolution::without_past(&module, &descriptors));
    }
    match evolution::judge(&history, &module, &descriptors) {
        Ok(findings) => warnings.append(findings),
        Err(findings) => wrong.append(findings),
    }
    if wrong.has_errors() || warnings.has_errors() {
        wrong.append(warnings);
        return Err(wrong.sorted());
    }
    let history = history.with(&module);
    Ok(Input { parameters, descriptors, module, history, warnings: warnings.sorted() })
}

/// The past, as the lock has it; none if no lock is named.
fn history(parameters: &Parameters, read: impl Fn(&str) -> Option<String>) -> Result<History, Diagnostics> {
    let named = parameters.lock.as_deref().filter(|it| *it != NO_LOCK);
    let Some(path) = named else { return Ok(History::default()) };
    let text = read(path).ok_or_else(|| {
        let message = format!("parameter `lock` names `{path}`, which cannot be read");
        refuse(message).help("name potter.lock as seen from where the compiler runs, or write `lock=none`")
    })?;
    let lock = Lock::read(&text).map_err(|error| refuse(format!("`{path}` cannot be understood: {error}")))?;
    Ok(lock.history)
}

/// Reads `key=value,key=value`. A value may stand in double quotes, in which a comma is nothing special; quotes and
/// backslashes in it are written behind a backslash.
///
/// # Errors
///
/// All that is wrong with them.
pub fn parameters(text: &str) -> Result<Parameters, Diagnostics> {
    let mut wrong = Diagnostics::new();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for part in split(text) {
        match part.and_then(|(key, value)| check(&key, value, &found).map(|value| (key, value))) {
            Ok((key, value)) => {
                found.insert(key, value);
            }
            Err(findings) => wrong.append(findings),
        }
    }
    if wrong.has_errors() {
        return Err(wrong);
    }
    let mut take = |key| found.remove(key);
    Ok(Parameters { module: take("module"), lock: take("lock") })
}

/// Says whether a parameter is known, has a value, and is new.
fn check(key: &str, value: Option<String>, found: &BTreeMap<String, String>) -> Result<String, Diagnostics> {
    if key == FRAMEWORK {
        let help = "leave it out; `potter-gen update --framework SOURCE` changes it in Cargo.toml";
        return Err(refuse("parameter `framework` has no effect on what a plugin writes".to_owned()).help(help).into());
    }
    if !PARAMETERS.contains(&key) {
        let help = suggestion(key, PARAMETERS.iter().copied());
        return Err(refuse(format!("unknown parameter `{key}`")).help(help).into());
    }
    let value = value.filter(|it| !it.is_empty());
    let value = value.ok_or_else(|| {
        Diagnostics::from(refuse(format!("parameter `{key}` has no value")).help(format!("write `{key}=…`")))
    })?;
    match found.get(key) {
        Some(_) => Err(refuse(format!("parameter `{key}` is given twice")).help("give it once").into()),
        None => Ok(value),
    }
}

fn refuse(message: String) -> Diagnostic {
    Diagnostic::new(Code::UnknownParameter, None, message)
}

type Part = Result<(String, Option<String>), Diagnostics>;

/// Cuts at the commas outside of quotes, and each part at its first `=`.
fn split(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let key_end = rest.find([',', '=']).unwrap_or(rest.len());
        let key = rest[..key_end].trim().to_owned();
        let (value, after) = match rest[key_end..].strip_prefix('=') {
            Some(value) => match take_value(value) {
                Some((value, after)) => (Some(value), after),
                None => {
                    let help = "close the quotes; nothing but a comma may follow them";
                    let message = format!("the quotes of parameter `{key}` are not closed");
                    parts.push(Err(refuse(message).help(help).into()));
                    return parts;
                }
            },
            None => (None, &rest[key_end..]),
        };
        if !key.is_empty() || value.is_some() {
            parts.push(Ok((key, value)));
        }
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    parts
}

/// A value and what follows it; `None` if its quotes don't close before the next comma or the end.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '"' => {
                let after = quoted[at + 1..].trim_start();
                return (after.is_empty() || after.starts_with(',')).then_some((value, after));
            }
            _ => value.push(letter),
        }
    }
    None
}

/// `CodeGeneratorResponse`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, optional, tag = "1")]
    error: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    supported_features: Option<u64>,
    #[prost(int32, optional, tag = "3")]
    minimum_edition: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    maximum_edition: Option<i32>,
    #[prost(message, repeated, tag = "15")]
    file: Vec<ResponseFile>,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseFile {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "15")]
    content: Option<String>,
}

/// The response with the generated files, by name.
pub fn response(files: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let file = files.into_iter().map(|(name, content)| ResponseFile { name: Some(name), content: Some(content) });
    encode(None, file.collect())
}

/// The response that says what is wrong. It has the features too: without them protoc would report their lack.
pub fn error_response(findings: &Diagnostics) -> Vec<u8> {
    encode(Some(findings.to_string().trim_end().to_owned()), Vec::new())
}

fn encode(error: Option<String>, file: Vec<ResponseFile>) -> Vec<u8> {
    let response = Response {
        error,
        supported_features: Some(FEATURE_PROTO3_OPTIONAL | FEATURE_SUPPORTS_EDITIONS),
        minimum_edition: Some(FIRST_EDITION),
        maximum_edition: Some(LAST_EDITION),
        file,
    };
    response.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        let findings = parameters(text).expect_err("these parameters are wrong");
        findings.iter().map(|it| it.message.clone()).collect()
    }

    #[test]
    fn reads_parameters() {
        let module = |name: &str| Ok(Parameters { module: Some(name.into()), ..Parameters::default() });
        assert_eq!(parameters(""), Ok(Parameters::default()));
        assert_eq!(parameters("module=shop"), module("shop"));
        assert_eq!(parameters(" module = shop ,"), module("shop"));
        assert_eq!(parameters("module=\"sh\\\"o,p\""), module("sh\"o,p"));
        let path = parameters("lock=a:/a=b,module=shop").map(|it| it.lock);
        assert_eq!(path, Ok(Some("a:/a=b".into())));
    }

    #[test]
    fn reports_all_wrong_parameters_together() {
        let said = wrong("modul=a,module,module=a,module=b,x");
        assert_eq!(
            said,
            [
                "unknown parameter `modul`",
                "parameter `module` has no value",
                "parameter `module` is given twice",
                "unknown parameter `x`"
            ]
        );
        assert_eq!(wrong("framework=version:1.0.0"), ["parameter `framework` has no effect on what a plugin writes"]);
        assert_eq!(wrong("module=\"a"), ["the quotes of parameter `module` are not closed"]);
        assert_eq!(wrong("=a"), ["unknown parameter ``"]);
    }

    #[test]
    fn says_the_features_with_errors_too() {
        let response = Response::decode(error_response(&refuse("no".into()).into()).as_slice());
        let response = response.expect("a response");
        assert_eq!(response.supported_features, Some(3));
        assert_eq!((response.minimum_edition, response.maximum_edition), (Some(998), Some(1001)));
        assert_eq!(response.error.as_deref(), Some("error[P009]: no"));
    }
}
