//! The tables of the kinds that typed clients send (row N4). Numbers are those of Kubernetes' published protobuf descriptions.

use super::schema_props::CRD;
use super::table::{BYTES_MAP, Kind, TEXT_MAP, TEXTS, Table, field};

/// The table of a kind; options are the same in every group.
pub(super) fn find(api_version: &str, kind: &str) -> Option<&'static Table> {
    Some(match (api_version, kind) {
        (_, "DeleteOptions") => &DELETE_OPTIONS,
        ("v1", "Namespace") => &NAMESPACE,
        ("v1", "Secret") => &SECRET,
        ("v1", "ConfigMap") => &CONFIG_MAP,
        ("v1", "ServiceAccount") => &SERVICE_ACCOUNT,
        ("v1", "Event") => &EVENT,
        ("events.k8s.io/v1", "Event") => &NEW_EVENT,
        ("coordination.k8s.io/v1", "Lease") => &LEASE,
        ("rbac.authorization.k8s.io/v1", "Role") => &ROLE,
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => &CLUSTER_ROLE,
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => &BINDING,
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => &CRD,
        ("autoscaling/v1", "Scale") => &SCALE,
        ("authentication.k8s.io/v1", "TokenRequest") => &TOKEN_REQUEST,
        ("authentication.k8s.io/v1", "TokenReview") => &TOKEN_REVIEW,
        ("authentication.k8s.io/v1", "SelfSubjectReview") => &SELF_REVIEW,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => &SELF_ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SubjectAccessReview" | "LocalSubjectAccessReview") => &ACCESS_REVIEW,
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview") => &RULES_REVIEW,
        _ => return None,
    })
}

pub(super) static OBJECT_META: Table = Table(&[
    field(1, "name", Kind::Text),
    field(2, "generateName", Kind::Text),
    field(3, "namespace", Kind::Text),
    field(4, "selfLink", Kind::Text),
    field(5, "uid", Kind::Text),
    field(6, "resourceVersion", Kind::Text),
    field(7, "generation", Kind::Int),
    field(8, "creationTimestamp", Kind::Time),
    field(9, "deletionTimestamp", Kind::Time),
    field(10, "deletionGracePeriodSeconds", Kind::IntKept),
    field(11, "labels", TEXT_MAP),
    field(12, "annotations", TEXT_MAP),
    field(13, "ownerReferences", Kind::List(&Kind::Message(&OWNER))),
    field(14, "finalizers", TEXTS),
    field(17, "managedFields", Kind::List(&Kind::Message(&MANAGED))),
]);

static OWNER: Table = Table(&[
    field(1, "kind", Kind::TextKept),
    field(3, "name", Kind::TextKept),
    field(4, "uid", Kind::TextKept),
    field(5, "apiVersion", Kind::TextKept),
    field(6, "controller", Kind::BoolKept),
    field(7, "blockOwnerDeletion", Kind::BoolKept),
]);

static MANAGED: Table = Table(&[
    field(1, "manager", Kind::Text),
    field(2, "operation", Kind::Text),
    field(3, "apiVersion", Kind::Text),
    field(4, "time", Kind::Time),
    field(6, "fieldsType", Kind::Text),
    field(7, "fieldsV1", Kind::Json),
    field(8, "subresource", Kind::Text),
]);

static DELETE_OPTIONS: Table = Table(&[
    field(1, "gracePeriodSeconds", Kind::IntKept),
    field(2, "preconditions", Kind::Message(&PRECONDITIONS)),
    field(3, "orphanDependents", Kind::BoolKept),
    field(4, "propagationPolicy", Kind::TextKept),
    field(5, "dryRun", TEXTS),
    field(6, "ignoreStoreReadErrorWithClusterBreakingPotential", Kind::BoolKept),
]);

static PRECONDITIONS: Table = Table(&[field(1, "uid", Kind::TextKept), field(2, "resourceVersion", Kind::TextKept)]);

static LABEL_SELECTOR: Table =
    Table(&[field(1, "matchLabels", TEXT_MAP), field(2, "matchExpressions", Kind::List(&Kind::Message(&REQUIREMENT)))]);

static REQUIREMENT: Table =
    Table(&[field(1, "key", Kind::TextKept), field(2, "operator", Kind::TextKept), field(3, "values", TEXTS)]);

static NAMESPACE: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&NAMESPACE_SPEC)),
    field(3, "status", Kind::Message(&NAMESPACE_STATUS)),
]);

static NAMESPACE_SPEC: Table = Table(&[field(1, "finalizers", TEXTS)]);

static NAMESPACE_STATUS: Table =
    Table(&[field(1, "phase", Kind::Text), field(2, "conditions", Kind::List(&Kind::Message(&NAMESPACE_CONDITION)))]);

static NAMESPACE_CONDITION: Table = Table(&[
    field(1, "type", Kind::TextKept),
    field(2, "status", Kind::TextKept),
    field(4, "lastTransitionTime", Kind::Time),
    field(5, "reason", Kind::Text),
    field(6, "message", Kind::Text),
]);

static SECRET: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "data", BYTES_MAP),
    field(3, "type", Kind::Text),
    field(4, "stringData", TEXT_MAP),
    field(5, "immutable", Kind::BoolKept),
]);

static CONFIG_MAP: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "data", TEXT_MAP),
    field(3, "binaryData", BYTES_MAP),
    field(4, "immutable", Kind::BoolKept),
]);

static SERVICE_ACCOUNT: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "secrets", Kind::List(&Kind::Message(&REFERENCE))),
    field(3, "imagePullSecrets", Kind::List(&Kind::Message(&LOCAL_REFERENCE))),
    field(4, "automountServiceAccountToken", Kind::BoolKept),
]);

static REFERENCE: Table = Table(&[
    field(1, "kind", Kind::Text),
    field(2, "namespace", Kind::Text),
    field(3, "name", Kind::Text),
    field(4, "uid", Kind::Text),
    field(5, "apiVersion", Kind::Text),
    field(6, "resourceVersion", Kind::Text),
    field(7, "fieldPath", Kind::Text),
]);

static LOCAL_REFERENCE: Table = Table(&[field(1, "name", Kind::Text)]);

static EVENT: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "involvedObject", Kind::Message(&REFERENCE)),
    field(3, "reason", Kind::Text),
    field(4, "message", Kind::Text),
    field(5, "source", Kind::Message(&SOURCE)),
    field(6, "firstTimestamp", Kind::Time),
    field(7, "lastTimestamp", Kind::Time),
    field(8, "count", Kind::Int),
    field(9, "type", Kind::Text),
    field(10, "eventTime", Kind::MicroTime),
    field(11, "series", Kind::Message(&SERIES)),
    field(12, "action", Kind::Text),
    field(13, "related", Kind::Message(&REFERENCE)),
    field(14, "reportingComponent", Kind::TextKept),
    field(15, "reportingInstance", Kind::TextKept),
]);

static SOURCE: Table = Table(&[field(1, "component", Kind::Text), field(2, "host", Kind::Text)]);

static SERIES: Table = Table(&[field(1, "count", Kind::IntKept), field(2, "lastObservedTime", Kind::MicroTime)]);

static NEW_EVENT: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "eventTime", Kind::MicroTime),
    field(3, "series", Kind::Message(&SERIES)),
    field(4, "reportingController", Kind::Text),
    field(5, "reportingInstance", Kind::Text),
    field(6, "action", Kind::Text),
    field(7, "reason", Kind::Text),
    field(8, "regarding", Kind::Message(&REFERENCE)),
    field(9, "related", Kind::Message(&REFERENCE)),
    field(10, "note", Kind::Text),
    field(11, "type", Kind::Text),
    field(12, "deprecatedSource", Kind::Message(&SOURCE)),
    field(13, "deprecatedFirstTimestamp", Kind::Time),
    field(14, "deprecatedLastTimestamp", Kind::Time),
    field(15, "deprecatedCount", Kind::Int),
]);

static LEASE: Table =
    Table(&[field(1, "metadata", Kind::Message(&OBJECT_META)), field(2, "spec", Kind::Message(&LEASE_SPEC))]);

static LEASE_SPEC: Table = Table(&[
    field(1, "holderIdentity", Kind::TextKept),
    field(2, "leaseDurationSeconds", Kind::IntKept),
    field(3, "acquireTime", Kind::MicroTime),
    field(4, "renewTime", Kind::MicroTime),
    field(5, "leaseTransitions", Kind::IntKept),
    field(6, "strategy", Kind::TextKept),
    field(7, "preferredHolder", Kind::TextKept),
]);

static RULE: Table = Table(&[
    field(1, "verbs", TEXTS),
    field(2, "apiGroups", TEXTS),
    field(3, "resources", TEXTS),
    field(4, "resourceNames", TEXTS),
    field(5, "nonResourceURLs", TEXTS),
]);

static ROLE: Table =
    Table(&[field(1, "metadata", Kind::Message(&OBJECT_META)), field(2, "rules", Kind::List(&Kind::Message(&RULE)))]);

static CLUSTER_ROLE: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "rules", Kind::List(&Kind::Message(&RULE))),
    field(3, "aggregationRule", Kind::Message(&AGGREGATION)),
]);

static AGGREGATION: Table = Table(&[field(1, "clusterRoleSelectors", Kind::List(&Kind::Message(&LABEL_SELECTOR)))]);

static BINDING: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "subjects", Kind::List(&Kind::Message(&SUBJECT))),
    field(3, "roleRef", Kind::Message(&ROLE_REF)),
]);

static SUBJECT: Table = Table(&[
    field(1, "kind", Kind::TextKept),
    field(2, "apiGroup", Kind::Text),
    field(3, "name", Kind::TextKept),
    field(4, "namespace", Kind::Text),
]);

static ROLE_REF: Table =
    Table(&[field(1, "apiGroup", Kind::TextKept), field(2, "kind", Kind::TextKept), field(3, "name", Kind::TextKept)]);

static SCALE: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&SCALE_SPEC)),
    field(3, "status", Kind::Message(&SCALE_STATUS)),
]);

static SCALE_SPEC: Table = Table(&[field(1, "replicas", Kind::Int)]);

static SCALE_STATUS: Table = Table(&[field(1, "replicas", Kind::IntKept), field(2, "selector", Kind::Text)]);

static USER_INFO: Table = Table(&[
    field(1, "username", Kind::Text),
    field(2, "uid", Kind::Text),
    field(3, "groups", TEXTS),
    field(4, "extra", Kind::Map(&Kind::Texts)),
]);

static TOKEN_REQUEST: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&TOKEN_REQUEST_SPEC)),
    field(3, "status", Kind::Message(&TOKEN_REQUEST_STATUS)),
]);

static TOKEN_REQUEST_SPEC: Table = Table(&[
    field(1, "audiences", TEXTS),
    field(3, "boundObjectRef", Kind::Message(&BOUND)),
    field(4, "expirationSeconds", Kind::IntKept),
]);

static BOUND: Table = Table(&[
    field(1, "kind", Kind::Text),
    field(2, "apiVersion", Kind::Text),
    field(3, "name", Kind::Text),
    field(4, "uid", Kind::Text),
]);

static TOKEN_REQUEST_STATUS: Table =
    Table(&[field(1, "token", Kind::Text), field(2, "expirationTimestamp", Kind::Time)]);

static TOKEN_REVIEW: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&TOKEN_REVIEW_SPEC)),
    field(3, "status", Kind::Message(&TOKEN_REVIEW_STATUS)),
]);

static TOKEN_REVIEW_SPEC: Table = Table(&[field(1, "token", Kind::Text), field(2, "audiences", TEXTS)]);

static TOKEN_REVIEW_STATUS: Table = Table(&[
    field(1, "authenticated", Kind::Bool),
    field(2, "user", Kind::Message(&USER_INFO)),
    field(3, "error", Kind::Text),
    field(4, "audiences", TEXTS),
]);

static SELF_REVIEW: Table =
    Table(&[field(1, "metadata", Kind::Message(&OBJECT_META)), field(2, "status", Kind::Message(&SELF_REVIEW_STATUS))]);

static SELF_REVIEW_STATUS: Table = Table(&[field(1, "userInfo", Kind::Message(&USER_INFO))]);

static RESOURCE_ATTRIBUTES: Table = Table(&[
    field(1, "namespace", Kind::Text),
    field(2, "verb", Kind::Text),
    field(3, "group", Kind::Text),
    field(4, "version", Kind::Text),
    field(5, "resource", Kind::Text),
    field(6, "subresource", Kind::Text),
    field(7, "name", Kind::Text),
    field(8, "fieldSelector", Kind::Message(&SELECTOR_ATTRIBUTES)),
    field(9, "labelSelector", Kind::Message(&SELECTOR_ATTRIBUTES)),
]);

static SELECTOR_ATTRIBUTES: Table =
    Table(&[field(1, "rawSelector", Kind::Text), field(2, "requirements", Kind::List(&Kind::Message(&REQUIREMENT)))]);

static PATH_ATTRIBUTES: Table = Table(&[field(1, "path", Kind::Text), field(2, "verb", Kind::Text)]);

static SELF_ACCESS_REVIEW: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&SELF_ACCESS_SPEC)),
    field(3, "status", Kind::Message(&ACCESS_STATUS)),
]);

static SELF_ACCESS_SPEC: Table = Table(&[
    field(1, "resourceAttributes", Kind::Message(&RESOURCE_ATTRIBUTES)),
    field(2, "nonResourceAttributes", Kind::Message(&PATH_ATTRIBUTES)),
]);

static ACCESS_REVIEW: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&ACCESS_SPEC)),
    field(3, "status", Kind::Message(&ACCESS_STATUS)),
]);

static ACCESS_SPEC: Table = Table(&[
    field(1, "resourceAttributes", Kind::Message(&RESOURCE_ATTRIBUTES)),
    field(2, "nonResourceAttributes", Kind::Message(&PATH_ATTRIBUTES)),
    field(3, "user", Kind::Text),
    field(4, "groups", TEXTS),
    field(5, "extra", Kind::Map(&Kind::Texts)),
    field(6, "uid", Kind::Text),
]);

static ACCESS_STATUS: Table = Table(&[
    field(1, "allowed", Kind::BoolKept),
    field(2, "reason", Kind::Text),
    field(3, "evaluationError", Kind::Text),
    field(4, "denied", Kind::Bool),
]);

static RULES_REVIEW: Table =
    Table(&[field(1, "metadata", Kind::Message(&OBJECT_META)), field(2, "spec", Kind::Message(&RULES_SPEC))]);

static RULES_SPEC: Table = Table(&[field(1, "namespace", Kind::Text)]);
