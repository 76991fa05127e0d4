//! A channel as a stream of bytes, which the server is left to close.
//!
//! russh (0.65) keeps what it has of a channel until the server closes it, or for as long as the connection lives where we closed
//! first: it does not look at the answer to that. A server that is asked something every few seconds would cost more memory each time.

use bytes::{Buf as _, Bytes};
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

/// A byte stream through the server, and its place among the connection's channels.
pub(crate) struct ByteStream {
    /// Received, not yet read.
    left: Bytes,
    ended: bool,
    /// There until it is dropped.
    open: Option<Open>,
}

struct Open {
    incoming: BoxStream<'static, ChannelMsg>,
    outgoing: Pin<Box<dyn AsyncWrite + Send>>,
    half: ChannelWriteHalf<client::Msg>,
    _place: OwnedSemaphorePermit,
}

impl ByteStream {
    pub(crate) fn new(channel: Channel<client::Msg>, place: OwnedSemaphorePermit) -> Self {
        let (reader, half) = channel.split();
        let incoming = stream::unfold(reader, |mut reader| async move { Some((reader.wait().await?, reader)) });
        let open =
            Open { incoming: incoming.fuse().boxed(), outgoing: Box::pin(half.make_writer()), half, _place: place };
        Self { left: Bytes::new(), ended: false, open: Some(open) }
    }

    fn outgoing(&mut self) -> io::Result<Pin<&mut (dyn AsyncWrite + Send)>> {
        Ok(self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?.outgoing.as_mut())
    }
}

impl Open {
    /// Says that we are done, and waits until the server has closed the channel.
    async fn end(mut self) {
        let closed = async {
            // It may have been said before, or the connection may have ended.
            let _ = self.outgoing.shutdown().await;
            while self.incoming.next().await.is_some_and(|message| !matches!(message, ChannelMsg::Close)) {}
        };
        if timeout(LINGER, closed).await.is_err() {
            let _ = self.half.close().await;
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

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing()?.poll_shutdown(cx)
    }
}
