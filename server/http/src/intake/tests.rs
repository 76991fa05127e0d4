use super::*;
use crate::Limits;
use crate::answer::BodyError;
use crate::body::Cut;
use futures::{SinkExt, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};

type Sender = futures::channel::mpsc::Sender<Bytes>;

fn intake(bodies: usize, bodies_per_user: usize, body: Duration) -> Intake {
    Intake::new(&Limits { bodies, bodies_per_user, body, patience: Duration::ZERO, ..Limits::default() })
}

/// A body that ends when its sender is dropped.
fn slow() -> (Sender, Incoming) {
    let (sender, chunks) = futures::channel::mpsc::channel(1);
    let body = StreamBody::new(chunks.map(|chunk| Ok::<_, BodyError>(Frame::data(chunk))));
    (sender, body.map_err(Cut).boxed_unsync())
}

fn whole(text: &'static str) -> Incoming {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn slow_bodies_use_up_the_share_of_their_sender_only() {
    let intake = intake(10, 1, LONG);
    let (mut sender, body) = slow();
    let mut first = Box::pin(intake.read("alice", body));
    assert!(first.as_mut().now_or_never().is_none(), "it is under way");
    let (_second, body) = slow();
    assert_eq!(intake.read("alice", body).await.expect_err("no place").code, 429);
    assert_eq!(intake.read("alice", whole("{}")).await.expect("needs no place"), "{}");
    let (other, body) = slow();
    let mut theirs = Box::pin(intake.read("bob", body));
    assert!(theirs.as_mut().now_or_never().is_none(), "bob has a place of his own");
    drop(other);
    assert_eq!(theirs.await.expect("ended"), "");
    sender.send(Bytes::from_static(b"{\"a\"")).await.expect("taken");
    assert!(first.as_mut().now_or_never().is_none(), "half of it is there");
    drop(sender);
    assert_eq!(first.await.expect("ended"), "{\"a\"");
    assert!(intake.users.lock().is_empty(), "nobody is remembered");
}

#[tokio::test]
async fn all_users_together_have_a_bound_too() {
    let intake = intake(1, 5, LONG);
    let (_sender, body) = slow();
    let mut first = Box::pin(intake.read("alice", body));
    assert!(first.as_mut().now_or_never().is_none(), "it is under way");
    let (_sender, body) = slow();
    assert_eq!(intake.read("bob", body).await.expect_err("no place").code, 429);
    drop(first);
    assert!(intake.users.lock().is_empty(), "nobody is remembered");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let intake = intake(1, 1, Duration::from_millis(1));
    for _ in 0..2 {
        let (_sender, body) = slow();
        let status = intake.read("alice", body).await.expect_err("given up");
        assert_eq!((status.code, status.reason), (504, "Timeout"), "and its place is free again");
    }
}
