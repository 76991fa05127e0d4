//! What happens on servers, told as it happens: one event stream a server, shared by everybody in the process. Nothing is asked
//! while nothing happens; that a server has fallen silent is noticed by the connection's keepalive.

use crate::docker::Event;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::host::Host;
use futures::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// What is told of; health checks and execs would be a flood.
const KINDS: [&str; 3] = ["container", "service", "node"];
const ACTIONS: [&str; 9] =
    ["start", "die", "oom", "health_status", "destroy", "create", "update", "remove", "service-update"];
/// Notices that wait for a slow listener; then it misses some and is told so.
const WAITING: usize = 1024;
/// A lost stream is made again after this long, doubling up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something about one server.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The Server's name; empty: of any server.
    pub server: String,
    pub news: News,
}

/// What is new.
#[derive(Clone, Debug)]
pub enum News {
    /// Its engine is followed from now on. What happened before is not told: look at everything once.
    Followed,
    /// Something happened to a container, a service or a node.
    Event(Event),
    /// The engine, or the way to it, is gone: why. Told once; it is tried again until it is followed again.
    Lost(String),
    /// The listener was too slow and missed notices: look at everything once.
    Missed,
}

/// The servers that are followed, and who listens.
pub(crate) struct Feeds {
    followed: HashMap<String, (Host, AbortHandle)>,
    notices: broadcast::Sender<Notice>,
}

impl Default for Feeds {
    fn default() -> Self {
        Self { followed: HashMap::new(), notices: broadcast::channel(WAITING).0 }
    }
}

impl Feeds {
    pub(crate) fn stop(&mut self, name: &str) {
        if let Some((_, task)) = self.followed.remove(name) {
            task.abort();
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.followed.values().for_each(|(_, task)| task.abort());
    }
}

impl Fleet {
    /// Follows the engine of a server until it is forgotten. Asking again for the same connection changes nothing.
    pub fn follow(&self, host: &Host) {
        let mut feeds = self.feeds();
        let name = host.name();
        if feeds.followed.get(name).is_some_and(|(known, task)| known.is(host) && !task.is_finished()) {
            return;
        }
        feeds.stop(name);
        let task = tokio::spawn(keep_following(host.clone(), feeds.notices.clone()));
        feeds.followed.insert(name.to_owned(), (host.clone(), task.abort_handle()));
    }

    /// Ends what [`Fleet::follow`] began.
    pub fn unfollow(&self, name: &str) {
        self.feeds().stop(name);
    }

    /// Everything that is told from now on, of all servers that are followed.
    pub fn notices(&self) -> impl Stream<Item = Notice> + Send + 'static + use<> {
        let receiver = self.feeds().notices.subscribe();
        futures::stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(notice) => Some((notice, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    Some((Notice { server: String::new(), news: News::Missed }, receiver))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        })
    }
}

async fn keep_following(host: Host, notices: broadcast::Sender<Notice>) {
    let tell = |news| {
        // Nobody may be listening.
        let _ = notices.send(Notice { server: host.name().to_owned(), news });
    };
    let (mut pause, mut lost) = (PAUSE, false);
    loop {
        let followed = || {
            tell(News::Followed);
        };
        let (stood, error) = follow(&host, followed, |event| tell(News::Event(event))).await;
        if stood {
            (pause, lost) = (PAUSE, false);
        }
        if !lost {
            tracing::info!(server = host.name(), why = %error, "the event stream of an engine is lost");
            tell(News::Lost(error.to_string()));
            lost = true;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads one stream to its end: whether it stood at all, and why it ended.
async fn follow(host: &Host, followed: impl Fn(), mut happened: impl FnMut(Event)) -> (bool, Error) {
    let begun = begin(host).await;
    let mut events = match begun {
        Ok(events) => events,
        Err(error) => return (false, error),
    };
    followed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => happened(event),
            Err(error) => return (true, error),
        }
    }
    (true, Error::DockerUnavailable { why: "its event stream ended".to_owned() })
}

/// From the engine's own present on: what happens between the question for it and the stream is in the stream.
async fn begin(host: &Host) -> Result<futures::stream::BoxStream<'static, Result<Event>>> {
    let docker = host.docker().await?;
    let now = docker.info().await?.time_nanos;
    Ok(docker.events(&KINDS, &ACTIONS, Some(now)))
}
