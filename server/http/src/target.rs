//! From a route to the kind it is about (rows D17, T4, S9), and the texts that speak of it.

use crate::answer::Answer;
use crate::routes::{ResourceRoute, Route};
use otternauts_meta::{Details, GroupResource, Status};
use otternauts_registry::{Definitions, Subresource, Target};

/// A resource this server serves.
#[derive(Clone, Debug)]
pub enum Served {
    /// A kind of the registry.
    Kind(Target),
    /// `stacks/NAME/log`.
    Log(Target),
    /// `serviceaccounts/NAME/token`.
    Token(Target),
    /// A review: created, answered, never stored.
    Review(&'static str),
}

/// Kinds of `authentication.k8s.io/v1` and `authorization.k8s.io/v1`: group, plural, kind, namespaced.
pub const REVIEWS: [(&str, &str, &str, bool); 6] = [
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
    ("authentication.k8s.io", "tokenreviews", "TokenReview", false),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
];

/// Finds what a route is about, or the answer that says it is not there.
pub fn find(definitions: &Definitions, route: &Route, resource: &ResourceRoute) -> Result<Served, Box<Answer>> {
    if let Some(review) = find_review(resource) {
        return review;
    }
    let Some(definition) = definitions.find(&resource.group, &resource.version, &resource.resource) else {
        let builtin = definitions.in_group(&resource.group).next().is_some_and(|d| d.is_builtin());
        return Err(Box::new(if builtin { Status::no_such_resource().into() } else { Answer::page_not_found() }));
    };
    let missing = || -> Box<Answer> {
        Box::new(if definition.is_builtin() { Status::no_such_resource().into() } else { Answer::page_not_found() })
    };
    let namespaced = definition.is_namespaced();
    let itself = resource.group.is_empty() && resource.resource == "namespaces";
    if resource.rest || (!namespaced && !resource.namespace.is_empty() && !itself) {
        return Err(missing());
    }
    if namespaced && resource.namespace.is_empty() && !matches!(route.verb.as_str(), "list" | "watch") {
        let collection = !resource.named && definition.is_builtin();
        return Err(if collection { Box::new(Status::method_not_allowed().into()) } else { missing() });
    }
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    let mut target = Target {
        definition: definition.clone(),
        version: resource.version.clone(),
        namespace: if namespaced { text(&resource.namespace) } else { None },
        name: if resource.named { text(&resource.name) } else { None },
        subresource: Subresource::None,
    };
    let version = definition.version(&resource.version);
    match resource.subresource.as_str() {
        "" => {}
        "status" if version.is_some_and(|v| v.has_status) => target.subresource = Subresource::Status,
        "scale" if version.is_some_and(|v| v.scale.is_some()) => target.subresource = Subresource::Scale,
        "finalize" if itself => target.subresource = Subresource::Finalize,
        "token" if resource.group.is_empty() && resource.resource == "serviceaccounts" => {
            return Ok(Served::Token(target));
        }
        "log" if has_log(&resource.group, &resource.resource) => return Ok(Served::Log(target)),
        _ if definition.is_builtin() => return Err(missing()),
        _ => return Err(Box::new(Status::not_found(&definition.group_resource(), &resource.name).into())),
    }
    Ok(Served::Kind(target))
}

/// Which kinds have the `log` subresource (design section 9).
pub fn has_log(group: &str, plural: &str) -> bool {
    group == "otternauts.dev" && plural == "stacks"
}

fn find_review(resource: &ResourceRoute) -> Option<Result<Served, Box<Answer>>> {
    if !REVIEWS.iter().any(|(group, ..)| *group == resource.group) {
        return None;
    }
    let found = REVIEWS.iter().find(|(group, plural, _, namespaced)| {
        *group == resource.group
            && *plural == resource.resource
            && resource.version == "v1"
            && *namespaced != resource.namespace.is_empty()
    });
    Some(match found {
        Some((_, _, kind, _)) if resource.subresource.is_empty() => Ok(Served::Review(kind)),
        _ => Err(Box::new(Status::no_such_resource().into())),
    })
}

/// The 405 of a kind (row E5): built-in kinds and custom ones word it differently.
pub fn method_not_allowed(target: &Target, verb: &str) -> Status {
    if target.definition.is_builtin() {
        return Status::method_not_allowed();
    }
    let GroupResource { group, resource } = target.definition.group_resource();
    let kind = target.definition.group_resource().to_string();
    Status::new(405, "MethodNotAllowed", format!("{verb} is not supported on resources of kind {kind:?}"))
        .with_details(Details { group, kind: resource, ..Details::default() })
}
