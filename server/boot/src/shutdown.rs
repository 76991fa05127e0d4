//! Signals, and what they set going (row T11).

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a second signal ends the process with.
const IMPATIENT: i32 = 130;

/// Ends when the first SIGTERM or SIGINT arrives; a second one ends the process on the spot.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> anyhow::Result<Self> {
        let of = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    /// Cancels `stop` at the first signal.
    pub fn watch(mut self, stop: CancellationToken) {
        tokio::spawn(async move {
            self.next().await;
            tracing::info!("stopping; a second signal stops at once");
            stop.cancel();
            self.next().await;
            std::process::exit(IMPATIENT);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
