//! The Compose specification's vectors (OT-44).

use super::*;
use crate::tree::{Position, parse};
use proptest::prelude::*;

fn values() -> Values {
    let mut v = Values::default();
    for (name, value) in [("SET", "value"), ("EMPTY", ""), ("OTHER", "other"), ("EVIL", "a: b\n- c \"$SET\" }")] {
        v.insert(name, value);
    }
    v
}

fn expand(text: &str, known: Known<'_>) -> (Value, Vec<String>) {
    let mut node = Node { at: Position { line: 1, column: 1 }, value: Value::Text(text.into()) };
    let mut errors = Vec::new();
    interpolate(&mut node, "p", known, &mut errors);
    (node.value, errors.into_iter().map(|e| e.message).collect())
}

#[test]
fn substitution_follows_the_compose_specification() {
    let check = |text: &str, expected: &str| {
        let (value, errors) = expand(text, Known::All(&values()));
        assert_eq!((value, errors), (Value::Text(expected.into()), vec![]), "{text}");
    };
    check("no variables", "no variables");
    check("$SET", "value");
    check("${SET}", "value");
    check("a${SET}b$OTHER-c", "avaluebother-c");
    check("$$SET", "$SET");
    check("$$$SET", "$value");
    check("${SET:-d}", "value");
    check("${UNSET:-d}", "d");
    check("${EMPTY:-d}", "d");
    check("${EMPTY-d}", "");
    check("${UNSET-d}", "d");
    check("${UNSET:-}", "");
    check("${UNSET:-${OTHER}}", "other");
    check("${UNSET:-${ALSO_UNSET:-deep}}x", "deepx");
    check("${UNSET:-a$$b}", "a$b");
    check("${SET:?needed}", "value");
    check("${EMPTY?needed}", "");
    check("${SET:+yes}", "yes");
    check("${EMPTY:+yes}", "");
    check("${EMPTY+yes}", "yes");
    check("${UNSET+yes}", "");
    check("${EVIL}", "a: b\n- c \"$SET\" }");
    check("${UNSET:-http://x:80/{y}}", "http://x:80/{y}");
}

#[test]
fn what_cannot_be_resolved_is_listed_at_once() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(expand(text, Known::All(&values())).1, expected, "{text}");
    };
    check("${A} ${B} $C", &["variable A has no value", "variable B has no value", "variable C has no value"]);
    check("${A:?set it in the Secret}", &["variable A has no value: set it in the Secret"]);
    check("${EMPTY:?}", &["variable EMPTY has no value"]);
    check("${SET", &["invalid interpolation: \"${SET\" is never closed; write $$ for a literal $"]);
    check("cost: 5$", &["invalid interpolation: a lone \"$\"; write $$ for a literal $"]);
    check("${1X}", &["invalid interpolation: \"${1X}\" names no variable; write $$ for a literal $"]);
    check("${SET!x}", &["invalid interpolation: \"${SET!x}\"; after the name come :- - :? ? :+ or +"]);
}

#[test]
fn admission_leaves_variables_open_but_reports_bad_syntax() {
    assert_eq!(expand("${A}", Known::Nothing), (Value::Open("${A}".into()), vec![]));
    assert_eq!(expand("$$A", Known::Nothing), (Value::Text("$A".into()), vec![]));
    assert_eq!(expand("${A:?x}", Known::Nothing).1, Vec::<String>::new());
    assert_eq!(expand("${A", Known::Nothing).1.len(), 1);
}

proptest! {
    #[test]
    fn nothing_panics_and_text_without_a_dollar_stays(text in ".{0,200}") {
        let (value, errors) = expand(&text, Known::All(&values()));
        if !text.contains('$') {
            prop_assert_eq!(value, Value::Text(text));
            prop_assert!(errors.is_empty());
        }
    }

    #[test]
    fn a_value_never_becomes_structure(value in ".{0,60}") {
        let mut vars = Values::default();
        vars.insert("V", value.clone());
        let mut root = parse("a: ${V}\nb: ['x${V}']\n").expect("parses");
        let mut errors = Vec::new();
        interpolate(&mut root, "", Known::All(&vars), &mut errors);
        prop_assert!(errors.is_empty());
        prop_assert_eq!(root.get("a").and_then(Node::text), Some(value.clone()));
        prop_assert_eq!(root.get("b").map(|b| b.items().len()), Some(1));
    }
}
