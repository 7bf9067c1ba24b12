//! UDP over the datagrams of a connection: the number of a source (2, big-endian), then what it sends or
//! gets.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::super::exit::{Exit, Failure};
use crate::Connection;
use crate::api::StreamError;

/// Carries what comes to a port, and brings the answers back to each source, until the connection ends.
pub(super) async fn open(connection: &Connection, port: &UdpSocket, most: usize) -> Result<(), Failure> {
    let mut sources = Sources { most, numbers: HashMap::new(), slots: Vec::new() };
    let mut buffer = Vec::with_capacity(LONGEST);
    loop {
        buffer.resize(NUMBER, 0);
        tokio::select! {
            received = port.recv_buf_from(&mut buffer) => {
                // An error is what ICMP reports of an earlier answer: that source is gone.
                let Ok((_, source)) = received else { continue };
                let Some(number) = sources.number(source) else { continue };
                buffer[..NUMBER].copy_from_slice(&number.to_be_bytes());
                send(connection, &buffer)?;
            }
            answer = connection.recv_datagram() => {
                let answer = answer?;
                if let Some((number, datagram)) = answer.split_first_chunk()
                    && let Some(source) = sources.address(u16::from_be_bytes(*number))
                {
                    // As above, or the system has no room: UDP loses datagrams.
                    let _ = port.send_to(datagram, source).await;
                }
            }
        }
    }
}

/// The programs that send to a port, by number. One that is silent for [`SILENT`] makes room for another.
struct Sources {
    most: usize,
    numbers: HashMap<SocketAddr, u16>,
    slots: Vec<(SocketAddr, Instant)>,
}

impl Sources {
    fn number(&mut self, source: SocketAddr) -> Option<u16> {
        let now = Instant::now();
        let number = match self.numbers.get(&source) {
            Some(number) => *number,
            None if self.slots.len() < self.most => {
                let number = u16::try_from(self.slots.len()).ok()?;
                self.slots.push((source, now));
                number
            }
            None => {
                let silent = self.slots.iter().position(|(_, heard)| now - *heard >= SILENT)?;
                self.numbers.remove(&self.slots[silent].0);
                u16::try_from(silent).ok()?
            }
        };
        self.slots[usize::from(number)] = (source, now);
        self.numbers.insert(source, number);
        Some(number)
    }

    fn address(&mut self, number: u16) -> Option<SocketAddr> {
        let (source, heard) = self.slots.get_mut(usize::from(number))?;
        *heard = Instant::now();
        Some(*source)
    }
}

/// Sends what comes over a connection to a port, from a socket for each source, until the connection ends.
pub(super) async fn serve(connection: Connection, target: &str, most: usize) -> Result<(), Failure> {
    let connection = Arc::new(connection);
    let mut sockets: HashMap<u16, Arc<UdpSocket>> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let datagram = tokio::select! {
            Some(done) = tasks.join_next() => {
                if let Ok(number) = done {
                    sockets.remove(&number);
                }
                continue;
            }
            datagram = connection.recv_datagram() => datagram?,
        };
        let Some((number, datagram)) = datagram.split_first_chunk() else { continue };
        let number = u16::from_be_bytes(*number);
        let socket = match sockets.get(&number) {
            Some(socket) => socket,
            None if sockets.len() >= most => continue,
            None => {
                let socket = Arc::new(socket_to(target).await.map_err(|error| {
                    let what = format!("cannot send to {target}");
                    Failure::from_error(Exit::Internal, anyhow::Error::new(error).context(what))
                })?);
                tasks.spawn(answers(Arc::clone(&connection), Arc::clone(&socket), number));
                sockets.entry(number).or_insert(socket)
            }
        };
        // Nobody is there, as ICMP has reported, or the system has no room: UDP loses datagrams.
        let _ = socket.send(datagram).await;
    }
}

async fn socket_to(target: &str) -> io::Result<UdpSocket> {
    let address = lookup_host(target).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Carries the answers to one source until none has come for [`UNANSWERED`]; returns its number.
async fn answers(connection: Arc<Connection>, socket: Arc<UdpSocket>, number: u16) -> u16 {
    let mut buffer = Vec::with_capacity(LONGEST);
    loop {
        buffer.clear();
        buffer.extend(number.to_be_bytes());
        match timeout(UNANSWERED, socket.recv_buf(&mut buffer)).await {
            Ok(Ok(_)) if send(&connection, &buffer).is_err() => return number,
            // An error is what ICMP reports of an earlier datagram.
            Ok(_) => {}
            Err(_) => return number,
        }
    }
}

/// Sends a datagram. One that is too large is dropped, as by a router that may not divide it.
fn send(connection: &Connection, datagram: &[u8]) -> Result<(), StreamError> {
    match connection.send_datagram(datagram) {
        Err(StreamError::TooLarge { .. }) => Ok(()),
        sent => sent,
    }
}

/// Bytes of the number of a source.
const NUMBER: usize = 2;
/// Bytes of the longest datagram, with that number.
const LONGEST: usize = NUMBER + 65_535;
/// How long a source has to be silent for its number to go to another one.
const SILENT: Duration = Duration::from_secs(120);
/// How long a port has to be silent for its socket to be closed; less than that, so that no answer comes to
/// another source.
const UNANSWERED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyPair, Testnet};

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_silent_makes_room_for_another() {
        let mut sources = Sources { most: 2, numbers: HashMap::new(), slots: Vec::new() };
        let [a, b, c] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!([a, b, a, c].map(|source| sources.number(source)), [Some(0), Some(1), Some(0), None]);
        tokio::time::advance(SILENT).await;
        assert_eq!(sources.address(0), Some(a));
        assert_eq!(sources.number(c), Some(1), "the other one has just got an answer");
        assert_eq!((sources.address(1), sources.address(2)), (Some(c), None));
        assert_eq!(sources.number(b), None);
        assert_eq!(sources.numbers.len(), 2);
    }

    #[tokio::test]
    async fn a_peer_gets_only_so_many_sockets_and_only_whole_datagrams_count() {
        let network = Testnet::new(3).await.unwrap();
        let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
        let peer = network.nodes()[2].connect(server.public_key()).await.unwrap();
        let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap().to_string();
        let connection = server.accept().await.unwrap();
        let serving = tokio::spawn(async move { serve(connection, &target, 1).await });
        for datagram in [&b"\0"[..], b"\0\x07a", b"\0\x08b", b"\0\x07c"] {
            peer.send_datagram(datagram).unwrap();
        }
        let mut buffer = [0; 10];
        for expected in [b"a", b"c"] {
            let (length, source) = echo.recv_from(&mut buffer).await.unwrap();
            assert_eq!(buffer[..length], expected[..]);
            echo.send_to(&buffer[..length], source).await.unwrap();
            assert_eq!(peer.recv_datagram().await.unwrap()[..], [&b"\0\x07"[..], expected].concat());
        }
        peer.abort();
        assert!(serving.await.unwrap().is_err());
    }
}
