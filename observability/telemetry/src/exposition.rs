//! OpenMetrics as the library writes it, and the classic text format 0.0.4 made from it.

use std::fmt::Write as _;

/// Chosen by the `Accept` header of the scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
    /// `text/plain; version=0.0.4`
    Classic,
}

impl Format {
    /// OpenMetrics only for who asks for it: curl and `promtool check metrics` read the classic form.
    pub fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Rewrites OpenMetrics text: counters are named with `_total` in their TYPE line, infos are gauges, units and EOF are dropped,
/// and the full stop that the library adds to each help text goes.
pub fn classic(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((help_name, text)) = help.take()
                && help_name == name
            {
                let _ = writeln!(out, "# HELP {name}{suffix} {}", text.strip_suffix('.').unwrap_or(text));
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_get_their_classic_names() {
        let text = "# HELP a Things.\n# TYPE a counter\na_total{x=\"1\"} 2\n# HELP b Build.\n# TYPE b info\nb_info{v=\"1\"} 1\n# EOF\n";
        assert_eq!(
            classic(text),
            "# HELP a_total Things\n# TYPE a_total counter\na_total{x=\"1\"} 2\n# HELP b_info Build\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n"
        );
    }

    #[test]
    fn only_who_asks_gets_open_metrics() {
        assert_eq!(Format::for_accept("*/*"), Format::Classic);
        assert_eq!(Format::for_accept("application/openmetrics-text;version=1.0.0,text/plain"), Format::OpenMetrics);
    }
}
