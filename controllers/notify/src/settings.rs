//! The times of a Notifier's spec, read.

use otternauts_types::NotifierSpec;
use std::time::Duration;

/// No interval is longer: a typing error must not silence a Notifier for ever.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a spec says, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub group_wait: Duration,
    pub group_interval: Duration,
    /// None: nothing is told again.
    pub repeat_interval: Option<Duration>,
    pub max_attempts: u32,
}

impl Settings {
    /// Or a sentence that names the field.
    pub fn of(spec: &NotifierSpec) -> Result<Self, String> {
        let read = |field: &str, text: &str| {
            let wrong = || format!("spec.{field}: {text:?} is not a time like 30s, 5m or 1h30m, of 90 days at most");
            duration(text).filter(|d| *d <= LONGEST).ok_or_else(wrong)
        };
        Ok(Self {
            group_wait: read("groupWait", &spec.group_wait)?,
            group_interval: read("groupInterval", &spec.group_interval)?,
            repeat_interval: Some(read("repeatInterval", &spec.repeat_interval)?).filter(|d| !d.is_zero()),
            max_attempts: u32::try_from(spec.max_attempts).unwrap_or(1).max(1),
        })
    }
}

/// `30s`, `5m`, `1h30m`, `250ms`, `2d`; parts in any order, none twice would be asking too much.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            "d" => Duration::from_secs(number.checked_mul(86_400)?),
            _ => return None,
        };
        total = total.checked_add(unit)?;
        rest = &rest[letters..];
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("250ms", Some(250)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5x", None),
            ("-5s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("999999999999999999d", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), expected, "{text:?}");
        }
    }
}
