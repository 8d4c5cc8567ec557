//! The formats of protovalidate's string rules: e-mail addresses, host names, IP addresses and URIs.
//!
//! [protovalidate's definitions](https://protovalidate.com/reference/cel_extensions/) hold, to the letter.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

/// The [HTML standard's definition](https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address): stricter
/// than RFC 5322, which lets through what is a slip of the finger.
pub(crate) fn is_email(text: &str) -> bool {
    static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
        let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
        compile(&format!(r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{label}(?:\.{label})*$"))
    });
    EMAIL.is_match(text)
}

/// Labels of letters, digits and inner hyphens, at most 63 long and 253 together; the last is not a number. A dot at
/// the end is allowed.
pub(crate) fn is_hostname(text: &str) -> bool {
    if text.len() > 253 {
        return false;
    }
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let last_is_number = labels.clone().next_back().is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    !last_is_number && labels.all(is_label)
}

fn is_label(text: &str) -> bool {
    let allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    allowed && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-')
}

/// `version` is 4, 6, or 0 for either.
pub(crate) fn is_ip(text: &str, version: i64) -> bool {
    match version {
        0 => is_ipv4(text) || is_ipv6(text),
        4 => is_ipv4(text),
        6 => is_ipv6(text),
        _ => false,
    }
}

fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// A zone, `fe80::1%eth0`, is part of the address and may be anything.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    zone != Some("") && address.parse::<Ipv6Addr>().is_ok()
}

/// An address with the length of its network part, `10.0.0.0/8`. If `strict`, all behind that part must be zero.
pub(crate) fn is_ip_prefix(text: &str, version: i64, strict: bool) -> bool {
    match version {
        0 => is_ipv4_prefix(text, strict) || is_ipv6_prefix(text, strict),
        4 => is_ipv4_prefix(text, strict),
        6 => is_ipv6_prefix(text, strict),
        _ => false,
    }
}

fn is_ipv4_prefix(text: &str, strict: bool) -> bool {
    let parts = text.split_once('/').map(|(address, length)| (address.parse::<Ipv4Addr>(), number(length, 32)));
    let Some((Ok(address), Some(length))) = parts else {
        return false;
    };
    !strict || address.to_bits() & u32::MAX.checked_shr(length).unwrap_or(0) == 0
}

fn is_ipv6_prefix(text: &str, strict: bool) -> bool {
    let parts = text.split_once('/').map(|(address, length)| (address.parse::<Ipv6Addr>(), number(length, 128)));
    let Some((Ok(address), Some(length))) = parts else {
        return false;
    };
    !strict || address.to_bits() & u128::MAX.checked_shr(length).unwrap_or(0) == 0
}

/// A decimal number without leading zeros.
fn number(text: &str, max: u32) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|&it| digits && it <= max)
}

/// `example.com:443`, `127.0.0.1:80`, `[::1]:80`; the port may be absent unless it is required.
pub(crate) fn is_host_and_port(text: &str, port_required: bool) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of an address without a port.
        _ if text.starts_with('[') && text.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let host_is_valid = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').is_some_and(is_ipv6),
        None => is_hostname(host) || is_ipv4(host),
    };
    host_is_valid && port.map_or(!port_required, |port| number(port, 65_535).is_some())
}

/// A URI of [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986#appendix-A), with the zones of RFC 6874.
pub(crate) fn is_uri(text: &str) -> bool {
    static URI: LazyLock<Regex> = LazyLock::new(|| {
        let Grammar { authority, pchar, query_and_fragment, .. } = Grammar::new();
        let path = format!("(?:{authority}(?:/{pchar}*)*|/(?:{pchar}+(?:/{pchar}*)*)?|{pchar}+(?:/{pchar}*)*|)");
        compile(&format!("^[a-zA-Z][a-zA-Z0-9+.-]*:{path}{query_and_fragment}$"))
    });
    matches_with_valid_host(&URI, text)
}

/// A URI, or one relative to another.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
        let Grammar { authority, pchar, segment_without_colon, query_and_fragment } = Grammar::new();
        let path = format!(
            "(?:{authority}(?:/{pchar}*)*|/(?:{pchar}+(?:/{pchar}*)*)?|{segment_without_colon}(?:/{pchar}*)*|)"
        );
        compile(&format!("^{path}{query_and_fragment}$"))
    });
    is_uri(text) || matches_with_valid_host(&RELATIVE, text)
}

/// What a regular expression cannot check about a host, which it captures as `address` or `name`.
fn matches_with_valid_host(pattern: &Regex, text: &str) -> bool {
    let Some(captures) = pattern.captures(text) else {
        return false;
    };
    let address = captures.name("address").is_none_or(|it| it.as_str().parse::<Ipv6Addr>().is_ok());
    let encoded = ["name", "zone"].into_iter().filter_map(|part| captures.name(part));
    address && encoded.into_iter().all(|it| decodes(it.as_str()))
}

/// The parts of RFC 3986's grammar that the two kinds of URI share, as regular expressions.
struct Grammar {
    authority: String,
    pchar: String,
    segment_without_colon: String,
    query_and_fragment: String,
}

impl Grammar {
    fn new() -> Self {
        let encoded = "%[0-9a-fA-F]{2}";
        let unreserved = "a-zA-Z0-9._~-";
        let sub_delims = "!$&'()*+,;=";
        let pchar = format!("(?:[{sub_delims}:@{unreserved}]|{encoded})");
        let user = format!("(?:(?:[{sub_delims}:{unreserved}]|{encoded})*@)?");
        let zone = format!("(?:%25(?<zone>(?:[{unreserved}]|{encoded})+))?");
        let future = format!("v[0-9a-fA-F]+\\.[{sub_delims}:{unreserved}]+");
        let literal = format!("\\[(?:(?<address>[0-9a-fA-F:.]+){zone}|{future})\\]");
        let name = format!("(?<name>(?:[{sub_delims}{unreserved}]|{encoded})*)");
        Self {
            authority: format!("//{user}(?:{literal}|{name})(?::[0-9]*)?"),
            segment_without_colon: format!("(?:[{sub_delims}@{unreserved}]|{encoded})+"),
            query_and_fragment: format!("(?:\\?(?:{pchar}|[/?])*)?(?:#(?:{pchar}|[/?])*)?"),
            pchar,
        }
    }
}

/// Whether percent-encoding stands for UTF-8, as RFC 3986 wants it in a host.
fn decodes(text: &str) -> bool {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let decoded = encoded.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(decoded.unwrap_or(first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    std::str::from_utf8(&bytes).is_ok()
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is constant and tested")
}
