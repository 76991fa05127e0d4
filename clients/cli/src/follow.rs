//! Watching one object until it is as wished: a spinner on a terminal, a line per change in a pipe. The API is watched, never polled.

use crate::exit::{Code, Failure};
use crate::{output, voice};
use anyhow::Context as _;
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How long to wait before a broken watch is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// What one look at the object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Where it stands.
    Waiting(String),
    /// How it ended well.
    Done(String),
    /// Waiting longer is no use.
    Failed(String),
}

/// How a wait ended well.
pub struct Ended {
    pub text: String,
    pub took: Duration,
}

/// Waits for a verdict. `what` names the object in errors, `resume` is the command that goes on waiting.
pub async fn until<K>(
    api: &Api<K>,
    name: &str,
    timeout: Duration,
    resume: &str,
    mut look: impl FnMut(Option<&K>) -> Verdict,
) -> anyhow::Result<Ended>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let begun = Instant::now();
    let mut progress = Progress::start();
    let ended = tokio::time::timeout(timeout, follow(api, name, &mut look, &mut progress)).await;
    progress.end();
    match ended {
        Ok(text) => Ok(Ended { text: text?, took: begun.elapsed() }),
        Err(_) => {
            let last = if progress.last.is_empty() { "nothing was seen".to_owned() } else { progress.last };
            let message = format!("not done within {}; last seen: {last}", output::took(timeout));
            Err(Failure::new(Code::Timeout, message).next(format!("it goes on; wait for it with: {resume}")).into())
        }
    }
}

async fn follow<K>(
    api: &Api<K>,
    name: &str,
    look: &mut impl FnMut(Option<&K>) -> Verdict,
    progress: &mut Progress,
) -> anyhow::Result<String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut objects = std::pin::pin!(watch_object(api.clone(), name));
    let mut connected = false;
    while let Some(object) = objects.next().await {
        let object = match object {
            Ok(object) => object,
            Err(error) => {
                broken(error, connected)?;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        connected = true;
        match look(object.as_ref()) {
            Verdict::Waiting(text) => progress.say(&text),
            Verdict::Done(text) => return Ok(text),
            Verdict::Failed(text) => {
                return Err(Failure::new(Code::Error, output::clean(&text)).next("look closer: otter status").into());
            }
        }
    }
    Err(Failure::new(Code::Unreachable, "the watch ended").into())
}

/// A watch that breaks is made again. A refusal is an answer, and who was never reached is not waited for.
fn broken(error: watcher::Error, connected: bool) -> anyhow::Result<()> {
    let (watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source)) = error else {
        return Ok(());
    };
    let refused = matches!(&source, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404));
    if refused || !connected { Err(source).context("cannot watch") } else { Ok(()) }
}

/// Shows text as it changes.
struct Progress {
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    fn start() -> Self {
        let watched = output::is_watched() && !output::is_quiet();
        let bar = watched.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(voice::LOADING);
            bar
        });
        Self { bar, last: String::new() }
    }

    fn say(&mut self, text: &str) {
        let text = output::clean(text);
        if self.last == text {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(text.clone()),
            None => output::note(&text),
        }
        self.last = text;
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
