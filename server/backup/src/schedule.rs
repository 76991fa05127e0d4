//! When a backup is due, what it is called, and which old ones go. Pure: what there is and what time it is come in.

use jiff::{Timestamp, tz::TimeZone};
use std::str::FromStr;
use std::time::Duration;

/// When backups are made.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// So long after the one before.
    Every(Duration),
    /// At the times of a cron line, in UTC.
    Cron(Box<croner::Cron>),
}

/// No shorter interval: a backup reads everything.
const SHORTEST: Duration = Duration::from_secs(60);

/// Why a schedule cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{given:?} is no schedule: use an interval of at least a minute (30m, 6h, 1d), @hourly, @daily, @weekly, or a cron line of five fields (UTC)"
)]
pub struct BadSchedule {
    given: String,
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let bad = || BadSchedule { given: text.to_owned() };
        let text = text.trim();
        if let Some(interval) = interval(text) {
            return if interval >= SHORTEST { Ok(Self::Every(interval)) } else { Err(bad()) };
        }
        if text.starts_with('@') || text.split_whitespace().count() == 5 {
            return croner::Cron::from_str(text).map(|cron| Self::Cron(Box::new(cron))).map_err(|_| bad());
        }
        Err(bad())
    }
}

/// `90s`, `30m`, `6h`, `1d`.
fn interval(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

impl Schedule {
    /// When the next backup is due, given when the last one was made. One that was missed is due at once; the first one too.
    pub fn due(&self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let Some(last) = last else { return now };
        match self {
            Self::Every(interval) => {
                let interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
                Timestamp::from_second(last.as_second().saturating_add(interval)).unwrap_or(Timestamp::MAX)
            }
            Self::Cron(cron) => {
                let next = cron.find_next_occurrence(&last.to_zoned(TimeZone::UTC), false);
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
        .max(now)
    }
}

const PREFIX: &str = "otternauts-";
const SUFFIX: &str = ".backup";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The name of a backup: `otternauts-STORE-20260102T030405Z-REVISION.backup`. Names of one store sort by time.
pub fn name(store: &str, created: Timestamp, revision: u64) -> String {
    format!("{PREFIX}{store}-{}-{revision}{SUFFIX}", created.strftime(TIME))
}

/// When a backup of this store was made; `None`: the name is of something else.
pub fn made(store: &str, name: &str) -> Option<Timestamp> {
    let rest = name.strip_prefix(PREFIX)?.strip_prefix(store)?.strip_prefix('-')?.strip_suffix(SUFFIX)?;
    let (time, revision) = rest.split_once('-')?;
    revision.parse::<u64>().ok()?;
    let time = jiff::fmt::strtime::parse(TIME, time).ok()?.to_datetime().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp())
}

/// Of the names at a place, those of this store that are not among the newest `keep`. Nobody else's are touched.
pub fn surplus(store: &str, names: &[String], keep: usize) -> Vec<String> {
    let mut ours: Vec<(Timestamp, &String)> =
        names.iter().filter_map(|name| Some((made(store, name)?, name))).collect();
    ours.sort();
    let gone = ours.len().saturating_sub(keep.max(1));
    ours.into_iter().take(gone).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_backup_is_due_after_its_interval_or_at_its_hour_and_at_once_when_missed() {
        let now = at("2026-01-02T12:00:00Z");
        for (schedule, last, expected) in [
            ("6h", None, "2026-01-02T12:00:00Z"),
            ("6h", Some("2026-01-02T11:00:00Z"), "2026-01-02T17:00:00Z"),
            ("6h", Some("2026-01-01T11:00:00Z"), "2026-01-02T12:00:00Z"),
            ("1d", Some("2026-01-02T11:00:00Z"), "2026-01-03T11:00:00Z"),
            ("@daily", Some("2026-01-02T00:00:00Z"), "2026-01-03T00:00:00Z"),
            ("30 3 * * *", Some("2026-01-02T03:30:00Z"), "2026-01-03T03:30:00Z"),
            ("30 3 * * *", Some("2025-12-30T03:30:00Z"), "2026-01-02T12:00:00Z"),
            ("0 */6 * * 1-5", Some("2026-01-02T12:00:00Z"), "2026-01-02T18:00:00Z"),
        ] {
            let parsed: Schedule = schedule.parse().expect(schedule);
            assert_eq!(parsed.due(last.map(at), now), at(expected), "{schedule} after {last:?}");
        }
        for bad in ["", "6", "h", "0h", "10s", "-1h", "* * *", "61 * * * *", "@never", "99999999999999999999d"] {
            let error = bad.parse::<Schedule>().expect_err(bad).to_string();
            assert!(error.contains("is no schedule"), "{error}");
        }
    }

    #[test]
    fn only_old_backups_of_this_store_go() {
        let names: Vec<String> = [
            "otternauts-aaaa-20260101T000000Z-9.backup",
            "otternauts-aaaa-20260103T000000Z-1000000011.backup",
            "otternauts-aaaa-20260102T000000Z-10.backup",
            "otternauts-bbbb-20250101T000000Z-1.backup",
            "otternauts-aaaa-20200101T000000Z-1.backup.part",
            "otternauts-aaaa-20209901T000000Z-1.backup",
            "holiday.jpg",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(surplus("aaaa", &names, 3), Vec::<String>::new());
        assert_eq!(surplus("aaaa", &names, 2), [names[0].clone()]);
        assert_eq!(surplus("aaaa", &names, 0), [names[0].clone(), names[2].clone()], "the newest always stays");
        assert_eq!(name("aaaa", at("2026-01-02T00:00:00Z"), 10), names[2]);
    }
}
