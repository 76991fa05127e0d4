//! What `/admin/…` does: keys and backups of the running server.

use crate::backups::{About, Backups, Made};
use crate::keys::{Keys, Progress};
use bytes::Bytes;
use futures::StreamExt as _;
use otternauts_http::{Admin, AdminAnswer, AdminRequest, AdminStream, BodyError};
use otternauts_meta::Status;
use otternauts_vault::{Identity, Recipient, recipients};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines that wait for a slow client; the work goes on without them.
const LINES: usize = 1024;
/// A backup on its way: so many pieces of this size wait for a slow client.
const CHUNKS: usize = 4;
const CHUNK: usize = 64 << 10;

/// How to rotate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RotateRequest {
    /// The root key, rather than the data key.
    pub root: bool,
}

/// Who can open the backup, beside the server's recovery keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackupRequest {
    pub recipients: Vec<String>,
}

/// The line before the bytes of a backup, or instead of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub enum BackupLine {
    Made(Box<About>),
    Failed { message: String },
}

pub struct Administration {
    pub keys: Arc<Keys>,
    pub backups: Arc<Backups>,
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
                AdminRequest::Backup => {
                    let request: BackupRequest = read(&body)?;
                    let readers = recipients::parse_all(&request.recipients);
                    let readers = readers.map_err(|error| Status::bad_request(error.to_string()))?;
                    Ok(AdminAnswer::Stream(backup(&self.backups, readers)))
                }
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

/// The line, then the file. Nothing is made once the client has gone; the file goes with the stream.
fn backup(backups: &Arc<Backups>, readers: Vec<Recipient>) -> AdminStream {
    let (chunks, out) = mpsc::channel::<Result<Bytes, BodyError>>(CHUNKS);
    let backups = Arc::clone(backups);
    tokio::spawn(async move {
        let made = match backups.make(readers).await {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(error = %format_args!("{error:#}"), "no backup was made");
                let _gone = chunks.send(Ok(line(&BackupLine::Failed { message: format!("{error:#}") }))).await;
                return;
            }
        };
        let sending = tokio::task::spawn_blocking(move || send(&made, &chunks));
        if let Ok(Err(error)) = sending.await {
            tracing::warn!(error = %format_args!("{error:#}"), "a backup was made and not fetched whole");
        }
    });
    let next = |mut out: mpsc::Receiver<_>| async move { Some((out.recv().await?, out)) };
    futures::stream::unfold(out, next).boxed()
}

fn send(made: &Made, chunks: &mpsc::Sender<Result<Bytes, BodyError>>) -> anyhow::Result<()> {
    let send = |chunk| chunks.blocking_send(chunk).map_err(|_| anyhow::anyhow!("the client has gone"));
    send(Ok(line(&BackupLine::Made(Box::new(made.about.clone())))))?;
    let mut file = std::fs::File::open(made.path())?;
    loop {
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                chunk.truncate(read);
                send(Ok(chunk.into()))?;
            }
            Err(error) => return send(Err(Box::new(error))),
        }
    }
}

async fn rotate_root(keys: &Keys) -> anyhow::Result<Progress> {
    keys.check_alone()?;
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
