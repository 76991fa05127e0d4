//! Against an SSH server in this process that counts sessions as OpenSSH does; the lab's tests meet the real one.

use super::*;
use crate::Fingerprint;
use otternauts_meta::Secret;
use otternauts_telemetry::Metrics;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};
use russh::server;
use russh::{ChannelId, ChannelOpenFailure};
use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use tokio::net::TcpListener;

/// sshd's default.
const MAX_SESSIONS: usize = 10;

/// One connection to the server: any key is welcome, the engine's socket is not for this user, `docker system dial-stdio` lasts
/// until its input ends, other commands end at once.
#[derive(Default)]
struct Sshd {
    open: HashSet<ChannelId>,
    /// Channels that the other side closed first.
    closed: Arc<AtomicUsize>,
}

impl server::Handler for Sshd {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: server::VerifiedPublicKey<'_>,
    ) -> std::result::Result<server::Auth, Self::Error> {
        Ok(server::Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        if self.open.len() == MAX_SESSIONS {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.open.insert(channel.id());
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        line: &[u8],
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        session.channel_success(channel)?;
        if line != DIAL_STDIO.as_bytes() {
            session.exit_status_request(channel, 0)?;
            session.eof(channel)?;
            session.close(channel)?;
            self.open.remove(&channel);
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        if self.open.remove(&channel) {
            let handle = session.handle();
            // What runs there takes a moment to end.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = handle.close(channel).await;
            });
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        self.open.remove(&channel);
        self.closed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn key(seed: u8) -> PrivateKey {
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::from(pair)
}

/// A link to a server of its own, and how many channels we closed before it did.
async fn link(timeouts: Timeouts) -> (Link, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let sshd = Sshd { closed: closed.clone(), ..Sshd::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("a port").port();
    let config = server::Config { keys: vec![key(1)], ..server::Config::default() };
    let fingerprint = key(1).public_key().fingerprint(HashAlg::Sha256).to_string();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a connection");
        let running = server::run_stream(Arc::new(config), socket, sshd).await.expect("shaken hands");
        let _ended = running.await;
    });
    let target = SshTarget {
        address: "127.0.0.1".to_owned(),
        port,
        user: "deploy".to_owned(),
        private_key: Secret::new(key(2).to_openssh(LineEnding::LF).expect("encoded").to_string()),
        host_key: Fingerprint::parse(&fingerprint).expect("a fingerprint"),
    };
    let loss = Loss::new("one", &tokio::sync::broadcast::channel(1).0, &Metrics::new("0.0.0"));
    (Link::open(&target, &timeouts, loss).await.expect("logged in"), closed)
}

#[tokio::test]
async fn event_feeds_through_sudo_leave_room_for_commands() {
    let patience = Duration::from_secs(1);
    let (link, _) = link(Timeouts { channel: patience, ..Timeouts::default() }).await;
    let mut feeds = Vec::new();
    for of in [Use::Events, Use::Follow].into_iter().cycle().take(2 * MAX_SESSIONS) {
        match link.engine(of).await {
            Ok(feed) => feeds.push(feed),
            Err(e) => assert!(e.to_string().contains("Docker engine"), "{e}"),
        }
    }
    assert!(feeds.len() >= 2, "feeds have a share: {}", feeds.len());
    let commands = (0..MAX_SESSIONS).map(|_| link.exec("true", "true", &[], Duration::from_secs(60)));
    for done in futures::future::join_all(commands).await {
        assert_eq!(done.expect("a command has room while feeds are open").exit, 0);
    }
    let call = link.engine(Use::Call).await.expect("and so has a question to the engine");
    drop((call, feeds));
}

/// russh keeps what it has of a channel that we close first: a question every few seconds would cost more memory each time.
#[tokio::test]
async fn the_server_closes_what_we_are_done_with_and_its_place_is_free_then() {
    let (link, closed) = link(Timeouts::default()).await;
    for _ in 0..5 * MAX_SESSIONS {
        drop(link.engine(Use::Call).await.expect("each has room when those before it are gone"));
    }
    drop(link.engine(Use::Call).await.expect("the last"));
    let done = link.exec("true", "true", &[], Duration::from_secs(60)).await.expect("a command");
    assert_eq!((done.exit, closed.load(Ordering::Relaxed)), (0, 0));
}
