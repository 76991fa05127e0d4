//! What every reconcile shares: the API, the board, and how often a message was tried, which may be lost at any time.

use crate::error::DeliveryError;
use crate::observe::Board;
use crate::status::times;
use futures::future::{BoxFuture, Shared};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource as _};
use otternauts_telemetry::Metrics;
use otternauts_types::Notifier;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 900;

pub struct Context {
    pub client: Client,
    pub metrics: Arc<Metrics>,
    pub board: Board,
    /// Resolves when the process stops: no attempt is waited for then.
    pub stopping: Shared<BoxFuture<'static, ()>>,
    recorder: Recorder,
    /// By the uid of the Notifier.
    tries: Mutex<HashMap<String, Tries>>,
}

/// Failed attempts of one message. Another message, or another spec, starts anew.
struct Tries {
    message: String,
    generation: Option<i64>,
    attempts: u32,
    next: Instant,
}

impl Context {
    pub fn new(
        client: Client,
        metrics: Arc<Metrics>,
        board: Board,
        stopping: Shared<BoxFuture<'static, ()>>,
        recorder: Recorder,
    ) -> Self {
        Self { client, metrics, board, stopping, recorder, tries: Mutex::default() }
    }

    /// The number of the attempt that is due now, or how long it has to wait.
    pub fn turn(&self, uid: &str, message: &str, generation: Option<i64>) -> Result<u32, Duration> {
        let tries = self.tries.lock();
        let Some(tries) = tries.get(uid).filter(|t| t.message == message) else { return Ok(1) };
        let wait = tries.next.saturating_duration_since(Instant::now());
        if wait.is_zero() || tries.generation != generation {
            return Ok(tries.attempts.saturating_add(1));
        }
        Err(wait)
    }

    pub fn failed(&self, uid: &str, message: &str, generation: Option<i64>, attempts: u32, next: Instant) {
        let tries = Tries { message: message.to_owned(), generation, attempts, next };
        self.tries.lock().insert(uid.to_owned(), tries);
    }

    pub fn forget(&self, uid: &str) {
        self.tries.lock().remove(uid);
    }

    /// A dead letter, for everybody to see. Events about Notifiers are never notified themselves.
    pub async fn say(&self, notifier: &Notifier, attempts: u32, error: &DeliveryError) {
        let note: String =
            format!("A message was given up after {}: {error}", times(attempts)).chars().take(NOTE / 4).collect();
        let event = Event {
            type_: EventType::Warning,
            reason: "DeliveryFailed".to_owned(),
            note: Some(note),
            action: "Deliver".to_owned(),
            secondary: None,
        };
        if let Err(e) = self.recorder.publish(&event, &notifier.object_ref(&())).await {
            tracing::debug!(error = %e, "an Event was not written");
        }
    }
}
