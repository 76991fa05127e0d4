//! Lengths of time as people write them: `90s`, `5m`, `1h30m`, `2d`.

use std::fmt;

/// A length of time, in whole seconds; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// The longest: a year.
const MOST: u64 = 366 * 86_400;
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// `None` for nothing at all and for more than a year.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        (1..=MOST).contains(&seconds).then_some(Self(seconds))
    }

    pub fn seconds(self) -> u64 {
        self.0
    }

    pub fn millis(self) -> i64 {
        i64::try_from(self.0 * 1000).unwrap_or(i64::MAX)
    }

    /// Numbers each with a unit, the units from large to small, none twice.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut rest, mut seconds, mut allowed) = (text, 0_u64, UNITS.as_slice());
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            let unit = rest[digits..].chars().next()?;
            let at = allowed.iter().position(|(u, _)| *u == unit)?;
            seconds = seconds.checked_add(number.checked_mul(allowed[at].1)?)?;
            allowed = &allowed[at + 1..];
            rest = &rest[digits + unit.len_utf8()..];
        }
        Self::from_seconds(seconds)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        for (unit, seconds) in UNITS {
            if left >= seconds {
                write!(f, "{}{unit}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
    }
}
