use super::*;

const NOW: i64 = 1_795_244_401_500;
const RULE: Rule<'static> = Rule { name: "default/r", action: HealAction::Restart, dry_run: false };

fn at(now: i64) -> At {
    At { now, generation: Some(1) }
}

fn acts() -> Outcome {
    Outcome { acts: vec![("Stack/default/shop/web".into(), "cpu 97 % > 90 %".into())], ..Outcome::default() }
}

fn decide(old: &HealRuleStatus, outcome: &Outcome, now: i64) -> HealRuleStatus {
    decided(old, RULE, outcome, at(now), |n| format!("id{n}"))
}

#[test]
fn an_action_is_written_before_it_is_begun_and_counted_when_it_is_over() {
    let intended = decide(&HealRuleStatus::default(), &acts(), NOW);
    assert_eq!((intended.firing, intended.actions_taken), (true, 0));
    assert_eq!(ledger("default/r", &intended)[0].state, State::Intended);
    assert_eq!(ledger("default/r", &intended)[0].at, NOW, "to the millisecond");
    let begun = started(&intended, "id0", Some(42));
    assert_eq!(begun.recent_actions[0].version, Some(42));
    let over = finished(&begun, "id0", &Ok("restarted".into()), NOW + 1000);
    assert_eq!(ledger("default/r", &over)[0].state, State::Over(NOW + 1000));
    assert_eq!((over.actions_taken, over.recent_actions[0].state), (1, HealActionState::Done));
    let failed = finished(&begun, "id0", &Err("no manager answers".into()), NOW + 1000);
    assert_eq!((failed.actions_taken, failed.recent_actions[0].state), (1, HealActionState::Failed));
}

#[test]
fn a_dry_run_is_remembered_and_counted_as_nothing() {
    let dry = Rule { dry_run: true, ..RULE };
    let status = decided(&HealRuleStatus::default(), dry, &acts(), at(NOW), |_| "x".into());
    assert_eq!((status.actions_taken, ledger("default/r", &status)[0].state), (0, State::Dry));
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let quiet = decide(&HealRuleStatus::default(), &Outcome::default(), NOW);
    assert_eq!(decide(&quiet, &Outcome::default(), NOW + 99_000), quiet);
    let hold =
        |at| Outcome { holds: vec![("Stack/default/shop/web".into(), Hold::Cooldown(at))], ..Outcome::default() };
    let held = decide(&quiet, &hold(NOW + 60_000), NOW + 1000);
    assert_ne!(held.last_evaluation, quiet.last_evaluation);
    assert_eq!(decide(&held, &hold(NOW + 60_000), NOW + 20_000), held);
    let said = held.conditions.iter().find(|c| c.r#type == "Suppressed").expect("it says so");
    assert_eq!((said.reason.as_str(), said.status), ("Cooldown", ConditionStatus::True));
    assert_eq!(said.message, "Stack/default/shop/web: cooldown until 2026-11-21T07:01:01Z");
    let over = decide(&held, &Outcome::default(), NOW + 70_000);
    assert!(
        !over.firing && over.conditions.iter().any(|c| c.r#type == "Suppressed" && c.status == ConditionStatus::False)
    );
}

#[test]
fn what_is_remembered_is_bounded_and_an_open_action_is_never_forgotten() {
    let mut status = decide(&HealRuleStatus::default(), &acts(), NOW);
    status.recent_actions[0].id = "open".into();
    for n in 0..80 {
        status = decide(&status, &acts(), NOW + n);
        let last = status.recent_actions.last_mut().expect("one");
        last.id = format!("n{n}");
        status = finished(&status, &format!("n{n}"), &Ok(String::new()), NOW + n);
    }
    assert_eq!(status.recent_actions.len(), otternauts_rules::MAX_LEDGER);
    assert_eq!(status.recent_actions[0].id, "open");
    let long = Outcome { acts: vec![("t".into(), "é".repeat(5000))], ..Outcome::default() };
    assert!(decide(&status, &long, NOW).recent_actions.last().is_some_and(|r| r.cause.len() <= 1024));
}
