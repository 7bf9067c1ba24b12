//! Muxes over connections: what the state machine alone does not show.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake};

use tokio::io::AsyncWriteExt;

use super::{Mux, MuxError, Violation};
use crate::KeyPair;
use crate::api::{Connection, StreamError, Testnet};

/// Two ends of a connection, and the network that it needs.
async fn two() -> (Testnet, Connection, Connection) {
    let network = Testnet::new(3).await.unwrap();
    let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let connect = network.nodes()[2].connect(server.public_key()).into_future();
    let (ours, theirs) = tokio::join!(connect, server.accept());
    (network, ours.unwrap(), theirs.unwrap())
}

#[tokio::test]
async fn the_connection_ends_with_the_last_that_needs_it_and_all_arrives() {
    let (_network, ours, theirs) = two().await;
    let (ours, theirs) = (Mux::new(ours), Mux::new(theirs));
    let mut listener = theirs.listen("a").unwrap();
    let channel = ours.open("a", b"").begin().unwrap();
    let sender = channel.sender();
    drop(ours);
    for i in 0..100_u8 {
        channel.send(0, &vec![i; 5000]).await.unwrap();
    }
    drop(channel);
    assert_eq!(sender.send(0, b"").await, Err(MuxError::Closed));
    let mut accepted = listener.accept().await.unwrap().accept(b"").unwrap();
    for i in 0..100_u8 {
        assert_eq!(accepted.recv().await.unwrap().unwrap().content, vec![i; 5000]);
    }
    assert_eq!(accepted.recv().await, Ok(None));
    // Though something that sends is still there.
    assert_eq!(theirs.closed().await, Ok(()));
    assert!(listener.accept().await.is_none());
    drop(sender);
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_reset() {
    let (_network, mut ours, theirs) = two().await;
    let mux = Mux::new(theirs);
    let mut channel = mux.open("a", b"").begin().unwrap();
    ours.write_message(b"\x00\x01\x09").await.unwrap();
    let broken = MuxError::Protocol(Violation::Truncated);
    assert_eq!(mux.closed().await, Err(broken));
    assert_eq!(channel.recv().await, Err(broken));
    assert_eq!(mux.open("b", b"").await.unwrap_err(), broken);
    while ours.read_message().await.is_ok_and(|message| message.is_some()) {}
    assert_eq!(ours.closed().await, Err(StreamError::Reset));
}

#[tokio::test]
async fn a_connection_that_fails_fails_its_channels() {
    let (_network, ours, theirs) = two().await;
    let mux = Mux::new(theirs);
    let mut channel = mux.open("a", b"").begin().unwrap();
    ours.abort();
    let failed = MuxError::Connection(StreamError::Reset);
    assert_eq!(channel.recv().await, Err(failed));
    assert_eq!(mux.closed().await, Err(failed));
}

/// However early the peer opens, nothing that the application opens before it waits is rejected.
#[tokio::test]
async fn what_the_peer_opens_first_is_not_rejected_before_the_application_waits() {
    let (_network, ours, theirs) = two().await;
    let (ours, theirs) = (Mux::new(ours), Mux::new(theirs));
    let mut first = ours.open("a", b"").begin().unwrap();
    theirs.connection().proven().await.unwrap();
    let mut second = theirs.open("a", b"").begin().unwrap();
    let (one, other) = tokio::join!(first.opened(), second.opened());
    assert!(one.is_ok() && other.is_ok());
}

/// One of the many tasks of a server that wait for the end of the connection, and end before it does.
#[tokio::test]
async fn who_no_longer_waits_for_the_end_leaves_nothing_behind() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (_network, ours, theirs) = two().await;
    let (ours, theirs) = (Mux::new(ours), Mux::new(theirs));
    let task = Arc::new(Task);
    let waker = Arc::clone(&task).into();
    {
        let mut closed = pin!(theirs.closed());
        assert!(closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
    drop(ours);
    assert_eq!(theirs.closed().await, Ok(()));
}

#[tokio::test]
async fn a_sender_that_is_given_up_has_sent_nothing() {
    let (_network, ours, theirs) = two().await;
    let (ours, theirs) = (Mux::new(ours), Mux::new(theirs));
    let mut listener = theirs.listen("a").unwrap();
    let channel = ours.open("a", b"").begin().unwrap();
    let mut accepted = {
        let incoming = listener.accept().await.unwrap();
        incoming.accept(b"").unwrap()
    };
    let content = vec![1; 60_000];
    let (mut sent, mut given_up, mut received) = (0, 0, 0);
    // More than waits anywhere; nobody receives meanwhile.
    while given_up < 500 {
        tokio::select! {
            biased;
            result = channel.send(0, &content) => { result.unwrap(); sent += 1 }
            () = tokio::task::yield_now() => given_up += 1,
        }
    }
    let last = async {
        channel.send(7, b"last").await.unwrap();
    };
    let all = async {
        while let Some(message) = accepted.recv().await.unwrap() {
            if message.kind == 7 {
                break;
            }
            assert_eq!(message.content.len(), content.len());
            received += 1;
        }
    };
    tokio::join!(last, all);
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_raw_connection_that_ends_ends_the_mux_in_order() {
    let (_network, mut ours, theirs) = two().await;
    let mux = Mux::new(theirs);
    let mut channel = mux.open("a", b"").begin().unwrap();
    channel.send(0, b"x").await.unwrap();
    ours.shutdown().await.unwrap();
    assert_eq!(channel.recv().await, Ok(None));
    assert_eq!(ours.read_message().await.unwrap().unwrap(), &b"\x00\x01\x01\x01a\x00"[..]);
    assert_eq!(ours.read_message().await.unwrap().unwrap(), &b"\x01\x00x"[..]);
    assert_eq!(ours.read_message().await.unwrap(), None);
    ours.closed().await.unwrap();
}
