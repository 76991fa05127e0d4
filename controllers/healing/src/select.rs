//! What a rule is about. Pure.

use kube::ResourceExt as _;
use otternauts_types::heal_rule::HealTarget;
use otternauts_types::{SYSTEM_NAMESPACE, Stack};

/// The random part of a container's name has this length; a service stands for containers that are not there yet.
const TASK_ID: &str = "xxxxxxxxxxxxxxxxxxxxxxxxx";

/// Whether a rule of `namespace` is about services of this Stack.
pub fn stack(namespace: &str, target: &HealTarget, stack: &Stack) -> bool {
    let labels = stack.labels();
    target.server.is_none()
        && (namespace == SYSTEM_NAMESPACE || stack.namespace().as_deref() == Some(namespace))
        && target.stack.as_ref().is_none_or(|name| stack.name_any() == *name)
        && target.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether it is about this service of such a Stack; `swarm_stack` is the stack's name in the swarm.
pub fn service(target: &HealTarget, swarm_stack: &str, service: &str) -> bool {
    let container = || format!("{swarm_stack}_{service}.1.{TASK_ID}");
    target.service.as_ref().is_none_or(|name| name == service)
        && target.container.as_ref().is_none_or(|pattern| glob(pattern, &container()))
}

/// Whether it is about this container of such a service.
pub fn container(target: &HealTarget, name: &str) -> bool {
    target.container.as_ref().is_none_or(|pattern| glob(pattern, name))
}

/// Whether it is about this Server.
pub fn server(target: &HealTarget, name: &str) -> bool {
    target.server.as_ref().is_some_and(|pattern| glob(pattern, name))
}

/// `*` is any text, `?` any one character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Where the last `*` is, and how much of the text it stands for.
    let (mut p, mut t, mut star) = (0, 0, None::<(usize, usize)>);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_the_whole_text() {
        for (pattern, text, expected) in [
            ("*web*", "shop-1a2b_web.1.abc", true),
            ("shop-*_web.?.*", "shop-1a2b_web.1.abc", true),
            ("shop-*_web.?.*", "shop-1a2b_web.12.abc", false),
            ("web", "webs", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn all_given_parts_must_match_and_only_the_system_namespace_sees_others() {
        let of = |namespace: &str, name: &str| {
            let mut stack = Stack::new(name, otternauts_types::StackSpec::default());
            stack.metadata.namespace = Some(namespace.into());
            stack.labels_mut().insert("tier".into(), "front".into());
            stack
        };
        let shop = of("default", "shop");
        let target = |stack: Option<&str>, tier: Option<&str>| HealTarget {
            stack: stack.map(Into::into),
            match_labels: tier.map(|t| ("tier".to_owned(), t.to_owned())).into_iter().collect(),
            ..HealTarget::default()
        };
        for (namespace, target, expected) in [
            ("default", target(None, None), true),
            ("default", target(Some("shop"), Some("front")), true),
            ("default", target(Some("shop"), Some("back")), false),
            ("default", target(Some("fog"), None), false),
            ("team", target(None, None), false),
            ("otternauts-system", target(Some("shop"), None), true),
            ("otternauts-system", HealTarget { server: Some("*".into()), ..HealTarget::default() }, false),
        ] {
            assert_eq!(stack(namespace, &target, &shop), expected, "{namespace} {target:?}");
        }
        let part =
            HealTarget { service: Some("web".into()), container: Some("*_web.*".into()), ..HealTarget::default() };
        assert!(service(&part, "shop-1a2b", "web") && !service(&part, "shop-1a2b", "db"));
        assert!(container(&part, "shop-1a2b_web.2.y") && !container(&part, "shop-1a2b_db.1.y"));
    }
}
