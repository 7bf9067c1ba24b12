//! How much may be sent to a path that has not spoken yet.
//!
//! Where a peer claims to be may be somebody else. Until a packet has come from there it gets no more than a
//! stream was allowed, so that nobody can be flooded through us.

/// What is left of the allowance of a stream; without one nothing is limited.
#[derive(Debug, Default)]
pub(super) struct Credit {
    left: Option<usize>,
    /// The path has spoken, so no allowance counts any more.
    lifted: bool,
}

impl Credit {
    /// Allows `bytes` of datagrams from now on until the path has spoken.
    pub(super) fn set(&mut self, bytes: usize) {
        self.left = (!self.lifted).then_some(bytes);
    }

    /// Takes note that the path has spoken.
    pub(super) const fn lift(&mut self) {
        self.lifted = true;
        self.left = None;
    }

    /// Tells whether a datagram of `size` bytes may leave.
    pub(super) fn affords(&self, size: usize) -> bool {
        self.left.is_none_or(|left| size <= left)
    }

    /// Takes note that `size` bytes leave.
    pub(super) fn spend(&mut self, size: usize) {
        self.left = self.left.map(|left| left.saturating_sub(size));
    }
}
