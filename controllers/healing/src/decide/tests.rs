use super::*;
use otternauts_rules::parse;

const NOW: i64 = 10_000_000;

fn view(rule: &str, created: i64, targets: &[&str]) -> View {
    let sick = Sample { at: NOW, unhealthy: Some(true), ..Sample::default() };
    let target = |name: &&str| Target { name: (*name).into(), histories: vec![vec![sick]], busy: false };
    View {
        rule: rule.into(),
        created,
        expr: parse("unhealthy").expect("a rule"),
        bounds: Bounds { cooldown: 60_000, budget: 2, dry_run: false, changes: true },
        ledger: Vec::new(),
        targets: targets.iter().map(target).collect(),
    }
}

#[test]
fn of_two_rules_for_one_target_the_older_one_acts_and_the_other_waits_and_says_so() {
    let views = [view("a/younger", 2, &["Stack/a/s/web"]), view("a/older", 1, &["Stack/a/s"])];
    let outcomes = round(&views, NOW);
    assert_eq!(outcomes[1].acts, [("Stack/a/s".to_owned(), "unhealthy".to_owned())]);
    assert_eq!(outcomes[0].acts, []);
    assert_eq!(outcomes[0].holds, [("Stack/a/s/web".to_owned(), Hold::Other("a/older".into(), None))]);
    assert_eq!([outcomes[0].result(), outcomes[1].result()], ["held", "firing"]);
    let mut dry = views.clone();
    dry[1].bounds.dry_run = true;
    assert_eq!(round(&dry, NOW)[0].acts.len(), 1, "a rule that only speaks is in nobody's way");
}

#[test]
fn a_budget_is_for_all_targets_of_a_rule_also_within_one_look() {
    let outcomes = round(&[view("a/r", 1, &["Stack/a/s/x", "Stack/a/s/y", "Stack/a/s/z"])], NOW);
    assert_eq!(outcomes[0].acts.len(), 2);
    assert_eq!(outcomes[0].holds, [("Stack/a/s/z".to_owned(), Hold::Budget(Some(NOW + 3_600_000)))]);
    assert_eq!(outcomes[0].wake, Some(NOW + 3_600_000));
}

#[test]
fn what_is_not_known_is_told_from_what_is_well() {
    let mut rule = view("a/r", 1, &["Stack/a/s/x"]);
    rule.targets[0].histories[0][0].unhealthy = Some(false);
    assert_eq!(round(&[rule.clone()], NOW)[0].result(), "quiet");
    rule.targets[0].histories[0][0].unhealthy = None;
    assert_eq!(round(&[rule], NOW)[0].result(), "unknown");
}

#[test]
fn a_rule_that_holds_for_a_large_part_of_all_changes_nothing_r42() {
    let names: Vec<String> = (0..10).map(|n| format!("Stack/a/s/x{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rule = view("a/r", 1, &names);
    rule.bounds.budget = 100;
    let outcome = round(&[rule.clone()], NOW).remove(0);
    assert!(outcome.acts.is_empty() && outcome.holds.iter().all(|(_, hold)| *hold == Hold::Widespread(10, 10)));
    rule.targets[3..].iter_mut().for_each(|t| t.histories[0][0].unhealthy = Some(false));
    assert_eq!(round(&[rule.clone()], NOW)[0].acts.len(), 3, "three of ten are single cases");
    let mut telling = view("a/r", 1, &names);
    (telling.bounds.budget, telling.bounds.changes) = (100, false);
    assert_eq!(round(&[telling], NOW)[0].acts.len(), 10, "who only tells somebody may tell all of it");
}
