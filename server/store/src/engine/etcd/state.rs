//! Whose a prefix is, and whether it may be served from: what its format key says.
//!
//! A store that is being filled, or that was moved away, says so in that key. So no replica can start there, not even one of a version
//! that knows nothing of moving: it finds a format that it does not know.

use crate::engine::Written;
use crate::engine::etcd::client::{PATIENCE, Trouble};
use crate::engine::etcd::proto::{TxnRequest, holds, put};
use crate::engine::etcd::row::{FORMAT, Head};
use crate::engine::etcd::view::View;
use crate::error::{Error, Result};
use crate::key::Revision;
use bytes::Bytes;
use tokio::time::Instant;

const ARRIVING: &str = "otternauts arriving ";
const MOVED: &str = "otternauts moved ";

/// What an etcd store is opened for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To serve from it; an empty prefix becomes ours. Refused when it is not whole, or was moved away.
    #[default]
    Serve,
    /// To move it away: also a second time. Nothing is made of an empty prefix.
    Leave,
    /// To look at what was imported, before it is given free; the value is that of its import.
    Arriving(Bytes),
}

/// What the format key says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Ours,
    /// It is being filled, by what the note says.
    Arriving(String),
    /// It was moved to where the note says.
    Moved(String),
    /// Somebody else's, or of a newer version.
    Foreign(String),
}

impl State {
    pub(super) fn of(value: &[u8]) -> State {
        let text = String::from_utf8_lossy(value);
        if value == FORMAT {
            State::Ours
        } else if let Some((_, note)) = text.strip_prefix(ARRIVING).and_then(|rest| rest.split_once(' ')) {
            State::Arriving(note.to_owned())
        } else if let Some(note) = text.strip_prefix(MOVED) {
            State::Moved(note.to_owned())
        } else {
            State::Foreign(text.chars().take(64).collect())
        }
    }

    /// The value of an import that is like no other.
    pub(super) fn arriving(note: &str) -> Bytes {
        format!("{ARRIVING}{:016x} {note}", rand::random::<u64>()).into()
    }
}

pub(super) async fn moved(view: &View) -> Result<Option<String>> {
    let found = super::meta::read(view, view.keys.format.clone()).await?;
    Ok(found.and_then(|value| match State::of(&value) {
        State::Moved(note) => Some(note),
        _ => None,
    }))
}

/// One transaction: nobody wrote since, the format says that it was moved, and the head gets another number. A replica that was overlooked,
/// frozen or cut off finds "history went back" and can neither write nor read.
pub(super) async fn leave(view: &View, at: Revision, note: &str) -> Result<()> {
    view.fresh().await?;
    let known = view.head();
    if known.revision != at {
        return Err(Written { at, newest: known.revision }.into());
    }
    let before = super::meta::read(view, view.keys.format.clone()).await?;
    let after: Bytes = format!("{MOVED}{note}").into();
    let (head, format) = (view.keys.head.clone(), view.keys.format.clone());
    let fenced = Head { nonce: rand::random(), ..known };
    let request = TxnRequest {
        compare: vec![holds(head.clone(), Some(known.encode())), holds(format.clone(), before)],
        success: vec![put(head, fenced.encode()), put(format.clone(), after.clone())],
        failure: Vec::new(),
    };
    let answer = view.client.decide(&request, Instant::now() + PATIENCE).await;
    match answer.map_err(Trouble::of_write)? {
        (answer, _) if answer.succeeded => {}
        // An answer got lost, and this was the second time.
        (_, true) if super::meta::read(view, format).await?.as_ref() == Some(&after) => {}
        _ => {
            view.fresh().await?;
            let newest = view.head().revision;
            return Err(if newest == at {
                Error::Unavailable("etcd: another replica works on the same history: try again".to_owned())
            } else {
                Written { at, newest }.into()
            });
        }
    }
    view.applied.lock().head = fenced;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_key_says_what_may_be_done_with_a_prefix() {
        assert_eq!(State::of(FORMAT), State::Ours);
        let mark = State::arriving("a migration from sqlite:/data");
        assert_eq!(State::of(&mark), State::Arriving("a migration from sqlite:/data".to_owned()));
        assert_ne!(mark, State::arriving("a migration from sqlite:/data"), "no two are the same");
        assert_eq!(State::of(b"otternauts moved to x"), State::Moved("to x".to_owned()));
        for other in [&b"otternauts 2"[..], b"", b"otternauts 1 ", b"otternauts arriving", b"\xff\xfe"] {
            assert!(matches!(State::of(other), State::Foreign(_)), "{other:?}");
        }
    }
}
