//! Query parameters and DeleteOptions (sections 1.12, 1.14, 1.15; rows F2, F3, G4, G6, L5, L17, W17).

use crate::query::Query;
use otternauts_meta::field::{FieldError, Path};
use otternauts_meta::{ErrorList, FieldSelector, GroupVersionKind, LabelSelector, Status};
use otternauts_registry::{DeleteOptions, FieldValidation, ListOptions, WatchOptions, WriteOptions};
use serde_json::{Value, json};
use std::time::Duration;

/// Which options a request carries; names the kind in error texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Create,
    Update,
    Patch,
    /// A server-side apply: `force` is allowed and `fieldManager` required (rows A1, P11).
    Apply,
}

impl Write {
    fn kind(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch | Self::Apply => "PatchOptions",
        }
    }
}

fn invalid(kind: &str, errors: &ErrorList) -> Status {
    Status::invalid(&GroupVersionKind::new("meta.k8s.io", "v1", kind), "", errors)
}

fn refuse(kind: &str, errors: &ErrorList) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(invalid(kind, errors)) }
}

/// The options of a write.
pub fn write(query: &Query, which: Write) -> Result<WriteOptions, Status> {
    let mut errors = ErrorList::new();
    let field_manager = query.text("fieldManager");
    let force = query.flag("force");
    match which {
        Write::Apply if field_manager.is_empty() => {
            errors.push(FieldError::required(&Path::new("fieldManager"), "is required for apply patch"));
        }
        Write::Patch if force.is_some() => {
            errors.push(FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch"));
        }
        _ => {}
    }
    check_manager(field_manager, &mut errors);
    let values: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
    let dry_run = dry_run(&values, &mut errors);
    let field_validation = match query.text("fieldValidation") {
        "Ignore" => FieldValidation::Ignore,
        "" | "Warn" => FieldValidation::Warn,
        "Strict" => FieldValidation::Strict,
        other => {
            errors.push(FieldError::not_supported(
                &Path::new("fieldValidation"),
                other,
                &["", "Ignore", "Strict", "Warn"],
            ));
            FieldValidation::Warn
        }
    };
    refuse(which.kind(), &errors)?;
    Ok(WriteOptions { dry_run, field_manager: field_manager.to_owned(), field_validation, force })
}

fn check_manager(name: &str, errors: &mut ErrorList) {
    let path = Path::new("fieldManager");
    if name.len() > 128 {
        errors.push(FieldError::too_long(&path, 128));
    }
    if name.chars().any(char::is_control) {
        errors.push(FieldError::invalid(&path, name, "should only contain printable characters"));
    }
}

/// Row F2: `All` once or several times, nothing else.
fn dry_run(values: &[String], errors: &mut ErrorList) -> bool {
    if values.iter().any(|v| v != "All") {
        errors.push(FieldError::not_supported(&Path::new("dryRun"), json!(values), &["All"]));
    }
    !values.is_empty()
}

/// `strconv.ParseInt` of a parameter, row T5.
fn integer(query: &Query, key: &str) -> Result<Option<i64>, Status> {
    match query.text(key) {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
    }
}

fn labels(query: &Query) -> Result<LabelSelector, Status> {
    LabelSelector::parse(query.text("labelSelector")).map_err(|e| Status::bad_request(e.to_string()))
}

fn fields(query: &Query) -> Result<FieldSelector, Status> {
    FieldSelector::parse(query.text("fieldSelector")).map_err(|e| Status::bad_request(e.to_string()))
}

/// The options of a list, or of the selection of a deletecollection.
pub fn list(query: &Query) -> Result<ListOptions, Status> {
    let options = ListOptions {
        labels: labels(query)?,
        fields: fields(query)?,
        limit: integer(query, "limit")?.and_then(|n| usize::try_from(n).ok()).unwrap_or_default(),
        continue_token: query.text("continue").to_owned(),
        resource_version: query.text("resourceVersion").to_owned(),
        resource_version_match: query.text("resourceVersionMatch").to_owned(),
    };
    integer(query, "timeoutSeconds")?;
    refuse("ListOptions", &list_errors(&options, query.flag("sendInitialEvents")))?;
    Ok(options)
}

fn list_errors(options: &ListOptions, send_initial_events: Option<bool>) -> ErrorList {
    let path = Path::new("resourceVersionMatch");
    let (version, wanted) = (options.resource_version.as_str(), options.resource_version_match.as_str());
    let mut errors = ErrorList::new();
    if !wanted.is_empty() {
        if version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.push(FieldError::forbidden(&path, why));
        }
        if !options.continue_token.is_empty() {
            errors.push(FieldError::forbidden(&path, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(wanted, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(&path, wanted, &["Exact", "NotOlderThan", ""]));
        }
        if wanted == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(FieldError::forbidden(&path, why));
        }
    }
    if send_initial_events.is_some() {
        let why = "sendInitialEvents is forbidden for list";
        errors.push(FieldError::forbidden(&Path::new("sendInitialEvents"), why));
    }
    errors
}

/// The options of a watch, and how long it may last; `None`: the server's own choice (row W18).
pub fn watch(query: &Query) -> Result<(WatchOptions, Option<Duration>), Status> {
    let seconds = integer(query, "timeoutSeconds")?;
    integer(query, "limit")?;
    let options = WatchOptions {
        labels: labels(query)?,
        fields: fields(query)?,
        resource_version: query.text("resourceVersion").to_owned(),
        resource_version_match: query.text("resourceVersionMatch").to_owned(),
        allow_bookmarks: query.flag("allowWatchBookmarks").unwrap_or_default(),
        send_initial_events: query.flag("sendInitialEvents"),
    };
    refuse("ListOptions", &watch_errors(&options, query.text("continue")))?;
    let timeout = seconds.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0).map(Duration::from_secs);
    Ok((options, timeout))
}

fn watch_errors(options: &WatchOptions, token: &str) -> ErrorList {
    let path = Path::new("resourceVersionMatch");
    let wanted = options.resource_version_match.as_str();
    let mut errors = ErrorList::new();
    if options.send_initial_events.is_some() && wanted != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(&path, why));
    }
    if !wanted.is_empty() {
        if options.send_initial_events.is_none() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(&path, why));
        }
        if wanted != "NotOlderThan" {
            errors.push(FieldError::not_supported(&path, wanted, &["NotOlderThan"]));
        }
    }
    if !token.is_empty() {
        errors.push(FieldError::forbidden(&Path::new("continue"), "continue is forbidden for watch"));
    }
    errors
}

/// KEP-3926: the object cannot be read, and is to go nevertheless.
const IGNORE_READ_ERROR: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

/// DeleteOptions: from the body when there is one, only then else from the query (row G4).
pub fn delete(query: &Query, body: Option<&Value>) -> Result<DeleteOptions, Status> {
    match body {
        Some(body) => delete_from_body(body),
        None => checked(
            &query.all("dryRun").map(str::to_owned).collect::<Vec<_>>(),
            query.get("propagationPolicy").map(str::to_owned),
            query.flag("orphanDependents"),
            DeleteOptions {
                grace_period_seconds: integer(query, "gracePeriodSeconds")?,
                ignore_read_error: query.flag(IGNORE_READ_ERROR).unwrap_or_default(),
                ..DeleteOptions::default()
            },
        ),
    }
}

fn delete_from_body(body: &Value) -> Result<DeleteOptions, Status> {
    let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
    if !body.is_object() || !(kind.is_empty() || kind == "DeleteOptions") {
        let version =
            body.get("apiVersion").and_then(Value::as_str).filter(|v| !v.is_empty()).unwrap_or("meta.k8s.io/v1");
        return Err(Status::bad_request(format!("no kind {kind:?} is registered for version {version:?}")));
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let precondition = |key: &str| text(body.get("preconditions").and_then(|p| p.get(key)));
    let dry: Vec<String> = body
        .get("dryRun")
        .and_then(Value::as_array)
        .map(|list| list.iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect())
        .unwrap_or_default();
    let options = DeleteOptions {
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
        grace_period_seconds: body.get("gracePeriodSeconds").and_then(Value::as_i64),
        ignore_read_error: body.get(IGNORE_READ_ERROR).and_then(Value::as_bool).unwrap_or_default(),
        ..DeleteOptions::default()
    };
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    checked(&dry, text(body.get("propagationPolicy")), orphan, options)
}

/// Row G6: one of three policies, or the older flag, not both.
fn checked(
    dry: &[String],
    policy: Option<String>,
    orphan: Option<bool>,
    mut options: DeleteOptions,
) -> Result<DeleteOptions, Status> {
    let path = Path::new("propagationPolicy");
    let mut errors = ErrorList::new();
    if let Some(policy) = &policy {
        if orphan.is_some() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid(&path, policy.as_str(), why));
        } else if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
            let valid = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported(&path, policy.as_str(), &valid));
        }
    }
    options.dry_run = dry_run(dry, &mut errors);
    if options.ignore_read_error {
        let others = [
            (!dry.is_empty(), "dryRun"),
            (policy.is_some(), "propagationPolicy"),
            (orphan.is_some(), "orphanDependents"),
            (options.grace_period_seconds.is_some(), "gracePeriodSeconds"),
            (options.uid.is_some() || options.resource_version.is_some(), "preconditions"),
        ];
        for (_, other) in others.into_iter().filter(|(given, _)| *given) {
            let why = format!("cannot be set together with .{other}");
            errors.push(FieldError::invalid(&Path::new(IGNORE_READ_ERROR), true, why.as_str()));
        }
    }
    refuse("DeleteOptions", &errors)?;
    options.propagation_policy =
        policy.or_else(|| orphan.map(|orphan| if orphan { "Orphan" } else { "Background" }.to_owned()));
    Ok(options)
}

/// `?timeout=32s`, a Go duration (row T5). `None` when absent, zero or negative.
pub fn timeout(query: &Query) -> Result<Option<Duration>, Status> {
    let text = query.text("timeout");
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = go_duration(text).ok_or_else(|| {
        Status::bad_request(format!("invalid timeout specified in the request URL - time: invalid duration {text:?}"))
    })?;
    Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0))))
}

/// Seconds of a duration as Go writes it: `1h2m3.5s`, `300ms`, `0`.
fn go_duration(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |n| digits + n);
        total += number
            * match &rest[digits..unit_end] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    (!text.is_empty() && total.is_finite()).then_some(sign * total)
}

#[cfg(test)]
mod tests;
