//! Roles and bindings: nobody grants more than they hold (row I12).

use super::{Admission, Kind, text_at};
use crate::request::Subresource;
use otternauts_auth::rbac::rules_of;
use otternauts_auth::{Attributes, PolicyRule};
use otternauts_meta::names::NameRule;
use otternauts_meta::{ErrorList, FieldError, GroupResource, Object, Path, Status};
use serde_json::Value;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) struct Role;

impl Kind for Role {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, object: &Object, _old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let cluster = object.kind() == "ClusterRole";
        for (i, rule) in rules_of(object).iter().enumerate() {
            check_rule(rule, &Path::new("rules").index(i), cluster, &mut errors);
        }
        errors
    }

    fn admit(&self, object: &Object, old: Option<&Object>, ctx: &Admission<'_>) -> Result<(), Status> {
        let rules = rules_of(object);
        let same = old.is_some_and(|old| {
            rules_of(old) == rules && old.at(&["aggregationRule"]) == object.at(&["aggregationRule"])
        });
        if same || may(ctx, "escalate", &ctx.resource.resource, object.namespace(), object.name()) {
            return Ok(());
        }
        if object.at(&["aggregationRule"]).is_some()
            && old.is_none_or(|old| old.at(&["aggregationRule"]) != object.at(&["aggregationRule"]))
        {
            let all = vec!["*".to_owned()];
            let everything = [
                PolicyRule {
                    verbs: all.clone(),
                    api_groups: all.clone(),
                    resources: all.clone(),
                    ..PolicyRule::default()
                },
                PolicyRule { verbs: all.clone(), non_resource_urls: all, ..PolicyRule::default() },
            ];
            if ctx.roles.may_grant(ctx.user, object.namespace(), &everything).is_err() {
                let why = "must have cluster-admin privileges to use an aggregationRule";
                return Err(Status::forbidden(ctx.resource, object.name(), why));
            }
        }
        let granted = ctx.roles.may_grant(ctx.user, object.namespace(), &rules);
        granted.map_err(|why| Status::forbidden(ctx.resource, object.name(), &why))
    }
}

pub(super) struct Binding;

impl Kind for Binding {
    fn name_rule(&self) -> NameRule {
        NameRule::PathSegment
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn prepare_create(&self, object: &mut Object) {
        default_groups(object);
    }

    fn prepare_update(&self, object: &mut Object, _old: &Object, _subresource: Subresource) {
        default_groups(object);
    }

    fn validate(&self, object: &Object, old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let role = Path::new("roleRef");
        let kind = text_at(object, &["roleRef", "kind"]);
        let supported: &[&str] =
            if object.kind() == "ClusterRoleBinding" { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
        if text_at(object, &["roleRef", "apiGroup"]) != GROUP {
            let value = text_at(object, &["roleRef", "apiGroup"]);
            errors.push(FieldError::not_supported(&role.child("apiGroup"), value, &[GROUP]));
        }
        if !supported.contains(&kind.as_str()) {
            errors.push(FieldError::not_supported(&role.child("kind"), kind, supported));
        }
        if text_at(object, &["roleRef", "name"]).is_empty() {
            errors.push(FieldError::required(&role.child("name"), ""));
        }
        let everywhere = object.kind() == "ClusterRoleBinding";
        subjects(object, everywhere, &mut errors);
        if let Some(old) = old
            && old.at(&["roleRef"]) != object.at(&["roleRef"])
        {
            // Shown under the names of Kubernetes' internal type.
            let part = |key: &str| text_at(object, &["roleRef", key]);
            let value = serde_json::json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
            errors.push(FieldError::invalid(&role, value, "cannot change roleRef"));
        }
        errors
    }

    fn admit(&self, object: &Object, old: Option<&Object>, ctx: &Admission<'_>) -> Result<(), Status> {
        let same = old.is_some_and(|old| {
            old.at(&["roleRef"]) == object.at(&["roleRef"]) && old.at(&["subjects"]) == object.at(&["subjects"])
        });
        if same || ctx.user.groups.iter().any(|g| g == "system:masters") {
            return Ok(());
        }
        let name = text_at(object, &["roleRef", "name"]);
        let (resource, namespace) = match text_at(object, &["roleRef", "kind"]).as_str() {
            "Role" => ("roles", object.namespace()),
            _ => ("clusterroles", ""),
        };
        if may(ctx, "bind", resource, object.namespace(), &name) {
            return Ok(());
        }
        let Some(role) = ctx.facts.role(resource, namespace, &name) else {
            return Err(Status::not_found(&GroupResource::new(GROUP, resource), &name));
        };
        let granted = ctx.roles.may_grant(ctx.user, object.namespace(), &role);
        granted.map_err(|why| Status::forbidden(ctx.resource, object.name(), &why))
    }
}

fn may(ctx: &Admission<'_>, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let asked = Attributes {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    ctx.roles.authorize(ctx.user, &asked).is_allowed()
}

fn check_rule(rule: &PolicyRule, path: &Path, cluster: bool, errors: &mut ErrorList) {
    if rule.verbs.is_empty() {
        errors.push(FieldError::required(&path.child("verbs"), "verbs must contain at least one value"));
    }
    if !rule.non_resource_urls.is_empty() {
        let urls = path.child("nonResourceURLs");
        let shown = serde_json::to_value(&rule.non_resource_urls).unwrap_or_default();
        if !cluster {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&urls, shown.clone(), detail));
        }
        if !rule.api_groups.is_empty() || !rule.resources.is_empty() || !rule.resource_names.is_empty() {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&urls, shown, detail));
        }
        return;
    }
    if rule.api_groups.is_empty() {
        let detail = "resource rules must supply at least one api group";
        errors.push(FieldError::required(&path.child("apiGroups"), detail));
    }
    if rule.resources.is_empty() {
        let detail = "resource rules must supply at least one resource";
        errors.push(FieldError::required(&path.child("resources"), detail));
    }
}

fn default_groups(object: &mut Object) {
    if let Some(role) = object.0.get_mut("roleRef").and_then(Value::as_object_mut)
        && role.get("apiGroup").and_then(Value::as_str).is_none_or(str::is_empty)
    {
        role.insert("apiGroup".into(), GROUP.into());
    }
    for subject in object.0.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(subject) = subject.as_object_mut() else { continue };
        let named = matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group"));
        if named && subject.get("apiGroup").and_then(Value::as_str).is_none_or(str::is_empty) {
            subject.insert("apiGroup".into(), GROUP.into());
        }
    }
}

/// In a RoleBinding a ServiceAccount without a namespace is one of the binding's own.
fn subjects(object: &Object, everywhere: bool, errors: &mut ErrorList) {
    for (i, subject) in object.at(&["subjects"]).and_then(Value::as_array).into_iter().flatten().enumerate() {
        let path = Path::new("subjects").index(i);
        let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("name").is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        }
        match text("kind") {
            "ServiceAccount" if everywhere && text("namespace").is_empty() => {
                errors.push(FieldError::required(&path.child("namespace"), ""));
            }
            "ServiceAccount" | "User" | "Group" => {}
            other => {
                errors.push(FieldError::not_supported(
                    &path.child("kind"),
                    other,
                    &["ServiceAccount", "User", "Group"],
                ));
            }
        }
    }
}
