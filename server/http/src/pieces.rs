//! A list on its way out. A long one is read, joined, compressed and encrypted part by part, each step on the part that the one
//! before has just made: no moment holds the whole, and who lists much waits for the slowest step, not for their sum.

use crate::answer::{Body, BodyError};
use bytes::{Bytes, BytesMut};
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};
use otternauts_meta::Status;
use otternauts_registry::{Parts, Rest};
use std::io::Write as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Parts that wait for a slow reader; as many again are in its hand, for it takes all that are there at once.
const PARTS: usize = 4;
/// The longest a list may take to be sent: as long as the history it is read from is kept.
const DEADLINE: Duration = Duration::from_secs(300);

/// JSON text: a head, items with commas between them, a tail.
pub struct Pieces {
    pub head: Vec<u8>,
    pub items: Vec<Bytes>,
    pub rest: Option<Rest>,
    /// When not 0, `{` stands for so many leading bytes of each item.
    pub cut: usize,
    pub tail: Vec<u8>,
}

impl Pieces {
    /// All of it, as one.
    pub async fn join(mut self) -> Result<Bytes, Status> {
        let mut out = BytesMut::new();
        let mut parts = self.first();
        loop {
            out.reserve(parts.iter().map(Bytes::len).sum());
            parts.iter().for_each(|part| out.extend_from_slice(part));
            match self.next().await? {
                Some(next) => parts = next,
                None => break,
            }
        }
        out.extend_from_slice(&self.tail);
        Ok(out.freeze())
    }

    /// The head and the items that are there.
    fn first(&mut self) -> Vec<Bytes> {
        let mut parts = Parts::new(&self.head, self.cut);
        std::mem::take(&mut self.items).iter().for_each(|item| parts.put(item));
        parts.into_vec()
    }

    /// Reads the next items; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Status> {
        let Some(mut rest) = self.rest.take() else { return Ok(None) };
        let (parts, more) = rest.parts(self.cut).await?;
        self.rest = more.then_some(rest);
        Ok(Some(parts))
    }

    /// A body that is made while it is sent.
    pub fn stream(self, compress: bool) -> Body {
        let (ready, _goes_on_alone) = self.start(compress, DEADLINE);
        let batches = stream::unfold(ready, |mut ready| async {
            let mut batch = Vec::new();
            (ready.recv_many(&mut batch, PARTS).await > 0).then(|| (stream::iter(batch), ready))
        });
        Body::stream(batches.flatten())
    }

    /// Begins to make the parts; an error comes last of them, for what is cut short must not look whole.
    fn start(self, compress: bool, deadline: Duration) -> (mpsc::Receiver<Part>, JoinHandle<()>) {
        // One place more, for saying what went wrong when all others are taken.
        let (parts, ready) = mpsc::channel(PARTS + 1);
        let last = parts.clone().try_reserve_owned().expect("a new channel has room");
        let task = tokio::spawn(async move {
            let mut sender =
                Sender { parts, zip: compress.then(|| GzEncoder::new(Vec::new(), flate2::Compression::fast())) };
            match tokio::time::timeout(deadline, self.send(&mut sender)).await {
                Ok(Ok(())) | Ok(Err(Ended::ByReader)) => {}
                Ok(Err(Ended::ByUs(error))) => drop(last.send(Err(error))),
                Err(late) => drop(last.send(Err(late.into()))),
            }
        });
        (ready, task)
    }

    async fn send(mut self, sender: &mut Sender) -> Result<(), Ended> {
        let mut parts = self.first();
        loop {
            let out = async {
                for part in parts {
                    sender.send(part).await?;
                }
                Ok(())
            };
            // The next items are read while these are sent.
            let (sent, read) = tokio::join!(out, self.next());
            sent?;
            match read.map_err(|status| Ended::ByUs(status.message.into()))? {
                Some(next) => parts = next,
                None => break,
            }
        }
        sender.send(self.tail.into()).await?;
        sender.finish().await
    }
}

type Part = Result<Bytes, BodyError>;

/// Why a list was not sent to its end.
enum Ended {
    ByReader,
    ByUs(BodyError),
}

struct Sender {
    parts: mpsc::Sender<Part>,
    zip: Option<GzEncoder<Vec<u8>>>,
}

impl Sender {
    async fn send(&mut self, part: Bytes) -> Result<(), Ended> {
        let Some(zip) = &mut self.zip else { return self.pass(part).await };
        // Writing into a vector does not fail.
        let _ = zip.write_all(&part);
        let part = std::mem::take(zip.get_mut());
        if part.is_empty() { Ok(()) } else { self.pass(part.into()).await }
    }

    async fn finish(&mut self) -> Result<(), Ended> {
        match self.zip.take().map(GzEncoder::finish) {
            None => Ok(()),
            Some(Ok(last)) => self.pass(last.into()).await,
            Some(Err(error)) => Err(Ended::ByUs(error.into())),
        }
    }

    async fn pass(&self, part: Bytes) -> Result<(), Ended> {
        self.parts.send(Ok(part)).await.map_err(|_| Ended::ByReader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyStream;

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_that_the_rest_is_missing() {
        let item = Bytes::from(vec![b'x'; 60 << 10]);
        let pieces =
            || Pieces { head: Vec::new(), items: vec![item.clone(); 20], rest: None, cut: 0, tail: Vec::new() };
        let all: Vec<_> = BodyStream::new(pieces().stream(false)).collect().await;
        assert!(all.iter().all(Result::is_ok) && all.len() > 2 * PARTS, "{}", all.len());
        let (mut ready, task) = pieces().start(false, Duration::from_millis(20));
        task.await.expect("ends at its deadline");
        let mut parts = Vec::new();
        while let Some(part) = ready.recv().await {
            parts.push(part);
        }
        let (last, sent) = parts.split_last().expect("an end");
        assert!(last.is_err() && sent.iter().all(Result::is_ok));
        assert_eq!(sent.len(), PARTS);
    }

    #[tokio::test]
    async fn items_stand_with_commas_and_without_what_is_cut() {
        let check = async |items: &[&'static str], cut, expected: &str| {
            let items = items.iter().map(|item| Bytes::from_static(item.as_bytes())).collect();
            let pieces = Pieces { head: b"[".to_vec(), items, rest: None, cut, tail: b"]".to_vec() };
            assert_eq!(pieces.join().await.expect("no rest"), expected);
        };
        check(&[], 0, "[]").await;
        check(&["aa"], 0, "[aa]").await;
        check(&["aa", "bb"], 0, "[aa,bb]").await;
        check(&["xxa", "xxbb"], 2, "[{a,{bb]").await;
    }
}
