//! Work beside the writer, on a thread of its own: asked to stop and awaited when it is dropped.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Task<T> {
    /// Dropping it asks the thread to stop.
    keep: Option<Sender<()>>,
    thread: Option<JoinHandle<T>>,
}

/// What the thread looks at.
pub(super) struct Stop(Receiver<()>);

impl Stop {
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits; true as soon as the end is asked for.
    pub(super) fn wait(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn start(name: &str, work: impl FnOnce(Stop) -> T + Send + 'static) -> std::io::Result<Task<T>> {
        let (keep, stop) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(Stop(stop)))?;
        Ok(Task { keep: Some(keep), thread: Some(thread) })
    }

    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What came of it, after its own end; `None` when it panicked.
    pub(super) fn result(mut self) -> Option<T> {
        let thread = self.thread.take()?;
        thread.join().ok()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.keep.take();
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed where it happened; nothing depends on its work.
            let _ = thread.join();
        }
    }
}
