use super::*;
use otternauts_types::notifier::{NoticeObject, Severity};

fn at(second: i64) -> At {
    At { now: Timestamp::from_second(second).expect("a time"), generation: Some(3) }
}

fn outbox(id: &str) -> Outbox {
    let object = NoticeObject { kind: "Stack".into(), namespace: "shop".into(), name: "web".into(), uid: "u".into() };
    let notice = Notice {
        state: NoticeState::Problem,
        severity: Severity::Warning,
        object,
        version: None,
        reason: "Unhealthy".into(),
        message: String::new(),
        time: "2026-01-02T03:04:05Z".into(),
    };
    Outbox { id: id.into(), notices: vec![notice], events_through: Some("7".into()), ..Outbox::default() }
}

fn condition(status: &NotifierStatus) -> (ConditionStatus, &str) {
    let found = status.conditions.iter().find(|c| c.r#type == "Delivered").expect("the condition");
    (found.status, &found.reason)
}

#[test]
fn only_changes_of_state_change_the_status() {
    let sent = composed(&NotifierStatus::default(), outbox("a"));
    assert!(sent.conditions.is_empty() && sent.outbox.is_some());
    let first = retrying(&sent, "no answer", at(1));
    assert_eq!(condition(&first), (ConditionStatus::False, reason::RETRYING));
    assert_eq!(retrying(&first, "no answer", at(2)), first, "a later attempt is not written");
    let done = delivered(&first, at(3));
    assert_eq!(condition(&done), (ConditionStatus::True, reason::DELIVERED));
    assert_eq!((done.delivered, done.failed, done.last_error.clone()), (1, 0, None));
    assert_eq!(
        (done.last_delivery.as_deref(), done.events_through.as_deref()),
        (Some("1970-01-01T00:00:03Z"), Some("7"))
    );
    assert_eq!(done.open.len(), 1);
    assert!(done.outbox.is_none());
}

#[test]
fn dead_letters_are_kept_the_newest_twenty() {
    let mut status = NotifierStatus::default();
    for n in 0..25 {
        status = dead(&composed(&status, outbox(&format!("m{n}"))), 12, "it answered 500", at(n));
    }
    assert_eq!((status.failed, status.delivered, status.dead_letters.len()), (25, 0, MAX_DEAD_LETTERS));
    let last = status.dead_letters.last().expect("some");
    assert_eq!((last.id.as_str(), last.attempts, last.error.as_str()), ("m24", 12, "it answered 500"));
    assert_eq!(last.summary, "Problem: Stack shop/web: Unhealthy");
    assert_eq!(condition(&status), (ConditionStatus::False, reason::DEAD_LETTER));
    assert_eq!(status.open.len(), 1, "what it said counts as told");
}

#[test]
fn a_pause_drops_what_is_under_way_and_what_happens_meanwhile() {
    let paused = suspended(&composed(&NotifierStatus::default(), outbox("a")), at(1));
    assert_eq!(standing_reason(&paused), Some(reason::SUSPENDED));
    assert!(paused.outbox.is_none());
    assert_eq!(suspended(&paused, at(2)), paused);
    let on = resumed(&paused, Some(99), at(3));
    assert_eq!((on.events_through.as_deref(), condition(&on).0), (Some("99"), ConditionStatus::Unknown));
    let broken = misconfigured(&on, "spec.groupWait: no", at(4));
    assert_eq!(broken.last_error.as_deref(), Some("spec.groupWait: no"));
    assert_eq!(resumed(&broken, None, at(5)).events_through.as_deref(), Some("99"));
    let ready = |status: &NotifierStatus| status.conditions.iter().find(|c| c.r#type == "Ready").map(|c| c.status);
    assert_eq!((ready(&paused), ready(&broken)), (Some(ConditionStatus::False), Some(ConditionStatus::False)));
    let on = accepted(&on, at(6));
    assert_eq!((ready(&on), &accepted(&on, at(7))), (Some(ConditionStatus::True), &on));
}
