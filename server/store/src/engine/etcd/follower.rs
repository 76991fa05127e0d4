//! Keeps the view near the newest: a watch on the head says that another replica committed.

use crate::engine::etcd::proto::WatchResponse;
use crate::engine::etcd::row::Head;
use crate::engine::etcd::view::View;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts to watch.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs until it is dropped. Nothing is lost while the watch is: whoever reads without a version catches up by itself.
pub(super) async fn follow(view: Arc<View>) {
    let mut pause = PAUSE;
    loop {
        match watch(&view, &mut pause).await {
            Ok(()) => {}
            Err(Error::Engine(source)) => tracing::error!(error = %source, "the log in etcd is not what it was"),
            Err(error) => {
                tracing::warn!(%error, "the watch on etcd is lost, and is begun again");
                // Says whether the cluster is lost too.
                let _told = view.fresh().await;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn watch(view: &View, pause: &mut Duration) -> Result<()> {
    let lost = |why: String| Error::Unavailable(format!("etcd: {why}"));
    let (mut stream, number) = view.client.watch(view.keys.head.clone()).await.map_err(|e| lost(e.to_string()))?;
    loop {
        let next: Result<Option<WatchResponse>, _> = stream.next().await;
        let response = match next {
            Ok(Some(response)) if !response.canceled => response,
            ended => {
                view.client.leave(number).await;
                return Err(lost(match ended {
                    Ok(Some(response)) => response.cancel_reason,
                    Ok(None) => "the watch ended".to_owned(),
                    Err(failure) => failure.to_string(),
                }));
            }
        };
        let news = response.events.iter().filter_map(|event| event.kv.as_ref()).any(|kv| is_news(view, &kv.value));
        // What happened before the watch stood is not told by it.
        if response.created || news {
            view.fresh().await?;
            *pause = PAUSE;
        }
    }
}

fn is_news(view: &View, value: &[u8]) -> bool {
    let known = view.head();
    Head::decode(value).is_none_or(|head| head.revision > known.revision || head.oldest > known.oldest)
}
