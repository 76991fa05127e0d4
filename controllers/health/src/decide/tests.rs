use super::*;
use otternauts_fleet::End;
use std::collections::BTreeMap;

/// 2023-11-14T22:13:20Z, when the last rollout ended.
const START: i64 = 1_700_000_000 * SECOND;

fn running(service: &str, running: i32, desired: i32) -> StackStatus {
    let progressing = Condition {
        r#type: "Progressing".into(),
        status: ConditionStatus::False,
        reason: "Complete".into(),
        message: String::new(),
        last_transition_time: Some("2023-11-14T22:13:20Z".into()),
        observed_generation: None,
    };
    let service = ServiceStatus { name: service.into(), running, desired, ..ServiceStatus::default() };
    StackStatus {
        phase: StackPhase::Running,
        services: vec![service],
        conditions: vec![progressing],
        ..StackStatus::default()
    }
}

/// Failures of service `web` at these times; what they were is up to `made`.
fn failures(times: &[i64], made: impl Fn(End) -> End) -> Ward {
    let mut service = Service::default();
    for at in times {
        let end = End {
            container: at.to_string(),
            exit_code: Some(1),
            oom: false,
            asked: false,
            unhealthy: false,
            time_nanos: *at,
            attributes: BTreeMap::new(),
        };
        service.ended(&made(end), *at);
    }
    Ward([("web".to_owned(), service)].into())
}

/// The conditions that hold, with their reasons.
fn holding(verdict: &Verdict) -> Vec<(&'static str, &str)> {
    verdict.findings.iter().filter_map(|f| Some((f.condition, f.found.as_ref()?.reason.as_ref()))).collect()
}

#[test]
fn one_death_degrades_for_half_a_minute_and_no_longer() {
    let died = START + MINUTE;
    let (ward, status) = (failures(&[died], |e| e), running("web", 2, 2));
    let at = |seconds: i64| decide(&ward, &status, died + seconds * SECOND);
    assert_eq!(holding(&at(1)), [("Degraded", "TaskFailed")]);
    assert_eq!(at(1).again, Some(Duration::from_millis(29_050)));
    assert_eq!(holding(&at(29)), [("Degraded", "TaskFailed")]);
    assert_eq!(holding(&at(31)), []);
    let message = at(1).findings[3].found.clone().map(|f| f.message);
    assert_eq!(message.as_deref(), Some("A container of service web ended with exit code 1"));
    assert_eq!(decide(&ward, &status, died + HOUR).again, None, "nothing is waited for in the end");
}

#[test]
fn five_restarts_in_an_hour_are_a_crash_loop_that_ends_after_ten_quiet_minutes() {
    let status = running("web", 1, 1);
    let times: Vec<i64> = (1..=5).map(|n| START + n * 2 * MINUTE).collect();
    let (four, five) = (failures(&times[..4], |e| e), failures(&times, |e| e));
    assert_eq!(holding(&decide(&four, &status, times[3] + SECOND)), [("Degraded", "TaskFailed")]);
    let looping = decide(&five, &status, times[4] + SECOND);
    assert_eq!(holding(&looping), [("CrashLooping", "CrashLooping"), ("Degraded", "CrashLooping")]);
    let message = looping.findings[1].found.clone().map(|f| f.message);
    assert_eq!(message.as_deref(), Some("Service web restarted 5 times in 1 hour"));
    assert_eq!(holding(&decide(&five, &status, times[4] + 9 * MINUTE)).len(), 2);
    assert_eq!(holding(&decide(&five, &status, times[4] + 11 * MINUTE)), []);
    // The same five, over more than an hour.
    let slow: Vec<i64> = (1..=5).map(|n| START + n * 16 * MINUTE).collect();
    assert_eq!(holding(&decide(&failures(&slow, |e| e), &status, slow[4] + SECOND)), [("Degraded", "TaskFailed")]);
}

#[test]
fn a_loop_of_any_period_is_told_once_and_recovers_once() {
    for period in [1, 5, 20, 29, 60, 300] {
        let times: Vec<i64> = (5..40).map(|n| START + n * period * SECOND).collect();
        let status = running("web", 1, 1);
        let (mut transitions, mut before) = (0, false);
        for second in 0..(40 * period + 700) {
            let now = START + second * SECOND;
            let so_far: Vec<i64> = times.iter().copied().filter(|t| *t <= now).collect();
            let looping = decide(&failures(&so_far, |e| e), &status, now).findings[1].found.is_some();
            transitions += i32::from(looping != before);
            before = looping;
        }
        assert_eq!((transitions, before), (2, false), "every {period} s");
    }
}

/// OG-6, AO-18: whatever the pace, what fails again and again is told at most twice: when it first does, and when it does it again.
#[test]
fn a_service_that_fails_at_any_pace_is_degraded_without_flapping() {
    // Seconds between two failures, and how often Degraded may begin.
    for (period, expected) in [(10, 1), (29, 1), (31, 2), (45, 2), (120, 2), (400, 2), (700, 2), (1500, 2), (3000, 2)] {
        let times: Vec<i64> = (0..20).map(|n| START + (100 + n * period) * SECOND).collect();
        let status = running("web", 1, 1);
        let mut begins = [0; 3];
        let mut before = [false; 3];
        for second in (0..100 + 20 * period + 7200).step_by(10) {
            let now = START + second * SECOND;
            let so_far: Vec<i64> = times.iter().copied().filter(|t| *t <= now).collect();
            let verdict = decide(&failures(&so_far, |e| End { oom: true, ..e }), &status, now);
            let crashes = decide(&failures(&so_far, |e| e), &status, now);
            let found = |v: &Verdict, i: usize| v.findings[i].found.is_some();
            let holds = [found(&verdict, 0), found(&crashes, 1), found(&crashes, 3)];
            for i in 0..3 {
                begins[i] += i32::from(holds[i] && !before[i]);
            }
            before = holds;
        }
        let [memory, looping, degraded] = begins;
        assert_eq!((degraded, before), (expected, [false; 3]), "every {period} s");
        assert!(memory <= 2 && looping <= 1, "every {period} s: {memory}, {looping}");
    }
}

#[test]
fn a_quiet_time_is_longer_after_a_second_failure_and_as_long_as_the_pace_asks() {
    let status = running("web", 1, 1);
    // When a service failed, and after how many seconds from the last failure it is over.
    for (minutes, expected) in [
        (&[10][..], 30),
        (&[10, 11], 300),
        (&[10, 14], 480),
        (&[10, 11, 12, 13], 300),
        (&[10, 30, 31], 2400),
        (&[10, 55], 3600),
        (&[10, 71], 30),
    ] {
        let times: Vec<i64> = minutes.iter().map(|m| START + m * MINUTE).collect();
        let (ward, last) = (failures(&times, |e| e), times[times.len() - 1]);
        let at = |seconds: i64| decide(&ward, &status, last + seconds * SECOND);
        assert_eq!(holding(&at(expected - 1)).len(), 1, "{minutes:?}");
        assert_eq!(at(expected - 1).again, Some(Duration::from_millis(1_050)), "{minutes:?}");
        assert_eq!(holding(&at(expected)), [], "{minutes:?}");
    }
}

#[test]
fn each_service_says_whether_it_is_well_and_how_often_its_check_failed() {
    let mut web = Service::default();
    let services = |web: &Service| {
        let ward = Ward([("web".to_owned(), web.clone()), ("gone".to_owned(), web.clone())].into());
        decide(&ward, &running("web", 1, 1), START + MINUTE).services
    };
    let said = |unhealthy, probe_failures| [Health { name: "web".into(), unhealthy, probe_failures }];
    assert_eq!(decide(&Ward::default(), &running("web", 1, 1), START).services, said(false, None));
    assert_eq!(services(&web), said(false, None));
    web.answered("h1", "a", Ok(()), 2);
    assert_eq!(services(&web), said(false, Some(0)));
    web.answered("h1", "a", Err("404".into()), 2);
    assert_eq!(services(&web), said(false, Some(1)));
    web.answered("h1", "a", Err("404".into()), 2);
    assert_eq!(services(&web), said(true, Some(2)));
    let mut own = Service::default();
    own.unhealthy("h1", "a", String::new());
    assert_eq!(services(&own), said(true, None));
}

#[test]
fn out_of_memory_is_said_for_five_minutes_and_before_all_else() {
    let (ward, status) = (failures(&[START + MINUTE], |e| End { oom: true, ..e }), running("web", 1, 1));
    let at = |minutes: i64| decide(&ward, &status, START + minutes * MINUTE);
    assert_eq!(holding(&at(2)), [("OOMKilled", "OutOfMemory"), ("Degraded", "OutOfMemory")]);
    assert_eq!(holding(&at(7)), []);
}

#[test]
fn an_unhealthy_service_is_said_in_the_words_of_ot_f12() {
    let mut service = Service::default();
    service.unhealthy("h1", "a", "curl: (7) refused\n".into());
    let verdict = decide(&Ward([("web".to_owned(), service)].into()), &running("web", 1, 1), START + MINUTE);
    assert_eq!(holding(&verdict), [("Unhealthy", "Unhealthy"), ("Degraded", "Unhealthy")]);
    let message = verdict.findings[2].found.clone().map(|f| f.message);
    assert_eq!(message.as_deref(), Some("Service web is unhealthy (curl: (7) refused)"));
}

#[test]
fn what_failed_before_the_last_rollout_or_in_services_that_are_gone_is_over() {
    let before: Vec<i64> = (1..=9).map(|n| START - n * SECOND).rev().collect();
    assert_eq!(holding(&decide(&failures(&before, |e| e), &running("web", 1, 1), START + SECOND)), []);
    let after: Vec<i64> = (1..=9).map(|n| START + n * SECOND).collect();
    let ward = failures(&after, |e| e);
    assert_eq!(holding(&decide(&ward, &running("api", 1, 1), START + 10 * SECOND)), []);
    assert_eq!(holding(&decide(&ward, &running("web", 1, 1), START + 10 * SECOND)).len(), 2);
    let stopped = StackStatus { phase: StackPhase::Stopped, ..running("web", 0, 0) };
    assert_eq!(holding(&decide(&ward, &stopped, START + 10 * SECOND)), []);
}

#[test]
fn a_stack_that_lacks_tasks_is_degraded_unless_it_is_being_deployed() {
    let (none, status) = (Ward::default(), running("web", 1, 2));
    let verdict = decide(&none, &status, START + MINUTE);
    assert_eq!(holding(&verdict), [("Degraded", "Unavailable")]);
    let message = verdict.findings[3].found.clone().map(|f| f.message);
    assert_eq!(message.as_deref(), Some("Service web: 1 of 2 tasks run"));
    let deploying = StackStatus { phase: StackPhase::Deploying, ..status };
    assert_eq!(holding(&decide(&none, &deploying, START + MINUTE)), []);
}
