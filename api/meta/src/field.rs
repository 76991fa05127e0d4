//! Field errors with Kubernetes' own texts (row E9).

use serde_json::Value;
use std::fmt;

/// A path into an object, printed as Kubernetes does: `spec.ports[0].name`, `metadata.labels[a/b]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}.{name}", self.0)) }
    }

    #[must_use]
    pub fn index(&self, i: usize) -> Self {
        Self(format!("{}[{i}]", self.0))
    }

    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// This path put below `prefix`.
    #[must_use]
    pub fn under(&self, prefix: &Self) -> Self {
        match (prefix.0.is_empty(), self.0.is_empty()) {
            (true, _) => self.clone(),
            (_, true) => prefix.clone(),
            _ if self.0.starts_with('[') => Self(format!("{}{}", prefix.0, self.0)),
            _ => Self(format!("{}.{}", prefix.0, self.0)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// What is wrong with a field; each has a cause reason and a leading text of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldErrorKind {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    /// The valid values, in the order they are printed.
    NotSupported(Vec<String>),
    Forbidden,
    /// Longer than allowed; the text shows the limit, never the value.
    TooLong,
    TooMany,
    TypeInvalid,
    Internal,
}

impl FieldErrorKind {
    /// The `reason` of a Status cause.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported(_) => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    pub kind: FieldErrorKind,
    pub path: Path,
    /// The value as printed: strings quoted, objects and lists as compact JSON; `None` where the text shows none.
    pub value: Option<Value>,
    pub detail: String,
}

pub type ErrorList = Vec<FieldError>;

impl FieldError {
    pub fn new(kind: FieldErrorKind, path: &Path, value: Option<Value>, detail: impl Into<String>) -> Self {
        Self { kind, path: path.clone(), value, detail: detail.into() }
    }

    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, path, Some(value.into()), detail)
    }

    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::TypeInvalid, path, Some(value.into()), detail)
    }

    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, path, None, detail)
    }

    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, path, None, detail)
    }

    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::Duplicate, path, Some(value.into()), "")
    }

    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::NotFound, path, Some(value.into()), "")
    }

    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> Self {
        let values = supported.iter().map(|s| (*s).to_owned()).collect();
        Self::new(FieldErrorKind::NotSupported(values), path, Some(value.into()), "")
    }

    pub fn too_long(path: &Path, max_bytes: usize) -> Self {
        let unit = if max_bytes == 1 { "byte" } else { "bytes" };
        Self::new(FieldErrorKind::TooLong, path, None, format!("may not be more than {max_bytes} {unit}"))
    }

    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::new(FieldErrorKind::TooMany, path, Some(actual.into()), format!("must have at most {max} {unit}"))
    }

    /// The text without the leading path: what a Status cause carries as its message.
    pub fn body(&self) -> String {
        let head = match &self.kind {
            FieldErrorKind::NotFound => "Not found",
            FieldErrorKind::Required => "Required value",
            FieldErrorKind::Duplicate => "Duplicate value",
            FieldErrorKind::Invalid | FieldErrorKind::TypeInvalid => "Invalid value",
            FieldErrorKind::NotSupported(_) => "Unsupported value",
            FieldErrorKind::Forbidden => "Forbidden",
            FieldErrorKind::TooLong => "Too long",
            FieldErrorKind::TooMany => "Too many",
            FieldErrorKind::Internal => "Internal error",
        };
        let mut text = head.to_owned();
        if let Some(value) = &self.value {
            text.push_str(": ");
            text.push_str(&printed(value));
        }
        if let FieldErrorKind::NotSupported(values) = &self.kind
            && !values.is_empty()
        {
            let list: Vec<String> = values.iter().map(|v| quoted(v)).collect();
            text.push_str(": supported values: ");
            text.push_str(&list.join(", "));
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::String(s) => quoted(s),
        other => crate::json::to_string(other),
    }
}

/// Puts a text in double quotes the way Kubernetes' messages do: printable characters stay, the rest is escaped.
pub fn quoted(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => _ = write!(out, "\\x{:02x}", c as u32),
            c if c.is_control() => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_read_as_kubernetes_prints_them() {
        let p = Path::new("spec").child("a").index(1).key("k");
        let check = |e: FieldError, text: &str| assert_eq!(e.to_string(), text);
        check(FieldError::invalid(&p, 99, "too big"), "spec.a[1][k]: Invalid value: 99: too big");
        check(FieldError::invalid(&p, "a\"b\u{1}", "bad"), r#"spec.a[1][k]: Invalid value: "a\"b\x01": bad"#);
        check(FieldError::invalid(&Path::root(), Value::Null, "x"), "<nil>: Invalid value: null: x");
        check(
            FieldError::duplicate(&p, json!({"b":1,"a":"<"})),
            r#"spec.a[1][k]: Duplicate value: {"b":1,"a":"\u003c"}"#,
        );
        check(FieldError::required(&p, ""), "spec.a[1][k]: Required value");
        check(FieldError::too_long(&p, 1), "spec.a[1][k]: Too long: may not be more than 1 byte");
        check(FieldError::too_many(&p, 2, 1), "spec.a[1][k]: Too many: 2: must have at most 1 item");
        check(
            FieldError::not_supported(&p, "x", &["gold", "silver"]),
            r#"spec.a[1][k]: Unsupported value: "x": supported values: "gold", "silver""#,
        );
    }

    #[test]
    fn a_relative_path_goes_below_its_prefix() {
        let prefix = Path::new("spec");
        assert_eq!(Path::new("a").under(&prefix).as_str(), "spec.a");
        assert_eq!(Path::root().index(0).under(&prefix).as_str(), "spec[0]");
        assert_eq!(Path::root().under(&prefix), prefix);
    }
}
