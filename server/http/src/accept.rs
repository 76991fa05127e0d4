//! The `Accept` header (section 1.5 of the conformance rows): which format, and which shape, an answer gets.

use otternauts_meta::Status;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

/// What is written: the object as it is, or a shape derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Object,
    /// `as=Table`, with the version asked for: `v1` or `v1beta1`.
    Table(&'static str),
    Partial(&'static str),
    PartialList(&'static str),
}

/// The outcome of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub format: Format,
    pub shape: Shape,
    /// `application/json;pretty=1` (row N18).
    pub pretty: bool,
}

impl Accepted {
    /// Plain JSON, what clients that send no `Accept` get (row N1).
    pub const JSON: Self = Self { format: Format::Json, shape: Shape::Object, pretty: false };
}

/// One clause of the header, its parameters kept as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause<'a> {
    pub kind: &'a str,
    pub subtype: &'a str,
    pub q: f32,
    pub params: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    pub fn param(&self, name: &str) -> &'a str {
        self.params.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map_or("", |(_, v)| *v)
    }

    fn matches(&self, kind: &str, subtype: &str) -> bool {
        (self.kind == "*" || self.kind.eq_ignore_ascii_case(kind))
            && (self.subtype == "*" || self.subtype.eq_ignore_ascii_case(subtype))
    }

    pub fn is_json(&self) -> bool {
        self.matches("application", "json")
    }

    fn wildcards(&self) -> usize {
        usize::from(self.kind == "*") * 2 + usize::from(self.subtype == "*")
    }
}

/// The clauses, best first: by q, then those without wildcards, then as they came (row N2).
pub fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut list: Vec<Clause<'_>> = header.split(',').filter_map(clause).collect();
    list.sort_by(|a, b| b.q.total_cmp(&a.q).then(a.wildcards().cmp(&b.wildcards())));
    list
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = match parts.next()? {
        "*" => ("*", "*"),
        media => media.split_once('/')?,
    };
    let mut q = 1.0;
    let mut params = Vec::new();
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim_matches('"');
        if key == "q" {
            q = value.parse().unwrap_or(1.0);
        } else {
            params.push((key, value));
        }
    }
    (!kind.is_empty() && !subtype.is_empty()).then_some(Clause { kind, subtype, q, params })
}

/// What the endpoint can do besides writing the object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Tables and partial metadata.
    pub shapes: bool,
    pub yaml: bool,
}

impl Offer {
    /// get, list, create, update, patch, delete.
    pub const OBJECT: Self = Self { shapes: true, yaml: true };
    /// Watches are JSON only (row N8).
    pub const WATCH: Self = Self { shapes: true, yaml: false };
    /// Reviews, discovery and the like.
    pub const PLAIN: Self = Self { shapes: false, yaml: true };
}

/// The first clause that can be served. `None`: nothing acceptable, see [`refusal`].
pub fn negotiate(header: Option<&str>, offer: Offer) -> Option<Accepted> {
    let Some(header) = header.map(str::trim).filter(|h| !h.is_empty()) else { return Some(Accepted::JSON) };
    clauses(header).iter().find_map(|clause| serve(clause, offer))
}

fn serve(clause: &Clause<'_>, offer: Offer) -> Option<Accepted> {
    let format = if clause.is_json() {
        Format::Json
    } else if offer.yaml && clause.matches("application", "yaml") {
        Format::Yaml
    } else {
        return None;
    };
    let pretty = matches!(clause.param("pretty"), "1" | "true");
    let shape = match clause.param("as") {
        "" => Shape::Object,
        _ if !offer.shapes || clause.param("g") != "meta.k8s.io" => return None,
        kind => {
            let version = match clause.param("v") {
                "v1" => "v1",
                "v1beta1" => "v1beta1",
                _ => return None,
            };
            match kind {
                "Table" => Shape::Table(version),
                "PartialObjectMetadata" => Shape::Partial(version),
                "PartialObjectMetadataList" => Shape::PartialList(version),
                _ => return None,
            }
        }
    };
    Some(Accepted { format, shape, pretty })
}

/// The 406 of row N3.
pub fn refusal(builtin: bool) -> Status {
    const TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
    if builtin {
        Status::not_acceptable(format!("406: Not Acceptable\n\nAvailable representations: {TYPES}"))
            .with_details(otternauts_meta::Details::default())
    } else {
        Status::not_acceptable(format!("only the following media types are accepted: {TYPES}"))
    }
}

/// The 406 of a watch.
pub fn watch_refusal() -> Status {
    const TYPES: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    Status::not_acceptable(format!("only the following media types are accepted: {TYPES}"))
}

/// The media type of an answer.
pub fn content_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Yaml => "application/yaml",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<(Format, Shape)>) {
        let found = negotiate(Some(header), Offer::OBJECT).map(|a| (a.format, a.shape));
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn nothing_and_anything_mean_json() {
        assert_eq!(negotiate(None, Offer::OBJECT), Some(Accepted::JSON));
        check("", Some((Format::Json, Shape::Object)));
        check("*/*", Some((Format::Json, Shape::Object)));
        check("application/*", Some((Format::Json, Shape::Object)));
    }

    #[test]
    fn clauses_go_by_q_then_wildcards_last_then_order() {
        check("application/yaml;q=0.5,application/json", Some((Format::Json, Shape::Object)));
        check("*/*,application/yaml", Some((Format::Yaml, Shape::Object)));
        check("application/yaml,application/json", Some((Format::Yaml, Shape::Object)));
    }

    #[test]
    fn protobuf_falls_through_to_json_when_json_is_offered() {
        check("application/vnd.kubernetes.protobuf,application/json", Some((Format::Json, Shape::Object)));
        check("application/vnd.kubernetes.protobuf, */*", Some((Format::Json, Shape::Object)));
        check("application/vnd.kubernetes.protobuf", None);
        check("text/html", None);
    }

    #[test]
    fn shapes_are_found_whatever_the_order_of_parameters() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        check(kubectl, Some((Format::Json, Shape::Table("v1"))));
        check("application/json;g=meta.k8s.io;v=v1beta1;as=Table", Some((Format::Json, Shape::Table("v1beta1"))));
        check(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some((Format::Json, Shape::PartialList("v1"))),
        );
        check("application/json;as=Nonsense;g=meta.k8s.io;v=v1,application/yaml", Some((Format::Yaml, Shape::Object)));
        check("application/json;as=Table;g=meta.k8s.io;v=v2", None);
    }

    #[test]
    fn a_watch_has_no_yaml() {
        assert_eq!(negotiate(Some("application/yaml"), Offer::WATCH), None);
    }
}
