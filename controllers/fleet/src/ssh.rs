//! One SSH connection: the key check before anything else, authentication by key, channels for commands and for the engine.

mod handler;
mod keys;
mod shares;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use shares::Use;

use crate::endpoint::{SshTarget, authority};
use crate::error::{Error, Result};
use crate::fleet::{Loss, Timeouts};
use crate::output::{Collector, Output};
use handler::{Handler, Seen};
use otternauts_types::server::ObservedHostKey;
use russh::client::{self, AuthResult};
use russh::{Channel, ChannelMsg};
use shares::Shares;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stream::ByteStream;
use tokio::net::TcpStream;
use tokio::time::timeout;

const ENGINE_SOCKET: &str = "/var/run/docker.sock";
const DIAL_STDIO: &str = "sudo -n docker system dial-stdio";

type Pinned = (client::Handle<Handler>, ObservedHostKey);

/// An authenticated connection.
pub(crate) struct Link {
    handle: Arc<client::Handle<Handler>>,
    shown: ObservedHostKey,
    sessions: Shares,
    sockets: Shares,
    /// The engine's socket cannot be reached as the user: go through sudo.
    through_sudo: AtomicBool,
    timeouts: Timeouts,
}

/// Goes as far as the key check and hangs up: nothing about us or the user is sent (OT-9).
pub(crate) async fn observe(address: &str, port: u16, timeouts: &Timeouts) -> Result<ObservedHostKey> {
    let seen = Seen::default();
    let handler = Handler::observing(seen.clone());
    let result = handshake(address, port, keys::preferred(None), handler, timeouts).await;
    match (seen.take(), result) {
        (Some(key), _) => Ok(key),
        (None, Err(e)) => Err(e),
        (None, Ok(_)) => {
            Err(Error::Unreachable { address: authority(address, port), why: "it showed no host key".to_owned() })
        }
    }
}

impl Link {
    /// Connects, compares the host key with the pinned one before any credential is sent (R21), and logs in.
    pub(crate) async fn open(target: &SshTarget, timeouts: &Timeouts, loss: Loss) -> Result<Self> {
        let key = keys::load(&target.private_key)?;
        let (mut handle, shown) = Self::pinned(target, timeouts, &loss).await?;
        let logged_in = timeout(timeouts.authenticate, log_in(&mut handle, target, key))
            .await
            .unwrap_or(Err(Error::Timeout { what: "authentication", after: timeouts.authenticate }));
        if logged_in.is_err() {
            hang_up(&handle).await;
        }
        logged_in?;
        Ok(Self {
            handle: Arc::new(handle),
            shown,
            sessions: Shares::sessions(),
            sockets: Shares::sockets(),
            through_sudo: AtomicBool::new(false),
            timeouts: timeouts.clone(),
        })
    }

    /// A server has several host keys and shows the kind we prefer; the confirmed one may be of another kind.
    async fn pinned(target: &SshTarget, timeouts: &Timeouts, loss: &Loss) -> Result<Pinned> {
        let mut first_seen = None;
        for kind in [None, Some(keys::Kind::Ed25519), Some(keys::Kind::Ecdsa), Some(keys::Kind::Rsa)] {
            let seen = Seen::default();
            let handler = Handler::pinned(target.host_key.clone(), seen.clone(), loss.clone());
            let result = handshake(&target.address, target.port, keys::preferred(kind), handler, timeouts).await;
            match (result, seen.take()) {
                (Ok(handle), Some(observed)) => return Ok((handle, observed)),
                (Err(_), Some(observed)) if observed.fingerprint != target.host_key.as_str() => {
                    first_seen.get_or_insert(observed);
                }
                // The server has no key of that kind.
                (Err(_), None) if first_seen.is_some() => {}
                (Err(e), _) => return Err(e),
                (Ok(handle), None) => hang_up(&handle).await,
            }
        }
        let Some(observed) = first_seen else {
            return Err(Error::Unreachable { address: target.authority(), why: "it showed no host key".to_owned() });
        };
        Err(Error::HostKeyMismatch { expected: target.host_key.to_string(), observed })
    }

    /// The key the server showed, which is the confirmed one.
    pub(crate) fn shown(&self) -> &ObservedHostKey {
        &self.shown
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    pub(crate) async fn close(&self) {
        hang_up(&self.handle).await;
    }

    /// Whether commands of the docker CLI need sudo in front; known after the first engine call.
    pub(crate) fn through_sudo(&self) -> bool {
        self.through_sudo.load(Ordering::Relaxed)
    }

    /// Runs one command line made of constant words. The time limit covers everything.
    pub(crate) async fn exec(&self, what: &'static str, line: &str, stdin: &[u8], limit: Duration) -> Result<Output> {
        let _place = self.sessions.take(what, Use::Call, self.timeouts.channel).await?;
        let channel = self.session(what).await?;
        channel.exec(true, line).await.map_err(|e| failed(what, &e))?;
        let (mut reader, writer) = channel.split();
        let write = async {
            // A command that ends without reading its input is not an error.
            if !stdin.is_empty() {
                let _ = writer.data(stdin).await;
            }
            let _ = writer.eof().await;
        };
        let done = timeout(limit, async { tokio::join!(write, collect(what, &mut reader)).1 }).await;
        let _ = writer.close().await;
        done.map_err(|_| Error::Timeout { what, after: limit })?
    }

    async fn session(&self, what: &'static str) -> Result<Channel<client::Msg>> {
        timeout(self.timeouts.channel, self.handle.channel_open_session())
            .await
            .map_err(|_| Error::Timeout { what, after: self.timeouts.channel })?
            .map_err(|e| failed(what, &e))
    }

    /// A byte stream to a unix socket of the server that the user may use.
    pub(crate) async fn socket(&self, path: &'static str) -> Result<ByteStream> {
        let what = "a channel to a socket";
        let place = self.sockets.take(what, Use::Call, self.timeouts.channel).await?;
        let opened = timeout(self.timeouts.channel, self.handle.channel_open_direct_streamlocal(path)).await;
        let channel =
            opened.map_err(|_| Error::Timeout { what, after: self.timeouts.channel })?.map_err(|e| failed(what, &e))?;
        Ok(ByteStream::of_socket(channel, place))
    }

    /// A TCP connection from the server itself to an address that it can reach.
    pub(crate) async fn dial(&self, address: IpAddr, port: u16) -> Result<ByteStream> {
        let what = "a connection through the server";
        let place = self.sockets.take(what, Use::Call, self.timeouts.channel).await?;
        let opening = self.handle.channel_open_direct_tcpip(address.to_string(), u32::from(port), "127.0.0.1", 0);
        match timeout(self.timeouts.channel, opening).await {
            Ok(Ok(channel)) => Ok(ByteStream::of_socket(channel, place)),
            Ok(Err(e)) => Err(failed(what, &e)),
            Err(_) => Err(Error::Timeout { what, after: self.timeouts.channel }),
        }
    }

    /// A byte stream to the Docker engine: its socket if the user may use it, else `docker system dial-stdio` under sudo.
    pub(crate) async fn engine(&self, of: Use) -> Result<ByteStream> {
        let what = "a channel to the Docker engine";
        if !self.through_sudo() {
            let place = self.sockets.take(what, of, self.timeouts.channel).await?;
            let opened =
                timeout(self.timeouts.channel, self.handle.channel_open_direct_streamlocal(ENGINE_SOCKET)).await;
            match opened {
                Ok(Ok(channel)) => return Ok(ByteStream::of_socket(channel, place)),
                Ok(Err(russh::Error::ChannelOpenFailure(_))) => {}
                Ok(Err(e)) => return Err(failed(what, &e)),
                Err(_) => return Err(Error::Timeout { what, after: self.timeouts.channel }),
            }
        }
        let place = self.sessions.take(what, of, self.timeouts.channel).await?;
        let channel = self.session(what).await?;
        channel.exec(true, DIAL_STDIO).await.map_err(|e| failed(what, &e))?;
        self.through_sudo.store(true, Ordering::Relaxed);
        Ok(ByteStream::of_session(channel, place))
    }
}

/// russh's session lives on when its handle is dropped: it has to be told.
impl Drop for Link {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let handle = Arc::clone(&self.handle);
            runtime.spawn(async move { hang_up(&handle).await });
        }
    }
}

async fn hang_up(handle: &client::Handle<Handler>) {
    if !handle.is_closed() {
        let _ = handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
    }
}

async fn collect(what: &'static str, reader: &mut russh::ChannelReadHalf) -> Result<Output> {
    let (mut out, mut err, mut exit) = (Collector::default(), Collector::default(), None);
    while let Some(message) = reader.wait().await {
        match message {
            ChannelMsg::Data { data } => out.push(&data),
            ChannelMsg::ExtendedData { data, .. } => err.push(&data),
            ChannelMsg::ExitStatus { exit_status } => exit = Some(exit_status),
            // As a shell would report it; the number of the signal is not on the wire.
            ChannelMsg::ExitSignal { .. } => exit = Some(255),
            ChannelMsg::Failure => {
                return Err(Error::ChannelFailed { what, why: "the server refused to run it".to_owned() });
            }
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    let Some(exit) = exit else {
        return Err(Error::ChannelFailed { what, why: "the connection ended before the command did".to_owned() });
    };
    let truncated = out.truncated || err.truncated;
    Ok(Output { exit, stdout: out.text(), stderr: err.text(), truncated })
}

fn failed(what: &'static str, e: &russh::Error) -> Error {
    Error::ChannelFailed { what, why: e.to_string() }
}

async fn handshake(
    address: &str,
    port: u16,
    preferred: russh::Preferred,
    handler: Handler,
    timeouts: &Timeouts,
) -> Result<client::Handle<Handler>> {
    let unreachable = |why: String| Error::Unreachable { address: authority(address, port), why };
    let socket = timeout(timeouts.connect, TcpStream::connect((address, port)))
        .await
        .map_err(|_| unreachable(format!("no answer within {} s", timeouts.connect.as_secs())))?
        .map_err(|e| unreachable(e.to_string()))?;
    // Nagle's algorithm would add 40 ms to every small request.
    let _ = socket.set_nodelay(true);
    let config = client::Config {
        preferred,
        nodelay: true,
        keepalive_interval: Some(timeouts.keepalive),
        keepalive_max: 3,
        ..client::Config::default()
    };
    timeout(timeouts.handshake, client::connect_stream(Arc::new(config), socket, handler))
        .await
        .map_err(|_| unreachable(format!("no SSH handshake within {} s", timeouts.handshake.as_secs())))?
        .map_err(|e| unreachable(format!("the SSH handshake failed: {e}")))
}

async fn log_in(handle: &mut client::Handle<Handler>, target: &SshTarget, key: keys::UserKey) -> Result<()> {
    let hash = match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Some(hash),
        // The server does not say, or has SHA-1 only: SHA-512 or nothing.
        _ => Some(russh::keys::HashAlg::Sha512),
    };
    let signed = russh::keys::PrivateKeyWithHashAlg::new(key.0, hash);
    match handle.authenticate_publickey(&target.user, signed).await {
        Ok(AuthResult::Success) => Ok(()),
        // Also what russh says when the connection ended before the server answered.
        Ok(AuthResult::Failure { .. }) if handle.is_closed() => Err(Error::Unreachable {
            address: target.authority(),
            why: "the server closed the connection during authentication".to_owned(),
        }),
        Ok(AuthResult::Failure { remaining_methods, .. }) => {
            let methods: Vec<String> = remaining_methods.iter().map(|m| <&str>::from(m).to_owned()).collect();
            Err(Error::AuthenticationFailed { user: target.user.clone(), methods: methods.join(", ") })
        }
        Err(e) => Err(Error::Unreachable { address: target.authority(), why: e.to_string() }),
    }
}
