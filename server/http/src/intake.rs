//! Where request bodies are read: before a request takes its slot, so that a slow sender holds up nobody but itself (R37, Q2).

use crate::body::{self, Incoming};
use bytes::Bytes;
use futures::FutureExt;
use otternauts_meta::Status;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Users that are remembered before those without a body under way are looked for.
const USERS: usize = 1000;

/// Bodies that are still under way, each at most [`body::LIMIT`] bytes. Those that came with their request's head, which is
/// nearly all of them, need no place here.
pub(crate) struct Intake {
    all: Arc<Semaphore>,
    users: Mutex<HashMap<String, Arc<Semaphore>>>,
    per_user: usize,
    patience: Duration,
    deadline: Duration,
}

/// A place of one user among the bodies under way.
struct Place<'a> {
    intake: &'a Intake,
    user: &'a str,
    own: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl Intake {
    pub(crate) fn new(limits: &crate::Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.bodies)),
            users: Mutex::default(),
            per_user: limits.bodies_per_user,
            patience: limits.patience,
            deadline: limits.body,
        }
    }

    /// The whole body of somebody who was let in. A body that is slow gets a place of its sender's share, and an end to its time.
    pub(crate) async fn read(&self, user: &str, body: Incoming) -> Result<Bytes, Status> {
        let mut reading = Box::pin(body::read(body));
        if let Some(whole) = reading.as_mut().now_or_never() {
            return whole;
        }
        let _place = self.place(user).await?;
        timeout(self.deadline, reading).await.unwrap_or_else(|_| {
            let seconds = self.deadline.as_secs();
            Err(Status::timeout(format!("Timeout: the request body did not arrive within {seconds} seconds")))
        })
    }

    async fn place<'a>(&'a self, user: &'a str) -> Result<Place<'a>, Status> {
        let own = {
            let mut users = self.users.lock();
            if users.len() > USERS {
                // Left behind by requests that were given up while they waited.
                users.retain(|_, own| Arc::strong_count(own) > 1);
            }
            Arc::clone(users.entry(user.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.per_user))))
        };
        // The own share first: whoever waits for it holds nothing that others need.
        let both = async {
            let own = own.acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>((own, Arc::clone(&self.all).acquire_owned().await?))
        };
        if let Ok(Ok((own, all))) = timeout(self.patience, both).await {
            return Ok(Place { intake: self, user, own: Some(own), _all: all });
        }
        self.forget(user);
        Err(Status::too_many_requests("Too many request bodies are under way; please try again later.", 1))
    }

    /// Users are remembered only while a body of theirs is under way.
    fn forget(&self, user: &str) {
        let mut users = self.users.lock();
        if users.get(user).is_some_and(|own| Arc::strong_count(own) == 1) {
            users.remove(user);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.own = None;
        self.intake.forget(self.user);
    }
}

#[cfg(test)]
mod tests;
