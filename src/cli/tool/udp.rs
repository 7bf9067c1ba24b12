//! UDP datagrams in datagrams of connections.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::exit::{Exit, Failure};
use super::session::{Tool, cannot_listen, opened, report};
use crate::api::StreamError;
use crate::{ConnectAddress, Connection};

/// Where the datagrams of one connection go and come from.
pub(super) enum Udp {
    /// What the listening end has a port to.
    Target(UdpSocket),
    /// One source at the port of the other end, which has the socket with all of them.
    Source { socket: Arc<UdpSocket>, address: SocketAddr, came: mpsc::Receiver<Vec<u8>> },
}

impl Udp {
    /// Returns the next datagram; `None` if no more come.
    async fn recv(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<()>> {
        match self {
            Self::Target(socket) => {
                buffer.clear();
                socket.recv_buf(buffer).await.map(|_| Some(()))
            }
            Self::Source { came, .. } => Ok(came.recv().await.map(|datagram| *buffer = datagram)),
        }
    }

    async fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Self::Target(socket) => socket.send(datagram).await,
            Self::Source { socket, address, .. } => socket.send_to(datagram, address).await,
        }
    }
}

/// Carries datagrams in both directions until none has come for [`IDLE`], or the connection ends. A datagram
/// that is too large for a connection is dropped, as by a router that may not divide it.
pub(super) async fn carry(connection: &Connection, mut udp: Udp) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(DATAGRAM);
    loop {
        let next = async {
            tokio::select! {
                came = udp.recv(&mut buffer) => came.map(|came| came.map(|()| None)),
                came = connection.recv_datagram() => Ok(Some(Some(came?))),
            }
        };
        let outgoing = match timeout(IDLE, next).await {
            Ok(Ok(Some(Some(datagram)))) => {
                // Nobody is there, as ICMP reports later, or the system has no room: UDP loses datagrams.
                let _ = udp.send(&datagram).await;
                continue;
            }
            Ok(Ok(Some(None))) => &buffer,
            // What ICMP reports of an earlier datagram.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) | Err(_) => return Ok(()),
        };
        match connection.send_datagram(outgoing) {
            Ok(()) | Err(StreamError::TooLarge { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives each source of datagrams to a local port a connection to the other end.
pub(super) async fn open(
    tool: &Tool<'_>,
    key: &ConnectAddress,
    at: SocketAddrV4,
    sources: usize,
) -> Result<(), Failure> {
    let socket = Arc::new(UdpSocket::bind(at).await.map_err(|error| cannot_listen(&at, error))?);
    opened(tool, key, socket.local_addr().map_err(|error| cannot_listen(&at, error))?)?;
    let mut known: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut buffer = Vec::with_capacity(DATAGRAM);
    loop {
        buffer.clear();
        let (_, address) = match socket.recv_buf_from(&mut buffer).await {
            // What ICMP reports of an earlier answer.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            received => received.map_err(|error| {
                let error = anyhow::Error::new(error).context("cannot receive datagrams");
                Failure::from_error(Exit::Internal, error)
            })?,
        };
        // Those whose connection has ended.
        known.retain(|_, sender| !sender.is_closed());
        while tasks.try_join_next().is_some() {}
        if !known.contains_key(&address) && known.len() < sources {
            let (sender, came) = mpsc::channel(QUEUE);
            let udp = Udp::Source { socket: Arc::clone(&socket), address, came };
            let (connect, output) = (tool.dial(key).reusable_socket(), *tool.output);
            tasks.spawn(async move {
                let carried = async {
                    let connection = connect.await?;
                    carry(&connection, udp).await
                };
                report(&output, carried.await);
            });
            known.insert(address, sender);
        }
        if let Some(sender) = known.get(&address) {
            // What comes faster than it leaves is lost, as everywhere with UDP.
            let _ = sender.try_send(buffer.clone());
        }
    }
}

/// How long a source may be silent before its connection ends.
const IDLE: Duration = Duration::from_secs(120);
/// Datagrams of a source that wait for its connection.
const QUEUE: usize = 64;
/// Bytes of the largest datagram.
const DATAGRAM: usize = 65_535;
