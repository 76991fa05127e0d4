//! What a rule did by itself, in the audit log. The requests that came of it are there already, but not what caused it.

use crate::clock::now;
use crate::config::Controller;
use crate::inside::SYSTEM_NAMESPACE;
use otternauts_auth::audit::{AuditLog, Event, Stage};
use otternauts_auth::{Attributes, User};
use otternauts_healing::{Acted, Audit};
use otternauts_telemetry::Metrics;
use std::sync::Arc;

/// Into the file of this server.
pub fn to_file(log: Arc<AuditLog>, metrics: Arc<Metrics>) -> Audit {
    let user = User::service_account(SYSTEM_NAMESPACE, Controller::Healing.name(), "");
    Arc::new(move |acted| {
        write(&log, &user, acted);
        metrics.requests.audited.inc();
    })
}

/// A controller that runs apart has no audit log of its own: its own log has the line.
pub fn to_log() -> Audit {
    Arc::new(|acted| {
        let Acted { namespace, rule, id, action, target, cause, failed, message } = acted;
        tracing::info!(target: "otternauts::audit", namespace, rule, id, action, on = target, cause, failed, message,
            "a rule has acted");
    })
}

fn write(log: &AuditLog, user: &User, acted: &Acted<'_>) {
    let attributes = Attributes {
        verb: acted.action.to_owned(),
        group: "otternauts.dev".to_owned(),
        version: "v1".to_owned(),
        resource: "healrules".to_owned(),
        namespace: acted.namespace.to_owned(),
        name: acted.rule.to_owned(),
        ..Attributes::default()
    };
    let (id, now) = (format!("heal_{}", acted.id), now());
    let uri = format!("/apis/otternauts.dev/v1/namespaces/{}/healrules/{}", acted.namespace, acted.rule);
    let (code, reason) = if acted.failed { (500, "HealFailed") } else { (200, "") };
    log.log(&Event {
        audit_id: &id,
        stage: Stage::ResponseComplete,
        request_uri: &uri,
        user,
        impersonated: None,
        source: None,
        user_agent: "otternauts-healing",
        attributes: &attributes,
        code,
        reason,
        received: now,
        now,
        decision: "",
        decision_reason: "",
        annotations: &[
            ("otternauts.dev/heal-action", acted.action),
            ("otternauts.dev/heal-target", acted.target),
            ("otternauts.dev/heal-cause", acted.cause),
            ("otternauts.dev/heal-message", acted.message),
        ],
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_audit_log_has_each_action_of_a_rule_with_the_values_that_caused_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("audit.log");
        let log = Arc::new(AuditLog::open(&path).expect("opens"));
        let metrics = Metrics::new("1");
        let acted = Acted {
            namespace: "default",
            rule: "hungry",
            id: "u-1-0",
            action: "restart",
            target: "Stack/default/shop/web",
            cause: "memory 90 % > 80 % for 5m",
            failed: false,
            message: "restarted",
        };
        let tell = to_file(Arc::clone(&log), Arc::clone(&metrics));
        tell(&acted);
        tell(&Acted { failed: true, message: "no manager answers", ..acted });
        log.flush();
        let text = std::fs::read_to_string(&path).expect("a file");
        let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["annotations"]["otternauts.dev/heal-cause"], "memory 90 % > 80 % for 5m", "{text}");
        assert_eq!(lines[0]["annotations"]["otternauts.dev/heal-target"], "Stack/default/shop/web");
        assert_eq!(lines[0]["user"]["username"], "system:serviceaccount:otternauts-system:healing");
        assert_eq!((&lines[0]["verb"], &lines[0]["auditID"]), (&json!("restart"), &json!("heal_u-1-0")));
        assert_eq!(lines[0]["objectRef"]["name"], "hungry");
        let codes: Vec<&Value> = lines.iter().map(|l| &l["responseStatus"]["code"]).collect();
        assert_eq!(codes, [&json!(200), &json!(500)]);
        assert_eq!(lines[1]["annotations"]["otternauts.dev/heal-message"], "no manager answers");
        assert_eq!(metrics.requests.audited.get(), 2);
    }
}
