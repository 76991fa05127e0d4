//! PromQL, as far as a lint needs it: which series an expression selects, by which labels, and by which labels it groups.

use std::collections::BTreeSet;

/// One selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub metric: String,
    pub labels: BTreeSet<String>,
    /// A duration in brackets follows.
    pub range: Option<String>,
}

/// What an expression asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub selectors: Vec<Selector>,
    /// Labels of `by`, `without`, `on`, `ignoring`, `group_left`, `group_right`.
    pub grouped: BTreeSet<String>,
    /// Functions and aggregations, each with the metric that is selected next.
    pub functions: Vec<(String, Option<String>)>,
}

const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 6] = ["and", "or", "unless", "offset", "bool", "atan2"];

/// Reads an expression. Texts are skipped; what is no PromQL is not noticed here but by promtool.
pub fn read(expr: &str) -> Asked {
    let mut asked = Asked::default();
    let mut open = Vec::new();
    let bytes = expr.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &expr[at..];
        let first = bytes[at];
        if first == b'"' {
            at += text_end(rest);
        } else if first == b'[' {
            let end = rest.find(']').map_or(rest.len(), |i| i + 1);
            if let Some(last) = asked.selectors.last_mut() {
                last.range = Some(rest[1..end - 1].to_owned());
            }
            at += end;
        } else if first.is_ascii_alphabetic() || first == b'_' || first == b':' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let next = after.trim_start();
            at += end;
            if LISTS.contains(&word) {
                let list = next.strip_prefix('(').and_then(|l| l.split_once(')')).map_or("", |(list, _)| list);
                asked.grouped.extend(list.split(',').map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()));
                at += after.len() - next.len() + if next.starts_with('(') { list.len() + 2 } else { 0 };
            } else if WORDS.contains(&word) || is_number(word) {
                // Operators, and numbers that look like words.
            } else if next.starts_with('(') || is_aggregation(word) {
                open.push(asked.functions.len());
                asked.functions.push((word.to_owned(), None));
            } else {
                let (labels, length) = labels(after);
                at += length;
                for index in open.drain(..) {
                    asked.functions[index].1 = Some(word.to_owned());
                }
                asked.selectors.push(Selector { metric: word.to_owned(), labels, range: None });
            }
        } else if first.is_ascii_digit() {
            // A number or a duration: `0.99`, `5m`, `1e9`.
            at += rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    asked
}

fn is_aggregation(word: &str) -> bool {
    ["sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "group", "stddev"].contains(&word)
}

fn is_number(word: &str) -> bool {
    ["Inf", "NaN", "inf", "nan"].contains(&word)
}

/// The names of the labels in braces, and how long that was.
fn labels(after: &str) -> (BTreeSet<String>, usize) {
    if !after.starts_with('{') {
        return (BTreeSet::new(), 0);
    }
    let (mut names, mut name, mut at) = (BTreeSet::new(), String::new(), 1);
    while let Some(c) = after[at..].chars().next() {
        match c {
            '}' => return (names, at + 1),
            '"' => at += text_end(&after[at..]),
            '=' | '!' if !name.is_empty() => {
                names.insert(std::mem::take(&mut name));
                at += 1;
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                name.push(c);
                at += 1;
            }
            c => at += c.len_utf8(),
        }
    }
    (names, after.len())
}

/// Where a text ends that begins with its quote.
fn text_end(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return i + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_says_what_it_selects() {
        let asked = read(
            r#"histogram_quantile(0.99, sum by (le, verb) (rate(a_bucket{job="x{y}",le!~"1(\\.0)?"}[5m]))) > 2 * b or on (c) d:e"#,
        );
        let names: Vec<_> = asked.selectors.iter().map(|s| s.metric.as_str()).collect();
        assert_eq!(names, ["a_bucket", "b", "d:e"]);
        assert_eq!(asked.selectors[0].labels, ["job", "le"].map(str::to_owned).into());
        assert_eq!(asked.selectors[0].range.as_deref(), Some("5m"));
        assert_eq!(asked.grouped, ["le", "verb", "c"].map(str::to_owned).into());
        let functions: Vec<_> = asked.functions.iter().map(|(f, m)| (f.as_str(), m.as_deref())).collect();
        let of = Some("a_bucket");
        assert_eq!(functions, [("histogram_quantile", of), ("sum", of), ("rate", of)]);
    }

    #[test]
    fn grouping_may_stand_behind_and_offsets_are_no_series() {
        let asked = read("sum(x) without (job) + time() - y offset 10m");
        let names: Vec<_> = asked.selectors.iter().map(|s| s.metric.as_str()).collect();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(asked.grouped, ["job"].map(str::to_owned).into());
    }
}
