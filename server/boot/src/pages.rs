//! The pages of metrics that are written from objects and samples: `/metrics/fleet`, `/metrics/containers`. Nothing runs and nothing
//! is kept between scrapes, but for the sampling that a scrape of `/metrics/containers` keeps alive for a while.

mod containers;
mod objects;

use containers::Containers;
use objects::Objects;
use otternauts_fleet::Fleet;
use otternauts_http::MetricsPages;
use otternauts_meta::Status;
use otternauts_registry::Registry;
use otternauts_telemetry::Scraped;
use otternauts_telemetry::names::Page;
use serde_json::Value;
use std::pin::Pin;

/// What the pages are written from.
pub struct Pages {
    objects: Objects,
    fleet: Fleet,
    containers: Containers,
}

impl Pages {
    pub fn new(registry: Registry, fleet: Fleet) -> Self {
        Self { objects: Objects::new(registry), containers: Containers::new(fleet.clone()), fleet }
    }

    async fn fleet(&self, out: &mut Scraped) -> Result<(), Status> {
        let followed = |name: &str| self.fleet.followed(name).is_some();
        self.objects.each("servers", |server| write_server(&server, &followed, out)).await?;
        self.objects.each("stacks", |stack| write_stack(&stack, out)).await?;
        self.objects.each("deployments", |deployment| write_deployment(&deployment, out)).await
    }
}

impl MetricsPages for Pages {
    fn fill<'a>(
        &'a self,
        page: Page,
        out: &'a mut Scraped,
    ) -> Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>> {
        Box::pin(async move {
            match page {
                Page::Fleet => self.fleet(out).await,
                Page::Containers => {
                    let mut names = containers::Names::new();
                    self.objects.each("stacks", |stack| names.extend(containers::swarm_name(&stack))).await?;
                    self.containers.fill(&names, out);
                    Ok(())
                }
                Page::Main | Page::Slis => Ok(()),
            }
        })
    }
}

fn write_server(server: &Value, followed: &impl Fn(&str) -> bool, out: &mut Scraped) {
    let (spec, status, name) = (&server["spec"], &server["status"], text(&server["metadata"]["name"]));
    let cluster = Some(text(&spec["clusterRef"]["name"])).filter(|c| !c.is_empty()).unwrap_or("default");
    let role = Some(text(&status["swarmRole"])).filter(|r| !r.is_empty()).unwrap_or(text(&spec["role"]));
    let labels = [name, cluster, role, text(&status["os"]), text(&status["dockerVersion"])];
    out.sample("otternauts_server_info", &labels, 1.0);
    conditions(out, "otternauts_server_status_condition", &[name], status);
    // A server whose events we hear is seen now; of others the object says when they were.
    let seen = if followed(name) { Some(jiff::Timestamp::now().as_second()) } else { seconds(&status["lastSeen"]) };
    if let Some(seen) = seen {
        out.sample("otternauts_server_last_seen_timestamp_seconds", &[name], float(seen));
    }
}

fn write_stack(stack: &Value, out: &mut Scraped) {
    let (metadata, status) = (&stack["metadata"], &stack["status"]);
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let cluster = Some(text(&stack["spec"]["clusterRef"]["name"])).filter(|c| !c.is_empty()).unwrap_or("default");
    out.sample("otternauts_stack_info", &[namespace, name, cluster], 1.0);
    conditions(out, "otternauts_stack_status_condition", &[namespace, name], status);
    for service in status["services"].as_array().into_iter().flatten() {
        let labels = [namespace, name, text(&service["name"])];
        for (family, field) in
            [("otternauts_service_replicas_desired", "desired"), ("otternauts_service_replicas_running", "running")]
        {
            out.sample(family, &labels, service[field].as_f64().unwrap_or_default());
        }
    }
    // A domain with several paths has one certificate.
    for domain in status["domains"].as_array().into_iter().flatten() {
        let host = text(&domain["host"]);
        if let Some(end) = seconds(&domain["notAfter"]) {
            out.sample("otternauts_certificate_expiry_timestamp_seconds", &[namespace, name, host], float(end));
        }
    }
}

fn write_deployment(deployment: &Value, out: &mut Scraped) {
    let (metadata, phase) = (&deployment["metadata"], text(&deployment["status"]["phase"]));
    // A Deployment without a snapshot waits for its Stack; it is not under way.
    if !matches!(phase, "" | "pending" | "running") || deployment["spec"]["snapshot"].is_null() {
        return;
    }
    if let Some(made) = seconds(&metadata["creationTimestamp"]) {
        let labels = [text(&metadata["namespace"]), text(&deployment["spec"]["stackRef"]["name"])];
        out.sample("otternauts_deployment_in_progress_started_timestamp_seconds", &labels, float(made));
    }
}

fn conditions(out: &mut Scraped, family: &'static str, of: &[&str], status: &Value) {
    for condition in status["conditions"].as_array().into_iter().flatten() {
        out.condition(family, &[of, &[text(&condition["type"])]].concat(), text(&condition["status"]));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A time of the API in seconds since 1970.
fn seconds(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
fn float(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests;
