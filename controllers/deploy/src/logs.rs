//! The log of a Stack: the lines of its tasks, merged, from whichever manager answers.

use crate::error::{Error, Result};
use crate::inputs::cluster_of;
use crate::swarm::{Swarm, stack_name};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::{Api, Client};
use otternauts_fleet::Fleet;
use otternauts_fleet::docker::{LogChunk, LogOptions};
use otternauts_types::Stack;
use std::time::Duration;

/// Most lines and bytes gathered before they are put in order; a following reader gets lines as they come.
const MAX_LINES: usize = 20_000;
const MAX_BYTES: usize = 8 << 20;
/// A stream that ends by itself but is silent for this long has nothing more to say.
const SILENCE: Duration = Duration::from_secs(5);

/// Which lines of which service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Empty: every service of the stack, each line with its service's name before it.
    pub service: String,
    /// Go on as new lines are written.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail_lines: Option<u64>,
    /// Of the task that ended last instead of those that run.
    pub previous: bool,
    pub timestamps: bool,
    pub since_seconds: Option<u64>,
}

/// Why there is no log.
#[derive(Debug)]
pub enum LogProblem {
    /// No such service, or nothing of it has run.
    NotFound(String),
    /// No manager of the cluster can be reached now.
    Unavailable(String),
}

/// Lines, each with its line feed. Dropping the stream stops the reading.
pub type LogLines = BoxStream<'static, Result<String>>;

impl From<Error> for LogProblem {
    fn from(error: Error) -> Self {
        Self::Unavailable(error.chain())
    }
}

/// Opens the log of a Stack.
pub async fn open(
    client: &Client,
    fleet: &Fleet,
    namespace: &str,
    stack: &str,
    request: &LogRequest,
) -> std::result::Result<LogLines, LogProblem> {
    let api: Api<Stack> = Api::namespaced(client.clone(), namespace);
    let object = api.get_opt(stack).await.map_err(Error::api("read the Stack"))?;
    let Some(object) = object else { return Err(LogProblem::NotFound(format!("stack {stack:?} does not exist"))) };
    let swarm = Swarm::of(client, fleet, cluster_of(&object)).await?;
    let name = stack_name(&otternauts_compose::swarm_stack_name(namespace, stack))?;
    let running = swarm.running(&name).await?;
    let mut services: Vec<_> = running.services.iter().collect();
    if !request.service.is_empty() {
        services.retain(|s| s.name == request.service);
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    if services.is_empty() {
        let what = match request.service.as_str() {
            "" => format!("stack {stack:?} has no running service"),
            service => format!("stack {stack:?} has no running service {service:?}"),
        };
        return Err(LogProblem::NotFound(what));
    }
    // In order of time when everything is at hand; Docker's own `tail` counts for each task.
    let options = LogOptions {
        follow: request.follow,
        timestamps: request.timestamps || !request.follow,
        tail: request.tail_lines.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        since: since(request.since_seconds),
    };
    let named = request.service.is_empty() && services.len() > 1;
    let mut streams = Vec::new();
    for service in services {
        let prefix = if named { format!("{} | ", service.name) } else { String::new() };
        if request.previous {
            let ended =
                service.tasks.iter().filter(|t| !t.wanted || !matches!(t.state, crate::observed::TaskState::Running));
            let Some(task) = ended.max_by(|a, b| a.timestamp.cmp(&b.timestamp)) else { continue };
            streams.push(lines(swarm.task_log(&task.id, &options)?, prefix));
        } else {
            streams.push(lines(swarm.service_log(&service.id, &options)?, prefix));
        }
    }
    if streams.is_empty() {
        return Err(LogProblem::NotFound(format!("no task of stack {stack:?} has ended")));
    }
    let merged = futures::stream::select_all(streams);
    if request.follow {
        return Ok(merged.map(|line| line.map(|(prefix, text)| format!("{prefix}{text}\n"))).boxed());
    }
    let lines = in_order(gather(merged).await?, request);
    Ok(futures::stream::iter(lines.into_iter().map(Ok)).boxed())
}

fn since(seconds: Option<u64>) -> i32 {
    let Some(seconds) = seconds.and_then(|s| i64::try_from(s).ok()) else { return 0 };
    i32::try_from(jiff::Timestamp::now().as_second().saturating_sub(seconds).max(0)).unwrap_or(i32::MAX)
}

type Line = (String, String);

/// Chunks of one stream, cut into lines.
fn lines(
    chunks: BoxStream<'static, otternauts_fleet::Result<LogChunk>>,
    prefix: String,
) -> BoxStream<'static, Result<Line>> {
    let cut = move |chunk: otternauts_fleet::Result<LogChunk>| -> Vec<Result<Line>> {
        match chunk {
            Ok(chunk) => chunk.text.lines().map(|l| Ok((prefix.clone(), l.to_owned()))).collect(),
            Err(e) => vec![Err(Error::swarm("read a log")(e))],
        }
    };
    chunks.flat_map(move |chunk| futures::stream::iter(cut(chunk))).boxed()
}

async fn gather(mut merged: impl futures::Stream<Item = Result<Line>> + Unpin) -> Result<Vec<Line>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    while all.len() < MAX_LINES && bytes < MAX_BYTES {
        match tokio::time::timeout(SILENCE, merged.next()).await {
            Ok(Some(line)) => {
                let line = line?;
                bytes += line.1.len();
                all.push(line);
            }
            Ok(None) | Err(_) => break,
        }
    }
    Ok(all)
}

/// Lines begin with their time: sorted by it, cut to the tail, and without it unless it was asked for.
fn in_order(mut all: Vec<Line>, request: &LogRequest) -> Vec<String> {
    let time = |line: &str| line.split_once(' ').map_or(line, |(time, _)| time).to_owned();
    all.sort_by_cached_key(|(_, line)| time(line));
    let skip = request.tail_lines.and_then(|n| usize::try_from(n).ok()).map_or(0, |n| all.len().saturating_sub(n));
    let shown = all.into_iter().skip(skip).map(|(prefix, line)| match request.timestamps {
        true => format!("{prefix}{line}\n"),
        false => format!("{prefix}{}\n", line.split_once(' ').map_or("", |(_, text)| text)),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_replicas_come_in_order_of_time() {
        let line = |prefix: &str, text: &str| (prefix.to_owned(), text.to_owned());
        let all = vec![
            line("web | ", "2026-01-01T00:00:03.000000000Z c"),
            line("db | ", "2026-01-01T00:00:01.000000000Z a"),
            line("web | ", "2026-01-01T00:00:02.000000000Z b  two"),
        ];
        let request = LogRequest::default();
        assert_eq!(in_order(all.clone(), &request), ["db | a\n", "web | b  two\n", "web | c\n"]);
        let tail = LogRequest { tail_lines: Some(1), timestamps: true, ..request };
        assert_eq!(in_order(all, &tail), ["web | 2026-01-01T00:00:03.000000000Z c\n"]);
    }
}
