//! TCP connections and byte streams over one connection.

use std::future::IntoFuture;
use std::io::ErrorKind;

use hyperprofile::api::{Server, Testnet};
use hyperprofile::mux::{ByteStream, Mux, MuxError, tunnel};
use hyperprofile::{Dht, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::{listen, soon};

struct Two {
    network: Testnet,
    server: Server,
    ours: Mux,
    theirs: Mux,
}

/// A connection between two nodes of this crate.
async fn two() -> Two {
    let network = Testnet::new(3).await.unwrap();
    let server = listen(&network.nodes()[1]).await;
    let ours = dial(&network.nodes()[2], &server).await;
    let theirs = Mux::new(soon(server.accept()).await.unwrap());
    Two { network, server, ours, theirs }
}

async fn dial(dht: &Dht, server: &Server) -> Mux {
    let connect = dht.connect(server.public_key()).key_pair(KeyPair::generate());
    Mux::new(soon(connect.into_future()).await.unwrap())
}

/// Sends back what each TCP connection sends.
async fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = tcp.split();
                // The peer of some is reset.
                if copy(&mut read, &mut write).await.is_ok() {
                    let _ = write.shutdown().await;
                }
            });
        }
    });
    address
}

/// Both ends of a thousand TCP connections, twice, are in this process.
fn allow_many_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    }
}

/// Starts both sides of a tunnel; returns the address that leads through it.
async fn tunnel(two: &Two, target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (ours, theirs) = (two.ours.clone(), two.theirs.clone());
    tokio::spawn(async move { tunnel::open(&ours, &listener).await });
    tokio::spawn(async move { tunnel::serve(&theirs, &target).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tcp_connections_go_through_one_tunnel() {
    const SIZE: usize = 20_000;
    allow_many_files();
    let two = two().await;
    let address = tunnel(&two, echo_server().await).await;
    let mut open = Vec::new();
    for n in 0..1000_usize {
        let mut tcp = soon(TcpStream::connect(&address)).await.unwrap();
        tcp.write_all(&[n as u8; SIZE]).await.unwrap();
        open.push(tcp);
    }
    // All of them are open at the same time, and none has another's bytes.
    for (n, tcp) in open.iter_mut().enumerate() {
        let mut came = vec![0; SIZE];
        soon(tcp.read_exact(&mut came)).await.unwrap();
        assert!(came.iter().all(|byte| *byte == n as u8), "{n}");
    }
    for mut tcp in open {
        tcp.shutdown().await.unwrap();
        assert_eq!(soon(tcp.read(&mut [0])).await.unwrap(), 0, "the end comes through");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_connection_that_cannot_be_made_is_reset_on_the_other_side() {
    let two = two().await;
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let address = tunnel(&two, unused.to_string()).await;
    // The reset may be there before the connection is handed out.
    let outcome = match soon(TcpStream::connect(&address)).await {
        Ok(mut tcp) => soon(tcp.read(&mut [0])).await,
        Err(error) => Err(error),
    };
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_tunnel_end_with_the_connection() {
    let two = two().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = (two.ours.clone(), two.theirs.clone());
    let target = echo_server().await;
    let address = listener.local_addr().unwrap();
    let opening = tokio::spawn(async move { (tunnel::open(&ours, &listener).await, listener) });
    let serving = tokio::spawn(async move { tunnel::serve(&theirs, &target).await });
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(b"x").await.unwrap();
    soon(tcp.read_exact(&mut [0])).await.unwrap();
    two.theirs.abort();
    assert_eq!(soon(serving).await.unwrap(), Ok(()));
    let (ended, listener) = soon(opening).await.unwrap();
    assert!(matches!(ended, Err(MuxError::Connection(_))), "{ended:?}");
    soon(tcp.read(&mut [0])).await.unwrap_err();

    // What comes meanwhile waits for the next connection.
    let mut waits = TcpStream::connect(address).await.unwrap();
    waits.write_all(b"y").await.unwrap();
    let ours = dial(&two.network.nodes()[2], &two.server).await;
    let theirs = Mux::new(soon(two.server.accept()).await.unwrap());
    let target = echo_server().await;
    tokio::spawn(async move { tunnel::open(&ours, &listener).await });
    tokio::spawn(async move { tunnel::serve(&theirs, &target).await });
    let mut came = [0];
    soon(waits.read_exact(&mut came)).await.unwrap();
    assert_eq!(&came, b"y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_connection_gets_all_that_came_before_the_connection_ended_in_order() {
    let Two { network: _network, server: _server, ours, theirs } = two().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opening = tokio::spawn(async move { tunnel::open(&ours, &listener).await });
    let mut streams = theirs.listen_streams("tcp").unwrap();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let mut stream = soon(streams.accept()).await.unwrap();
    let answer = vec![7; 1 << 20];
    soon(stream.write_all(&answer)).await.unwrap();
    stream.shutdown().await.unwrap();
    drop((stream, streams, theirs));
    assert_eq!(soon(opening).await.unwrap(), Ok(()));
    let mut came = Vec::new();
    soon(tcp.read_to_end(&mut came)).await.unwrap();
    assert!(came == answer, "{} bytes", came.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let two = two().await;
    let mut listener = two.theirs.listen_streams("s").unwrap();
    let mut unread = two.ours.open_stream("s").unwrap();
    let writing = tokio::spawn(async move { unread.write_all(&vec![0; 1 << 20]).await });
    let _held = soon(listener.accept()).await.unwrap();
    let (mut ours, mut theirs) = (two.ours.open_stream("s").unwrap(), soon(listener.accept()).await.unwrap());
    // Much more than any window.
    let total: usize = 20 << 20;
    let sending = tokio::spawn(async move {
        ours.write_all(&vec![7; total]).await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut received = 0;
    let mut buffer = vec![0; 100_000];
    loop {
        match soon(theirs.read(&mut buffer)).await.unwrap() {
            0 => break,
            bytes => received += bytes,
        }
    }
    assert_eq!(received, total);
    assert!(!writing.is_finished());
    writing.abort();
    drop(soon(sending).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_reset_or_refused() {
    let two = two().await;
    let mut listener = two.theirs.listen_streams("s").unwrap();
    let kind = |result: std::io::Result<usize>| result.unwrap_err().kind();
    let (mut ours, mut theirs): (ByteStream, _) = {
        let mut ours = two.ours.open_stream("s").unwrap();
        ours.write_all(b"x").await.unwrap();
        (ours, soon(listener.accept()).await.unwrap())
    };
    theirs.read_exact(&mut [0]).await.unwrap();
    drop(theirs);
    assert_eq!(kind(soon(ours.read(&mut [0])).await), ErrorKind::ConnectionReset);
    assert_eq!(kind(ours.write(b"x").await), ErrorKind::BrokenPipe);
    let mut refused = two.ours.open_stream("nobody listens").unwrap();
    assert_eq!(kind(soon(refused.read(&mut [0])).await), ErrorKind::ConnectionRefused);
}
