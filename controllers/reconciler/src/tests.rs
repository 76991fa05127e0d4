//! A real kube-rs controller against an API that is a few lines long: one list, then silence.

use super::*;
use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use otternauts_telemetry::Format;
use serde_json::json;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, thiserror::Error)]
#[error("as planned")]
struct Planned;

fn map(name: &str) -> serde_json::Value {
    let meta = json!({"name": name, "namespace": "default", "uid": name, "generation": 1, "resourceVersion": "5",
        "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:data": {}}}]});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
}

/// Lists two objects; its watches stay open and say nothing.
fn client() -> kube::Client {
    let service = tower::service_fn(|request: Request<Body>| async move {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if query.contains("watch=true") {
            std::future::pending::<()>().await;
        }
        let list = json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "5"}, "items": [map("a"), map("b")]});
        Ok::<_, Infallible>(Response::new(Body::from(list.to_string().into_bytes())))
    });
    kube::Client::new(service, "default")
}

#[tokio::test]
async fn what_a_controller_does_is_counted_under_its_name() {
    let metrics = Metrics::new("1");
    let api: Api<ConfigMap> = Api::all(client());
    let controller = Controller::new("cook", &metrics, api, watcher::Config::default())
        .concurrency(3)
        .reconcile_on(
            futures::stream::iter([ObjectRef::new("gone").within("default")]).chain(futures::stream::pending()),
        )
        .converging(|map| Standing { observed: map.data.as_ref().map(|_| 1), ready: true });
    let looks = Arc::new(AtomicU32::new(0));
    let reconcile = |object: Arc<ConfigMap>, looks: Arc<AtomicU32>| async move {
        looks.fetch_add(1, Ordering::SeqCst);
        if object.name_any() == "a" { Ok(Action::await_change()) } else { Err(Planned) }
    };
    let never_again = |_: Arc<ConfigMap>, _: &Planned, _: Arc<AtomicU32>| Action::await_change();
    let results: Vec<_> = controller.run(reconcile, never_again, Arc::clone(&looks)).take(3).collect().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "{results:?}");
    assert_eq!(looks.load(Ordering::SeqCst), 2);
    let text = metrics.encode(Format::Classic);
    for line in [
        r#"controller_runtime_reconcile_total{controller="cook",result="success"} 1"#,
        r#"controller_runtime_reconcile_total{controller="cook",result="error"} 1"#,
        r#"controller_runtime_max_concurrent_reconciles{controller="cook"} 3"#,
        r#"controller_runtime_active_workers{controller="cook"} 0"#,
        r#"workqueue_adds_total{name="cook"} 3"#,
        r#"workqueue_retries_total{name="cook"} 1"#,
        r#"workqueue_queue_duration_seconds_count{name="cook"} 2"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
}

#[tokio::test]
async fn what_is_kept_of_objects_does_not_say_who_set_what() {
    let metrics = Metrics::new("1");
    let controller = Controller::new("cook", &metrics, Api::<ConfigMap>::all(client()), watcher::Config::default());
    let store = controller.store();
    let reconcile = |object: Arc<ConfigMap>, _: Arc<()>| async move {
        assert_eq!((object.meta().managed_fields.as_ref(), object.meta().generation), (None, Some(1)));
        Ok::<_, Planned>(Action::await_change())
    };
    let never_again = |_: Arc<ConfigMap>, _: &Planned, _: Arc<()>| Action::await_change();
    let results: Vec<_> = controller.run(reconcile, never_again, Arc::new(())).take(2).collect().await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let kept = store.state();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|object| object.meta().managed_fields.is_none()), "{kept:?}");
}
