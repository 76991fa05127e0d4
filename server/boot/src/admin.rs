//! What `/admin/…` does: keys and backups of the running server.

use crate::keys::{Keys, Progress};
use bytes::Bytes;
use futures::StreamExt as _;
use otternauts_http::{Admin, AdminAnswer, AdminRequest, AdminStream};
use otternauts_meta::Status;
use otternauts_vault::Identity;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines that wait for a slow client; the work goes on without them.
const LINES: usize = 1024;

/// How to rotate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RotateRequest {
    /// The root key, rather than the data key.
    pub root: bool,
}

pub struct Administration {
    pub keys: Arc<Keys>,
}

impl Admin for Administration {
    fn handle(
        &self,
        request: AdminRequest,
        body: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<AdminAnswer, Status>> + Send + '_>> {
        Box::pin(async move {
            match request {
                AdminRequest::Keys => {
                    let listing = self.keys.list().await.map_err(|error| failed(&error))?;
                    Ok(AdminAnswer::Json(serde_json::to_vec(&listing).map_err(|_| Status::internal("no JSON"))?.into()))
                }
                AdminRequest::Rotate => {
                    let request: RotateRequest = read(&body)?;
                    Ok(AdminAnswer::Stream(rotate(&self.keys, request)))
                }
                AdminRequest::Backup => Err(Status::bad_request("backups are not in this build")),
            }
        })
    }
}

#[allow(clippy::result_large_err, reason = "a Status is the answer itself, made once a request")]
/// An empty body asks for the defaults.
fn read<T: Default + for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, Status> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Status::bad_request(format!("the body cannot be read: {error}")))
}

fn failed(error: &anyhow::Error) -> Status {
    tracing::error!(error = %format_args!("{error:#}"), "an administrator's request has failed");
    Status::internal(&format!("{error:#}"))
}

/// One JSON line a step. Once begun it goes on to its end, whether anybody listens or not.
fn rotate(keys: &Arc<Keys>, request: RotateRequest) -> AdminStream {
    let (lines, out) = mpsc::channel(LINES);
    let keys = Arc::clone(keys);
    tokio::spawn(async move {
        // A client that does not read misses steps, never the end.
        let tell = |progress: Progress| drop(lines.try_send(line(&progress)));
        let done = if request.root { rotate_root(&keys).await.map(tell) } else { keys.rotate(tell).await };
        if let Err(error) = done {
            tracing::error!(error = %format_args!("{error:#}"), "the keys were not rotated");
            let _gone = lines.send(line(&Progress::Failed { message: format!("{error:#}") })).await;
        }
    });
    let next = |mut out: mpsc::Receiver<Bytes>| async move { Some((Ok(out.recv().await?), out)) };
    futures::stream::unfold(out, next).boxed()
}

async fn rotate_root(keys: &Keys) -> anyhow::Result<Progress> {
    anyhow::ensure!(
        keys.root_in_data_directory(),
        "the root key is not in the data directory, so this server cannot replace it. Stop it, and run: otter keys rotate --root \
         --data-dir DIR --secret-key-file OLD --new-secret-key-file NEW"
    );
    keys.rotate_root(Identity::generate(), true).await
}

/// For a stream of lines.
pub fn line(value: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}
