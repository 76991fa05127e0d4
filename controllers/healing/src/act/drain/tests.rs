use super::*;
use crate::fake;
use futures::FutureExt as _;
use otternauts_types::Condition;
use std::sync::Arc;

/// `-`: not ready; `d`: drained; `x`: of another cluster.
fn server(name: &str, how: &str) -> Server {
    let cluster = if how == "x" { "other" } else { "default" };
    let spec = serde_json::json!({"address": "192.0.2.1", "user": "deploy", "role": "manager", "clusterRef": {"name": cluster}});
    let mut server = Server::new(name, serde_json::from_value(spec).expect("a spec"));
    server.metadata.uid = Some(format!("{name}-uid"));
    if how == "d" {
        server.spec.availability = Availability::Drain;
    }
    let ready = how != "-";
    let condition = Condition {
        r#type: "Ready".into(),
        status: if ready { ConditionStatus::True } else { ConditionStatus::False },
        reason: String::new(),
        message: String::new(),
        last_transition_time: None,
        observed_generation: None,
    };
    let phase = if ready { ServerPhase::Ready } else { ServerPhase::Unreachable };
    let status = server.status.insert(otternauts_types::server::ServerStatus::default());
    (status.phase, status.conditions) = (phase, vec![condition]);
    server
}

fn all(how: &[&str]) -> Vec<Server> {
    how.iter().enumerate().map(|(n, how)| server(&format!("h{n}"), how)).collect()
}

#[test]
fn more_than_half_of_a_cluster_stays_active_and_ready_r42() {
    for (how, expected) in [
        (&["", "", ""][..], None),
        (&["", "", "", "", ""], None),
        (&["", "", "", "d", "d"], Some("only 2 of the 5 Servers")),
        (&["", "", "-"], Some("only 1 of the 3 Servers")),
        (&["", "", "d"], Some("only 1 of the 3 Servers")),
        (&["-", "", ""], None),
        (&["", ""], Some("only 1 of the 2 Servers")),
        (&["", "x", "x", "x"], Some("it is the last active Server")),
        (&["", "-"], Some("it is the last active Server")),
        (&["d", ""], None),
    ] {
        let all = all(how);
        let said = spare(&all, "h0").err().map(|e| e.to_string());
        assert_eq!(said.is_some(), expected.is_some(), "{how:?}: {said:?}");
        assert!(said.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{how:?}");
    }
    assert!(spare(&all(&[""]), "h7").is_err());
}

#[tokio::test]
async fn of_servers_that_are_drained_at_once_each_sees_what_the_one_before_left() {
    let servers = all(&["", "", ""]);
    let (context, api) = fake::context(&[], kube::runtime::reflector::store().0, &servers, Arc::new(|_| ()));
    // Whoever records lets the others go on.
    let record = |_: Option<i64>| async { tokio::task::yield_now().await }.map(Ok).boxed();
    let each = servers
        .iter()
        .map(|s| (s.name_any(), &context))
        .map(|(name, context)| async move { drain(context, &name, &record).await.map_err(|e| e.to_string()) });
    let results = futures::future::join_all(each).await;
    let drained = api.lock().servers.values().filter(|s| s.spec.availability == Availability::Drain).count();
    assert_eq!(drained, 1, "{results:?}");
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    let refused =
        Err("only 1 of the 3 Servers of its cluster would be left active and ready, which is no majority".to_owned());
    assert_eq!(results[1..], [refused.clone(), refused]);
    assert_eq!(drain(&context, "h0", &record).await.ok().as_deref(), Some("it is drained already"));
}
