//! The candidates of a client, by what the handshake has brought (`connect.md` §5.2, §5.3).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::candidate::{Candidate, Kind};
use crate::connect::ids::Place;
use crate::wire::address::{best_match, is_bogon, is_private, is_reserved};
use crate::wire::handshake::{FIREWALL_OPEN, NoisePayload};
use crate::wire::transmit::SocketId;

/// What the candidates follow from.
#[derive(Clone, Copy, Debug)]
pub(in crate::connect) struct Facts<'a> {
    /// The own addresses in the local network; `None` if that is not to be used.
    pub(in crate::connect) local: Option<&'a [SocketAddrV4]>,
    /// Whether message 1 claims that the client is reachable by any host, so that the server comes to it.
    pub(in crate::connect) claims_open: bool,
    /// The socket that requests leave from.
    pub(in crate::connect) request_socket: SocketId,
    /// Where packets of the stream have already come from.
    pub(in crate::connect) heard: Option<Place>,
    /// The node that has answered message 1.
    pub(in crate::connect) asked: Place,
    /// The server as that node sees it; `None` if the node is the server.
    pub(in crate::connect) server: Option<SocketAddrV4>,
    /// The client as that node sees it.
    pub(in crate::connect) client: SocketAddrV4,
    /// What the server has answered.
    pub(in crate::connect) payload: &'a NoisePayload,
    /// Whether either side has named a relay.
    pub(in crate::connect) relay: bool,
}

/// The candidates, and how the stream and the attempt have to be prepared for them.
#[derive(Debug)]
pub(in crate::connect) struct Gathered {
    pub(in crate::connect) candidates: Vec<Candidate>,
    /// Whether the server's packets may come first, from a place that is not known.
    pub(in crate::connect) expects_packets: bool,
    /// Whether the server can be punched to if its packets do not come.
    pub(in crate::connect) may_punch_instead: bool,
}

/// Lists the candidates, in the order in which they are checked: the first row of `connect.md` §5.3 that
/// fits, with the local network before row 1 where both sides are behind one router.
pub(in crate::connect) fn gather(now: Instant, facts: &Facts<'_>) -> Gathered {
    // §5.2 steps 7 and 8.
    let at_once = match (facts.heard, facts.server) {
        (Some(place), _) => Some(Candidate::open(Kind::Incoming, place)),
        (None, None) => Some(Candidate::open(Kind::Observed, facts.asked)),
        (None, Some(_)) => None,
    };
    let server = facts.server.unwrap_or(facts.asked.address);
    let mut gathered = Gathered { candidates: Vec::new(), expects_packets: false, may_punch_instead: false };
    if let Some(candidate) = at_once {
        gathered.candidates.push(candidate);
        return gathered;
    }
    let holepunch = facts.payload.holepunch.as_ref();
    let punchable = holepunch.is_some_and(|info| !info.relays.is_empty());
    let through_itself = server == facts.asked.address;
    let candidates = &mut gathered.candidates;
    if facts.payload.firewall == FIREWALL_OPEN || (!through_itself && !punchable) {
        // Row 1.
        advertised(now, facts, server, candidates);
        candidates.extend(holepunch.map(|_| Candidate::reserve(Kind::Punched)));
        candidates.extend(facts.relay.then_some(Candidate::reserve(Kind::Relayed)));
        return gathered;
    }
    gathered.expects_packets = true;
    if facts.claims_open {
        // Row 2.
        let wait = if punchable { WAIT_BEFORE_PUNCHING } else { WAIT_FOR_SERVER };
        candidates.push(Candidate::until(Kind::Incoming, now + wait));
        gathered.may_punch_instead = punchable;
    } else {
        // Rows 3 and 4, at the same time.
        if facts.client.ip() == server.ip() && !through_itself {
            candidates.extend(lan(facts, |address| !is_reserved(*address.ip())));
        }
        candidates.extend(holepunch.map(|_| Candidate::checked(Kind::Punched)));
    }
    candidates.extend(facts.relay.then_some(Candidate::checked(Kind::Relayed)));
    gathered
}

/// Adds the address that the server claims to be reachable at. Behind one router that address often leads
/// nowhere from inside, and it may be a private one itself, so that the local network comes first there.
fn advertised(now: Instant, facts: &Facts<'_>, server: SocketAddrV4, candidates: &mut Vec<Candidate>) {
    let public = |address: &&SocketAddrV4| !is_bogon(*address.ip()) && address.port() != 0;
    let public = facts.payload.addresses4.iter().find(public);
    let place = Place::new(facts.request_socket, public.copied().unwrap_or(server));
    let one_router = facts.client.ip() == server.ip() && !server.ip().is_loopback();
    let inside = |address: &SocketAddrV4| is_private(*address.ip()) && address.ip() != server.ip();
    let lan = if one_router { lan(facts, inside) } else { None };
    let until = if lan.is_some() { now + LAN_FIRST } else { now };
    candidates.extend(lan);
    candidates.push(Candidate::held(Kind::Advertised, place, until));
}

/// Returns the address of the server that looks most like the own ones.
fn lan(facts: &Facts<'_>, usable: impl Fn(&SocketAddrV4) -> bool) -> Option<Candidate> {
    let local = facts.local?;
    let own = hosts(local);
    // Another home may use the very addresses of this one, and the client itself would answer.
    let others = facts
        .payload
        .addresses4
        .iter()
        .filter(|address| usable(address) && address.port() != 0 && !local.contains(address));
    let others: Vec<SocketAddrV4> = others.copied().collect();
    let address = best_match(&own, &others).or_else(|| others.first().copied())?;
    Some(Candidate::checked_at(Kind::Lan, Place::new(SocketId::SERVER, address)))
}

/// Returns whether a peer that is seen at the own public address seems to sit in the same local network, by
/// the private addresses that it names.
pub(in crate::connect) fn seems_local(local: &[SocketAddrV4], named: &[SocketAddrV4]) -> bool {
    let private = named.iter().filter(|address| is_private(*address.ip()));
    let private: Vec<SocketAddrV4> = private.copied().collect();
    best_match(&hosts(local), &private).is_some()
}

fn hosts(addresses: &[SocketAddrV4]) -> Vec<Ipv4Addr> {
    addresses.iter().map(|address| *address.ip()).collect()
}

/// How long the local network is tried alone (`connect.md` §13.1).
const LAN_FIRST: Duration = Duration::from_millis(500);
/// How long a server gets to reach a client that could punch instead: the reference repeats its first packet
/// after a second (`udx.md` §13).
const WAIT_BEFORE_PUNCHING: Duration = Duration::from_millis(2500);
/// How long a server gets to reach a client that can do nothing else (`connect.md` §5.3 row 2).
const WAIT_FOR_SERVER: Duration = Duration::from_secs(10);
