//! Waiting for a state, never for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The least patience. It says when to give up, never what is right: another machine may be many times slower than the one on which a
/// test was written, and what is reached in time costs nothing of it.
const LEAST: Duration = Duration::from_secs(180);

/// Looks until `look` answers `Ok`, and panics with the last `Err` when `patience`, three minutes at least, is over. `what` is read in
/// the failure.
///
/// # Panics
/// When the state is not reached in time.
pub fn until<T, S: Debug>(what: &str, patience: Duration, mut look: impl FnMut() -> Result<T, S>) -> T {
    let patience = patience.max(LEAST);
    let started = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) => {
                assert!(started.elapsed() < patience, "waited {patience:?} for: {what}\nlast seen: {last:?}");
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
    }
}
