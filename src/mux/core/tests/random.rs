//! Any order of calls and arrivals: nothing breaks the protocol, and each channel gets what its other side
//! sent.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use proptest::prelude::*;

use super::super::state::Phase;
use super::support::{Side, opening, settle};
use crate::mux::core::{ChannelId, ListenerId, OfferId};
use crate::mux::error::MuxError;

#[derive(Clone, Debug)]
enum Step {
    Open { side: usize, protocol: usize },
    Take { side: usize },
    Accept { side: usize },
    Reject { side: usize },
    Send { side: usize, channel: usize },
    Close { side: usize, channel: usize },
    Transmit { side: usize },
    Deliver { side: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2_usize;
    let channel = 0..64_usize;
    prop_oneof![
        3 => (side.clone(), 0..3_usize).prop_map(|(side, protocol)| Step::Open { side, protocol }),
        2 => side.clone().prop_map(|side| Step::Take { side }),
        2 => side.clone().prop_map(|side| Step::Accept { side }),
        1 => side.clone().prop_map(|side| Step::Reject { side }),
        4 => (side.clone(), channel.clone()).prop_map(|(side, channel)| Step::Send { side, channel }),
        2 => (side.clone(), channel).prop_map(|(side, channel)| Step::Close { side, channel }),
        3 => side.clone().prop_map(|side| Step::Transmit { side }),
        6 => side.prop_map(|side| Step::Deliver { side }),
    ]
}

struct World {
    sides: [Side; 2],
    listeners: [ListenerId; 2],
    /// The channels of each side that it holds, and what was received on each.
    held: [BTreeMap<ChannelId, Vec<String>>; 2],
    /// What each side has to decide on.
    taken: [Vec<OfferId>; 2],
    sent: u32,
}

impl World {
    fn new() -> Self {
        let mut sides = super::support::pair();
        let listeners = [0, 1].map(|side: usize| sides[side].listen("0"));
        Self { sides, listeners, held: Default::default(), taken: Default::default(), sent: 0 }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Open { side, protocol } => {
                let id = self.sides[side].core.open(&opening(&protocol.to_string(), b"")).unwrap();
                self.held[side].insert(id, Vec::new());
            }
            Step::Take { side } => {
                self.taken[side].extend(self.sides[side].offer(self.listeners[side]));
            }
            Step::Accept { side } => {
                // It may be closed by now.
                if let Some(offer) = self.taken[side].pop()
                    && let Ok(id) = self.sides[side].core.accept(offer, &opening("0", b""))
                {
                    self.held[side].insert(id, Vec::new());
                }
            }
            Step::Reject { side } => {
                if let Some(offer) = self.taken[side].pop() {
                    self.sides[side].core.reject(offer);
                }
            }
            Step::Send { side, channel } => {
                if let Some(id) = self.nth(side, channel) {
                    self.sent += 1;
                    // From whom, and in which order.
                    let content = format!("{side} {id:?} {:06}", self.sent);
                    let sent = self.sides[side].core.poll_send(id, 0, content.as_bytes(), Waker::noop());
                    assert!(sent.is_ready());
                }
            }
            Step::Close { side, channel } => {
                if let Some(id) = self.nth(side, channel) {
                    self.sides[side].core.close(id);
                    self.held[side].remove(&id);
                }
            }
            Step::Transmit { side } => {
                if let Poll::Ready(Some(frame)) = self.sides[side].core.poll_transmit(Waker::noop()) {
                    self.sides[side].sent.push_back(frame);
                }
            }
            Step::Deliver { side } => {
                if let Some(message) = self.sides[1 - side].sent.pop_front() {
                    assert!(self.sides[side].get(message));
                }
            }
        }
        self.receive();
    }

    fn nth(&self, side: usize, channel: usize) -> Option<ChannelId> {
        self.held[side].keys().nth(channel % self.held[side].len().max(1)).copied()
    }

    fn receive(&mut self) {
        for (side, held) in self.sides.iter_mut().zip(&mut self.held) {
            assert_eq!(side.core.ended(), None, "neither side breaks the protocol");
            for (id, received) in held {
                let came = side.received(*id).into_iter();
                received.extend(came.map(|content| String::from_utf8(content.to_vec()).unwrap()));
            }
        }
    }

    fn check(&mut self) {
        settle(&mut self.sides);
        self.receive();
        for held in &self.held {
            for received in held.values() {
                assert!(received.is_sorted(), "in order");
                let senders = received.iter().map(|content| content.rsplit_once(' ').unwrap().0);
                let senders: Vec<_> = senders.collect();
                assert!(senders.windows(2).all(|two| two[0] == two[1]), "of one channel: {senders:?}");
            }
        }
        let open = [0, 1].map(|side| {
            let phases = self.held[side].keys().map(|id| self.sides[side].core.phase(*id));
            phases.filter(|phase| *phase == Some(Phase::Open)).count()
        });
        assert_eq!(open[0], open[1], "what is open here is open there");
        for (side, held) in self.sides.iter_mut().zip(&self.held) {
            held.keys().for_each(|id| side.core.close(*id));
        }
        for side in [0, 1] {
            for offer in std::mem::take(&mut self.taken[side]) {
                self.sides[side].core.reject(offer);
            }
            while let Some(offer) = self.sides[side].offer(self.listeners[side]) {
                self.sides[side].core.reject(offer);
            }
        }
        settle(&mut self.sides);
        for side in &self.sides {
            let core = &side.core;
            assert_eq!((core.in_use(), core.channels.len(), core.offers.len()), (0, 0, 0));
            assert_eq!((core.unread, core.waiting, core.outgoing.len()), (0, 0, 0));
        }
    }
}

proptest! {
    #[test]
    fn any_order_of_calls_and_arrivals_keeps_channels_apart(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.run(step));
        world.check();
    }

    /// Whatever a peer sends, a side goes on or ends with a reason, and keeps to its bounds.
    #[test]
    fn any_messages_are_handled_or_end_the_connection(
        messages in proptest::collection::vec(proptest::collection::vec(0..6_u8, 0..12), 0..60),
    ) {
        let mut side = Side::started();
        let listener = side.listen("");
        let ids = ["", "\u{1}"].map(|protocol| side.open(protocol));
        for message in messages {
            side.get(message);
            side.transmit();
            let _ = side.accept(listener).map(|id| side.core.close(id));
            for id in ids {
                side.received(id);
            }
            if let Some(reason) = side.core.ended() {
                prop_assert!(matches!(reason, MuxError::Protocol(_)));
                break;
            }
        }
    }
}
