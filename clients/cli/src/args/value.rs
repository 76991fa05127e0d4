//! Values that have a form of their own.

use std::time::Duration;

/// `90`, `90s`, `5m`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 90s, 5m or 1h30m");
    let (mut seconds, mut number) = (0u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wrong()),
        };
        let count: u64 = std::mem::take(&mut number).parse().map_err(|_| wrong())?;
        seconds = count.checked_mul(unit).and_then(|n| n.checked_add(seconds)).ok_or_else(wrong)?;
    }
    if !number.is_empty() {
        seconds = number.parse().ok().and_then(|n| seconds.checked_add(n)).ok_or_else(wrong)?;
    }
    // Deadlines are added to the clock: what no clock can hold is no duration.
    let bounded = !text.is_empty() && seconds <= 365 * 24 * 3600;
    if bounded { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
}

/// `NAME=VALUE`.
pub fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("the name is missing".into()) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// A host key's fingerprint as `ssh-keygen -lf` prints it.
pub fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('=');
    let hash = text.strip_prefix("SHA256:").unwrap_or_default();
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if hash.len() == 43 && hash.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expected SHA256: and 43 characters, as ssh-keygen -lf prints it".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("0", 0)] {
            assert_eq!(duration(text).map(|d| d.as_secs()), Ok(seconds), "{text}");
        }
        for bad in ["", "m", "5x", "-1s", "99999999999999999999h", "999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_what_ssh_keygen_prints() {
        let good = format!("SHA256:{}", "a+/9".repeat(11).split_at(43).0);
        assert_eq!(fingerprint(&good).as_deref(), Ok(good.as_str()));
        assert_eq!(fingerprint(&format!(" {good}=")).as_deref(), Ok(good.as_str()));
        for bad in ["", "SHA256:", "MD5:aa:bb", &good[..20], &good.replace('+', "-")] {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }
}
