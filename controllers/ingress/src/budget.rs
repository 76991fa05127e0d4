//! Let's Encrypt gives 50 certificates a registered domain in a week (OT-37). What would be more is not asked for: a refused order
//! counts against other limits. Pure: the time comes in.

use crate::verdict::Verdict;
use otternauts_types::cluster::Acme;
use std::collections::BTreeMap;

/// Certificates of one registered domain in a week.
const CERTIFICATES: usize = 50;
const DAY: i64 = 24 * 3600;
const WEEK: i64 = 7 * DAY;
/// How long a certificate of theirs is valid: from its end follows when it was given.
const VALID: i64 = 90 * DAY;
/// Second-level names that registries sell names below.
const SHARED: [&str; 8] = ["ac", "co", "com", "edu", "gov", "net", "or", "org"];

/// Whether the limits of Let's Encrypt hold: not for its staging environment, nor for another authority.
pub fn applies(acme: Option<&Acme>) -> bool {
    acme.is_none_or(|a| a.server.is_none() && !a.staging)
}

/// Until when nothing may be asked for `host`, in Unix seconds; `None`: there is room. What is in `verdicts` for the host itself does not
/// count: its own order is the one in question.
pub fn held_until(host: &str, verdicts: &BTreeMap<String, Verdict>, now: i64) -> Option<i64> {
    let domain = registered(host);
    let others = verdicts.iter().filter(|(other, _)| *other != host && registered(other) == domain);
    let mut given: Vec<i64> = others.filter_map(|(_, v)| asked(v)).filter(|at| *at > now - WEEK).collect();
    given.sort_unstable();
    // There is room again when so many are older than a week that this one is the fiftieth.
    let too_many = given.len().checked_sub(CERTIFICATES)?;
    given.get(too_many).map(|at| at + WEEK)
}

/// When its certificate was given or asked for; `None`: neither, or nobody knows.
fn asked(verdict: &Verdict) -> Option<i64> {
    let given = verdict.not_after.map(|until| until - VALID);
    given.or(verdict.asked_since.filter(|at| *at > 0))
}

/// The name that was bought: `example.com` of `shop.example.com`, `example.co.uk` of `a.example.co.uk`. Without the list of public suffixes a
/// guess, and a cautious one: names that are really apart are counted together, never the other way round.
fn registered(host: &str) -> &str {
    let dots: Vec<usize> = host.match_indices('.').map(|(at, _)| at).collect();
    let Some(second) = dots.len().checked_sub(2) else { return host };
    let shared = host.get(dots[second] + 1..dots[second + 1]).is_some_and(|label| SHARED.contains(&label));
    match (shared, second.checked_sub(1)) {
        (true, Some(third)) => &host[dots[third] + 1..],
        (true, None) => host,
        (false, _) => &host[dots[second] + 1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn the_name_that_was_bought_is_found_ot_37() {
        for (host, expected) in [
            ("shop.example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(registered(host), expected, "{host}");
        }
    }

    #[test]
    fn the_fifty_first_certificate_of_a_week_is_not_asked_for_ot_37() {
        let asked = |at: i64| Verdict { asked_since: Some(at), ..Verdict::default() };
        // One an hour, the first 60 hours ago.
        let many = |n: i64| {
            (0..n).map(|i| (format!("h{i}.example.com"), asked(NOW - (60 - i) * 3600))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(held_until("new.example.com", &many(49), NOW), None);
        assert_eq!(held_until("new.example.com", &many(50), NOW), Some(NOW - 60 * 3600 + WEEK));
        assert_eq!(held_until("new.example.com", &many(52), NOW), Some(NOW - 58 * 3600 + WEEK), "two more must pass");
        assert_eq!(held_until("new.example.org", &many(50), NOW), None, "another name");
        assert_eq!(held_until("h0.example.com", &many(50), NOW), None, "its own order is one of them");
        assert_eq!(held_until("new.example.com", &many(50), NOW + WEEK), None, "a week later");
        // Given before we started: known from its end.
        let given = |n: i64| {
            (0..n).map(|i| {
                let verdict =
                    Verdict { not_after: Some(NOW + VALID - DAY), asked_since: Some(0), ..Verdict::default() };
                (format!("h{i}.example.com"), verdict)
            })
        };
        assert_eq!(held_until("new.example.com", &given(50).collect(), NOW), Some(NOW - DAY + WEEK));
    }

    #[test]
    fn staging_and_other_authorities_have_limits_of_their_own_ot_37() {
        assert!(applies(None) && applies(Some(&Acme::default())));
        assert!(!applies(Some(&Acme { staging: true, ..Acme::default() })));
        assert!(!applies(Some(&Acme { server: Some("https://acme.lab/directory".into()), ..Acme::default() })));
    }
}
