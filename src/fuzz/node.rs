//! A DHT node among hostile ones.

use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};

use super::messages as make;
use super::meter::Meter;
use super::talk::Talk;
use crate::dht::{Config, Mode, Node, Operation};

/// A node takes what the bytes make hostile nodes send, and follows its timers. It does not panic, allocate
/// more than a datagram may cost, or answer with more than it may.
pub(super) fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(mut world) = World::new(&mut u) else { return };
    while !u.is_empty() && world.turn(&mut u).is_ok() {}
}

struct World {
    now: Instant,
    node: Node,
    talk: Talk,
    meter: Meter,
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let now = Instant::now();
        let own = make::host(9);
        let config = Config {
            bootstrap: vec![make::host(0), make::host(1)],
            mode: *u.choose(&[Mode::Persistent, Mode::Adaptive, Mode::Ephemeral])?,
            firewalled: false,
            public_address: u.arbitrary::<bool>()?.then_some(own),
            private_network: true,
            keeps_announcements: u.arbitrary()?,
            ..Config::default()
        };
        let mut node = Node::new(now, config, [7; 32]);
        node.handle_sockets(now, own, make::host(10));
        node.bootstrap(now);
        let mut world = Self { now, node, talk: Talk::default(), meter: Meter::default() };
        world.drain();
        Ok(world)
    }

    fn turn(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=9u8)? {
            0..=6 => {
                let (socket, from, bytes) = self.talk.datagram(u)?;
                let (now, node) = (self.now, &mut self.node);
                self.meter.datagram(|| node.handle_datagram(now, socket, from, &bytes));
            }
            7 => self.wait(Duration::from_millis(u.int_in_range(0..=3000)?)),
            8 if u.ratio(1, 8)? => self.wait(Duration::from_secs(u.int_in_range(0..=4000)?)),
            9 => {
                let operation = operation(u)?;
                // What does not fit is refused.
                let _ = self.node.start(self.now, operation);
            }
            _ => self.wait(Duration::from_millis(100)),
        }
        self.drain();
        Ok(())
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for round in 0.. {
            assert!(round < 20_000, "a timer spins: {:?}", self.node.poll_timeout());
            match self.node.poll_timeout() {
                Some((at, _)) if at <= until => {
                    self.now = self.now.max(at);
                    self.node.handle_timeout(self.now);
                    self.drain();
                }
                _ => break,
            }
        }
        self.now = until;
    }

    fn drain(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.node.poll_transmit() {
            assert!(transmit.payload.len() <= 2048, "a datagram of {} bytes", transmit.payload.len());
            self.talk.note(transmit.socket, transmit.destination, &transmit.payload);
            sent += 1;
            assert!(sent < 1000, "it never stops sending");
        }
        while self.node.poll_event().is_some() {}
    }
}

fn operation(u: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match u.int_in_range(0..=7u8)? {
        0 => Operation::FindPeer(*make::key_pair(u)?.public_key()),
        1 => Operation::Lookup(u.arbitrary()?),
        2 => {
            let (target, key_pair) = (u.arbitrary()?, make::key_pair(u)?);
            Operation::Announce {
                target,
                identity: key_pair.into(),
                relays: make::list(u, 4, make::addr4)?,
                bump: make::int(u)?,
            }
        }
        3 => Operation::Unannounce { target: u.arbitrary()?, identity: make::key_pair(u)?.into() },
        4 => Operation::ImmutablePut(make::blob(u)?),
        5 => Operation::ImmutableGet(u.arbitrary()?),
        6 => {
            Operation::MutablePut { key_pair: make::key_pair(u)?, seq: make::int(u)?, value: make::blob(u)? }
        }
        _ => {
            let key = *make::key_pair(u)?.public_key();
            Operation::MutableGet { key, least: make::int(u)?, latest: u.arbitrary()? }
        }
    })
}
