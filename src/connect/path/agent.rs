//! Decides which candidates are checked and which one is selected.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::candidate::{Candidate, Kind, State};
use crate::connect::ids::Place;

/// What the owner of an agent has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Action {
    /// Begin the check of this candidate, and report [`PathAgent::opened`] or [`PathAgent::failed`].
    Check { kind: Kind, place: Option<Place> },
    /// Use this place for the stream: the first one, or another one than before.
    Select { kind: Kind, place: Place },
    /// Ask the peer to answer at this place, and report what is [heard](PathAgent::heard) there.
    Probe { kind: Kind, place: Place, is_first: bool },
    /// The candidate has not opened in time. The place is that of an advertised address.
    Overdue { kind: Kind, place: Option<Place> },
    /// End all checks but that of the relay. `won`: one of them has led to a path.
    StopChecks { won: bool },
    /// Leave the relay, which has not paired the stream yet.
    LeaveRelay,
    /// No candidate is left. What is selected, if anything is, has never answered.
    Exhausted,
    /// The path does not change any more.
    Done,
}

/// What lets a stream migrate to another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Side {
    /// The client: a candidate has opened, and the peer answers there.
    Leading,
    /// The server: a packet of the peer has come from there.
    Following,
}

/// The candidates of one connection, and which one is selected.
///
/// After every call, carry out [`Self::poll_action`] until it returns `None`.
#[derive(Debug)]
pub(in crate::connect) struct PathAgent {
    side: Side,
    /// In the order in which they are checked.
    candidates: Vec<Candidate>,
    selected: Selected,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Selected {
    Nothing,
    /// The stream uses a place at which the peer has not been heard yet.
    Provisional,
    /// The stream runs through a relay and may leave it.
    Relayed,
    /// The stream keeps its path.
    Final,
}

impl PathAgent {
    pub(in crate::connect) fn new(now: Instant, side: Side, candidates: Vec<Candidate>) -> Self {
        let mut agent = Self { side, candidates, selected: Selected::Nothing, actions: VecDeque::new() };
        for index in 0..agent.candidates.len() {
            let candidate = agent.candidates[index];
            match (candidate.state, candidate.place) {
                (State::Open, Some(place)) => agent.select(candidate.kind, place),
                (State::Checking { .. }, _) => agent.check(now, index),
                (State::Held { until }, _) if until <= now => agent.check(now, index),
                _ => {}
            }
        }
        agent.conclude();
        agent
    }

    /// Handles a check that has succeeded: the peer can be reached at this place.
    pub(in crate::connect) fn opened(&mut self, now: Instant, kind: Kind, place: Place) {
        let Some(candidate) = self.hopeful(kind) else {
            return;
        };
        candidate.place = Some(place);
        match self.selected {
            Selected::Final => return,
            Selected::Nothing => self.select(kind, place),
            Selected::Provisional if kind == Kind::Relayed => self.select(kind, place),
            Selected::Provisional | Selected::Relayed => self.probe(now, kind, place),
        }
        self.conclude();
    }

    /// Handles a check that has failed.
    pub(in crate::connect) fn failed(&mut self, now: Instant, kind: Kind) {
        if let Some(candidate) = self.hopeful(kind) {
            candidate.state = State::Failed;
            if kind == Kind::Lan {
                self.release(now, |state| matches!(state, State::Held { .. }));
            }
            self.conclude();
        }
    }

    /// Handles packets of the peer that come from a place. With nothing selected yet they select it. Later
    /// the following side takes the place, and the leading side if it has probed it.
    pub(in crate::connect) fn heard(&mut self, kind: Kind, place: Place) {
        match self.selected {
            Selected::Final => return,
            Selected::Nothing => self.select(kind, place),
            Selected::Provisional | Selected::Relayed => {
                let follows = self.side == Side::Following;
                let probed = self.probed().filter(|probed| probed.place == Some(place));
                match probed.map(|probed| probed.kind) {
                    Some(kind) => self.select(kind, place),
                    None if follows => self.select(kind, place),
                    None => {}
                }
            }
        }
        self.conclude();
    }

    /// Handles the first bytes of the peer on the selected path.
    pub(in crate::connect) fn validated(&mut self) {
        if self.selected == Selected::Provisional {
            self.leave_unpaired_relay();
            self.selected = Selected::Final;
            self.end(false);
        }
    }

    /// Handles what is due.
    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant) {
        if self.selected == Selected::Final {
            return;
        }
        for index in 0..self.candidates.len() {
            let Candidate { kind, place, state } = self.candidates[index];
            if self.candidates[index].deadline().is_none_or(|at| at > now) {
                continue;
            }
            match state {
                State::Held { .. } => self.check(now, index),
                State::Checking { .. } if kind == Kind::Advertised => {
                    self.candidates[index].state = State::Late { until: now + WAIT_FOR_OTHERS };
                    self.actions.push_back(Action::Overdue { kind, place });
                    self.release(now, |state| *state == State::Reserve);
                }
                State::Checking { .. } => {
                    self.candidates[index].state = State::Failed;
                    self.actions.push_back(Action::Overdue { kind, place });
                }
                State::Late { .. } => self.candidates[index].state = State::Failed,
                State::Probing { sent, .. } => {
                    let next = State::probed(now, sent);
                    self.candidates[index].state = next.unwrap_or(State::Failed);
                    if let (Some(_), Some(place)) = (next, place) {
                        let is_first = false;
                        self.actions.push_back(Action::Probe { kind, place, is_first });
                    }
                }
                State::Reserve | State::Open | State::Failed => {}
            }
        }
        self.conclude();
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        if self.selected == Selected::Final {
            return None;
        }
        self.candidates.iter().filter_map(Candidate::deadline).min()
    }

    /// Returns what to do next.
    pub(in crate::connect) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns whether the stream has a path.
    pub(in crate::connect) fn has_selected(&self) -> bool {
        self.selected != Selected::Nothing
    }

    /// Returns whether the stream uses a place at which the peer has not been heard yet.
    pub(in crate::connect) fn is_provisional(&self) -> bool {
        self.selected == Selected::Provisional
    }

    /// Returns whether the stream runs through a relay and may leave it.
    pub(in crate::connect) fn may_leave_relay(&self) -> bool {
        self.selected == Selected::Relayed
    }

    /// Returns whether a candidate could still become a better path.
    pub(in crate::connect) fn is_looking(&self) -> bool {
        self.selected != Selected::Final && self.direct().any(Candidate::is_hopeful)
    }

    /// Returns whether the relay is dialled and has not paired the stream yet.
    pub(in crate::connect) fn awaits_relay(&self) -> bool {
        self.get(Kind::Relayed).is_some_and(Candidate::is_hopeful)
    }

    /// Returns whether the relay is dialled or in use.
    pub(in crate::connect) fn uses_relay(&self) -> bool {
        self.get(Kind::Relayed).is_some_and(|relay| relay.is_hopeful() || relay.state == State::Open)
    }

    fn check(&mut self, now: Instant, index: usize) {
        let candidate = &mut self.candidates[index];
        match (candidate.kind, candidate.place) {
            // The first bytes are its check, and they come only once the stream is there.
            (Kind::Advertised, Some(place)) => {
                let until = Some(now + WAIT_FOR_FIRST_BYTES);
                candidate.state = State::Checking { until };
                self.select(Kind::Advertised, place);
            }
            (kind, place) => {
                if !matches!(candidate.state, State::Checking { .. }) {
                    candidate.state = State::Checking { until: None };
                }
                self.actions.push_back(Action::Check { kind, place });
            }
        }
    }

    fn release(&mut self, now: Instant, which: impl Fn(&State) -> bool) {
        for index in 0..self.candidates.len() {
            if which(&self.candidates[index].state) {
                self.check(now, index);
            }
        }
    }

    fn select(&mut self, kind: Kind, place: Place) {
        let provisional = kind == Kind::Advertised;
        if kind != Kind::Relayed && !provisional {
            let migrates = self.selected != Selected::Nothing;
            if !migrates {
                self.leave_unpaired_relay();
            }
            self.selected = Selected::Final;
            self.actions.push_back(Action::Select { kind, place });
            self.end(true);
            return;
        }
        self.selected = match kind {
            Kind::Relayed => Selected::Relayed,
            _ => Selected::Provisional,
        };
        for candidate in &mut self.candidates {
            if candidate.kind == kind && !provisional {
                candidate.state = State::Open;
            } else if candidate.kind == Kind::Advertised && !provisional {
                candidate.state = State::Failed;
            }
        }
        self.actions.push_back(Action::Select { kind, place });
    }

    /// The stream has a path and this place works as well: the peer has to answer there before the stream
    /// migrates. (The reference migrates at its first probe and can't go back, `connect.md` §11.4.)
    fn probe(&mut self, now: Instant, kind: Kind, place: Place) {
        if let Some(replaced) = self.probed() {
            replaced.state = State::Failed;
        }
        if let Some(candidate) = self.hopeful(kind) {
            candidate.state = State::probed(now, 0).unwrap_or(State::Failed);
        }
        let is_first = true;
        self.actions.push_back(Action::Probe { kind, place, is_first });
        // Another host that has the server's address in the local network may have passed the handshake on
        // and kept silent about it, so that a LAN candidate ends no other check.
        if !matches!(kind, Kind::Lan | Kind::Relayed) {
            self.actions.push_back(Action::StopChecks { won: true });
            for other in &mut self.candidates {
                if other.kind != kind && other.kind != Kind::Relayed && other.is_hopeful() {
                    other.state = State::Failed;
                }
            }
        }
    }

    /// Ends the search if nothing is left to hope for.
    fn conclude(&mut self) {
        if self.selected == Selected::Final || self.is_looking() {
            return;
        }
        match self.selected {
            Selected::Relayed => {
                self.selected = Selected::Final;
                self.actions.push_back(Action::Done);
            }
            Selected::Nothing | Selected::Provisional if !self.awaits_relay() => {
                self.actions.push_back(Action::Exhausted);
            }
            Selected::Nothing | Selected::Provisional | Selected::Final => {}
        }
    }

    fn end(&mut self, won: bool) {
        self.actions.push_back(Action::StopChecks { won });
        self.actions.push_back(Action::Done);
    }

    fn leave_unpaired_relay(&mut self) {
        if self.awaits_relay() {
            self.actions.push_back(Action::LeaveRelay);
        }
    }

    fn get(&self, kind: Kind) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.kind == kind)
    }

    fn hopeful(&mut self, kind: Kind) -> Option<&mut Candidate> {
        let mut candidates = self.candidates.iter_mut();
        candidates.find(|candidate| candidate.kind == kind && candidate.is_hopeful())
    }

    fn probed(&mut self) -> Option<&mut Candidate> {
        let mut candidates = self.candidates.iter_mut();
        candidates.find(|candidate| matches!(candidate.state, State::Probing { .. }))
    }

    fn direct(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.kind != Kind::Relayed)
    }
}

/// How long an advertised address alone gets to answer: the reference repeats its first packet after a
/// second (`udx.md` §13).
const WAIT_FOR_FIRST_BYTES: Duration = Duration::from_millis(1500);
/// How long other candidates get at least after that: the owner of the stream waits for the first data.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(6);
