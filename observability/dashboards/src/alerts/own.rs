//! Controllers, healing, and the monitoring itself.

use super::Alert;

#[rustfmt::skip]
pub const ALERTS: &[Alert] = &[
    Alert::new("OtternautsControllerStalled", "warning", "10m", r#"workqueue_longest_running_processor_seconds{job="otternauts"} > 600 or (delta(workqueue_depth{job="otternauts"}[10m]) > 0 and on (name) label_replace(sum by (controller) (increase(controller_runtime_reconcile_total{job="otternauts",result="success"}[10m])), "name", "$1", "controller", "(.*)") == 0)"#)
        .says("Controller {{ $labels.name }} does not get on", "One of its reconciles has run for more than 10 minutes, or its queue grows while none succeeds.")
        .fires("15m", &[(r#"workqueue_longest_running_processor_seconds{job="otternauts",name="deploy"}"#, "0 700x30")], &[("job", "otternauts"), ("name", "deploy")])
        .quiet(&[(r#"workqueue_longest_running_processor_seconds{job="otternauts",name="deploy"}"#, "60x30"), (r#"workqueue_depth{job="otternauts",name="deploy"}"#, "0+1x30"), (r#"controller_runtime_reconcile_total{job="otternauts",controller="deploy",result="success"}"#, "0+1x30")]),
    Alert::new("OtternautsReconcileErrors", "warning", "15m", r#"sum by (controller) (rate(controller_runtime_reconcile_errors_total{job="otternauts"}[5m])) / sum by (controller) (rate(controller_runtime_reconcile_total{job="otternauts"}[5m])) > 0.1"#)
        .says("Reconciles of {{ $labels.controller }} fail", "More than one in ten reconciles of {{ $labels.controller }} ended with an error; the log says which objects.")
        .fires("25m", &[(r#"controller_runtime_reconcile_errors_total{job="otternauts",controller="deploy"}"#, "0+30x40"), (r#"controller_runtime_reconcile_total{job="otternauts",controller="deploy",result="error"}"#, "0+60x40")], &[("controller", "deploy")])
        .quiet(&[(r#"controller_runtime_reconcile_errors_total{job="otternauts",controller="deploy"}"#, "0x40"), (r#"controller_runtime_reconcile_total{job="otternauts",controller="deploy",result="success"}"#, "0+60x40")]),
    Alert::new("OtternautsReconcilePanics", "critical", "0m", r#"sum by (controller) (increase(controller_runtime_reconcile_panics_total{job="otternauts"}[10m])) > 0"#)
        .says("Controller {{ $labels.controller }} panics", "A reconcile met what it holds to be impossible. It is tried again; the log has the place.")
        .fires("8m", &[(r#"controller_runtime_reconcile_panics_total{job="otternauts",controller="deploy"}"#, "0x5 2x20")], &[("controller", "deploy")])
        .quiet(&[(r#"controller_runtime_reconcile_panics_total{job="otternauts",controller="deploy"}"#, "2x20")]),
    Alert::new("OtternautsHealStorm", "warning", "0m", r#"sum by (rule) (increase(otternauts_heal_actions_total{result="done"}[1h])) > 10"#)
        .says("HealRule {{ $labels.rule }} acts again and again", "More than ten actions within an hour: what it mends comes back.")
        .fires("30m", &[(r#"otternauts_heal_actions_total{rule="shop/restart",action="restart",result="done"}"#, "0+1x40")], &[("rule", "shop/restart")])
        .quiet(&[(r#"otternauts_heal_actions_total{rule="shop/restart",action="restart",result="done"}"#, "0x10 3x40")]),
    Alert::new("OtternautsHealIneffective", "warning", "5m", r#"max by (rule) (otternauts_heal_rule_firing) == 1 and on (rule) sum by (rule) (increase(otternauts_heal_actions_total{result="done"}[1h])) >= 3"#)
        .says("HealRule {{ $labels.rule }} does not help", "Its condition still holds after three actions within an hour.")
        .fires("30m", &[(r#"otternauts_heal_actions_total{rule="shop/restart",action="restart",result="done"}"#, "0+1x5 5x40"), (r#"otternauts_heal_rule_firing{rule="shop/restart"}"#, "1x40")], &[("rule", "shop/restart")])
        .quiet(&[(r#"otternauts_heal_actions_total{rule="shop/restart",action="restart",result="done"}"#, "0+1x5 5x40"), (r#"otternauts_heal_rule_firing{rule="shop/restart"}"#, "1x10 0x30")]),
    Alert::new("OtternautsBackupMissing", "critical", "0m", r#"time() - otternauts_backup_last_success_timestamp_seconds > 26 * 3600"#)
        .says("No backup for more than 26 hours", "The last good backup to the {{ $labels.target }} of {{ $labels.instance }} is older than 26 hours, or there never was one.")
        .fires("27h", &[(r#"otternauts_backup_last_success_timestamp_seconds{instance="a",target="s3"}"#, "0x1700")], &[("instance", "a"), ("target", "s3")])
        .quiet(&[(r#"otternauts_backup_last_success_timestamp_seconds{instance="a",target="s3"}"#, "0+60x1700")]),
    Alert::new("OtternautsMetricsSeriesDropped", "info", "15m", "sum by (family) (rate(otternauts_metrics_series_dropped_total[5m])) > 0")
        .says("{{ $labels.family }} has too many series", "It has reached its bound of 10,000 series; what is new in it is not shown.")
        .fires("25m", &[(r#"otternauts_metrics_series_dropped_total{family="apiserver_request_total"}"#, "0+1x40")], &[("family", "apiserver_request_total")])
        .quiet(&[(r#"otternauts_metrics_series_dropped_total{family="apiserver_request_total"}"#, "5x40")]),
    Alert::new("OtternautsSpansDropped", "info", "15m", "rate(otternauts_telemetry_spans_dropped_total[5m]) > 0")
        .says("Traces of {{ $labels.instance }} are not complete", "The collector does not take all spans: it is away, or too slow.")
        .fires("25m", &[(r#"otternauts_telemetry_spans_dropped_total{instance="a"}"#, "0+1x40")], &[("instance", "a")])
        .quiet(&[(r#"otternauts_telemetry_spans_dropped_total{instance="a"}"#, "5x40")]),
];
