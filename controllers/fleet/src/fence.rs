//! Who may change servers when several control planes could (R19).

use crate::error::{Error, Result};
use parking_lot::RwLock;
use std::sync::Arc;

/// The right of one leader to change servers, for as long as it leads.
#[derive(Clone)]
pub struct Term {
    /// Higher than that of every leader before.
    pub number: u64,
    /// Asked right before each change.
    pub lasts: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What this process may do to servers. Looking is always allowed.
#[derive(Clone, Default)]
pub enum Right {
    /// There is no other control plane.
    #[default]
    Alone,
    /// Another one may lead.
    None,
    Leader(Term),
}

#[derive(Default)]
pub(crate) struct Fence(RwLock<Right>);

impl Fence {
    pub(crate) fn set(&self, right: Right) {
        *self.0.write() = right;
    }

    /// The number that a server is shown with a change; none when there is no other control plane.
    pub(crate) fn check(&self) -> Result<Option<u64>> {
        match &*self.0.read() {
            Right::Alone => Ok(None),
            Right::Leader(term) if (term.lasts)() => Ok(Some(term.number)),
            Right::Leader(_) | Right::None => Err(Error::NotLeading),
        }
    }
}

/// Goes before what a leader does on a server: one at a time there, and none after a later leader was. The number is ours, digits only.
pub(crate) fn preamble(number: u64) -> String {
    format!("{}\nfence {number}\n", include_str!("scripts/fence.sh"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs it on this machine, in a directory instead of the real one.
    fn run(dir: &std::path::Path, number: u64) -> (Option<i32>, String) {
        let script = preamble(number).replace("/var/lib/otternauts", &dir.display().to_string()) + "echo did it\n";
        let out = Command::new("sh").args(["-c", &script]).output().expect("sh can be started");
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8_lossy(&text).trim().to_owned())
    }

    #[test]
    fn a_server_that_has_seen_a_later_leader_refuses_r19() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().join("otternauts");
        assert_eq!(run(&dir, 7), (Some(0), "did it".to_owned()));
        assert_eq!(run(&dir, 7), (Some(0), "did it".to_owned()));
        assert_eq!(run(&dir, 12), (Some(0), "did it".to_owned()));
        assert_eq!(run(&dir, 7), (Some(75), "a later leader (12) has been here: this one is 7".to_owned()));
        assert_eq!(std::fs::read_to_string(dir.join("epoch")).expect("there"), "12\n");
        std::fs::write(dir.join("epoch"), "nonsense").expect("written");
        let (code, text) = run(&dir, 99);
        assert_eq!(code, Some(75), "what cannot be read is no permission: {text}");
    }

    #[test]
    fn only_who_leads_now_may_change_a_server() {
        let fence = Fence::default();
        assert_eq!(fence.check().expect("alone"), None);
        fence.set(Right::None);
        assert!(matches!(fence.check(), Err(Error::NotLeading)));
        fence.set(Right::Leader(Term { number: 4, lasts: Arc::new(|| true) }));
        assert_eq!(fence.check().expect("leads"), Some(4));
        fence.set(Right::Leader(Term { number: 4, lasts: Arc::new(|| false) }));
        assert!(matches!(fence.check(), Err(Error::NotLeading)));
    }
}
