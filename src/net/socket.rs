//! A UDP socket with segmentation offload.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::task::{Context, Poll};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{debug, trace};

use super::origins::Origins;
use crate::wire::transmit::Train;

/// A UDP socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddrV4,
    ttl: u32,
    /// For a socket that is bound to all addresses of this host.
    origins: Option<Origins>,
    /// Whether the system has refused a train whose datagrams it took one by one.
    refuses_trains: bool,
}

/// What became of a train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is gone, or counts as lost.
    All {
        /// Calls to the system.
        calls: u64,
        /// Whether the system refused a part.
        failed: bool,
    },
    /// The system's buffer is full; the first so many bytes are gone.
    Blocked(usize),
}

impl Socket {
    /// Binds a socket. Must be called on a tokio runtime.
    pub(super) fn bind(address: SocketAddrV4) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        enlarge(&socket, &state);
        let local = match socket.local_addr()? {
            SocketAddr::V4(local) => local,
            SocketAddr::V6(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let ttl = SockRef::from(&socket).ttl_v4()?;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            local,
            ttl,
            origins: local.ip().is_unspecified().then(Origins::default),
            refuses_trains: false,
        })
    }

    /// Binds the first free port of the given one and the four that follow, or else any port if `other`
    /// allows it.
    pub(super) fn bind_near(address: SocketAddrV4, other: bool) -> io::Result<Self> {
        let port = address.port();
        if port == 0 || !other {
            return Self::bind(address);
        }
        (0..5)
            .filter_map(|offset| port.checked_add(offset))
            .find_map(|port| Self::bind(SocketAddrV4::new(*address.ip(), port)).ok())
            .map_or_else(|| Self::bind(SocketAddrV4::new(*address.ip(), 0)), Ok)
    }

    /// Names the address of this host that datagrams leave from where nothing else is known, if the socket is
    /// bound to all of them.
    pub(super) const fn prefer(&mut self, own: Ipv4Addr) {
        if let Some(origins) = &mut self.origins {
            origins.prefer(own);
        }
    }

    pub(super) const fn local(&self) -> SocketAddrV4 {
        self.local
    }

    /// Returns how many datagrams one train may have.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().clamp(1, MAX_SEGMENTS)
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_recv_ready(cx)
    }

    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }

    /// Receives a batch; an error of kind `WouldBlock` means that there is nothing.
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let mut filled = 0;
        let received = self.io.try_io(Interest::READABLE, || {
            filled = self.state.recv((&self.io).into(), buffers, metas)?;
            // A batch that is not full has emptied the socket: it counts as unreadable without another call.
            if filled < metas.len() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match received {
            Err(error) if filled == 0 => Err(error),
            _ => Ok(filled),
        }
    }

    /// Notes at which address of this host a datagram of `from` has arrived: what goes back leaves from
    /// there.
    pub(super) fn note_arrival(&mut self, from: SocketAddrV4, meta: &RecvMeta) {
        if let (Some(origins), Some(IpAddr::V4(own))) = (&mut self.origins, meta.dst_ip) {
            origins.note(from, own);
        }
    }

    /// Sends a train. A time to live is set, used and restored here, so that no other datagram leaves with
    /// it.
    pub(super) fn send(&mut self, train: &Train, bytes: &[u8]) -> Sent {
        if let Some(ttl) = train.ttl {
            self.set_ttl(ttl.into());
        }
        let sent = self.send_segments(train, bytes);
        if train.ttl.is_some() {
            self.set_ttl(self.ttl);
        }
        sent
    }

    fn send_segments(&mut self, train: &Train, bytes: &[u8]) -> Sent {
        let size = train.segment_size.clamp(1, bytes.len().max(1));
        let (mut done, mut calls, mut failed) = (0, 0, false);
        let (mut refused, mut plain) = (false, false);
        while done < bytes.len() {
            let segments = (MAX_SEND / size).clamp(1, self.state.max_gso_segments().max(1));
            let end = bytes.len().min(done + segments * size);
            let origins = self.origins.as_ref().filter(|_| !plain);
            let origin = origins.and_then(|origins| origins.of(&train.destination));
            let transmit = Transmit {
                destination: SocketAddr::V4(train.destination),
                ecn: None,
                contents: &bytes[done..end],
                segment_size: (end - done > size).then_some(size),
                src_ip: origin.map(IpAddr::V4),
            };
            calls += 1;
            let result =
                self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit));
            match result {
                Ok(()) => {
                    if refused && !self.refuses_trains {
                        debug!(address = %self.local, "segmentation offload not available");
                        self.refuses_trains = true;
                    }
                    done = end;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked(done);
                }
                // The same bytes go again, one by one. If they are taken, it is offload that does not work
                // here.
                Err(_) if transmit.segment_size.is_some() && self.state.max_gso_segments() == 1 => {
                    refused = true;
                }
                Err(error) => {
                    if !self.refuses_trains {
                        self.keep_offload();
                        refused = false;
                    }
                    // That address of this host may be gone.
                    if origin.is_some()
                        && let Some(origins) = &mut self.origins
                    {
                        origins.forget(&train.destination);
                        plain = true;
                        continue;
                    }
                    trace!(to = %train.destination, %error, "datagram not sent");
                    failed = true;
                    done = end;
                }
            }
        }
        Sent::All { calls, failed }
    }

    /// Goes on with segmentation offload, which is given up at some errors that have another cause: a
    /// datagram alone has had one as well.
    fn keep_offload(&mut self) {
        if self.state.max_gso_segments() == 1
            && let Ok(state) = UdpSocketState::new((&self.io).into())
        {
            self.state = state;
        }
    }

    fn set_ttl(&self, ttl: u32) {
        if let Err(error) = SockRef::from(&self.io).set_ttl_v4(ttl) {
            debug!(%error, ttl, "time to live not set");
        }
    }
}

/// Asks for large system buffers, in steps down. Linux silently grants what its limit allows.
fn enlarge(socket: &std::net::UdpSocket, state: &UdpSocketState) {
    for bytes in BUFFER_SIZES {
        if state.set_recv_buffer_size(socket.into(), bytes).is_ok() {
            break;
        }
    }
    for bytes in BUFFER_SIZES {
        if state.set_send_buffer_size(socket.into(), bytes).is_ok() {
            break;
        }
    }
}

const BUFFER_SIZES: [usize; 4] = [8 << 20, 4 << 20, 2 << 20, 1 << 20];

/// Datagrams per train: at the usual packet size this is what one call takes.
const MAX_SEGMENTS: usize = 44;

/// Bytes per call: the longest UDP payload, less a margin for options.
const MAX_SEND: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::pool::Buffers;
    use crate::wire::transmit::SocketId;

    #[tokio::test]
    async fn a_train_arrives_as_the_datagrams_it_was_made_of() {
        let (mut from, to) = pair().await;
        let bytes = pattern(30 * 1200 + 77);
        let train = train(&to, 1200);
        assert!(matches!(from.send(&train, &bytes), Sent::All { failed: false, .. }));
        let received = receive(&to, 31).await;
        assert_eq!(received.concat(), bytes);
        assert!(received[..30].iter().all(|datagram| datagram.len() == 1200));
        assert_eq!(received[30].len(), 77);
    }

    #[tokio::test]
    async fn a_train_longer_than_one_call_takes_is_divided_at_a_border() {
        let (mut from, to) = pair().await;
        let bytes = pattern(70 * 1452);
        let train = train(&to, 1452);
        let Sent::All { calls, failed } = from.send(&train, &bytes) else {
            panic!("blocked");
        };
        assert!(calls >= 2 && !failed);
        let received = receive(&to, 70).await;
        assert_eq!(received.concat(), bytes);
        assert!(received.iter().all(|datagram| datagram.len() == 1452));
    }

    #[tokio::test]
    async fn offload_that_the_system_refuses_is_given_up_and_the_train_sent_again() {
        let (mut from, to) = pair().await;
        // More segments than the system puts into one call.
        let bytes = pattern(1500 * 40);
        let transmit = Transmit {
            destination: SocketAddr::V4(to.local()),
            ecn: None,
            contents: &bytes,
            segment_size: Some(40),
            src_ip: None,
        };
        let refused = from.state.try_send((&from.io).into(), &transmit);
        assert!(refused.is_err());
        assert_eq!(from.max_segments(), 1);
        let train = train(&to, 1000);
        let Sent::All { calls, failed } = from.send(&train, &bytes[..10_000]) else {
            panic!("blocked");
        };
        assert_eq!((calls, failed), (10, false));
        assert_eq!(receive(&to, 10).await.concat(), bytes[..10_000]);
    }

    #[tokio::test]
    async fn a_destination_that_takes_nothing_does_not_end_offload() {
        let (mut from, to) = pair().await;
        let before = from.max_segments();
        assert!(before > 1, "the test needs segmentation offload");
        let bytes = pattern(10_000);
        // The system refuses port 0 with the error that also stands for missing offload.
        let mut nowhere = train(&to, 1000);
        nowhere.destination.set_port(0);
        for length in [1000, 10_000] {
            let Sent::All { failed, .. } = from.send(&nowhere, &bytes[..length]) else {
                panic!("blocked");
            };
            assert!(failed);
            assert_eq!(from.max_segments(), before);
        }
        let Sent::All { calls, failed } = from.send(&train(&to, 1000), &bytes) else {
            panic!("blocked");
        };
        assert_eq!((calls, failed), (1, false));
        assert_eq!(receive(&to, 10).await.concat(), bytes);
    }

    #[tokio::test]
    async fn an_address_of_this_host_that_is_gone_is_not_sent_from() {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut from = Socket::bind(any).expect("there are free ports");
        let (_, to) = pair().await;
        from.io.writable().await.expect("the socket is open");
        let gone = RecvMeta { dst_ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77))), ..RecvMeta::default() };
        from.note_arrival(to.local(), &gone);
        let (before, bytes) = (from.max_segments(), pattern(3000));
        let sent = from.send(&train(&to, 1000), &bytes);
        assert!(matches!(sent, Sent::All { failed: false, .. }), "{sent:?}");
        assert_eq!(receive(&to, 3).await.concat(), bytes);
        assert_eq!((from.max_segments(), from.refuses_trains), (before, false));
    }

    #[tokio::test]
    async fn an_answer_leaves_from_the_address_that_was_asked() {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut server = Socket::bind(any).expect("there are free ports");
        let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let SocketAddr::V4(asker) = client.local_addr().expect("it is bound") else {
            panic!("not IPv4");
        };
        server.io.writable().await.expect("the socket is open");
        for asked in ["127.0.0.2", "127.0.0.1", "127.9.9.9"] {
            let asked: Ipv4Addr = asked.parse().expect("an address");
            let at = SocketAddrV4::new(asked, server.local().port());
            client.send_to(b"?", at).expect("loopback takes it");
            server.io.readable().await.expect("the socket is open");
            Buffers::with(|buffers| {
                assert_eq!(buffers.receive(&server).ok(), Some(1));
                server.note_arrival(asker, buffers.datagrams(0).0);
            });
            let answer = Train { destination: asker, ..train(&server, 1) };
            server.send(&answer, b"!");
            let (_, from) = client.recv_from(&mut [0; 9]).expect("an answer");
            assert_eq!(from, SocketAddr::V4(at));
        }
    }

    #[tokio::test]
    async fn what_comes_after_a_socket_was_emptied_is_received_as_well() {
        let (mut from, to) = pair().await;
        let train = train(&to, 100);
        for round in 0..200_u8 {
            from.send(&train, &[round; 100]);
            assert_eq!(receive(&to, 1).await, [[round; 100]]);
        }
        // More than a batch at once.
        for round in 0..200_u8 {
            from.send(&train, &[round; 100]);
        }
        assert_eq!(receive(&to, 200).await.len(), 200);
    }

    #[tokio::test]
    async fn a_time_to_live_holds_for_one_train_only() {
        let (mut from, to) = pair().await;
        let before = from.io.ttl().expect("a socket has a time to live");
        let mut train = train(&to, 10);
        train.ttl = Some(5);
        from.send(&train, b"x");
        assert_eq!(from.io.ttl().ok(), Some(before));
        assert_eq!(receive(&to, 1).await, [b"x".to_vec()]);
    }

    #[tokio::test]
    async fn what_the_system_refuses_counts_as_lost() {
        let (mut from, to) = pair().await;
        let train = train(&to, 70_000);
        let sent = from.send(&train, &vec![0; 70_000]);
        assert_eq!(sent, Sent::All { calls: 1, failed: true });
    }

    #[tokio::test]
    async fn takes_the_next_port_if_one_is_taken() {
        let taken = Socket::bind("127.0.0.1:0".parse().expect("valid")).expect("free");
        let next = Socket::bind_near(taken.local(), true).expect("one of five, or any");
        assert_ne!(next.local().port(), taken.local().port());
        let refused = Socket::bind_near(taken.local(), false);
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    }

    async fn pair() -> (Socket, Socket) {
        let any = "127.0.0.1:0".parse().expect("valid");
        let bind = || Socket::bind(any).expect("loopback has free ports");
        let (from, to) = (bind(), bind());
        // The runtime learns only by and by that a new socket can be written to.
        from.io.writable().await.expect("the socket is open");
        (from, to)
    }

    fn train(to: &Socket, segment_size: usize) -> Train {
        Train { socket: SocketId::SERVER, destination: to.local(), ttl: None, segment_size }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
    }

    async fn receive(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.len() < count {
            socket.io.readable().await.expect("the socket is open");
            Buffers::with(|buffers| {
                let filled = buffers.receive(socket).unwrap_or(0);
                for index in 0..filled {
                    let (_, datagrams) = buffers.datagrams(index);
                    received.extend(datagrams.map(<[u8]>::to_vec));
                }
            });
        }
        received
    }
}
