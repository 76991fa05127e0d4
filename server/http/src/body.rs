//! Request bodies: read within bounds, told apart by media type, decoded to JSON (rows T6, T7, N4, N6 to N8, E1).

pub mod json;
pub mod yaml;

use crate::answer::BodyError;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited};
use otternauts_meta::{Object, Status};
use otternauts_registry as registry;
use serde_json::Value;

/// A body of any origin, not read yet.
pub type Incoming = UnsyncBoxBody<Bytes, Cut>;

/// The body ended before its end.
#[derive(Debug)]
pub struct Cut(pub BodyError);

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request body was cut off")
    }
}

impl std::error::Error for Cut {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// The most bytes of any body (row T7).
pub const LIMIT: usize = 3_145_728;

/// What is still read, and thrown away, of a body that is too large: many clients see the refusal only when they have sent
/// what they began to send.
const DRAIN: usize = 16 << 20;

/// Reads a whole body.
pub async fn read(mut body: Incoming) -> Result<Bytes, Status> {
    let whole = Limited::new(&mut body, LIMIT).collect().await;
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(e) if e.is::<http_body_util::LengthLimitError>() => {
            drain(body).await;
            Err(Status::too_large(format!("Request entity too large: limit is {LIMIT}")))
        }
        Err(_) => Err(Status::bad_request("unable to read the request body")),
    }
}

async fn drain(mut body: Incoming) {
    let mut left = DRAIN;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Yaml,
    Protobuf,
}

/// Reads a `Content-Type`; none means JSON (row T6). `None`: something else.
pub fn encoding(content_type: Option<&str>) -> Option<Encoding> {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "" | "application/json" | "*/*" => Some(Encoding::Json),
        "application/yaml" => Some(Encoding::Yaml),
        "application/vnd.kubernetes.protobuf" => Some(Encoding::Protobuf),
        _ => None,
    }
}

/// The 415 of rows N6 and E15.
pub fn unsupported(protobuf: bool) -> Status {
    let more = if protobuf { ", application/vnd.kubernetes.protobuf" } else { "" };
    Status::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml{more}"
    ))
}

/// Decodes an object for a kind. `protobuf` says whether the kind may come in that form.
pub fn object(bytes: &Bytes, content_type: Option<&str>, kind: &str, protobuf: bool) -> Result<registry::Body, Status> {
    let encoding = encoding(content_type).ok_or_else(|| unsupported(protobuf))?;
    let (value, duplicates) = match encoding {
        Encoding::Protobuf if !protobuf => return Err(unsupported(false)),
        Encoding::Protobuf => (from_protobuf(bytes)?, Vec::new()),
        Encoding::Json => {
            let decoded = json::decode(bytes).map_err(|error| unreadable(bytes, kind, &json_error(bytes, &error)))?;
            (decoded.value, decoded.duplicates)
        }
        Encoding::Yaml => {
            let decoded = yaml::decode(bytes).map_err(|error| unreadable(bytes, kind, &error))?;
            let worded = |line: String| format!("yaml: unmarshal errors:\n  {line}");
            (decoded.value, decoded.duplicates.into_iter().map(worded).collect())
        }
    };
    // A bare `null` is an object that says nothing.
    let value = if value.is_null() { Value::Object(serde_json::Map::new()) } else { value };
    let object = Object::from_value(value).map_err(|other| {
        let found = match other {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            _ => "bool",
        };
        let why = format!("couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}");
        unreadable(bytes, kind, &why)
    })?;
    Ok(registry::Body { object, duplicates })
}

/// A custom object must say its kind (row C6); the text shows the body, so it is checked here.
pub fn require_kind(body: &registry::Body, bytes: &[u8], kind: &str) -> Result<(), Status> {
    if body.object.kind().is_empty() {
        let all = String::from_utf8_lossy(bytes);
        return Err(unreadable(bytes, kind, &format!("Object 'Kind' is missing in '{all}'")));
    }
    Ok(())
}

/// A body that is no object of a kind but options or a review: decoded, nothing said of duplicates. `None` when empty.
pub fn options(bytes: &Bytes, content_type: Option<&str>, kind: &str) -> Result<Option<Value>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let body = object(bytes, content_type, kind, true).map_err(|mut status| {
        // Upstream quotes the body only where a kind was wanted.
        let bare =
            status.message.strip_prefix(&format!("the object provided is unrecognized (must be of type {kind}): "));
        let bare = bare.and_then(|m| m.strip_suffix(&format!(" ({})", summary(bytes)))).map(str::to_owned);
        status.message = bare.unwrap_or(status.message);
        status
    })?;
    Ok(Some(body.object.into_value()))
}

fn from_protobuf(bytes: &[u8]) -> Result<Value, Status> {
    otternauts_schema::protobuf::decode(bytes).map_err(|error| Status::bad_request(error.to_string()))
}

fn json_error(bytes: &[u8], error: &serde_json::Error) -> String {
    let why = otternauts_meta::json::syntax::error(bytes).unwrap_or_else(|| {
        let text = error.to_string();
        if text.contains("recursion limit") { "exceeded max depth".to_owned() } else { text }
    });
    format!("couldn't get version/kind; json parse error: {why}")
}

/// The 400 of row E1: what was wrong, and the beginning of the body.
fn unreadable(bytes: &[u8], kind: &str, why: &str) -> Status {
    let kind = if kind.is_empty() { String::new() } else { format!(" (must be of type {kind})") };
    Status::bad_request(format!("the object provided is unrecognized{kind}: {why} ({})", summary(bytes)))
}

/// The first 30 bytes: as text when it looks like JSON, else in hex.
fn summary(bytes: &[u8]) -> String {
    const MOST: usize = 30;
    let head = &bytes[..bytes.len().min(MOST)];
    let more = if bytes.len() > MOST { " ..." } else { "" };
    match bytes.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => format!("{}{more}", head.iter().map(|b| format!("{b:02x}")).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &'static [u8], media: Option<&str>, protobuf: bool, expected: &str) {
        let status = object(&Bytes::from_static(body), media, "Stack", protobuf).expect_err("refused");
        assert_eq!(format!("{} {}", status.code, status.message), expected);
    }

    #[test]
    fn no_media_type_means_json() {
        let body = object(&Bytes::from_static(br#"{"kind":"Stack"}"#), None, "Stack", false).expect("valid");
        assert_eq!(body.object.kind(), "Stack");
        assert_eq!(encoding(Some("application/json; charset=utf-8")), Some(Encoding::Json));
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_kubernetes_words() {
        refused(
            b"{bad",
            None,
            false,
            "400 the object provided is unrecognized (must be of type Stack): couldn't get version/kind; json parse error: \
             invalid character 'b' looking for beginning of object key string ({bad)",
        );
        let types = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml";
        refused(b"{}", Some("text/plain"), false, &format!("415 {types}"));
        refused(b"k8s\0", Some("application/vnd.kubernetes.protobuf"), false, &format!("415 {types}"));
        refused(b"{}", Some("application/cbor"), true, &format!("415 {types}, application/vnd.kubernetes.protobuf"));
    }

    #[test]
    fn a_missing_kind_shows_the_body() {
        let bytes = br#"{"metadata":{"name":"x"}}"#;
        let body = object(&Bytes::from_static(bytes), None, "Stack", false).expect("valid");
        let status = require_kind(&body, bytes, "Stack").expect_err("refused");
        assert_eq!(
            status.message,
            "the object provided is unrecognized (must be of type Stack): Object 'Kind' is missing in \
             '{\"metadata\":{\"name\":\"x\"}}' ({\"metadata\":{\"name\":\"x\"}})"
        );
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let body = http_body_util::Full::new(Bytes::from(vec![b'x'; LIMIT + 1]))
            .map_err(|e: std::convert::Infallible| match e {})
            .boxed_unsync();
        let status = read(body).await.expect_err("too large");
        assert_eq!((status.code, status.message.as_str()), (413, "Request entity too large: limit is 3145728"));
    }
}
