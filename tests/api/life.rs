//! How connections end: dropped, aborted, with their node, with the program.

use std::future::IntoFuture;
use std::time::Duration;

use hyperprofile::api::{Limits, StreamError};
use hyperprofile::{Connection, Dht, KeyPair, Server, Testnet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::world::{World, echo, pattern, within};

const SIZE: usize = 300_000;

/// What the first example of the crate does: its task ends with `copy`.
#[tokio::test]
async fn an_echo_that_drops_both_halves_loses_nothing() {
    let World { client, server, key, listening, testnet: _testnet, .. } = World::new().await;
    let echo = echo(server);
    for _ in 0..5 {
        let connection = within(client.connect(key).into_future()).await.unwrap();
        let (mut read, mut write) = connection.into_split();
        let sent = tokio::spawn(async move {
            write.write_all(&pattern(SIZE)).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        within(read.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, pattern(SIZE));
        within(sent).await.unwrap();
    }
    listening.close().await;
    within(echo).await.unwrap();
}

#[tokio::test]
async fn a_dropped_connection_delivers_what_was_written_and_ends() {
    let world = World::new().await;
    let (client, mut server) = world.connect().await;
    let writer = tokio::spawn(async move {
        let mut client = client;
        client.write_all(&pattern(SIZE)).await.unwrap();
    });
    within(writer).await.unwrap();
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, pattern(SIZE));
    // What is written now is read by nobody, and holds nobody up.
    within(server.write_all(&pattern(SIZE))).await.unwrap();
    within(server.shutdown()).await.unwrap();
    assert_eq!(within(server.closed()).await, Ok(()));
    // The client knows of that end once it is acknowledged.
    let gone = async { while world.client.stats().await.connections > 0 {} };
    within(gone).await;
}

#[tokio::test]
async fn a_dropped_writing_half_ends_its_direction_only() {
    let world = World::new().await;
    let (client, mut server) = world.connect().await;
    let (mut read, mut write) = client.into_split();
    write.write_all(b"question").await.unwrap();
    drop(write);
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    received.clear();
    within(read.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"answer");
}

#[tokio::test]
async fn a_dropped_reading_half_holds_nobody_up() {
    let world = World::new().await;
    let (mut client, server) = world.connect().await;
    let (read, mut write) = server.into_split();
    // More than all windows.
    let sent = tokio::spawn(async move {
        client.write_all(&vec![7; 20 << 20]).await.unwrap();
        client.shutdown().await.unwrap();
        client
    });
    drop(read);
    let mut client = within(sent).await.unwrap();
    write.write_all(b"still").await.unwrap();
    let mut received = [0; 5];
    within(client.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"still");
}

#[tokio::test]
async fn abort_and_a_panic_are_resets() {
    let world = World::new().await;
    let (client, mut server) = world.connect().await;
    client.abort();
    assert_eq!(within(server.read_message()).await, Err(StreamError::Reset));
    assert_eq!(within(server.closed()).await, Err(StreamError::Reset));

    let (client, mut server) = world.connect().await;
    let (mut read, write) = client.into_split();
    write.abort();
    assert_eq!(within(read.read_message()).await, Err(StreamError::Closed));
    assert_eq!(within(server.read_message()).await, Err(StreamError::Reset));

    for half in 0..3 {
        let (client, mut server) = world.connect().await;
        let panics = tokio::spawn(async move {
            let (read, write) = client.into_split();
            let _held = match half {
                0 => (Some(read), None),
                1 => (None, Some(write)),
                _ => (Some(read), Some(write)),
            };
            panic!("on purpose");
        });
        within(panics).await.unwrap_err();
        // Where the other half was dropped before, the peer may have read the end.
        let closed = within(server.closed()).await;
        assert_eq!(closed, Err(StreamError::Reset), "{:?}", server.read_message().await);
    }
}

#[tokio::test]
async fn a_peer_that_never_ends_is_reset_in_time() {
    let mut limits = Limits::default();
    limits.linger_for = Duration::from_millis(500);
    let world = World::with(|builder| builder.limits(limits)).await;
    let (mut client, server) = world.connect().await;
    drop(server);
    assert_eq!(within(client.read_message()).await, Ok(None));
    assert_eq!(world.listening.stats().await.connections, 1);
    assert_eq!(within(client.closed()).await, Ok(()), "nothing is lost by that");
    assert_eq!(world.listening.stats().await.connections, 0);
}

#[tokio::test]
async fn dropped_connections_are_bounded_by_memory() {
    let mut limits = Limits::default();
    limits.linger_memory = 20_000;
    let world = World::with(|builder| builder.limits(limits)).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (client, server) = world.connect().await;
        drop(server);
        clients.push(client);
    }
    for client in &clients[..2] {
        within(client.closed()).await.unwrap();
    }
    assert!(timeout(Duration::from_millis(200), clients[3].closed()).await.is_err(), "there is room for it");
    assert_eq!(world.listening.stats().await.connections, 2);
}

#[tokio::test]
async fn a_peer_that_goes_on_sending_to_a_dropped_connection_is_reset() {
    let world = World::new().await;
    let (mut client, server) = world.connect().await;
    drop(server);
    let (mut sent, part) = (0, [7; 16 << 10]);
    let refused = loop {
        match within(client.write_all(&part)).await {
            Ok(()) if sent < 64 << 20 => sent += part.len(),
            outcome => break outcome,
        }
    };
    assert!(sent < 32 << 20, "{sent} bytes taken");
    assert!(sent >= 1 << 20, "a peer has time to notice: {sent} bytes taken");
    // Where all that was written before is acknowledged, `closed` has lost nothing to report.
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_node_that_closes_delivers_what_dropped_connections_have_written() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    client.write_all(&pattern(SIZE)).await.unwrap();
    let read = tokio::spawn(async move {
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        received
    });
    drop(client);
    within(world.client.close()).await;
    assert_eq!(within(read).await.unwrap(), pattern(SIZE));
}

#[tokio::test]
async fn the_last_handle_may_go_with_data_under_way() {
    let world = World::new().await;
    let dht = world.testnet.builder().spawn().await.unwrap();
    let connect = async { dht.connect(world.key).await.unwrap() };
    let (mut client, server) = within(async { tokio::join!(connect, world.server.accept()) }).await;
    client.write_all(&pattern(SIZE)).await.unwrap();
    drop((client, dht));
    let mut received = Vec::new();
    within(server.unwrap().read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, pattern(SIZE));
}

#[tokio::test]
async fn a_shutdown_and_a_close_are_no_reset() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    client.write_all(b"all").await.unwrap();
    let server = tokio::spawn(async move {
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        (server.closed().await, received)
    });
    within(client.shutdown()).await.unwrap();
    within(world.client.close()).await;
    assert_eq!(within(server).await.unwrap(), (Ok(()), b"all".to_vec()));
    // The node is gone, and its user still holds the connection.
    assert_eq!(client.closed().await, Err(StreamError::Closed));
}

#[tokio::test]
async fn a_close_with_something_unfinished_is_a_reset() {
    let world = World::new().await;
    let (_client, server) = world.connect().await;
    within(world.client.close()).await;
    assert_eq!(within(server.closed()).await, Err(StreamError::Reset));
}

/// A network whose nodes live on their own runtime, with a server.
struct Elsewhere {
    runtime: tokio::runtime::Runtime,
    _testnet: Testnet,
    server: Server,
    bootstrap: Vec<String>,
}

impl Elsewhere {
    fn new() -> Self {
        let runtime = runtime();
        let (testnet, server) = runtime.block_on(async {
            let testnet = Testnet::new(3).await.unwrap();
            let listen = testnet.nodes()[2].listen(KeyPair::generate());
            let server = listen.receive_window(64 << 10).await.unwrap();
            (testnet, server)
        });
        let bootstrap = testnet.bootstrap();
        Self { runtime, _testnet: testnet, server, bootstrap }
    }

    /// Waits much less long than a peer does that is not told of an end.
    fn within<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(Duration::from_secs(5), work).await }).expect("told at once")
    }

    /// Runs a program on a runtime of its own that does so much with its connection, and returns the other
    /// end once the program has ended.
    fn run(&self, program: impl AsyncFnOnce(Dht, Connection)) -> Connection {
        let own = runtime();
        let accepted = self.runtime.block_on(async {
            let bootstrap = self.bootstrap.clone();
            let key = *self.server.public_key();
            let (connected, connection) = tokio::join!(
                own.spawn(async move {
                    let dht = Dht::builder().bootstrap(bootstrap).bind("127.0.0.1:0").spawn().await.unwrap();
                    let connection = dht.connect(key).await.unwrap();
                    (dht, connection)
                }),
                self.server.accept(),
            );
            (connected.unwrap(), connection.unwrap())
        });
        let ((dht, connection), other) = accepted;
        own.block_on(program(dht, connection));
        drop(own);
        other
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// `main` returns without a word.
#[test]
fn a_program_that_ends_tells_its_peers() {
    let elsewhere = Elsewhere::new();
    let mut other = elsewhere.run(async |_dht, mut connection| {
        connection.write_all(b"last words").await.unwrap();
    });
    let mut received = Vec::new();
    let read = async {
        other.read_to_end(&mut received).await.unwrap();
        other.closed().await
    };
    assert_eq!(elsewhere.within(read), Ok(()));
    assert_eq!(received, b"last words");

    // More than fits a window can't be sent without waiting for the peer: a reset.
    let mut other = elsewhere.run(async |_dht, mut connection| {
        connection.write_all(&pattern(700_000)).await.unwrap();
    });
    let end = elsewhere.within(async {
        loop {
            match other.read_message().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    });
    assert_eq!(end, Err(StreamError::Reset));

    // Handles that outlive the runtime.
    let mut held = None;
    let other = elsewhere.run(async |dht, connection| held = Some((dht, connection)));
    let end = elsewhere.within(other.closed());
    assert_eq!(end, Ok(()));
    let (dht, connection) = held.unwrap();
    let ended = elsewhere.runtime.block_on(async { (connection.closed().await, dht.closed().await) });
    assert_eq!(ended, (Err(StreamError::Closed), Ok(())));
}
