//! Why the certificate authority said no, read from the proxy's log: JSON lines, of Caddy or of Traefik. Pure.

use jiff::Timestamp;
use serde_json::Value;

/// After a rate limit without a stated time, so long nothing is asked for: at most one try an hour.
const HOUR: i64 = 3600;
/// What is kept of a reason, in bytes.
const DETAIL: usize = 600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// OT-F15; in Unix seconds.
    RateLimited { until: i64, detail: String },
    /// The authority could not fetch the challenge's answer, or got another one (OT-F14).
    Challenge { detail: String },
    /// Anything else: the authority cannot be reached, or refuses the account.
    Other { detail: String },
}

/// The newest complaint about a host that is not older than `since` (Unix seconds).
pub fn newest(log: &str, host: &str, since: i64) -> Option<Complaint> {
    log.lines().rev().find_map(|line| {
        let line: Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
        let at = time(&line)?;
        let error = line["error"].as_str().filter(|_| at >= since)?;
        (line["level"] == "error" && concerns(&line, error, host)).then(|| classify(error, at))
    })
}

/// Caddy: `ts`, Unix seconds as a fraction. Traefik: `time`, RFC 3339.
fn time(line: &Value) -> Option<i64> {
    if let Some(seconds) = line["ts"].as_f64() {
        #[allow(clippy::cast_possible_truncation, reason = "whole seconds of this millennium")]
        return Some(seconds as i64);
    }
    line["time"].as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn concerns(line: &Value, error: &str, host: &str) -> bool {
    if let Some(identifier) = line["identifier"].as_str() {
        return identifier == host;
    }
    // A name inside a longer name is another one.
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    error.match_indices(host).any(|(at, _)| {
        let (before, after) = (&error.as_bytes()[..at], &error.as_bytes()[at + host.len()..]);
        !before.last().is_some_and(|b| inside(*b)) && !after.first().is_some_and(|b| inside(*b))
    })
}

fn classify(error: &str, at: i64) -> Complaint {
    let detail = otternauts_fleet::tail(error, DETAIL).to_owned();
    if error.contains("acme:error:rateLimited") || error.contains("HTTP 429") {
        return Complaint::RateLimited { until: retry_after(error).unwrap_or(at + HOUR), detail };
    }
    let challenge = ["unauthorized", "connection", "dns", "incorrectResponse", "tls"];
    if challenge.iter().any(|kind| error.contains(&format!("acme:error:{kind}"))) || error.contains("solving challenge")
    {
        return Complaint::Challenge { detail };
    }
    Complaint::Other { detail }
}

/// `retry after 2026-01-02T03:04:05Z`, or the same with a space and `UTC`, as Let's Encrypt writes it.
fn retry_after(text: &str) -> Option<i64> {
    let rest = &text[text.find("retry after ")? + "retry after ".len()..];
    let date = rest.get(..10)?;
    let time = rest.get(11..19)?;
    format!("{date}T{time}Z").parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CADDY: &str = r#"2026-11-21T07:00:00Z {"level":"info","ts":1795246121.2,"logger":"tls.obtain","msg":"obtaining certificate","identifier":"a.com"}
{"level":"error","ts":1795246121.71,"logger":"tls.obtain","msg":"could not get certificate from issuer","identifier":"a.com","issuer":"x","error":"HTTP 429 urn:ietf:params:acme:error:rateLimited - too many certificates (5) already issued; retry after 2026-11-21 09:00:00 UTC: see https://letsencrypt.org/docs/"}
{"level":"error","ts":1795246130.0,"logger":"tls.obtain","msg":"will retry","identifier":"b.com","error":"[b.com] Obtain: [b.com] solving challenge: b.com: [b.com] authorization failed: HTTP 403 urn:ietf:params:acme:error:unauthorized - no"}
not json"#;

    #[test]
    fn a_rate_limit_says_until_when_ot_f15() {
        let until = "2026-11-21T09:00:00Z".parse::<Timestamp>().expect("a time").as_second();
        let Some(Complaint::RateLimited { until: found, detail }) = newest(CADDY, "a.com", 0) else {
            panic!("not found")
        };
        assert_eq!(found, until);
        assert!(detail.contains("too many certificates"), "{detail}");
        assert_eq!(newest(CADDY, "a.com", 1_795_246_122), None, "what was said before is over");
    }

    #[test]
    fn a_failed_challenge_is_told_from_a_refused_connection_ot_f14() {
        assert!(matches!(newest(CADDY, "b.com", 0), Some(Complaint::Challenge { .. })));
        let line = r#"{"level":"error","ts":5.0,"error":"[c.com] Obtain: provisioning client: dial tcp 127.0.0.1:1: connect: connection refused","identifier":"c.com"}"#;
        assert!(matches!(newest(line, "c.com", 0), Some(Complaint::Other { .. })));
    }

    #[test]
    fn traefiks_lines_name_the_domain_in_their_text() {
        let line = r#"{"level":"error","providerName":"acme.acme","error":"unable to generate a certificate for the domains [shop.a.com]: error: one or more domains had a problem:\n[shop.a.com] acme: error: 400 :: urn:ietf:params:acme:error:connection :: 1.2.3.4: Fetching http://shop.a.com/.well-known/acme-challenge/x: Connection refused","time":"2026-11-21T07:00:00Z","message":"Unable to obtain ACME certificate for domains"}"#;
        assert!(matches!(newest(line, "shop.a.com", 0), Some(Complaint::Challenge { .. })));
        assert_eq!(newest(line, "a.com", 0), None, "another name");
        let limited = line
            .replace("400 :: urn:ietf:params:acme:error:connection", "429 :: urn:ietf:params:acme:error:rateLimited");
        let at = "2026-11-21T07:00:00Z".parse::<Timestamp>().expect("a time").as_second();
        assert!(
            matches!(newest(&limited, "shop.a.com", 0), Some(Complaint::RateLimited { until, .. }) if until == at + HOUR)
        );
    }
}
