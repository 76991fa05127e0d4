//! A page of metrics that is written anew for each scrape, from what is there at that moment.

use crate::exposition::Format;
use crate::names::{self, Kind};
use crate::series::{Dropped, MOST_SERIES};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Collects samples in any order and writes them family by family. Of two with the same labels the later one stays.
pub struct Scraped {
    families: BTreeMap<&'static str, BTreeMap<String, f64>>,
    dropped: Dropped,
}

impl Scraped {
    pub(crate) fn new(dropped: Dropped) -> Self {
        Self { families: BTreeMap::new(), dropped }
    }

    /// One sample of a family of the table, its labels' values in the table's order.
    ///
    /// # Panics
    /// When the table has no such family, or it has other labels: a mistake of who writes the page, found by its test.
    pub fn sample(&mut self, name: &'static str, labels: &[&str], value: f64) {
        let family = names::find(name).unwrap_or_else(|| panic!("{name} is not in the table of names"));
        assert_eq!(labels.len(), family.labels.len(), "{name} has the labels {:?}", family.labels);
        let lines = self.families.entry(name).or_default();
        let mut line = name.to_owned();
        for (i, (label, value)) in family.labels.iter().zip(labels).enumerate() {
            let _ = write!(line, "{}{label}=\"", if i == 0 { '{' } else { ',' });
            escape(&mut line, value);
            line.push('"');
        }
        if !labels.is_empty() {
            line.push('}');
        }
        if lines.len() >= MOST_SERIES && !lines.contains_key(&line) {
            return self.dropped.add(name, 1);
        }
        lines.insert(line, value);
    }

    /// Says that so many samples of a family were left out.
    pub fn left_out(&self, name: &'static str, count: u64) {
        self.dropped.add(name, count);
    }

    /// One sample each for `True`, `False` and `Unknown`: 1 for the one that is, 0 for the others. `labels` ends before `status`.
    pub fn condition(&mut self, name: &'static str, labels: &[&str], status: &str) {
        for one in ["true", "false", "unknown"] {
            let value = if status.eq_ignore_ascii_case(one) { 1.0 } else { 0.0 };
            self.sample(name, &[labels, &[one]].concat(), value);
        }
    }

    /// The page as text.
    pub fn write(&self, format: Format) -> String {
        let mut out = String::new();
        for (name, lines) in &self.families {
            let Some(family) = names::find(name) else { continue };
            let (shown, kind) = match (format, family.kind) {
                (Format::OpenMetrics, kind) => (family.base(), kind.as_str()),
                (Format::Classic, Kind::Info) => (*name, "gauge"),
                (Format::Classic, kind) => (*name, kind.as_str()),
            };
            let stop = if format == Format::OpenMetrics { "." } else { "" };
            let _ = write!(out, "# HELP {shown} {}{stop}\n# TYPE {shown} {kind}\n", family.described());
            for (series, value) in lines {
                let _ = writeln!(out, "{series} {}", Number(*value));
            }
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

/// A value as both formats take it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            v if v.is_nan() => f.write_str("NaN"),
            v if v.is_infinite() => f.write_str(if v > 0.0 { "+Inf" } else { "-Inf" }),
            v => write!(f, "{v}"),
        }
    }
}

fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_family_by_family_in_both_formats() {
        let mut page = Scraped::new(Dropped::default());
        page.condition("otternauts_server_status_condition", &["a\"\\\nb", "Ready"], "True");
        page.sample("otternauts_stack_info", &["default", "web", "main"], 1.0);
        page.sample("otternauts_server_info", &["a", "main", "manager", "", ""], 1.0);
        let classic = page.write(Format::Classic);
        let expected = "# HELP otternauts_server_info [STABLE] What a Server is; what is not known is empty\n\
            # TYPE otternauts_server_info gauge\n\
            otternauts_server_info{server=\"a\",cluster=\"main\",role=\"manager\",os=\"\",docker_version=\"\"} 1\n";
        assert!(classic.starts_with(expected), "{classic}");
        let state = "otternauts_server_status_condition{server=\"a\\\"\\\\\\nb\",condition=\"Ready\",status=";
        assert!(
            classic.contains(&format!("{state}\"false\"}} 0\n{state}\"true\"}} 1\n{state}\"unknown\"}} 0\n")),
            "{classic}"
        );
        let open = page.write(Format::OpenMetrics);
        assert!(
            open.contains("# TYPE otternauts_stack info\notternauts_stack_info{") && open.ends_with("# EOF\n"),
            "{open}"
        );
    }

    #[test]
    fn a_family_stops_at_its_bound_and_says_what_was_dropped() {
        let dropped = Dropped::default();
        let mut page = Scraped::new(dropped.clone());
        for i in 0..MOST_SERIES + 7 {
            page.sample("otternauts_stack_info", &["default", &i.to_string(), "main"], 1.0);
        }
        assert_eq!(page.write(Format::Classic).lines().count(), MOST_SERIES + 2);
        assert_eq!(dropped.of("otternauts_stack_info"), 7);
    }
}
