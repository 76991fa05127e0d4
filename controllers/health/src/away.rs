//! Servers whose engine is not heard. A connection may be back in a second: what was on a server is given up only when it stays away.

use std::collections::HashMap;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Longer than a connection takes that is made anew, about as long as a server takes to be called unreachable.
pub const GRACE: Duration = Duration::from_secs(20);

/// Each with the task that gives it up.
#[derive(Default)]
pub struct Away(HashMap<String, AbortHandle>);

impl Away {
    /// A server went: unless it is back within `grace`, it is given up.
    pub fn went(&mut self, server: &str, grace: Duration, give_up: impl Future<Output = ()> + Send + 'static) {
        let given_up = tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            give_up.await;
        });
        if let Some(before) = self.0.insert(server.to_owned(), given_up.abort_handle()) {
            before.abort();
        }
    }

    pub fn back(&mut self, server: &str) {
        if let Some(task) = self.0.remove(server) {
            task.abort();
        }
    }

    pub fn has(&self, server: &str) -> bool {
        self.0.contains_key(server)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.0.values().for_each(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn only_a_server_that_stays_away_is_given_up() {
        let (given_up, mut told) = mpsc::unbounded_channel();
        let give_up = |server: &'static str| {
            let given_up = given_up.clone();
            async move { given_up.send(server).expect("somebody listens") }
        };
        let day = Duration::from_secs(86_400);
        let mut away = Away::default();
        away.went("brief", day, give_up("brief"));
        away.went("long", Duration::ZERO, give_up("long"));
        assert!(away.has("brief") && away.has("long") && !away.has("well"));
        assert_eq!(told.recv().await, Some("long"));
        assert!(away.has("long"), "it is away until it is back");
        away.back("brief");
        assert!(!away.has("brief"));
        away.went("never", day, give_up("never"));
        drop((away, given_up));
        assert_eq!(told.recv().await, None, "nobody is left who would give one up");
    }
}
