//! Points in time as Kubernetes writes them, and ages as kubectl shows them.

use std::fmt;

/// Microseconds since 1970 UTC. Displays as `2006-01-02T15:04:05Z` (whole seconds, row C1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    pub fn from_micros(micros: i64) -> Option<Self> {
        jiff::Timestamp::from_microsecond(micros).ok().map(Self)
    }

    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    pub fn as_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// `2006-01-02T15:04:05.000000Z`: the MicroTime of Leases and Events (row B11).
    pub fn micro_time(self) -> String {
        format!("{:.6}", self.0)
    }

    /// The age as kubectl prints it (row N11): `5s`, `3m`, `3h10m`, `5d`, `2y34d`.
    pub fn age(self, now: Self) -> String {
        human_duration(now.as_seconds() - self.as_seconds())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", self.0)
    }
}

/// Kubernetes' short form of a duration in seconds: two units at most, the second one only while it matters.
pub fn human_duration(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let s = seconds.max(0);
    let (m, h, d) = (s / 60, s / 3600, s / 86_400);
    match s {
        _ if s < 120 => format!("{s}s"),
        _ if m < 10 && s % 60 != 0 => format!("{m}m{}s", s % 60),
        _ if m < 180 => format!("{m}m"),
        _ if h < 8 && m % 60 != 0 => format!("{h}h{}m", m % 60),
        _ if h < 48 => format!("{h}h"),
        _ if h < 192 && h % 24 != 0 => format!("{d}d{}h", h % 24),
        _ if d < 730 => format!("{d}d"),
        _ if d < 2920 && d % 365 != 0 => format!("{}y{}d", d / 365, d % 365),
        _ => format!("{}y", d / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        for (seconds, text) in
            [(5, "5s"), (119, "119s"), (121, "2m1s"), (600, "10m"), (11_400, "3h10m"), (172_800, "2d")]
        {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_have_whole_seconds_and_micro_times_six_decimals() {
        let t = Timestamp::parse("2026-01-02T03:04:05.000006Z").expect("valid");
        assert_eq!(t.to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(t.micro_time(), "2026-01-02T03:04:05.000006Z");
    }
}
