//! Wakes crowds of watchers once for the commits of a moment, not once for each.
//!
//! A thousand watchers that wake up keep a small machine busy for milliseconds. Were they woken by the first commit of a burst, the
//! other writes of it would stand in line behind them, and each would wake them all again.

use parking_lot::Mutex;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::sync::Notify;

/// Fewer watchers than this are woken by the writer itself, at once.
const CROWD: usize = 128;
/// How long a crowd waits for what else is committed: so long for each watcher, and never longer than a moment.
const PER_WATCHER: Duration = Duration::from_micros(2);
const MOMENT: Duration = Duration::from_millis(5);

/// Idle it is a thread that waits, and before the first crowd nothing at all.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Option<mpsc::Sender<Crowd>>>);

#[derive(Debug)]
struct Crowd {
    notify: Arc<Notify>,
    watchers: usize,
}

impl Bell {
    /// Wakes these watchers, now or in a moment.
    pub(crate) fn ring(&self, notify: Arc<Notify>, watchers: usize) {
        if watchers < CROWD {
            return notify.notify_waiters();
        }
        let mut ringer = self.0.lock();
        if ringer.is_none() {
            *ringer = start();
        }
        let crowd = Crowd { notify, watchers };
        let left = match &*ringer {
            Some(ringer) => ringer.send(crowd).err().map(|refused| refused.0),
            None => Some(crowd),
        };
        if let Some(crowd) = left {
            crowd.notify.notify_waiters();
        }
    }
}

/// The thread ends when the bell is dropped. Without one, all is as if there were no crowds.
fn start() -> Option<mpsc::Sender<Crowd>> {
    let (ringer, crowds) = mpsc::channel();
    let thread = std::thread::Builder::new().name("watch-bell".to_owned()).spawn(move || run(&crowds));
    thread.ok().map(|_| ringer)
}

fn run(crowds: &mpsc::Receiver<Crowd>) {
    while let Ok(first) = crowds.recv() {
        let watchers = u32::try_from(first.watchers).unwrap_or(u32::MAX);
        std::thread::sleep(PER_WATCHER.saturating_mul(watchers).min(MOMENT));
        let mut woken = vec![first.notify];
        for crowd in crowds.try_iter() {
            if !woken.iter().any(|notify| Arc::ptr_eq(notify, &crowd.notify)) {
                woken.push(crowd.notify);
            }
        }
        woken.iter().for_each(|notify| notify.notify_waiters());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn a_few_are_woken_at_once_and_a_crowd_every_time_somebody_rings() {
        let (bell, notify) = (Bell::default(), Arc::new(Notify::new()));
        for watchers in [1, CROWD - 1] {
            let mut woken = pin!(notify.notified());
            woken.as_mut().enable();
            bell.ring(notify.clone(), watchers);
            assert!(woken.as_mut().enable(), "{watchers} watchers are woken before the writer goes on");
        }
        for watchers in [CROWD, 1_000, usize::MAX, CROWD] {
            let mut woken = pin!(notify.notified());
            woken.as_mut().enable();
            bell.ring(notify.clone(), watchers);
            woken.await;
        }
    }

    #[tokio::test]
    async fn crowds_that_ring_together_are_all_woken() {
        let bell = Bell::default();
        let crowds: Vec<_> = (0..8).map(|_| Arc::new(Notify::new())).collect();
        let mut woken: Vec<_> = crowds.iter().map(|notify| Box::pin(notify.notified())).collect();
        for woken in &mut woken {
            assert!(!woken.as_mut().enable(), "nobody rang yet");
        }
        for _ in 0..3 {
            crowds.iter().for_each(|notify| bell.ring(notify.clone(), CROWD));
        }
        for woken in woken {
            woken.await;
        }
    }
}
