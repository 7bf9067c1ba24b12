//! The clients of a server that have to be punched to.

use std::time::{Duration, Instant};

use super::entries::State;
use super::job::EntryId;
use super::punch::{self, Handled};
use super::server::Server;
use super::shared::Core;
use crate::dht::Incoming;
use crate::wire::handshake::HolepunchMessage;
use crate::wire::transmit::SocketId;

/// How long a client may wait for its turn at a punch through a random NAT.
const WAIT_FOR_TURN: Duration = Duration::from_secs(25);

impl Server {
    /// Takes a holepunch message that a node has passed on to this server.
    pub(super) fn handle_holepunch(
        &mut self,
        now: Instant,
        core: &mut Core,
        incoming: Incoming,
        message: HolepunchMessage,
    ) {
        let id = EntryId {
            server: self.id,
            number: message.id,
        };
        let announced = self.announcer.is_relay(incoming.from);
        self.take_message(now, core, id, incoming, message, announced);
    }

    /// Takes the news that our socket for punching is open or its NAT better known.
    pub(super) fn handle_puncher_news(&mut self, now: Instant, core: &mut Core) {
        if !core.puncher.is_settled() {
            return;
        }
        for id in std::mem::take(&mut self.waiting) {
            self.take_up(now, core, id);
        }
    }

    /// Takes up the message of a client that has waited.
    pub(super) fn take_up(&mut self, now: Instant, core: &mut Core, id: EntryId) {
        let entry = self.entries.get_mut(id);
        let guest = entry.and_then(|entry| entry.guest.as_mut());
        if let Some((incoming, message, announced)) = guest.and_then(|guest| guest.take_waiting()) {
            self.take_message(now, core, id, incoming, message, announced);
        }
    }

    /// Tells whether a socket for one client could be opened.
    pub(super) fn handle_socket(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        socket: SocketId,
        opened: bool,
    ) {
        if let Some(entry) = self.entries.get_mut(id)
            && let Some(guest) = &mut entry.guest
        {
            guest.handle_socket(now, core, socket, opened);
            self.file_guest(id);
        }
    }

    fn take_message(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        incoming: Incoming,
        message: HolepunchMessage,
        announced: bool,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if !matches!(entry.state, State::HalfOpen { .. }) && entry.moving.is_none() {
            return;
        }
        entry.note_heard(now);
        let Some(guest) = &mut entry.guest else {
            return;
        };
        // A server that takes itself to be reachable has no socket for this yet.
        core.want_puncher(now);
        let handled = guest.handle_message(now, core, id, incoming, message, announced);
        if guest.awaits_nat() {
            self.waiting.insert(id);
        }
        match handled {
            Handled::Punching => self.entries.set_deadline(id, now + punch::LONGEST),
            Handled::Later => self.entries.set_deadline(id, now + WAIT_FOR_TURN),
            Handled::Answered => {}
        }
        self.file_guest(id);
        self.name_candidates(core, id);
    }

    /// Files a guest under the time at which it has something to do.
    pub(super) fn file_guest(&mut self, id: EntryId) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let due = entry.guest.as_ref().and_then(|guest| guest.poll_timeout());
        if let Some(old) = std::mem::replace(&mut entry.guest_due, due) {
            self.guests.remove(&(old, id));
        }
        self.guests.extend(due.map(|due| (due, id)));
    }

    /// Ends a guest's punch.
    pub(super) fn dismiss(&mut self, now: Instant, core: &mut Core, id: EntryId, won: bool) {
        self.waiting.remove(&id);
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if let Some(due) = entry.guest_due.take() {
            self.guests.remove(&(due, id));
        }
        if let Some(mut guest) = entry.guest.take() {
            guest.stop(now, core, won);
        }
    }
}
