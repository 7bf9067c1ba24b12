//! Streams that leave their relay for a direct path.
//!
//! The client finds such a path by punching or in the local network, and asks over it until the server
//! answers there; only then it moves. The server moves as soon as it hears its client from an address that
//! the client has named. (The reference moves at its first probe and can't go back.) Each side then goes on
//! as the reference does: once everything sent before is acknowledged, it says so in an empty message.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::client::{Attempt, Outcome, Phase};
use super::job::EntryId;
use super::report::Report;
use super::server::{REMEMBER, Server};
use super::shared::Core;
use super::types::{Event, Moved, Path};
use crate::udx::StreamId;
use crate::wire::address::is_private;
use crate::wire::handshake::NoisePayload;
use crate::wire::transmit::SocketId;

/// A direct path that a relayed stream of ours may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) socket: SocketId,
    pub(super) address: SocketAddrV4,
    pub(super) path: Path,
    asked: u32,
    next: Option<Instant>,
}

impl Candidate {
    pub(super) const fn new(now: Instant, socket: SocketId, address: SocketAddrV4, path: Path) -> Self {
        Self {
            socket,
            address,
            path,
            asked: 0,
            next: Some(now),
        }
    }

    /// Returns when to ask again; `None` once that was done often enough.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Asks the server over this path if it is time for that. Returns false when there is nothing to hope for
    /// any more.
    pub(super) fn ask(&mut self, now: Instant, core: &mut Core, stream: StreamId, remote_id: u32) -> bool {
        if self.next.is_none_or(|at| at > now) {
            return true;
        }
        if self.asked >= MAX_QUESTIONS {
            return false;
        }
        core.streams
            .probe_path(stream, self.socket, self.address, remote_id);
        self.next = Some(now + FIRST_PAUSE * (1 << self.asked));
        self.asked += 1;
        true
    }
}

/// Streams that have moved and whose relays are not left yet.
#[derive(Debug, Default)]
pub(super) struct Moves {
    by_stream: BTreeMap<StreamId, Leaving>,
    deadlines: BTreeSet<(Instant, StreamId)>,
}

#[derive(Debug)]
struct Leaving {
    due: Instant,
    /// When everything that was sent over the relay was acknowledged, and how often the peer was told.
    complete: Option<Instant>,
    told: u32,
}

impl Moves {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn file(&mut self, stream: StreamId, due: Instant) {
        if let Some(leaving) = self.by_stream.get_mut(&stream) {
            self.deadlines.remove(&(leaving.due, stream));
            leaving.due = due;
            self.deadlines.insert((due, stream));
        }
    }

    fn remove(&mut self, stream: StreamId) {
        if let Some(leaving) = self.by_stream.remove(&stream) {
            self.deadlines.remove(&(leaving.due, stream));
        }
    }
}

impl Core {
    /// Moves a stream from its relay to this place, where the peer has just been heard.
    pub(super) fn move_stream(
        &mut self,
        now: Instant,
        stream: StreamId,
        place: (SocketId, SocketAddrV4),
        path: Path,
        remote_id: u32,
        report: Report,
    ) {
        let (socket, remote) = place;
        self.streams.set_candidates(stream, Vec::new());
        self.sockets.hold(now, socket, stream);
        let due = now + CHECK;
        let leaving = Leaving {
            due,
            complete: None,
            told: 0,
        };
        self.moves.by_stream.insert(stream, leaving);
        self.moves.deadlines.insert((due, stream));
        self.streams.change_remote(now, stream, socket, remote, remote_id);
        self.events.push_back(Event::Moved(Box::new(Moved {
            stream,
            path,
            remote,
            report,
        })));
    }

    /// Takes the news that the peer has acknowledged everything that was sent before the stream moved.
    pub(super) fn handle_moved(&mut self, now: Instant, stream: StreamId) {
        if let Some(leaving) = self.moves.by_stream.get_mut(&stream)
            && leaving.complete.is_none()
        {
            leaving.complete = Some(now);
            self.moves.file(stream, now);
        }
    }

    /// Tells peers that we have moved, and leaves relays over which nothing comes any more.
    pub(super) fn finish_moves(&mut self, now: Instant) {
        while let Some((at, stream)) = self.moves.deadlines.first().copied()
            && at <= now
        {
            let Some(leaving) = self.moves.by_stream.get_mut(&stream) else {
                self.moves.deadlines.pop_first();
                continue;
            };
            if !self.streams.contains(stream) {
                self.moves.remove(stream);
                continue;
            }
            let Some(complete) = leaving.complete else {
                self.moves.file(stream, now + CHECK);
                continue;
            };
            if leaving.told < MAX_TOLD {
                // An unordered message may get lost, and for the reference it is what frees the relay.
                leaving.told += 1;
                let due = now + FIRST_PAUSE * leaving.told;
                // Only a closed stream refuses.
                let _ = self.streams.send_message(now, stream, &[]);
                self.moves.file(stream, due);
                continue;
            }
            let heard = self.streams.heard_elsewhere(stream);
            let quiet = heard.map_or(complete, |heard| heard.max(complete)) + QUIET;
            if quiet > now {
                self.moves.file(stream, quiet);
                continue;
            }
            self.moves.remove(stream);
            self.events.push_back(Event::LeaveRelay(stream));
        }
    }
}

impl Attempt {
    /// Takes the news that packets of a stream have come over another path. If we have asked for that, it is
    /// the stream's from now on.
    pub(super) fn handle_offer(
        &mut self,
        now: Instant,
        core: &mut Core,
        place: (SocketId, SocketAddrV4),
    ) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        match choosing.candidate {
            Some(asked) if (asked.socket, asked.address) == place => {
                self.move_to(now, core, place, asked.path)
            }
            _ => Outcome::Pending,
        }
    }

    /// Moves the stream to where the server has just been heard.
    fn move_to(
        &mut self,
        now: Instant,
        core: &mut Core,
        place: (SocketId, SocketAddrV4),
        path: Path,
    ) -> Outcome {
        let mut report = self.report(now, core);
        let remote = *self.remote();
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        report.path = Some((path, place.1));
        report.routes.clone_from(&choosing.routes);
        let remote_id = choosing.remote_id;
        core.move_stream(now, self.stream, place, path, remote_id, report);
        if choosing.reusable {
            core.remember_way(remote, self.stream);
        }
        choosing.stop(now, core, true);
        Outcome::Over
    }

    /// A stream that was handed out could take this path: asks the server there.
    pub(super) fn ask_to_move(&mut self, now: Instant, core: &mut Core, mut candidate: Candidate) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        core.sockets.hold(now, candidate.socket, self.stream);
        core.streams
            .set_candidates(self.stream, vec![*candidate.address.ip()]);
        candidate.ask(now, core, self.stream, choosing.remote_id);
        // Whoever has the server's address in the local network may have passed our message on and kept
        // silent about it.
        if candidate.path == Path::Direct {
            if let Some(punch) = &choosing.punch {
                punch.tell(core, &mut self.report);
            }
            choosing.stop(now, core, true);
            choosing.otherwise = None;
            choosing.deadline = None;
        }
        choosing.candidate = Some(candidate);
        Outcome::Pending
    }
}

impl Server {
    /// Lets packets of a relayed client's stream come from where the client says to be and is seen.
    pub(super) fn name_candidates(&mut self, core: &mut Core, id: EntryId) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if let Some((stream, _)) = &entry.moving {
            let punched = entry.guest.iter().flat_map(|guest| guest.hosts());
            let hosts = entry.hosts.iter().copied().chain(punched).collect();
            core.streams.set_candidates(*stream, hosts);
        }
    }

    /// Takes the news that the packets of a relayed stream have come from an address that the client has
    /// named: the stream moves there.
    pub(super) fn handle_offer(
        &mut self,
        now: Instant,
        core: &mut Core,
        stream: StreamId,
        place: (SocketId, SocketAddrV4),
    ) {
        let id = self.entries.with_moving(stream);
        let Some((id, entry)) = id.and_then(|id| Some((id, self.entries.get_mut(id)?))) else {
            return;
        };
        let (remote_id, started) = (entry.client_id, entry.started);
        let reusable = entry.reusable;
        if !core.may_send_to(place.1) {
            return;
        }
        let Some((_, mut report)) = self.entries.take_moving(id) else {
            return;
        };
        let path = if is_private(*place.1.ip()) {
            Path::Lan
        } else {
            Path::Direct
        };
        report.total = now.saturating_duration_since(started);
        report.path = Some((path, place.1));
        if let Some(guest) = self.entries.get_mut(id).and_then(|one| one.guest.as_ref()) {
            guest.tell(core, &mut report);
        }
        core.move_stream(now, stream, place, path, remote_id, *report);
        if let Some(client) = reusable {
            core.remember_way(client, stream);
        }
        self.dismiss(now, core, id, true);
        self.entries.set_deadline(id, now + REMEMBER);
    }

    /// Returns whether the client of a relayed stream may still come directly: it punches, or is about to.
    pub(super) fn expects_move(&self, stream: StreamId) -> bool {
        let id = self.entries.with_moving(stream);
        let guest = id.and_then(|id| self.entries.get(id)?.guest.as_ref());
        guest.is_some_and(|guest| !guest.is_over())
    }

    pub(super) fn moves_stream(&self, stream: StreamId) -> bool {
        self.entries.with_moving(stream).is_some()
    }
}

/// Returns where a client may be: where a node sees it, and where it says to be in its own network.
pub(super) fn hosts(core: &Core, seen: SocketAddrV4, client: &NoisePayload) -> Vec<Ipv4Addr> {
    let named = client.addresses4.iter().copied();
    let named = named.filter(|address| core.lan && is_private(*address.ip()));
    let all = [seen].into_iter().chain(named);
    all.take(MAX_HOSTS).map(|address| *address.ip()).collect()
}

/// Hosts of a client that are taken from its noise payload.
const MAX_HOSTS: usize = 8;
/// How often a server is asked over a path that a probe came by, and the pause after the first time; each is
/// twice the one before.
const MAX_QUESTIONS: u32 = 7;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often the end of a move is told.
const MAX_TOLD: u32 = 3;
/// How long nothing must have come through a relay: a peer of the reference repeats what it has sent that way
/// on the same way.
const QUIET: Duration = Duration::from_secs(3);
/// How often is looked for streams that ended while they moved.
const CHECK: Duration = Duration::from_secs(5);
