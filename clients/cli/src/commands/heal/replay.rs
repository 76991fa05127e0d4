//! A recording lived through again. What was recorded after an action is what happened without it: the recording cannot know better.

use super::recording::Recording;
use otternauts_rules::{Action, Hold, Sample, State, Subject, Truth, Verdict, decide, explain, keep};
use serde::Serialize;

/// All that would have happened.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    pub action: &'static str,
    pub acted: usize,
    /// Times that something held it back, each told once.
    pub held: usize,
    /// Sometimes not everything that the rule reads was known.
    pub unknown: bool,
    pub steps: Vec<Step>,
}

/// One action, or the beginning of being held back.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub at: String,
    pub target: String,
    pub cause: String,
    /// Why nothing was done; none: it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

pub fn replay(recording: &Recording) -> Replay {
    let mut replay = Replay { action: recording.action, ..Replay::default() };
    let mut ledger: Vec<Action> = Vec::new();
    let mut times: Vec<i64> = recording.targets.values().flatten().map(|s| s.at).collect();
    times.sort_unstable();
    times.dedup();
    // What held each target back last, so that it is told once.
    let mut told: Vec<(String, Hold)> = Vec::new();
    for now in times {
        let busy = recording.busy.iter().any(|(from, until)| (*from..*until).contains(&now));
        for (target, samples) in &recording.targets {
            let history = [recent(samples, recording, now).to_vec()];
            let subject = Subject { target, histories: &history, busy };
            let verdict = decide(&recording.expr, recording.bounds, subject, &ledger, &[], now);
            let cause = || explain(&recording.expr, &history[0], now);
            let step = |held| Step { at: time(now), target: target.clone(), cause: cause(), held };
            match verdict {
                Verdict::Rest(truth) => {
                    replay.unknown |= truth == Truth::Unknown;
                    told.retain(|(of, _)| of != target);
                }
                Verdict::Act(_) => {
                    replay.acted += 1;
                    replay.steps.push(step(None));
                    told.retain(|(of, _)| of != target);
                    let (target, changes) = (target.clone(), recording.bounds.changes);
                    ledger.push(Action { rule: String::new(), target, at: now, state: State::Over(now), changes });
                    keep(&mut ledger, |_| true);
                }
                Verdict::Held(_, hold) => {
                    if told.iter().any(|known| known == &(target.clone(), hold.clone())) {
                        continue;
                    }
                    replay.held += 1;
                    replay.steps.push(step(Some(why(&hold))));
                    told.retain(|(of, _)| of != target);
                    told.push((target.clone(), hold));
                }
            }
        }
    }
    replay
}

/// What the rule can see at a moment, and one sample more.
fn recent<'a>(samples: &'a [Sample], recording: &Recording, now: i64) -> &'a [Sample] {
    let until = samples.partition_point(|s| s.at <= now);
    let from = samples.partition_point(|s| s.at <= now.saturating_sub(recording.expr.reach())).saturating_sub(1);
    &samples[from.min(until)..until]
}

/// A time of day, or the time since the beginning.
fn time(at: i64) -> String {
    const YEAR: i64 = 366 * 86_400_000;
    if at < YEAR {
        let seconds = u64::try_from(at / 1000).unwrap_or_default();
        return otternauts_rules::Span::from_seconds(seconds).map_or_else(|| "0s".to_owned(), |s| s.to_string());
    }
    jiff::Timestamp::from_millisecond(at).unwrap_or_default().to_string()
}

fn why(hold: &Hold) -> String {
    match hold {
        Hold::Busy => "a deployment is in progress".to_owned(),
        Hold::Acting | Hold::Other(..) => "an action is in progress".to_owned(),
        Hold::Cooldown(at) => format!("cooldown until {}", time(*at)),
        Hold::Backoff(at) => format!("the last action did not help: waits until {}", time(*at)),
        Hold::Budget(Some(at)) => format!("the budget is spent until {}", time(*at)),
        Hold::Budget(None) => "the budget is 0".to_owned(),
        Hold::Widespread(n, of) => format!("it holds for {n} of {of} targets at once"),
        Hold::Many(at) => format!("others like it were changed lately: waits until {}", time(*at)),
        Hold::Full(at) => format!("too many actions are remembered until {}", time(*at)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::recording;
    use super::*;

    fn steps(text: &str) -> Vec<String> {
        let replay = replay(&recording::read(text).unwrap_or_else(|e| panic!("{e:#}")));
        replay.steps.iter().map(|s| format!("{} {}", s.at, s.held.as_deref().unwrap_or("acts"))).collect()
    }

    #[test]
    fn the_example_of_the_reference_is_told_as_it_is_there() {
        let page = include_str!("../../../../../docs/heal-rules.md");
        let file = include_str!("../../../../../docs/heal-rules.example.yaml");
        assert!(page.contains(file), "the page shows another file");
        let replay = replay(&recording::read(file).expect("the example is a recording"));
        let shown = super::super::table(&replay) + &super::super::summary(&replay);
        assert!(page.contains(&shown), "the page shows something else than:\n{shown}");
    }

    #[test]
    fn a_replay_is_what_the_controller_would_have_done() {
        let rule = |more: &str| {
            format!(
                "rule: {{target: {{}}, condition: cpu > 90% for 1m, action: restart, cooldown: 5m, budgetPerHour: 2{more}}}\n"
            )
        };
        let hot = "samples: [{at: 0s, until: 70m, cpu: 97%}]\n";
        assert_eq!(
            steps(&(rule("") + hot)),
            [
                "1m acts",
                "2m15s cooldown until 6m",
                "6m acts",
                "7m15s the last action did not help: waits until 16m",
                "16m the budget is spent until 1h1m",
                "1h1m acts",
                "1h2m15s cooldown until 1h6m",
                "1h6m acts",
                "1h7m15s the last action did not help: waits until 1h16m",
            ]
        );
        assert_eq!(
            steps(&(rule(", dryRun: true") + hot)),
            steps(&(rule("") + hot)),
            "what it would do is the question"
        );
        let deployed = format!("{}{hot}deployments: [{{from: 30s, until: 3m}}]\n", rule(""));
        assert_eq!(steps(&deployed)[..2], ["1m a deployment is in progress", "3m acts"]);
        let cool = "samples: [{at: 0s, until: 10m, cpu: 97, every: 2m}]";
        assert_eq!(steps(&(rule("") + cool)), [""; 0], "holes are not known");
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused_with_the_place() {
        let rule = "rule: {target: {}, condition: unhealthy, action: restart}\n";
        for (text, expected) in [
            ("{}", "it is not a recording"),
            ("rule: {target: {}, condition: cpu > 90, action: restart}\nsamples: []", "rule.condition: column 7"),
            (&format!("{rule}samples: [{{at: noon}}]"), "samples[0]: at: \"noon\" is neither"),
            (&format!("{rule}samples: [{{at: 0s, cpu: 5GB}}]"), "samples[0]: cpu: \"5GB\" is no amount of cpu"),
            (&format!("{rule}samples: [{{at: 0s, cqu: 5}}]"), "cqu"),
            (&format!("{rule}samples: [{{at: 0s, until: 365d, every: 1s}}]"), "more than 50000"),
        ] {
            let error = recording::read(text).expect_err(expected);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
