//! Bare streams against those of the reference, over a path that loses and reorders datagrams.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blake2::{Blake2b512, Digest as _};
use hyperprofile::udx::{Admission, Closed, Config, Event, StreamId, Streams};
use hyperprofile::wire::transmit::SocketId;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const BYTES: usize = 16 << 20;

#[test]
fn sixteen_mebibytes_each_way_over_a_clean_path() {
    exchange(0.0, 1);
}

#[test]
fn sixteen_mebibytes_each_way_through_five_percent_loss_and_reordering() {
    exchange(0.05, 2);
}

/// Sends the pattern both ways at once, dropping and reordering datagrams in both directions, and compares
/// what arrived.
fn exchange(loss: f64, seed: u64) {
    let Some(folder) = interop_folder() else {
        return;
    };
    let (pattern, hash) = pattern();
    let mut streams = Streams::new(Config::default(), [7; 32]);
    let stream = streams.open(Admission::Refuse);
    let remote_id = 4_000_000_000;
    let mut peer = Peer::start(&folder, remote_id, stream.0);
    let mut path = LossyPath::new(loss, seed);
    writeln!(peer.child.stdin.as_ref().expect("piped"), "{}", path.port()).unwrap();
    let to = SocketAddrV4::new([127, 0, 0, 1].into(), peer.port);
    streams.connect(Instant::now(), stream, SocketId::SERVER, to, remote_id);

    let mut side = Side::new(stream, &pattern);
    let deadline = Instant::now() + Duration::from_secs(120);
    while side.closed.is_none() {
        assert!(Instant::now() < deadline, "stalled: {side:?}");
        side.step(&mut streams);
        path.send(&mut streams);
        path.receive(&mut streams);
    }
    assert_eq!(side.closed, Some(Closed::Ended), "{side:?}");
    assert_eq!(side.received.len(), BYTES);
    assert_eq!(Blake2b512::digest(&side.received)[..], hash);
    // The last acknowledgement may have been lost; late packets of the peer are still answered.
    let report = peer.report(|| {
        path.send(&mut streams);
        path.receive(&mut streams);
    });
    let expected: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(report, format!("received {BYTES} {expected}"));
}

/// What the application on our side does.
struct Side<'a> {
    stream: StreamId,
    unsent: &'a [u8],
    received: Vec<u8>,
    closed: Option<Closed>,
}

impl std::fmt::Debug for Side<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unsent, received) = (self.unsent.len(), self.received.len());
        write!(f, "{unsent} unsent, {received} received, {:?}", self.closed)
    }
}

impl<'a> Side<'a> {
    const fn new(stream: StreamId, pattern: &'a [u8]) -> Self {
        Self { stream, unsent: pattern, received: Vec::new(), closed: None }
    }

    fn step(&mut self, streams: &mut Streams) {
        let now = Instant::now();
        if !self.unsent.is_empty() {
            let taken = streams.write(now, self.stream, self.unsent).unwrap();
            self.unsent = &self.unsent[taken..];
            if self.unsent.is_empty() {
                streams.finish(now, self.stream);
            }
        }
        streams.read(now, self.stream, usize::MAX, &mut self.received);
        while let Some((_, event)) = streams.poll_event() {
            if let Event::Closed(how) = event {
                self.closed = Some(how);
            }
        }
    }
}

/// A socket whose datagrams get lost and overtake each other, in both directions.
struct LossyPath {
    socket: UdpSocket,
    rng: StdRng,
    loss: f64,
    /// Datagrams that others overtake, by when they go on.
    held: BTreeMap<(Instant, u64), (bool, SocketAddrV4, Vec<u8>)>,
    count: u64,
    buffer: Vec<u8>,
}

impl LossyPath {
    fn new(loss: f64, seed: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self {
            socket,
            rng: StdRng::seed_from_u64(seed),
            loss,
            held: BTreeMap::new(),
            count: 0,
            buffer: vec![0; 1 << 16],
        }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// Returns whether a datagram goes on at once; else it is lost, or on its way later.
    fn passes(&mut self, outgoing: bool, address: SocketAddrV4, datagram: &[u8]) -> bool {
        if self.loss == 0.0 {
            return true;
        }
        if self.rng.gen_bool(self.loss) {
            return false;
        }
        if self.rng.gen_bool(0.05) {
            let later = Instant::now() + Duration::from_micros(self.rng.gen_range(100..2000));
            self.count += 1;
            let datagram = (outgoing, address, datagram.to_vec());
            self.held.insert((later, self.count), datagram);
            return false;
        }
        true
    }

    fn send(&mut self, streams: &mut Streams) {
        let now = Instant::now();
        let mut train = Vec::new();
        while let Some(header) = streams.poll_transmit(now, 16, &mut train) {
            for datagram in train.chunks(header.segment_size) {
                if self.passes(true, header.destination, datagram) {
                    self.socket.send_to(datagram, header.destination).unwrap();
                }
            }
            train.clear();
        }
    }

    /// Waits for datagrams until the next deadline and hands over what there is, as one batch.
    fn receive(&mut self, streams: &mut Streams) {
        let now = Instant::now();
        let held = self.held.first_key_value().map(|(key, _)| key.0);
        let deadline = streams.poll_timeout().map(|(at, _)| at).into_iter().chain(held).min();
        let most = Duration::from_millis(20);
        let wait = deadline.map_or(most, |at| at.saturating_duration_since(now).min(most));
        let wait = wait.max(Duration::from_micros(50));
        self.socket.set_nonblocking(false).unwrap();
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut arrived = VecDeque::new();
        while arrived.len() < 64 {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, from)) => {
                    let std::net::SocketAddr::V4(from) = from else {
                        continue;
                    };
                    let datagram = self.buffer[..length].to_vec();
                    if self.passes(false, from, &datagram) {
                        arrived.push_back((from, datagram));
                    }
                    self.socket.set_nonblocking(true).unwrap();
                }
                Err(error) if is_pause(error.kind()) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let now = Instant::now();
        while let Some(entry) = self.held.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (outgoing, address, datagram) = entry.remove();
            if outgoing {
                self.socket.send_to(&datagram, address).unwrap();
            } else {
                arrived.push_back((address, datagram));
            }
        }
        for (from, datagram) in &arrived {
            streams.handle_datagram(now, SocketId::SERVER, *from, datagram);
        }
        streams.flush(now);
        if streams.poll_timeout().is_some_and(|(at, _)| at <= now) {
            streams.handle_timeout(now);
        }
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}

/// The reference's end of the stream.
struct Peer {
    child: Child,
    port: u16,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Peer {
    fn start(folder: &Path, local_id: u32, remote_id: u32) -> Self {
        let mut child = Command::new("node")
            .arg("udx-peer.mjs")
            .args([local_id.to_string(), remote_id.to_string()])
            .arg(BYTES.to_string())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let first = lines.recv_timeout(Duration::from_secs(30)).unwrap();
        let port = first.strip_prefix("port ").unwrap().parse().unwrap();
        Self { child, port, lines }
    }

    /// Waits for the next line and calls `meanwhile` repeatedly.
    fn report(&mut self, mut meanwhile: impl FnMut()) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.lines.try_recv() {
                Ok(line) => return line,
                Err(error) => assert!(Instant::now() < deadline, "no report: {error}"),
            }
            meanwhile();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns what both sides send, and its hash.
fn pattern() -> (Vec<u8>, [u8; 64]) {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let bytes: Vec<u8> = std::iter::repeat_with(next).take(BYTES).collect();
    let hash = Blake2b512::digest(&bytes).into();
    (bytes, hash)
}

/// Returns the folder of the peers, or prints that the test is skipped. On CI nothing is skipped.
fn interop_folder() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    if folder.join("node_modules").is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "tests/interop has no node_modules: run `npm ci` there");
    eprintln!("SKIPPED: tests/interop has no node_modules; `tests/run` installs them");
    None
}
