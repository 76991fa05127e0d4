//! Desired and observed in, a plan out. Pure: no clock, no I/O.

use crate::observed::Observed;
use crate::plan::{Action, Plan};
use otternauts_compose::{InlineKind, Rendered};

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

/// What the stack declares external but cannot have: it is not there, or it belongs to another namespace of ours. Volumes
/// are not looked at: they live on single nodes.
pub fn unusable(rendered: &Rendered, observed: &Observed) -> Vec<String> {
    let wanted = rendered.external.iter().filter(|(section, _)| *section != "volumes");
    wanted
        .filter_map(|(section, name)| match observed.existing.get(&(*section, name.clone())) {
            None => Some(format!("{section}: external {name:?} does not exist on the swarm")),
            Some(Some(owner)) if *owner != rendered.namespace => {
                Some(format!("{section}: external {name:?} belongs to another namespace"))
            }
            Some(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
