//! HealRule: a rule that cannot be read, or cannot be meant, is refused where it is written (OT-36).

use super::Kind;
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use otternauts_rules::{MAX_REACH, Span, parse};
use otternauts_types::SYSTEM_NAMESPACE;
use otternauts_types::stack::MAX_PROBE_FAILURES;
use serde_json::Value;

pub(super) struct HealRule;

impl Kind for HealRule {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn strict_finalizers(&self) -> bool {
        false
    }

    /// What has not changed is not judged again, so a newer grammar never blocks metadata.
    fn validate(&self, object: &Object, old: Option<&Object>, subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        if subresource != Subresource::None {
            return errors;
        }
        let changed = |field: &str| {
            let new = object.at(&["spec", field]);
            let same = old.is_some_and(|old| old.at(&["spec", field]) == new);
            new.and_then(Value::as_str).filter(|_| !same)
        };
        let spec = Path::new("spec");
        if let Some(condition) = changed("condition")
            && let Err(detail) = fires(condition)
        {
            errors.push(FieldError::invalid(&spec.child("condition"), condition, detail));
        }
        if let Some(cooldown) = changed("cooldown")
            && Span::parse(cooldown).is_none()
        {
            let detail = "must be a time such as 30s, 5m or 1h30m";
            errors.push(FieldError::invalid(&spec.child("cooldown"), cooldown, detail));
        }
        if old.is_none_or(|old| old.at(&["spec"]) != object.at(&["spec"])) {
            action_and_target(&mut errors, object, &spec);
        }
        errors
    }
}

/// Whether a condition can be read, and can ever be true of anything.
fn fires(condition: &str) -> Result<(), String> {
    let expr = parse(condition).map_err(|e| e.to_string())?;
    if expr.reach() > MAX_REACH {
        return Err("looks back further than 24h, which is all that is remembered: it would never be true".to_owned());
    }
    if expr.asks_for_more_failures_than(f64::from(MAX_PROBE_FAILURES)) {
        return Err(format!("failed probes are counted up to {MAX_PROBE_FAILURES}: it would never be true"));
    }
    Ok(())
}

/// An action needs its parameters and a target that it can be done to.
fn action_and_target(errors: &mut ErrorList, object: &Object, spec: &Path) {
    let given = |path: &[&str]| object.at(path).filter(|v| !v.is_null());
    let action = given(&["spec", "action"]).and_then(Value::as_str).unwrap_or_default();
    for (needed, field) in [("scale", "scale"), ("webhook", "webhook")] {
        match (action == needed, given(&["spec", field])) {
            (true, None) => {
                errors.push(FieldError::required(&spec.child(field), format!("for action {needed}")));
            }
            (false, Some(_)) => {
                errors.push(FieldError::forbidden(&spec.child(field), format!("only for action {needed}")));
            }
            _ => {}
        }
    }
    if let Some(url) = given(&["spec", "webhook", "url"]).and_then(Value::as_str) {
        webhook_url(errors, url, &spec.child("webhook").child("url"));
    }
    let target = spec.child("target");
    let of_server = matches!(action, "drain" | "prune-images");
    if given(&["spec", "target", "server"]).is_none() {
        if of_server {
            errors.push(FieldError::required(&target.child("server"), format!("for action {action}")));
        }
        return;
    }
    if !of_server && !matches!(action, "alert" | "webhook") {
        errors.push(FieldError::forbidden(&target.child("server"), format!("action {action} is done to services")));
    }
    let condition = given(&["spec", "condition"]).and_then(Value::as_str).unwrap_or_default();
    if let Some(part) = parse(condition).ok().and_then(|expr| expr.of_services()) {
        let detail = format!("{part} is of services: of a Server it is never known");
        errors.push(FieldError::invalid(&spec.child("condition"), condition, detail));
    }
    if object.namespace() != SYSTEM_NAMESPACE {
        let detail = format!("Servers belong to everybody: only rules in namespace {SYSTEM_NAMESPACE} may name them");
        errors.push(FieldError::forbidden(&target.child("server"), detail));
    }
    for field in ["stack", "service", "container", "matchLabels"] {
        if given(&["spec", "target", field]).is_some_and(|v| v.as_object().is_none_or(|map| !map.is_empty())) {
            errors.push(FieldError::forbidden(&target.child(field), "may not be given together with server"));
        }
    }
}

/// A password would be read by everybody who may read the rule: the refusal does not repeat it either.
fn webhook_url(errors: &mut ErrorList, url: &str, path: &Path) {
    let Some((scheme @ ("https" | "http"), rest)) = url.split_once("://") else {
        return errors.push(FieldError::invalid(path, url, "must begin with https:// or http://"));
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if let Some((_, host)) = authority.rsplit_once('@') {
        let shown = format!("{scheme}://***@{host}");
        errors.push(FieldError::invalid(path, shown.as_str(), "must not carry a user or a password"));
    }
}
