//! JSON as Kubernetes writes it (row E16) and reads it.

mod mend;
pub mod syntax;

pub use mend::mended;

use serde_json::Value;

/// Compact JSON with `&`, `<`, `>` and the two line separators escaped, as every body carries them (row E16).
pub fn to_string(value: &Value) -> String {
    html_safe(value.to_string())
}

/// Escapes the characters of row E16 in JSON text. They occur in JSON only inside strings, so replacing is safe.
pub fn html_safe(text: String) -> String {
    let unsafe_char = |c: char| matches!(c, '&' | '<' | '>' | '\u{2028}' | '\u{2029}');
    if !text.contains(unsafe_char) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match c {
            '&' => out.push_str("\\u0026"),
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_never_reaches_a_browser_as_markup() {
        assert_eq!(to_string(&serde_json::json!({"a<b": "x & y"})), r#"{"a\u003cb":"x \u0026 y"}"#);
    }
}
