//! `stacks/NAME/log`: the HTTP room's question put to the deploy controller's answer.

use futures::{StreamExt as _, TryStreamExt as _};
use otternauts_deploy::logs::{LogProblem, LogRequest};
use otternauts_fleet::Fleet;
use otternauts_http::{BodyError, LogError, LogOptions, LogSource, LogStream};
use std::pin::Pin;
use std::sync::OnceLock;

/// Reads logs over the fleet's connections. The client comes later: it is made from the API that asks here.
pub struct StackLogs {
    fleet: Fleet,
    client: OnceLock<kube::Client>,
}

impl StackLogs {
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet, client: OnceLock::new() }
    }

    /// The deploy controller's own client: who may read a log was decided before. Set once.
    pub fn connect(&self, client: kube::Client) {
        // A second client would be as good as the first.
        let _ = self.client.set(client);
    }
}

impl LogSource for StackLogs {
    fn open(
        &self,
        namespace: String,
        stack: String,
        options: LogOptions,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, LogError>> + Send>> {
        let (fleet, client) = (self.fleet.clone(), self.client.get().cloned());
        Box::pin(async move {
            let client = client.ok_or_else(|| LogError::Unavailable("the server is starting".to_owned()))?;
            let LogOptions { service, follow, tail_lines, previous, timestamps, since_seconds } = options;
            let request = LogRequest { service, follow, tail_lines, previous, timestamps, since_seconds };
            let lines = otternauts_deploy::logs::open(&client, &fleet, &namespace, &stack, &request).await;
            let lines = lines.map_err(|problem| match problem {
                LogProblem::NotFound(what) => LogError::NotFound(what),
                LogProblem::Unavailable(why) => LogError::Unavailable(why),
            })?;
            let chunks: LogStream = lines.map_ok(bytes_of).map_err(BodyError::from).boxed();
            Ok(chunks)
        })
    }
}

fn bytes_of(line: String) -> hyper::body::Bytes {
    line.into()
}
