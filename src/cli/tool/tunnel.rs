//! Ports of another computer, over one connection with it.
//!
//! TCP connections travel as streams of [`mux::tunnel`](crate::mux::tunnel), UDP in datagrams: see `udp`.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, UdpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::exit::{Exit, Failure};
use super::args::TunnelArgs;
use super::session::Tool;
use super::udp;
use crate::mux::{Mux, tunnel};
use crate::{ConnectAddress, Connection};

pub(super) async fn run(tool: &Tool<'_>, arguments: &TunnelArgs) -> Result<(), Failure> {
    match (&arguments.key, arguments.at, &arguments.to) {
        (Some(key), Some(at), _) => open(tool, arguments, key, at).await,
        (_, _, Some(target)) => serve(tool, arguments, target).await,
        // The arguments would have been refused.
        _ => Ok(()),
    }
}

/// A socket of this computer whose clients reach the other end.
enum Port {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Carries what comes to a port of this computer, and connects again when the connection ends.
async fn open(
    tool: &Tool<'_>,
    arguments: &TunnelArgs,
    key: &ConnectAddress,
    at: SocketAddrV4,
) -> Result<(), Failure> {
    let (port, at) = Port::bind(arguments.udp, at).await.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot listen at {at}"));
        Failure::from_error(Exit::Usage, error).hint("name a free port of this computer with --at IP:PORT")
    })?;
    let mut connection = tool.connect(key).await?;
    let own = tool.identity.public_key();
    tool.output.line(&format!("{at} leads to {}", key.public_key()));
    let event =
        json!({"event": "open", "address": at, "public_key": key.public_key(), "own_public_key": own});
    tool.output.json(&event);
    tool.output.delivered()?;
    loop {
        let ended = match &port {
            Port::Tcp(listener) => tunnel::open(&Mux::new(connection), listener).await.map_err(Failure::from),
            Port::Udp(socket) => udp::open(&connection, socket, arguments.connections).await,
        };
        cut_off(tool, &ended);
        connection = loop {
            // What comes meanwhile waits.
            sleep(AGAIN).await;
            match tool.connect(key).await {
                Ok(connection) => break connection,
                failed => cut_off(tool, &failed.map(drop)),
            }
        };
        tool.output.note("connected again");
        tool.output.json(&json!({"event": "connected"}));
    }
}

impl Port {
    async fn bind(udp: bool, at: SocketAddrV4) -> std::io::Result<(Self, SocketAddr)> {
        if udp {
            let socket = UdpSocket::bind(at).await?;
            let at = socket.local_addr()?;
            return Ok((Self::Udp(socket), at));
        }
        let socket = TcpSocket::new_v4()?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(at.into())?;
        let listener = socket.listen(BACKLOG)?;
        let at = listener.local_addr()?;
        Ok((Self::Tcp(listener), at))
    }
}

/// Prints why the connection is no more. The tunnel goes on.
fn cut_off(tool: &Tool<'_>, ended: &Result<(), Failure>) {
    let why = ended.as_ref().err().map(|failure| failure.error.to_string());
    let why = why.as_deref().unwrap_or("the other end has closed it");
    tool.output.note(&format!("no connection: {why}"));
    tool.output.json(&json!({"event": "disconnected", "message": why}));
}

/// Lets peers reach a port.
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
        let (target, udp, most) = (target.to_owned(), arguments.udp, arguments.connections);
        tasks.spawn(async move {
            let _place = place;
            let served = serve_one(connection, target, udp, most).await;
            if let Err(failure) = served {
                tracing::info!(error = %failure.error, "a peer was cut off");
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn serve_one(connection: Connection, target: String, udp: bool, most: usize) -> Result<(), Failure> {
    // A recorded handshake names a key that is let in, and reaches nothing.
    connection.proven().await?;
    match udp {
        true => udp::serve(connection, &target, most).await,
        false => Ok(tunnel::serve(&Mux::new(connection), &target).await?),
    }
}

/// TCP connections that wait to be accepted. The system resets some of those beyond, and the 128 of the
/// standard library are too few for a program that opens a thousand at once.
const BACKLOG: u32 = 4096;
/// Time between two attempts to connect.
const AGAIN: Duration = Duration::from_secs(1);
