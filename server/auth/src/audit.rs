//! The line that says who did what (row Q1): `audit.k8s.io/v1` events at level Metadata, one JSON object a line.
//!
//! Bodies never get here, so neither do secrets. A thread of its own writes the file, so a slow disk holds up no request; when
//! the queue is full, lines are lost and counted, and the log says so. So they are on a disk that is nearly full: what is left
//! there is what the database needs to be emptied (R41).

mod line;
#[cfg(test)]
mod tests;

use crate::{Attributes, Error, User};
use otternauts_meta::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that wait for the disk.
const QUEUE: usize = 8192;
/// A file that has grown to this is set aside as `audit.log.1`, and so on up to [`KEPT`].
const MAX_FILE_BYTES: u64 = 100 << 20;
const KEPT: u32 = 5;
/// With less free on its disk, or on a small disk less than one twentieth, nothing is written: as much as the store's ballast gives back.
const LEFT_FREE_BYTES: u64 = 64 << 20;
/// After lines were written, so long passes before others are taken: in a crowd, to be woken for each costs more than to write it.
const CROWD: Duration = Duration::from_millis(5);
/// The disk is asked again after so long, or so much.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A watch has begun.
    ResponseStarted,
    ResponseComplete,
    Panic,
}

/// One thing that was asked. Borrowed: it lives for one line.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// As in the `Audit-Id` header (row T9).
    pub audit_id: &'a str,
    pub stage: Stage,
    /// Path and query.
    pub request_uri: &'a str,
    pub user: &'a User,
    /// Whom the user speaks for (row I5).
    pub impersonated: Option<&'a User>,
    pub source: Option<std::net::IpAddr>,
    pub user_agent: &'a str,
    pub attributes: &'a Attributes,
    /// HTTP status and, for errors, the reason of the Status. Its message may quote a body and is left out.
    pub code: u16,
    pub reason: &'a str,
    pub received: Timestamp,
    pub now: Timestamp,
    /// `allow` or `forbid`, and why; empty when nobody was asked.
    pub decision: &'a str,
    pub decision_reason: &'a str,
    /// More that is to be known of it, by names such as `otternauts.dev/cause`. No secrets: they stand here as they are.
    pub annotations: &'a [(&'a str, &'a str)],
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where events go. Cheap to share by `Arc`; what is queued is written before the last one is dropped.
pub struct AuditLog {
    queue: Option<SyncSender<Message>>,
    writer: Option<std::thread::JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl AuditLog {
    /// Appends to the file, which only its owner can read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::AuditLog { path: path.display().to_string(), source };
        let lost = Arc::new(AtomicU64::new(0));
        let mut out = Output::open(path.to_owned(), Arc::clone(&lost)).map_err(fail)?;
        let (queue, lines) = sync_channel(QUEUE);
        let run = move || out.run(&lines);
        let writer = std::thread::Builder::new().name("audit".to_owned()).spawn(run).map_err(fail)?;
        Ok(Self { queue: Some(queue), writer: Some(writer), lost })
    }

    /// Never waits.
    pub fn log(&self, event: &Event<'_>) {
        let line = event.to_line();
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(Message::Line(line)) {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::error!(lost, "audit lines were lost: the disk does not keep up");
            }
        }
    }

    /// How many lines were lost, for metrics.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything logged before is in the file. Blocks: for shutdown and tests.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if let Some(queue) = &self.queue
            && queue.send(Message::Flush(done)).is_ok()
        {
            // An error means that the writer is gone, and with it everything there was to wait for.
            let _ = wait.recv();
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the audit writer has failed");
        }
    }
}

struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    failing: bool,
    lost: Arc<AtomicU64>,
    /// When the disk was last asked, and how long the file was.
    looked: Option<(Instant, u64)>,
    /// What it answered: nothing may be written.
    scarce: bool,
}

impl Output {
    fn open(path: PathBuf, lost: Arc<AtomicU64>) -> std::io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file: BufWriter::new(file), bytes, failing: false, lost, looked: None, scarce: false })
    }

    fn run(&mut self, lines: &Receiver<Message>) {
        let mut busy = false;
        loop {
            let message = match lines.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    let flushed = self.file.flush();
                    self.note(flushed);
                    if std::mem::take(&mut busy) {
                        std::thread::sleep(CROWD);
                        continue;
                    }
                    match lines.recv() {
                        Ok(message) => message,
                        Err(_) => break,
                    }
                }
            };
            match message {
                Message::Line(line) => {
                    busy = true;
                    let written = self.append(&line);
                    if written.is_err() {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                    self.note(written);
                }
                Message::Flush(done) => {
                    let flushed = self.file.flush();
                    self.note(flushed);
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
            }
        }
        let flushed = self.file.flush();
        self.note(flushed);
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.bytes >= MAX_FILE_BYTES {
            self.file.flush()?;
            for number in (1..KEPT).rev() {
                let older = numbered(&self.path, number);
                if older.exists() {
                    std::fs::rename(older, numbered(&self.path, number + 1))?;
                }
            }
            std::fs::rename(&self.path, numbered(&self.path, 1))?;
            *self = Self::open(self.path.clone(), Arc::clone(&self.lost))?;
        }
        self.look()?;
        if self.scarce {
            let why = "the disk is nearly full, and what is left is for the database";
            return Err(std::io::Error::new(std::io::ErrorKind::StorageFull, why));
        }
        self.bytes += line.len() as u64;
        self.file.write_all(line)
    }

    /// Asks how much room there is, now and then.
    fn look(&mut self) -> std::io::Result<()> {
        if self.looked.is_some_and(|(at, bytes)| at.elapsed() < LOOK_EVERY && self.bytes - bytes < LOOK_EVERY_BYTES) {
            return Ok(());
        }
        self.looked = Some((Instant::now(), self.bytes));
        let disk = rustix::fs::fstatvfs(self.file.get_ref())?;
        let kept = LEFT_FREE_BYTES.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 20);
        self.scarce = disk.f_bavail.saturating_mul(disk.f_frsize) < kept;
        Ok(())
    }

    /// Says once that the disk refuses, and once that it is well again.
    fn note(&mut self, result: std::io::Result<()>) {
        match result {
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(%error, path = %self.path.display(), "the audit log cannot be written");
            }
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(path = %self.path.display(), "the audit log is written again");
            }
            _ => {}
        }
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
