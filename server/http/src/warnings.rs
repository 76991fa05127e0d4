//! `Warning` headers (rows F6, F9, C17): one per text, no text twice, and bounded.

use http::HeaderValue;

/// All texts of an answer together; beyond it each is cut to [`EACH`].
const TOTAL: usize = 4096;
const EACH: usize = 256;

/// The header values of these texts.
pub fn headers(texts: &[String]) -> Vec<HeaderValue> {
    let mut seen: Vec<&str> = Vec::new();
    for text in texts {
        if !seen.contains(&text.as_str()) {
            seen.push(text);
        }
    }
    let long = seen.iter().map(|t| t.chars().count()).sum::<usize>() > TOTAL;
    let mut total = 0;
    let mut out = Vec::new();
    for text in seen {
        let text: String = if long { text.chars().take(EACH).collect() } else { text.to_owned() };
        total += text.chars().count();
        if total > TOTAL {
            break;
        }
        out.extend(HeaderValue::from_bytes(format!("299 - {}", quoted(&text)).as_bytes()).ok());
    }
    out
}

/// A quoted string of HTTP: control characters dropped, quotes and backslashes escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_come_once() {
        let texts =
            [r#"unknown field "spec.foo""#.to_owned(), "other".to_owned(), r#"unknown field "spec.foo""#.to_owned()];
        assert_eq!(headers(&texts), [r#"299 - "unknown field \"spec.foo\"""#, r#"299 - "other""#]);
    }

    #[test]
    fn many_or_long_texts_are_cut() {
        let texts: Vec<String> = (0..40).map(|i| format!("{i}{}", "x".repeat(300))).collect();
        let all = headers(&texts);
        assert_eq!(all.len(), 16);
        assert!(all.iter().all(|h| h.len() == EACH + "299 - \"\"".len()));
    }
}
