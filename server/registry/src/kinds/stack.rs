//! Stack: its compose file is judged before it is stored (design section 10, "Refusals").

use super::{Admission, Kind};
use crate::request::Subresource;
use otternauts_compose::{Level, Policy};
use otternauts_meta::{FieldError, Object, Path, Status};
use serde_json::Value;

pub(super) struct Stack;

impl Kind for Stack {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn strict_finalizers(&self) -> bool {
        false
    }

    /// Syntax, policy and an empty file are refused; what depends on a variable is for the controller. A file that has not
    /// changed is not judged again, so a stricter policy never blocks metadata or finalizers.
    fn admit(&self, object: &Object, old: Option<&Object>, ctx: &Admission<'_>) -> Result<(), Status> {
        let path = ["spec", "compose", "inline"];
        let Some(Value::String(compose)) = object.at(&path) else { return Ok(()) };
        let unchanged = old.is_some_and(|old| old.at(&path) == object.at(&path));
        if ctx.subresource != Subresource::None || object.is_terminating() || unchanged {
            return Ok(());
        }
        let label = ctx.facts.namespace(object.namespace()).and_then(|n| n.policy);
        let level = Level::from_label(label.as_deref()).unwrap_or(Level::Restricted);
        match otternauts_compose::admit(compose, &policy(object, level, ctx)) {
            Ok(warnings) => {
                for warning in warnings {
                    (ctx.warn)(format!("spec.compose.inline: {warning}"));
                }
                Ok(())
            }
            Err(findings) => {
                let field = Path::new("spec.compose.inline");
                let errors = findings
                    .iter()
                    .map(|f| {
                        FieldError::invalid(
                            &field,
                            Value::from(shown(compose, f.line)),
                            format!("Configuration error: {f}"),
                        )
                    })
                    .collect();
                let gvk = otternauts_meta::GroupVersionKind::new(&ctx.resource.group, "v1", "Stack");
                Err(Status::invalid(&gvk, object.name(), &errors))
            }
        }
    }
}

/// The line at fault, shortened: the whole file would drown the message.
fn shown(compose: &str, line: usize) -> String {
    compose.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim().chars().take(80).collect()
}

/// The namespace's level plus what the stack's Cluster allows.
fn policy(stack: &Object, level: Level, ctx: &Admission<'_>) -> Policy {
    let name = stack.at(&["spec", "clusterRef", "name"]).and_then(Value::as_str).unwrap_or("default");
    let mut policy = Policy::of(level);
    if let Some(cluster) = ctx.facts.cluster(name) {
        policy.host_ports = cluster.host_ports;
        policy.bind_mounts = cluster.bind_mounts;
        policy.registries = cluster.registries;
        policy.volume_drivers = cluster.volume_drivers;
        policy.logging_drivers = cluster.logging_drivers;
    }
    policy
}
