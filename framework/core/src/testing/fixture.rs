//! Payloads of events that were recorded in former versions.

use std::path::Path;

/// The payload in a fixture of the service whose folder is `root`: hexadecimal, lines that begin with `#` being
/// comments.
///
/// # Panics
/// There is no such fixture, or it is something else.
#[must_use]
#[track_caller]
pub fn fixture(root: &str, name: &str) -> Vec<u8> {
    let path = Path::new(root).join("tests/fixtures").join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `potter-gen update` writes it", path.display()));
    bytes(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()))
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<char> = lines.flat_map(str::chars).filter(|it| !it.is_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| {
        let pair: String = pair.iter().collect();
        let whole = pair.len() == 2 && pair.chars().all(|it| it.is_ascii_hexdigit());
        let byte = u8::from_str_radix(&pair, 16).ok().filter(|_| whole);
        byte.ok_or_else(|| format!("`{pair}` is no byte in hexadecimal"))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bytes_between_comments() {
        assert_eq!(bytes("# order.placed\n00ff 10\n# more\n7f\n"), Ok(vec![0, 255, 16, 127]));
        assert_eq!(bytes("# nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn says_what_is_no_byte() {
        assert_eq!(bytes("00f"), Err("`f` is no byte in hexadecimal".to_owned()));
        assert_eq!(bytes("+1"), Err("`+1` is no byte in hexadecimal".to_owned()));
    }

    #[test]
    #[should_panic(expected = "potter-gen update")]
    fn a_missing_fixture_says_who_writes_it() {
        let _ = fixture(env!("CARGO_MANIFEST_DIR"), "none.hex");
    }
}
