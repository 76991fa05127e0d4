//! Where a server is and how to get in.

use crate::error::{Error, Result};
use otternauts_meta::Secret;
use otternauts_types::server::{Connection, ServerSpec};
use std::fmt;

/// The SHA-256 fingerprint of a host key, as `ssh-keygen -lf` prints it: `SHA256:` and 43 base64 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::Invalid {
            what: "the host key fingerprint",
            why: "it must be SHA256: followed by 43 base64 characters".to_owned(),
        };
        let rest = text.strip_prefix("SHA256:").ok_or_else(invalid)?;
        let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
        if rest.len() != 43 || !rest.bytes().all(fits) {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A way to a server. Two equal endpoints share one connection.
#[derive(Clone, Debug)]
pub enum Endpoint {
    Ssh(SshTarget),
    /// The Docker engine of this machine.
    Local,
}

/// A server behind SSH. The key is used for signing only and goes nowhere else.
#[derive(Clone, Debug)]
pub struct SshTarget {
    pub address: String,
    pub port: u16,
    pub user: String,
    /// An OpenSSH or PEM private key without passphrase.
    pub private_key: Secret<String>,
    /// The key that a person confirmed.
    pub host_key: Fingerprint,
}

impl Endpoint {
    /// What a Server's spec says: None while there is no confirmed host key or no private key.
    pub fn of(spec: &ServerSpec, private_key: Option<Secret<String>>) -> Result<Option<Self>> {
        if spec.connection == Connection::Local {
            return Ok(Some(Self::Local));
        }
        let (Some(confirmed), Some(private_key)) = (&spec.host_key, private_key) else { return Ok(None) };
        Ok(Some(Self::Ssh(SshTarget {
            address: spec.address.clone(),
            port: spec.port,
            user: spec.user.clone(),
            private_key,
            host_key: Fingerprint::parse(&confirmed.fingerprint)?,
        })))
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local, Self::Local) => true,
            (Self::Ssh(a), Self::Ssh(b)) => {
                a.address == b.address
                    && a.port == b.port
                    && a.user == b.user
                    && a.host_key == b.host_key
                    && a.private_key.expose() == b.private_key.expose()
            }
            _ => false,
        }
    }
}

impl SshTarget {
    /// `address:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        authority(&self.address, self.port)
    }
}

pub(crate) fn authority(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_complete_or_refused() {
        let good = format!("SHA256:{}", "a".repeat(43));
        assert!(Fingerprint::parse(&good).is_ok());
        for bad in ["", "SHA256:", "MD5:aa", &good[..49], &format!("{good}=")] {
            assert!(Fingerprint::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_ipv6_address_gets_brackets() {
        assert_eq!(authority("::1", 22), "[::1]:22");
        assert_eq!(authority("h1.lab", 2222), "h1.lab:2222");
    }
}
