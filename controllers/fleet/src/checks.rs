//! Asking a container whether it is well: over TCP and HTTP from the server it runs on, or by a command in it. What it answers is
//! somebody else's text: bounded, cleaned, never interpreted.

use crate::error::{Error, Result};
use crate::host::Host;
use crate::output::{clean, tail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use std::net::IpAddr;

/// The end of what a failed command printed that is handed on; whoever shows it shows less.
const MAX_PRINTED: usize = 8 * 1024;

impl Host {
    /// Whether something accepts connections on a port of a container.
    ///
    /// # Errors
    /// `CheckFailed` says why it is not well; other errors, that it could not be asked.
    pub async fn check_tcp(&self, container: &str, port: u16) -> Result<()> {
        let address = self.container_address(container).await?;
        match self.dial(address, port).await {
            Ok(_) => Ok(()),
            Err(Error::ChannelFailed { why, .. }) => Err(Error::CheckFailed { why }),
            Err(e) => Err(e),
        }
    }

    /// Whether a GET of a path on a port of a container is answered with 200 to 399.
    ///
    /// # Errors
    /// As [`Host::check_tcp`]; none says the path, which may hold a secret.
    pub async fn check_http(&self, container: &str, port: u16, path: &str) -> Result<()> {
        let address = self.container_address(container).await?;
        let failed = |why: String| Error::CheckFailed { why };
        let stream = match self.dial(address, port).await {
            Ok(stream) => TokioIo::new(stream),
            Err(Error::ChannelFailed { why, .. }) => return Err(failed(why)),
            Err(e) => return Err(e),
        };
        let request = http::Request::get(path)
            .header(http::header::HOST, format!("localhost:{port}"))
            .header(http::header::USER_AGENT, "otternauts-probe")
            .header(http::header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|e| failed(e.to_string()))?;
        let exchange = async {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            let answer = sender.send_request(request);
            tokio::pin!(answer);
            // The body is of no interest: the connection goes with the answer's head.
            tokio::select! {
                answer = &mut answer => answer,
                ended = connection => { ended?; answer.await }
            }
        };
        let status = exchange.await.map_err(|e: hyper::Error| failed(e.to_string()))?.status();
        if (200..400).contains(&status.as_u16()) {
            Ok(())
        } else {
            Err(failed(format!("answered {}", status.as_u16())))
        }
    }

    /// Whether a command in a container exits with 0. Its words go to the engine as they are: no shell reads them.
    ///
    /// # Errors
    /// As [`Host::check_tcp`]. What it printed may quote its words, whole: the end of it, at most 8 KiB.
    pub async fn check_command(&self, container: &str, words: &[String]) -> Result<()> {
        let (code, output) = self.docker().await?.run_in(container, words).await?;
        if code == 0 {
            return Ok(());
        }
        let output = clean(output.as_bytes());
        Err(Error::CheckFailed { why: format!("exit code {code}: {}", tail(output.trim(), MAX_PRINTED)) })
    }

    async fn container_address(&self, container: &str) -> Result<IpAddr> {
        let found = self.docker().await?.gateway_address(container).await?;
        found.ok_or_else(|| Error::CheckFailed { why: "the container has no address on its server".to_owned() })
    }
}
