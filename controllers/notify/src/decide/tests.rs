use super::*;
use crate::status::{self, At};
use otternauts_types::NotifierSpec;
use otternauts_types::notifier::{Channel, NotifierSecretRef, SecretUrlChannel};

/// A world that is told to one Notifier, minute by minute, as the controller would: every message is taken at once.
struct Story {
    namespace: &'static str,
    spec: NotifierSpec,
    status: NotifierStatus,
    observed: Observed,
    revision: u64,
    /// Of every stack that stands otherwise from now on.
    version: i64,
    /// `state reason` of each notice, by message.
    told: Vec<Vec<String>>,
}

const SYSTEM: &str = "otternauts-system";

fn spec(wait: &str, interval: &str, repeat: &str) -> NotifierSpec {
    let secret_ref = NotifierSecretRef { name: "x".to_owned(), key: None };
    NotifierSpec {
        channel: Channel::Slack(SecretUrlChannel { secret_ref }),
        selector: NotifierSelector::default(),
        group_wait: wait.to_owned(),
        group_interval: interval.to_owned(),
        repeat_interval: repeat.to_owned(),
        max_attempts: 1,
        ca_bundle: None,
        suspend: false,
    }
}

/// Seconds after the beginning.
fn t(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn stack(name: &str) -> NoticeObject {
    let text = |s: &str| s.to_owned();
    NoticeObject { kind: text("Stack"), namespace: text("shop"), name: text(name), uid: format!("uid-{name}") }
}

impl Story {
    fn new(spec: NotifierSpec) -> Self {
        Self {
            namespace: SYSTEM,
            spec,
            status: NotifierStatus::default(),
            observed: Observed::default(),
            revision: 100,
            version: 1,
            told: Vec::new(),
        }
    }

    /// The stack stands like this from now on; `reason` empty: it is well; `-`: unsettled.
    fn stands(&mut self, at: i64, name: &str, reason: &str) {
        let standing = match reason {
            "" => Standing::Well("version 1 runs".to_owned()),
            "-" => Standing::Unsettled,
            _ => Standing::Bad(Problem {
                reason: reason.to_owned(),
                message: format!("because of {reason}"),
                severity: Severity::Warning,
            }),
        };
        let object = stack(name);
        self.observed.subjects.retain(|s| s.object != object);
        self.observed.subjects.push(Subject { object, version: Some(self.version), standing, since: t(at) });
    }

    fn gone(&mut self, name: &str) {
        self.observed.subjects.retain(|s| s.object != stack(name));
    }

    fn happens(&mut self, at: i64, name: &str, severity: Severity, reason: &str, note: &str) {
        self.revision += 1;
        let (reason, note) = (reason.to_owned(), note.to_owned());
        let (object, time) = (stack(name), t(at));
        self.observed.happenings.push(Happening {
            revision: self.revision,
            object,
            severity,
            reason,
            note,
            time,
            seen: time,
        });
    }

    fn ask(&self, at: i64) -> Plan {
        let settings = Settings::of(&self.spec).expect("valid");
        let (selector, status) = (&self.spec.selector, &self.status);
        let asker = Asker { namespace: self.namespace, uid: "n", created: t(0), selector, settings, status };
        decide(&asker, &self.observed, t(at))
    }

    /// What is told at this moment, as the controller goes on until there is nothing left to do.
    #[track_caller]
    fn tells(&mut self, at: i64, expected: &[&str]) {
        let stamp = At { now: t(at), generation: Some(1) };
        let mut told: Vec<String> = Vec::new();
        for _ in 0..10 {
            match self.ask(at) {
                Plan::Rest(wait) => {
                    assert!(wait.is_none_or(|w| !w.is_zero()), "it would spin");
                    assert_eq!(told, expected, "at {at}");
                    return;
                }
                Plan::Adopt(incidents) => self.status = status::adopted(&self.status, incidents),
                Plan::Send(outbox) => {
                    let lines = outbox.notices.iter().map(|n| format!("{:?} {} {}", n.state, n.object.name, n.reason));
                    self.told.push(lines.clone().collect());
                    told.extend(lines);
                    self.status = status::delivered(&status::composed(&self.status, outbox), stamp);
                }
            }
        }
        panic!("it never rests: {told:?}");
    }

    #[track_caller]
    fn rests(&self, at: i64, expected: Option<u64>) {
        assert_eq!(self.ask(at), Plan::Rest(expected.map(Duration::from_secs)), "at {at}");
    }
}

#[test]
fn one_message_for_a_problem_and_one_for_its_recovery_ot_72() {
    let mut story = Story::new(spec("0s", "0s", "0s"));
    story.stands(0, "web", "");
    story.tells(1, &[]);
    story.stands(10, "web", "Unhealthy");
    story.tells(10, &["Problem web Unhealthy"]);
    story.tells(11, &[]);
    story.stands(20, "web", "-");
    story.tells(20, &[]);
    story.stands(30, "web", "");
    story.tells(30, &["Recovered web Unhealthy"]);
    story.tells(31, &[]);
    // The same again is another change.
    story.stands(40, "web", "Unhealthy");
    story.tells(40, &["Problem web Unhealthy"]);
    story.gone("web");
    story.tells(50, &["Recovered web Unhealthy"]);
    assert!(story.status.open.is_empty());
}

#[test]
fn a_failure_that_an_event_and_a_condition_tell_of_is_one_problem() {
    // Whichever of the two is seen first.
    for event_first in [true, false] {
        let mut story = Story::new(spec("0s", "0s", "4h"));
        for round in 0..2 {
            let at = 10 + round * 60;
            let expected = if event_first {
                story.happens(at, "web", Severity::Warning, "Unhealthy", "the probe fails");
                let first: &[&str] = &["Event web Unhealthy"];
                story.tells(at, first);
                story.stands(at + 1, "web", "Unhealthy");
                &[][..]
            } else {
                story.stands(at, "web", "Unhealthy");
                story.tells(at, &["Problem web Unhealthy"]);
                story.happens(at + 1, "web", Severity::Warning, "Unhealthy", "the probe fails");
                &[][..]
            };
            story.tells(at + 1, expected);
            story.stands(at + 30, "web", "");
            story.tells(at + 30, &["Recovered web Unhealthy"]);
            story.tells(at + 31, &[]);
        }
    }
}

#[test]
fn what_mends_itself_within_the_wait_is_not_told_and_company_goes_along() {
    let mut story = Story::new(spec("10s", "1m", "4h"));
    story.stands(0, "web", "Unhealthy");
    story.rests(0, Some(10));
    story.stands(5, "web", "");
    story.tells(20, &[]);
    story.stands(30, "web", "Unhealthy");
    story.stands(35, "api", "ImagePullFailed");
    story.happens(36, "web", Severity::Normal, "HealActionTaken", "restarted");
    story.rests(39, Some(1));
    story.tells(40, &["Problem web Unhealthy", "Problem api ImagePullFailed", "Event web HealActionTaken"]);
    assert_eq!(story.told.len(), 1, "one message");
    // While something is open, messages keep their distance: nothing flaps.
    story.stands(50, "web", "");
    story.tells(60, &[]);
    story.stands(70, "web", "Unhealthy");
    story.tells(100, &[]);
    story.stands(101, "api", "");
    story.tells(111, &["Recovered api ImagePullFailed"]);
}

#[test]
fn another_reason_is_another_state_and_an_old_one_is_repeated() {
    let mut story = Story::new(spec("0s", "0s", "1h"));
    story.stands(0, "web", "Unhealthy");
    story.tells(0, &["Problem web Unhealthy"]);
    story.stands(60, "web", "OutOfMemory");
    story.tells(60, &["Problem web OutOfMemory"]);
    story.rests(61, Some(3599));
    story.tells(3659, &[]);
    story.tells(3660, &["Repeated web OutOfMemory"]);
    story.tells(3661, &[]);
    story.stands(4000, "web", "");
    story.tells(4000, &["Recovered web OutOfMemory"]);
    story.rests(4001, None);
}

#[test]
fn another_version_that_fails_for_the_same_reason_is_told_ot_72() {
    let mut story = Story::new(spec("0s", "0s", "0s"));
    story.stands(0, "web", "ImagePullFailed");
    story.tells(0, &["Problem web ImagePullFailed"]);
    story.version = 2;
    story.stands(10, "web", "-");
    story.happens(11, "web", Severity::Warning, "ImagePullFailed", "Failed to pull image web:v2");
    story.tells(11, &[]);
    story.stands(12, "web", "ImagePullFailed");
    story.tells(12, &["Problem web ImagePullFailed"]);
    story.version = 3;
    story.stands(20, "web", "-");
    story.stands(30, "web", "");
    story.tells(30, &["Recovered web ImagePullFailed"]);
}

#[test]
fn an_event_is_told_once_and_its_repetitions_after_the_interval() {
    let mut story = Story::new(spec("0s", "0s", "1h"));
    story.happens(-5, "web", Severity::Normal, "Deployed", "from before the Notifier");
    story.happens(1, "web", Severity::Normal, "Deployed", "version 1 runs");
    story.tells(1, &["Event web Deployed"]);
    story.happens(10, "web", Severity::Normal, "Deployed", "version 1 runs");
    story.tells(10, &[]);
    story.happens(20, "web", Severity::Normal, "Deployed", "version 2 runs");
    story.happens(20, "web", Severity::Normal, "Deployed", "version 2 runs");
    story.tells(20, &["Event web Deployed"]);
    story.tells(5000, &[]);
    story.happens(5001, "web", Severity::Normal, "Deployed", "version 1 runs");
    story.tells(5001, &["Event web Deployed"]);
}

#[test]
fn what_a_rule_asks_to_be_told_is_told_each_time() {
    let mut story = Story::new(spec("0s", "0s", "4h"));
    for at in [1, 400, 800] {
        story.happens(at, "web", Severity::Warning, "HealAlert", "rule quiet: unhealthy for 1m");
        story.tells(at, &["Event web HealAlert"]);
        story.tells(at + 1, &[]);
    }
}

#[test]
fn a_restart_repeats_nothing_and_loses_nothing() {
    let mut story = Story::new(spec("0s", "0s", "4h"));
    story.stands(0, "web", "Unhealthy");
    story.happens(1, "web", Severity::Normal, "Deployed", "version 1 runs");
    story.tells(1, &["Problem web Unhealthy", "Event web Deployed"]);
    // Everything in memory is new after a restart: all is seen now. What is known is in the status.
    story.stands(100, "web", "Unhealthy");
    for happening in &mut story.observed.happenings {
        happening.seen = t(100);
    }
    story.tells(100, &[]);
    // What happened while nobody looked.
    story.stands(200, "web", "");
    story.happens(150, "web", Severity::Normal, "Deployed", "version 2 runs");
    story.tells(200, &["Event web Deployed", "Recovered web Unhealthy"]);
}

#[test]
fn a_notifier_of_a_namespace_hears_of_that_namespace_and_of_what_it_wants() {
    let mut story = Story::new(spec("0s", "0s", "0s"));
    story.namespace = "bank";
    story.stands(0, "web", "Unhealthy");
    story.happens(0, "web", Severity::Warning, "Noise", "x");
    story.tells(0, &[]);
    story.namespace = "shop";
    story.spec.selector.severities = vec![Severity::Warning];
    story.spec.selector.reason_severities = [("Noise".to_owned(), Severity::Normal)].into();
    story.tells(0, &["Problem web Unhealthy"]);
    let severe = &story.status.open[0];
    assert_eq!(severe.severity, Severity::Warning);
}

#[test]
fn a_fleet_that_fails_at_once_is_told_in_bounded_messages_and_none_is_lost() {
    let mut story = Story::new(spec("0s", "0s", "0s"));
    for n in 0..250 {
        story.stands(0, &format!("web{n:03}"), "Unhealthy");
        story.happens(0, &format!("web{n:03}"), Severity::Normal, "Seen", "x");
    }
    let mut all = Vec::new();
    for n in 0..10 {
        let stamp = At { now: t(n), generation: Some(1) };
        let Plan::Send(outbox) = story.ask(n) else { break };
        assert!(outbox.notices.len() <= MAX_NOTICES);
        all.extend(outbox.notices.iter().map(|n| format!("{:?} {}", n.state, n.object.name)));
        story.status = status::delivered(&status::composed(&story.status, outbox), stamp);
    }
    let unique: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "none twice");
    assert_eq!(all.iter().filter(|n| n.starts_with("Event")).count(), 250);
    assert_eq!(story.status.open.len(), MAX_OPEN);
    for n in 0..100 {
        story.stands(20, &format!("web{n:03}"), "");
    }
    let stamp = At { now: t(30), generation: Some(1) };
    while let Plan::Send(outbox) = story.ask(30) {
        story.status = status::delivered(&status::composed(&story.status, outbox), stamp);
    }
    assert_eq!(story.status.open.len(), 150, "those that waited have found room");
    assert!(story.status.told.len() <= 50);
}

#[test]
fn what_happens_twice_within_a_second_is_two_messages() {
    let mut story = Story::new(spec("0s", "0s", "0s"));
    let mut ids = std::collections::BTreeSet::new();
    for reason in ["Unhealthy", "", "Unhealthy", "", "Unhealthy", ""] {
        story.stands(5, "web", reason);
        let Plan::Send(outbox) = story.ask(5) else { panic!("something to tell") };
        assert!(ids.insert(outbox.id.clone()), "{outbox:?}");
        let stamp = At { now: t(5), generation: Some(1) };
        story.status = status::delivered(&status::composed(&story.status, outbox), stamp);
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    for (length, expected) in [(10, 10), (512, 512), (513, 512), (5000, 512)] {
        assert_eq!(shortened(&"a".repeat(length)).len(), expected, "{length}");
    }
    let cut = shortened(&"ü".repeat(400));
    assert!(cut.len() <= MAX_TEXT && cut.ends_with("ü…"), "{}", cut.len());
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

/// What one history has to keep to, whatever happened in it.
#[derive(Default)]
struct Ledger {
    /// By object: the reason and version told last, while it is not well.
    open: std::collections::BTreeMap<String, (String, Option<i64>)>,
    ids: std::collections::BTreeSet<String>,
    last: Option<i64>,
}

impl Ledger {
    #[track_caller]
    fn take(&mut self, outbox: &Outbox, at: i64, interval: i64, seed: u64) {
        assert!(self.ids.insert(outbox.id.clone()), "seed {seed}: {outbox:?} was told before");
        if let Some(last) = self.last.filter(|_| !self.open.is_empty()) {
            assert!(at - last >= interval, "seed {seed}: {last} and {at} are too close");
        }
        self.last = Some(at);
        for notice in &outbox.notices {
            let (name, reason) = (notice.object.name.clone(), notice.reason.clone());
            match notice.state {
                NoticeState::Problem => {
                    let told = (reason, notice.version);
                    let before = self.open.insert(name, told.clone());
                    assert_ne!(before, Some(told), "seed {seed}: told twice: {notice:?}");
                }
                NoticeState::Recovered => {
                    let before = self.open.remove(&name).map(|(reason, _)| reason);
                    assert_eq!(before, Some(reason), "seed {seed}: {notice:?}");
                }
                NoticeState::Repeated => {
                    assert_eq!(self.open.get(&name), Some(&(reason, notice.version)), "seed {seed}: {notice:?}");
                }
                NoticeState::Event => {}
            }
        }
    }
}

const NAMES: [&str; 3] = ["web", "api", "db"];

/// One thing happens, or the process is killed and starts again.
fn roll(dice: &mut Dice, story: &mut Story, at: i64, step: usize) {
    let name = NAMES[dice.roll(3)];
    story.version += i64::from(dice.roll(6) == 0);
    match dice.roll(8) {
        0 => story.gone(name),
        1 => story.happens(at, name, Severity::Normal, "Deployed", &format!("step {step}")),
        2 => {
            // A restart: everything is seen for the first time.
            story.observed.subjects.iter_mut().for_each(|s| s.since = t(at));
            story.observed.happenings.iter_mut().for_each(|h| h.seen = t(at));
        }
        _ => story.stands(at, name, ["", "", "-", "Unhealthy", "OutOfMemory"][dice.roll(5)]),
    }
}

/// Goes on until there is nothing to do at this moment.
fn settle(story: &mut Story, ledger: &mut Ledger, at: i64, interval: i64, seed: u64) {
    for _ in 0..20 {
        match story.ask(at) {
            Plan::Send(outbox) => {
                ledger.take(&outbox, at, interval, seed);
                let sent = status::composed(&story.status, outbox);
                story.status = status::delivered(&sent, At { now: t(at), generation: Some(1) });
            }
            Plan::Rest(_) => return,
            Plan::Adopt(incidents) => panic!("seed {seed}: no Event told of a condition here: {incidents:?}"),
        }
    }
    panic!("seed {seed}: it never rests");
}

#[test]
fn in_any_history_each_change_is_told_once_and_everything_ends_well() {
    for seed in 1..=2_000_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (wait, interval) = (dice.roll(4) * 5, dice.roll(4) * 20);
        let repeat = ["0s", "10m"][dice.roll(2)];
        let mut story = Story::new(spec(&format!("{wait}s"), &format!("{interval}s"), repeat));
        let mut ledger = Ledger::default();
        let interval = i64::try_from(interval).expect("small");
        let mut at = 0;
        for step in 0..60 {
            at += i64::try_from(dice.roll(40)).expect("small") + 1;
            roll(&mut dice, &mut story, at, step);
            settle(&mut story, &mut ledger, at, interval, seed);
        }
        NAMES.into_iter().for_each(|name| story.stands(at, name, ""));
        settle(&mut story, &mut ledger, at + 1000, interval, seed);
        assert!(story.status.open.is_empty() && ledger.open.is_empty(), "seed {seed}: {:?}", story.status.open);
    }
}
