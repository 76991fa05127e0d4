//! `/metrics/fleet` and `/metrics/containers`: what the objects say, and what runs on the servers.

use super::Family;
use super::Kind::{Gauge, Info};
use super::Page::Fleet;

#[rustfmt::skip]
pub const FLEET: &[Family] = &[
    Family::new(Info, "otternauts_server_info", &["server", "cluster", "role", "os", "docker_version"], "What a Server is; what is not known is empty").stable().on(Fleet),
    Family::new(Gauge, "otternauts_server_status_condition", &["server", "condition", "status"], "1 for the status that a condition of a Server has, 0 for the two others").stable().on(Fleet),
    Family::new(Info, "otternauts_stack_info", &["namespace", "stack", "cluster"], "What a Stack is").stable().on(Fleet),
    Family::new(Gauge, "otternauts_stack_status_condition", &["namespace", "stack", "condition", "status"], "1 for the status that a condition of a Stack has, 0 for the two others").stable().on(Fleet),
    Family::new(Gauge, "otternauts_service_replicas_desired", &["namespace", "stack", "service"], "Tasks that a service should have").stable().on(Fleet),
    Family::new(Gauge, "otternauts_service_replicas_running", &["namespace", "stack", "service"], "Tasks of a service that run").stable().on(Fleet),
    Family::new(Gauge, "otternauts_deployment_in_progress_started_timestamp_seconds", &["namespace", "stack"], "When the deployment under way was made, in seconds since 1970; only while one is").beta().on(Fleet),
];
