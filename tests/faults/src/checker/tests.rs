//! Hand-made histories: the good one passes, and each bad one is refused, by name; by both checkers where both can see it.

use super::{Violation, check};
use crate::dice::Dice;
use crate::history::{Action, Change, Expects, History, Item, Key, Kind, Operation, Outcome, Revision, Seen, Stream};
use crate::linear;

fn write(sent: u64, answered: u64, change: (Key, Expects, Option<u64>), outcome: Outcome) -> Operation {
    let (key, expects, put) = change;
    let answered = (outcome != Outcome::Unknown).then_some(answered);
    Operation { client: 0, sent, answered, action: Action::Write(vec![Change { key, expects, put }]), outcome }
}

fn read(sent: u64, answered: u64, action: Action, outcome: Outcome) -> Operation {
    Operation { client: 1, sent, answered: Some(answered), action, outcome }
}

fn done(revision: Revision) -> Outcome {
    Outcome::Done(Some(revision))
}

fn event(revision: Revision, key: Key, kind: Kind, token: u64) -> Seen {
    Seen::Event { revision, key, kind, token }
}

fn item(key: Key, token: u64, revision: Revision) -> Item {
    Item { key, token, revision }
}

/// Object 1: created (token 11, revision 1), updated (12, 2), deleted (4). Object 2: created (21, 3). Object 3 and 4: one
/// transaction (31 and 41, 5). Operation 5 was never answered and came true at revision 6; operation 6 did not.
fn good() -> History {
    let pair = vec![
        Change { key: 3, expects: Expects::Anything, put: Some(31) },
        Change { key: 4, expects: Expects::Anything, put: Some(41) },
    ];
    let operations = vec![
        write(0, 10, (1, Expects::Absent, Some(11)), done(1)),
        write(20, 30, (1, Expects::At(1, 11), Some(12)), done(2)),
        write(25, 40, (2, Expects::Absent, Some(21)), done(3)),
        write(50, 60, (1, Expects::At(2, 12), None), Outcome::Done(None)),
        Operation { client: 2, sent: 70, answered: Some(80), action: Action::Write(pair), outcome: done(5) },
        write(90, 0, (2, Expects::Exists, Some(22)), Outcome::Unknown),
        write(90, 0, (2, Expects::Exists, Some(23)), Outcome::Unknown),
        write(65, 68, (1, Expects::At(2, 12), Some(13)), Outcome::Refused),
        read(31, 45, Action::Get(1), Outcome::Found(Some((12, 2)))),
        read(62, 66, Action::Get(1), Outcome::Found(None)),
        read(
            95,
            99,
            Action::List,
            Outcome::Listed { at: 6, items: vec![item(2, 22, 6), item(3, 31, 5), item(4, 41, 5)] },
        ),
    ];
    let seen = vec![
        event(1, 1, Kind::Added, 11),
        event(2, 1, Kind::Modified, 12),
        Seen::Bookmark(2),
        event(3, 2, Kind::Added, 21),
        event(4, 1, Kind::Deleted, 12),
        event(5, 3, Kind::Added, 31),
        event(5, 4, Kind::Added, 41),
        event(6, 2, Kind::Modified, 22),
        Seen::Bookmark(6),
    ];
    let late = Stream { after: 4, seen: seen[5..].to_vec(), complete_to: Some(6) };
    let streams = vec![Stream { after: 0, seen, complete_to: Some(6) }, late];
    History { start: 0, initial: Vec::new(), operations, streams, alone: true }
}

#[test]
fn a_good_history_passes_both_checkers() {
    let report = check(&good()).expect("it is good");
    assert_eq!((report.acknowledged, report.unknown, report.came_true, report.refused), (5, 2, 1, 1));
    assert_eq!((report.reads, report.events), (3, 10));
    assert_eq!(linear::check(&good()), Ok(()));
}

/// Two clients sent the same deletion, and neither was answered: it was the one that can have been.
#[test]
fn a_deletion_that_two_sent_unanswered_is_the_one_that_was_sent_in_time() {
    let delete = |sent| write(sent, 0, (1, Expects::At(1, 11), None), Outcome::Unknown);
    let operations = vec![
        write(0, 10, (1, Expects::Absent, Some(11)), done(1)),
        delete(200),
        delete(20),
        write(30, 40, (2, Expects::Absent, Some(21)), done(3)),
        write(45, 50, (1, Expects::At(1, 11), Some(12)), Outcome::Refused),
        read(60, 70, Action::Get(1), Outcome::Found(None)),
    ];
    let seen = vec![
        event(1, 1, Kind::Added, 11),
        event(2, 1, Kind::Deleted, 11),
        event(3, 2, Kind::Added, 21),
        Seen::Bookmark(3),
    ];
    let streams = vec![Stream { after: 0, seen, complete_to: Some(3) }];
    let history = History { start: 0, initial: Vec::new(), operations, streams, alone: true };
    assert_eq!(check(&history).map(|report| report.came_true), Ok(1));
    assert_eq!(linear::check(&history), Ok(()));
}

type Spoil = fn(&mut History);
/// What is wrong, how, whether it can be seen without revisions and watches, and the violation.
type Case = (&'static str, Spoil, bool, fn(&Violation) -> bool);

#[test]
fn each_bad_history_is_refused_by_name() {
    let cases: &[Case] = &[
        (
            "B1: a stale read",
            |h| h.operations[9].outcome = Outcome::Found(Some((12, 2))),
            true,
            |v| matches!(v, Violation::WrongRead { operation: 9, .. }),
        ),
        (
            "B1: a read of the future",
            |h| (h.operations[8].sent, h.operations[8].answered) = (5, Some(15)),
            true,
            |v| matches!(v, Violation::WrongRead { operation: 8, .. }),
        ),
        (
            "B1: two updates from one state",
            |h| {
                let twin = write(21, 31, (1, Expects::At(1, 11), Some(99)), done(7));
                h.operations.push(twin);
            },
            true,
            |v| matches!(v, Violation::Precondition { revision: 7, .. }),
        ),
        (
            "B1: the order of time is not that of revisions",
            |h| {
                h.operations[0].outcome = done(3);
                h.operations[2].outcome = done(1);
            },
            false,
            |v| matches!(v, Violation::WentBack { .. } | Violation::Precondition { .. }),
        ),
        (
            "A1: an answered write is lost",
            |h| {
                let Outcome::Listed { items, .. } = &mut h.operations[10].outcome else { return };
                items.remove(2);
            },
            true,
            |v| matches!(v, Violation::WrongList { operation: 10, at: 6, key: 4 }),
        ),
        (
            "A1: an answered deletion is lost",
            |h| {
                h.streams.clear();
                h.alone = false;
            },
            false,
            |v| matches!(v, Violation::Lost { operation: 3 }),
        ),
        (
            "A1: a refused write is there",
            |h| {
                let Outcome::Listed { items, .. } = &mut h.operations[10].outcome else { return };
                items.push(item(1, 13, 6));
            },
            true,
            |v| matches!(v, Violation::Phantom { token: 13, .. }),
        ),
        (
            "A1: what nobody wrote is there",
            |h| h.streams[0].seen.push(event(7, 9, Kind::Added, 777)),
            false,
            |v| matches!(v, Violation::Phantom { token: 777, .. }),
        ),
        (
            "B3: one revision twice",
            |h| h.operations[2].outcome = done(2),
            false,
            |v| matches!(v, Violation::SameRevision { revision: 2, .. }),
        ),
        (
            "a revision is missing",
            |h| {
                let last = write(200, 210, (9, Expects::Absent, Some(91)), done(8));
                h.operations.push(last);
            },
            false,
            |v| matches!(v, Violation::Gap { revision: 7 }),
        ),
        (
            "B4: an unanswered write happened twice",
            |h| {
                h.streams[0].seen.push(event(7, 2, Kind::Modified, 22));
            },
            false,
            |v| matches!(v, Violation::Moved { operation: 5, seen: 7, .. }),
        ),
        (
            "half a transaction is listed",
            |h| {
                h.operations.truncate(10);
                let items = vec![item(2, 21, 3), item(3, 31, 5)];
                h.operations.push(read(95, 99, Action::List, Outcome::Listed { at: 5, items }));
                h.streams.clear();
                h.alone = false;
                h.operations[3].outcome = done(4);
            },
            true,
            |v| matches!(v, Violation::WrongList { key: 4, .. }),
        ),
        (
            "a write was refused for no reason",
            |h| {
                h.operations.push(write(200, 210, (3, Expects::At(5, 31), Some(32)), Outcome::Refused));
            },
            true,
            |v| matches!(v, Violation::Refused { operation: 11 }),
        ),
        (
            "a list is older than what was answered",
            |h| {
                let items = vec![item(1, 12, 2), item(2, 21, 3)];
                h.operations.push(read(95, 99, Action::List, Outcome::Listed { at: 3, items }));
            },
            true,
            |v| matches!(v, Violation::WentBack { operation: 11, revision: 3, known: 5 }),
        ),
        (
            "B5: a watch misses an event",
            |h| _ = h.streams[0].seen.remove(3),
            false,
            |v| matches!(v, Violation::Missed { stream: 0, revision: 3, key: 2 }),
        ),
        (
            "B5: a watch misses the last event",
            |h| {
                h.streams[1].seen.truncate(2);
            },
            false,
            |v| matches!(v, Violation::Missed { stream: 1, revision: 6, .. }),
        ),
        (
            "B6: an event comes twice",
            |h| h.streams[0].seen.insert(1, event(1, 1, Kind::Added, 11)),
            false,
            |v| matches!(v, Violation::Unexpected { stream: 0, revision: 1, .. }),
        ),
        (
            "B6: a resumed watch repeats an event",
            |h| {
                h.streams[1].seen.insert(0, event(4, 1, Kind::Deleted, 12));
            },
            false,
            |v| matches!(v, Violation::Unexpected { stream: 1, revision: 4, .. }),
        ),
        ("events change places", |h| h.streams[0].seen.swap(3, 4), false, |v| matches!(v, Violation::Missed { .. })),
        (
            "the wrong type",
            |h| h.streams[0].seen[1] = event(2, 1, Kind::Added, 12),
            false,
            |v| matches!(v, Violation::WrongEvent { revision: 2, .. }),
        ),
        (
            "a deletion without its last state",
            |h| h.streams[0].seen[4] = event(4, 1, Kind::Deleted, 11),
            false,
            |_| true,
        ),
        (
            "B13: a bookmark before an event",
            |h| h.streams[0].seen[2] = Seen::Bookmark(3),
            false,
            |v| matches!(v, Violation::Bookmark { at: 3, .. }),
        ),
        (
            "B14: a resume point inside a transaction",
            |h| h.streams[0].seen.insert(6, Seen::Bookmark(5)),
            false,
            |v| matches!(v, Violation::Bookmark { at: 5, .. }),
        ),
        (
            "a bookmark goes back",
            |h| h.streams[0].seen[8] = Seen::Bookmark(5),
            false,
            |v| matches!(v, Violation::Bookmark { at: 5, .. }),
        ),
    ];
    for (what, spoil, plain, expected) in cases {
        let mut history = good();
        spoil(&mut history);
        match check(&history) {
            Ok(_) => panic!("{what}: it passed"),
            Err(violations) => assert!(violations.iter().any(expected), "{what}: {violations:?}"),
        }
        if *plain {
            assert_eq!(linear::check(&history), Err(linear::Refusal::NotLinearizable), "{what}");
        }
    }
}

/// Random small spoilings: whatever the search finds impossible, the checker refuses too.
#[test]
fn the_checker_refuses_whatever_the_search_refuses() {
    let seed = Dice::seed();
    let (mut both, mut passed) = (0, 0);
    for round in 0..4_000 {
        let mut dice = Dice::part(seed, round);
        let mut history = good();
        for _ in 0..1 + dice.below(2) {
            spoil(&mut history, &mut dice);
        }
        let (ours, theirs) = (check(&history), linear::check(&history));
        if theirs.is_err() {
            assert!(ours.is_err(), "seed {seed}, round {round}: only the search refuses {history:#?}");
            both += 1;
        }
        passed += u32::from(ours.is_ok());
    }
    assert!(both > 200 && passed > 20, "seed {seed}: {both} and {passed}: the spoilings are no test");
}

fn spoil(history: &mut History, dice: &mut Dice) {
    let count = history.operations.len() as u64;
    let operation = &mut history.operations[dice.below(count) as usize];
    match dice.below(5) {
        0 => operation.sent = operation.sent.saturating_sub(dice.below(40)),
        1 => operation.answered = operation.answered.map(|moment| moment + dice.below(40)),
        2 => {
            operation.sent += dice.below(30);
            operation.answered = operation.answered.map(|moment| moment.max(operation.sent + 1));
        }
        3 => match &mut operation.outcome {
            Outcome::Found(found) => *found = [None, Some((11, 1)), Some((12, 2))][dice.below(3) as usize],
            Outcome::Listed { items, .. } => _ = items.pop(),
            _ => {}
        },
        _ => {
            if let Action::Write(changes) = &mut operation.action {
                changes[0].expects = [Expects::Absent, Expects::Exists, Expects::Anything][dice.below(3) as usize];
            }
        }
    }
}
