//! Servers, stacks and what runs in them.

use super::Alert;

#[rustfmt::skip]
pub const ALERTS: &[Alert] = &[
    Alert::new("OtternautsServerNotReady", "warning", "5m", r#"max by (server) (otternauts_server_status_condition{condition="Ready",status="true"}) == 0"#)
        .says("Server {{ $labels.server }} is not ready", "{{ $labels.server }} has not been Ready for 5 minutes; its conditions say why (kubectl describe server {{ $labels.server }}).")
        .fires("8m", &[(r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="true"}"#, "1 0x20")], &[("server", "harbour")])
        .quiet(&[(r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="true"}"#, "0x6 1x20")]),
    Alert::new("OtternautsServerFlapping", "warning", "0m", r#"max by (server) (changes(otternauts_server_status_condition{condition="Ready",status="true"}[15m])) > 3"#)
        .says("Server {{ $labels.server }} comes and goes", "{{ $labels.server }} changed between Ready and not Ready more than three times within 15 minutes.")
        .fires("10m", &[(r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="true"}"#, "1 0 1 0 1 0 1x20")], &[("server", "harbour")])
        .quiet(&[(r#"otternauts_server_status_condition{server="harbour",condition="Ready",status="true"}"#, "1 1 1 0 0 0 1x20")]),
    Alert::new("OtternautsAllManagersUnreachable", "critical", "1m", "otternauts:managers_ready:count == 0")
        .says("No manager of cluster {{ $labels.cluster }} answers", "What runs there keeps running, but nothing can be deployed, scaled or healed.")
        .fires("3m", &[(r#"otternauts:managers_ready:count{cluster="main"}"#, "0x10")], &[("cluster", "main")])
        .quiet(&[(r#"otternauts:managers_ready:count{cluster="main"}"#, "1x10")]),
    Alert::new("OtternautsSwarmQuorumAtRisk", "warning", "5m", "otternauts:managers_ready:count <= (floor(otternauts:managers:count / 2) + 1) and otternauts:managers:count >= 3")
        .says("Cluster {{ $labels.cluster }} cannot lose another manager", "Just enough managers are Ready for a majority: if one more goes, the swarm takes no changes.")
        .fires("8m", &[(r#"otternauts:managers_ready:count{cluster="main"}"#, "2x20"), (r#"otternauts:managers:count{cluster="main"}"#, "3x20")], &[("cluster", "main")])
        .quiet(&[(r#"otternauts:managers_ready:count{cluster="main"}"#, "3x20"), (r#"otternauts:managers:count{cluster="main"}"#, "3x20")]),
    Alert::new("OtternautsSwarmQuorumLost", "critical", "1m", "otternauts:managers_ready:count < (floor(otternauts:managers:count / 2) + 1) and otternauts:managers:count >= 3")
        .says("Cluster {{ $labels.cluster }} has lost its majority", "Fewer managers are Ready than a majority needs: the swarm takes no changes, what runs keeps running.")
        .fires("4m", &[(r#"otternauts:managers_ready:count{cluster="main"}"#, "1x20"), (r#"otternauts:managers:count{cluster="main"}"#, "3x20")], &[("cluster", "main")])
        .quiet(&[(r#"otternauts:managers_ready:count{cluster="main"}"#, "2x20"), (r#"otternauts:managers:count{cluster="main"}"#, "3x20")]),
    Alert::new("OtternautsHostKeyMismatch", "critical", "0m", "sum by (server) (increase(otternauts_ssh_host_key_mismatch_total[10m])) > 0 or sum by (server) (otternauts_ssh_host_key_mismatch_total unless otternauts_ssh_host_key_mismatch_total offset 10m) > 0")
        .says("Server {{ $labels.server }} shows another host key", "The SSH host key of {{ $labels.server }} is not the confirmed one. All work on it has stopped: it was reinstalled, or somebody stands in between.")
        .fires("5m", &[(r#"otternauts_ssh_host_key_mismatch_total{server="harbour"}"#, "_x3 1x20")], &[("server", "harbour")])
        .quiet(&[(r#"otternauts_ssh_host_key_mismatch_total{server="harbour"}"#, "0x20")]),
    Alert::new("OtternautsDiskFillingUp", "warning", "1h", "predict_linear(otternauts_server_filesystem_avail_bytes[6h], 24 * 3600) < 0 and otternauts_server_filesystem_avail_bytes / otternauts_server_filesystem_size_bytes < 0.15")
        .says("The disk of {{ $labels.server }} fills up", "At this rate the engine's disk of {{ $labels.server }} is full within a day, and less than 15 % is free.")
        .fires("8h", &[(r#"otternauts_server_filesystem_avail_bytes{server="harbour"}"#, "10000-16x600"), (r#"otternauts_server_filesystem_size_bytes{server="harbour"}"#, "100000x600")], &[("server", "harbour")])
        .quiet(&[(r#"otternauts_server_filesystem_avail_bytes{server="harbour"}"#, "10000x600"), (r#"otternauts_server_filesystem_size_bytes{server="harbour"}"#, "100000x600")]),
    Alert::new("OtternautsMemory", "warning", "15m", "otternauts_server_containers_memory_bytes / otternauts_server_memory_total_bytes > 0.9")
        .says("The containers of {{ $labels.server }} need nearly all its memory", "The kernel will soon end one of them (reason OOMKilled).")
        .fires("20m", &[(r#"otternauts_server_containers_memory_bytes{server="harbour"}"#, "950x30"), (r#"otternauts_server_memory_total_bytes{server="harbour"}"#, "1000x30")], &[("server", "harbour")])
        .quiet(&[(r#"otternauts_server_containers_memory_bytes{server="harbour"}"#, "500x30"), (r#"otternauts_server_memory_total_bytes{server="harbour"}"#, "1000x30")]),
    Alert::new("OtternautsServiceReplicasMismatch", "warning", "15m", "otternauts_service_replicas_running < otternauts_service_replicas_desired")
        .says("Service {{ $labels.service }} of {{ $labels.namespace }}/{{ $labels.stack }} has too few tasks", "Fewer tasks than wanted have been running for 15 minutes.")
        .fires("20m", &[(r#"otternauts_service_replicas_running{namespace="shop",stack="web",service="api"}"#, "1x30"), (r#"otternauts_service_replicas_desired{namespace="shop",stack="web",service="api"}"#, "2x30")], &[("namespace", "shop"), ("stack", "web"), ("service", "api")])
        .quiet(&[(r#"otternauts_service_replicas_running{namespace="shop",stack="web",service="api"}"#, "1x10 2x20"), (r#"otternauts_service_replicas_desired{namespace="shop",stack="web",service="api"}"#, "2x30")]),
    Alert::new("OtternautsServiceCrashLooping", "warning", "0m", "sum by (namespace, stack, service) (increase(otternauts_service_task_failures_total[1h])) > 5")
        .says("Service {{ $labels.service }} of {{ $labels.namespace }}/{{ $labels.stack }} crashes again and again", "More than five of its tasks failed within an hour; status.services[].lastFailure of the Stack has the end of its log.")
        .fires("30m", &[(r#"otternauts_service_task_failures_total{namespace="shop",stack="web",service="api",reason="exit"}"#, "0+1x40")], &[("namespace", "shop"), ("stack", "web"), ("service", "api")])
        .quiet(&[(r#"otternauts_service_task_failures_total{namespace="shop",stack="web",service="api",reason="exit"}"#, "0x10 2x40")]),
    Alert::new("OtternautsDeploymentStuck", "warning", "0m", "time() - otternauts_deployment_in_progress_started_timestamp_seconds > 900")
        .says("A deployment of {{ $labels.namespace }}/{{ $labels.stack }} does not end", "It has been under way for more than 15 minutes.")
        .fires("20m", &[(r#"otternauts_deployment_in_progress_started_timestamp_seconds{namespace="shop",stack="web"}"#, "60x30")], &[("namespace", "shop"), ("stack", "web")])
        .quiet(&[(r#"otternauts_deployment_in_progress_started_timestamp_seconds{namespace="shop",stack="web"}"#, "900x30")]),
    Alert::new("OtternautsDeploymentsFailingOften", "warning", "0m", r#"sum(increase(otternauts_deployments_total{result="succeeded"}[6h])) / sum(increase(otternauts_deployments_total{result!="superseded"}[6h])) < 0.9"#)
        .says("Many deployments fail", "Fewer than nine in ten deployments of the last six hours succeeded.")
        .fires("1h", &[(r#"otternauts_deployments_total{result="succeeded"}"#, "0+1x90"), (r#"otternauts_deployments_total{result="failed"}"#, "0+1x90")], &[])
        .quiet(&[(r#"otternauts_deployments_total{result="succeeded"}"#, "0+1x90"), (r#"otternauts_deployments_total{result="superseded"}"#, "0+1x90"), (r#"otternauts_deployments_total{result="failed"}"#, "0x90")]),
    Alert::new("OtternautsCertificateExpiring", "warning", "1h", "otternauts_certificate_expiry_timestamp_seconds - time() < 14 * 86400")
        .says("The certificate of {{ $labels.domain }} ends soon", "It ends in less than 14 days and should have been renewed.")
        .fires("70m", &[(r#"otternauts_certificate_expiry_timestamp_seconds{namespace="shop",stack="web",domain="a.example"}"#, "864000x90")], &[("namespace", "shop"), ("stack", "web"), ("domain", "a.example")])
        .quiet(&[(r#"otternauts_certificate_expiry_timestamp_seconds{namespace="shop",stack="web",domain="a.example"}"#, "2592000x90")]),
    Alert::new("OtternautsCertificateAboutToEnd", "critical", "1h", "otternauts_certificate_expiry_timestamp_seconds - time() < 3 * 86400")
        .says("The certificate of {{ $labels.domain }} is about to end", "It ends in less than 3 days: browsers will then refuse the domain.")
        .fires("70m", &[(r#"otternauts_certificate_expiry_timestamp_seconds{namespace="shop",stack="web",domain="a.example"}"#, "172800x90")], &[("namespace", "shop"), ("stack", "web"), ("domain", "a.example")])
        .quiet(&[(r#"otternauts_certificate_expiry_timestamp_seconds{namespace="shop",stack="web",domain="a.example"}"#, "864000x90")]),
    Alert::new("OtternautsIngressErrors", "warning", "10m", r#"sum by (service) (rate(traefik_service_requests_total{code=~"5.."}[5m])) / sum by (service) (rate(traefik_service_requests_total[5m])) > 0.05"#)
        .says("Requests to {{ $labels.service }} fail at the proxy", "More than one in twenty requests through the ingress was answered with a 5xx.")
        .fires("15m", &[(r#"traefik_service_requests_total{service="web",code="502"}"#, "0+60x30"), (r#"traefik_service_requests_total{service="web",code="200"}"#, "0+60x30")], &[("service", "web")])
        .quiet(&[(r#"traefik_service_requests_total{service="web",code="502"}"#, "0x30"), (r#"traefik_service_requests_total{service="web",code="200"}"#, "0+60x30")]),
];
