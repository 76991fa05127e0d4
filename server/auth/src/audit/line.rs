//! An event as it is written: fields in the order of Kubernetes, empty ones left out.

use super::{Event, Stage};
use crate::{Attributes, User};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    kind: &'static str,
    api_version: &'static str,
    level: &'static str,
    #[serde(rename = "auditID")]
    audit_id: &'a str,
    stage: &'static str,
    #[serde(rename = "requestURI")]
    request_uri: &'a str,
    verb: &'a str,
    user: Person<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impersonated_user: Option<Person<'a>>,
    #[serde(rename = "sourceIPs", skip_serializing_if = "Option::is_none")]
    source_ips: Option<[IpAddr; 1]>,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_ref: Option<Reference<'a>>,
    response_status: ResponseStatus<'a>,
    request_received_timestamp: String,
    stage_timestamp: String,
    #[serde(serialize_with = "as_map", skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Person<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subresource: &'a str,
}

#[derive(Serialize)]
struct ResponseStatus<'a> {
    metadata: Nothing,
    code: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// `{}`.
#[derive(Serialize)]
struct Nothing {}

impl Event<'_> {
    /// One JSON object, and the end of its line.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut annotations = self.annotations.to_vec();
        if !self.decision.is_empty() {
            annotations.push(("authorization.k8s.io/decision", self.decision));
            annotations.push(("authorization.k8s.io/reason", self.decision_reason));
        }
        let line = Line {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level: "Metadata",
            audit_id: self.audit_id,
            stage: match self.stage {
                Stage::ResponseStarted => "ResponseStarted",
                Stage::ResponseComplete => "ResponseComplete",
                Stage::Panic => "Panic",
            },
            request_uri: self.request_uri,
            verb: &self.attributes.verb,
            user: Person::from(self.user),
            impersonated_user: self.impersonated.map(Person::from),
            source_ips: self.source.map(|source| [source]),
            user_agent: self.user_agent,
            object_ref: (!self.attributes.resource.is_empty()).then(|| Reference::from(self.attributes)),
            response_status: ResponseStatus {
                metadata: Nothing {},
                code: self.code,
                status: if self.reason.is_empty() { "" } else { "Failure" },
                reason: self.reason,
            },
            request_received_timestamp: self.received.micro_time(),
            stage_timestamp: self.now.micro_time(),
            annotations,
        };
        let mut bytes = serde_json::to_vec(&line).expect("strings and numbers only");
        bytes.push(b'\n');
        bytes
    }
}

impl<'a> From<&'a User> for Person<'a> {
    fn from(user: &'a User) -> Self {
        Self { username: &user.name, uid: &user.uid, groups: &user.groups, extra: &user.extra }
    }
}

impl<'a> From<&'a Attributes> for Reference<'a> {
    fn from(attributes: &'a Attributes) -> Self {
        Self {
            resource: &attributes.resource,
            namespace: &attributes.namespace,
            name: &attributes.name,
            api_group: &attributes.group,
            api_version: &attributes.version,
            subresource: &attributes.subresource,
        }
    }
}

fn as_map<S: Serializer>(pairs: &[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}
