use super::*;
use otternauts_rules::parse;

const NOW: i64 = 10_000_000;

fn view(rule: &str, created: i64, targets: &[&str]) -> View {
    let sick = Sample { at: NOW, unhealthy: Some(true), ..Sample::default() };
    let target =
        |name: &&str| Target { name: (*name).into(), histories: vec![vec![sick]], busy: false, peers: Arc::default() };
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
    let mut rule = view("a/r", 1, &["Stack/a/s/x", "Stack/a/s/y", "Stack/a/s/z"]);
    rule.bounds.changes = false;
    let outcomes = round(&[rule], NOW);
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

fn over(rule: &str, target: &str, at: i64) -> Action {
    Action { rule: rule.into(), target: target.into(), at, state: State::Over(at), changes: true }
}

#[test]
fn however_few_targets_there_are_a_rule_changes_a_part_of_them_at_a_time_r42() {
    let names: Vec<String> = (0..5).map(|n| format!("Stack/a/s/x{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rule = view("a/r", 1, &names);
    rule.bounds.budget = 100;
    let outcome = round(&[rule.clone()], NOW).remove(0);
    assert_eq!(outcome.acts.len(), 1);
    assert!(outcome.holds.len() == 4 && outcome.holds.iter().all(|(_, hold)| *hold == Hold::Many(NOW + WHILE)));
    assert_eq!(outcome.wake, Some(NOW + WHILE));
    // What was changed a while ago, and what is no target any more, does not count; what was changed lately does.
    rule.ledger = vec![over("a/r", names[4], NOW - WHILE), over("a/r", "Stack/a/s/gone", NOW - 1)];
    assert_eq!(round(&[rule.clone()], NOW)[0].acts.len(), 1);
    rule.ledger = vec![over("a/r", names[4], NOW - WHILE + 1)];
    assert!(round(&[rule.clone()], NOW)[0].acts.iter().all(|(target, _)| target == names[4]));
    let alone = View { targets: rule.targets[..1].to_vec(), ..rule };
    assert_eq!(round(&[alone], NOW)[0].acts.len(), 1, "a single one is not held back by itself");
}

#[test]
fn of_the_servers_of_a_cluster_all_rules_together_change_a_tenth_at_a_time_r42() {
    let of = |rule: &str, created, names: &[&str], peers: &Arc<BTreeSet<String>>| {
        let mut view = view(rule, created, names);
        view.bounds.budget = 100;
        view.targets.iter_mut().for_each(|t| t.peers = Arc::clone(peers));
        view
    };
    for (servers, expected) in [(3, 1), (5, 1), (20, 2), (40, 4)] {
        let peers = Arc::new((0..servers).map(|n| format!("Server/h{n:02}")).collect());
        // A rule of its own for each Server: their own bounds hold nothing back.
        let rules: Vec<View> =
            (0..servers).map(|n| of(&format!("a/r{n}"), n, &[&format!("Server/h{n:02}")], &peers)).collect();
        let outcomes = round(&rules, NOW);
        let acts: usize = outcomes.iter().map(|o| o.acts.len()).sum();
        assert_eq!(acts, expected, "of {servers}");
        assert!(outcomes[expected].holds.iter().all(|(_, hold)| *hold == Hold::Many(NOW + WHILE)), "of {servers}");
    }
}
