use super::*;
use crate::parse;
use proptest::prelude::{ProptestConfig, any, proptest};

const MINUTE: i64 = 60_000;
const WEB: &str = "Stack/default/shop/web";

fn bounds() -> Bounds {
    Bounds { cooldown: 5 * MINUTE, budget: 3, dry_run: false, changes: true }
}

fn action(target: &str, at: i64, state: State) -> Action {
    Action { rule: "default/r".into(), target: target.into(), at, state, changes: true }
}

fn over(target: &str, at: i64) -> Action {
    action(target, at, State::Over(at))
}

/// A core in full use, measured every 15 s, from the beginning to `now`.
fn hot(now: i64) -> Vec<Vec<Sample>> {
    let at = |n| Sample { at: n * 15_000, cpu: Some(97.0), ..Sample::default() };
    vec![(0..=now / 15_000).map(at).collect()]
}

fn verdict(bounds: Bounds, own: &[Action], others: &[Action], now: i64) -> Verdict {
    let expr = parse("cpu > 90%").expect("a rule");
    let histories = hot(now);
    decide(&expr, bounds, Subject { target: WEB, histories: &histories, busy: false }, own, others, now)
}

#[test]
fn a_rule_that_holds_acts_within_its_bounds_only_ao_19() {
    let now = 120 * MINUTE;
    let ago = |minutes: i64| now - minutes * MINUTE;
    let (wide, none) = (Bounds { budget: 100, ..bounds() }, Bounds { budget: 0, ..bounds() });
    let dry = Bounds { dry_run: true, ..bounds() };
    let other = |target: &str, at, state| Action { rule: "default/older".into(), ..action(target, at, state) };
    let told = Action { changes: false, ..other(WEB, ago(0), State::Over(ago(0))) };
    let full: Vec<Action> = (0..50).map(|n| over(&format!("Stack/default/shop/s{n}"), ago(59))).collect();
    let held = |hold| Verdict::Held(0, hold);
    type Row = (&'static str, Bounds, Vec<Action>, Vec<Action>, Verdict);
    let rows: Vec<Row> = vec![
        ("nothing was done before", bounds(), vec![], vec![], Verdict::Act(0)),
        ("cooldown", bounds(), vec![over(WEB, ago(4))], vec![], held(Hold::Cooldown(ago(-1)))),
        ("the cooldown is over", bounds(), vec![over(WEB, ago(5))], vec![], Verdict::Act(0)),
        ("of another target", bounds(), vec![over("Stack/default/shop/db", ago(1))], vec![], Verdict::Act(0)),
        ("it did not help", wide, vec![over(WEB, ago(12)), over(WEB, ago(6))], vec![], held(Hold::Backoff(ago(-4)))),
        (
            "twice in vain, then after a quiet hour",
            wide,
            vec![over(WEB, ago(90)), over(WEB, ago(84)), over(WEB, ago(6))],
            vec![],
            Verdict::Act(0),
        ),
        (
            "the budget of an hour",
            bounds(),
            ["a", "b", "c"].map(|s| over(&format!("Stack/default/shop/{s}"), ago(59))).to_vec(),
            vec![],
            held(Hold::Budget(Some(ago(-1)))),
        ),
        (
            "an hour later",
            bounds(),
            ["a", "b", "c"].map(|s| over(&format!("Stack/default/shop/{s}"), ago(60))).to_vec(),
            vec![],
            Verdict::Act(0),
        ),
        ("no budget at all", none, vec![], vec![], held(Hold::Budget(None))),
        (
            "its own action is not over",
            bounds(),
            vec![action(WEB, ago(50), State::Intended)],
            vec![],
            held(Hold::Acting),
        ),
        (
            "another rule is at work",
            bounds(),
            vec![],
            vec![other(WEB, ago(50), State::Intended)],
            held(Hold::Other("default/older".into(), None)),
        ),
        (
            "another rule is at work on the whole stack",
            bounds(),
            vec![],
            vec![other("Stack/default/shop", ago(50), State::Intended)],
            held(Hold::Other("default/older".into(), None)),
        ),
        (
            "on a stack with a longer name",
            bounds(),
            vec![],
            vec![other("Stack/default/sho", ago(0), State::Intended)],
            Verdict::Act(0),
        ),
        ("another rule only told somebody", bounds(), vec![], vec![told], Verdict::Act(0)),
        ("what was only said is no cooldown", bounds(), vec![action(WEB, ago(1), State::Dry)], vec![], Verdict::Act(0)),
        (
            "but it is one for saying it again",
            dry,
            vec![action(WEB, ago(1), State::Dry)],
            vec![],
            held(Hold::Cooldown(ago(-4))),
        ),
        ("too much to remember", Bounds { budget: 100, ..bounds() }, full, vec![], held(Hold::Full(ago(-1)))),
    ];
    for (name, bounds, own, others, expected) in rows {
        assert_eq!(verdict(bounds, &own, &others, now), expected, "{name}");
    }
}

#[test]
fn what_was_before_an_action_says_nothing_about_what_came_after_it() {
    let expr = parse("restarts > 2 in 1h").expect("a rule");
    let died = |at, restarts| Sample { at, restarts: Some(restarts), ..Sample::default() };
    let mut history = vec![died(0, 0), died(MINUTE, 1), died(2 * MINUTE, 2), died(3 * MINUTE, 3)];
    let judge = |history: &Vec<Sample>, own: &[Action], now| {
        let histories = [history.clone()];
        decide(&expr, bounds(), Subject { target: WEB, histories: &histories, busy: false }, own, &[], now)
    };
    assert_eq!(judge(&history, &[], 3 * MINUTE), Verdict::Act(0));
    let healed = [over(WEB, 3 * MINUTE)];
    history.extend([died(4 * MINUTE, 3), died(20 * MINUTE, 4), died(21 * MINUTE, 5)]);
    assert_eq!(
        judge(&history, &healed, 21 * MINUTE),
        Verdict::Rest(Truth::Unknown),
        "four died since, two after it was healed"
    );
    history.extend([died(22 * MINUTE, 6)]);
    // One more is needed: the first sample after an action is where counting begins.
    history.extend([died(23 * MINUTE, 7)]);
    assert_eq!(judge(&history, &healed, 23 * MINUTE), Verdict::Act(0));
}

#[test]
fn nothing_is_done_to_a_stack_that_is_being_deployed_or_about_what_is_not_known() {
    let expr = parse("cpu > 90%").expect("a rule");
    let subject = |histories, busy| Subject { target: WEB, histories, busy };
    let now = 30 * MINUTE;
    let hot = hot(now);
    assert_eq!(decide(&expr, bounds(), subject(&hot, true), &[], &[], now), Verdict::Held(0, Hold::Busy));
    assert_eq!(decide(&expr, bounds(), subject(&[], false), &[], &[], now), Verdict::Rest(Truth::Unknown));
    let later = now + 2 * MINUTE;
    assert_eq!(
        decide(&expr, bounds(), subject(&hot, false), &[], &[], later),
        Verdict::Rest(Truth::Unknown),
        "too old"
    );
    let two = [vec![Sample { at: now, cpu: Some(1.0), ..Sample::default() }], hot[0].clone()];
    assert_eq!(decide(&expr, bounds(), subject(&two, false), &[], &[], now), Verdict::Act(1), "one replica is enough");
}

#[test]
fn a_ledger_forgets_the_oldest_of_what_is_over() {
    let mut ledger: Vec<i32> = (0..=52).collect();
    keep(&mut ledger, |n| *n != 0);
    assert_eq!((ledger.len(), &ledger[..2]), (MAX_LEDGER, [0, 4].as_slice()));
}

/// A small world: rules over targets, an expression each, and the ledgers.
struct World {
    rules: Vec<(Expr, Bounds)>,
    ledgers: Vec<Vec<Action>>,
    histories: Vec<Vec<Vec<Sample>>>,
}

const TARGETS: [&str; 3] = ["Stack/default/shop/web", "Stack/default/shop", "Stack/default/fog/web"];

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn time(&mut self, below: u64) -> i64 {
        i64::try_from(self.roll(below)).expect("small")
    }
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let texts =
            ["cpu > 50%", "cpu > 50% for 1m", "restarts > 2 in 10m", "unhealthy", "cpu > 90% or unhealthy for 30s"];
        let mut rule = || {
            let expr = parse(texts[usize::try_from(dice.roll(5)).expect("small")]).expect("a rule");
            let cooldown = 1_000 * (1 + dice.time(900));
            let budget = u32::try_from(dice.roll(8)).expect("small");
            (expr, Bounds { cooldown, budget, dry_run: dice.roll(8) == 0, changes: dice.roll(6) > 0 })
        };
        let rules = vec![rule(), rule(), rule()];
        Self { ledgers: vec![Vec::new(); rules.len()], histories: vec![vec![Vec::new()]; TARGETS.len()], rules }
    }

    fn measure(&mut self, dice: &mut Dice, now: i64) {
        for histories in &mut self.histories {
            let history = &mut histories[0];
            let restarts = history.last().and_then(|s| s.restarts).unwrap_or(0);
            let known = dice.roll(10) > 0;
            #[allow(clippy::cast_precision_loss)]
            let cpu = dice.roll(120) as f64;
            history.push(Sample {
                at: now,
                cpu: known.then_some(cpu),
                restarts: Some(restarts + u64::from(dice.roll(4) == 0)),
                unhealthy: known.then_some(dice.roll(2) == 0),
                ..Sample::default()
            });
        }
    }

    /// What each rule does, the older first; what it did is there for the next one.
    fn act(&mut self, dice: &mut Dice, now: i64) {
        for index in 0..self.rules.len() {
            for (target, histories) in TARGETS.iter().zip(&self.histories) {
                let (expr, bounds) = &self.rules[index];
                let others = self.ledgers.iter().enumerate().filter(|(i, _)| *i != index);
                let others: Vec<Action> = others.flat_map(|(_, l)| l.clone()).collect();
                let busy = dice.roll(5) == 0;
                let subject = Subject { target, histories, busy };
                let verdict = decide(expr, *bounds, subject, &self.ledgers[index], &others, now);
                if let Verdict::Act(_) = verdict {
                    assert!(!busy, "during a deployment");
                    let state = if bounds.dry_run { State::Dry } else { State::Intended };
                    let new = Action {
                        rule: index.to_string(),
                        target: (*target).into(),
                        at: now,
                        state,
                        changes: bounds.changes,
                    };
                    self.ledgers[index].push(new);
                    keep(&mut self.ledgers[index], |a| a.state != State::Intended);
                }
            }
            for action in &mut self.ledgers[index] {
                if action.state == State::Intended && dice.roll(3) == 0 {
                    action.state = State::Over(now);
                }
            }
        }
    }
}

/// What must be true of every history, whatever happened.
fn never_violated(all: &[(usize, Action)], rules: &[(Expr, Bounds)]) {
    for (n, (rule, action)) in all.iter().enumerate() {
        let bounds = rules[*rule].1;
        let before = || all[..n].iter().filter(|(r, _)| r == rule).map(|(_, a)| a);
        for earlier in before().filter(|a| a.target == action.target) {
            assert!(action.at - earlier.at >= bounds.cooldown, "cooldown {}: {earlier:?} {action:?}", bounds.cooldown);
        }
        let hour = before().filter(|a| action.at - a.at < HOUR).count() + 1;
        assert!(hour <= usize::try_from(bounds.budget).expect("small"), "budget {}: {hour} in an hour", bounds.budget);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    /// On failure proptest prints the seed, which is the whole history.
    #[test]
    fn cooldown_and_budget_are_never_violated_and_no_target_is_acted_upon_twice_at_once_ao_19(seed in any::<u64>()) {
        let mut dice = Dice(seed | 1);
        let mut world = World::new(&mut dice);
        let (mut now, mut all) = (0, Vec::new());
        for _ in 0..40 {
            now += match dice.roll(10) { 0 => 1_000 * dice.time(4_000), _ => 15_000 };
            world.measure(&mut dice, now);
            let known: Vec<usize> = world.ledgers.iter().map(Vec::len).collect();
            let intended: Vec<Action> = world.ledgers.iter().flatten().filter(|a| a.state == State::Intended && a.changes).cloned().collect();
            world.act(&mut dice, now);
            for (rule, ledger) in world.ledgers.iter().enumerate() {
                for new in &ledger[known[rule].min(ledger.len())..] {
                    if new.changes && new.state != State::Dry {
                        let clash = intended.iter().find(|old| overlap(&old.target, &new.target));
                        proptest::prop_assert!(clash.is_none(), "two at once: {clash:?} {new:?}");
                    }
                    all.push((rule, new.clone()));
                }
            }
        }
        never_violated(&all, &world.rules);
        let changing: Vec<&(usize, Action)> = all.iter().filter(|(_, a)| a.changes && a.state != State::Dry).collect();
        for (n, (rule, action)) in changing.iter().enumerate() {
            let same = changing[..n].iter().find(|(r, a)| r != rule && a.at == action.at && overlap(&a.target, &action.target));
            proptest::prop_assert!(same.is_none(), "two rules in the same moment: {same:?} {action:?}");
        }
    }
}
