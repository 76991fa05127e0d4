//! `otter kubeconfig`: the administrator's file, or a certificate for somebody else (design section 9, row I3).

use crate::config::default_data_dir;
use anyhow::{Context as _, bail};
use otternauts_auth::certificates::Authority;
use otternauts_auth::kubeconfig::{self, Credential};
use otternauts_meta::{Secret, Timestamp};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Print a kubeconfig: the administrator's, or with --user one with a new client certificate
#[derive(Clone, Debug, clap::Args)]
pub struct KubeconfigArgs {
    /// The user to issue a certificate for
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A group of that user; may be given more than once
    #[arg(long, value_name = "GROUP", requires = "user")]
    group: Vec<String>,
    /// How long the certificate is good for
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The server's URL in the file [default: as in admin.kubeconfig]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The data directory of the server [default: /var/lib/otternauts for root, else ~/.otternauts]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Prints the file on standard output. Reads the data directory and changes nothing in it.
pub fn run(args: &KubeconfigArgs, now: Timestamp) -> anyhow::Result<()> {
    let dir = match &args.data_dir {
        Some(dir) => dir.clone(),
        None => default_data_dir()?,
    };
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {} (has otter serve run here?)", path.display()))
    };
    let admin = Secret::new(read("admin.kubeconfig")?);
    let server = match &args.server {
        Some(server) if !server.starts_with("https://") => bail!("--server must begin with https://"),
        Some(server) => server.clone(),
        None => server_of(admin.expose()).context("admin.kubeconfig names no server: use --server")?,
    };
    let text = match &args.user {
        None => Secret::new(admin.expose().replace(&server_of(admin.expose()).unwrap_or_default(), &server)),
        Some(user) => {
            let authority = Authority::load(&read("pki/ca.crt")?, Secret::new(read("pki/ca.key")?).expose())?;
            let issued = authority.client(user, &args.group, DAY * args.days, now)?;
            let credential = Credential::Certificate { certificate: &issued.certificate, key: &issued.key };
            kubeconfig::write(&server, authority.certificate(), user, &credential)
        }
    };
    std::io::stdout().write_all(text.expose().as_bytes()).context("cannot write to standard output")
}

/// The URL in a kubeconfig that we wrote.
fn server_of(kubeconfig: &str) -> Option<String> {
    let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "))?;
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read_back_from_our_own_file() {
        let token = Secret::new("t".to_owned());
        let text = kubeconfig::write("https://[::1]:7443", "PEM", "admin", &Credential::Token(&token));
        assert_eq!(server_of(text.expose()).as_deref(), Some("https://[::1]:7443"));
        assert_eq!(server_of("nonsense"), None);
    }
}
