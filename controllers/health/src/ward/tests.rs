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

fn failed(text: &str) -> Result<(), String> {
    Err(text.to_owned())
}

#[test]
fn a_declared_check_and_the_containers_own_know_nothing_of_one_another() {
    let mut service = Service::default();
    assert!(service.answered("h1", "a", failed("404"), 2), "one failure is counted");
    assert_eq!((service.sickness(0), service.probe_failures()), (None, Some(1)));
    assert!(service.answered("h1", "a", failed("404"), 2));
    assert_eq!((service.sickness(0), service.probe_failures()), (Some("404"), Some(2)));
    // The engine says that its own check is well, or is looked at anew.
    service.healthy("a");
    service.seen("h1", &[]);
    assert_eq!(service.sickness(0), Some("404"));
    // And the other way round.
    service.unhealthy("h1", "a", "own".into());
    assert!(service.answered("h1", "a", Ok(()), 2));
    assert_eq!((service.sickness(0), service.probe_failures()), (Some("own"), Some(0)));
}

#[test]
fn each_answer_says_how_it_is_whatever_was_missed_before() {
    let mut service = Service::default();
    // It failed for long, with more retries than it has now.
    for _ in 0..5 {
        service.answered("h1", "a", failed("500"), 9);
    }
    assert_eq!(service.sickness(0), None);
    assert!(service.answered("h1", "a", failed("500"), 3), "past the number, not only at it");
    assert_eq!(service.sickness(0), Some("500"));
    // A version of the stack that leaves the container alone, with the same check or another: one good answer is enough.
    service.probed_anew();
    assert_eq!(service.sickness(0), Some("500"), "until it is asked again");
    assert!(service.answered("h1", "a", failed("404"), 3));
    assert_eq!(service.sickness(0), Some("404"), "what another check says is worth saying");
    assert!(service.answered("h1", "a", Ok(()), 3));
    assert_eq!(service.sickness(0), None);
    assert!(!service.answered("h1", "a", Ok(()), 3), "well, and well again, is no news");
}

#[test]
fn what_fails_for_ever_is_not_said_for_ever() {
    let mut service = Service::default();
    let news = (0..500).filter(|n| service.answered("h1", "a", failed(&format!("at {n} o'clock")), 3));
    assert_eq!(news.count(), usize::try_from(MAX_PROBE_FAILURES).expect("a small number"));
    assert_eq!(service.sickness(0), Some("at 2 o'clock"));
}

#[test]
fn a_check_that_failed_before_we_began_goes_on_failing() {
    let mut service = Service::default();
    service.remember(7);
    assert_eq!((service.sickness(0), service.probe_failures(), service.was_asked()), (None, None, false));
    service.answered("h1", "a", failed("404"), 3);
    service.answered("h1", "b", Ok(()), 3);
    service.asked();
    assert_eq!((service.sickness(0), service.probe_failures(), service.was_asked()), (Some("404"), Some(8), true));
    // Another container begins anew, and what is remembered later is too late.
    service.remember(7);
    service.answered("h1", "a", Ok(()), 3);
    service.answered("h1", "c", failed("404"), 3);
    assert_eq!((service.sickness(0), service.probe_failures()), (None, Some(1)));
}

#[test]
fn what_a_check_found_goes_with_its_container_its_server_and_its_declaration() {
    let sick = || {
        let mut service = Service::default();
        service.answered("h1", "a", failed("a"), 1);
        service.answered("h2", "b", failed("b"), 1);
        service
    };
    let mut service = sick();
    service.ended(&End { asked: true, ..end("a", 7) }, 7);
    assert_eq!(service.sickness(0), Some("b"));
    assert!(!service.probed_only("h1", &[]), "it is gone already");
    assert!(!service.probed_only("h2", &["b".to_owned()]));
    assert!(service.probed_only("h2", &["c".to_owned()]), "it ended, and nobody told");
    assert_eq!((service.sickness(0), service.probe_failures()), (None, None));
    let mut service = sick();
    service.forget_server("h1");
    assert_eq!((service.sickness(0), service.servers().collect::<Vec<_>>()), (Some("b"), vec!["h2"]));
    service.not_probed();
    assert_eq!((service.sickness(0), service.probe_failures()), (None, None));
}

#[test]
fn a_container_on_a_server_that_is_lost_says_nothing() {
    let mut service = Service::default();
    service.unhealthy("h1", "a", "a".into());
    service.unhealthy("h2", "b", "b".into());
    service.forget_server("h1");
    assert_eq!(service.sickness(0), Some("b"));
    service.forget_server("h2");
    assert_eq!((service.sickness(0), service.servers().count()), (None, 0));
}
