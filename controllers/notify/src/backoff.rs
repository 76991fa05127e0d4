//! When a message is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);
/// The longest that a receiver may ask us to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The wait after attempt number `attempt` (from 1): doubling, plus up to a quarter so that many messages do not come back together. `salt`
/// is anything that differs between messages. `asked` is the receiver's Retry-After.
pub fn after(attempt: u32, asked: Option<Duration>, salt: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    let spread = doubled / 100 * u32::try_from(salt % 26).unwrap_or(0);
    let own = doubled + spread;
    asked.map_or(own, |asked| own.max(asked.min(LONGEST_ASKED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound_and_respects_the_receiver() {
        let s = Duration::from_secs;
        for (attempt, asked, expected) in [
            (1, None, s(1)),
            (2, None, s(2)),
            (5, None, s(16)),
            (10, None, s(512)),
            (11, None, s(600)),
            (u32::MAX, None, s(600)),
            (1, Some(s(30)), s(30)),
            (10, Some(s(30)), s(512)),
            (1, Some(s(u64::MAX)), s(3600)),
        ] {
            assert_eq!(after(attempt, asked, 0), expected, "{attempt} {asked:?}");
            for salt in [1, 25, u64::MAX] {
                let spread = after(attempt, asked, salt);
                assert!(spread >= expected && spread <= expected + expected / 4, "{attempt} {salt}: {spread:?}");
            }
        }
    }
}
