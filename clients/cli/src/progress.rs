//! Watching an object until it is as wished: a spinner on a terminal, one line per change otherwise.

use crate::exit::{Code, fail};
use crate::terminal;
use anyhow::Context as _;
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use kube::runtime::watcher::{self, watch_object};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

/// What one look at the object says.
pub enum Verdict {
    Waiting(String),
    Done(String),
    Failed(String),
}

/// Shows text as it changes.
struct Show {
    bar: Option<ProgressBar>,
    last: String,
}

impl Show {
    fn new() -> Self {
        let bar = terminal::is_interactive().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(crate::voice::LOADING);
            bar
        });
        Self { bar, last: String::new() }
    }

    fn say(&mut self, text: &str) {
        if self.last == text {
            return;
        }
        text.clone_into(&mut self.last);
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => terminal::note(text),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits for a verdict. The API is watched, not asked again and again.
pub async fn until<K>(api: &Api<K>, name: &str, timeout: Duration, look: impl Fn(&K) -> Verdict) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut show = Show::new();
    let result = tokio::time::timeout(timeout, follow(api, name, &look, &mut show)).await;
    show.end();
    match result {
        Ok(Ok(text)) => {
            if show.bar.is_some() {
                terminal::note(&text);
            }
            Ok(())
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let last = if show.last.is_empty() { String::new() } else { format!(". Last seen: {}", show.last) };
            Err(fail(Code::Timeout, format!("not done within {} s{last}", timeout.as_secs())))
        }
    }
}

async fn follow<K>(api: &Api<K>, name: &str, look: &impl Fn(&K) -> Verdict, show: &mut Show) -> anyhow::Result<String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut objects = std::pin::pin!(watch_object(api.clone(), name));
    let mut seen = false;
    while let Some(object) = objects.next().await {
        match object {
            Ok(Some(object)) => {
                seen = true;
                match look(&object) {
                    Verdict::Waiting(text) => show.say(&text),
                    Verdict::Done(text) => {
                        show.say(&text);
                        return Ok(text);
                    }
                    Verdict::Failed(text) => return Err(fail(Code::Error, text)),
                }
            }
            Ok(None) if seen => return Err(fail(Code::NotFound, format!("{name} was deleted meanwhile"))),
            Ok(None) => {}
            Err(error) => retry(error).await?,
        }
    }
    Err(fail(Code::Unreachable, "the watch ended"))
}

/// A watch that breaks is made again; being refused is an answer.
async fn retry(error: watcher::Error) -> anyhow::Result<()> {
    let (watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source)) = error else {
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(());
    };
    match source {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
            Err(anyhow::Error::new(kube::Error::Api(status)).context("cannot watch"))
        }
        _ => {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        }
    }
}

/// Waits until an object is gone.
pub async fn until_gone<K>(api: &Api<K>, name: &str, timeout: Duration) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let gone = async {
        let mut objects = std::pin::pin!(watch_object(api.clone(), name));
        while let Some(object) = objects.next().await {
            match object {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => {}
                Err(error) => retry(error).await?,
            }
        }
        anyhow::bail!("the watch ended")
    };
    let result: anyhow::Result<()> = tokio::time::timeout(timeout, gone)
        .await
        .map_err(|_| fail(Code::Timeout, format!("{name} is not gone within {} s; it goes on", timeout.as_secs())))?;
    result.context("cannot watch")
}
