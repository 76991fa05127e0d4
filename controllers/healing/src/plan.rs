//! Steps as data: what an action means for its target.

use crate::error::ActionError;
use crate::stack::cluster;
use kube::ResourceExt as _;
use otternauts_types::Stack;
use otternauts_types::heal_rule::{HealAction, HealActionRecord, HealRuleSpec, HealScale, HealWebhook};
use serde_json::json;
use std::sync::Arc;

/// One service of a Stack, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub cluster: String,
    /// The stack's name in the swarm.
    pub swarm_stack: String,
    pub service: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Restart(Place),
    Scale(Place, HealScale),
    /// The Stack goes back to the last version that ran.
    Rollback(Arc<Stack>),
    Drain {
        server: String,
    },
    PruneImages {
        server: String,
    },
    /// Nothing but the Event that every action has.
    Alert,
    /// A signed POST.
    Webhook {
        hook: HealWebhook,
        /// The rule's, where the signing key is.
        namespace: String,
        /// A CloudEvent.
        body: String,
    },
}

/// The step of an action that was decided. `stack` finds one by namespace and name.
pub fn step(
    (namespace, rule): (&str, &str),
    spec: &HealRuleSpec,
    record: &HealActionRecord,
    stack: impl Fn(&str, &str) -> Option<Arc<Stack>>,
) -> Result<Step, ActionError> {
    let impossible = |text: String| ActionError::Impossible(text);
    let target =
        Target::parse(&record.target).ok_or_else(|| impossible(format!("{:?} is no target", record.target)))?;
    let found = |namespace: &str, name: &str| {
        stack(namespace, name).ok_or_else(|| impossible(format!("Stack {namespace}/{name} does not exist")))
    };
    match (record.action, target) {
        (HealAction::Alert, _) => Ok(Step::Alert),
        (HealAction::Webhook, _) => {
            let hook = spec.webhook.clone().ok_or_else(|| impossible("spec.webhook is missing".to_owned()))?;
            Ok(Step::Webhook { hook, namespace: namespace.to_owned(), body: event(namespace, rule, record) })
        }
        (HealAction::Rollback, Target::Stack { namespace, name, .. }) => Ok(Step::Rollback(found(namespace, name)?)),
        (HealAction::Restart, Target::Stack { namespace, name, service: Some(service) }) => {
            Ok(Step::Restart(place(&*found(namespace, name)?, service)?))
        }
        (HealAction::Scale, Target::Stack { namespace, name, service: Some(service) }) => {
            let scale = spec.scale.clone().ok_or_else(|| impossible("spec.scale is missing".to_owned()))?;
            Ok(Step::Scale(place(&*found(namespace, name)?, service)?, scale))
        }
        (HealAction::Drain, Target::Server(name)) => Ok(Step::Drain { server: name.to_owned() }),
        (HealAction::PruneImages, Target::Server(name)) => Ok(Step::PruneImages { server: name.to_owned() }),
        (action, _) => Err(impossible(format!("action {} cannot be done to {}", action.name(), record.target))),
    }
}

/// CloudEvents 1.0, structured mode, as a Notifier's webhook sends them.
fn event(namespace: &str, rule: &str, record: &HealActionRecord) -> String {
    let event = json!({
        "specversion": "1.0",
        "id": message_id(&record.id),
        "source": format!("/apis/otternauts.dev/v1/namespaces/{namespace}/healrules/{rule}"),
        "type": "dev.otternauts.heal.v1",
        "time": record.time,
        "datacontenttype": "application/json",
        "data": {"rule": format!("{namespace}/{rule}"), "target": record.target, "cause": record.cause},
    });
    event.to_string()
}

/// The same for the same action, however often it is sent.
pub fn message_id(action: &str) -> String {
    format!("heal_{action}")
}

fn place(stack: &Stack, service: &str) -> Result<Place, ActionError> {
    let swarm_stack = stack.status.as_ref().and_then(|s| s.swarm_stack.clone());
    Ok(Place {
        cluster: cluster(stack).to_owned(),
        swarm_stack: swarm_stack.ok_or_else(|| ActionError::Impossible("the Stack does not run".to_owned()))?,
        service: service.to_owned(),
    })
}

/// The name of a target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    Stack { namespace: &'a str, name: &'a str, service: Option<&'a str> },
    Server(&'a str),
}

impl<'a> Target<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            ("Stack", namespace, Some(name), service) => Some(Self::Stack { namespace, name, service }),
            ("Server", name, None, None) => Some(Self::Server(name)),
            _ => None,
        }
    }
}

/// The name of the target of an action on a service: of the Stack as a whole where the action is.
pub fn target_of(action: HealAction, stack: &Stack, service: &str) -> String {
    let whole = format!("Stack/{}/{}", stack.namespace().unwrap_or_default(), stack.name_any());
    if action == HealAction::Rollback { whole } else { format!("{whole}/{service}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_back_from_its_name() {
        let stack = |service| Some(Target::Stack { namespace: "default", name: "shop", service });
        for (text, expected) in [
            ("Stack/default/shop", stack(None)),
            ("Stack/default/shop/web", stack(Some("web"))),
            ("Server/h1", Some(Target::Server("h1"))),
            ("Server/h1/x", None),
            ("Stack/default", None),
            ("Boat/x", None),
            ("", None),
        ] {
            assert_eq!(Target::parse(text), expected, "{text:?}");
        }
    }
}
