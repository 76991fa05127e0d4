use super::*;
use proptest::prelude::*;

#[test]
fn what_people_write_is_read_and_written_back_in_one_form_ot_36() {
    let check = |text: &str, expected: &str| {
        let expr = parse(text).unwrap_or_else(|e| panic!("{e}\n{}", e.show(text)));
        assert_eq!(expr.to_string(), expected);
        assert_eq!(parse(expected).as_ref(), Ok(&expr), "{expected}");
    };
    check("cpu > 90% for 5m", "cpu > 90% for 5m");
    check("memory>1GB", "memory > 1GB");
    check("memory >= 80% for 90s", "memory >= 80% for 1m30s");
    check("restarts > 5 in 1h", "restarts > 5 in 1h");
    check("replicas.running < replicas.desired for 2m", "replicas.running < replicas.desired for 2m");
    check("unhealthy for 60s", "unhealthy for 1m");
    check("disk.free < 10%", "disk.free < 10%");
    check("disk.free < 0.5GiB", "disk.free < 512MiB");
    check("probe.failed >= 3", "probe.failed >= 3");
    check("(cpu > 1% and memory > 1MB) or not (unhealthy)", "cpu > 1% and memory > 1MB or not unhealthy");
    check("cpu > 1% and (memory > 1MB or unhealthy)", "cpu > 1% and (memory > 1MB or unhealthy)");
    check("(cpu > 1% or unhealthy) for 24h", "(cpu > 1% or unhealthy) for 1d");
    check("not not unhealthy", "not not unhealthy");
}

#[test]
fn every_example_of_the_reference_is_a_rule() {
    let page = include_str!("../../../docs/heal-rules.md");
    let conditions = page.split("\n## ").find(|section| section.starts_with("Conditions")).expect("the section");
    let examples: Vec<&str> =
        conditions.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|e| e.0).collect();
    assert!(examples.len() >= 10, "{examples:?}");
    for text in examples {
        parse(text).unwrap_or_else(|e| panic!("{e}\n{}", e.show(text)));
    }
    let shown = parse("cpu > 90").expect_err("a unit is missing").to_string();
    assert!(page.contains(&shown), "the page quotes another error than {shown}");
}

#[test]
fn a_wrong_rule_is_refused_with_its_place_ot_36() {
    let check = |text: &str, column: usize, message: &str| {
        let error = parse(text).expect_err(text);
        assert_eq!((error.column, error.message.as_str()), (column, message), "{text}\n{}", error.show(text));
    };
    let units = "unexpected \"90\"; expected a percentage such as 90%: cpu is measured in that";
    check("cpu > 90", 7, units);
    let units = "unexpected \"5%\"; expected a plain number such as 5 or another count such as replicas.desired: \
                 probe.failed is measured in that";
    check("probe.failed > 5%", 16, units);
    let names = "cpu, memory, disk.free, replicas.running, replicas.desired, probe.failed, restarts, unhealthy";
    check("cpuu > 90%", 1, &format!("nothing called \"cpuu\" is measured; there are {names}"));
    check("cpu 90%", 5, "unexpected \"90%\"; expected one of < <= > >= == !=");
    check("cpu > 90% for", 14, "the condition ends here; expected a time such as 30s, 5m or 1h30m");
    check("cpu > 90% for 5", 15, "unexpected \"5\"; expected a time such as 30s, 5m or 1h30m");
    check("cpu > 90% for 0s", 15, "unexpected \"0s\"; expected a time such as 30s, 5m or 1h30m");
    check("cpu > 90% unhealthy", 11, "unexpected \"unhealthy\"; expected `and`, `or`, `for` or the end");
    check("(cpu > 90%", 11, "the condition ends here; expected `)`");
    check("", 1, "the condition ends here; expected a measurement, `unhealthy`, `not` or `(`");
    check("é > 1", 1, "unexpected \"é\"; expected a measurement, `unhealthy`, `not` or `(`");
    check(
        "restarts > 5",
        13,
        "the condition ends here; expected `in` and a time: restarts are counted within one, such as `in 1h`",
    );
    let units = "unexpected \"replicas.desired\"; expected a percentage such as 90% or a size such as 512MiB or 1GB: \
                 memory is measured in that";
    check("memory > replicas.desired", 10, units);
    check(&"(".repeat(40), 18, "more than 16 levels of nesting");
    check(&"not ".repeat(40), 69, "more than 16 levels of nesting");
    check(&"x".repeat(2000), 1, "the condition is longer than 1024 bytes");
    assert_eq!(parse("cpu > 90").expect_err("a unit").show("cpu > 90"), "cpu > 90\n      ^^");
}

/// One sample a quarter of a minute, the newest at 0.
fn history(count: i64, make: impl Fn(i64) -> Sample) -> Vec<Sample> {
    (0..count).rev().map(|i| Sample { at: -i * 15_000, ..make(i) }).collect()
}

fn cpu(value: f64) -> Sample {
    Sample { cpu: Some(value), ..Sample::default() }
}

#[test]
fn a_condition_for_a_time_needs_all_of_it_ot_36() {
    let check = |text: &str, history: &[Sample], expected: Truth| {
        assert_eq!(evaluate(&parse(text).expect(text), history, 0), expected, "{text} over {} samples", history.len());
    };
    let five = "cpu > 90% for 5m";
    check(five, &history(21, |_| cpu(95.0)), Truth::True);
    check(five, &history(20, |_| cpu(95.0)), Truth::Unknown);
    check(five, &history(40, |i| cpu(if i == 12 { 80.0 } else { 95.0 })), Truth::False);
    check(five, &history(40, |i| cpu(if i == 30 { 80.0 } else { 95.0 })), Truth::True);
    check(five, &history(40, |i| if i == 12 { Sample::default() } else { cpu(95.0) }), Truth::Unknown);
    check(five, &[], Truth::Unknown);
    let holed: Vec<Sample> =
        history(40, |_| cpu(95.0)).into_iter().filter(|s| !(-180_000..-60_000).contains(&s.at)).collect();
    check(five, &holed, Truth::Unknown);
    let old: Vec<Sample> = history(40, |_| cpu(95.0)).into_iter().map(|s| Sample { at: s.at - 61_000, ..s }).collect();
    check("cpu > 90%", &old, Truth::Unknown);
    check("not cpu > 90%", &history(1, |_| cpu(95.0)), Truth::False);
    check("not cpu > 90%", &[], Truth::Unknown);
}

#[test]
fn what_is_not_known_decides_nothing() {
    let sample = Sample { cpu: Some(95.0), memory: Some(2e9), ..Sample::default() };
    let check =
        |text: &str, expected| assert_eq!(evaluate(&parse(text).expect(text), &[sample], 0), expected, "{text}");
    check("cpu > 90% or unhealthy", Truth::True);
    check("cpu < 90% or unhealthy", Truth::Unknown);
    check("cpu < 90% and unhealthy", Truth::False);
    check("cpu > 90% and unhealthy", Truth::Unknown);
    check("memory > 1GB", Truth::True);
    check("memory > 50%", Truth::Unknown);
    check("replicas.running < replicas.desired", Truth::Unknown);
}

#[test]
fn restarts_are_counted_within_their_time_ao_18() {
    let restarts = |counts: &[u64]| -> Vec<Sample> {
        let count = i64::try_from(counts.len()).expect("few");
        let restarts = |i: i64| counts[usize::try_from(count - 1 - i).expect("within")];
        history(count, |i| Sample { restarts: Some(restarts(i)), ..Sample::default() })
    };
    let check = |text: &str, counts: &[u64], expected: Truth| {
        assert_eq!(evaluate(&parse(text).expect(text), &restarts(counts), 0), expected, "{text} over {counts:?}");
    };
    check("restarts > 2 in 1m", &[0, 1, 2, 3, 3], Truth::True);
    check("restarts > 3 in 1m", &[0, 1, 2, 3, 3], Truth::False);
    // What happened before does not count, and a counter that began anew does not count backwards.
    check("restarts > 2 in 1m", &[0, 9, 9, 9, 9, 9], Truth::False);
    check("restarts > 2 in 1m", &[7, 0, 1, 2, 3], Truth::True);
    // Half a history can show enough, never too little.
    check("restarts > 2 in 1h", &[0, 3], Truth::True);
    check("restarts > 5 in 1h", &[0, 3], Truth::Unknown);
    check("restarts < 5 in 1h", &[0, 3], Truth::Unknown);
    check("restarts < 5 in 30s", &[0, 3, 3], Truth::True);
}

fn metric() -> impl Strategy<Value = Metric> {
    prop::sample::select(Metric::ALL.to_vec())
}

fn op() -> impl Strategy<Value = Op> {
    prop::sample::select(Op::ALL.iter().map(|(_, op)| *op).collect::<Vec<_>>())
}

fn span() -> impl Strategy<Value = Span> {
    (1..200_000_u64).prop_map(|s| Span::from_seconds(s).expect("within a year"))
}

fn compare() -> impl Strategy<Value = Expr> {
    (metric(), op(), 0..100_000_u32, any::<bool>(), metric()).prop_map(|(left, op, n, alike, other)| {
        let units = left.units();
        let right = match (alike, units == [Unit::Count] && other.units() == [Unit::Count]) {
            (true, true) => Value::Metric(other),
            _ => Value::Number(f64::from(n), units[n as usize % units.len()]),
        };
        Expr::Compare { left, op, right }
    })
}

fn expr() -> impl Strategy<Value = Expr> {
    let within = (op(), 0..100_u32, span());
    let leaf = prop_oneof![
        Just(Expr::Unhealthy),
        compare(),
        within.prop_map(|(op, n, span)| Expr::Within { op, count: f64::from(n), span }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        // Parentheses around a part of the same kind are not kept: they mean nothing.
        let or = prop::collection::vec(inner.clone(), 2..4);
        let and = prop::collection::vec(inner.clone(), 2..4);
        let plain = |parts: &[Expr], same: fn(&Expr) -> bool| !parts.iter().any(same);
        prop_oneof![
            or.prop_filter("or in or", move |p| plain(p, |e| matches!(e, Expr::Or(_)))).prop_map(Expr::Or),
            and.prop_filter("and in and", move |p| plain(p, |e| matches!(e, Expr::And(_)))).prop_map(Expr::And),
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            (inner, span()).prop_map(|(e, s)| Expr::For(Box::new(e), s)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(expr in expr()) {
        let text = expr.to_string();
        if text.len() <= 1024 {
            let again = parse(&text);
            prop_assert_eq!(again.map_err(|e| format!("{e}\n{}", e.show(&text))), Ok(expr));
        }
    }

    #[test]
    fn no_text_panics(text in "(cpu|memory|restarts|unhealthy|not|and|or|for|in|>|<=|[0-9]{1,4}(%|GB|m|s)?|\\(|\\)|é| ){0,40}") {
        if let Err(error) = parse(&text) {
            let _shown = error.show(&text);
        }
    }

    #[test]
    fn more_knowledge_never_turns_what_was_known(expr in expr(), cpus in prop::collection::vec(prop::option::of(0.0..100.0), 0..40)) {
        // With a measurement hidden, a truth becomes unknown at most; it never becomes the other one.
        let count = i64::try_from(cpus.len()).expect("few");
        let full = history(count, |i| Sample { cpu: Some(cpus[usize::try_from(i).expect("few")].unwrap_or(50.0)), ..Sample::default() });
        let partial = history(count, |i| Sample { cpu: cpus[usize::try_from(i).expect("few")], ..Sample::default() });
        let (all, some) = (evaluate(&expr, &full, 0), evaluate(&expr, &partial, 0));
        prop_assert!(some == Truth::Unknown || some == all, "{all:?} became {some:?}: {expr}");
    }
}

#[test]
fn a_rule_says_why_it_holds_with_the_values_that_make_it_so() {
    let sample = Sample {
        at: 0,
        cpu: Some(97.3),
        memory: Some(1.25e9),
        memory_limit: Some(2e9),
        replicas_running: Some(1),
        replicas_desired: Some(3),
        restarts: Some(9),
        unhealthy: Some(true),
        ..Sample::default()
    };
    let history = [Sample { restarts: Some(3), at: -60_000, ..sample }, sample];
    let check = |text: &str, expected: &str| {
        assert_eq!(explain(&parse(text).expect("a rule"), &history, 0), expected, "{text}");
    };
    check("cpu > 90% for 5m", "cpu 97 % > 90 % for 5m");
    check("memory > 1GB", "memory 1.25 GB > 1 GB");
    check("memory > 9.5%", "memory 62 % > 9.5 %");
    check("restarts > 5 in 1h", "restarts 6 > 5 in 1h");
    check("replicas.running < replicas.desired for 2m", "replicas.running 1 < replicas.desired 3 for 2m");
    check("cpu > 99% or unhealthy", "unhealthy");
    check("(cpu > 90% and memory > 1GB) for 1m", "(cpu 97 % > 90 % and memory 1.25 GB > 1 GB) for 1m");
    check("not (probe.failed > 3)", "not probe.failed ? > 3");
    check("disk.free < 5GB", "disk.free ? < 5 GB");
}

#[test]
fn a_rule_says_what_it_needs_to_be_judged() {
    for (text, samples, reach, spans) in [
        ("cpu > 90% for 5m", true, 300_000, 1),
        ("restarts > 5 in 1h", false, 3_600_000, 1),
        ("(unhealthy for 1m or restarts > 1 in 1m) for 2m", false, 180_000, 3),
        ("replicas.running < replicas.desired", false, 0, 0),
        ("not (unhealthy and disk.free < 5%)", true, 0, 0),
    ] {
        let expr = parse(text).expect("a rule");
        assert_eq!((expr.needs_samples(), expr.reach(), expr.spans().len()), (samples, reach, spans), "{text}");
    }
}
