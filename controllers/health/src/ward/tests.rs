use super::*;

const SECOND: i64 = 1_000_000_000;

fn end(container: &str, at: i64) -> End {
    End {
        container: container.into(),
        exit_code: Some(137),
        oom: false,
        asked: false,
        unhealthy: false,
        time_nanos: at,
        attributes: BTreeMap::new(),
    }
}

#[test]
fn an_end_counts_once_however_often_it_is_told_and_only_if_nobody_wanted_it() {
    let mut service = Service::default();
    assert!(service.ended(&end("a", 5), 10));
    assert!(!service.ended(&end("a", 5), 10), "told again after a restart of ours");
    assert!(!service.ended(&End { oom: true, ..end("a", 5) }, 11), "told again with more known");
    assert!(!service.ended(&End { asked: true, ..end("b", 6) }, 11), "Swarm stopped it");
    assert!(service.ended(&end("c", 3), 11), "an engine that is late");
    let all: Vec<(&str, bool)> = service.failures(0).map(|f| (f.container.as_str(), f.oom)).collect();
    assert_eq!(all, [("c", false), ("a", true)]);
    assert_eq!(service.failures(5).count(), 1);
}

#[test]
fn an_engine_whose_clock_is_ahead_does_not_keep_failures_for_longer() {
    let mut service = Service::default();
    service.ended(&end("a", 500 * HOUR), 10);
    assert_eq!(service.failures(0).next().map(|f| f.at), Some(10));
}

#[test]
fn what_is_older_than_an_hour_and_what_is_too_much_is_forgotten() {
    let mut service = Service::default();
    for n in 0..200 {
        service.ended(&end(&n.to_string(), n * SECOND), n * SECOND);
    }
    assert_eq!(service.failures(0).count(), ENDS);
    service.ended(&end("late", 2 * HOUR), 2 * HOUR);
    assert_eq!(service.failures(0).count(), 1);
}

#[test]
fn a_service_is_unhealthy_until_a_container_of_it_is_well() {
    let mut service = Service::default();
    service.unhealthy("h1", "a", "500".into());
    assert_eq!(service.sickness(0), Some("500"));
    // Swarm replaces it; what it put in its place has said nothing yet.
    service.ended(&End { asked: true, unhealthy: true, ..end("a", 7) }, 7);
    assert_eq!(service.sickness(0), Some("500"));
    assert_eq!(service.sickness(8), None, "a later version is another matter");
    service.healthy("b");
    assert_eq!(service.sickness(0), None);
    // Two are: one of them well again is not enough.
    service.unhealthy("h1", "c", "c".into());
    service.unhealthy("h2", "d", "d".into());
    service.healthy("c");
    assert_eq!(service.sickness(0), Some("d"));
    service.seen("h1", &[]);
    assert_eq!(service.sickness(0), Some("d"), "another server was looked at");
    service.seen("h2", &[]);
    assert_eq!(service.sickness(0), None);
}
