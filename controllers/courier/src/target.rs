//! From a URL or a host name to an address that we may connect to.

use crate::address;
use crate::error::DeliveryError;
use std::net::SocketAddr;

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// The parts of a URL that matter.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpTarget {
    pub tls: bool,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// As the `Host` header has it.
    pub authority: String,
    pub path: String,
}

impl HttpTarget {
    /// The URL may be a secret: errors say what is wrong, not what it is.
    pub fn parse(url: &str) -> Result<Self, DeliveryError> {
        let wrong = |why: &str| DeliveryError::Unusable(format!("the URL {why}"));
        let uri: ::http::Uri = url.trim().parse().map_err(|_| wrong("cannot be read"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("must begin with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not carry a user or a password"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        Ok(Self { tls, host, port, authority: authority.as_str().to_owned(), path })
    }
}

/// The addresses of a host that messages may go to. They are connected to as they are: a name server that answers otherwise the next time
/// changes nothing.
pub async fn resolve(host: &str, port: u16, trusted: bool) -> Result<Vec<SocketAddr>, DeliveryError> {
    let unknown = || DeliveryError::Resolve { host: host.to_owned() };
    let found = tokio::net::lookup_host((host, port)).await.map_err(|_| unknown())?;
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in found {
        match address::refusal(address.ip(), trusted) {
            None if allowed.len() < ADDRESSES => allowed.push(address),
            None => {}
            Some(why) => refused = Some(why),
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(why)) => Err(DeliveryError::Refused { host: host.to_owned(), why }),
        (true, None) => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_strange_ones_refused() {
        let parse = |url: &str| {
            HttpTarget::parse(url)
                .map(|t| format!("{} {} {} {}", t.tls, t.host, t.port, t.path))
                .unwrap_or_else(|e| e.to_string())
        };
        for (url, expected) in [
            ("https://hooks.example.com/a/b?c=d", "true hooks.example.com 443 /a/b?c=d"),
            ("http://10.0.0.1:8080", "false 10.0.0.1 8080 /"),
            ("https://[2001:db8::1]:9/x", "true 2001:db8::1 9 /x"),
            (" https://hooks.example.com/a\n", "true hooks.example.com 443 /a"),
            ("ftp://example.com/", "the URL must begin with https:// or http://"),
            ("file:///etc/passwd", "the URL cannot be read"),
            ("/just/a/path", "the URL must begin with https:// or http://"),
            ("https://user:hunter2@example.com/", "the URL must not carry a user or a password"),
            ("not a url hunter2", "the URL cannot be read"),
        ] {
            assert_eq!(parse(url), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn every_spelling_of_a_forbidden_address_is_refused_row_k15() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "::ffff:169.254.169.254",
            "0",
            "0.0.0.0",
        ] {
            let refused = resolve(host, 80, true).await.expect_err(host);
            // A spelling that the system does not know is as good as refused.
            let known = matches!(refused, DeliveryError::Refused { .. } | DeliveryError::Resolve { .. });
            assert!(known, "{host}: {refused}");
        }
        for host in ["127.0.0.1", "127.1", "2130706433", "::1", "localhost"] {
            let refused = resolve(host, 80, false).await.expect_err(host);
            assert!(
                matches!(refused, DeliveryError::Refused { .. } | DeliveryError::Resolve { .. }),
                "{host}: {refused}"
            );
        }
        let own = resolve("127.0.0.1", 80, true).await.expect("the system's Notifiers may");
        assert_eq!(own, ["127.0.0.1:80".parse().expect("an address")]);
    }
}
