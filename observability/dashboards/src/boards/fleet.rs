//! What people look at first, and what runs on the servers.

use super::{Board, lines, number, table};

#[rustfmt::skip]
pub const BOARDS: &[Board] = &[
    Board {
        uid: "mission-control", title: "Mission Control", description: "Is everything well? Error budget, servers, stacks, deployments, rules that fire, certificates.",
        panels: &[
            number("Write availability, 30 d", "percentunit", "Share of writes answered without an error of the server and within a second; the objective is 99.9 %.", &[(r#"apiserver_request:availability30d{verb="write"}"#, "write")]),
            number("Read availability, 30 d", "percentunit", "Share of reads answered without an error of the server and in time; the objective is 99.9 %.", &[(r#"apiserver_request:availability30d{verb="read"}"#, "read")]),
            number("Servers ready", "percentunit", "Share of Servers that are Ready.", &[("otternauts:server_ready:ratio", "ready")]),
            number("Deployments that succeed, 1 h", "percentunit", "Share of ended deployments that succeeded; the objective is 99 %.", &[("otternauts:deployment_success:ratio_rate1h", "success")]),
            lines("Error budget burn", "percentunit", "Share of requests that failed or were late, over an hour; 0.1 % uses the budget up exactly.", &[("apiserver_request:burnrate1h", "{{verb}}")]),
            lines("Servers by condition", "short", "Servers for which a condition is True.", &[(r#"sum by (condition) (otternauts_server_status_condition{%J,status="true"})"#, "{{condition}}")]),
            lines("Stacks by condition", "short", "Stacks for which a condition is True.", &[(r#"sum by (condition) (otternauts_stack_status_condition{%J,status="true"})"#, "{{condition}}")]),
            lines("Deployments per hour", "short", "Ended deployments by result.", &[("sum by (result) (increase(otternauts_deployments_total{%J}[1h]))", "{{result}}")]),
            table("Rules that fire", "short", "HealRules whose condition holds now.", &[("otternauts_heal_rule_firing{%J} == 1", "{{rule}}")]),
            table("Certificates", "s", "Time left until the certificates of domains end.", &[("sort(otternauts_certificate_expiry_timestamp_seconds{%J} - time())", "{{domain}}")]),
            number("Scraped", "short", "Pages of this control plane that Prometheus reaches.", &[("sum(up{%J})", "pages")]),
        ],
    },
    Board {
        uid: "fleet", title: "Fleet", description: "Servers: what they are, how they do, how fast they answer.",
        panels: &[
            table("Servers", "short", "What is known of each Server.", &[("otternauts_server_info{%J}", "{{server}}")]),
            lines("Ready", "short", "1 while a Server is Ready.", &[(r#"otternauts_server_status_condition{%J,condition="Ready",status="true"}"#, "{{server}}")]),
            lines("Last seen", "s", "Time since a Server was heard of.", &[("time() - otternauts_server_last_seen_timestamp_seconds{%J}", "{{server}}")]),
            lines("CPU of containers", "short", "Cores that the containers of a server keep busy.", &[("otternauts_server_containers_cpu_cores{%J}", "{{server}}"), ("otternauts_server_cpus{%J}", "{{server}} has")]),
            lines("Memory of containers", "bytes", "Memory that the containers of a server use, and what it has.", &[("otternauts_server_containers_memory_bytes{%J}", "{{server}}"), ("otternauts_server_memory_total_bytes{%J}", "{{server}} has")]),
            lines("Disk free", "percentunit", "Free share of the engine's disk.", &[("otternauts_server_filesystem_avail_bytes{%J} / otternauts_server_filesystem_size_bytes{%J}", "{{server}}")]),
            lines("Samples", "short", "1 while the samples of a server are complete.", &[("otternauts_server_sample_success{%J}", "{{server}}")]),
            lines("Tasks by server", "short", "Containers of Stacks that run on a server.", &[("count by (server) (container_start_time_seconds{%J})", "{{server}}")]),
            lines("SSH connections", "short", "Open SSH connections.", &[("otternauts_ssh_sessions{%J}", "open")]),
            lines("SSH connect", "s", "Time to connect and log in.", &[("histogram_quantile(0.95, sum by (le, result) (rate(otternauts_ssh_connect_seconds_bucket{%J}[$__rate_interval])))", "{{result}} p95")]),
            lines("Remote commands", "s", "Time of remote commands.", &[("histogram_quantile(0.95, sum by (le, command) (rate(otternauts_ssh_command_seconds_bucket{%J}[$__rate_interval])))", "{{command}} p95")]),
            lines("Docker calls", "s", "Time until an engine begins to answer.", &[("histogram_quantile(0.95, sum by (le, operation) (rate(otternauts_docker_request_seconds_bucket{%J}[$__rate_interval])))", "{{operation}} p95")]),
            lines("Onboarding steps", "s", "Mean time of the steps of onboarding.", &[("sum by (step) (rate(otternauts_onboarding_step_seconds_sum{%J}[$__rate_interval])) / sum by (step) (rate(otternauts_onboarding_step_seconds_count{%J}[$__rate_interval]))", "{{step}}")]),
            lines("Changed host keys", "short", "Connections refused because a host key had changed.", &[("sum by (server) (increase(otternauts_ssh_host_key_mismatch_total{%J}[$__rate_interval]))", "{{server}}")]),
        ],
    },
    Board {
        uid: "stacks", title: "Stacks", description: "Stacks and their services: replicas, failures, what their tasks use, deployments.",
        panels: &[
            table("Stacks", "short", "Every Stack and its cluster.", &[("otternauts_stack_info{%J}", "{{namespace}}/{{stack}}")]),
            lines("Ready", "short", "1 while a Stack is Ready.", &[(r#"otternauts_stack_status_condition{%J,condition="Ready",status="true"}"#, "{{namespace}}/{{stack}}")]),
            lines("Replicas", "short", "Tasks that run, and that should.", &[("otternauts_service_replicas_running{%J}", "{{stack}}/{{service}} runs"), ("otternauts_service_replicas_desired{%J}", "{{stack}}/{{service}} wanted")]),
            lines("Tasks missing", "short", "Tasks that should run and do not.", &[("otternauts_service_replicas_desired{%J} - otternauts_service_replicas_running{%J}", "{{stack}}/{{service}}")]),
            lines("Failed tasks", "short", "Containers that ended though nobody wanted it.", &[("sum by (stack, service, reason) (increase(otternauts_service_task_failures_total{%J}[$__rate_interval]))", "{{stack}}/{{service}} {{reason}}")]),
            lines("CPU", "short", "Cores that a task keeps busy.", &[("sum by (stack, service, slot) (rate(container_cpu_usage_seconds_total{%J}[$__rate_interval]))", "{{stack}}/{{service}}.{{slot}}")]),
            lines("Memory", "bytes", "Memory of a task.", &[("container_memory_working_set_bytes{%J}", "{{stack}}/{{service}}.{{slot}}"), ("container_spec_memory_limit_bytes{%J}", "{{stack}}/{{service}}.{{slot}} limit")]),
            lines("Network", "Bps", "Bytes that a task receives and sends.", &[("sum by (stack, service) (rate(container_network_receive_bytes_total{%J}[$__rate_interval]))", "{{stack}}/{{service}} in"), ("-sum by (stack, service) (rate(container_network_transmit_bytes_total{%J}[$__rate_interval]))", "{{stack}}/{{service}} out")]),
            lines("Disk", "Bps", "Bytes that a task reads and writes.", &[("sum by (stack, service) (rate(container_fs_reads_bytes_total{%J}[$__rate_interval]))", "{{stack}}/{{service}} read"), ("-sum by (stack, service) (rate(container_fs_writes_bytes_total{%J}[$__rate_interval]))", "{{stack}}/{{service}} written")]),
            lines("Deployments", "short", "Ended deployments by trigger and result.", &[("sum by (trigger, result) (increase(otternauts_deployments_total{%J}[$__rate_interval]))", "{{trigger}} {{result}}")]),
            lines("Time of a deployment", "s", "From its creation to its end.", &[("histogram_quantile(0.95, sum by (le, result) (rate(otternauts_deployment_seconds_bucket{%J}[$__rate_interval])))", "{{result}} p95")]),
            lines("Under way since", "s", "How long deployments have been under way.", &[("time() - otternauts_deployment_in_progress_started_timestamp_seconds{%J}", "{{namespace}}/{{stack}}")]),
            lines("Requests at the proxy", "reqps", "Requests through Traefik, where it is scraped.", &[("sum by (service, code) (rate(traefik_service_requests_total[$__rate_interval]))", "{{service}} {{code}}")]),
        ],
    },
    Board {
        uid: "ingress", title: "Ingress", description: "What comes in: requests, errors, times, certificates. Needs Traefik's own metrics to be scraped.",
        panels: &[
            lines("Requests by router", "reqps", "Requests that came in.", &[("sum by (router, code) (rate(traefik_router_requests_total[$__rate_interval]))", "{{router}} {{code}}")]),
            lines("Errors by service", "percentunit", "Share of requests answered with a 5xx.", &[(r#"sum by (service) (rate(traefik_service_requests_total{code=~"5.."}[$__rate_interval])) / sum by (service) (rate(traefik_service_requests_total[$__rate_interval]))"#, "{{service}}")]),
            lines("Time by service", "s", "Time to answer.", &[("histogram_quantile(0.99, sum by (le, service) (rate(traefik_service_request_duration_seconds_bucket[$__rate_interval])))", "{{service}} p99")]),
            lines("Servers behind a service", "short", "1 while the proxy holds a task for well.", &[("traefik_service_server_up", "{{service}} {{url}}")]),
            lines("Certificates end in", "s", "Time left until the certificates of domains end.", &[("otternauts_certificate_expiry_timestamp_seconds{%J} - time()", "{{domain}}")]),
            number("Certificates that end in 30 d", "short", "Domains whose certificate ends within 30 days.", &[("count(otternauts_certificate_expiry_timestamp_seconds{%J} - time() < 30 * 86400) or vector(0)", "domains")]),
        ],
    },
    Board {
        uid: "healing", title: "Healing", description: "HealRules: what they look at, what they do, and whether it helps.",
        panels: &[
            lines("Looks", "ops", "Evaluations by what they saw.", &[("sum by (result) (rate(otternauts_heal_evaluations_total{%J}[$__rate_interval]))", "{{result}}")]),
            lines("Firing", "short", "1 while the condition of a rule holds.", &[("otternauts_heal_rule_firing{%J}", "{{rule}}")]),
            lines("Actions", "short", "Actions by rule and result.", &[("sum by (rule, action, result) (increase(otternauts_heal_actions_total{%J}[$__rate_interval]))", "{{rule}} {{action}} {{result}}")]),
            table("Actions of the last day", "short", "How often each rule acted.", &[(r#"sum by (rule, action) (increase(otternauts_heal_actions_total{%J,result="done"}[1d]))"#, "{{rule}}")]),
            lines("Failed tasks beside it", "short", "Containers that ended though nobody wanted it: before and after an action.", &[("sum by (stack, service) (increase(otternauts_service_task_failures_total{%J}[$__rate_interval]))", "{{stack}}/{{service}}")]),
            lines("CPU beside it", "short", "Cores that services keep busy: before and after an action.", &[("sum by (stack, service) (rate(container_cpu_usage_seconds_total{%J}[$__rate_interval]))", "{{stack}}/{{service}}")]),
            lines("Memory beside it", "bytes", "Memory of services: before and after an action.", &[("sum by (stack, service) (container_memory_working_set_bytes{%J})", "{{stack}}/{{service}}")]),
            lines("Messages", "ops", "Attempts to tell people and programs.", &[("sum by (channel, result) (rate(otternauts_notifications_total{%J}[$__rate_interval]))", "{{channel}} {{result}}")]),
        ],
    },
];
