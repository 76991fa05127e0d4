//! Rules that heal.

use crate::series::{Registrar, Series};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// `namespace/name` of a HealRule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    rule: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Evaluated {
    rule: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Acted {
    rule: String,
    action: &'static str,
    result: &'static str,
}

const RESULTS: [&str; 4] = ["firing", "held", "quiet", "unknown"];
const OUTCOMES: [&str; 3] = ["done", "failed", "dry_run"];

#[derive(Clone)]
pub struct HealMetrics {
    evaluations: Series<Evaluated, Counter>,
    actions: Series<Acted, Counter>,
    firing: Series<OfRule, Gauge>,
}

impl HealMetrics {
    pub(crate) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            evaluations: registrar.counters("otternauts_heal_evaluations_total"),
            actions: registrar.counters("otternauts_heal_actions_total"),
            firing: registrar.gauges("otternauts_heal_rule_firing"),
        }
    }

    /// One look: `result` is `firing`, `held` (it holds, and nothing may be done), `quiet` or `unknown`.
    pub fn evaluated(&self, rule: &str, result: &'static str) {
        self.evaluations.get_or_create(&Evaluated { rule: rule.to_owned(), result }).inc();
        let firing = matches!(result, "firing" | "held");
        self.firing.get_or_create(&OfRule { rule: rule.to_owned() }).set(i64::from(firing));
    }

    /// One action has ended: `result` is `done`, `failed` or `dry_run`.
    pub fn acted(&self, rule: &str, action: &'static str, result: &'static str) {
        self.actions.get_or_create(&Acted { rule: rule.to_owned(), action, result }).inc();
    }

    /// A rule is gone, and its series with it.
    pub fn forget(&self, rule: &str, actions: &[&'static str]) {
        self.firing.remove(&OfRule { rule: rule.to_owned() });
        for result in RESULTS {
            self.evaluations.remove(&Evaluated { rule: rule.to_owned(), result });
        }
        for action in actions {
            for result in OUTCOMES {
                self.actions.remove(&Acted { rule: rule.to_owned(), action, result });
            }
        }
    }
}
