//! What was seen of each health check, for `/metrics/slis`.

use crate::page::Scraped;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Name and type (`healthz`, `livez`, `readyz`) of a check.
type Check = (String, &'static str);

#[derive(Clone, Copy, Default)]
struct Seen {
    well: bool,
    successes: u64,
    errors: u64,
}

/// The checks are a closed set, so is this.
#[derive(Default)]
pub struct Healthchecks(Mutex<BTreeMap<Check, Seen>>);

impl Healthchecks {
    /// Somebody looked at a check.
    pub fn looked(&self, name: &str, kind: &'static str, well: bool) {
        let mut checks = self.0.lock();
        let seen = checks.entry((name.to_owned(), kind)).or_default();
        seen.well = well;
        *(if well { &mut seen.successes } else { &mut seen.errors }) += 1;
    }

    /// Writes all of them.
    #[allow(clippy::cast_precision_loss, reason = "counts for a page of metrics")]
    pub fn fill(&self, out: &mut Scraped) {
        for ((name, kind), seen) in &*self.0.lock() {
            out.sample("kubernetes_healthcheck", &[name, kind], f64::from(u8::from(seen.well)));
            for (status, count) in [("success", seen.successes), ("error", seen.errors)] {
                if count > 0 || status == "success" {
                    out.sample("kubernetes_healthchecks_total", &[name, kind, status], count as f64);
                }
            }
        }
    }
}
