//! Explains a diagnostic: what it means, what causes it, what to write instead.

use crate::diagnostic::Code;

/// The page of a code, in Markdown.
pub fn explain(code: Code) -> &'static str {
    code.page()
}

/// All codes with their titles, a line for each.
pub fn overview() -> String {
    Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title())).collect()
}
