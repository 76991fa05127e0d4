//! Query strings and percent encoding.

/// The parameters of a query, decoded, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=x%20y&c`; what cannot be decoded is taken as it is.
    pub fn parse(text: &str) -> Self {
        let pairs = text
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                (decode(key, true), decode(value, true))
            })
            .collect();
        Self(pairs)
    }

    /// The first value of a parameter; `None` when it is absent.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The first value, or the empty string.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or_default()
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// A flag as Kubernetes reads it (row T3): present means yes, but for `0` and `false`.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(|v| !(v == "0" || v.eq_ignore_ascii_case("false")))
    }
}

/// Undoes percent encoding; `plus` also turns `+` into a space, as forms do. Bytes that are no UTF-8 become U+FFFD.
pub fn decode(text: &str, plus: bool) -> String {
    let encoded = text.contains('%') || (plus && text.contains('+'));
    if !encoded {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        match hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(if plus && bytes[i] == b'+' { b' ' } else { bytes[i] });
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_flags_follow_row_t3() {
        let q = Query::parse("a=x%20y&b=1+2&watch&c=%zz&a=second&off=False&zero=0");
        assert_eq!(q.get("a"), Some("x y"));
        assert_eq!(q.all("a").collect::<Vec<_>>(), ["x y", "second"]);
        assert_eq!(q.text("b"), "1 2");
        assert_eq!(q.text("c"), "%zz");
        assert_eq!(q.flag("watch"), Some(true));
        assert_eq!(q.flag("off"), Some(false));
        assert_eq!(q.flag("zero"), Some(false));
        assert_eq!(q.flag("absent"), None);
    }
}
