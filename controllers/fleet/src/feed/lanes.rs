//! Notices of one server one after the other, those of different servers side by side: a host that hangs delays itself alone.

use super::{News, Notice};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Notices of one server that wait for those before them. When there are more, only that it came and went is kept, and that
/// something was missed.
pub(super) const WAITING: usize = 256;

/// Hands each notice to `hear`, until `notices` end and everything is heard. What is missed of all servers is told of each.
pub(super) async fn by_server<F: Future<Output = ()>>(
    notices: impl Stream<Item = Notice>,
    followed: impl Fn() -> Vec<String>,
    hear: impl Fn(Notice) -> F,
) {
    let mut notices = std::pin::pin!(notices.fuse());
    // A server is here while a notice of it is being heard, with those that wait.
    let mut lanes: HashMap<String, VecDeque<Notice>> = HashMap::new();
    let mut heard = FuturesUnordered::new();
    let begin = |notice: Notice| {
        let (server, work) = (notice.server.clone(), hear(notice));
        async move {
            work.await;
            server
        }
    };
    loop {
        let told = tokio::select! {
            Some(notice) = notices.next() => split(notice, &followed, &lanes),
            Some(server) = heard.next() => {
                match lanes.get_mut(&server).and_then(VecDeque::pop_front) {
                    Some(next) => heard.push(begin(next)),
                    None => drop(lanes.remove(&server)),
                }
                continue;
            }
            else => return,
        };
        for notice in told {
            match lanes.get_mut(&notice.server) {
                Some(waiting) => wait(waiting, notice),
                None => {
                    lanes.insert(notice.server.clone(), VecDeque::new());
                    heard.push(begin(notice));
                }
            }
        }
    }
}

fn split(
    notice: Notice,
    followed: &impl Fn() -> Vec<String>,
    lanes: &HashMap<String, VecDeque<Notice>>,
) -> Vec<Notice> {
    if !notice.server.is_empty() {
        return vec![notice];
    }
    let all: BTreeSet<String> = followed().into_iter().chain(lanes.keys().cloned()).collect();
    all.into_iter().map(|server| Notice { server, news: notice.news.clone() }).collect()
}

fn wait(waiting: &mut VecDeque<Notice>, notice: Notice) {
    if waiting.len() < WAITING {
        return waiting.push_back(notice);
    }
    let server = notice.server.clone();
    waiting.push_back(notice);
    waiting.retain(|n| matches!(n.news, News::Followed | News::Lost(_)));
    // Whether it is there now is what its last coming or going says.
    let surplus = waiting.len().saturating_sub(2);
    waiting.drain(..surplus);
    waiting.push_back(Notice { server, news: News::Missed });
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::sync::{Notify, mpsc};

    fn notice(server: &str, news: News) -> Notice {
        Notice { server: server.into(), news }
    }

    fn lost(why: &str) -> News {
        News::Lost(why.into())
    }

    /// What was heard, in order; whatever is told of `hung` waits for `release`.
    struct Listener {
        heard: Arc<Mutex<Vec<(String, String)>>>,
        more: Arc<Notify>,
        release: Arc<Notify>,
        tell: mpsc::UnboundedSender<Notice>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Listener {
        fn start() -> Self {
            let (tell, told) = mpsc::unbounded_channel();
            let (heard, more, release) = (
                Arc::new(Mutex::new(Vec::<(String, String)>::new())),
                Arc::new(Notify::new()),
                Arc::new(Notify::new()),
            );
            let (all, news, gate) = (Arc::clone(&heard), Arc::clone(&more), Arc::clone(&release));
            let hear = move |notice: Notice| {
                let (all, news, gate) = (Arc::clone(&all), Arc::clone(&news), Arc::clone(&gate));
                async move {
                    let what = format!("{:?}", notice.news);
                    all.lock().push((notice.server.clone(), what));
                    news.notify_one();
                    if notice.server == "hung" {
                        gate.notified().await;
                    }
                }
            };
            let notices = futures::stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
            let followed = || vec!["hung".to_owned(), "well".to_owned()];
            let task = tokio::spawn(by_server(notices, followed, hear));
            Self { heard, more, release, tell, task }
        }

        fn tell(&self, server: &str, news: News) {
            self.tell.send(notice(server, news)).expect("somebody listens");
        }

        fn of(&self, server: &str) -> Vec<String> {
            self.heard.lock().iter().filter(|(s, _)| s == server).map(|(_, what)| what.clone()).collect()
        }

        async fn until(&self, server: &str, count: usize) {
            while self.of(server).len() < count {
                self.more.notified().await;
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_delays_itself_alone_and_keeps_its_order() {
        let listener = Listener::start();
        listener.tell("hung", News::Followed);
        listener.tell("hung", lost("1"));
        listener.tell("hung", News::Doubted);
        for n in 0..3 {
            listener.tell("well", lost(&n.to_string()));
        }
        listener.until("well", 3).await;
        assert_eq!(listener.of("hung"), ["Followed"], "it is still being heard");
        // What all missed, the one that hangs hears when it is its turn.
        listener.tell("", News::Missed);
        listener.until("well", 4).await;
        for heard in 2..=4 {
            listener.release.notify_one();
            listener.until("hung", heard).await;
        }
        assert_eq!(listener.of("hung"), ["Followed", "Lost(\"1\")", "Doubted", "Missed"]);
        assert_eq!(listener.of("well"), ["Lost(\"0\")", "Lost(\"1\")", "Lost(\"2\")", "Missed"]);
        drop(listener.tell);
        listener.release.notify_one();
        listener.task.await.expect("it ends with what is told");
    }

    #[test]
    fn more_than_can_wait_is_missed_but_not_that_a_server_came_or_went() {
        let mut waiting = VecDeque::new();
        for n in 0..10 * WAITING {
            let news = match n % 50 {
                7 => lost(&n.to_string()),
                9 => News::Followed,
                _ => News::Doubted,
            };
            wait(&mut waiting, notice("h1", news));
            assert!(waiting.len() <= WAITING);
            let standing = waiting.iter().rev().find(|n| matches!(n.news, News::Followed | News::Lost(_)));
            let is_lost = standing.map(|n| matches!(n.news, News::Lost(_)));
            assert_eq!(is_lost, (n >= 7).then_some((7..9).contains(&(n % 50))), "after {n}");
        }
        assert!(waiting.iter().any(|n| matches!(n.news, News::Missed)));
    }
}
