//! A UDP socket with segmentation offload.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{debug, trace};

use super::fault::Fault;
use super::offload::Offload;
use super::origins::Origins;
use crate::wire::address::is_destination;
use crate::wire::transmit::Train;

/// A UDP socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddrV4,
    ttl: u32,
    /// Whether the system lets routers divide what is sent.
    fragments: bool,
    /// For a socket that is bound to all addresses of this host.
    origins: Option<Origins>,
    offload: Offload,
    /// Whether sending waits for room itself, for a moment.
    is_blocking: bool,
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
        // Later changes of this number are ignored: the state takes an error of one destination for one of
        // the socket. It sends trains nevertheless.
        let offload = Offload::new(state.max_gso_segments().clamp(1, MAX_SEGMENTS));
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
            fragments: false,
            origins: local.ip().is_unspecified().then(Origins::default),
            offload,
            is_blocking: false,
        })
    }

    /// Binds the first free port of the given one and the four that follow, or else any port if `other`
    /// allows it.
    pub(super) fn bind_near(address: SocketAddrV4, other: bool) -> io::Result<Self> {
        let port = address.port();
        if port == 0 || !other {
            return Self::bind(address);
        }
        // What is wrong with another part than the port is an error of the last one as well.
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
    pub(super) const fn max_segments(&self) -> usize {
        self.offload.max_segments()
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
            filled = self.receive_now(buffers, metas)?;
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

    /// Receives a batch whether or not the runtime knows that there is one.
    pub(super) fn receive_now(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.state.recv((&self.io).into(), buffers, metas)
    }

    /// Notes at which address of this host a datagram of `from` has arrived: what goes back leaves from
    /// there.
    pub(super) fn note_arrival(&mut self, from: SocketAddrV4, meta: &RecvMeta) {
        if let (Some(origins), Some(IpAddr::V4(own))) = (&mut self.origins, meta.dst_ip) {
            origins.note(from, own);
        }
    }

    /// Sends a train. A time to live is set, used and restored here, so that no other datagram leaves with
    /// it. The system is not asked for a destination that leads nowhere.
    pub(super) fn send(&mut self, now: Instant, train: &Train, bytes: &[u8]) -> Sent {
        if !is_destination(&train.destination) {
            trace!(to = %train.destination, "datagram not sent: no host has this address");
            return Sent::All { calls: 0, failed: true };
        }
        if let Some(ttl) = train.ttl {
            self.set_ttl(ttl.into());
        }
        let is_large = train.segment_size > UNDIVIDED;
        if is_large && train.may_fragment != self.fragments {
            self.set_fragments(train.may_fragment);
        }
        let sent = self.send_segments(now, train, bytes);
        if train.ttl.is_some() {
            self.set_ttl(self.ttl);
        }
        sent
    }

    fn send_segments(&mut self, now: Instant, train: &Train, bytes: &[u8]) -> Sent {
        let size = train.segment_size.clamp(1, bytes.len().max(1));
        let host = *train.destination.ip();
        let most = match train.may_fragment && size > UNDIVIDED {
            // Offload does not divide what it is handed beyond its segments: the system refuses the train.
            true => 1,
            false => self.offload.segments(now, host).min(MAX_SEND / size).max(1),
        };
        let mut segments = most;
        let (mut done, mut calls, mut failed) = (0, 0, false);
        let (mut refused, mut plain) = (false, false);
        while done < bytes.len() {
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
            let attempt = || self.state.try_send((&self.io).into(), &transmit);
            // A runtime that ends lets nothing through.
            let result = match self.is_blocking {
                true => attempt(),
                false => self.io.try_io(Interest::WRITABLE, attempt),
            };
            let Err(error) = result else {
                if std::mem::take(&mut refused) {
                    debug!(to = %host, "no segmentation offload on this route");
                    self.offload.refuse(now, host);
                }
                done = end;
                continue;
            };
            let fault = Fault::of(&error);
            match fault {
                Fault::Full => return Sent::Blocked(done),
                // The same bytes go again, one by one. If they are taken, the route has no offload.
                Fault::Request if transmit.segment_size.is_some() => {
                    (segments, refused) = (1, true);
                    continue;
                }
                // That address of this host may be gone, and no other fault with it.
                Fault::Destination | Fault::Request if origin.is_some() => {
                    if let Some(origins) = &mut self.origins {
                        origins.forget(&train.destination);
                    }
                    (plain, segments, refused) = (true, most, false);
                    continue;
                }
                // The rest of the train has the same fault.
                Fault::Destination | Fault::Request | Fault::Socket => done = bytes.len(),
                Fault::Passing | Fault::TooLong => done = end,
            }
            (failed, refused) = (true, false);
            if fault == Fault::Socket {
                debug!(address = %self.local, %error, "socket does not send");
            } else {
                trace!(to = %train.destination, %error, "datagram not sent");
            }
        }
        Sent::All { calls, failed }
    }

    /// Makes [`Self::send`] wait for room itself, for [`PATIENCE`] at most, and work without a runtime.
    /// Nothing can be received any more.
    pub(super) fn block(&mut self) {
        let socket = SockRef::from(&self.io);
        let blocks = socket.set_write_timeout(Some(PATIENCE)).and_then(|()| socket.set_nonblocking(false));
        if let Err(error) = blocks {
            debug!(%error, "a full socket will not be waited for");
        }
        self.is_blocking = true;
    }

    pub(super) const fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    /// Sets whether routers may divide datagrams. Where the system has no such option, they may not.
    fn set_fragments(&mut self, may_fragment: bool) {
        #[cfg(target_os = "linux")]
        {
            use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
            let discovery = match may_fragment {
                true => Ipv4PathMtuDiscovery::DONT,
                // As `quinn-udp` sets it: the system has no say in how large a datagram may be.
                false => Ipv4PathMtuDiscovery::PROBE,
            };
            match set_ip_mtu_discover(&self.io, discovery) {
                Ok(()) => self.fragments = may_fragment,
                Err(error) => debug!(%error, may_fragment, "path MTU discovery not set"),
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            self.fragments = may_fragment;
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

/// Datagrams up to this size need no division: with IP and UDP headers every host takes them (RFC 791 §3.2).
const UNDIVIDED: usize = 548;

/// Bytes per call: the longest UDP payload, less a margin for options.
const MAX_SEND: usize = 65_000;

/// How long the end of a node waits for room in a socket.
const PATIENCE: Duration = Duration::from_millis(50);

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
        assert!(matches!(from.send(Instant::now(), &train, &bytes), Sent::All { failed: false, .. }));
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
        let Sent::All { calls, failed } = from.send(Instant::now(), &train, &bytes) else {
            panic!("blocked");
        };
        assert!(calls >= 2 && !failed);
        let received = receive(&to, 70).await;
        assert_eq!(received.concat(), bytes);
        assert!(received.iter().all(|datagram| datagram.len() == 1452));
    }

    #[tokio::test]
    async fn a_host_that_takes_datagrams_and_no_trains_gets_none_for_a_while_and_others_do() {
        let (mut from, to) = pair().await;
        let other = Socket::bind("127.0.0.2:0".parse().expect("valid")).expect("loopback has ports");
        // More than the system puts into one call, which it refuses as it does a train without offload.
        from.offload = Offload::new(1500);
        let (now, bytes) = (Instant::now(), pattern(300 * 40));
        let calls = |from: &mut Socket, now, to: &Socket, length: usize| match from.send(
            now,
            &train(to, 40),
            &bytes[..length],
        ) {
            Sent::All { calls, failed: false } => calls,
            sent => panic!("{sent:?}"),
        };
        assert_eq!(calls(&mut from, now, &to, 300 * 40), 301, "the train, then one by one");
        assert_eq!(receive(&to, 300).await.concat(), bytes);
        assert_eq!(calls(&mut from, now, &to, 400), 10, "one by one");
        assert_eq!(calls(&mut from, now, &other, 400), 1, "another host");
        assert_eq!(from.max_segments(), 1500);
        let later = now + std::time::Duration::from_secs(60);
        assert_eq!(calls(&mut from, later, &to, 400), 1, "it is tried again");
    }

    #[tokio::test]
    async fn a_refused_train_does_not_change_the_address_that_datagrams_leave_from() {
        let (_, to) = pair().await;
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut from = Socket::bind(any).expect("there are free ports");
        from.io.writable().await.expect("the socket is open");
        from.offload = Offload::new(1500);
        let own = Ipv4Addr::new(127, 0, 0, 9);
        let meta = RecvMeta { dst_ip: Some(IpAddr::V4(own)), ..RecvMeta::default() };
        from.note_arrival(to.local(), &meta);
        let bytes = pattern(300 * 40);
        let sent = from.send(Instant::now(), &train(&to, 40), &bytes);
        assert_eq!(sent, Sent::All { calls: 301, failed: false });
        assert_eq!(receive(&to, 300).await.concat(), bytes);
        let origins = from.origins.as_ref().expect("it is bound to all addresses");
        assert_eq!(origins.of(&to.local()), Some(own));
    }

    #[tokio::test]
    async fn addresses_of_no_host_never_reach_the_system() {
        let (mut from, to) = pair().await;
        for nowhere in
            ["127.0.0.1:0", "0.0.0.0:5", "0.1.2.3:5", "224.0.0.1:5", "240.0.0.1:5", "255.255.255.255:5"]
        {
            let nowhere = Train { destination: nowhere.parse().expect("valid"), ..train(&to, 1000) };
            let sent = from.send(Instant::now(), &nowhere, &pattern(3000));
            assert_eq!(sent, Sent::All { calls: 0, failed: true }, "{nowhere:?}");
        }
    }

    /// Runs again, in a network of its own with a route that leads nowhere.
    #[tokio::test]
    async fn a_destination_that_takes_nothing_does_not_end_offload() {
        const INSIDE: &str = "HYPERPROFILE_INSIDE";
        if std::env::var_os(INSIDE).is_none() {
            return run_in_own_network(
                "net::socket::tests::a_destination_that_takes_nothing_does_not_end_offload",
                "ip link set lo up && ip route add blackhole 10.9.9.9",
                INSIDE,
            );
        }
        let (mut from, to) = pair().await;
        assert!(from.max_segments() > 1, "the test needs segmentation offload");
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut bound_to_all = Socket::bind(any).expect("there are free ports");
        bound_to_all.io.writable().await.expect("the socket is open");
        let (now, bytes) = (Instant::now(), pattern(10_000));
        // One without a route as well.
        for nowhere in ["10.9.9.9:5", "10.9.9.8:5"] {
            let nowhere = Train { destination: nowhere.parse().expect("valid"), ..train(&to, 1000) };
            for length in [1000, 10_000] {
                let Sent::All { calls, failed: true } = bound_to_all.send(now, &nowhere, &bytes[..length])
                else {
                    panic!("not refused");
                };
                assert!(calls <= 2, "{calls} calls for {nowhere:?}");
            }
            from.send(now, &nowhere, &bytes);
        }
        for from in [&mut from, &mut bound_to_all] {
            let sent = from.send(now, &train(&to, 1000), &bytes);
            assert_eq!(sent, Sent::All { calls: 1, failed: false });
            assert_eq!(receive(&to, 10).await.concat(), bytes);
        }
    }

    /// Runs a test of this program again, with the variable `inside` set, in a network namespace that ends
    /// with it. Without the means the test is skipped with a message, but on CI it fails.
    fn run_in_own_network(test: &str, prepare: &str, inside: &str) {
        let program = std::env::current_exe().expect("a test is a program");
        let in_namespace = |script: String| {
            let mut unshare = std::process::Command::new("unshare");
            unshare.args(["--net", "sh", "-c", &script]).env(inside, "1").output()
        };
        let possible = in_namespace(prepare.into()).is_ok_and(|output| output.status.success());
        if !possible {
            let missing = "a network namespace needs root, unshare and iproute2";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return;
        }
        let run = format!("{prepare} && exec '{}' --exact {test} --nocapture", program.display());
        let output = in_namespace(run).expect("it has just run");
        let printed = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}{failed}");
    }

    #[tokio::test]
    async fn an_address_of_this_host_that_is_gone_is_not_sent_from() {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let mut from = Socket::bind(any).expect("there are free ports");
        let (_, to) = pair().await;
        from.io.writable().await.expect("the socket is open");
        let gone = RecvMeta { dst_ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77))), ..RecvMeta::default() };
        from.note_arrival(to.local(), &gone);
        let bytes = pattern(3000);
        let sent = from.send(Instant::now(), &train(&to, 1000), &bytes);
        assert!(matches!(sent, Sent::All { failed: false, .. }), "{sent:?}");
        assert_eq!(receive(&to, 3).await.concat(), bytes);
        let sent = from.send(Instant::now(), &train(&to, 1000), &bytes);
        assert_eq!(sent, Sent::All { calls: 1, failed: false }, "offload goes on");
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
                assert_eq!(buffers.receive(&server, Socket::receive).ok(), Some(1));
                server.note_arrival(asker, buffers.datagrams(0).0);
            });
            let answer = Train { destination: asker, ..train(&server, 1) };
            server.send(Instant::now(), &answer, b"!");
            let (_, from) = client.recv_from(&mut [0; 9]).expect("an answer");
            assert_eq!(from, SocketAddr::V4(at));
        }
    }

    #[tokio::test]
    async fn what_comes_after_a_socket_was_emptied_is_received_as_well() {
        let (mut from, to) = pair().await;
        let train = train(&to, 100);
        for round in 0..200_u8 {
            from.send(Instant::now(), &train, &[round; 100]);
            assert_eq!(receive(&to, 1).await, [[round; 100]]);
        }
        // More than a batch at once.
        for round in 0..200_u8 {
            from.send(Instant::now(), &train, &[round; 100]);
        }
        assert_eq!(receive(&to, 200).await.len(), 200);
    }

    #[tokio::test]
    async fn a_time_to_live_holds_for_one_train_only() {
        let (mut from, to) = pair().await;
        let before = from.io.ttl().expect("a socket has a time to live");
        let mut train = train(&to, 10);
        train.ttl = Some(5);
        from.send(Instant::now(), &train, b"x");
        assert_eq!(from.io.ttl().ok(), Some(before));
        assert_eq!(receive(&to, 1).await, [b"x".to_vec()]);
    }

    #[tokio::test]
    async fn what_the_system_refuses_counts_as_lost() {
        let (mut from, to) = pair().await;
        let train = train(&to, 70_000);
        let sent = from.send(Instant::now(), &train, &vec![0; 70_000]);
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
        let (ttl, may_fragment) = (None, false);
        Train { socket: SocketId::SERVER, destination: to.local(), ttl, may_fragment, segment_size }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
    }

    async fn receive(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.len() < count {
            socket.io.readable().await.expect("the socket is open");
            Buffers::with(|buffers| {
                let filled = buffers.receive(socket, Socket::receive).unwrap_or(0);
                for index in 0..filled {
                    let (_, datagrams) = buffers.datagrams(index);
                    received.extend(datagrams.map(<[u8]>::to_vec));
                }
            });
        }
        received
    }
}
