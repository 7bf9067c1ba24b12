//! Ports of another computer.
//!
//! Each TCP connection has a connection of the DHT of its own, which carries its bytes and nothing else, as
//! with npm `hypertele`; all of them share one path. With UDP each source has one, whose datagrams carry one
//! datagram each.

use std::io;
use std::sync::Arc;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::exit::{Exit, Failure};
use super::args::TunnelArgs;
use super::session::{Tool, cannot_listen, opened, report};
use super::udp::{self, Udp};
use crate::api::Connect;
use crate::{ConnectAddress, Connection};

pub(super) async fn run(tool: &Tool<'_>, arguments: &TunnelArgs) -> Result<(), Failure> {
    match (&arguments.key, arguments.at, &arguments.to) {
        (Some(key), Some(at), _) if arguments.udp => udp::open(tool, key, at, arguments.connections).await,
        (Some(key), Some(at), _) => {
            let listener = TcpListener::bind(at).await.map_err(|error| cannot_listen(&at, error))?;
            opened(tool, key, listener.local_addr().map_err(|error| cannot_listen(&at, error))?)?;
            open(tool, key, &listener, arguments.connections).await
        }
        (_, _, Some(target)) => serve(tool, arguments, target).await,
        // The arguments would have been refused.
        _ => Ok(()),
    }
}

/// Connects each peer to the target.
async fn serve(tool: &Tool<'_>, arguments: &TunnelArgs, target: &str) -> Result<(), Failure> {
    // A name that is wrong is noticed before anyone comes.
    let _addresses = lookup_host(target).await.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot find {target}"));
        Failure::from_error(Exit::Usage, error).hint("--to takes HOST:PORT")
    })?;
    let server = tool.listen(&arguments.allow).await?;
    let key = server.public_key();
    tool.output.line(&key.to_z32());
    tool.output.json(&json!({"event": "listening", "public_key": key, "to": target}));
    let udp = if arguments.udp { " --udp" } else { "" };
    tool.output.note(&format!("the other end types: hyperdht tunnel {key} --at 127.0.0.1:PORT{udp}"));
    tool.output.delivered()?;
    let places = Arc::new(Semaphore::new(arguments.connections));
    let mut tasks = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let ended = || Failure::new(Exit::Internal, "the node has ended");
        let connection = server.accept().await.ok_or_else(ended)?;
        let (target, udp, output) = (target.to_owned(), arguments.udp, *tool.output);
        tasks.spawn(async move {
            let _place = place;
            let served =
                if udp { serve_udp(connection, &target).await } else { serve_tcp(connection, &target).await };
            report(&output, served);
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve_tcp(mut connection: Connection, target: &str) -> io::Result<()> {
    let forward = async {
        // A recorded handshake names a key that is let in; it opens no connection to the target.
        connection.proven().await?;
        let mut tcp = TcpStream::connect(target).await?;
        copy_bidirectional(&mut tcp, &mut connection).await
    };
    let forwarded = forward.await;
    if forwarded.is_err() {
        // The peer sees a reset, not an end that looks like a whole answer.
        connection.abort();
    }
    forwarded.map(drop)
}

async fn serve_udp(connection: Connection, target: &str) -> io::Result<()> {
    connection.proven().await?;
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(target).await?;
    udp::carry(&connection, Udp::Target(socket)).await
}

/// Gives each TCP connection to a local port a connection to the other end.
async fn open(
    tool: &Tool<'_>,
    key: &ConnectAddress,
    listener: &TcpListener,
    connections: usize,
) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(connections));
    let mut tasks = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let (tcp, _) = listener.accept().await.map_err(|error| {
            Failure::from_error(
                Exit::Internal,
                anyhow::Error::new(error).context("cannot take TCP connections"),
            )
        })?;
        // The path of one connection serves the next.
        let (connect, output) = (tool.dial(key).reusable_socket(), *tool.output);
        tasks.spawn(async move {
            let _place = place;
            report(&output, forward(tcp, connect).await);
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn forward(mut tcp: TcpStream, connect: Connect) -> io::Result<()> {
    let mut connection = connect.await?;
    let forwarded = copy_bidirectional(&mut tcp, &mut connection).await;
    if forwarded.is_err() {
        connection.abort();
    }
    forwarded.map(drop)
}
