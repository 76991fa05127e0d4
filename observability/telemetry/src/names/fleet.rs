//! `/metrics/fleet` and `/metrics/containers`: what the objects say, and what runs on the servers.

use super::Family;
use super::Kind::{Counter, Gauge, Info};
use super::Page::{Containers, Fleet};

const TASK: &[&str] = &["server", "namespace", "stack", "service", "slot"];

#[rustfmt::skip]
pub const FLEET: &[Family] = &[
    Family::new(Info, "otternauts_server_info", &["server", "cluster", "role", "os", "docker_version"], "What a Server is; what is not known is empty").stable().on(Fleet),
    Family::new(Gauge, "otternauts_server_status_condition", &["server", "condition", "status"], "1 for the status that a condition of a Server has, 0 for the two others").stable().on(Fleet),
    Family::new(Gauge, "otternauts_server_last_seen_timestamp_seconds", &["server"], "When a Server was heard of last, in seconds since 1970; now, while its events are followed").beta().on(Fleet).needs_servers(),
    Family::new(Info, "otternauts_stack_info", &["namespace", "stack", "cluster"], "What a Stack is").stable().on(Fleet),
    Family::new(Gauge, "otternauts_stack_status_condition", &["namespace", "stack", "condition", "status"], "1 for the status that a condition of a Stack has, 0 for the two others").stable().on(Fleet),
    Family::new(Gauge, "otternauts_service_replicas_desired", &["namespace", "stack", "service"], "Tasks that a service should have").stable().on(Fleet),
    Family::new(Gauge, "otternauts_service_replicas_running", &["namespace", "stack", "service"], "Tasks of a service that run").stable().on(Fleet),
    Family::new(Gauge, "otternauts_deployment_in_progress_started_timestamp_seconds", &["namespace", "stack"], "When the deployment under way was made, in seconds since 1970; only while one is").beta().on(Fleet),
    Family::new(Gauge, "otternauts_certificate_expiry_timestamp_seconds", &["namespace", "stack", "domain"], "When the certificate of a domain ends, in seconds since 1970").beta().on(Fleet).needs_servers(),
    // What is sampled. Names as cAdvisor has them where it has them.
    Family::new(Gauge, "otternauts_server_sample_success", &["server"], "1: the newest round of samples is complete").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_cpus", &["server"], "Cores of a server").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_memory_total_bytes", &["server"], "Memory of a server").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_containers_memory_bytes", &["server"], "Memory that the containers of a server use, without page cache that is not in use").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_containers_cpu_cores", &["server"], "Cores that the containers of a server keep busy").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_filesystem_avail_bytes", &["server"], "Free bytes of the file system that holds the engine's data").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "otternauts_server_filesystem_size_bytes", &["server"], "Size of the file system that holds the engine's data").beta().on(Containers).needs_servers(),
    Family::new(Counter, "container_cpu_usage_seconds_total", TASK, "CPU time that the container of a slot has used").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "container_memory_working_set_bytes", TASK, "Memory in use, without page cache that is not").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "container_spec_memory_limit_bytes", TASK, "Memory that may be used; that of the machine where there is no limit").beta().on(Containers).needs_servers(),
    Family::new(Counter, "container_network_receive_bytes_total", TASK, "Bytes received").beta().on(Containers).needs_servers(),
    Family::new(Counter, "container_network_transmit_bytes_total", TASK, "Bytes sent").beta().on(Containers).needs_servers(),
    Family::new(Counter, "container_fs_reads_bytes_total", TASK, "Bytes read from disks").beta().on(Containers).needs_servers(),
    Family::new(Counter, "container_fs_writes_bytes_total", TASK, "Bytes written to disks").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "container_processes", TASK, "Processes of a container").beta().on(Containers).needs_servers(),
    Family::new(Gauge, "container_start_time_seconds", TASK, "When the container started, in seconds since 1970").beta().on(Containers).needs_servers(),
];
