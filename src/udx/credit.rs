//! How much may be sent to a path before a packet has come over it.
//!
//! A peer may claim an address that is not its own. Until a packet has come from there it gets no more than a
//! stream was allowed, so that this node amplifies nothing.

/// What is left of the allowance of a stream; without one nothing is limited.
#[derive(Debug, Default)]
pub(super) struct Credit {
    left: Option<usize>,
    /// A packet has come over the path, so no allowance counts any more.
    lifted: bool,
}

impl Credit {
    /// Allows `bytes` of datagrams from now on, unless the limit is lifted.
    pub(super) fn set(&mut self, bytes: usize) {
        self.left = (!self.lifted).then_some(bytes);
    }

    /// Lifts the limit: a packet has come over the path.
    pub(super) const fn lift(&mut self) {
        self.lifted = true;
        self.left = None;
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
