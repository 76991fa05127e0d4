//! What people and programs read. The first half is pure; the writes touch our own fields only (`Cluster.status.ingress`,
//! `Stack.status.domains`, the condition `DomainsReady`), by server-side apply beside the other writers.

use crate::context::key;
use crate::error::{Error, Result};
use crate::observed::{Claim, Observed};
use crate::proxy::Desired;
use crate::routes::{StackKey, Table};
use crate::verdict::{Verdict, reason, time};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use otternauts_types::cluster::IngressStatus;
use otternauts_types::stack::{CertificateState, DomainStatus};
use otternauts_types::{Cluster, Condition, ConditionStatus, Stack, set_condition};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MANAGER: &str = "otternauts-ingress";
/// The condition of a Stack.
pub const DOMAINS_READY: &str = "DomainsReady";
/// OT-F8, before the cause.
pub const DEPLOY_FAILED: &str = "Ingress deployment failed.";
/// Its reason.
pub const INGRESS_DEPLOY_FAILED: &str = "IngressDeployFailed";
/// OT-F18: the proxy that ran has ended.
const INGRESS_DOWN: &str = "IngressDown";

pub const PENDING: &str = "pending";
pub const DEPLOYED: &str = "deployed";
pub const FAILED: &str = "failed";

/// How the ingress stands. `refused`: why it could not be deployed or configured.
pub fn ingress(desired: &Desired, observed: &Observed, server: Option<&str>, refused: Option<&str>) -> IngressStatus {
    let proxy = observed.proxy.as_ref();
    let current = proxy.is_some_and(|p| p.spec_sha256.as_deref() == Some(&desired.spec_sha256()));
    let cause = refused.map(str::to_owned).or_else(|| proxy.filter(|_| current)?.error.clone());
    let (phase, why) = match (&cause, proxy) {
        (Some(_), _) => (FAILED, Some(INGRESS_DEPLOY_FAILED)),
        (None, Some(p)) if current && p.running_on.is_some() && !p.updating => (DEPLOYED, None),
        _ => (PENDING, Some("Deploying")),
    };
    IngressStatus {
        phase: phase.to_owned(),
        provider: Some(desired.provider),
        version: Some(desired.version.clone()),
        server: server.map(str::to_owned),
        reason: why.map(str::to_owned),
        last_error: cause.map(|cause| format!("{DEPLOY_FAILED} {}", cause.trim())),
    }
}

/// What deserves an Event of a Cluster's ingress. OT-F18: an outage is told also when it was over before anybody looked: by the
/// server on which the proxy runs now, or as `restarted` (another task runs than the one that ran when we last looked).
pub fn changes(old: &IngressStatus, new: &IngressStatus, restarted: bool) -> Vec<(bool, &'static str, String)> {
    let mut out = Vec::new();
    if let Some(error) = new.last_error.as_ref().filter(|e| old.last_error.as_ref() != Some(e)) {
        out.push((true, INGRESS_DEPLOY_FAILED, error.clone()));
    }
    let on = |s: &IngressStatus| s.server.clone().unwrap_or_default();
    let same = old.version == new.version && old.provider == new.provider;
    let ran = old.phase == DEPLOYED && same;
    let moved = old.server.is_some() && new.server.is_some() && old.server != new.server;
    let again = new.phase == DEPLOYED && (moved || restarted);
    // One that runs has a server also when it refuses its configuration.
    if ran && (new.phase == PENDING || (new.phase == FAILED && new.server.is_none())) {
        out.push((true, INGRESS_DOWN, format!("the proxy on {} has ended; the swarm starts it again", on(old))));
    }
    if ran && again {
        let text = format!("the proxy on {} has ended; the swarm has started it again on {}", on(old), on(new));
        out.push((true, INGRESS_DOWN, text));
    }
    if again || (new.phase == DEPLOYED && old.phase != DEPLOYED) {
        let text = format!("version {} runs on {}", new.version.clone().unwrap_or_default(), on(new));
        out.push((false, "IngressDeployed", text));
    }
    out
}

/// A Stack's domains as they stand, and its condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Domains {
    pub list: Vec<DomainStatus>,
    pub condition: Option<Condition>,
}

/// The domains of every Stack that claims some.
pub fn domains(claims: &[Claim], table: &Table, verdicts: &BTreeMap<String, Verdict>) -> BTreeMap<StackKey, Domains> {
    let mut all: BTreeMap<StackKey, Domains> = BTreeMap::new();
    for claim in claims {
        let stack = (claim.namespace.clone(), claim.stack.clone());
        for route in &claim.routes {
            let entry = all.entry(stack.clone()).or_default();
            let path = (route.path != "/").then(|| route.path.clone());
            let base = DomainStatus { host: route.host.clone(), path, ..DomainStatus::default() };
            let owner = table.owner(&route.host, &route.path);
            let status = match owner {
                Some(owner) if *owner != stack => {
                    let path = base.path.as_deref().unwrap_or_default();
                    let text = format!("Domain {}{path} belongs to Stack {}/{}", route.host, owner.0, owner.1);
                    let (reason, message) = (Some(reason::CONFLICT.to_owned()), Some(text));
                    DomainStatus { certificate: CertificateState::None, reason, message, ..base }
                }
                _ => match verdicts.get(&route.host) {
                    Some(verdict) => of_verdict(base, verdict),
                    None => base,
                },
            };
            entry.list.push(status);
        }
    }
    for domains in all.values_mut() {
        domains.condition = Some(condition(&domains.list, verdicts));
    }
    all
}

fn of_verdict(base: DomainStatus, verdict: &Verdict) -> DomainStatus {
    DomainStatus {
        certificate: verdict.certificate,
        not_after: verdict.not_after.map(time),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message.clone(),
        retry_at: verdict.retry_at.map(time),
        ..base
    }
}

fn condition(list: &[DomainStatus], verdicts: &BTreeMap<String, Verdict>) -> Condition {
    let wrong = list.iter().find(|d| d.message.is_some());
    let waiting = list.iter().find(|d| d.certificate == CertificateState::Pending);
    let (status, reason, message) = match (wrong, waiting) {
        (Some(d), _) => {
            let detail = verdicts.get(&d.host).map(|v| v.detail.as_str()).filter(|t| !t.is_empty());
            let sentence = d.message.clone().unwrap_or_default();
            let conflict = d.certificate == CertificateState::None;
            let text = match detail.filter(|_| !conflict) {
                Some(detail) => format!("{sentence} ({}: {detail})", d.host),
                None => sentence,
            };
            (ConditionStatus::False, d.reason.clone().unwrap_or_default(), text)
        }
        (None, Some(d)) => {
            let text = format!("a certificate for {} is on its way", d.host);
            (ConditionStatus::False, "CertificatePending".to_owned(), text)
        }
        (None, None) => (ConditionStatus::True, "CertificatesIssued".to_owned(), String::new()),
    };
    Condition {
        r#type: DOMAINS_READY.to_owned(),
        status,
        reason,
        message,
        last_transition_time: None,
        observed_generation: None,
    }
}

/// What is to be written for a Stack; `None`: nothing differs. `now` is RFC 3339.
pub fn next(stack: &Stack, wanted: &Domains, now: &str) -> Option<Domains> {
    let old = stack.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.clone();
    let mut changed = old.domains != wanted.list;
    let mut condition = None;
    if let Some(wanted) = &wanted.condition {
        let known = conditions.iter().find(|c| c.r#type == DOMAINS_READY);
        // That the spec moved on is no news about domains.
        let generation = known.map_or(stack.metadata.generation, |c| c.observed_generation);
        let wanted = Condition { observed_generation: generation, ..wanted.clone() };
        changed |= set_condition(&mut conditions, wanted, now);
        condition = conditions.into_iter().find(|c| c.r#type == DOMAINS_READY);
    } else {
        changed |= conditions.iter().any(|c| c.r#type == DOMAINS_READY);
    }
    changed.then(|| Domains { list: wanted.list.clone(), condition })
}

/// What deserves an Event: each domain whose standing changed.
pub fn news(
    old: &[DomainStatus],
    new: &[DomainStatus],
    detail: impl Fn(&str) -> String,
) -> Vec<(bool, String, String)> {
    let mut out = Vec::new();
    for domain in new {
        let before = old.iter().find(|d| d.host == domain.host && d.path == domain.path);
        if let Some(message) = &domain.message {
            if before.and_then(|b| b.message.as_ref()) != Some(message) {
                let reason = domain.reason.clone().unwrap_or_default();
                out.push((true, reason, format!("{message}{}", detail(&domain.host))));
            }
        } else if domain.certificate == CertificateState::Issued
            && before.is_none_or(|b| b.certificate != CertificateState::Issued)
        {
            let until = domain.not_after.as_deref().unwrap_or_default();
            out.push((
                false,
                "CertificateIssued".to_owned(),
                format!("{} has a certificate until {until}", domain.host),
            ));
        }
    }
    out
}

/// Answers whether it was written: the Stack may have changed since it was read, our own last words may be that change, and what was
/// told then is not told again.
pub async fn write_stack(client: &Client, stack: &Stack, domains: &Domains) -> Result<bool> {
    let (namespace, name) = key(stack);
    let conditions: Vec<&Condition> = domains.condition.iter().collect();
    let patch = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack",
        // The uid: nothing is said of a Stack of the same name that came later.
        "metadata": {"name": name, "uid": stack.metadata.uid, "resourceVersion": stack.metadata.resource_version},
        "status": {"domains": domains.list, "conditions": conditions},
    });
    let api: Api<Stack> = Api::namespaced(client.clone(), &namespace);
    let params = PatchParams::apply(MANAGER).force();
    written(api.patch_status(&name, &params, &Patch::Apply(patch)).await, "write a Stack's status")
}

/// The same for a Cluster. `None`: no ingress is there or wanted.
pub async fn write_cluster(client: &Client, cluster: &Cluster, new: Option<&IngressStatus>) -> Result<bool> {
    let api: Api<Cluster> = Api::all(client.clone());
    let old = cluster.status.as_ref().and_then(|s| s.ingress.as_ref());
    let patch = json!({
        "metadata": {"resourceVersion": cluster.metadata.resource_version},
        "status": {"ingress": replacing(&json!(old), json!(new))},
    });
    written(
        api.patch_status(&cluster.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await,
        "write a Cluster's status",
    )
}

/// False where the object has changed since it was read.
fn written<T>(answer: kube::Result<T>, doing: &'static str) -> Result<bool> {
    match answer {
        Err(kube::Error::Api(refused)) if refused.code == 409 => Ok(false),
        answer => answer.map(|_| true).map_err(Error::api(doing)),
    }
}

/// A merge patch that makes `old` to `new`: what is gone is said to be.
fn replacing(old: &Value, mut new: Value) -> Value {
    if let (Value::Object(old), Value::Object(new)) = (old, &mut new) {
        for gone in old.keys() {
            new.entry(gone.clone()).or_insert(Value::Null);
        }
    }
    new
}

#[cfg(test)]
mod tests;
