//! `/metrics` and `/metrics/slis`: the process itself.

use super::Family;
use super::Kind::{Counter, Gauge, Histogram, Info};
use super::Page::Slis;

const REQUEST: &[&str] = &["verb", "group", "version", "resource", "subresource", "scope", "component"];
const DURATION: &[&str] = &["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"];
const COUNT: &[&str] =
    &["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"];
const ENDED: &[&str] = &["verb", "group", "version", "resource", "subresource", "scope", "component", "code"];
const WATCHED: &[&str] = &["group", "version", "resource"];

#[rustfmt::skip]
pub const SERVER: &[Family] = &[
    // Requests, as kube-apiserver names them.
    Family::new(Counter, "apiserver_request_total", COUNT, "Requests by verb, resource and code").stable(),
    Family::new(Histogram, "apiserver_request_duration_seconds", DURATION, "Time to answer a request").stable(),
    Family::new(Histogram, "apiserver_request_sli_duration_seconds", REQUEST, "Time to answer a request, without waits that are not the server's").beta(),
    Family::new(Histogram, "apiserver_response_sizes", REQUEST, "Bytes of answer bodies").stable(),
    Family::new(Gauge, "apiserver_current_inflight_requests", &["request_kind"], "Requests being worked on").stable(),
    Family::new(Gauge, "apiserver_longrunning_requests", REQUEST, "Open watches and log streams").stable(),
    Family::new(Counter, "apiserver_request_terminations_total", ENDED, "Requests that were given up: no room (429) or out of time (504)").needs_servers(),
    Family::new(Counter, "apiserver_flowcontrol_dispatched_requests_total", &["priority_level"], "Requests that got a place").beta(),
    Family::new(Counter, "apiserver_flowcontrol_rejected_requests_total", &["priority_level", "reason"], "Requests that got no place").beta().needs_servers(),
    Family::new(Histogram, "apiserver_flowcontrol_request_wait_duration_seconds", &["priority_level", "execute"], "Time that requests waited for a place").beta(),
    Family::new(Gauge, "apiserver_flowcontrol_current_inqueue_requests", &["priority_level"], "Requests that wait for a place").beta().needs_servers(),
    // Watches.
    Family::new(Counter, "apiserver_watch_events_total", WATCHED, "Events sent to watchers"),
    Family::new(Histogram, "apiserver_watch_events_sizes", WATCHED, "Bytes of the events sent to watchers"),
    Family::new(Counter, "apiserver_terminated_watchers_total", WATCHED, "Watches that were ended because they could not be kept up with"),
    Family::new(Gauge, "otternauts_watchers", &["resource"], "Open watches"),
    Family::new(Histogram, "otternauts_watch_delivery_seconds", &["resource"], "From the commit of the oldest event of a write to a watcher until that write"),
    Family::new(Counter, "otternauts_watch_buffer_overflows_total", &["resource"], "Times that a watcher fell out of the window in memory and was caught up from the log").needs_servers(),
    // Who and whether.
    Family::new(Counter, "authentication_attempts_total", &["result"], "Authenticated and refused requests"),
    Family::new(Counter, "authorization_attempts_total", &["result"], "Allowed and denied requests"),
    Family::new(Counter, "apiserver_audit_event_total", &[], "Audit events written or queued"),
    Family::new(Counter, "otternauts_audit_lost_total", &[], "Audit events lost because the disk did not keep up, or was nearly full"),
    // Health.
    Family::new(Gauge, "kubernetes_healthcheck", &["name", "type"], "1 while a check is well").stable().on(Slis),
    Family::new(Counter, "kubernetes_healthchecks_total", &["name", "type", "status"], "Looks at a check by what they saw").stable().on(Slis),
    // The store.
    Family::new(Histogram, "etcd_request_duration_seconds", &["operation", "type"], "Time of an operation of the store, whichever engine keeps it"),
    Family::new(Gauge, "apiserver_storage_objects", &["resource"], "Stored objects by resource").stable(),
    Family::new(Gauge, "apiserver_storage_size_bytes", &["storage_cluster_id"], "Size of the database in bytes"),
    Family::new(Histogram, "otternauts_storage_statement_seconds", &["statement", "result"], "Time of a statement of the engine"),
    Family::new(Histogram, "otternauts_storage_commit_batch_writes", &[], "Writes in one group commit"),
    Family::new(Gauge, "otternauts_storage_file_bytes", &["file"], "Size of the database files"),
    Family::new(Gauge, "otternauts_storage_free_bytes", &["file"], "Bytes of the database files that hold nothing; of disk: bytes free below them"),
    Family::new(Histogram, "otternauts_storage_checkpoint_seconds", &["mode", "result"], "Time of a checkpoint of the write-ahead log").needs_servers(),
    Family::new(Gauge, "otternauts_storage_integrity_check_ok", &[], "1: every checksum that was read since the start was right"),
    Family::new(Gauge, "otternauts_storage_current_revision", &[], "The newest committed revision").beta(),
    Family::new(Gauge, "otternauts_storage_compact_revision", &[], "Revisions below this one are compacted").beta(),
    // Controllers, as client-go and controller-runtime name them.
    Family::new(Gauge, "workqueue_depth", &["name"], "Keys that wait").beta(),
    Family::new(Counter, "workqueue_adds_total", &["name"], "Keys that began to wait").beta(),
    Family::new(Counter, "workqueue_retries_total", &["name"], "Keys put back to be looked at again later").beta(),
    Family::new(Histogram, "workqueue_queue_duration_seconds", &["name"], "Time that keys waited").beta(),
    Family::new(Histogram, "workqueue_work_duration_seconds", &["name"], "Time that keys were under work").beta(),
    Family::new(Gauge, "workqueue_unfinished_work_seconds", &["name"], "Time spent so far on the keys under work, in all").beta(),
    Family::new(Gauge, "workqueue_longest_running_processor_seconds", &["name"], "Time spent so far on the key longest under work").beta(),
    Family::new(Counter, "controller_runtime_reconcile_total", &["controller", "result"], "Reconciles by result").beta(),
    Family::new(Counter, "controller_runtime_reconcile_errors_total", &["controller"], "Failed reconciles").beta(),
    Family::new(Counter, "controller_runtime_reconcile_panics_total", &["controller"], "Reconciles that panicked").beta(),
    Family::new(Histogram, "controller_runtime_reconcile_time_seconds", &["controller"], "Time of a reconcile").beta(),
    Family::new(Gauge, "controller_runtime_active_workers", &["controller"], "Reconciles under way").beta(),
    Family::new(Gauge, "controller_runtime_max_concurrent_reconciles", &["controller"], "Reconciles that may be under way at once; 0: no bound").beta(),
    Family::new(Histogram, "otternauts_convergence_seconds", &["kind", "result"], "From a new generation of an object until it was Ready, or the next generation came").beta(),
    // Servers: no label names one where the sum over all is what counts.
    Family::new(Gauge, "otternauts_ssh_sessions", &[], "Open SSH connections").beta(),
    Family::new(Histogram, "otternauts_ssh_connect_seconds", &["result"], "Time to connect and log in").beta().needs_servers(),
    Family::new(Histogram, "otternauts_ssh_command_seconds", &["command", "result"], "Time of a remote command").beta().needs_servers(),
    Family::new(Counter, "otternauts_ssh_host_key_mismatch_total", &["server"], "Connections refused because the host key had changed").beta().needs_servers(),
    Family::new(Histogram, "otternauts_docker_request_seconds", &["operation", "code"], "Time until the Docker engine began to answer").beta().needs_servers(),
    Family::new(Histogram, "otternauts_onboarding_step_seconds", &["step", "result"], "Time of an onboarding step").beta().needs_servers(),
    Family::new(Counter, "otternauts_deployments_total", &["trigger", "strategy", "result"], "Ended deployments").beta().needs_servers(),
    Family::new(Histogram, "otternauts_deployment_seconds", &["trigger", "strategy", "result"], "Time of a deployment from its creation to its end").beta().needs_servers(),
    Family::new(Counter, "otternauts_service_task_failures_total", &["namespace", "stack", "service", "reason"], "Containers of tasks that ended though nobody wanted it").beta().needs_servers(),
    Family::new(Counter, "otternauts_heal_evaluations_total", &["rule", "result"], "Looks at a HealRule and all its targets").beta().needs_servers(),
    Family::new(Counter, "otternauts_heal_actions_total", &["rule", "action", "result"], "Actions of HealRules that have ended").beta().needs_servers(),
    Family::new(Gauge, "otternauts_heal_rule_firing", &["rule"], "1 while the condition of a HealRule holds for one of its targets").beta().needs_servers(),
    Family::new(Counter, "otternauts_notifications_total", &["channel", "result"], "Attempts to deliver a message to a Notifier's channel").beta(),
    Family::new(Gauge, "leader_election_master_status", &["name"], "1 while this replica holds the Lease; there are none with the SQLite store"),
    Family::new(Counter, "leader_election_slowpath_total", &["name"], "Times that the Lease could not be read or written"),
    // Backups that the server makes by itself.
    Family::new(Gauge, "otternauts_backup_last_success_timestamp_seconds", &["target"], "When the newest backup at the target was made, in seconds since 1970; 0: there is none").beta().needs_servers(),
    Family::new(Gauge, "otternauts_backup_size_bytes", &["target"], "Size of the newest backup").needs_servers(),
    Family::new(Counter, "otternauts_backups_total", &["target", "result"], "Scheduled backups that were tried").needs_servers(),
    Family::new(Counter, "otternauts_backup_restore_tests_total", &["target", "result"], "Backups that were restored to try them").needs_servers(),
    Family::new(Gauge, "otternauts_backup_restore_test_last_success_timestamp_seconds", &["target"], "When a backup was last restored to try it and was good, in seconds since 1970").needs_servers(),
    // The process.
    Family::new(Info, "otternauts_build_info", &["version", "revision", "rustc"], "The version that runs").stable(),
    Family::new(Counter, "process_cpu_seconds_total", &[], "CPU time used").stable(),
    Family::new(Gauge, "process_resident_memory_bytes", &[], "Resident memory").stable(),
    Family::new(Gauge, "process_virtual_memory_bytes", &[], "Virtual memory").stable(),
    Family::new(Gauge, "process_open_fds", &[], "Open files").stable(),
    Family::new(Gauge, "process_max_fds", &[], "Files that may be open").stable(),
    Family::new(Gauge, "process_threads", &[], "Threads").stable(),
    Family::new(Gauge, "process_start_time_seconds", &[], "When the process started, in seconds since 1970").stable(),
    Family::new(Gauge, "otternauts_tokio_workers", &[], "Threads that run tasks"),
    Family::new(Gauge, "otternauts_tokio_alive_tasks", &[], "Tasks that have not ended"),
    Family::new(Gauge, "otternauts_tokio_busy_ratio", &[], "Share of their time that the workers were busy since the scrape before"),
    Family::new(Counter, "otternauts_telemetry_spans_exported_total", &[], "Spans that the collector has taken"),
    Family::new(Counter, "otternauts_telemetry_spans_dropped_total", &[], "Spans that could not be sent to the collector"),
    Family::new(Counter, "otternauts_metrics_series_dropped_total", &["family"], "Observations that got no series because their family had too many").needs_servers(),
];
