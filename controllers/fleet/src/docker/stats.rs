//! What containers use, asked of the engine that runs them: one reading a call, nothing that goes on by itself.

use super::types::{RunningContainer, Usage};
use super::{Docker, explain};
use crate::bareword::path_segment;
use crate::error::{Error, Result};
use bollard::models;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, StatsOptions};
use futures::StreamExt as _;

impl Docker {
    /// The containers that run on this engine.
    pub async fn running_containers(&self) -> Result<Vec<RunningContainer>> {
        let list = self.api.list_containers(None::<ListContainersOptions>).await.map_err(explain)?;
        Ok(list.into_iter().map(RunningContainer::from).collect())
    }

    /// What a container uses now. None when it is gone, or has just stopped.
    pub async fn usage(&self, id: &str) -> Result<Option<Usage>> {
        path_segment("the container id", id)?;
        // Without `one-shot` the engine would wait a second for a reading before this one.
        let options = StatsOptions { stream: false, one_shot: true };
        match Box::pin(self.api.stats(id, Some(options))).next().await.map(|answer| answer.map_err(explain)) {
            Some(Ok(stats)) => Ok(usage(&stats)),
            None | Some(Err(Error::Docker { status: 404 | 409, .. })) => Ok(None),
            Some(Err(e)) => Err(e),
        }
    }

    /// When it was started last, milliseconds since 1970 by the engine's clock.
    pub async fn started_at(&self, id: &str) -> Result<Option<i64>> {
        path_segment("the container id", id)?;
        match self.api.inspect_container(id, None::<InspectContainerOptions>).await.map_err(explain) {
            Ok(found) => Ok(found.state.and_then(|s| s.started_at).as_deref().and_then(millis)),
            Err(Error::Docker { status: 404, .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Milliseconds since 1970. Docker's zero time (year 1) is none.
fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond).filter(|ms| *ms > 0)
}

fn nanos(time: &str) -> Option<i64> {
    let nanos = time.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    i64::try_from(nanos).ok().filter(|n| *n > 0)
}

/// None for a container that does not run: the engine answers zeros.
fn usage(stats: &models::ContainerStatsResponse) -> Option<Usage> {
    let cpu = stats.cpu_stats.as_ref().and_then(|c| c.cpu_usage.as_ref()).and_then(|c| c.total_usage);
    let memory = stats.memory_stats.as_ref();
    let networks = || stats.networks.iter().flatten().map(|(_, n)| n);
    let sum = |of: fn(&models::ContainerNetworkStats) -> Option<u64>| {
        stats.networks.is_some().then(|| networks().filter_map(of).fold(0, u64::saturating_add))
    };
    Some(Usage {
        read_nanos: stats.read.as_deref().and_then(nanos)?,
        cpu_nanos: cpu,
        memory_bytes: memory.and_then(working_set),
        memory_limit: memory.and_then(|m| m.limit).filter(|n| *n > 0),
        received_bytes: sum(|n| n.rx_bytes),
        sent_bytes: sum(|n| n.tx_bytes),
        read_bytes: block(stats, "read"),
        written_bytes: block(stats, "write"),
        processes: stats.pids_stats.as_ref().and_then(|p| p.current),
    })
}

/// As `docker stats` counts: without the page cache that the kernel would give up first.
fn working_set(memory: &models::ContainerMemoryStats) -> Option<u64> {
    let usage = memory.usage?;
    // The first is the name of cgroup v1, where the second does not count children.
    let part = |name: &str| memory.stats.as_ref().and_then(|s| s.get(name)).copied();
    let inactive = part("total_inactive_file").or_else(|| part("inactive_file")).unwrap_or_default();
    Some(if inactive < usage { usage - inactive } else { usage })
}

/// None where the engine does not tell.
fn block(stats: &models::ContainerStatsResponse, op: &str) -> Option<u64> {
    let entries = stats.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref()?;
    let of = |e: &&models::ContainerBlkioStatEntry| e.op.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(op));
    Some(entries.iter().filter(of).filter_map(|e| e.value).fold(0, u64::saturating_add))
}

impl From<models::ContainerSummary> for RunningContainer {
    fn from(c: models::ContainerSummary) -> Self {
        let name = c.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        Self {
            id: c.id.unwrap_or_default(),
            name: name.trim_start_matches('/').to_owned(),
            labels: c.labels.unwrap_or_default().into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        usage(&serde_json::from_str(text).expect("stats"))
    }

    #[test]
    fn a_reading_of_cgroup_v2_is_what_docker_stats_shows() {
        let usage = read(
            r#"{"read":"2026-11-21T07:00:01.5Z","pids_stats":{"current":3},
            "blkio_stats":{"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"read","value":10},
              {"major":8,"minor":16,"op":"read","value":5},{"major":8,"minor":0,"op":"write","value":7}]},
            "cpu_stats":{"cpu_usage":{"total_usage":2500000000},"online_cpus":2},
            "memory_stats":{"usage":1000,"stats":{"inactive_file":300,"anon":600},"limit":5000},
            "networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":10,"tx_bytes":20}}}"#,
        )
        .expect("a running container");
        assert_eq!(usage.read_nanos, 1_795_244_401_500_000_000);
        assert_eq!((usage.cpu_nanos, usage.processes), (Some(2_500_000_000), Some(3)));
        assert_eq!((usage.memory_bytes, usage.memory_limit), (Some(700), Some(5000)));
        assert_eq!((usage.received_bytes, usage.sent_bytes), (Some(11), Some(22)));
        assert_eq!((usage.read_bytes, usage.written_bytes), (Some(15), Some(7)));
    }

    #[test]
    fn what_the_engine_does_not_tell_is_not_zero() {
        let usage =
            read(r#"{"read":"2026-11-21T07:00:01Z","blkio_stats":{"io_service_bytes_recursive":null}}"#).expect("read");
        assert_eq!((usage.cpu_nanos, usage.memory_bytes, usage.received_bytes), (None, None, None));
        assert_eq!((usage.read_bytes, usage.processes), (None, None));
        // A container that stopped between the list and the question.
        assert_eq!(read(r#"{"read":"0001-01-01T00:00:00Z","memory_stats":{},"cpu_stats":{}}"#), None);
    }

    #[test]
    fn a_page_cache_larger_than_the_usage_is_not_subtracted() {
        let usage = read(
            r#"{"read":"2026-11-21T07:00:01Z","memory_stats":{"usage":100,"stats":{"total_inactive_file":300,"inactive_file":1}}}"#,
        );
        assert_eq!(usage.expect("read").memory_bytes, Some(100));
    }
}
