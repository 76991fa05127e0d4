//! Against an SSH server in this process that counts sessions as OpenSSH does; the lab's tests meet the real one.

use super::*;
use crate::Fingerprint;
use otternauts_meta::Secret;
use otternauts_telemetry::Metrics;
use parking_lot::Mutex;
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
    open: Arc<Mutex<HashSet<ChannelId>>>,
    /// Channels that the other side closed first.
    closed: Arc<AtomicUsize>,
    /// So many messages `docker system dial-stdio` says unasked.
    says: usize,
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
        if self.open.lock().len() == MAX_SESSIONS {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.open.lock().insert(channel.id());
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
            self.open.lock().remove(&channel);
        }
        for _ in 0..self.says {
            session.data(channel, "an event".as_bytes().to_vec())?;
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut server::Session,
    ) -> std::result::Result<(), Self::Error> {
        if self.open.lock().contains(&channel) {
            let (handle, open) = (session.handle(), self.open.clone());
            // What runs there takes a moment to end.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                open.lock().remove(&channel);
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
        self.open.lock().remove(&channel);
        self.closed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn key(seed: u8) -> PrivateKey {
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::from(pair)
}

/// A link to a server of its own, and how many channels we closed before it did.
async fn link(timeouts: Timeouts, says: usize) -> (Link, Arc<AtomicUsize>) {
    let closed = Arc::new(AtomicUsize::new(0));
    let sshd = Sshd { closed: closed.clone(), says, ..Sshd::default() };
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
    let (link, _) = link(Timeouts { channel: patience, ..Timeouts::default() }, 0).await;
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
    let (link, closed) = link(Timeouts::default(), 0).await;
    for _ in 0..5 * MAX_SESSIONS {
        drop(link.engine(Use::Call).await.expect("each has room when those before it are gone"));
    }
    drop(link.engine(Use::Call).await.expect("the last"));
    let done = link.exec("true", "true", &[], Duration::from_secs(60)).await.expect("a command");
    assert_eq!((done.exit, closed.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn what_is_said_to_us_arrives_in_order_and_whole() {
    let (link, _) = link(Timeouts::default(), 300).await;
    let mut events = link.engine(Use::Events).await.expect("a stream");
    let mut said = vec![0; 300 * "an event".len()];
    tokio::io::AsyncReadExt::read_exact(&mut events, &mut said).await.expect("read");
    assert_eq!(said, "an event".repeat(300).into_bytes());
}

/// russh holds 100 messages of a channel and ten orders of ours; where both are full nothing moves until somebody reads.
#[tokio::test]
async fn a_stream_that_nobody_read_is_dropped_and_the_connection_goes_on() {
    let (link, _) = link(Timeouts::default(), 300).await;
    let events = link.engine(Use::Events).await.expect("a stream");
    let opening = (0..30).map(|_| link.handle.channel_open_session());
    let mut opening = std::pin::pin!(futures::future::join_all(opening));
    let stuck = timeout(Duration::from_millis(300), opening.as_mut()).await;
    assert!(stuck.is_err(), "what is not read holds the connection back, or this shows nothing");
    drop(events);
    let opened = timeout(Duration::from_secs(60), opening).await.expect("the connection goes on");
    assert!(opened.iter().any(|channel| channel.is_ok()), "some are accepted");
}
