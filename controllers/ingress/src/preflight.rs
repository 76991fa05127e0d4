//! How a domain looks from outside: where its name points, and whether port 80 answers. Asked before a certificate is.

use crate::verdict::Preflight;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

/// Looks at a host of a cluster with these addresses.
pub async fn look(host: &str, cluster: &BTreeSet<IpAddr>) -> Preflight {
    let found = resolve(host).await;
    if !found.iter().any(|a| cluster.contains(a)) {
        return Preflight::Dns(found);
    }
    // The authority may ask any of them, also one that we do not know as the cluster's: a server's second family, or a mistake.
    for address in &found {
        match timeout(PATIENCE, answers(host, SocketAddr::new(*address, 80))).await {
            Ok(Ok(())) => {}
            // This machine may have no IPv6 at all.
            Ok(Err(e)) if e.kind() == ErrorKind::NetworkUnreachable && !cluster.contains(address) => {}
            Ok(Err(e)) => return Preflight::Port80(format!("{address}:80: {e}")),
            Err(_) => return Preflight::Port80(format!("{address}:80: no answer within {} s", PATIENCE.as_secs())),
        }
    }
    Preflight::Fine
}

/// The addresses of a name, as this machine resolves it; none when it has none.
pub async fn resolve(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let found = timeout(PATIENCE, lookup_host((host, 80))).await;
    let mut found: Vec<IpAddr> =
        found.ok().and_then(Result::ok).map(|all| all.map(|a| a.ip()).collect()).unwrap_or_default();
    found.dedup();
    found
}

/// Any answer in HTTP will do. Not a path of a challenge: Traefik logs an error for each that it does not know.
async fn answers(host: &str, address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /.well-known/otternauts HTTP/1.1\r\nHost: {host}\r\nUser-Agent: otternauts\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; 5];
    stream.read_exact(&mut start).await?;
    match &start {
        b"HTTP/" => Ok(()),
        _ => Err(std::io::Error::other("the answer is not HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_points_elsewhere_or_nowhere_is_a_mismatch() {
        let cluster = BTreeSet::from(["192.0.2.1".parse().expect("an address")]);
        assert!(matches!(look("127.0.0.1", &cluster).await, Preflight::Dns(found) if found.len() == 1));
        assert_eq!(look("no-such-name.invalid", &cluster).await, Preflight::Dns(Vec::new()));
    }

    #[tokio::test]
    async fn only_http_is_an_answer() {
        for (said, fine) in [("HTTP/1.1 308 x\r\n\r\n", true), ("SSH-2.0-x\r\n", false)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = vec![0; 1024];
                let _some = stream.read(&mut request).await.expect("a request");
                stream.write_all(said.as_bytes()).await.expect("answered");
            });
            assert_eq!(answers("a.com", address).await.is_ok(), fine, "{said}");
            server.await.expect("served");
        }
    }
}
