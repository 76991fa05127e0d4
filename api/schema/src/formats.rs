//! The formats of strings that Kubernetes checks (row X11). Unknown ones are allowed to say anything.

use base64::Engine;
use std::net::{Ipv4Addr, Ipv6Addr};

/// False when `text` is not of a known format.
pub(crate) fn matches(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => is_date_time(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "byte" => is_base64(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.contains(':') && text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some(b'3')),
        "uuid4" => is_uuid(text, Some(b'4')),
        "uuid5" => is_uuid(text, Some(b'5')),
        "hexcolor" => {
            let digits = text.strip_prefix('#').unwrap_or(text);
            matches!(digits.len(), 3 | 6) && is_hex(digits)
        }
        "bsonobjectid" => text.len() == 24 && is_hex(text),
        "k8sshortname" => otternauts_meta::names::dns1123_label(text).is_empty(),
        "k8slongname" => otternauts_meta::names::dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// RFC 3339, in either case, with a zone.
fn is_date_time(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.len() >= 20 && upper.is_ascii() && upper.as_bytes()[10] == b'T' && upper.parse::<jiff::Timestamp>().is_ok()
}

/// Go's `1h30m`, or a number with a unit in words: `3 days`.
fn is_duration(text: &str) -> bool {
    is_go_duration(text) || is_words_duration(text)
}

fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..end];
        if number.parse::<f64>().is_err() {
            return false;
        }
        rest = &rest[end..];
        let Some(unit) = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].iter().find(|u| {
            rest.strip_prefix(**u)
                .is_some_and(|r| r.is_empty() || r.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        }) else {
            return false;
        };
        rest = &rest[unit.len()..];
    }
    true
}

/// Upstream looks for a number and a known unit anywhere.
fn is_words_duration(text: &str) -> bool {
    const UNITS: [&str; 32] = [
        "ns", "nano", "nanos", "us", "micro", "micros", "ms", "milli", "millis", "s", "sec", "secs", "second",
        "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day", "days", "w",
        "wk", "wks", "week", "weeks",
    ];
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let behind = rest[at..].trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let end = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        if UNITS.contains(&behind[..end].to_lowercase().as_str()) {
            return true;
        }
        rest = behind;
    }
    false
}

fn is_base64(text: &str) -> bool {
    base64::engine::general_purpose::STANDARD.decode(text.replace(['\n', '\r'], "")).is_ok()
}

fn is_email(text: &str) -> bool {
    let address = match (text.find('<'), text.strip_suffix('>')) {
        (Some(start), Some(_)) => &text[start + 1..text.len() - 1],
        _ => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let word = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
    !local.is_empty()
        && !domain.is_empty()
        && local.chars().all(word)
        && domain.chars().all(word)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !address.contains("..")
}

/// One word with a dash in second place at most, or labels and a top-level domain of letters: what upstream takes.
fn is_hostname(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "$+<=>^`|~".contains(c);
    let label = |l: &str| {
        let inner = l.trim_matches(plain);
        !l.is_empty()
            && l.chars().count() <= 63
            && l.starts_with(plain)
            && l.ends_with(plain)
            && inner.chars().all(|c| plain(c) || c == '-')
    };
    match text.rsplit_once('.') {
        Some((head, top)) => {
            let length = top.chars().count();
            (2..=63).contains(&length) && top.chars().all(char::is_alphabetic) && head.split('.').all(label)
        }
        None => {
            let mut chars = text.chars();
            let Some(first) = chars.next() else { return false };
            let rest = chars.as_str();
            let rest = rest.strip_prefix('-').unwrap_or(rest);
            plain(first) && rest.chars().all(plain) && rest.chars().count() <= 62
        }
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let max = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    !bits.starts_with('+') && bits.parse::<u8>().is_ok_and(|b| b <= max)
}

fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len()) && parts.iter().all(|p| p.len() == digits && is_hex(p))
    };
    groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

/// Absolute, or a path: what a request line may hold.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
        return false;
    }
    if text.starts_with('/') {
        return true;
    }
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// With or without dashes; `version` is the digit behind the second dash.
fn is_uuid(text: &str, version: Option<u8>) -> bool {
    let mut digits = Vec::with_capacity(32);
    for (i, part) in text.split('-').enumerate() {
        let length = [8, 4, 4, 4, 12].get(i).copied().unwrap_or_default();
        if text.contains('-') && part.len() != length {
            return false;
        }
        digits.extend_from_slice(part.as_bytes());
    }
    let variant = || matches!(digits[16], b'8' | b'9' | b'a' | b'b' | b'A' | b'B');
    digits.len() == 32
        && digits.iter().all(u8::is_ascii_hexdigit)
        && version.is_none_or(|v| digits[12] == v && (v == b'3' || variant()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_what_they_should() {
        for (format, good, bad) in [
            ("date-time", "2026-01-02T03:04:05.5+02:00", "2026-01-02T03:04:05"),
            ("datetime", "2026-01-02T03:04:05Z", "x"),
            ("date", "2026-01-02", "2026-13-02"),
            ("duration", "1h30m", "x"),
            ("duration", "3 days", "3 moons"),
            ("duration", "P1D", "P1"),
            ("duration", "1.5ms", "1"),
            ("byte", "YQ==", "*"),
            ("email", "a.b@example.com", "x"),
            ("hostname", "a-b.example.com", "a.b"),
            ("hostname", "web", "_"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uri", "https://a/b?c", "x y"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "x"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("k8s-short-name", "a-b", "a.b"),
        ] {
            assert!(matches(format, good), "{format}: {good} is good");
            assert!(!matches(format, bad), "{format}: {bad} is bad");
        }
        assert!(matches("who-knows", "anything"));
    }
}
