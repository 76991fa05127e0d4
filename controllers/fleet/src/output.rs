//! What a remote command printed, made safe to keep and to show (rule R23).

/// The most that is kept of either stream.
pub const MAX_BYTES: usize = 1024 * 1024;

/// A finished command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub exit: u32,
    /// Lossily decoded, without terminal control sequences.
    pub stdout: String,
    pub stderr: String,
    /// More was printed than kept.
    pub truncated: bool,
}

impl Output {
    pub fn succeeded(&self) -> bool {
        self.exit == 0
    }

    /// The end of what was printed, for people: stderr, or stdout when that is empty.
    pub fn tail(&self, bytes: usize) -> &str {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        tail(text.trim_end(), bytes)
    }
}

/// At most the last `bytes` bytes, beginning at a character and, where it can, at a line.
pub fn tail(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut start = text.len() - bytes;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let cut = &text[start..];
    match cut.split_once('\n') {
        Some((_, rest)) if !rest.is_empty() => rest,
        _ => cut,
    }
}

/// Collects one stream up to the cap.
#[derive(Default)]
pub(crate) struct Collector {
    bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

impl Collector {
    pub(crate) fn push(&mut self, data: &[u8]) {
        let room = MAX_BYTES - self.bytes.len();
        self.truncated |= data.len() > room;
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
    }

    pub(crate) fn text(&self) -> String {
        clean(&self.bytes)
    }
}

/// Lossy UTF-8 without escape sequences and without control characters other than tab and newline.
pub(crate) fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: parameters, then one final character.
        Some('[') => {
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        // OSC and the other strings: until BEL or ESC backslash.
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#') => {
            chars.next();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_do_not_reach_the_reader() {
        let cases: [(&[u8], &str); 8] = [
            (b"plain\n", "plain\n"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link", "link"),
            (b"50%\r100%\r\n", "50%\n100%\n"),
            (b"a\x00\x08b", "ab"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"\x1b[999999", ""),
        ];
        for (input, expected) in cases {
            assert_eq!(clean(input), expected, "{input:?}");
        }
    }

    #[test]
    fn no_more_than_the_cap_is_kept() {
        let mut c = Collector::default();
        c.push(&vec![b'a'; MAX_BYTES - 1]);
        assert!(!c.truncated);
        c.push(b"bcd");
        assert!(c.truncated);
        assert_eq!(c.text().len(), MAX_BYTES);
    }

    #[test]
    fn a_tail_begins_at_a_line_where_it_can() {
        assert_eq!(tail("one\ntwo\nthree", 8), "three");
        assert_eq!(tail("ééé", 3), "é");
        assert_eq!(tail("short", 100), "short");
    }
}
