use super::*;

fn error(text: &str) -> (usize, usize, String) {
    let e = parse(text).expect_err("must not parse");
    (e.line, e.column, e.message)
}

#[test]
fn every_node_knows_its_line_and_column() {
    let root = parse("services:\n  web:\n    image: nginx\n    ports:\n      - 80\n").expect("parses");
    let web = root.get("services").and_then(|s| s.get("web")).expect("web");
    let image = web.get("image").expect("image");
    assert_eq!((image.at.line, image.at.column), (3, 12));
    let port = &web.get("ports").expect("ports").items()[0];
    assert_eq!((port.at.line, port.at.column), (5, 9));
    assert_eq!(web.entry("image").map(|e| (e.key_at.line, e.key_at.column)), Some((3, 5)));
}

#[test]
fn scalars_follow_the_core_schema_and_keep_their_text() {
    let check = |text: &str, expected: Value| assert_eq!(parse(text).expect(text).value, expected, "{text}");
    check("0444", Value::Number("0444".into()));
    check("1.10", Value::Number("1.10".into()));
    check("\"80\"", Value::Text("80".into()));
    check("yes", Value::Text("yes".into()));
    check("True", Value::Bool(true));
    check("~", Value::Null);
    check("1.2.3", Value::Text("1.2.3".into()));
    check("-", Value::List(vec![Node { at: Position { line: 1, column: 2 }, value: Value::Null }]));
}

#[test]
fn merge_keys_and_aliases_are_expanded_and_own_keys_win() {
    let root = parse("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n").expect("parses");
    let b = root.get("b").expect("b");
    assert_eq!(b.get("x").and_then(Node::text).as_deref(), Some("1"));
    assert_eq!(b.get("y").and_then(Node::text).as_deref(), Some("3"));
}

#[test]
fn a_syntax_error_names_its_place() {
    let (line, _, message) = error("services:\n  web:\n   image: [nginx\n");
    assert!(line >= 3 && message.starts_with("YAML: "), "{line} {message}");
    assert_eq!(error("a: 1\na: 2\n"), (2, 1, "key \"a\" is already set in line 1".into()));
    assert_eq!(error("a: 1\n---\nb: 2\n").2, "a second YAML document: a compose file is one document");
    assert_eq!(error("").2, "the file is empty");
}

#[test]
fn hostile_documents_are_refused_within_bounds() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        let refs = vec![format!("*a{}", i - 1); 10].join(",");
        bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    assert!(error(&bomb).2.contains("values, aliases expanded"));
    let many = format!("a: &a 1\nb: [{}]\n", vec!["*a"; MAX_ALIASES + 1].join(","));
    assert_eq!(error(&many).2, format!("more than {MAX_ALIASES} aliases"));
    let deep = "[".repeat(200) + &"]".repeat(200);
    parse(&deep).expect_err("too deep");
    assert!(error(&"#".repeat(MAX_BYTES + 1)).2.contains("bytes; at most"));
    assert!(error("a: &a [*a]\n").2.contains("alias"));
}
