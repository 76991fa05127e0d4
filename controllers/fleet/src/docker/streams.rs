//! Logs and events: streams that last until dropped. Each holds one channel of the server's connection.

use super::types::{Event, LogChunk, LogOptions};
use super::{Docker, explain};
use crate::bareword::path_segment;
use crate::error::Result;
use crate::output::clean;
use bollard::container::LogOutput;
use bollard::query_parameters::{EventsOptions, LogsOptions};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::collections::HashMap;

impl Docker {
    /// The logs of all tasks of a service, interleaved by the manager.
    pub fn service_logs(&self, id: &str, options: &LogOptions) -> Result<BoxStream<'static, Result<LogChunk>>> {
        path_segment("the service id", id)?;
        Ok(self.api.service_logs(id, Some(parameters(options))).map(|c| c.map(|c| chunk(&c)).map_err(explain)).boxed())
    }

    /// The logs of one task, from a manager.
    pub fn task_logs(&self, id: &str, options: &LogOptions) -> Result<BoxStream<'static, Result<LogChunk>>> {
        path_segment("the task id", id)?;
        Ok(self.api.task_logs(id, Some(parameters(options))).map(|c| c.map(|c| chunk(&c)).map_err(explain)).boxed())
    }

    /// What happens to objects of the given kinds (`service`, `node`, `container`, ...): these actions, or all when there are none
    /// given; since a time of the engine's
    /// ([`super::Info::time_nanos`]), or from now on.
    pub fn events(&self, kinds: &[&str], actions: &[&str], since: Option<i64>) -> BoxStream<'static, Result<Event>> {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let mut filters = HashMap::from([("type".to_owned(), owned(kinds))]);
        if !actions.is_empty() {
            filters.insert("event".to_owned(), owned(actions));
        }
        let since = since.map(|n| format!("{}.{:09}", n / 1_000_000_000, n % 1_000_000_000));
        let options = EventsOptions { filters: Some(filters), since, ..Default::default() };
        self.api.events(Some(options)).map(|e| e.map(Event::from).map_err(explain)).boxed()
    }
}

fn parameters(options: &LogOptions) -> LogsOptions {
    LogsOptions {
        follow: options.follow,
        stdout: true,
        stderr: true,
        since: options.since,
        until: 0,
        timestamps: options.timestamps,
        tail: options.tail.map_or_else(|| "all".to_owned(), |n| n.to_string()),
    }
}

fn chunk(output: &LogOutput) -> LogChunk {
    let stderr = matches!(output, LogOutput::StdErr { .. });
    LogChunk { stderr, text: clean(output.as_ref()) }
}

impl From<bollard::models::EventMessage> for Event {
    fn from(e: bollard::models::EventMessage) -> Self {
        let actor = e.actor.unwrap_or_default();
        Self {
            kind: e.typ.map(|t| t.to_string()).unwrap_or_default(),
            action: e.action.unwrap_or_default(),
            id: actor.id.unwrap_or_default(),
            attributes: actor.attributes.unwrap_or_default().into_iter().collect(),
            time_nanos: e.time_nano.unwrap_or_default(),
        }
    }
}
