//! What every reconcile shares: the API, the fleet, and a little memory that may be lost at any time.

use crate::swarm::Autopsy;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource as _};
use otternauts_fleet::Fleet;
use otternauts_types::Stack;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most autopsies remembered.
const AUTOPSIES: usize = 1000;
/// An Event's note must be shorter than 1 KiB.
const NOTE: usize = 1000;

pub struct Context {
    pub client: Client,
    pub fleet: Fleet,
    pub recorder: Recorder,
    /// Deployment uid -> since when all its tasks have been seen running; the same for other things that must last.
    settled: Mutex<HashMap<String, Instant>>,
    autopsies: Mutex<HashMap<String, Autopsy>>,
    /// Task -> what the registry said of its image; empty: that it has it.
    answers: Mutex<HashMap<String, String>>,
}

impl Context {
    pub fn new(client: Client, fleet: Fleet, recorder: Recorder) -> Self {
        Self {
            client,
            fleet,
            recorder,
            settled: Mutex::default(),
            autopsies: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// RFC 3339, whole seconds.
    pub fn now(&self) -> String {
        jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string()
    }

    /// How long something has looked as it does; the first call starts the clock.
    pub fn settled_for(&self, key: &str) -> Duration {
        self.settled.lock().entry(key.to_owned()).or_insert_with(Instant::now).elapsed()
    }

    pub fn unsettle(&self, key: &str) {
        self.settled.lock().remove(key);
    }

    pub fn autopsy(&self, task: &str) -> Option<Autopsy> {
        self.autopsies.lock().get(task).cloned()
    }

    pub fn remember(&self, task: &str, failure: Autopsy) {
        let mut known = self.autopsies.lock();
        if known.len() >= AUTOPSIES {
            known.clear();
        }
        known.insert(task.to_owned(), failure);
    }

    pub fn registry_answer(&self, task: &str) -> Option<String> {
        self.answers.lock().get(task).cloned()
    }

    pub fn remember_answer(&self, task: &str, answer: String) {
        let mut known = self.answers.lock();
        if known.len() >= AUTOPSIES {
            known.clear();
        }
        known.insert(task.to_owned(), answer);
    }

    /// An Event about a Stack. One that cannot be written is logged and forgotten: Events are for reading, not for relying on.
    pub async fn say(&self, stack: &Stack, warning: bool, reason: &str, note: &str) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let end = note.char_indices().map(|(i, _)| i).take_while(|i| *i <= NOTE).last().unwrap_or(0);
        let note = if note.len() <= NOTE { note } else { &note[..end] };
        let (reason, note) = (reason.to_owned(), Some(note.to_owned()));
        let event = Event { type_, reason, note, action: "Deploy".into(), secondary: None };
        if let Err(e) = self.recorder.publish(&event, &stack.object_ref(&())).await {
            tracing::debug!(error = %e, "an Event was not written");
        }
    }
}
