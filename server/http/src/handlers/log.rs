//! `stacks/NAME/log` (design section 9, row R1): text as it comes, from whoever can reach the servers.

use super::Held;
use crate::answer::{Answer, Body, BodyError};
use crate::call::Call;
use crate::query::Query;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use otternauts_meta::{Details, Status};
use otternauts_registry::Target;
use std::pin::Pin;

/// Which lines of which service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Empty: every service of the stack.
    pub service: String,
    /// Go on as new lines are written.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail_lines: Option<u64>,
    /// Of the task before the running one.
    pub previous: bool,
    pub timestamps: bool,
    pub since_seconds: Option<u64>,
}

/// Why there is no log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// No such service, or nothing of it has ever run; says what is missing.
    NotFound(String),
    /// The server that has the lines cannot be reached now; says why.
    Unavailable(String),
}

/// Lines of text in chunks; ends when there are no more.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Where logs come from. Dropping the stream stops the reading.
pub trait LogSource: Send + Sync {
    fn open(
        &self,
        namespace: String,
        stack: String,
        options: LogOptions,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, LogError>> + Send>>;
}

pub async fn run(call: &Call, target: &Target, permit: Option<Held>) -> Result<Answer, Status> {
    let options = options(&call.query)?;
    let namespace = target.namespace.clone().unwrap_or_default();
    let name = target.name.clone().unwrap_or_default();
    // A stack that is not there is a plain 404 before anybody asks a server.
    call.registry().get(&call.caller, target, "").await?;
    let Some(source) = &call.parts.logs else {
        return Err(Status::unavailable("logs are not available: no controller of this process reaches the servers"));
    };
    let lines = source.open(namespace, name.clone(), options).await.map_err(|error| match error {
        LogError::Unavailable(why) => Status::unavailable(why),
        LogError::NotFound(what) => {
            let resource = target.definition.group_resource();
            let details = Details { name, group: resource.group, kind: resource.resource, ..Details::default() };
            Status::new(404, "NotFound", what).with_details(details)
        }
    })?;
    let held = (permit, call.series.longrunning());
    let mut shutdown = call.parts.shutdown.clone();
    let stop = Box::pin(async move { crate::stream::stopped(&mut shutdown).await });
    let lines = lines.take_until(stop).map(move |chunk| {
        let _ = &held;
        chunk
    });
    Ok(Answer::stream("text/plain", Body::stream(lines)))
}

fn options(query: &Query) -> Result<LogOptions, Status> {
    let number = |key: &str| match query.text(key) {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
    };
    Ok(LogOptions {
        service: query.text("service").to_owned(),
        follow: query.flag("follow").unwrap_or_default(),
        tail_lines: number("tailLines")?,
        previous: query.flag("previous").unwrap_or_default(),
        timestamps: query.flag("timestamps").unwrap_or_default(),
        since_seconds: number("sinceSeconds")?,
    })
}
