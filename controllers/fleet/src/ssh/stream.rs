//! A channel as a stream of bytes, which the server is left to close.
//!
//! russh (0.65) keeps what it has of a channel until the server closes it, or for as long as the connection lives where we closed
//! first: it does not look at the answer to that. A server that is asked something every few seconds would cost more memory each time.

use bytes::{Buf as _, Bytes};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt as _};
use russh::{Channel, ChannelMsg, ChannelWriteHalf, client};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// How long a server has to close a channel that we are done with.
const LINGER: Duration = Duration::from_secs(5);

/// A byte stream through the server, and its place among the connection's channels. That nothing more is written is said when it is
/// dropped, not when it is shut down: who uses it does the one after the other, and does not read meanwhile.
pub(crate) struct ByteStream {
    /// Received, not yet read.
    left: Bytes,
    ended: bool,
    /// There until it is dropped.
    open: Option<Open>,
    _place: Option<OwnedSemaphorePermit>,
}

struct Open {
    incoming: BoxStream<'static, ChannelMsg>,
    outgoing: Pin<Box<dyn AsyncWrite + Send>>,
    half: ChannelWriteHalf<client::Msg>,
    _place: Option<OwnedSemaphorePermit>,
}

impl ByteStream {
    /// sshd counts no such channels: the place is free as soon as the stream is dropped.
    pub(crate) fn of_socket(channel: Channel<client::Msg>, place: OwnedSemaphorePermit) -> Self {
        Self { left: Bytes::new(), ended: false, open: Some(Open::new(channel, None)), _place: Some(place) }
    }

    /// sshd counts a session until it is closed: so long its place is taken.
    pub(crate) fn of_session(channel: Channel<client::Msg>, place: OwnedSemaphorePermit) -> Self {
        Self { left: Bytes::new(), ended: false, open: Some(Open::new(channel, Some(place))), _place: None }
    }

    fn outgoing(&mut self) -> io::Result<Pin<&mut (dyn AsyncWrite + Send)>> {
        Ok(self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?.outgoing.as_mut())
    }
}

impl Open {
    fn new(channel: Channel<client::Msg>, place: Option<OwnedSemaphorePermit>) -> Self {
        let (reader, half) = channel.split();
        let incoming = stream::unfold(reader, |mut reader| async move { Some((reader.wait().await?, reader)) });
        Self { incoming: incoming.fuse().boxed(), outgoing: Box::pin(half.make_writer()), half, _place: place }
    }

    /// Says that we are done, and waits until the server has closed the channel.
    async fn end(self) {
        let Self { mut incoming, mut outgoing, half, _place } = self;
        // While nobody reads what has come, russh sends nothing for the whole connection: the two go side by side.
        let said = async move {
            // The connection may have ended.
            let _ = outgoing.shutdown().await;
        };
        let closed =
            async { while incoming.next().await.is_some_and(|message| !matches!(message, ChannelMsg::Close)) {} };
        if timeout(LINGER, future::join(said, closed)).await.is_err() {
            drop(incoming);
            let _ = half.close().await;
        }
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        if let (Some(open), Ok(runtime)) = (self.open.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(open.end());
        }
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.left.is_empty() && !this.ended {
            let Some(open) = &mut this.open else { break };
            match ready!(open.incoming.poll_next_unpin(cx)) {
                Some(ChannelMsg::Data { data }) => this.left = data,
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => this.ended = true,
                Some(_) => {}
            }
        }
        let size = this.left.len().min(buffer.remaining());
        buffer.put_slice(&this.left[..size]);
        this.left.advance(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
