//! What a victim said, and whether a store that was opened afterwards agrees with it.

use crate::history::{Action, Change, Expects, History, Item, Key, Operation, Outcome, Revision, Stream, Token};
use crate::load::{RESOURCE, list, take};
use crate::{Report, check};
use anyhow::{Context as _, Result, bail, ensure};
use otternauts_store::{Range, Store, WatchItem};
use std::collections::HashMap;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A write was about to be asked for.
    Try(u64, Vec<Change>),
    /// It was answered.
    Ack(u64, Revision),
    /// A watch saw this revision.
    Saw(Revision),
}

impl Line {
    /// # Errors
    /// A line that no victim says.
    pub fn parse(text: &str) -> Result<Line> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let mut number = || -> Result<u64> { Ok(words.next().context("a number")?.parse()?) };
        Ok(match first {
            "ack" => Line::Ack(number()?, number()?),
            "saw" => Line::Saw(number()?),
            "try" => {
                let name = number()?;
                Line::Try(name, words.map(change).collect::<Result<_>>()?)
            }
            _ => bail!("not a line of a victim: {text:?}"),
        })
    }
}

fn change(word: &str) -> Result<Change> {
    let (key, token) = word.split_once('=').context("a change")?;
    let (key, token): (Key, Token) = (key.parse()?, token.parse()?);
    let put = (token != 0).then_some(token);
    let expects = if put.is_some() { Expects::Anything } else { Expects::Exists };
    Ok(Change { key, expects, put })
}

/// What is stored, as a store tells when it is asked for everything it has.
#[derive(Clone, Debug)]
pub struct Found {
    pub at: Revision,
    pub items: Vec<Item>,
    /// All of the history that is still there.
    pub watched: Stream,
}

/// Reads all of a store, and checks each byte on the way.
///
/// # Errors
/// Anything that cannot be read, or is not what a victim wrote.
pub async fn read(store: &Store) -> Result<Found> {
    let (at, items) = list(store).await.context("list")?;
    let after = store.oldest();
    let mut stream = Stream { after, complete_to: Some(at), ..Stream::default() };
    let mut watcher = store.watch(Range::resource(RESOURCE), after).await.context("watch")?;
    while watcher.progress() < at {
        match watcher.next().await.context("history")? {
            item @ WatchItem::Events(_) => take(&mut stream, item)?,
            WatchItem::Progress(_) => {}
        }
    }
    Ok(Found { at, items, watched: stream })
}

/// Holds what is stored against what was said before: every answered write is there, whoever saw a revision still can, and
/// nothing is there that was not asked for. `before` is what the story began with. It must have been read behind every crash:
/// a write that was stored and not answered has no other witness once its history was let go of.
///
/// # Errors
/// What is wrong.
pub fn judge(before: &Found, said: &[Line], found: &Found) -> Result<Report> {
    let mut history = History {
        start: before.at,
        initial: before.items.clone(),
        alone: true,
        streams: vec![found.watched.clone()],
        ..History::default()
    };
    // What was before the story is in the state it began with.
    let watched = &mut history.streams[0];
    if watched.after < before.at {
        let before_it = |seen: &crate::history::Seen| match seen {
            crate::history::Seen::Event { revision, .. } => *revision > before.at,
            crate::history::Seen::Bookmark(at) => *at > before.at,
        };
        watched.seen.retain(before_it);
        watched.after = before.at;
    }
    let mut numbers: HashMap<u64, usize> = HashMap::new();
    for (moment, line) in said.iter().enumerate() {
        let moment = moment as u64;
        match line {
            Line::Try(name, changes) => {
                numbers.insert(*name, history.operations.len());
                let action = Action::Write(changes.clone());
                let outcome = Outcome::Unknown;
                history.operations.push(Operation { client: 0, sent: moment, answered: None, action, outcome });
            }
            Line::Ack(name, revision) => {
                let number = *numbers.get(name).context("an answer without a question")?;
                let operation = &mut history.operations[number];
                (operation.answered, operation.outcome) = (Some(moment), Outcome::Done(Some(*revision)));
                ensure!(found.at >= *revision, "lost: {revision} was answered, the newest is {}", found.at);
            }
            Line::Saw(revision) => {
                ensure!(found.at >= *revision, "vanished: {revision} was seen, the newest is {}", found.at);
            }
        }
    }
    let outcome = Outcome::Listed { at: found.at, items: found.items.clone() };
    let end = said.len() as u64;
    history.operations.push(Operation { client: 1, sent: end, answered: Some(end), action: Action::List, outcome });
    match check(&history) {
        Ok(report) => Ok(report),
        Err(violations) => bail!("{violations:?}"),
    }
}

impl Found {
    /// A store before its first write.
    pub fn nothing() -> Found {
        Found { at: 0, items: Vec::new(), watched: Stream::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Kind, Seen};

    fn said(lines: &[&str]) -> Vec<Line> {
        lines.iter().map(|line| Line::parse(line).expect("a line")).collect()
    }

    fn found(at: Revision, items: &[(Key, Token, Revision)], after: Revision, seen: Vec<Seen>) -> Found {
        let items = items.iter().map(|&(key, token, revision)| Item { key, token, revision }).collect();
        Found { at, items, watched: Stream { after, seen, complete_to: Some(at) } }
    }

    fn event(revision: Revision, key: Key, kind: Kind, token: Token) -> Seen {
        Seen::Event { revision, key, kind, token }
    }

    /// A7 on a full disk, which lets go of all history: the deletion at revision 2 was stored, and the process stopped before it
    /// answered. Only who read the store between the two lives can know of it.
    #[test]
    fn a_write_that_was_stored_unanswered_is_known_to_who_reads_between_two_lives_a7() {
        let first = ["try 11 1=11", "ack 11 1", "try 12 1=0"];
        let second = ["try 21 2=21", "ack 21 3"];
        let end = found(3, &[(2, 21, 3)], 3, Vec::new());
        let events = vec![event(1, 1, Kind::Added, 11), event(2, 1, Kind::Deleted, 11)];
        let between = found(2, &[], 0, events);
        judge(&Found::nothing(), &said(&first), &between).expect("the first life is right");
        judge(&between, &said(&second), &end).expect("the second life is right");
        let both = said(&[&first[..], &second[..]].concat());
        let gap = judge(&Found::nothing(), &both, &end).expect_err("nobody saw revision 2");
        assert!(gap.to_string().contains("Gap { revision: 2 }"), "{gap:#}");
    }

    /// What is read between two lives excuses nothing: what it holds is still there, and what was answered too.
    #[test]
    fn a_life_that_loses_what_was_there_before_it_is_found_out() {
        let between = found(2, &[(1, 11, 1), (2, 12, 2)], 0, Vec::new());
        let second = said(&["try 21 3=21", "ack 21 3"]);
        for (what, end) in [
            ("object 2 is gone", found(3, &[(1, 11, 1), (3, 21, 3)], 3, Vec::new())),
            ("object 2 is as it never was", found(3, &[(1, 11, 1), (2, 11, 1), (3, 21, 3)], 3, Vec::new())),
            ("the answered write is gone", found(2, &[(1, 11, 1), (2, 12, 2)], 2, Vec::new())),
        ] {
            assert!(judge(&between, &second, &end).is_err(), "{what}");
        }
    }
}
