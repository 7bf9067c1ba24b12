//! How much may be sent to a path before the peer has been heard there.
//!
//! A peer may claim an address that is not its own. Until a packet has come from there it gets no more than a
//! stream was allowed, so that this node amplifies nothing.

/// What is left of the allowance of a stream; without one nothing is limited.
#[derive(Debug, Default)]
pub(super) struct Credit {
    left: Option<usize>,
    /// A packet has come over the path, so no allowance counts any more.
    lifted: bool,
    /// The path leads to another host than before, of which only an answer shows that it is there.
    trial: Option<Trial>,
}

/// How far another host has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Waiting,
    /// A heartbeat has left for it.
    Asked,
}

impl Credit {
    /// Allows `bytes` of datagrams from now on, unless the limit is lifted.
    pub(super) fn set(&mut self, bytes: usize) {
        self.left = (!self.lifted).then_some(bytes);
    }

    /// Allows three times what comes, of which `received` bytes have come, until an answer does.
    pub(super) const fn restrict(&mut self, received: usize) {
        *self = Self { left: Some(FACTOR * received), lifted: false, trial: Some(Trial::Waiting) };
    }

    /// Lifts the limit: a packet has come over the path. It may have been sent by anybody, so it lifts no
    /// restriction.
    pub(super) const fn lift(&mut self) {
        if self.trial.is_none() {
            self.lifted = true;
            self.left = None;
        }
    }

    /// Notes that a heartbeat leaves, which only a host that gets it answers.
    pub(super) const fn asked(&mut self) {
        if self.trial.is_some() {
            self.trial = Some(Trial::Asked);
        }
    }

    /// Notes that `size` bytes have come over the path, and whether they are what a heartbeat is answered
    /// with.
    pub(super) fn heard(&mut self, size: usize, is_answer: bool) {
        if is_answer && self.trial == Some(Trial::Asked) {
            self.trial = None;
            self.lift();
        } else if self.trial.is_some() {
            self.left = self.left.map(|left| left + FACTOR * size);
        }
    }

    /// Returns whether a datagram of `size` bytes may leave.
    pub(super) fn affords(&self, size: usize) -> bool {
        self.left.is_none_or(|left| size <= left)
    }

    /// Counts a datagram of `size` bytes that leaves.
    pub(super) fn spend(&mut self, size: usize) {
        self.left = self.left.map(|left| left.saturating_sub(size));
    }
}

/// As many times what came from an address goes there at most before it has answered (RFC 9000 §8).
pub(super) const FACTOR: usize = 3;
