//! Calls between two nodes of this crate: what the tests against the reference do not reach.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::message::{self, REQUEST};
use super::session::{MAX_SERVED, MAX_SERVED_BYTES};
use super::{Cause, Client, RemoteError, Responders, Rpc, RpcError, serve};
use crate::api::{Server, Testnet};
use crate::mux::{Mux, MuxError};
use crate::wire::compact::Put;
use crate::{Dht, KeyPair};

/// A network with a server that responds, until it is dropped.
struct World {
    network: Testnet,
    server: Arc<Server>,
    responders: Responders,
}

impl World {
    async fn new() -> Self {
        let network = Testnet::new(3).await.unwrap();
        let server = Arc::new(network.nodes()[1].listen(KeyPair::generate()).await.unwrap());
        let responders = Responders::new();
        let (serving, functions) = (Arc::clone(&server), responders.clone());
        tokio::spawn(async move { serve(&serving, &functions).await });
        Self { network, server, responders }
    }

    fn dht(&self) -> &Dht {
        &self.network.nodes()[2]
    }

    async fn connect(&self) -> Rpc {
        Client::new(self.dht()).connect(*self.server.public_key()).await.unwrap()
    }
}

fn remote(result: Result<Bytes, RpcError>) -> RemoteError {
    match result {
        Err(RpcError::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn so_many_requests_are_served_at_once_and_others_are_refused() {
    let world = World::new().await;
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    world.responders.respond("never", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        pending::<Result<Bytes, Cause>>()
    });
    let rpc = world.connect().await;
    for _ in 0..MAX_SERVED {
        rpc.event("never", "").await.unwrap();
    }
    let refused = remote(rpc.request("never", "").await);
    assert_eq!(refused.code, RemoteError::REQUEST_ERROR);
    assert_eq!(refused.cause.unwrap().code, "TOO_MANY");
    assert_eq!(begun.load(Ordering::SeqCst), MAX_SERVED);

    let rpc = world.connect().await;
    let large = vec![0; MAX_SERVED_BYTES / 2 - 8];
    let mut waits = JoinSet::new();
    for _ in 0..3 {
        waits.spawn(rpc.request("never", large.clone()).into_future());
    }
    let refused = waits.join_next().await.unwrap().unwrap();
    assert_eq!(remote(refused).cause.unwrap().code, "TOO_MANY");
    assert_eq!(begun.load(Ordering::SeqCst), MAX_SERVED + 2);
}

#[tokio::test]
async fn a_function_that_panics_fails_its_request_alone() {
    let world = World::new().await;
    world.responders.respond("at once", |_| async { panic!("meant to") as Result<Bytes, Cause> });
    world.responders.respond("later", |_| async {
        tokio::task::yield_now().await;
        panic!("meant to") as Result<Bytes, Cause>
    });
    world.responders.respond("echo", |request| async { Ok(request.value) });
    let rpc = world.connect().await;
    for method in ["at once", "later"] {
        let error = remote(rpc.request(method, "").await);
        assert!(error.to_string().contains("has panicked"), "{error}");
        assert!(!error.to_string().contains("meant to"));
    }
    assert_eq!(rpc.request("echo", "x").await.unwrap(), "x");
    // A value that is not encoded as the server expects.
    let raw = Client::new(world.dht()).values(super::Values::Raw);
    let error = remote(raw.request(world.server.public_key(), "echo", &b"\x09x"[..]).await);
    assert_eq!(error.code, RemoteError::DECODE_ERROR);
    world.responders.unrespond("echo");
    assert_eq!(remote(rpc.request("echo", "x").await).code, RemoteError::UNKNOWN_METHOD);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_behind_and_the_end_waits_for_the_others() {
    let world = World::new().await;
    let go = Arc::new(Semaphore::new(0));
    let gone = Arc::clone(&go);
    world.responders.respond("wait", move |request| {
        let gone = Arc::clone(&gone);
        async move {
            let _ = gone.acquire().await?;
            Ok(request.value)
        }
    });
    let rpc = world.connect().await;
    let waits = tokio::spawn(rpc.request("wait", "x").into_future());
    let after = Duration::from_millis(1);
    let late = rpc.request("wait", "y").timeout(after).await;
    assert!(matches!(late, Err(RpcError::TimedOut { .. })));
    let mut ending = Box::pin(rpc.end());
    tokio::select! {
        biased;
        _ = &mut ending => panic!("a call waits"),
        () = std::future::ready(()) => {}
    }
    go.add_permits(1);
    assert_eq!(waits.await.unwrap().unwrap(), "x");
    ending.await.unwrap();
    let closed = rpc.request("wait", "z").await;
    assert!(matches!(closed, Err(RpcError::Channel(MuxError::Closed))), "{closed:?}");
}

#[tokio::test]
async fn calls_by_key_share_a_connection_until_it_ends() {
    let world = World::new().await;
    let connections = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let seen = Arc::clone(&connections);
    world.responders.respond("hello", move |request| {
        seen.lock().unwrap().insert(request.from);
        async { Ok(request.value) }
    });
    let key = *world.server.public_key();
    let client = Client::new(world.dht());
    let calls = (0..50).map(|_| tokio::spawn(client.request(&key, "hello", "x").into_future()));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), "x");
    }
    assert_eq!(connections.lock().unwrap().len(), 1);
    let stats = world.network.nodes()[1].stats().await;
    assert_eq!(stats.connections, 1);
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_after_its_time_and_the_next_call_makes_another() {
    let network = Testnet::new(3).await.unwrap();
    let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let client = Client::new(&network.nodes()[2]).linger(Duration::from_millis(30));
    let responders = Responders::new();
    responders.respond("echo", |request| async { Ok(request.value) });
    for _ in 0..2 {
        let call = tokio::spawn(client.request(server.public_key(), "echo", "x").into_future());
        let mux = Mux::new(server.accept().await.unwrap());
        let open = Rpc::open(&mux).id(server.public_key().as_bytes()).responders(&responders);
        let rpc = open.begin().unwrap();
        assert_eq!(call.await.unwrap().unwrap(), "x");
        // Both by the client alone.
        rpc.closed().await.unwrap();
        mux.closed().await.unwrap();
    }
}

/// The peer has neither opened its side nor rejected the channel.
#[tokio::test]
async fn the_end_does_not_wait_for_a_peer_that_says_nothing() {
    let network = Testnet::new(3).await.unwrap();
    let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let connect = network.nodes()[2].connect(server.public_key()).into_future();
    let (ours, _theirs) = tokio::join!(connect, server.accept());
    let rpc = Rpc::open(&Mux::new(ours.unwrap())).begin().unwrap();
    let call = tokio::spawn(rpc.request("echo", "x").into_future());
    tokio::task::yield_now().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    rpc.end().await.unwrap();
}

/// A connection is made for all calls that wait for it.
#[tokio::test]
async fn a_call_that_is_given_up_while_it_connects_does_not_end_the_attempt_for_the_next() {
    let network = Testnet::new(3).await.unwrap();
    let (asked, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (come, mut came) = tokio::sync::mpsc::unbounded_channel();
    let (count, gate) = (Arc::clone(&asked), Arc::clone(&go));
    let listen = network.nodes()[1].listen(KeyPair::generate()).allow(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        come.send(()).unwrap();
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.is_ok() }
    });
    let server = Arc::new(listen.await.unwrap());
    let responders = Responders::new();
    responders.respond("echo", |request| async { Ok(request.value) });
    let (key, serving) = (*server.public_key(), Arc::clone(&server));
    tokio::spawn(async move { serve(&serving, &responders).await });
    let client = Client::new(&network.nodes()[2]);
    let first = tokio::spawn(client.request(&key, "echo", "x").into_future());
    came.recv().await.unwrap();
    first.abort();
    first.await.unwrap_err();
    let next = tokio::spawn(client.request(&key, "echo", "y").into_future());
    go.add_permits(1);
    assert_eq!(next.await.unwrap().unwrap(), "y");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// A server that refuses one is not asked again for each of those that wait.
#[tokio::test]
async fn calls_that_wait_for_one_attempt_fail_with_it() {
    let network = Testnet::new(3).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let listen = network.nodes()[1].listen(KeyPair::generate()).allow(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(false)
    });
    let server = listen.await.unwrap();
    let client = Client::new(&network.nodes()[2]);
    let calls = (0..3).map(|_| tokio::spawn(client.request(server.public_key(), "echo", "x").into_future()));
    for call in calls.collect::<Vec<_>>() {
        let refused = call.await.unwrap();
        assert!(matches!(refused, Err(RpcError::Connect(_))), "{refused:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// One that sends all its requests before it reads is answered in full.
#[tokio::test]
async fn a_peer_that_reads_no_answers_waits() {
    let network = Testnet::new(3).await.unwrap();
    let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let connect = network.nodes()[2].connect(server.public_key()).into_future();
    let (peer, accepted) = tokio::join!(connect, server.accept());
    let mux = Mux::new(accepted.unwrap());
    let _rpc = Rpc::open(&mux).begin().unwrap();
    let mut peer = peer.unwrap();
    peer.write_message(b"\x00\x01\x01\x0cprotomux-rpc\x00").await.unwrap();
    // More than is kept anywhere on the way, in answers of as much.
    let (count, method) = (40_000, "m".repeat(250));
    let mut batch = b"\x00\x00\x01".to_vec();
    for _ in 0..count {
        let request = message::Request { id: 1, method: method.clone(), value: Bytes::new() };
        let request = request.encode();
        batch.put_varuint(1 + request.len() as u64);
        batch.put_varuint(REQUEST);
        batch.extend_from_slice(&request);
    }
    peer.write_message(&batch).await.unwrap();
    let opened = peer.read_message().await.unwrap().unwrap();
    assert_eq!(opened, &b"\x00\x01\x01\x0cprotomux-rpc\x00"[..]);
    for nth in 0..count {
        let answer = peer.read_message().await.unwrap().unwrap();
        assert_eq!(answer[..2], [1, 1], "{nth}: an answer, not a close");
    }
}

/// A server for which nothing listens on the channel.
#[tokio::test]
async fn a_peer_that_knows_no_calls_rejects_them() {
    let network = Testnet::new(3).await.unwrap();
    let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let key = *server.public_key();
    tokio::spawn(async move {
        let mux = Mux::new(server.accept().await.unwrap());
        mux.closed().await
    });
    let client = Client::new(&network.nodes()[2]);
    let rejected = client.request(&key, "echo", "x").await;
    assert!(matches!(rejected, Err(RpcError::Channel(MuxError::Rejected))), "{rejected:?}");
    let unknown = *KeyPair::generate().public_key();
    let not_found = client.request(&unknown, "echo", "x").await;
    assert!(matches!(not_found, Err(RpcError::Connect(_))), "{not_found:?}");
}
