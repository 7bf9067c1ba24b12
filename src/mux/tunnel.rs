//! TCP connections over one connection: a port of the peer's computer, or of one that it reaches, as a port
//! here.
//!
//! Both sides take a [`Mux`] of the same connection. Each TCP connection has a stream of its own, so that one
//! whose reader is slow holds up no other. Its two directions end on their own, and a TCP connection that
//! fails on one side is reset on the other.
//!
//! Each takes a file descriptor for each TCP connection: many systems give a process 1,024 unless it asks for
//! more.
//!
//! The functions end when the connection does, and the TCP connections with them. After an orderly end, a TCP
//! connection for which all has come from the peer has 5 s to take it. To go on, dial again and call [`open`]
//! with the new mux and the same listener: TCP connections that come meanwhile wait in its queue.
//!
//! ```
//! use hyperprofile::mux::{Mux, tunnel};
//! # use hyperprofile::{KeyPair, Testnet};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let network = Testnet::new(3).await?;
//! # let server = network.nodes()[1].listen(KeyPair::generate()).await?;
//! # let key = *server.public_key();
//! # let dht = network.builder().spawn().await?;
//! # let greeter = TcpListener::bind("127.0.0.1:0").await?;
//! # let target = greeter.local_addr()?.to_string();
//! # tokio::spawn(async move { greeter.accept().await?.0.write_all(b"hello").await });
//! // Where the TCP server `target` can be reached:
//! tokio::spawn(async move {
//!     while let Some(connection) = server.accept().await {
//!         let target = target.clone();
//!         tokio::spawn(async move { tunnel::serve(&Mux::new(connection), &target).await });
//!     }
//! });
//!
//! // On another computer:
//! let mux = Mux::new(dht.connect(key).await?);
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move { tunnel::open(&mux, &listener).await });
//!
//! let mut greeting = String::new();
//! TcpStream::connect(address).await?.read_to_string(&mut greeting).await?;
//! assert_eq!(greeting, "hello");
//! # Ok(())
//! # }
//! ```

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::forward::forward;
use super::{ByteStream, Mux, MuxError};

/// Carries each TCP connection that comes to `listener` to the peer, which calls [`serve`].
///
/// Returns once the connection has ended in order.
///
/// # Errors
///
/// [`MuxError`] if the connection has failed. A TCP connection that fails, or that there is no stream left
/// for ([`MuxError::TooMany`]), is reset and ends nothing else.
///
/// # Cancel safety
///
/// Dropping the future resets the TCP connections that are open; the listener keeps those that wait.
pub async fn open(mux: &Mux, listener: &TcpListener) -> Result<(), MuxError> {
    let mut copies = JoinSet::new();
    loop {
        let tcp = tokio::select! {
            ended = mux.closed() => return finish(copies, ended),
            Some(_) = copies.join_next() => continue,
            tcp = accept(listener) => tcp,
        };
        match mux.open_stream(NAME) {
            Ok(stream) => drop(copies.spawn(copy(tcp, stream))),
            Err(MuxError::TooMany { max }) => {
                tracing::warn!(max, "a TCP connection was refused: the connection has no stream left");
                reset(&tcp);
            }
            Err(MuxError::Closed) => return finish(copies, Ok(())),
            Err(error) => return Err(error),
        }
    }
}

/// Connects each stream that the peer opens, which calls [`open`], to a TCP server: `HOST:PORT`.
///
/// Returns once the connection has ended in order.
///
/// # Errors
///
/// [`MuxError`] if the connection has failed, or something serves on it already. If the TCP server can't be
/// reached, the stream is reset, and with it the TCP connection on the other side.
///
/// # Cancel safety
///
/// Dropping the future resets the TCP connections that are open.
pub async fn serve(mux: &Mux, target: &str) -> Result<(), MuxError> {
    let mut streams = mux.listen_streams(NAME)?;
    let mut copies = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = streams.accept() => stream,
            Some(_) = copies.join_next() => continue,
        };
        let Some(stream) = stream else {
            return finish(copies, mux.closed().await);
        };
        let target = target.to_owned();
        copies.spawn(async move {
            match TcpStream::connect(&target).await {
                Ok(tcp) => copy(tcp, stream).await,
                Err(error) => tracing::warn!(to = %target, %error, "a stream was reset: no TCP connection"),
            }
        });
    }
}

/// Resets the TCP connections of a connection that has failed. After an orderly end those that have all from
/// the peer are given the time to take it; the others fail at once.
fn finish(mut copies: JoinSet<()>, ended: Result<(), MuxError>) -> Result<(), MuxError> {
    if ended.is_ok() {
        tokio::spawn(async move {
            let finished = async { while copies.join_next().await.is_some() {} };
            if tokio::time::timeout(FINISH_FOR, finished).await.is_err() {
                tracing::debug!("TCP connections of a tunnel that has ended are reset");
            }
        });
    }
    ended
}

/// Accepts a TCP connection. A process that has no file descriptor left, or a client that has gone away
/// meanwhile, does not end the rest.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => return tcp,
            Err(error) => {
                tracing::warn!(%error, "no TCP connection could be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn copy(tcp: TcpStream, stream: ByteStream) {
    // Also when this is dropped.
    reset(&tcp);
    let copied: io::Result<()> = async {
        tcp.set_nodelay(true)?;
        forward(&tcp, &stream).await?;
        SockRef::from(&tcp).set_linger(None)
    }
    .await;
    if let Err(error) = copied {
        tracing::debug!(%error, "a TCP connection of a tunnel has failed");
    }
}

/// Has the other end of a TCP connection see a reset when it is dropped, not an end that looks like a whole
/// answer.
fn reset(tcp: &TcpStream) {
    if let Err(error) = SockRef::from(tcp).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "a TCP connection may end without a reset");
    }
}

/// The name of the streams.
const NAME: &str = "tcp";

/// How long the TCP connections of a connection that has ended in order may take.
const FINISH_FOR: Duration = Duration::from_secs(5);

/// How long to wait after a TCP connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
