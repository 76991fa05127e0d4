//! The files that say who we are and who the administrator is (design section 2).

use crate::data_dir::DataDir;
use anyhow::Context as _;
use otternauts_auth::certificates::{self, Authority};
use otternauts_auth::kubeconfig::{self, Credential};
use otternauts_auth::service_account::TokenKey;
use otternauts_auth::tokens::{self, StaticTokens};
use otternauts_auth::user::{MASTERS, User};
use otternauts_meta::{Secret, Timestamp};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// The administrator's name in the kubeconfig and in the audit log.
const ADMIN: &str = "admin";

/// Everything the listener and the authenticator need, made on first start and read on every other.
pub struct Pki {
    pub authority: Authority,
    /// PEM, with the authority's own behind it.
    pub server_chain: String,
    pub server_key: Secret<String>,
    pub token_key: Arc<TokenKey>,
    pub admin_token: Secret<String>,
}

impl Pki {
    /// `names` are those the server's certificate is for; it is renewed when they change or its end is near.
    pub fn open(data: &DataDir, names: &[String], now: Timestamp) -> anyhow::Result<Self> {
        let authority = authority(data, now)?;
        let (server, server_key) = server(data, &authority, names, now)?;
        let server_chain = format!("{server}{}", authority.certificate());
        let token_key = made_once(data, "pki/sa.key", TokenKey::generate)?;
        let token_key = Arc::new(TokenKey::load(token_key.expose()).context("pki/sa.key")?);
        let admin_token = made_once(data, "admin.token", tokens::generate)?;
        Ok(Self { authority, server_chain, server_key, token_key, admin_token })
    }

    /// The administrator beside the users of the token file.
    pub fn with_admin(&self, mut tokens: StaticTokens) -> StaticTokens {
        tokens.add(self.admin_token.expose(), User::authenticated(ADMIN, [MASTERS.to_owned()]));
        tokens
    }

    /// Rewritten at every start: the port and the certificate may be new.
    pub fn write_admin_kubeconfig(&self, data: &DataDir, url: &str) -> anyhow::Result<()> {
        let credential = Credential::Token(&self.admin_token);
        let text = kubeconfig::write(url, self.authority.certificate(), ADMIN, &credential);
        data.write("admin.kubeconfig", text.expose(), 0o600)
    }
}

fn authority(data: &DataDir, now: Timestamp) -> anyhow::Result<Authority> {
    let (certificate, key) = match (data.read("pki/ca.crt")?, data.read("pki/ca.key")?) {
        (Some(certificate), Some(key)) => (certificate, Secret::new(key)),
        // A key alone is what a first start leaves that was stopped between the two files.
        (None, key) if key.is_none() || data.read("admin.kubeconfig")?.is_none() => {
            if data.read("admin.kubeconfig")?.is_some() {
                tracing::warn!(
                    "pki/ca.crt and pki/ca.key are gone: a new authority is made, and kubeconfigs from before do not trust it"
                );
            }
            let issued = Authority::generate(now)?;
            data.write("pki/ca.key", issued.key.expose(), 0o600)?;
            data.write("pki/ca.crt", &issued.certificate, 0o644)?;
            (issued.certificate, issued.key)
        }
        (Some(_), None) => {
            anyhow::bail!("pki/ca.key is missing: put it back, or remove pki/ca.crt too for a new authority")
        }
        (None, _) => anyhow::bail!("pki/ca.crt is missing: put it back, or remove pki/ca.key too for a new authority"),
    };
    Authority::load(&certificate, key.expose()).context("pki/ca.crt and pki/ca.key")
}

fn server(
    data: &DataDir,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> anyhow::Result<(String, Secret<String>)> {
    if let (Some(certificate), Some(key)) = (data.read("pki/server.crt")?, data.read("pki/server.key")?)
        && certificates::is_current(&certificate, authority, names, now)
    {
        return Ok((certificate, Secret::new(key)));
    }
    let issued = authority.server(names, now).context("is every --tls-san a host name or an address?")?;
    data.write("pki/server.key", issued.key.expose(), 0o600)?;
    data.write("pki/server.crt", &issued.certificate, 0o644)?;
    Ok((issued.certificate, issued.key))
}

fn made_once(
    data: &DataDir,
    name: &str,
    make: impl FnOnce() -> Result<Secret<String>, otternauts_auth::Error>,
) -> anyhow::Result<Secret<String>> {
    if let Some(text) = data.read(name)?.map(Secret::new) {
        let text = Secret::new(text.expose().trim_end().to_owned());
        anyhow::ensure!(!text.expose().is_empty(), "{name} is empty: put it back, or remove it for a new one");
        return Ok(text);
    }
    let made = make()?;
    data.write(name, made.expose(), 0o600)?;
    Ok(made)
}

/// The users of the token file; nobody without one.
pub fn token_file(file: Option<&Path>) -> anyhow::Result<StaticTokens> {
    let mut tokens = StaticTokens::default();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        tokens.add_file(&text).with_context(|| format!("cannot use {}", path.display()))?;
    }
    Ok(tokens)
}

/// Whether a certificate can be made for these names, before there is anything to make it with.
pub fn check_names(asked: &[String]) -> anyhow::Result<()> {
    certificates::check_names(asked).context("is every --tls-san a host name or an address?")
}

/// The names of the server's certificate: this machine's, the listening address, and those that were asked for.
pub fn names(listen: SocketAddr, asked: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let address = (!listen.ip().is_unspecified()).then(|| listen.ip().to_string());
    // An address is written in its one usual form, so that it is the same at every start.
    let asked = asked.iter().map(|name| name.parse::<IpAddr>().map_or_else(|_| name.clone(), |ip| ip.to_string()));
    for name in crate::process::hostname().into_iter().chain(address).chain(asked) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-01-02T03:04:05Z").expect("valid")
    }

    #[test]
    fn everything_made_on_the_first_start_is_the_same_on_the_second() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(dir.path()).expect("opens");
        data.protect().expect("closed");
        let wanted = names("127.0.0.1:7443".parse().expect("valid"), &[]);
        let first = Pki::open(&data, &wanted, now()).expect("made");
        let again = Pki::open(&data, &wanted, now()).expect("read");
        assert_eq!(first.server_chain, again.server_chain);
        assert_eq!(first.admin_token.expose(), again.admin_token.expose());
        let other = names("127.0.0.1:7443".parse().expect("valid"), &["otter.example".to_owned()]);
        let renewed = Pki::open(&data, &other, now()).expect("renewed");
        assert_ne!(first.server_chain, renewed.server_chain);
        assert_eq!(first.authority.certificate(), renewed.authority.certificate());
        std::fs::remove_file(data.file("pki/ca.key")).expect("removed");
        let error = Pki::open(&data, &wanted, now()).err().expect("refused").to_string();
        assert!(error.starts_with("pki/ca.key is missing"), "{error}");
        std::fs::remove_file(data.file("pki/ca.crt")).expect("removed");
        data.write("admin.token", "\n", 0o600).expect("emptied");
        let error = Pki::open(&data, &wanted, now()).err().expect("nobody could log in").to_string();
        assert!(error.starts_with("admin.token is empty"), "{error}");
    }
}
