use super::cursor::Cursor;
use super::ends::{End, Ends};
use crate::docker::Event;

fn event(id: &str, action: &str, attributes: &[(&str, &str)], time_nanos: i64) -> Event {
    let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Event { kind: "container".into(), action: action.into(), id: id.into(), attributes, time_nanos }
}

#[test]
fn after_an_interruption_the_stream_goes_on_where_it_ended_and_repeats_nothing() {
    let die = |id, at| event(id, "die", &[], at);
    let mut cursor = Cursor::default();
    assert_eq!(cursor.start(1_700), 1_700, "from where it is told to begin");
    let (a, b, c) = (die("a", 2_000), die("b", 2_000), die("c", 5));
    assert!(cursor.is_new(&a));
    assert!(cursor.is_new(&c), "an earlier one is late, not old");
    assert_eq!(cursor.start(9_000), 2_000, "not from there again: from what was heard");
    assert!(!cursor.is_new(&a), "the engine repeats what happened at that instant");
    assert!(cursor.is_new(&b), "but another event of the same instant is new");
    assert!(!cursor.is_new(&b));
}

#[test]
fn an_end_says_whether_anybody_wanted_it() {
    type Told = &'static [(&'static str, &'static [(&'static str, &'static str)])];
    // What the engine tells, and the end: asked, out of memory, unhealthy, a failure.
    let rows: [(&str, Told, [bool; 4]); 9] = [
        ("a crash", &[("die", &[("exitCode", "3")])], [false, false, false, true]),
        ("it was done", &[("die", &[("exitCode", "0")])], [false, false, false, false]),
        ("docker kill", &[("kill", &[("signal", "9")]), ("die", &[("exitCode", "137")])], [false, false, false, true]),
        (
            "Swarm's stop",
            &[("kill", &[("signal", "15")]), ("die", &[("exitCode", "143")])],
            [true, false, false, false],
        ),
        (
            "a stop that had to be forced",
            &[("kill", &[("signal", "15")]), ("kill", &[("signal", "9")]), ("die", &[("exitCode", "137")])],
            [true, false, false, false],
        ),
        (
            "its own stop signal",
            &[("kill", &[("signal", "3")]), ("die", &[("exitCode", "0")])],
            [true, false, false, false],
        ),
        ("out of memory", &[("oom", &[]), ("die", &[("exitCode", "137")])], [false, true, false, true]),
        (
            "stopped for its health",
            &[("health_status: unhealthy", &[]), ("kill", &[("signal", "15")]), ("die", &[("exitCode", "0")])],
            [true, false, true, true],
        ),
        (
            "well again, then stopped",
            &[
                ("health_status: unhealthy", &[]),
                ("health_status: healthy", &[]),
                ("kill", &[("signal", "15")]),
                ("die", &[("exitCode", "0")]),
            ],
            [true, false, false, false],
        ),
    ];
    for (name, told, expected) in rows {
        let mut ends = Ends::default();
        let heard = told.iter().filter_map(|(action, attributes)| ends.hear(&event("c", action, attributes, 7)));
        let heard: Vec<End> = heard.collect();
        let [end] = heard.as_slice() else { panic!("{name}: {heard:?}") };
        assert_eq!([end.asked, end.oom, end.unhealthy, end.is_failure()], expected, "{name}");
    }
}

#[test]
fn an_end_for_memory_that_is_told_late_is_told_again_and_only_once() {
    let mut ends = Ends::default();
    let end = ends.hear(&event("c", "die", &[("exitCode", "137")], 7)).expect("an end");
    assert!(!end.oom);
    assert!(ends.hear(&event("other", "oom", &[], 8)).is_none());
    let corrected = ends.hear(&event("c", "oom", &[], 8)).expect("the end again");
    assert_eq!((corrected.oom, corrected.time_nanos), (true, 7));
    assert_eq!(ends.hear(&event("c", "oom", &[], 9)), None);
    // A container that runs again and is stopped was not out of memory.
    assert_eq!(ends.hear(&event("c", "start", &[], 10)), None);
    let again = ends.hear(&event("c", "die", &[("exitCode", "0")], 11)).expect("an end");
    assert!(!again.is_failure());
}

#[test]
fn what_is_remembered_of_containers_is_bounded() {
    let mut ends = Ends::default();
    for n in 0..10_000 {
        assert_eq!(ends.hear(&event(&n.to_string(), "oom", &[], n)), None);
    }
    let last = ends.hear(&event("9999", "die", &[("exitCode", "137")], 10_000)).expect("an end");
    let first = ends.hear(&event("0", "die", &[("exitCode", "137")], 10_000)).expect("an end");
    assert_eq!((last.oom, first.oom), (true, false));
}
