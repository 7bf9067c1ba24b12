//! Which nodes an attempt sends message 1 to, and when (`connect.md` §5.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::dht::RequestId;

/// How a node came to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was named beforehand.
    Known,
    /// It has just claimed to know the server.
    Found,
    /// It is the server, where an earlier connection ran.
    Remembered,
}

/// The handshakes of one attempt: those under way, and who is asked next.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    /// Nodes named beforehand, tried one at a time: what was true last time may not be now.
    known: VecDeque<SocketAddrV4>,
    /// Those of them that have just claimed to know the server. They are asked beside all others:
    /// what was remembered may be stale, and must not hold up what was found now.
    confirmed: VecDeque<SocketAddrV4>,
    /// Other nodes that have just answered so.
    found: VecDeque<SocketAddrV4>,
    seen: BTreeSet<SocketAddrV4>,
    under_way: BTreeMap<RequestId, UnderWay>,
    tried: Vec<SocketAddrV4>,
}

#[derive(Debug)]
struct UnderWay {
    asked: SocketAddrV4,
    kind: Kind,
    since: Instant,
}

impl Handshakes {
    /// Takes a node that was named beforehand.
    pub(super) fn add_known(&mut self, node: SocketAddrV4) {
        if self.is_new(node) {
            self.known.push_back(node);
        }
    }

    /// Takes a node that has just claimed to know the server.
    pub(super) fn add_found(&mut self, node: SocketAddrV4) {
        let waiting = self.known.iter().position(|known| *known == node);
        if let Some(known) = waiting.and_then(|index| self.known.remove(index)) {
            self.confirmed.push_back(known);
        } else if self.is_new(node) {
            self.found.push_back(node);
        }
    }

    /// Returns which node to ask now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(SocketAddrV4, Kind)> {
        let mut under_way = self.under_way.values();
        let known = self.confirmed.pop_front();
        let known = known.or_else(|| match under_way.any(|one| one.kind == Kind::Known) {
            false => self.known.pop_front(),
            true => None,
        });
        if let Some(node) = known {
            return Some((node, Kind::Known));
        }
        let crowded = self.crowded_until().is_some_and(|until| until > now);
        let found = if crowded { None } else { self.found.pop_front() };
        found.map(|node| (node, Kind::Found))
    }

    /// Notes that a node has been asked.
    pub(super) fn begin(&mut self, now: Instant, request: RequestId, asked: SocketAddrV4, kind: Kind) {
        let since = now;
        self.under_way.insert(request, UnderWay { asked, kind, since });
        if kind != Kind::Remembered {
            self.tried.push(asked);
        }
    }

    /// Ends a request. Returns the node that was asked, and since when.
    pub(super) fn finish(&mut self, request: RequestId) -> Option<(SocketAddrV4, Instant)> {
        let ended = self.under_way.remove(&request)?;
        Some((ended.asked, ended.since))
    }

    /// Returns the nodes that were asked, the server itself left out where an earlier connection ran.
    pub(super) fn tried(&self) -> &[SocketAddrV4] {
        &self.tried
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Returns until when nodes have to wait because enough handshakes are under way.
    pub(super) fn crowded_until(&self) -> Option<Instant> {
        if self.found.is_empty() {
            return None;
        }
        let found = self.under_way.values();
        let found = found.filter(|one| one.kind != Kind::Known);
        let mut since: Vec<_> = found.map(|one| one.since).collect();
        since.sort_unstable();
        let last_few = since.len().checked_sub(MAX_PARALLEL)?;
        Some(since[last_few] + REQUEST_TIMEOUT)
    }

    /// Takes back everything under way. The caller cancels the requests.
    pub(super) fn withdraw(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        std::mem::take(&mut self.under_way).into_keys()
    }

    /// Starts again with the nodes that were asked.
    pub(super) fn start_over(&mut self) {
        self.found = std::mem::take(&mut self.tried).into();
        self.known.clear();
        self.confirmed.clear();
    }

    fn is_new(&mut self, node: SocketAddrV4) -> bool {
        node.port() != 0 && self.seen.len() < MAX_NODES && self.seen.insert(node)
    }
}

/// Handshakes under way at once for one attempt, beside those with nodes named beforehand (`connect.md` §5.1
/// step 4, §13.1).
const MAX_PARALLEL: usize = 2;
/// After this time, when a request is sent again, a handshake does not hold others up: a node that wants to
/// keep clients away can claim to know the server and then be silent.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Nodes that message 1 is sent to after one lookup, of which an attempt makes two at most: hostile record
/// holders can't make it go on for ever.
const MAX_NODES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_holds_up_nobody_that_is_found_now() {
        let now = Instant::now();
        let mut handshakes = Handshakes::default();
        for host in 1..=4 {
            handshakes.add_known(at(host));
        }
        assert_eq!(asked(&mut handshakes, now), [1]);
        // All of them know the server of another day.
        for host in 1..=4 {
            handshakes.add_found(at(host));
        }
        assert_eq!(asked(&mut handshakes, now), [2, 3, 4]);
        for host in 11..=14 {
            handshakes.add_found(at(host));
        }
        assert_eq!(asked(&mut handshakes, now), [11, 12], "as many as ever");
        assert_eq!(asked(&mut handshakes, now + REQUEST_TIMEOUT), [13, 14]);
    }

    /// Asks all nodes that may be asked now, and returns them.
    fn asked(handshakes: &mut Handshakes, now: Instant) -> Vec<u8> {
        let mut asked = Vec::new();
        while let Some((node, kind)) = handshakes.next(now) {
            let request = RequestId(u64::from(node.ip().octets()[3]));
            handshakes.begin(now, request, node, kind);
            asked.push(node.ip().octets()[3]);
        }
        asked
    }

    fn at(host: u8) -> SocketAddrV4 {
        SocketAddrV4::new([25, 0, 0, host].into(), 1)
    }
}
