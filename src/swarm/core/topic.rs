//! One topic: who wants it, what of it is announced, and which query is next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::StdRng;

use crate::PublicKey;
use crate::swarm::settings::{
    MAX_SEEN_KEYS, MAX_TOPIC_PEERS, NAMED, REFRESH, REFRESH_FAILED, REFRESH_FRESH, REFRESH_JITTER,
};

/// Names one call of `join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::swarm) struct SessionId(pub(in crate::swarm) u64);

/// Names one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::swarm) struct QueryId(pub(in crate::swarm) u64);

/// How a topic is joined: whether peers are to find this one, whether this one looks for peers, and for how
/// many.
///
/// The default is both, without a limit, as in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Join {
    /// Announces the swarm's key under the topic, so that others dial it.
    pub server: bool,
    /// Looks the topic up, and dials the peers that it finds.
    pub client: bool,
    /// Peers of this topic to look for; `None` is without a limit. The last call that joins the topic counts.
    pub limit: Option<usize>,
}

impl Default for Join {
    fn default() -> Self {
        Self { server: true, client: true, limit: None }
    }
}

impl Join {
    /// Announces only.
    pub const fn server() -> Self {
        Self { server: true, client: false, limit: None }
    }

    /// Looks up only.
    pub const fn client() -> Self {
        Self { server: false, client: true, limit: None }
    }

    /// Sets how many peers of the topic to look for.
    pub const fn limit(mut self, peers: usize) -> Self {
        self.limit = Some(peers);
        self
    }
}

/// One query of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Step {
    /// Looks for peers.
    Lookup,
    /// Announces the own key; listens before, if nothing listens yet.
    Announce,
    /// Takes the announcement back.
    Unannounce,
}

/// A topic that is joined, or being left.
#[derive(Debug, Default)]
pub(super) struct Topic {
    sessions: BTreeMap<SessionId, Join>,
    limit: Option<usize>,
    /// Something may be announced.
    announced: bool,
    running: Option<(QueryId, Step)>,
    plan: VecDeque<Step>,
    /// When to announce anew.
    renew: Option<Instant>,
    /// When to look up again before that.
    again: Option<Instant>,
    /// Lookups that are to follow in any case.
    owed: u32,
    /// Lookups in a row, each soon after the one before it.
    in_a_row: u32,
    fresh: bool,
    failed: bool,
    /// The last refresh that came to its end has succeeded.
    succeeded: bool,
    seen: BTreeSet<PublicKey>,
    /// Peers that the present lookup may still take, and those that it has taken, where there is a limit.
    room: Option<usize>,
    taken: BTreeSet<PublicKey>,
    /// Records of peers that were found under the topic.
    pub(super) members: usize,
}

impl Topic {
    pub(super) fn client(&self) -> bool {
        self.sessions.values().any(|join| join.client)
    }

    pub(super) fn server(&self) -> bool {
        self.sessions.values().any(|join| join.server)
    }

    /// Returns whether nobody wants the topic.
    pub(super) fn is_left(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Returns whether a refresh is over.
    pub(super) fn is_refreshed(&self) -> bool {
        self.running.is_none() && self.plan.is_empty()
    }

    /// Returns whether the last refresh has succeeded.
    pub(super) const fn has_succeeded(&self) -> bool {
        self.succeeded
    }

    #[cfg(test)]
    pub(super) fn running(&self) -> Option<QueryId> {
        self.running.map(|(query, _)| query)
    }

    /// Returns whether the announcement is taken back, or about to be.
    pub(super) fn is_withdrawing(&self) -> bool {
        let running = self.running.map(|(_, step)| step);
        running.iter().chain(&self.plan).any(|step| *step == Step::Unannounce)
    }

    pub(super) fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Adds or changes what a session wants; returns whether the topic is wanted otherwise than before.
    pub(super) fn want(&mut self, session: SessionId, join: Join) -> bool {
        let before = (self.client(), self.server());
        self.sessions.insert(session, join);
        self.limit = join.limit;
        if self.client() && !before.0 {
            // Others that join at the same time may not be announced yet.
            self.owed = 1;
        }
        before != (self.client(), self.server())
    }

    /// Ends a session; returns whether the topic is wanted otherwise than before.
    pub(super) fn leave(&mut self, session: SessionId) -> bool {
        let before = (self.client(), self.server());
        self.sessions.remove(&session);
        before != (self.client(), self.server())
    }

    /// Ends all sessions.
    pub(super) fn leave_all(&mut self) {
        self.sessions.clear();
    }

    /// Plans a refresh. Returns the query that is to be given up for it.
    pub(super) fn refresh(&mut self) -> Option<QueryId> {
        self.renew = None;
        self.again = None;
        self.failed = false;
        self.in_a_row = 0;
        self.plan = match (self.server(), self.client(), self.announced) {
            // Of two that join at the same time, the one that looks up after it is announced finds the other.
            (true, true, false) => [Step::Lookup, Step::Announce, Step::Lookup].into(),
            (true, true, true) => [Step::Announce, Step::Lookup].into(),
            (true, false, _) => [Step::Announce].into(),
            (false, true, true) => [Step::Unannounce, Step::Lookup].into(),
            (false, true, false) => [Step::Lookup].into(),
            (false, false, true) => [Step::Unannounce].into(),
            (false, false, false) => VecDeque::new(),
        };
        self.stop()
    }

    /// Plans to withdraw only. Returns the query that is to be given up for it.
    pub(super) fn suspend(&mut self) -> Option<QueryId> {
        self.renew = None;
        self.again = None;
        self.plan.clear();
        if self.announced {
            self.plan.push_back(Step::Unannounce);
        }
        self.stop()
    }

    /// Gives up the query that runs, unless that withdraws: what follows waits for its end.
    fn stop(&mut self) -> Option<QueryId> {
        let given_up = self.running.take_if(|(_, step)| *step != Step::Unannounce);
        given_up.map(|(query, _)| query)
    }

    /// Returns the next query to run, if none does. `connected` counts the connected peers of the topic.
    pub(super) fn start(&mut self, query: QueryId, connected: impl FnOnce() -> usize) -> Option<Step> {
        if self.running.is_some() {
            return None;
        }
        let step = self.plan.pop_front()?;
        self.running = Some((query, step));
        match step {
            Step::Lookup => {
                self.fresh = false;
                self.taken.clear();
                self.room = self.limit.map(|limit| limit.saturating_sub(connected()));
            }
            Step::Announce => self.announced = true,
            Step::Unannounce => {}
        }
        Some(step)
    }

    /// Notes that a lookup has named a peer; returns whether it is to be taken up. `is_new` says that there
    /// is no record of it, `is_connected` that it needs no dial.
    pub(super) fn takes(&mut self, query: QueryId, key: PublicKey, is_new: bool, is_connected: bool) -> bool {
        if self.running.is_none_or(|(running, _)| running != query) || !self.client() {
            return false;
        }
        if self.seen.len() < MAX_SEEN_KEYS && self.seen.insert(key) {
            self.fresh = true;
        }
        if is_new && self.members >= MAX_TOPIC_PEERS {
            return false;
        }
        if let Some(room) = &mut self.room
            && !is_connected
            && !self.taken.contains(&key)
        {
            if *room == 0 {
                return false;
            }
            *room -= 1;
            self.taken.insert(key);
        }
        true
    }

    /// Notes the end of a query; returns whether it was the one that ran, and which.
    pub(super) fn over(&mut self, query: QueryId, succeeded: bool) -> Option<Step> {
        let (_, step) = self.running.take_if(|(running, _)| *running == query)?;
        match step {
            Step::Unannounce => self.announced = false,
            Step::Lookup | Step::Announce => self.failed |= !succeeded,
        }
        Some(step)
    }

    /// Decides when to refresh next, at the end of a refresh.
    pub(super) fn rest(&mut self, now: Instant, rng: &mut StdRng) {
        self.succeeded = !std::mem::take(&mut self.failed);
        if !self.succeeded {
            self.renew = Some(now + REFRESH_FAILED + rng.gen_range(Duration::ZERO..REFRESH_FAILED));
            return;
        }
        let jitter = rng.gen_range(Duration::ZERO..REFRESH_JITTER);
        self.renew.get_or_insert_with(|| now + REFRESH + jitter);
        if std::mem::take(&mut self.fresh) {
            // A node names 20 peers of a topic at most: where there are more, each lookup misses some.
            self.owed = 1 + u32::from(self.seen.len() > NAMED);
        }
        if self.owed > 0 && self.client() {
            self.owed -= 1;
            let wait = REFRESH_FRESH * 2u32.pow(self.in_a_row.min(8));
            self.in_a_row += 1;
            self.again = Some(now + wait + rng.gen_range(Duration::ZERO..wait));
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.renew.into_iter().chain(self.again).min()
    }

    /// Plans what is due; returns the query that is to be given up for it.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<QueryId> {
        if self.renew.is_some_and(|at| at <= now) {
            let in_a_row = self.in_a_row;
            let given_up = self.refresh();
            self.in_a_row = in_a_row;
            return given_up;
        }
        if self.again.take_if(|at| *at <= now).is_some() && self.is_refreshed() {
            self.plan.push_back(Step::Lookup);
        }
        None
    }
}
