//! Where a text stops being JSON, in the words clients of Kubernetes know (row E1). Runs on refused bodies, and on values that must be JSON.

/// The deepest nesting of a document.
const MAX_DEPTH: usize = 128;

/// The first syntax error, or `None` when the text is JSON.
pub fn error(bytes: &[u8]) -> Option<String> {
    let mut scan = Scan { bytes, at: 0 };
    scan.value(0).and_then(|()| scan.end()).err()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Step = Result<(), String>;

impl Scan<'_> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        match self.bytes.get(self.at) {
            None => Err("unexpected end of JSON input".to_owned()),
            Some(b'\'') => Err(format!("invalid character '\\'' {what}")),
            Some(b'"') => Err(format!("invalid character '\"' {what}")),
            Some(b @ 0..0x20) => Err(format!("invalid character {} {what}", control(*b))),
            Some(b) => Err(format!("invalid character '{}' {what}", char::from(*b))),
        }
    }

    fn end(&mut self) -> Step {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.wrong("after top-level value") }
    }

    fn value(&mut self, depth: usize) -> Step {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.space();
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.wrong("looking for beginning of value"),
        }
    }

    fn object(&mut self, depth: usize) -> Step {
        self.at += 1;
        self.space();
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return self.wrong("looking for beginning of object key string");
            }
            self.string()?;
            self.space();
            if self.bytes.get(self.at) != Some(&b':') {
                return self.wrong("after object key");
            }
            self.at += 1;
            self.value(depth + 1)?;
            self.space();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.wrong("after object key:value pair"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Step {
        self.at += 1;
        self.space();
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.bytes.get(self.at) {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.wrong("after array element"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.bytes.get(self.at) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') => self.at += 1,
                        _ => return self.wrong("in string escape code"),
                    }
                }
                Some(0x20..) => self.at += 1,
                _ => return self.wrong("in string literal"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Step {
        let first = &word[..1];
        for (i, expected) in word.bytes().enumerate() {
            if self.bytes.get(self.at) != Some(&expected) {
                debug_assert!(i > 0, "the first letter {first} chose this word");
                return self.wrong(&format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Step {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
            if !self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
                return self.wrong("in numeric literal");
            }
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, what: &str) -> Step {
        if !self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            return self.wrong(what);
        }
        self.digits();
        Ok(())
    }
}

fn control(byte: u8) -> String {
    match byte {
        b'\n' => "'\\n'".to_owned(),
        b'\r' => "'\\r'".to_owned(),
        b'\t' => "'\\t'".to_owned(),
        other => format!("'\\x{other:02x}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_kubernetes_words_them() {
        for (text, expected) in [
            ("{bad", Some("invalid character 'b' looking for beginning of object key string")),
            ("", Some("unexpected end of JSON input")),
            ("{\"a\":1", Some("unexpected end of JSON input")),
            ("{\"a\":1}}", Some("invalid character '}' after top-level value")),
            ("{\"a\" 1}", Some("invalid character '1' after object key")),
            ("{\"a\":1 \"b\"", Some("invalid character '\"' after object key:value pair")),
            ("[1 2]", Some("invalid character '2' after array element")),
            ("[1,]", Some("invalid character ']' looking for beginning of value")),
            ("nul!", Some("invalid character '!' in literal null (expecting 'l')")),
            ("\"a\nb\"", Some("invalid character '\\n' in string literal")),
            ("\"\\x\"", Some("invalid character 'x' in string escape code")),
            ("1.", Some("unexpected end of JSON input")),
            ("{\"a\":[1,2.5e3,true,null,\"x\"]}", None),
        ] {
            assert_eq!(error(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
