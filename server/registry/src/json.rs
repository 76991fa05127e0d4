//! JSON as Kubernetes writes it: `& < >` escaped (row E16), floats in Go's shortest form (row N16).

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Appends a value. `serde_json::Value` and strings cannot fail to serialise.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = Serializer::with_formatter(out, GoJson);
    value.serialize(&mut serializer).expect("values hold only what JSON can say, and a Vec takes every byte");
}

struct GoJson;

impl Formatter for GoJson {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let mut from = 0;
        let mut at = 0;
        while at < bytes.len() {
            let (escape, len): (&[u8], usize) = match bytes[at] {
                b'<' => (b"\\u003c", 1),
                b'>' => (b"\\u003e", 1),
                b'&' => (b"\\u0026", 1),
                0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
                0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
                _ => {
                    at += 1;
                    continue;
                }
            };
            writer.write_all(&bytes[from..at])?;
            writer.write_all(escape)?;
            at += len;
            from = at;
        }
        writer.write_all(&bytes[from..])
    }

    /// Integers beyond int64 become floats, as in every Kubernetes decoder.
    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        match i64::try_from(value) {
            Ok(small) => write!(writer, "{small}"),
            #[allow(clippy::cast_precision_loss)]
            Err(_) => self.write_f64(writer, value as f64),
        }
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            return write!(writer, "{mantissa}e{sign}{exponent}");
        }
        write!(writer, "{value}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn check(input: &str, expected: &str) {
        let value: Value = serde_json::from_str(input).expect("valid JSON");
        let mut out = Vec::new();
        super::write(&mut out, &value);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{input}");
    }

    #[test]
    fn texts_are_safe_in_html_and_numbers_look_like_go_wrote_them() {
        check(r#"{"a":"<b> & c"}"#, r#"{"a":"\u003cb\u003e \u0026 c"}"#);
        check("\"x\u{2028}y\u{2029}\u{2027}\"", "\"x\\u2028y\\u2029\u{2027}\"");
        check(r#""tab\t quote\" nul\u0000 ü""#, r#""tab\t quote\" nul\u0000 ü""#);
        check(
            "[1.0, 1e2, 0.5, -0.25, 1e21, 1.5e-7, 9007199254740993]",
            "[1,100,0.5,-0.25,1e+21,1.5e-7,9007199254740993]",
        );
        check("18446744073709551615", "18446744073709552000");
    }
}
