//! Desired and observed in, a plan out. Pure: no clock, no I/O.

use crate::observed::Observed;
use crate::plan::{Action, Plan};
use otternauts_compose::{InlineKind, Level, Rendered};

/// What brings the Swarm from `observed` to `rendered`. Services whose hash is the same are left alone.
pub fn plan(rendered: &Rendered, observed: &Observed) -> Plan {
    let mut actions = Vec::new();
    for file in &rendered.inline {
        let secret = file.kind == InlineKind::Secret;
        if !observed.files.iter().any(|f| f.secret == secret && f.name == file.name) {
            actions.push(Action::CreateFile { secret, name: file.name.clone() });
        }
    }
    let changed = rendered.services.iter().filter(|wanted| {
        observed.service(&wanted.name).is_none_or(|s| s.spec_sha256.as_deref() != Some(wanted.spec_sha256.as_str()))
    });
    let changed: Vec<String> = changed.map(|s| s.name.clone()).collect();
    if !changed.is_empty() {
        let network = ("networks", otternauts_compose::INGRESS_NETWORK.to_owned());
        if rendered.on_ingress && !observed.existing.contains_key(&network) {
            actions.push(Action::CreateIngressNetwork);
        }
        actions.push(Action::DeployServices(changed));
    }
    for service in &observed.services {
        if !rendered.services.iter().any(|s| s.name == service.name) {
            actions.push(Action::RemoveService { id: service.id.clone(), name: service.name.clone() });
        }
    }
    // Content that is not used any more is no work of its own: it goes after a rollout that ended well.
    if !actions.iter().any(|a| matches!(a, Action::DeployServices(_) | Action::RemoveService { .. })) {
        return Plan(Vec::new());
    }
    Plan(actions)
}

/// Configs and secrets of earlier revisions, once the new one runs.
pub fn garbage(rendered: &Rendered, observed: &Observed) -> Plan {
    let unused = observed.files.iter().filter(|f| {
        let used = |i: &otternauts_compose::Inline| (i.kind == InlineKind::Secret) == f.secret && i.name == f.name;
        !rendered.inline.iter().any(used)
    });
    Plan(unused.map(|f| Action::RemoveFile { secret: f.secret, id: f.id.clone(), name: f.name.clone() }).collect())
}

/// What the stack declares external but cannot have: it is not there, or it belongs to another stack of ours, which only a
/// privileged namespace may reach. Volumes are not looked at: they live on single nodes, and the names we give them are
/// refused by the compose policy.
pub fn unusable(rendered: &Rendered, observed: &Observed, level: Level) -> Vec<String> {
    let wanted = rendered.external.iter().filter(|(section, _)| *section != "volumes");
    wanted
        .filter_map(|(section, name)| match observed.existing.get(&(*section, name.clone())) {
            None => Some(format!("{section}: external {name:?} does not exist on the swarm")),
            Some(_) if level == Level::Privileged => None,
            Some(Some(owner)) if owner.namespace != rendered.namespace => {
                Some(format!("{section}: external {name:?} belongs to another namespace"))
            }
            Some(Some(owner)) if owner.stack != rendered.stack => {
                Some(format!("{section}: external {name:?} belongs to stack {:?}", owner.stack))
            }
            Some(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
