//! The one place of this room that reads the clock.

use otternauts_meta::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// A machine whose clock stands before 1970 gets that year's first moment.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or_default();
    Timestamp::from_micros(micros).expect("the clock is within the years 1970 to 9999")
}
