//! Answers on their way out: one body type for full and streamed answers, and the headers every answer carries.

use crate::accept::{Accepted, Format, content_type};
use crate::pieces::Pieces;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use otternauts_meta::Status;
use serde_json::Value;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a body ended early; the client sees a cut stream.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A response body: bytes known up front, or chunks that come as they are made.
pub enum Body {
    Full(Option<Bytes>),
    /// A list that [`Answer::settled`] makes into one of the others.
    List(Box<Pieces>),
    Stream(Chunks),
}

impl Body {
    pub fn empty() -> Self {
        Self::Full(None)
    }

    pub fn stream(chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static) -> Self {
        Self::Stream(Box::pin(chunks))
    }

    /// Tells how many bytes a stream had once it is over, however it ended. Bodies of known length are left as they are.
    #[must_use]
    pub fn counted(self, tell: impl FnOnce(u64) + Send + 'static) -> Self {
        let Self::Stream(chunks) = self else { return self };
        let mut count = Count { bytes: 0, tell: Some(Box::new(tell)) };
        Self::stream(chunks.inspect(move |chunk| count.add(chunk.as_ref().map_or(0, Bytes::len))))
    }
}

struct Count {
    bytes: u64,
    tell: Option<Box<dyn FnOnce(u64) + Send>>,
}

impl Count {
    fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.bytes);
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Full({} bytes)", bytes.as_ref().map_or(0, Bytes::len)),
            Self::List(list) => write!(f, "List({} items and more)", list.items.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::List(_) => Poll::Ready(Some(Err("a list was sent before it was settled".into()))),
            Self::Stream(chunks) => chunks.as_mut().poll_next(cx).map(|next| next.map(|c| c.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::List(_) | Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// How an answer decides about indentation (row T12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretty {
    /// If the client asked for it or is a person's tool.
    AsAsked,
    Always,
    Never,
}

/// An answer before the headers common to all are on it.
#[derive(Debug)]
pub struct Answer {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    pub pretty: Pretty,
    /// The reason of a Status, for the audit log.
    pub reason: &'static str,
}

impl Answer {
    fn new(code: u16, kind: &'static str, body: Body) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { code, headers, body, pretty: Pretty::AsAsked, reason: "" }
    }

    /// JSON bytes as they are.
    pub fn json(code: u16, bytes: impl Into<Bytes>) -> Self {
        Self::new(code, "application/json", Body::from(bytes.into()))
    }

    /// JSON bytes in the format asked for.
    pub fn negotiated(code: u16, accepted: Accepted, bytes: Bytes) -> Result<Self, Status> {
        let bytes = match accepted.format {
            Format::Json => bytes,
            Format::Yaml => to_yaml(&bytes)?.into(),
        };
        let mut answer = Self::new(code, content_type(accepted.format), Body::from(bytes));
        if accepted.pretty {
            answer.pretty = Pretty::Always;
        }
        Ok(answer)
    }

    /// As [`Answer::negotiated`], of a list that stays in pieces where nobody needs it as one.
    pub async fn pieces(code: u16, accepted: Accepted, pieces: Pieces) -> Result<Self, Status> {
        if accepted.format != Format::Json || accepted.pretty {
            return Self::negotiated(code, accepted, pieces.join().await?);
        }
        Ok(Self::new(code, content_type(accepted.format), Body::List(Box::new(pieces))))
    }

    /// Errors, too, come as YAML to who accepts nothing else.
    #[must_use]
    pub fn error_in(self, format: Format) -> Self {
        match (format, &self.body) {
            (Format::Yaml, Body::Full(Some(bytes))) if !self.reason.is_empty() => match to_yaml(bytes) {
                Ok(yaml) => Self { body: Body::from(Bytes::from(yaml)), pretty: Pretty::Never, ..self }
                    .with_header(header::CONTENT_TYPE, content_type(Format::Yaml)),
                Err(_) => self,
            },
            _ => self,
        }
    }

    /// A value in the format asked for.
    pub fn value(code: u16, accepted: Accepted, value: &Value) -> Result<Self, Status> {
        Self::negotiated(code, accepted, encode(value).into())
    }

    /// Plain text; never sniffed for HTML (row E16).
    pub fn text(code: u16, text: impl Into<Bytes>) -> Self {
        let mut answer = Self::new(code, "text/plain; charset=utf-8", Body::from(text.into()));
        answer.headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer.pretty = Pretty::Never;
        answer
    }

    /// Row D17: nothing is served at this path.
    pub fn page_not_found() -> Self {
        Self::text(404, "404 page not found\n")
    }

    pub fn empty(code: u16) -> Self {
        let mut answer = Self::new(code, "text/plain; charset=utf-8", Body::empty());
        answer.headers.remove(header::CONTENT_TYPE);
        answer.pretty = Pretty::Never;
        answer
    }

    /// JSON documents, one a line, as they come (row W1).
    pub fn stream(kind: &'static str, body: Body) -> Self {
        let mut answer = Self::new(200, kind, body);
        answer.pretty = Pretty::Never;
        answer
    }

    /// Makes a list into a body: as one where that is short or what indentation needs, else as a stream.
    pub async fn settled(mut self, how: &Finish) -> Self {
        let indented = self.is_indented(how);
        let Body::List(list) = self.body else { return self };
        if list.rest.is_none() || indented {
            return match Box::pin(list.join()).await {
                Ok(bytes) => Self { body: Body::from(bytes), ..self },
                Err(status) => status.into(),
            };
        }
        if how.gzip {
            compressed(&mut self.headers);
        }
        Self { body: list.stream(how.gzip), ..self }
    }

    fn is_indented(&self, how: &Finish) -> bool {
        let json =
            self.headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
        json && (self.pretty == Pretty::Always || (self.pretty == Pretty::AsAsked && how.pretty))
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// The one mapping from an error to HTTP (section 1.6).
impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        let retry = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
        let mut answer = Self::json(status.code, escape(status.to_json()));
        answer.reason = status.reason;
        if retry > 0 {
            answer.headers.insert(header::RETRY_AFTER, HeaderValue::from(retry));
        }
        if status.code == 406 {
            answer.pretty = Pretty::Always;
        }
        answer
    }
}

/// What of a request decides the last touches of its answer.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    pub audit_id: String,
    pub gzip: bool,
    pub pretty: bool,
    /// `Warning` headers, in order (row F6).
    pub warnings: Vec<String>,
}

/// Puts on what every answer carries: Audit-Id, Cache-Control, warnings, indentation, gzip (rows T8, T9, T12, F6). The
/// date comes from hyper, which writes it once a second.
pub fn finish(answer: Answer, how: &Finish) -> Response<Body> {
    let indented = answer.is_indented(how);
    let Answer { code, mut headers, mut body, pretty: _, reason: _ } = answer;
    if let Body::Full(Some(bytes)) = &mut body {
        if indented {
            *bytes = indent(bytes).into();
        }
        if how.gzip && bytes.len() > GZIP_FROM {
            *bytes = gzip(bytes);
            compressed(&mut headers);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&how.audit_id) {
        headers.insert(HeaderName::from_static("audit-id"), id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    for warning in crate::warnings::headers(&how.warnings) {
        headers.append(header::WARNING, warning);
    }
    let mut response = Response::new(body);
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    response
}

fn compressed(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Answers above this many bytes are worth compressing (row T8).
const GZIP_FROM: usize = 128 * 1024;

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::fast());
    // Writing into a vector does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().map_or_else(|_| Bytes::copy_from_slice(bytes), Bytes::from)
}

/// A value as JSON, safe inside HTML (row E16).
pub fn encode(value: &Value) -> Vec<u8> {
    escape(serde_json::to_vec(value).expect("a JSON value always encodes"))
}

/// Writes `&`, `<`, `>` and the two line separators of JavaScript as escapes; they occur inside strings only.
pub fn escape(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.iter().any(|b| matches!(b, b'<' | b'>' | b'&' | 0xE2)) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut rest = bytes.as_slice();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'<', _) => out.extend_from_slice(b"\\u003c"),
            (b'>', _) => out.extend_from_slice(b"\\u003e"),
            (b'&', _) => out.extend_from_slice(b"\\u0026"),
            (0xE2, [0x80, last @ (0xA8 | 0xA9), tail @ ..]) => {
                out.extend_from_slice(if *last == 0xA8 { b"\\u2028" } else { b"\\u2029" });
                rest = tail;
                continue;
            }
            _ => out.push(*first),
        }
        rest = after;
    }
    out
}

fn to_yaml(bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| Status::internal("the answer is no JSON"))?;
    crate::body::yaml::encode(value).map_err(|_| Status::internal("the answer cannot be written as YAML"))
}

/// Indents JSON by two spaces without reading the values.
pub fn indent(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + depth * 2, b' ');
    };
    for (i, &b) in bytes.iter().enumerate() {
        if in_string {
            out.push(b);
            in_string = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
            continue;
        }
        match b {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'{' | b'[' => {
                out.push(b);
                if bytes[i + 1..].iter().find(|c| !c.is_ascii_whitespace()).is_some_and(|c| !matches!(c, b'}' | b']')) {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(out.last(), Some(b'{' | b'[')) {
                    depth = depth.saturating_sub(1);
                    newline(&mut out, depth);
                }
                out.push(b);
            }
            b',' => {
                out.push(b);
                newline(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = b == b'"';
                out.push(b);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn indentation_equals_that_of_a_json_library() {
        let value = json!({"a":{},"b":[],"c":[1,{"d":"x: {\"y\", \\"}],"e":null,"f":{"g":{"h":true}}});
        let expected = serde_json::to_string_pretty(&value).expect("encodes");
        assert_eq!(String::from_utf8(indent(value.to_string().as_bytes())).expect("UTF-8"), expected);
        assert_eq!(indent(b"{\"a\":[{}]}"), b"{\n  \"a\": [\n    {}\n  ]\n}");
    }

    #[test]
    fn what_html_would_read_is_escaped() {
        assert_eq!(encode(&json!({"a":"<b> & c"})), br#"{"a":"\u003cb\u003e \u0026 c"}"#);
        assert_eq!(escape("\"\u{2028}é\"".as_bytes().to_vec()), "\"\\u2028é\"".as_bytes());
    }

    #[test]
    fn an_error_carries_its_code_and_when_to_come_again() {
        let answer = Answer::from(Status::too_many_requests("later", 7));
        assert_eq!(answer.code, 429);
        assert_eq!(answer.headers[header::RETRY_AFTER], "7");
    }

    #[test]
    fn every_answer_has_an_audit_id_and_a_cache_rule() {
        let how = Finish { audit_id: "id-1".into(), pretty: true, warnings: vec!["w".into()], ..Finish::default() };
        let response = finish(Answer::json(200, "{\"a\":1}"), &how);
        assert_eq!(response.headers()["audit-id"], "id-1");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache, private");
        assert_eq!(response.headers()[header::WARNING], "299 - \"w\"");
        assert!(matches!(response.body(), Body::Full(Some(b)) if b.as_ref() == b"{\n  \"a\": 1\n}"));
    }

    #[test]
    fn big_answers_are_compressed_when_asked() {
        let how = Finish { gzip: true, ..Finish::default() };
        let response = finish(Answer::json(200, vec![b'1'; GZIP_FROM + 1]), &how);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(matches!(response.body(), Body::Full(Some(b)) if b.starts_with(&[0x1f, 0x8b])));
        let small = finish(Answer::json(200, "1"), &how);
        assert!(!small.headers().contains_key(header::CONTENT_ENCODING));
    }
}
