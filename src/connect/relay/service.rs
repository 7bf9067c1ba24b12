//! What a blind relay makes of the messages of its clients: who is waiting for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::keys::PublicKey;
use crate::slots::{Slots, Source};
use crate::wire::DecodeError;
use crate::wire::compact::Encode as _;
use crate::wire::relay::{Frame, PROTOCOL, RelayMessage};
use crate::wire::rpc::Token;

/// The own number of the only channel of a session.
const CHANNEL: u64 = 1;

/// What strangers can make a relay hold and carry. Start from [`Default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayLimits {
    /// Clients connected at once. One more takes the place of the newest from the busiest source.
    pub sessions: usize,
    /// Pairings that one client may wait for at once.
    pub pending: usize,
    /// Pairs that are served at once, in all. One more ends the newest of the busiest source, that of the
    /// initiator.
    pub links: usize,
    /// Bytes that are carried for one pair, both directions together.
    pub bytes: u64,
    /// How long one pair is served.
    pub lifetime: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            sessions: 1024,
            pending: 16,
            links: 1024,
            bytes: 16 << 30,
            lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A client's connection to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What a relay has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayAction {
    /// Send a message to a client.
    Send(SessionId, Vec<u8>),
    /// Carry packets between two clients, and say under which ids with [`RelayService::linked`]. The one that
    /// is no initiator comes first.
    Link {
        /// What both have shown.
        token: Token,
        /// Each client, and the id that it gave the stream.
        sides: [(SessionId, u32); 2],
    },
    /// Stop carrying packets for a pair.
    Unlink {
        /// What both have shown.
        token: Token,
    },
}

/// The clients of a relay, who waits, and who is linked.
#[derive(Debug)]
pub struct RelayService {
    limits: RelayLimits,
    sessions: BTreeMap<SessionId, Session>,
    /// The two sides by whether they are the initiator.
    pairs: BTreeMap<Token, [Option<(SessionId, u32)>; 2]>,
    links: BTreeMap<Token, [SessionId; 2]>,
    /// The links by the source of their initiator.
    link_slots: Slots<Token>,
}

#[derive(Debug)]
struct Session {
    key: PublicKey,
    source: Source,
    /// The client's number of the channel.
    channel: Option<u64>,
    pending: BTreeSet<Token>,
    links: BTreeSet<Token>,
}

impl RelayService {
    /// Makes a relay without clients.
    pub fn new(limits: RelayLimits) -> Self {
        Self {
            limits,
            sessions: BTreeMap::new(),
            pairs: BTreeMap::new(),
            links: BTreeMap::new(),
            link_slots: Slots::default(),
        }
    }

    /// Takes a new client, whose key is proven, and returns the message to send first; `None` if there are
    /// too many.
    pub fn connect(&mut self, session: SessionId, key: PublicKey, source: Source) -> Option<Vec<u8>> {
        if self.sessions.len() >= self.limits.sessions {
            return None;
        }
        let new = Session { key, source, channel: None, pending: BTreeSet::new(), links: BTreeSet::new() };
        self.sessions.insert(session, new);
        Some(Frame::open(CHANNEL, &key).to_bytes())
    }

    /// Takes a message of a client.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it; the client is to be [disconnected](Self::disconnect) then.
    pub fn handle_message(&mut self, id: SessionId, message: &[u8]) -> Result<Vec<RelayAction>, DecodeError> {
        let mut actions = Vec::new();
        for frame in Frame::decode_all(message)? {
            let Some(session) = self.sessions.get_mut(&id) else {
                break;
            };
            match frame {
                Frame::Open { local_id, protocol, id: channel, .. } => {
                    let wanted = protocol == PROTOCOL && channel == session.key.as_bytes();
                    if wanted && session.channel.is_none() {
                        session.channel = Some(local_id);
                    } else {
                        actions.push(RelayAction::Send(id, Frame::Reject { local_id }.to_bytes()));
                    }
                }
                Frame::Close { local_id } if session.channel == Some(local_id) => {
                    session.channel = None;
                    actions.extend(self.release(id));
                }
                Frame::Message { channel, kind, content } if session.channel == Some(channel) => {
                    match RelayMessage::decode(kind, &content)? {
                        RelayMessage::Pair { is_initiator, token, id: stream, .. } => {
                            self.pair(&mut actions, id, is_initiator, token, stream);
                        }
                        RelayMessage::Unpair { token } => actions.extend(self.unpair(id, &token)),
                    }
                }
                Frame::Reject { .. } | Frame::Close { .. } | Frame::Message { .. } => {}
            }
        }
        Ok(actions)
    }

    /// Sets under which ids the packets of a pair are taken, in the order of [`RelayAction::Link`]; returns
    /// what to send.
    pub fn linked(&mut self, token: &Token, ids: [u32; 2]) -> Vec<RelayAction> {
        let Some(sides) = self.links.get(token) else {
            return vec![RelayAction::Unlink { token: *token }];
        };
        let answer = |index: usize| {
            let pair = RelayMessage::Pair { is_initiator: index == 1, token: *token, id: ids[index], seq: 0 };
            RelayAction::Send(sides[index], pair.to_frame(CHANNEL).to_bytes())
        };
        vec![answer(0), answer(1)]
    }

    /// Forgets a pair that is not carried any more.
    pub fn unlinked(&mut self, token: &Token) {
        self.link_slots.remove(token);
        for side in self.links.remove(token).into_iter().flatten() {
            if let Some(session) = self.sessions.get_mut(&side) {
                session.links.remove(token);
            }
        }
    }

    /// Forgets a client, and what it waited for and was linked by.
    pub fn disconnect(&mut self, id: SessionId) -> Vec<RelayAction> {
        let actions = self.release(id);
        self.sessions.remove(&id);
        actions
    }

    /// Returns how many pairs are carried.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Returns how many pairings wait for their other side.
    pub fn pending(&self) -> usize {
        self.pairs.len()
    }

    fn pair(
        &mut self,
        actions: &mut Vec<RelayAction>,
        id: SessionId,
        is_initiator: bool,
        token: Token,
        stream: u32,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        // A token that is in use, the same side twice, or too many pairings: the client waits in vain, as
        // with the reference (`connect.md` §11.3).
        let sides = self.pairs.get(&token).copied().unwrap_or_default();
        let refused = self.links.contains_key(&token)
            || sides[usize::from(is_initiator)].is_some()
            || session.pending.len() >= self.limits.pending;
        if refused {
            return;
        }
        let other = sides[usize::from(!is_initiator)];
        let Some(other) = other else {
            let mut sides = sides;
            sides[usize::from(is_initiator)] = Some((id, stream));
            self.pairs.insert(token, sides);
            session.pending.insert(token);
            return;
        };
        let own = (id, stream);
        let sides = if is_initiator { [other, own] } else { [own, other] };
        let Some(source) = self.sessions.get(&sides[1].0).map(|session| session.source) else {
            return;
        };
        if self.links.len() >= self.limits.links {
            let Some(rival) = self.link_slots.rival(source) else {
                return;
            };
            self.unlinked(&rival);
            actions.push(RelayAction::Unlink { token: rival });
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.links.insert(token);
        }
        self.pairs.remove(&token);
        if let Some(session) = self.sessions.get_mut(&other.0) {
            session.pending.remove(&token);
            session.links.insert(token);
        }
        self.link_slots.insert(token, source);
        self.links.insert(token, sides.map(|(session, _)| session));
        actions.push(RelayAction::Link { token, sides });
    }

    fn unpair(&mut self, id: SessionId, token: &Token) -> Option<RelayAction> {
        let session = self.sessions.get_mut(&id)?;
        if session.pending.remove(token) {
            self.drop_pending(id, token);
            return None;
        }
        if !session.links.contains(token) {
            return None;
        }
        self.unlinked(token);
        Some(RelayAction::Unlink { token: *token })
    }

    /// Takes back everything that a client asked for.
    fn release(&mut self, id: SessionId) -> Vec<RelayAction> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Vec::new();
        };
        let pending = std::mem::take(&mut session.pending);
        let links = std::mem::take(&mut session.links);
        for token in &pending {
            self.drop_pending(id, token);
        }
        let unlink = |token: Token| {
            self.unlinked(&token);
            RelayAction::Unlink { token }
        };
        links.into_iter().map(unlink).collect()
    }

    fn drop_pending(&mut self, id: SessionId, token: &Token) {
        if let Some(sides) = self.pairs.get_mut(token) {
            for side in sides.iter_mut() {
                side.take_if(|(session, _)| *session == id);
            }
            if sides.iter().all(Option::is_none) {
                self.pairs.remove(token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{fixed, hex, list, load, text};

    #[test]
    fn a_relay_answers_as_the_reference_does() {
        let vectors = load("blind-relay.json");
        let session = &vectors["session"];
        let id = |name: &str| SessionId(u64::from(name == "B"));
        let mut relay = RelayService::new(RelayLimits::default());
        let mut sent = Vec::new();
        for (name, key) in [("A", "keyA"), ("B", "keyB")] {
            let key = PublicKey::from_bytes(fixed(&session[key]));
            sent.push((id(name), relay.connect(id(name), key, HERE).unwrap()));
        }
        let mut unlinked = 0;
        for frame in list(&session["frames"]) {
            let Some(name) = frame["from"].as_str().filter(|name| name.len() == 1) else {
                continue;
            };
            for action in relay.handle_message(id(name), &hex(&frame["bytes"])).unwrap() {
                match action {
                    RelayAction::Send(to, message) => sent.push((to, message)),
                    RelayAction::Link { token, sides } => {
                        let ids = ["B", "A"]
                            .map(|name| session["deliveredRemoteIds"][name].as_u64().unwrap() as u32);
                        assert_eq!(sides[1], (id("A"), 287_454_020));
                        assert_eq!(sides[0], (id("B"), 250));
                        for action in relay.linked(&token, ids) {
                            let RelayAction::Send(to, message) = action else {
                                panic!("{action:?}");
                            };
                            sent.push((to, message));
                        }
                    }
                    RelayAction::Unlink { .. } => unlinked += 1,
                }
            }
        }
        let expected: Vec<_> = list(&session["frames"])
            .iter()
            .filter(|frame| frame["from"].is_string() && text(&frame["from"]).starts_with("relay"))
            .map(|frame| {
                let name = &text(&frame["from"])[6..7];
                (id(name), hex(&frame["bytes"]))
            })
            .collect();
        assert_eq!(sent, expected);
        assert_eq!((unlinked, relay.links(), relay.pending()), (1, 0, 0));
    }

    #[test]
    fn a_client_that_leaves_takes_its_pairings_along() {
        let mut relay = relay(RelayLimits::default(), 3);
        assert_eq!(pair(&mut relay, 0, true, 1), []);
        assert_eq!(pair(&mut relay, 0, true, 2), []);
        assert!(matches!(pair(&mut relay, 1, false, 1)[..], [RelayAction::Link { .. }]));
        assert_eq!((relay.links(), relay.pending()), (1, 1));
        let unlink = RelayAction::Unlink { token: [1; 32] };
        assert_eq!(relay.disconnect(SessionId(0)), [unlink]);
        assert_eq!((relay.links(), relay.pending()), (0, 0));
        // The link that was being made is undone.
        let undo = RelayAction::Unlink { token: [1; 32] };
        assert_eq!(relay.linked(&[1; 32], [5, 6]), [undo]);
    }

    #[test]
    fn no_client_takes_the_place_or_the_pairing_of_another() {
        let mut relay = relay(RelayLimits::default(), 3);
        pair(&mut relay, 0, true, 1);
        assert_eq!(pair(&mut relay, 2, true, 1), [], "the side is taken");
        let unpair = RelayMessage::Unpair { token: [1; 32] }.to_frame(1).to_bytes();
        assert_eq!(relay.handle_message(SessionId(2), &unpair), Ok(vec![]));
        assert_eq!(relay.pending(), 1);
        let linked = pair(&mut relay, 1, false, 1);
        assert!(matches!(
            linked[..],
            [RelayAction::Link { sides: [(SessionId(1), 7), (SessionId(0), 7)], .. }]
        ));
        assert_eq!(pair(&mut relay, 2, true, 1), [], "the token is in use");
        assert_eq!(relay.handle_message(SessionId(2), &unpair), Ok(vec![]));
        assert_eq!(relay.links(), 1);
    }

    #[test]
    fn everything_that_strangers_can_make_it_hold_has_a_bound() {
        let limits = RelayLimits { sessions: 3, pending: 4, links: 2, ..RelayLimits::default() };
        let mut relay = relay(limits, 3);
        assert_eq!(relay.connect(SessionId(9), PublicKey::from_bytes([9; 32]), HERE), None);
        for token in 0..100 {
            pair(&mut relay, 0, true, token);
        }
        assert_eq!(relay.pending(), 4);
        for token in 0..100 {
            pair(&mut relay, 1, false, token);
        }
        assert_eq!(relay.links(), 2);
        assert!(relay.pending() <= 8, "{}", relay.pending());
    }

    #[test]
    fn one_source_with_all_links_gives_way_to_another() {
        let mut relay = relay(RelayLimits { links: 4, ..RelayLimits::default() }, 2);
        let elsewhere = Source::direct([9, 9, 9, 9].into());
        join(&mut relay, 2, elsewhere);
        join(&mut relay, 3, elsewhere);
        for token in 0..4 {
            pair(&mut relay, 0, true, token);
            pair(&mut relay, 1, false, token);
        }
        pair(&mut relay, 0, true, 4);
        assert_eq!(pair(&mut relay, 1, false, 4), [], "its own source is the busiest");
        pair(&mut relay, 2, true, 9);
        let actions = pair(&mut relay, 3, false, 9);
        let newest = RelayAction::Unlink { token: [3; 32] };
        assert!(matches!(&actions[..], [first, RelayAction::Link { .. }] if *first == newest), "{actions:?}");
        assert_eq!((relay.links(), relay.link_slots.len()), (4, 4));
        relay.disconnect(SessionId(0));
        assert_eq!((relay.links(), relay.link_slots.len()), (1, 1));
    }

    #[test]
    fn foreign_channels_are_rejected_and_nonsense_is_an_error() {
        let mut relay = relay(RelayLimits::default(), 1);
        let foreign = Frame::open(3, &PublicKey::from_bytes([8; 32])).to_bytes();
        let reject = Frame::Reject { local_id: 3 }.to_bytes();
        let answer = relay.handle_message(SessionId(0), &foreign);
        assert_eq!(answer, Ok(vec![RelayAction::Send(SessionId(0), reject)]));
        assert!(relay.handle_message(SessionId(0), &[0, 9]).is_err());
        assert_eq!(relay.handle_message(SessionId(0), &[]), Ok(vec![]));
    }

    fn relay(limits: RelayLimits, clients: u8) -> RelayService {
        let mut relay = RelayService::new(limits);
        for number in 0..clients {
            join(&mut relay, number, HERE);
        }
        relay
    }

    fn join(relay: &mut RelayService, number: u8, source: Source) {
        let (id, key) = (SessionId(number.into()), PublicKey::from_bytes([number; 32]));
        relay.connect(id, key, source).unwrap();
        relay.handle_message(id, &Frame::open(1, &key).to_bytes()).unwrap();
    }

    const HERE: Source = Source::direct(std::net::Ipv4Addr::LOCALHOST);

    fn pair(relay: &mut RelayService, id: u64, is_initiator: bool, token: u8) -> Vec<RelayAction> {
        let pair = RelayMessage::Pair { is_initiator, token: [token; 32], id: 7, seq: 0 };
        let message = pair.to_frame(1).to_bytes();
        relay.handle_message(SessionId(id), &message).unwrap()
    }
}
