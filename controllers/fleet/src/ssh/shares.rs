//! How many channels of one connection may be open at once, and for what: none of the three uses can take another's share.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A command, or a question to the engine: it ends by itself and soon, others wait for it.
    Call,
    /// The engine's event feed: it lasts as long as somebody watches.
    Events,
    /// Logs and samples that somebody follows.
    Follow,
}

impl Use {
    /// Of a request to the Docker engine.
    pub(crate) fn of(path_and_query: &str) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let asks = |word: &str| query.split('&').any(|pair| pair == word);
        if path.ends_with("/events") {
            return Self::Events;
        }
        // The engine's own defaults: logs end unless they are followed, samples go on unless one is asked for.
        let follows = path.ends_with("/logs") && (asks("follow=true") || asks("follow=1"));
        let samples = path.ends_with("/stats") && !asks("stream=false") && !asks("stream=0");
        if follows || samples || path.ends_with("/attach") { Self::Follow } else { Self::Call }
    }
}

/// The shares of one kind of channel.
pub(crate) struct Shares {
    calls: Arc<Semaphore>,
    events: Arc<Semaphore>,
    follows: Arc<Semaphore>,
}

impl Shares {
    /// Sessions: commands, and the engine through `sudo docker system dial-stdio`. sshd's default `MaxSessions` is 10 a connection;
    /// one is left for a session that sshd has not yet seen closed.
    pub(crate) fn sessions() -> Self {
        Self::new(4, 2, 3)
    }

    /// Channels to the engine's socket: sshd does not count them, so this is our own bound.
    pub(crate) fn sockets() -> Self {
        Self::new(32, 8, 24)
    }

    fn new(calls: usize, events: usize, follows: usize) -> Self {
        let share = |n| Arc::new(Semaphore::new(n));
        Self { calls: share(calls), events: share(events), follows: share(follows) }
    }

    /// A place, kept until dropped. Calls wait for one as long as they like, since every call ends; a stream that finds none within
    /// `patience` is refused, because those that are open may last for ever.
    pub(crate) async fn take(&self, what: &'static str, of: Use, patience: Duration) -> Result<OwnedSemaphorePermit> {
        let closing = |_| Error::ChannelFailed { what, why: "the connection is closing".to_owned() };
        let share = match of {
            Use::Call => return Arc::clone(&self.calls).acquire_owned().await.map_err(closing),
            Use::Events => &self.events,
            Use::Follow => &self.follows,
        };
        let full = |_| Error::ChannelFailed { what, why: "too many streams are open to this server".to_owned() };
        timeout(patience, Arc::clone(share).acquire_owned()).await.map_err(full)?.map_err(closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn requests_that_last_are_told_from_those_that_end() {
        for (path, expected) in [
            ("/v1.45/events?filters=%7B%7D", Use::Events),
            ("/events", Use::Events),
            ("/v1.45/services/x/logs?follow=true&stdout=true", Use::Follow),
            ("/v1.45/services/x/logs?stdout=true&follow=false", Use::Call),
            ("/v1.45/tasks/x/logs?stdout=true", Use::Call),
            ("/v1.45/containers/x/stats", Use::Follow),
            ("/v1.45/containers/x/stats?stream=false&one-shot=true", Use::Call),
            ("/v1.45/containers/x/attach?stream=1", Use::Follow),
            ("/v1.45/services?filters=follow=true", Use::Call),
            ("/version", Use::Call),
        ] {
            assert_eq!(Use::of(path), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn streams_never_take_what_calls_need_and_calls_never_what_streams_need() {
        let shares = Shares::sessions();
        let mut held = Vec::new();
        for of in [Use::Events, Use::Follow, Use::Call] {
            let before = held.len();
            while let Some(taken) = shares.take("x", of, Duration::MAX).now_or_never() {
                held.push(taken.expect("a place"));
            }
            assert!(held.len() > before, "{of:?} has a share of its own");
        }
        assert!(held.len() < 10, "fewer than MaxSessions: {}", held.len());
        let refused = shares.take("the events", Use::Events, Duration::ZERO).await.expect_err("none is left");
        assert!(refused.to_string().contains("the events"), "{refused}");
        let mut waiting = Box::pin(shares.take("x", Use::Call, Duration::ZERO));
        assert!(waiting.as_mut().now_or_never().is_none(), "a call waits");
        held.pop();
        let _place = waiting.await.expect("a call that ended makes room");
    }
}
