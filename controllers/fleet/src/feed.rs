//! What happens on servers, told as it happens: one event stream a server, shared by everybody in the process. Nothing is asked
//! while nothing happens; that a server has fallen silent is noticed by the connection's keepalive.

mod cursor;
mod ends;
mod lanes;
#[cfg(test)]
mod tests;

pub use ends::End;

use crate::docker::Event;
use crate::error::{Error, Result};
use crate::fleet::Fleet;
use crate::host::Host;
use cursor::Cursor;
use ends::Ends;
use futures::{Stream, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

/// What is told of; health checks and execs would be a flood.
const KINDS: [&str; 3] = ["container", "service", "node"];
const ACTIONS: [&str; 10] =
    ["start", "kill", "die", "oom", "health_status", "destroy", "create", "update", "remove", "service-update"];
/// How far back ends of containers are asked for when an engine is followed for the first time, so that restarts are counted
/// over an hour also when we were away (AO-18). The engine remembers its last 256 events.
const LOOK_BACK_NANOS: i64 = 3600 * 1_000_000_000;
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
    /// Its engine is followed from now on. Events of before are not told: look at everything once.
    Followed,
    /// Something happened to a container, a service or a node.
    Event(Event),
    /// A container ended, in the hour before it was followed too. The same end may be told more than once.
    Ended(End),
    /// The engine, or the way to it, is gone: why. Told once; it is tried again until it is followed again.
    Lost(String),
    /// Somebody saw a sign that the server is not as it was: whoever judges servers looks again.
    Doubted,
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

    /// The server of that name, while it is followed.
    pub fn followed(&self, name: &str) -> Option<Host> {
        self.feeds().followed.get(name).map(|(host, _)| host.clone())
    }

    /// Has whoever judges servers look at this one again.
    pub fn doubt(&self, name: &str) {
        // Nobody may be listening.
        let _ = self.feeds().notices.send(Notice { server: name.to_owned(), news: News::Doubted });
    }

    /// The names of all servers that are followed.
    pub fn all_followed(&self) -> Vec<String> {
        self.feeds().followed.keys().cloned().collect()
    }

    /// Ends what [`Fleet::follow`] began.
    pub fn unfollow(&self, name: &str) {
        self.feeds().stop(name);
    }

    /// Hands every notice to `hear`: those of one server one after the other, those of different servers side by side, so that a host
    /// that hangs delays itself alone. At most 256 notices of a server wait; then it is told `Missed`, as each is when all missed some.
    pub async fn listen<F: Future<Output = ()>>(
        &self,
        notices: impl Stream<Item = Notice>,
        hear: impl Fn(Notice) -> F,
    ) {
        lanes::by_server(notices, || self.all_followed(), hear).await;
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
    let mut heard = Heard::default();
    loop {
        let (stood, error) = follow(&host, &mut heard, tell).await;
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

/// What a feed remembers between two streams.
#[derive(Default)]
struct Heard {
    cursor: Cursor,
    ends: Ends,
}

/// Reads one stream to its end: whether it stood at all, and why it ended.
async fn follow(host: &Host, heard: &mut Heard, tell: impl Fn(News)) -> (bool, Error) {
    let (mut events, now) = match begin(host, &mut heard.cursor).await {
        Ok(begun) => begun,
        Err(error) => return (false, error),
    };
    tell(News::Followed);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => return (true, error),
        };
        if !heard.cursor.is_new(&event) {
            continue;
        }
        let end = heard.ends.hear(&event);
        // A signal is only a hint. What was before now, everybody looks at for himself.
        if event.action != "kill" && event.time_nanos >= now {
            tell(News::Event(event));
        }
        if let Some(end) = end {
            tell(News::Ended(end));
        }
    }
    (true, Error::DockerUnavailable { why: "its event stream ended".to_owned() })
}

/// From where the last stream ended, or an hour back; and the engine's present: what happens between the question for it and the
/// stream is in the stream.
async fn begin(host: &Host, cursor: &mut Cursor) -> Result<(futures::stream::BoxStream<'static, Result<Event>>, i64)> {
    let docker = host.docker().await?;
    let now = docker.info().await?.time_nanos;
    let since = cursor.start(now - LOOK_BACK_NANOS);
    Ok((docker.events(&KINDS, &ACTIONS, Some(since)), now))
}
