//! What a Notifier may see, and what of that it wants to hear of.

use otternauts_types::SYSTEM_NAMESPACE;
use otternauts_types::notifier::{NoticeObject, NotifierSelector, Severity};

/// Never told: a Notifier that cannot deliver would tell of that, and so on for ever.
const OWN_KIND: &str = "Notifier";

/// A Notifier sees the objects of its namespace; in the system's namespace it sees everything.
pub fn sees(notifier_namespace: &str, object: &NoticeObject) -> bool {
    object.kind != OWN_KIND && (notifier_namespace == SYSTEM_NAMESPACE || notifier_namespace == object.namespace)
}

/// The severity of a reason for this Notifier.
pub fn severity(selector: &NotifierSelector, reason: &str, own: Severity) -> Severity {
    selector.reason_severities.get(reason).copied().unwrap_or(own)
}

/// `severity` is the one that [`severity`] answered.
pub fn wants(selector: &NotifierSelector, object: &NoticeObject, reason: &str, severity: Severity) -> bool {
    let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|v| v == value);
    any(&selector.kinds, &object.kind)
        && any(&selector.namespaces, &object.namespace)
        && any(&selector.reasons, reason)
        && (selector.severities.is_empty() || selector.severities.contains(&severity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Normal, Warning};

    fn object(kind: &str, namespace: &str) -> NoticeObject {
        NoticeObject { kind: kind.into(), namespace: namespace.into(), name: "x".into(), uid: "u".into() }
    }

    #[test]
    fn a_namespace_sees_itself_and_the_systems_sees_all() {
        for (namespace, kind, of, expected) in [
            ("shop", "Stack", "shop", true),
            ("shop", "Stack", "bank", false),
            ("shop", "Server", "", false),
            ("otternauts-system", "Stack", "bank", true),
            ("otternauts-system", "Server", "", true),
            ("otternauts-system", "Notifier", "shop", false),
            ("shop", "Notifier", "shop", false),
        ] {
            assert_eq!(sees(namespace, &object(kind, of)), expected, "{namespace} {kind} {of}");
        }
    }

    #[test]
    fn every_given_part_must_match() {
        let list = |v: &[&str]| v.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let full = NotifierSelector {
            kinds: list(&["Stack"]),
            namespaces: list(&["shop", "bank"]),
            severities: vec![Warning],
            reasons: list(&["Unhealthy", "Deployed"]),
            reason_severities: [("Deployed".to_owned(), Warning), ("Noise".to_owned(), Normal)].into(),
        };
        for (selector, kind, namespace, reason, own, expected) in [
            (&NotifierSelector::default(), "Server", "", "Anything", Normal, true),
            (&full, "Stack", "shop", "Unhealthy", Warning, true),
            (&full, "Stack", "bank", "Unhealthy", Normal, false),
            (&full, "Stack", "bank", "Deployed", Normal, true),
            (&full, "Server", "shop", "Unhealthy", Warning, false),
            (&full, "Stack", "other", "Unhealthy", Warning, false),
            (&full, "Stack", "shop", "ImagePullFailed", Warning, false),
        ] {
            let severity = severity(selector, reason, own);
            let got = wants(selector, &object(kind, namespace), reason, severity);
            assert_eq!(got, expected, "{kind} {namespace} {reason} {own:?}");
        }
    }
}
