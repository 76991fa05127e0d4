//! The classic text format, read.

use std::collections::BTreeMap;

/// Everything on one page.
pub struct Samples<'a> {
    samples: Vec<(&'a str, BTreeMap<&'a str, String>, f64)>,
    families: Vec<(&'a str, &'a str, &'a str)>,
}

impl<'a> Samples<'a> {
    /// Panics on what is not the classic format: the page is ours.
    pub fn parse(text: &'a str) -> Self {
        let mut new = Self { samples: Vec::new(), families: Vec::new() };
        let mut help = ("", "");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').expect("a name and a text");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                assert_eq!(help.0, name, "HELP comes before TYPE");
                new.families.push((name, kind, help.1));
            } else {
                new.samples.push(sample(line));
            }
        }
        new
    }

    /// Name, type and help of each family.
    pub fn families(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> + '_ {
        self.families.iter().copied()
    }

    /// The label names of each series of a family.
    pub fn labels_of(&self, family: &str) -> Vec<Vec<&'a str>> {
        let of =
            |name: &str| name.strip_prefix(family).is_some_and(|end| ["", "_bucket", "_sum", "_count"].contains(&end));
        self.samples
            .iter()
            .filter(|(name, ..)| of(name))
            .map(|(_, labels, _)| labels.keys().copied().collect())
            .collect()
    }

    /// The first value with these labels and any others.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |of: &BTreeMap<&str, String>| labels.iter().all(|(l, v)| of.get(l).is_some_and(|is| is == v));
        self.samples.iter().find(|(n, of, _)| *n == name && has(of)).map(|(_, _, value)| *value)
    }

    /// Whether there is a series with these labels that is not 0.
    pub fn any(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.value(name, labels).is_some_and(|value| value != 0.0)
    }
}

fn sample(line: &str) -> (&str, BTreeMap<&str, String>, f64) {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some((label, after)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut chars = after.char_indices();
            let stop = loop {
                match chars.next().expect("a closing quote") {
                    (_, '\\') => value.push(chars.next().expect("an escaped character").1),
                    (at, '"') => break at,
                    (_, c) => value.push(c),
                }
            };
            labels.insert(label, value);
            rest = after[stop + 1..].trim_start_matches(',');
            if rest.starts_with('}') {
                break;
            }
        }
        rest = rest.strip_prefix('}').expect("a closing brace");
    }
    (name, labels, rest.trim().parse().unwrap_or_else(|_| panic!("no number in {line:?}")))
}
