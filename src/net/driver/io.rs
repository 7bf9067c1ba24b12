//! The sockets of a node: hands received datagrams to the endpoint and sends its trains.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tracing::{debug, trace};

use super::ready::Ready;
use crate::connect::Endpoint;
use crate::net::interfaces;
use crate::net::pool::{Buffers, Receive};
use crate::net::settings::Settings;
use crate::net::socket::{Sent, Socket};
use crate::net::stats::Traffic;
use crate::wire::transmit::{SocketId, Train};

/// The open sockets, and the train that is being sent.
#[derive(Debug)]
pub(super) struct Io {
    /// The address that further sockets bind to.
    ip: Ipv4Addr,
    sockets: BTreeMap<SocketId, Socket>,
    /// Which of the sockets beside the main ones have become readable.
    ready: Ready,
    /// Bytes of the train that is being sent.
    buffer: Vec<u8>,
    /// The train in `buffer` that the system has not taken whole; nothing overtakes it.
    blocked: Option<Blocked>,
    traffic: Traffic,
}

#[derive(Debug)]
struct Blocked {
    train: Train,
    /// Bytes that the system has taken.
    sent: usize,
}

impl Io {
    /// Binds the two main sockets. Must be called on a tokio runtime.
    pub(super) fn bind(settings: &Settings) -> io::Result<Self> {
        let ip = *settings.bind.ip();
        let mut server = Socket::bind_near(settings.bind, settings.other_port)?;
        let mut client = Socket::bind(SocketAddrV4::new(ip, 0))?;
        let public = settings.endpoint.dht.public_address;
        if let Some(own) = public.map(|address| *address.ip())
            && interfaces::is_own(own)
        {
            server.prefer(own);
            client.prefer(own);
        }
        let sockets = BTreeMap::from([(SocketId::SERVER, server), (SocketId::CLIENT, client)]);
        for (id, socket) in &sockets {
            debug!(socket = id.0, address = %socket.local(), "main socket opened");
        }
        Ok(Self {
            ip,
            sockets,
            ready: Ready::default(),
            buffer: Vec::new(),
            blocked: None,
            traffic: Traffic::default(),
        })
    }

    /// Returns the local addresses of the main sockets, server first, or `None` once they are closed.
    pub(super) fn main_addresses(&self) -> Option<(SocketAddrV4, SocketAddrV4)> {
        let local = |id| self.sockets.get(&id).map(Socket::local);
        Some((local(SocketId::SERVER)?, local(SocketId::CLIENT)?))
    }

    /// Opens a socket beside the main ones; returns its local address, or `None` if the system refuses.
    pub(super) fn open(&mut self, id: SocketId) -> Option<SocketAddrV4> {
        match Socket::bind(SocketAddrV4::new(self.ip, 0)) {
            Ok(socket) => {
                let local = socket.local();
                debug!(socket = id.0, address = %local, "socket opened");
                self.sockets.insert(id, socket);
                self.ready.add(id);
                Some(local)
            }
            Err(error) => {
                debug!(socket = id.0, %error, "socket not opened");
                None
            }
        }
    }

    /// Closes a socket beside the main ones.
    pub(super) fn close(&mut self, id: SocketId) {
        if self.sockets.remove(&id).is_some() {
            debug!(socket = id.0, "socket closed");
        }
        self.ready.remove(id);
    }

    /// Closes all sockets.
    pub(super) fn close_all(&mut self) {
        self.sockets.clear();
    }

    /// Hands what the sockets have to the endpoint, up to a bound for each; returns whether there may be
    /// more.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, now: Instant, endpoint: &mut Endpoint) -> bool {
        let (mut more, mut any) = (false, false);
        for id in [SocketId::SERVER, SocketId::CLIENT] {
            more |= self.receive_from(cx, now, id, endpoint, &mut any);
        }
        for (id, waker) in self.ready.take(cx.waker()) {
            if self.receive_from(&mut Context::from_waker(&waker), now, id, endpoint, &mut any) {
                waker.wake();
            }
        }
        if any {
            endpoint.flush(now);
        }
        more
    }

    fn receive_from(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        id: SocketId,
        endpoint: &mut Endpoint,
        any: &mut bool,
    ) -> bool {
        let mut datagrams = 0;
        while let Some(socket) = self.sockets.get(&id)
            && let Poll::Ready(Ok(())) = socket.poll_readable(cx)
        {
            if datagrams >= MAX_DATAGRAMS {
                return true;
            }
            // An error counts too: it may stand for a sent datagram that was refused somewhere.
            datagrams += 1 + self.receive_batch(now, id, endpoint, Socket::receive, any);
        }
        false
    }

    /// Hands what the main sockets have to the endpoint, one batch each, whether or not the runtime knows
    /// that they have any; returns whether they had.
    pub(super) fn receive_now(&mut self, now: Instant, endpoint: &mut Endpoint) -> bool {
        let mut any = false;
        for id in [SocketId::SERVER, SocketId::CLIENT] {
            self.receive_batch(now, id, endpoint, Socket::receive_now, &mut any);
        }
        if any {
            endpoint.flush(now);
        }
        any
    }

    /// Hands a batch to the endpoint and returns how many datagrams it had.
    fn receive_batch(
        &mut self,
        now: Instant,
        id: SocketId,
        endpoint: &mut Endpoint,
        verb: Receive,
        any: &mut bool,
    ) -> usize {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return 0;
        };
        let before = self.traffic.datagrams_received;
        Buffers::with(|buffers| {
            // Of errors nothing is known but that nothing came.
            let filled = buffers.receive(socket, verb).unwrap_or(0);
            for index in 0..filled {
                let (meta, received) = buffers.datagrams(index);
                let SocketAddr::V4(from) = meta.addr else {
                    continue;
                };
                socket.note_arrival(from, meta);
                self.traffic.bytes_received += meta.len as u64;
                if meta.len == 0 {
                    endpoint.handle_datagram(now, id, from, &[]);
                }
                for datagram in received {
                    self.traffic.datagrams_received += 1;
                    endpoint.handle_datagram(now, id, from, datagram);
                }
            }
            *any |= filled > 0;
        });
        (self.traffic.datagrams_received - before) as usize
    }

    /// Sends the endpoint's trains until it has none, the system takes no more or `budget` trains are sent;
    /// returns whether it took a train from the endpoint.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        endpoint: &mut Endpoint,
        budget: &mut usize,
    ) -> bool {
        let mut any = false;
        self.resume(cx, now);
        while self.blocked.is_none() && *budget > 0 {
            self.buffer.clear();
            let server = self.sockets.get(&SocketId::SERVER);
            let segments = server.map_or(1, Socket::max_segments);
            let Some(train) = endpoint.poll_transmit(now, segments, &mut self.buffer) else {
                break;
            };
            any = true;
            *budget -= 1;
            self.blocked = Some(Blocked { train, sent: 0 });
            self.resume(cx, now);
        }
        any
    }

    /// Sends the train in the buffer as far as the system takes it.
    fn resume(&mut self, cx: &mut Context<'_>, now: Instant) {
        while let Some(Blocked { train, sent }) = &mut self.blocked {
            let Some(socket) = self.sockets.get_mut(&train.socket) else {
                self.blocked = None;
                return;
            };
            let rest = &self.buffer[*sent..];
            match socket.send(now, train, rest) {
                Sent::All { calls, failed } => {
                    let datagrams = self.buffer.len().div_ceil(train.segment_size.max(1));
                    trace!(to = %train.destination, datagrams, "sent");
                    self.traffic.sends += calls;
                    self.traffic.send_errors += u64::from(failed);
                    self.traffic.datagrams_sent += datagrams as u64;
                    self.traffic.bytes_sent += self.buffer.len() as u64;
                    self.blocked = None;
                }
                Sent::Blocked(more) => {
                    *sent += more;
                    // A ready socket takes the next try at once; otherwise its task is woken.
                    if socket.is_blocking() || socket.poll_writable(cx).is_pending() {
                        return;
                    }
                }
            }
        }
    }

    /// Lets a full socket hold up its sender for a moment, instead of a task that waits for it.
    pub(super) fn block(&mut self) {
        for socket in self.sockets.values_mut() {
            socket.block();
        }
    }

    /// Sends what the endpoint has, after [`Self::block`], up to a bound and until a socket takes no more.
    pub(super) fn send_now(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let mut budget = LAST_TRAINS;
        while self.send(&mut Context::from_waker(Waker::noop()), now, endpoint, &mut budget) {}
    }

    /// Returns whether a train waits for the system to take it.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }
}

/// Trains that are sent when the node ends without a runtime.
const LAST_TRAINS: usize = 4096;

/// Datagrams taken from one socket per turn, after which others get theirs.
const MAX_DATAGRAMS: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connect::Config;

    #[tokio::test]
    async fn a_turn_takes_so_many_datagrams_and_the_next_one_more() {
        let mut io = Io::bind(&Settings::for_tests()).expect("loopback has ports");
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let (server, _) = io.main_addresses().expect("they are bound");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let sent = MAX_DATAGRAMS + 100;
        for _ in 0..sent {
            peer.send_to(b"longer", server).expect("loopback takes it");
        }
        std::future::poll_fn(|cx| io.sockets[&SocketId::SERVER].poll_readable(cx)).await.expect("it is open");
        let mut turn = async || {
            let more = std::future::poll_fn(|cx| Poll::Ready(io.receive(cx, now, &mut endpoint))).await;
            (more, io.traffic().datagrams_received as usize)
        };
        let (more, received) = turn().await;
        assert!(more && (MAX_DATAGRAMS / 2..sent).contains(&received), "{received} of {sent}");
        let (_, received) = turn().await;
        assert_eq!(received, sent);
    }

    #[tokio::test]
    async fn a_datagram_is_taken_before_the_runtime_knows_of_it() {
        let mut io = Io::bind(&Settings::for_tests()).expect("loopback has ports");
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let (_, client) = io.main_addresses().expect("they are bound");
        assert!(!io.receive_now(now, &mut endpoint));
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        peer.send_to(b"longer", client).expect("loopback takes it");
        // No await in between: the runtime has asked the system for nothing.
        assert!(io.receive_now(now, &mut endpoint));
        assert_eq!(io.traffic().datagrams_received, 1);
    }

    #[tokio::test]
    async fn a_socket_beside_the_main_ones_is_read_from_until_it_is_closed() {
        let settings = Settings::for_tests();
        let mut io = Io::bind(&settings).expect("loopback has ports");
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let id = SocketId(7);
        let local = io.open(id).expect("loopback has ports");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        // Probes, and something longer; an empty datagram counts as none.
        for datagram in [&b""[..], b"\0", b"longer"] {
            peer.send_to(datagram, local).expect("loopback takes it");
        }
        let received = std::future::poll_fn(|cx| {
            io.receive(cx, now, &mut endpoint);
            match io.traffic().datagrams_received {
                2.. => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        tokio::time::timeout(Duration::from_secs(30), received).await.expect("they have arrived");
        io.close(id);
        assert!(std::net::UdpSocket::bind(local).is_ok(), "the port is free");
    }
}
