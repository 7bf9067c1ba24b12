//! A load generator for DHT nodes, and the bare UDP echo to compare them with.
//!
//! ```text
//! flood IP:PORT [--command find-node|lookup|raw|garbage|fill] [--sockets 64] [--window 8] [--seconds 5]
//!               [--neighbours 400] [--pid PID]
//! flood echo IP:PORT BYTES      answers each datagram with BYTES bytes; prints its address
//! ```
//!
//! `garbage` sends `--count` mutated datagrams of every kind and then asks an honest question; `fill`
//! announces `--count` records.
//!
//! Before the load it introduces itself as `--neighbours` nodes, so that the node's table is full. Each
//! socket then keeps a window of requests outstanding; every answer is checked and makes room for the next.
//! With `--pid` it prints the processor time that the node has taken per request, from `/proc`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use hyperprofile::KeyPair;
use hyperprofile::dht::sign::Announcement;
use hyperprofile::dht::{K, NodeId};
use hyperprofile::wire::compact::{Decode, Encode, Reader};
use hyperprofile::wire::records::AnnounceKind;
use hyperprofile::wire::rpc::{ANNOUNCE, FIND_NODE, LOOKUP, PING, Packet, Request};
use quinn_udp::{RecvMeta, UdpSocketState};
use rand::{Rng, SeedableRng, rngs::StdRng};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().map(String::as_str) == Some("echo") {
        let [_, address, bytes] = words.as_slice() else {
            return Err("usage: flood echo IP:PORT BYTES".into());
        };
        return echo(address.parse()?, bytes.parse()?);
    }
    Flood::parse(&words)?.run()
}

/// Answers one datagram after the other with the plainest system calls.
fn echo(address: SocketAddrV4, bytes: usize) -> Result<()> {
    let socket = UdpSocket::bind(address)?;
    println!("{}", socket.local_addr()?);
    let mut buffer = [0; 2048];
    loop {
        let (_, from) = socket.recv_from(&mut buffer)?;
        // A full buffer on the other side is no failure of this one.
        let _ = socket.send_to(&buffer[..bytes], from);
    }
}

/// The load to generate.
struct Flood {
    node: SocketAddrV4,
    command: String,
    sockets: usize,
    window: usize,
    seconds: f64,
    neighbours: usize,
    pid: Option<u32>,
    count: usize,
}

/// One source of requests.
struct Source {
    socket: UdpSocket,
    state: UdpSocketState,
    under_way: usize,
    next: usize,
    heard: Instant,
}

/// What came back.
#[derive(Default)]
struct Count {
    answers: u64,
    bytes: u64,
    closer: u64,
    lost: u64,
}

impl Flood {
    fn parse(words: &[String]) -> Result<Self> {
        let (first, options) = words.split_first().ok_or("usage: flood IP:PORT [options]")?;
        let mut flood = Self {
            node: first.parse()?,
            command: "find-node".into(),
            sockets: 64,
            window: 8,
            seconds: 5.0,
            neighbours: 400,
            pid: None,
            count: 65_536,
        };
        for option in options.chunks(2) {
            let [name, value] = option else {
                return Err(format!("{} needs a value", option[0]).into());
            };
            match name.as_str() {
                "--command" => flood.command.clone_from(value),
                "--sockets" => flood.sockets = value.parse()?,
                "--window" => flood.window = value.parse()?,
                "--seconds" => flood.seconds = value.parse()?,
                "--neighbours" => flood.neighbours = value.parse()?,
                "--count" => flood.count = value.parse()?,
                "--pid" => flood.pid = Some(value.parse()?),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(flood)
    }

    fn run(&self) -> Result<()> {
        match self.command.as_str() {
            "garbage" => return garbage(self.node, self.count),
            "fill" => return fill(self.node, self.count),
            _ => {}
        }
        let requests = self.requests()?;
        let _neighbours = self.introduce()?;
        let mut sources =
            (0..self.sockets).map(|number| self.source(number * 61)).collect::<Result<Vec<_>>>()?;
        // Warm up, then measure.
        let warm = Duration::from_secs_f64(self.seconds.min(1.0));
        self.load(&mut sources, &requests, warm)?;
        let before = self.pid.and_then(processor_time);
        let start = Instant::now();
        let count = self.load(&mut sources, &requests, Duration::from_secs_f64(self.seconds))?;
        let took = start.elapsed().as_secs_f64();
        let after = self.pid.and_then(processor_time);
        let rate = count.answers as f64 / took;
        let answers = count.answers.max(1) as f64;
        print!(
            "{} {rate:.0} requests/s, {} to {:.0} bytes, {:.1} closer nodes, {} lost",
            self.command,
            requests[0].len(),
            count.bytes as f64 / answers,
            count.closer as f64 / answers,
            count.lost,
        );
        if let (Some(before), Some(after)) = (before, after) {
            let time = (after - before) / answers * 1e6;
            print!(", {time:.2} µs of processor time each");
        }
        println!();
        Ok(())
    }

    /// Makes requests for random targets.
    fn requests(&self) -> Result<Vec<Vec<u8>>> {
        let mut rng = StdRng::seed_from_u64(1);
        let (internal, command) = match self.command.as_str() {
            "find-node" | "raw" => (true, FIND_NODE),
            "lookup" => (false, LOOKUP),
            other => return Err(format!("unknown command {other}").into()),
        };
        let request = |tid| Request {
            tid,
            to: self.node,
            id: None,
            token: None,
            internal,
            command,
            target: Some(rng.r#gen()),
            value: None,
        };
        Ok((0..4096).map(request).map(|request| request.to_bytes()).collect())
    }

    /// Pings the node under the ids of as many neighbours; their sockets stay open.
    fn introduce(&self) -> Result<Vec<UdpSocket>> {
        let mut neighbours = Vec::new();
        if self.command == "raw" {
            return Ok(neighbours);
        }
        for tid in 0..self.neighbours {
            let socket = UdpSocket::bind((*self.node.ip(), 0))?;
            let SocketAddr::V4(own) = socket.local_addr()? else {
                return Err("not an IPv4 address".into());
            };
            let ping = Request {
                tid: tid as u16,
                to: self.node,
                id: Some(NodeId::of(own)),
                token: None,
                internal: true,
                command: PING,
                target: None,
                value: None,
            };
            socket.send_to(&ping.to_bytes(), self.node)?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            let mut buffer = [0; 2048];
            socket.recv_from(&mut buffer)?;
            neighbours.push(socket);
        }
        Ok(neighbours)
    }

    fn source(&self, next: usize) -> Result<Source> {
        let socket = UdpSocket::bind((*self.node.ip(), 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(true)?;
        socket.connect(self.node)?;
        Ok(Source { socket, state, under_way: 0, next, heard: Instant::now() })
    }

    fn load(&self, sources: &mut [Source], requests: &[Vec<u8>], time: Duration) -> Result<Count> {
        let start = Instant::now();
        let mut count = Count::default();
        let mut bytes = vec![0; BATCH * SIZE];
        let mut metas = [RecvMeta::default(); BATCH];
        loop {
            let now = Instant::now();
            if now - start >= time {
                return Ok(count);
            }
            for source in &mut *sources {
                source.receive(&mut bytes, &mut metas, &mut count, self.command == "raw")?;
                if source.under_way > 0 && now.saturating_duration_since(source.heard) > ANSWER_TIMEOUT {
                    count.lost += source.under_way as u64;
                    source.under_way = 0;
                }
                while source.under_way < self.window {
                    let request = &requests[source.next % requests.len()];
                    match source.socket.send(request) {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error.into()),
                    }
                    if source.under_way == 0 {
                        source.heard = now;
                    }
                    source.next += 1;
                    source.under_way += 1;
                }
            }
        }
    }
}

impl Source {
    fn receive(
        &mut self,
        bytes: &mut [u8],
        metas: &mut [RecvMeta; BATCH],
        count: &mut Count,
        raw: bool,
    ) -> Result<()> {
        let mut rest = bytes;
        let mut slices: [IoSliceMut<'_>; BATCH] = std::array::from_fn(|_| {
            let (buffer, others) = std::mem::take(&mut rest).split_at_mut(SIZE);
            rest = others;
            IoSliceMut::new(buffer)
        });
        let filled = match self.state.recv((&self.socket).into(), &mut slices, metas) {
            Ok(filled) => filled,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.heard = Instant::now();
        for (slice, meta) in slices.iter().zip(&metas[..filled]) {
            for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                self.under_way = self.under_way.saturating_sub(1);
                count.answers += 1;
                count.bytes += datagram.len() as u64;
                // Every answer costs the generator time that the node could use, so that only some are read.
                if !raw && count.answers.is_multiple_of(64) {
                    let packet = Packet::decode(&mut Reader::new(datagram))?;
                    let Packet::Response(response) = packet else {
                        return Err("not a response".into());
                    };
                    if response.error != 0 || response.closer.len() > K {
                        return Err(format!("a wrong answer: {response}").into());
                    }
                    count.closer += 64 * response.closer.len() as u64;
                }
            }
        }
        Ok(())
    }
}

/// Sends mutated datagrams.
fn garbage(node: SocketAddrV4, count: usize) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(7);
    let sockets = (0..16).map(|_| UdpSocket::bind((*node.ip(), 0))).collect::<std::io::Result<Vec<_>>>()?;
    let start = Instant::now();
    for number in 0..count {
        let request = Request {
            tid: rng.r#gen(),
            to: node,
            id: rng.gen_bool(0.3).then(|| NodeId(rng.r#gen())),
            token: rng.gen_bool(0.3).then(|| rng.r#gen()),
            internal: rng.gen_bool(0.4),
            command: rng.gen_range(0..13),
            target: rng.gen_bool(0.9).then(|| rng.r#gen()),
            value: rng.gen_bool(0.7).then(|| {
                let mut value = vec![0; rng.gen_range(0..200)];
                rng.fill(value.as_mut_slice());
                value
            }),
        };
        let mut datagram = request.to_bytes();
        // Responses and stream packets too, bits turned, bytes cut.
        datagram[0] = *[0x03, 0x03, 0x03, 0x13, 0xff].get(number % 5).unwrap_or(&0);
        for _ in 0..rng.gen_range(0..4) {
            let position = rng.gen_range(0..datagram.len());
            datagram[position] ^= 1 << rng.gen_range(0..8);
        }
        if rng.gen_bool(0.2) {
            datagram.truncate(rng.gen_range(0..=datagram.len()));
        }
        // A full buffer is no failure of the node.
        let _ = sockets[number % sockets.len()].send_to(&datagram, node);
    }
    let took = start.elapsed().as_secs_f64();
    let honest = UdpSocket::bind((*node.ip(), 0))?;
    token(&honest, node, [1; 32])?;
    println!("{count} mutated datagrams in {took:.1} s, and an honest request is answered");
    Ok(())
}

/// Announces records to many topics.
fn fill(node: SocketAddrV4, count: usize) -> Result<()> {
    let socket = UdpSocket::bind((*node.ip(), 0))?;
    let keys: Vec<_> = (0..64).map(|seed| KeyPair::from_seed(&[seed; 32])).collect();
    let mut known: Option<(Instant, [u8; 32], NodeId)> = None;
    let start = Instant::now();
    let mut buffer = [0; 2048];
    for number in 0..count {
        if known.is_none_or(|(at, ..)| at.elapsed() > Duration::from_secs(3)) {
            let (token, id) = token(&socket, node, [1; 32])?;
            known = Some((Instant::now(), token, id));
        }
        let Some((_, token, id)) = known else {
            continue;
        };
        let key_pair = &keys[number % keys.len()];
        let mut target = [0; 32];
        target[..8].copy_from_slice(&(number as u64 / 64).to_be_bytes());
        let identity = key_pair.into();
        let announcement = Announcement { identity: &identity, target, relays: &[node; 3], bump: 0 };
        let announce = announcement.sign(AnnounceKind::Announce, &id, &token);
        let request = Request {
            tid: number as u16,
            to: node,
            id: None,
            token: Some(token),
            internal: false,
            command: ANNOUNCE,
            target: Some(target),
            value: Some(announce.to_bytes()),
        };
        socket.send_to(&request.to_bytes(), node)?;
        socket.recv_from(&mut buffer)?;
    }
    println!("{count} records in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Asks a node for a token and its id.
fn token(socket: &UdpSocket, node: SocketAddrV4, target: [u8; 32]) -> Result<([u8; 32], NodeId)> {
    let request = Request {
        tid: 0,
        to: node,
        id: None,
        token: None,
        internal: false,
        command: LOOKUP,
        target: Some(target),
        value: None,
    };
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut buffer = [0; 2048];
    for _ in 0..10 {
        socket.send_to(&request.to_bytes(), node)?;
        let Ok((length, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if let Packet::Response(response) = Packet::decode(&mut Reader::new(&buffer[..length]))?
            && let (Some(token), Some(id)) = (response.token, response.id)
        {
            return Ok((token, id));
        }
    }
    Err("the node gives no token".into())
}

/// Returns the seconds of processor time that a process has taken, in user and in system mode.
fn processor_time(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut nanoseconds = 0_u64;
    for thread in threads.flatten() {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanoseconds += stat.split(' ').next()?.parse::<u64>().unwrap_or(0);
    }
    (!stat.is_empty()).then_some(nanoseconds as f64 / 1e9)
}

/// Datagrams per call.
const BATCH: usize = 16;
/// Bytes of one.
const SIZE: usize = 2048;
/// Silence after which what is under way counts as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);
