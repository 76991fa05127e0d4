//! Text that is no Unicode, read as Go reads it: what stands for no character becomes U+FFFD.

/// The same document with every lone surrogate escape and every stray byte replaced; `None` when there is none, so that a
/// document without them is what it was. Runs on documents that a strict reader refused.
pub fn mended(document: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(document.len() + 64);
    let mut rest = document;
    let mut inside = false;
    while let Some(&byte) = rest.first() {
        let (kept, lost) = match byte {
            b'"' => {
                inside = !inside;
                (1, 0)
            }
            b'\\' if inside => match code_unit(rest) {
                Some(0xd800..0xdc00) if matches!(code_unit(&rest[6..]), Some(0xdc00..0xe000)) => (12, 0),
                Some(0xd800..0xe000) => (0, 6),
                _ => (rest.len().min(2), 0),
            },
            0x80.. => character(rest).map_or((0, 1), |length| (length, 0)),
            _ => (1, 0),
        };
        out.extend_from_slice(&rest[..kept]);
        if lost > 0 {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
        rest = &rest[kept + lost..];
    }
    (out != document).then_some(out)
}

/// The code unit of an escape `\uXXXX` at the beginning of `text`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

/// The length of the character at the beginning of `text`; `None`: it is no UTF-8.
fn character(text: &[u8]) -> Option<usize> {
    (2..=4).find(|length| text.get(..*length).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_no_unicode_becomes_the_replacement_character() {
        let cases: [(&[u8], Option<Value>); 11] = [
            (br#"{"a":"x\ud800y"}"#, Some(json!({"a": "x\u{fffd}y"}))),
            (br#"["\udc00"]"#, Some(json!(["\u{fffd}"]))),
            (br#"["\ud800\ud800"]"#, Some(json!(["\u{fffd}\u{fffd}"]))),
            (br#"["\ud800\ud83d\ude00"]"#, Some(json!(["\u{fffd}\u{1f600}"]))),
            (br#"["\uD800"]"#, Some(json!(["\u{fffd}"]))),
            (b"[\"x\xff\xfey\"]", Some(json!(["x\u{fffd}\u{fffd}y"]))),
            (b"[\"\xe2\x82\"]", Some(json!(["\u{fffd}\u{fffd}"]))),
            (br#"{"\udfff":1}"#, Some(json!({"\u{fffd}": 1}))),
            (br#"["\ud83d\ude00", "\\ud800", "\u00e9"]"#, None),
            ("[\"é€😀\"]".as_bytes(), None),
            (br#"["\ud8"#, None),
        ];
        for (text, expected) in cases {
            let found = mended(text).map(|m| serde_json::from_slice(&m).expect("JSON"));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
