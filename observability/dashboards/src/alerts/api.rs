//! The API server: its error budget, whether it is there, its store.

use super::Alert;

const BURN: &str = "The API server answers too many requests with an error or too late";

#[rustfmt::skip]
pub const ALERTS: &[Alert] = &[
    Alert::new("OtternautsErrorBudgetBurn", "critical", "2m", "sum by (verb) (apiserver_request:burnrate1h) > (14.4 * 0.001) and sum by (verb) (apiserver_request:burnrate5m) > (14.4 * 0.001)")
        .says(BURN, "At this rate of failed or slow {{ $labels.verb }} requests the error budget of 30 days is used up in two days.")
        .labelled(&[("long", "1h"), ("short", "5m")])
        .fires("5m", &[(r#"apiserver_request:burnrate1h{verb="write"}"#, "0.5x10"), (r#"apiserver_request:burnrate5m{verb="write"}"#, "0.5x10")], &[("verb", "write")])
        .quiet(&[(r#"apiserver_request:burnrate1h{verb="write"}"#, "0.5x10"), (r#"apiserver_request:burnrate5m{verb="write"}"#, "0x10")]),
    Alert::new("OtternautsErrorBudgetBurn", "critical", "15m", "sum by (verb) (apiserver_request:burnrate6h) > (6 * 0.001) and sum by (verb) (apiserver_request:burnrate30m) > (6 * 0.001)")
        .says(BURN, "At this rate of failed or slow {{ $labels.verb }} requests the error budget of 30 days is used up in five days.")
        .labelled(&[("long", "6h"), ("short", "30m")])
        .fires("20m", &[(r#"apiserver_request:burnrate6h{verb="read"}"#, "0.5x30"), (r#"apiserver_request:burnrate30m{verb="read"}"#, "0.5x30")], &[("verb", "read")])
        .quiet(&[(r#"apiserver_request:burnrate6h{verb="read"}"#, "0x30"), (r#"apiserver_request:burnrate30m{verb="read"}"#, "0.5x30")]),
    Alert::new("OtternautsErrorBudgetBurn", "warning", "1h", "sum by (verb) (apiserver_request:burnrate1d) > (3 * 0.001) and sum by (verb) (apiserver_request:burnrate2h) > (3 * 0.001)")
        .says(BURN, "At this rate of failed or slow {{ $labels.verb }} requests the error budget of 30 days is used up in ten days.")
        .labelled(&[("long", "1d"), ("short", "2h")])
        .fires("70m", &[(r#"apiserver_request:burnrate1d{verb="read"}"#, "0.5x90"), (r#"apiserver_request:burnrate2h{verb="read"}"#, "0.5x90")], &[("verb", "read")])
        .quiet(&[(r#"apiserver_request:burnrate1d{verb="read"}"#, "0.002x90"), (r#"apiserver_request:burnrate2h{verb="read"}"#, "0.002x90")]),
    Alert::new("OtternautsErrorBudgetBurn", "warning", "3h", "sum by (verb) (apiserver_request:burnrate3d) > (1 * 0.001) and sum by (verb) (apiserver_request:burnrate6h) > (1 * 0.001)")
        .says(BURN, "At this rate of failed or slow {{ $labels.verb }} requests the error budget of 30 days is used up in 30 days.")
        .labelled(&[("long", "3d"), ("short", "6h")])
        .fires("200m", &[(r#"apiserver_request:burnrate3d{verb="write"}"#, "0.002x220"), (r#"apiserver_request:burnrate6h{verb="write"}"#, "0.002x220")], &[("verb", "write")])
        .quiet(&[(r#"apiserver_request:burnrate3d{verb="write"}"#, "0.0005x220"), (r#"apiserver_request:burnrate6h{verb="write"}"#, "0.0005x220")]),
    Alert::new("OtternautsDown", "critical", "15m", r#"absent(up{job="otternauts"} == 1)"#)
        .says("Prometheus cannot scrape Otternauts", "No control plane has answered a scrape for 15 minutes: nothing deploys, and nothing heals.")
        .fires("20m", &[(r#"up{job="otternauts",instance="a"}"#, "0x30")], &[])
        .quiet(&[(r#"up{job="otternauts",instance="a"}"#, "0x3 1x30")]),
    Alert::new("OtternautsStorageSlow", "warning", "10m", "otternauts:storage_commit:p99_5m > 0.25")
        .says("Commits of the database are slow", "One commit in a hundred takes longer than a quarter of a second: the disk is slow or busy, and all writes wait for it.")
        .fires("15m", &[("otternauts:storage_commit:p99_5m", "0.5x30")], &[])
        .quiet(&[("otternauts:storage_commit:p99_5m", "0.125x30")]),
    Alert::new("OtternautsStorageGrowing", "warning", "1h", r#"predict_linear(otternauts_storage_file_bytes{file="main"}[6h], 86400) > 2 * otternauts_storage_file_bytes{file="main"} and otternauts_storage_file_bytes{file="main"} > 1e9"#)
        .says("The database grows fast", "At this rate the database of {{ $labels.instance }} doubles within a day, and it is larger than 1 GB already.")
        .fires("7h", &[(r#"otternauts_storage_file_bytes{instance="a",file="main"}"#, "1000000000+2000000x500")], &[("instance", "a"), ("file", "main")])
        .quiet(&[(r#"otternauts_storage_file_bytes{instance="a",file="main"}"#, "2000000000x500")]),
    Alert::new("OtternautsStorageWalTooBig", "warning", "10m", r#"otternauts_storage_file_bytes{file="wal"} > 256 * 1024 * 1024"#)
        .says("The write-ahead log is too large", "The write-ahead log of {{ $labels.instance }} is larger than 256 MiB: a reader holds it back, or checkpoints fail.")
        .fires("15m", &[(r#"otternauts_storage_file_bytes{instance="a",file="wal"}"#, "300000000x30")], &[("instance", "a"), ("file", "wal")])
        .quiet(&[(r#"otternauts_storage_file_bytes{instance="a",file="wal"}"#, "16000000x30")]),
    Alert::new("OtternautsStorageCorrupt", "critical", "0m", "otternauts_storage_integrity_check_ok == 0")
        .says("The database is damaged", "A stored row of {{ $labels.instance }} does not match its checksum.")
        .fires("2m", &[(r#"otternauts_storage_integrity_check_ok{instance="a"}"#, "1 0x10")], &[("instance", "a")])
        .quiet(&[(r#"otternauts_storage_integrity_check_ok{instance="a"}"#, "1x10")]),
    Alert::new("OtternautsWatchersDropped", "info", "15m", "sum by (resource) (rate(apiserver_terminated_watchers_total[5m])) > 0")
        .says("Watches are ended because they are too slow", "Clients that watch {{ $labels.resource }} read slower than changes come, and have to list again.")
        .fires("25m", &[(r#"apiserver_terminated_watchers_total{resource="stacks"}"#, "0+1x40")], &[("resource", "stacks")])
        .quiet(&[(r#"apiserver_terminated_watchers_total{resource="stacks"}"#, "7x40")]),
    Alert::new("OtternautsAuditLost", "critical", "0m", "increase(otternauts_audit_lost_total[15m]) > 0")
        .says("Audit lines are lost", "The disk of {{ $labels.instance }} does not keep up with the audit log, or is nearly full: who did what is not complete.")
        .fires("10m", &[(r#"otternauts_audit_lost_total{instance="a"}"#, "0x5 4x20")], &[("instance", "a")])
        .quiet(&[(r#"otternauts_audit_lost_total{instance="a"}"#, "4x30")]),
];
