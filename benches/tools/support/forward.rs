//! A path with delay and loss, as a process between two peers.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::Rng;

use super::Result;
use super::node::Offload;

/// One direction of the path.
struct Lane {
    to: Option<SocketAddrV4>,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

/// Forwards datagrams between `port` and the peer that sends to the port that it prints.
pub(crate) async fn forward(port: u16, delay: u64, loss: f64) -> Result<()> {
    let (mut near, mut far) = (Offload::bind()?, Offload::bind()?);
    println!("port {}", near.port()?);
    let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let (mut there, mut back) = (Lane::to(Some(server)), Lane::to(None));
    let delay = Duration::from_millis(delay);
    loop {
        let due =
            [&there, &back].into_iter().filter_map(|lane| lane.waiting.front().map(|(at, _)| *at)).min();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            readable = near.readable() => readable?,
            readable = far.readable() => readable?,
            () = timer => {}
        }
        let arrives = Instant::now() + delay;
        while near.receive(|from, datagram| {
            back.to = Some(from);
            there.take(arrives, loss, datagram);
        }) {}
        while far.receive(|_, datagram| back.take(arrives, loss, datagram)) {}
        there.send(&far).await?;
        back.send(&near).await?;
    }
}

impl Lane {
    const fn to(to: Option<SocketAddrV4>) -> Self {
        Self { to, waiting: VecDeque::new(), bytes: 0 }
    }

    fn take(&mut self, arrives: Instant, loss: f64, datagram: &[u8]) {
        let lost = rand::thread_rng().gen_bool(loss / 100.0);
        if !lost && self.bytes + datagram.len() <= MAX_WAITING {
            self.bytes += datagram.len();
            self.waiting.push_back((arrives, datagram.to_vec()));
        }
    }

    /// Sends what has waited long enough, datagrams of one size together.
    async fn send(&mut self, socket: &Offload) -> Result<()> {
        let now = Instant::now();
        let Some(to) = self.to else {
            return Ok(());
        };
        let mut train = Vec::new();
        let due = |next: Option<&(Instant, Vec<u8>)>| next.is_some_and(|(at, _)| *at <= now);
        while due(self.waiting.front())
            && let Some((_, datagram)) = self.waiting.pop_front()
        {
            let size = datagram.len();
            self.bytes -= size;
            let most = MAX_TRAIN.min(size * socket.max_segments());
            train.clear();
            train.extend_from_slice(&datagram);
            while self.waiting.front().is_some_and(|(_, next)| next.len() == size)
                && due(self.waiting.front())
                && train.len() + size <= most
                && let Some((_, next)) = self.waiting.pop_front()
            {
                self.bytes -= size;
                train.extend_from_slice(&next);
            }
            socket.send(to, size, &train).await?;
        }
        Ok(())
    }
}

/// Bytes under way in one direction; more are lost.
const MAX_WAITING: usize = 64 << 20;
/// Bytes per call to the system.
const MAX_TRAIN: usize = 60_000;
