//! Why containers ended, put together from what the engine tells around it: whether they were asked to, ran out of memory, failed
//! their health check.

use crate::docker::Event;
use std::collections::{BTreeMap, VecDeque};

/// Containers that are remembered between the first hint and the end, and for a hint that comes after it.
const REMEMBERED: usize = 512;

/// The end of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub container: String,
    pub exit_code: Option<i64>,
    /// The kernel killed a process of it for memory. May become known just after the end: then the end is told again.
    pub oom: bool,
    /// It was asked to stop (any signal but SIGKILL came first), as Swarm does when it is not wanted any more.
    pub asked: bool,
    /// Its health check had failed: that is why it was asked to stop.
    pub unhealthy: bool,
    /// Nanoseconds since 1970 by the engine's clock.
    pub time_nanos: i64,
    /// Labels, `name` and `image`, as the engine tells them.
    pub attributes: BTreeMap<String, String>,
}

impl End {
    /// Nobody wanted it: it ended by itself, by the kernel, by `docker kill`, or for its health.
    pub fn is_failure(&self) -> bool {
        self.oom || self.unhealthy || (!self.asked && self.exit_code != Some(0))
    }
}

#[derive(Clone, Default)]
struct Hints {
    first_signal: Option<String>,
    oom: bool,
    unhealthy: bool,
    end: Option<End>,
}

/// What was heard of containers that are about to end, or just have.
#[derive(Default)]
pub(super) struct Ends {
    hints: VecDeque<(String, Hints)>,
}

impl Ends {
    /// Folds one event in: the end that it completes or corrects, if any.
    pub(super) fn hear(&mut self, event: &Event) -> Option<End> {
        if event.kind != "container" {
            return None;
        }
        match event.action.as_str() {
            "kill" => {
                let signal = event.attributes.get("signal").cloned().unwrap_or_default();
                self.of(&event.id).first_signal.get_or_insert(signal);
            }
            "oom" => {
                let hints = self.of(&event.id);
                hints.oom = true;
                let end = hints.end.as_mut().filter(|end| !end.oom)?;
                end.oom = true;
                return Some(end.clone());
            }
            "health_status: unhealthy" => self.of(&event.id).unhealthy = true,
            "health_status: healthy" => self.of(&event.id).unhealthy = false,
            "die" => {
                let hints = self.of(&event.id);
                let end = End {
                    container: event.id.clone(),
                    exit_code: event.attributes.get("exitCode").and_then(|c| c.parse().ok()),
                    oom: hints.oom,
                    asked: hints.first_signal.as_deref().is_some_and(|s| s != "9" && s != "SIGKILL"),
                    unhealthy: hints.unhealthy,
                    time_nanos: event.time_nanos,
                    attributes: event.attributes.clone(),
                };
                hints.end = Some(end.clone());
                return Some(end);
            }
            // A container that runs again begins anew.
            "start" | "destroy" => self.hints.retain(|(id, _)| *id != event.id),
            _ => {}
        }
        None
    }

    fn of(&mut self, id: &str) -> &mut Hints {
        let at = match self.hints.iter().position(|(known, _)| known == id) {
            Some(at) => at,
            None => {
                if self.hints.len() >= REMEMBERED {
                    self.hints.pop_front();
                }
                self.hints.push_back((id.to_owned(), Hints::default()));
                self.hints.len() - 1
            }
        };
        &mut self.hints[at].1
    }
}
