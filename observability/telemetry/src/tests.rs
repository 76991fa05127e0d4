//! The registry beside the table, and the bound on series.

use crate::names::{self, Page};
use crate::requests::About;
use crate::series::MOST_SERIES;
use crate::{Format, Metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[test]
fn the_registry_has_what_the_table_says_and_nothing_else() {
    let metrics = Metrics::new("1");
    let registered: BTreeSet<_> = metrics.registered().iter().copied().collect();
    let table: BTreeSet<_> = names::all().filter(|f| f.page == Page::Main).map(|f| f.name).collect();
    assert_eq!(registered, table);
    assert_eq!(registered.len(), metrics.registered().len(), "a name is registered twice");
}

/// Ecosystem, section 1: whatever clients send, no family has more than its bound, and what got no series is counted.
#[test]
fn random_requests_make_no_more_series_than_the_bound() {
    let seed = std::env::var("OTTERNAUTS_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    eprintln_seed(seed);
    let mut state = seed;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let metrics = Metrics::new("1");
    let verbs = ["GET", "LIST", "POST", "PUT", "PATCH", "APPLY", "DELETE"];
    let codes = [200, 201, 400, 403, 404, 409, 422, 429, 500, 504];
    for _ in 0..3 * MOST_SERIES {
        let pick = |from: &[&'static str], n: u64| from[usize::try_from(n).unwrap_or_default()];
        let (group, version) = (format!("g{}.example.com", random(40)), format!("v{}", random(3)));
        let resource = format!("r{}", random(60));
        let about = About {
            verb: pick(&verbs, random(7)),
            group: &group,
            version: &version,
            resource: &resource,
            subresource: ["", "status"][usize::from(random(2) == 0)],
            scope: pick(&["cluster", "namespace", "resource"], random(3)),
        };
        let code = codes[usize::try_from(random(10)).unwrap_or_default()];
        metrics.requests.about(about).answered(code, random(9) == 0, 0.01, Some(random(1 << 20)));
        let watch = metrics.watches.open(&group, &version, &resource);
        watch.event(10);
    }
    let mut series = BTreeMap::<String, usize>::new();
    let text = metrics.encode(Format::Classic);
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let histogram = name.strip_suffix("_bucket").filter(|_| line.contains("le=\"+Inf\""));
        let counted = histogram.or_else(|| names::find(name).map(|_| name));
        if let Some(name) = counted {
            *series.entry(name.to_owned()).or_default() += 1;
        }
    }
    for (name, count) in &series {
        assert!(*count <= MOST_SERIES, "{name} has {count} series");
    }
    assert_eq!(series.get("apiserver_request_total"), Some(&MOST_SERIES), "the test reaches the bound");
    let dropped = text
        .lines()
        .find(|l| l.starts_with("otternauts_metrics_series_dropped_total{family=\"apiserver_request_total\"}"));
    assert!(dropped.is_some(), "what was dropped is counted");
}

/// What is kept from the first request on counts the later ones too, each by what it was about.
#[test]
fn requests_about_the_same_share_their_series() {
    let metrics = Metrics::new("1");
    let about = |resource| About { verb: "GET", resource, version: "v1", scope: "resource", ..About::default() };
    let first = metrics.requests.about(about("stacks"));
    assert!(Arc::ptr_eq(&first, &metrics.requests.about(about("stacks"))));
    assert!(!Arc::ptr_eq(&first, &metrics.requests.about(about("servers"))));
    for (code, dry_run) in [(200, false), (200, false), (201, false), (200, true), (404, false)] {
        metrics.requests.about(about("stacks")).answered(code, dry_run, 0.01, None);
    }
    metrics.requests.about(about("servers")).answered(200, false, 0.01, None);
    let text = metrics.encode(Format::Classic);
    let count = |resource: &str, code: u16, dry_run: &str| {
        let line = format!(
            "apiserver_request_total{{verb=\"GET\",dry_run=\"{dry_run}\",group=\"\",version=\"v1\",resource=\"{resource}\",\
             subresource=\"\",scope=\"resource\",component=\"apiserver\",code=\"{code}\"}} "
        );
        text.lines().find_map(|l| l.strip_prefix(&line)).map(str::to_owned)
    };
    assert_eq!(count("stacks", 200, "").as_deref(), Some("2"), "{text}");
    assert_eq!(count("stacks", 201, "").as_deref(), Some("1"));
    assert_eq!(count("stacks", 200, "All").as_deref(), Some("1"));
    assert_eq!(count("stacks", 404, "").as_deref(), Some("1"));
    assert_eq!(count("servers", 200, "").as_deref(), Some("1"));
    assert!(
        text.contains("resource=\"stacks\",subresource=\"\",scope=\"resource\",component=\"apiserver\"} 5\n"),
        "{text}"
    );
}

#[allow(clippy::print_stderr, reason = "random things say their seed")]
fn eprintln_seed(seed: u64) {
    eprintln!("OTTERNAUTS_SEED={seed}");
}
