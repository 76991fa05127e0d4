//! A small value that everything written depends on, such as the keyring: followed by every replica, and compared by every commit.
//!
//! It is read with each page of the log and told before the page's rows can be seen, so whoever reads a row knows the value it was written
//! under. And a commit that was made under another value than the one in etcd does nothing.

use crate::engine::etcd::proto::{Compare, RequestOp, get, holds};
use crate::engine::etcd::view::View;
use crate::error::Result;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Told of each new value. `false`: it cannot be used here, and nothing is to be committed under the one before.
pub(crate) type Tell = Arc<dyn Fn(Bytes) -> bool + Send + Sync>;

#[derive(Default)]
pub(super) struct Followed(Mutex<Option<Value>>);

#[derive(Clone)]
struct Value {
    key: Bytes,
    /// The newest that was told; `None`: there is none.
    last: Option<Bytes>,
    tell: Tell,
}

impl Followed {
    /// What every reading of the log asks for beside it.
    pub(super) fn question(&self) -> Option<RequestOp> {
        self.0.lock().as_ref().map(|value| get(value.key.clone()))
    }

    /// What every commit compares.
    pub(super) fn condition(&self) -> Option<Compare> {
        self.0.lock().as_ref().map(|value| holds(value.key.clone(), value.last.clone()))
    }

    pub(super) fn last(&self) -> Option<Bytes> {
        self.0.lock().as_ref().and_then(|value| value.last.clone())
    }

    /// Tells a value that was found, if it is another. Answers when who is told knows it.
    pub(super) fn found(&self, found: Option<Bytes>) {
        let mut followed = self.0.lock();
        let Some(value) = followed.as_mut().filter(|value| value.last != found) else { return };
        // While it is locked: two values are told in their order.
        if found.clone().is_none_or(|found| (value.tell)(found)) {
            value.last = found;
        }
    }
}

/// Follows one small value from now on; the one there is, is told before this answers.
pub(super) async fn follow(view: &View, name: &str, tell: Tell) -> Result<()> {
    let key = view.keys.meta(name);
    *view.followed.0.lock() = Some(Value { key, last: None, tell });
    refresh(view).await
}

/// Reads it now.
pub(super) async fn refresh(view: &View) -> Result<()> {
    let key = view.followed.0.lock().as_ref().map(|value| value.key.clone());
    let Some(key) = key else { return Ok(()) };
    let found = super::meta::read(view, key).await?;
    view.followed.found(found);
    Ok(())
}
