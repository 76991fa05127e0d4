//! The simple JSONPath of printer columns, scale and selectable fields (rows N11, X17, X18).

use serde_json::{Map, Value};

/// A path that was read: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    /// Negative ones count from the end.
    Index(i64),
    Every,
    Filter {
        path: Vec<Step>,
        test: Option<(Op, Value)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longest path read; columns of people are far shorter.
const MAX_STEPS: usize = 64;

impl JsonPath {
    /// Reads a path that starts with a dot. `None` when it is no path of the simple kind.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text.trim());
        if !text.starts_with('.') {
            return None;
        }
        steps(text).map(Self)
    }

    /// All values at the path, in order.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        walk(&self.0, value)
    }

    /// All values at the path in an object.
    pub fn find_in<'a>(&self, map: &'a Map<String, Value>) -> Vec<&'a Value> {
        let Some((first, rest)) = self.0.split_first() else { return Vec::new() };
        let here: Vec<&Value> = match first {
            Step::Key(key) => map.get(key).into_iter().collect(),
            Step::Every => map.values().collect(),
            Step::Index(_) | Step::Filter { .. } => Vec::new(),
        };
        here.into_iter().flat_map(|v| walk(rest, v)).collect()
    }

    /// The keys, when the path has nothing but keys: `.spec.replicas`.
    pub fn keys(&self) -> Option<Vec<&str>> {
        let key = |s: &'_ Step| if let Step::Key(k) = s { Some(k.clone()) } else { None };
        self.0.iter().map(key).collect::<Option<Vec<_>>>()?;
        Some(self.0.iter().filter_map(|s| if let Step::Key(k) = s { Some(k.as_str()) } else { None }).collect())
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if out.len() >= MAX_STEPS {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let end = closing(inner)?;
            out.push(bracket(inner[..end].trim())?);
            rest = &inner[end + 1..];
        } else {
            let after = rest.strip_prefix('.')?;
            let (key, left) = key(after)?;
            match key.as_str() {
                // A dot alone, or before a bracket, names nothing.
                "" if left.is_empty() || left.starts_with('[') => {}
                "" => return None,
                "*" => out.push(Step::Every),
                _ => out.push(Step::Key(key)),
            }
            rest = left;
        }
    }
    Some(out)
}

/// A key up to the next dot or bracket; a backslash takes the next character as it is.
fn key(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?.1),
            '.' | '[' => return Some((out, &text[i..])),
            c if c.is_whitespace() || "{}()'\"".contains(c) => return None,
            c => out.push(c),
        }
    }
    Some((out, ""))
}

/// Where the bracket opened before `text` closes; brackets in quotes do not count.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(i),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::Every);
    }
    if let Some(inner) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filter(inner.trim());
    }
    if let Some(key) = quoted(text) {
        return Some(Step::Key(key.to_owned()));
    }
    text.parse().ok().map(Step::Index)
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
}

fn filter(text: &str) -> Option<Step> {
    const OPS: [(&str, Op); 6] = [
        ("==", Op::Equal),
        ("!=", Op::NotEqual),
        ("<=", Op::LessOrEqual),
        (">=", Op::GreaterOrEqual),
        ("<", Op::Less),
        (">", Op::Greater),
    ];
    let found = OPS
        .iter()
        .filter_map(|(sign, op)| Some((text.find(sign)?, *sign, *op)))
        .min_by_key(|(at, sign, _)| (*at, 3 - sign.len()));
    let (left, test) = match found {
        None => (text, None),
        Some((at, sign, op)) => (&text[..at], Some((op, literal(text[at + sign.len()..].trim())?))),
    };
    let path = left.trim().strip_prefix('@')?;
    Some(Step::Filter { path: if path.is_empty() { Vec::new() } else { steps(path)? }, test })
}

fn literal(text: &str) -> Option<Value> {
    if let Some(inner) = quoted(text) {
        return Some(Value::String(inner.to_owned()));
    }
    serde_json::from_str(text).ok().filter(|v: &Value| !v.is_array() && !v.is_object())
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let mut here = vec![value];
    for step in steps {
        here = here.into_iter().flat_map(|v| apply(step, v)).collect();
    }
    here
}

fn apply<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Key(key), Value::Object(map)) => map.get(key).into_iter().collect(),
        (Step::Index(i), Value::Array(list)) => {
            let at = if *i < 0 { i64::try_from(list.len()).unwrap_or(i64::MAX) + i } else { *i };
            usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
        }
        (Step::Every, Value::Array(list)) => list.iter().collect(),
        (Step::Every, Value::Object(map)) => map.values().collect(),
        (Step::Filter { path, test }, Value::Array(list)) => {
            list.iter().filter(|v| passes(path, test.as_ref(), v)).collect()
        }
        _ => Vec::new(),
    }
}

fn passes(path: &[Step], test: Option<&(Op, Value)>, value: &Value) -> bool {
    let Some(found) = walk(path, value).into_iter().next() else { return false };
    let Some((op, wanted)) = test else { return true };
    let order = match (found, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(std::cmp::Ordering::Equal),
        _ => None,
    };
    match (op, order) {
        (Op::NotEqual, order) => !order.is_some_and(std::cmp::Ordering::is_eq),
        (_, None) => false,
        (Op::Equal, Some(o)) => o.is_eq(),
        (Op::Less, Some(o)) => o.is_lt(),
        (Op::LessOrEqual, Some(o)) => o.is_le(),
        (Op::Greater, Some(o)) => o.is_gt(),
        (Op::GreaterOrEqual, Some(o)) => o.is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_columns_ask_for() {
        let object = json!({"spec": {"replicas": 3, "a.b": "dot", "list": [1, 2, 3]},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let check = |path: &str, expected: &[Value]| {
            let found = JsonPath::parse(path).expect(path).find(&object).into_iter().cloned().collect::<Vec<_>>();
            assert_eq!(found, expected, "{path}");
        };
        check(".spec.replicas", &[json!(3)]);
        check(".spec.nope.deeper", &[]);
        check(r".spec.a\.b", &[json!("dot")]);
        check(".spec['a.b']", &[json!("dot")]);
        check(".spec.list[0]", &[json!(1)]);
        check(".spec.list[-1]", &[json!(3)]);
        check(".spec.list[9]", &[]);
        check(".spec.list[*]", &[json!(1), json!(2), json!(3)]);
        check(r#".status.conditions[?(@.type=="Ready")].status"#, &[json!("True")]);
        check(".status.conditions[?(@.type != 'Ready')].status", &[json!("False")]);
        check(".status.conditions[?(@.nope)].status", &[]);
        check(".spec.list[?(@ >= 2)]", &[json!(2), json!(3)]);
    }

    #[test]
    fn what_is_no_simple_path_is_refused() {
        for path in ["", "spec", "spec.a", ".a[", ".a[x]", ".a..b", ".a[?(x)]", ".a b"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
        assert_eq!(JsonPath::parse(".spec.a").expect("simple").keys(), Some(vec!["spec", "a"]));
        assert_eq!(JsonPath::parse(".a[0]").expect("simple").keys(), None);
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(text in r"\.[a-z.\[\]?@()='*0-9\\ <>!]{0,30}") {
            if let Some(path) = JsonPath::parse(&text) {
                _ = path.find(&json!({"a": [{"b": 1}]}));
            }
        }
    }
}
