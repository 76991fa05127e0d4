//! What a CRD must say (rows X2, X7, X19).

use super::{objects, requested_names, spec_of, strings, text, versions};
use otternauts_meta::{ErrorList, FieldError, Object, Path, names};
use serde_json::{Map, Value};
use std::collections::HashSet;

type Doc = Map<String, Value>;

/// Everything that is wrong with a CRD, after [`super::default_names`]. `status.storedVersions` is looked at when it is there.
pub fn validate(crd: &Object) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = spec_of(crd);
    let wanted = format!("{}.{}", requested_names(crd).plural, text(&spec, "group"));
    if crd.name() != wanted {
        errors.push(FieldError::invalid(
            &Path::new("metadata.name"),
            crd.name(),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    check_group(crd, text(&spec, "group"), &mut errors);
    check_scope(text(&spec, "scope"), &mut errors);
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        let why =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid(&Path::new("spec.preserveUnknownFields"), true, why));
    }
    check_versions(&spec, &mut errors);
    check_names(crd, &mut errors);
    check_conversion(&spec, &mut errors);
    check_stored(crd, &spec, &mut errors);
    errors
}

fn check_group(crd: &Object, group: &str, errors: &mut ErrorList) {
    let path = Path::new("spec.group");
    if group.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let complaints = names::dns1123_subdomain(group);
    if !complaints.is_empty() {
        errors.push(FieldError::invalid(&path, group, complaints.join(",")));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(&path, group, "should be a domain with at least one dot"));
    }
    let protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|d| group.strip_suffix(d).is_some_and(|r| r.is_empty() || r.ends_with('.')));
    if protected {
        check_approval(crd, errors);
    }
}

fn check_approval(crd: &Object, errors: &mut ErrorList) {
    const NAME: &str = "api-approved.kubernetes.io";
    const WHERE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    let path = Path::new("metadata.annotations").key(NAME);
    let head = format!("protected groups must have approval annotation \"{NAME}\"");
    match crd.annotation(NAME).unwrap_or_default() {
        "" => errors.push(FieldError::required(&path, format!("{head}, {WHERE}"))),
        said if said.starts_with("unapproved") => {}
        said => {
            let url = said.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
            if !url {
                let why = format!("{head} with either a URL or a reason starting with \"unapproved\", {WHERE}");
                errors.push(FieldError::invalid(&path, said, why));
            }
        }
    }
}

fn check_scope(scope: &str, errors: &mut ErrorList) {
    let path = Path::new("spec.scope");
    match scope {
        "" => errors.push(FieldError::required(&path, "")),
        "Cluster" | "Namespaced" => {}
        other => errors.push(FieldError::not_supported(&path, other, &["Cluster", "Namespaced"])),
    }
}

fn check_versions(spec: &Doc, errors: &mut ErrorList) {
    let path = Path::new("spec.versions");
    let all = || spec.get("versions").cloned().unwrap_or_default();
    let list: Vec<&Doc> = objects(spec, "versions").collect();
    let mut seen = HashSet::new();
    let mut twice = false;
    for (i, version) in list.iter().enumerate() {
        let here = path.index(i);
        let name = text(version, "name");
        twice |= !seen.insert(name);
        let complaints = names::dns1035_label(name);
        if !complaints.is_empty() {
            errors.push(FieldError::invalid(&here.child("name"), name, complaints.join(",")));
        }
        let warning = text(version, "deprecationWarning");
        let at = here.child("deprecationWarning");
        if version.contains_key("deprecationWarning") && !super::flag(version, "deprecated") {
            errors.push(FieldError::invalid(&at, warning, "can only be set for deprecated versions"));
        }
        if warning.len() > 256 {
            errors.push(FieldError::invalid(&at, warning, "must be <= 256 characters long"));
        }
    }
    if twice {
        errors.push(FieldError::invalid(&path, all(), "must contain unique version names"));
    }
    if list.iter().filter(|v| super::flag(v, "storage")).count() != 1 {
        errors.push(FieldError::invalid(&path, all(), "must have exactly one version marked as storage version"));
    }
    versions::check(&list, errors);
}

fn check_names(crd: &Object, errors: &mut ErrorList) {
    let path = Path::new("spec.names");
    let names = requested_names(crd);
    let mut label = |path: &Path, name: &str, mixed: bool, required: bool| {
        if name.is_empty() && required {
            errors.push(FieldError::required(path, ""));
            return;
        }
        let complaints = if mixed { names::dns1035_label(&name.to_lowercase()) } else { names::dns1035_label(name) };
        if !complaints.is_empty() {
            let head = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(FieldError::invalid(path, name, format!("{head}{}", complaints.join(","))));
        }
    };
    label(&path.child("plural"), &names.plural, false, true);
    label(&path.child("singular"), &names.singular, false, true);
    label(&path.child("kind"), &names.kind, true, true);
    label(&path.child("listKind"), &names.list_kind, true, true);
    for (i, name) in names.short_names.iter().enumerate() {
        label(&path.child("shortNames").index(i), name, false, false);
    }
    for (i, name) in names.categories.iter().enumerate() {
        label(&path.child("categories").index(i), name, false, false);
    }
    if !names.kind.is_empty() && names.kind == names.list_kind {
        errors.push(FieldError::invalid(
            &path.child("listKind"),
            names.list_kind,
            "kind and listKind may not be the same",
        ));
    }
}

fn check_conversion(spec: &Doc, errors: &mut ErrorList) {
    let empty = Map::new();
    let conversion = spec.get("conversion").and_then(Value::as_object).unwrap_or(&empty);
    let path = Path::new("spec.conversion");
    match text(conversion, "strategy") {
        "" => errors.push(FieldError::required(&path.child("strategy"), "")),
        "None" => {}
        "Webhook" => {
            let webhook = conversion.get("webhook").and_then(Value::as_object).unwrap_or(&empty);
            if webhook.get("clientConfig").is_none_or(Value::is_null) {
                let why = "required when strategy is set to Webhook";
                errors.push(FieldError::required(&path.child("webhookClientConfig"), why));
            }
            if strings(webhook, "conversionReviewVersions").is_empty() {
                errors.push(FieldError::required(&path.child("conversionReviewVersions"), ""));
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("strategy"), other, &["None", "Webhook"])),
    }
}

fn check_stored(crd: &Object, spec: &Doc, errors: &mut ErrorList) {
    let Some(stored) = crd.at(&["status", "storedVersions"]).and_then(Value::as_array) else { return };
    let path = Path::new("status.storedVersions");
    let names: Vec<&str> = objects(spec, "versions").map(|v| text(v, "name")).collect();
    for (i, name) in stored.iter().filter_map(Value::as_str).enumerate() {
        if !names.contains(&name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
                 storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            errors.push(FieldError::invalid(&path.index(i), name, why));
        }
    }
}
