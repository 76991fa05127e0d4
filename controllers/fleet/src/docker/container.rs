//! One container, asked of the engine that runs it.

use super::types::{Container, TaskContainer};
use super::{Docker, explain};
use crate::bareword::path_segment;
use crate::error::{Error, Result};
use crate::output::tail;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{self, ExecConfig};
use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions, ListContainersOptions};
use futures::StreamExt as _;
use std::collections::HashMap;
use std::net::IpAddr;

/// Failed checks in a row that make a container unhealthy, where its check does not say.
const DEFAULT_RETRIES: i64 = 3;

impl Docker {
    /// The running containers of Swarm's tasks on this engine, at most 10,000.
    pub async fn swarm_containers(&self) -> Result<Vec<TaskContainer>> {
        let found = self.running("com.docker.swarm.task.id".to_owned(), 10_000).await?;
        Ok(found.into_iter().map(TaskContainer::from).collect())
    }

    /// The ids of the running containers of one service on this engine, at most 1,000: only they are asked for.
    pub async fn containers_of(&self, swarm_service: &str) -> Result<Vec<String>> {
        let found = self.running(format!("com.docker.swarm.service.name={swarm_service}"), 1_000).await?;
        Ok(found.into_iter().filter_map(|c| c.id).collect())
    }

    async fn running(&self, label: String, most: i32) -> Result<Vec<models::ContainerSummary>> {
        // A list with a limit has those that ended as well, unless it is told.
        let status = ("status".to_owned(), vec!["running".to_owned()]);
        let filters = HashMap::from([("label".to_owned(), vec![label]), status]);
        let options =
            ListContainersOptions { filters: Some(filters), limit: Some(most), ..ListContainersOptions::default() };
        self.api.list_containers(Some(options)).await.map_err(explain)
    }

    /// Where the server itself reaches a container of a task: its address on the gateway network. None when it is not on it.
    pub async fn gateway_address(&self, id: &str) -> Result<Option<IpAddr>> {
        let network =
            self.api.inspect_network("docker_gwbridge", None::<InspectNetworkOptions>).await.map_err(explain)?;
        let text = network.containers.and_then(|mut all| all.remove(id)?.ipv4_address);
        Ok(text.and_then(|t| t.split('/').next()?.parse().ok()))
    }

    /// Runs a command in a container: its exit code and the end of what it wrote.
    pub async fn run_in(&self, id: &str, words: &[String]) -> Result<(i64, String)> {
        path_segment("the container id", id)?;
        let config = ExecConfig {
            cmd: Some(words.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.api.create_exec(id, config).await.map_err(explain)?.id;
        let mut output = String::new();
        if let StartExecResults::Attached { output: mut lines, .. } =
            self.api.start_exec(&exec, None::<StartExecOptions>).await.map_err(explain)?
        {
            while let Some(line) = lines.next().await {
                let line = line.map_err(explain)?;
                if output.len() < 64 * 1024 {
                    output.push_str(&String::from_utf8_lossy(line.as_ref()));
                }
            }
        }
        let ended = self.api.inspect_exec(&exec).await.map_err(explain)?;
        Ok((ended.exit_code.unwrap_or(-1), output))
    }

    /// None when this engine has no such container (any more).
    pub async fn container(&self, id: &str) -> Result<Option<Container>> {
        path_segment("the container id", id)?;
        match self.api.inspect_container(id, None::<InspectContainerOptions>).await.map_err(explain) {
            Ok(found) => {
                let retries = found.config.and_then(|c| c.healthcheck?.retries).filter(|r| *r > 0);
                Ok(Some(container(found.state.unwrap_or_default(), retries.unwrap_or(DEFAULT_RETRIES))))
            }
            Err(Error::Docker { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl From<models::ContainerSummary> for TaskContainer {
    fn from(c: models::ContainerSummary) -> Self {
        // `Up 3 minutes (unhealthy)`: older engines say it nowhere else in a list.
        let status = c.status.unwrap_or_default();
        Self {
            id: c.id.unwrap_or_default(),
            labels: c.labels.unwrap_or_default().into_iter().collect(),
            healthy: status.ends_with("(healthy)"),
            unhealthy: status.ends_with("(unhealthy)"),
        }
    }
}

fn container(state: models::ContainerState, retries: i64) -> Container {
    let health = state.health.unwrap_or_default();
    Container {
        running: state.running.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        exit_code: state.exit_code,
        error: state.error.unwrap_or_default(),
        unhealthy: health.failing_streak.is_some_and(|failures| failures >= retries),
        health_log: health
            .log
            .unwrap_or_default()
            .into_iter()
            .filter_map(|r| r.output)
            .map(|text| tail(crate::output::clean(text.as_bytes()).trim(), 1024).to_owned())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_died_is_not_unhealthy_though_the_engine_says_so() {
        let dead = |streak: i64| {
            let text = format!(
                r#"{{"Running":false,"ExitCode":137,"Health":{{"Status":"unhealthy","FailingStreak":{streak},"Log":[{{"ExitCode":0,"Output":"fine\n"}}]}}}}"#
            );
            container(serde_json::from_str(&text).expect("a state"), DEFAULT_RETRIES)
        };
        assert!(!dead(0).unhealthy && !dead(2).unhealthy);
        assert!(dead(3).unhealthy);
        assert_eq!(dead(3).health_log, ["fine"]);
    }
}
