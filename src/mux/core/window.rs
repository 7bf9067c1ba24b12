//! How much of a byte stream may wait for its reader (mux.md §4).
//!
//! Kinds of messages:
//!
//! | kind | name | content |
//! |---|---|---|
//! | 0 | data | bytes |
//! | 1 | grant | varuint: how much more the receiver of this message may send |
//! | 2 | end | nothing: the sender has sent all its bytes |
//!
//! Each side may send [`INITIAL_WINDOW`] at first. A message of data costs its bytes and [`DATA_COST`], so
//! that tiny ones cannot take more memory than the window.

use crate::mux::error::Violation;
use crate::mux::message::Message;
use crate::wire::compact::{Put, Reader};

pub(super) const DATA: u64 = 0;
pub(super) const GRANT: u64 = 1;
pub(super) const END: u64 = 2;

/// The windows of the two directions of a stream.
#[derive(Debug)]
pub(super) struct Window {
    /// What this side may send.
    credit: u64,
    /// What the peer may have sent and this side has not read, at most.
    size: usize,
    /// What the peer may still send.
    left: usize,
    /// What has been read since the last grant.
    read: usize,
    /// What the peer may send in addition, and has not been told.
    grant: usize,
    /// Whether the peer has sent all its bytes.
    pub(super) is_received: bool,
    /// Whether this side has.
    pub(super) is_sent: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            credit: INITIAL_WINDOW as u64,
            size: INITIAL_WINDOW,
            left: INITIAL_WINDOW,
            read: 0,
            grant: 0,
            is_received: false,
            is_sent: false,
        }
    }
}

impl Window {
    /// Returns whether a message is data for the reader.
    pub(super) fn receive(&mut self, message: &Message) -> Result<bool, Violation> {
        match message.kind {
            DATA if self.is_received => Ok(false),
            DATA => {
                let cost = message.content.len() + DATA_COST;
                self.left = self.left.checked_sub(cost).ok_or(Violation::WindowExceeded)?;
                Ok(true)
            }
            GRANT => {
                let more = Reader::new(&message.content).varuint().map_err(|_| Violation::Truncated)?;
                self.credit = self.credit.saturating_add(more);
                Ok(false)
            }
            END => {
                self.is_received = true;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Returns how many bytes one message may hold now.
    pub(super) fn may_send(&self) -> usize {
        usize::try_from(self.credit).unwrap_or(usize::MAX).saturating_sub(DATA_COST).min(MAX_DATA)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    pub(super) const fn sent(&mut self, bytes: usize) {
        self.credit -= (bytes + DATA_COST) as u64;
    }

    /// Notes that a message of so many bytes has been read. `streams` is how many there are on the
    /// connection.
    pub(super) fn read(&mut self, bytes: usize, streams: usize) {
        self.read += bytes + DATA_COST;
        if self.read * 2 < self.size || self.is_received {
            return;
        }
        let unread = self.size - self.left - self.read;
        let share = (MAX_WINDOWS / streams.max(1)).clamp(INITIAL_WINDOW, MAX_WINDOW);
        // A reader that keeps up has the window grow; one of many gives back what is above its share.
        let target = if unread <= self.size / 4 { self.size * 2 } else { self.size }.min(share);
        let size = target.max(self.size - self.read);
        let more = size - (self.size - self.read);
        self.size = size;
        self.left += more;
        self.read = 0;
        self.grant += more;
    }

    pub(super) const fn has_grant(&self) -> bool {
        self.grant > 0
    }

    /// Returns the content of the grant that is due. There is one at a time, however many the peer makes due
    /// without reading them.
    pub(super) fn take_grant(&mut self) -> Option<Vec<u8>> {
        let more = std::mem::take(&mut self.grant);
        let mut content = Vec::with_capacity(5);
        content.put_varuint(more as u64);
        (more > 0).then_some(content)
    }

    pub(super) const fn forget_grant(&mut self) {
        self.grant = 0;
    }
}

/// What a stream may be sent at first, and what each may be sent however many there are.
pub(super) const INITIAL_WINDOW: usize = 64 * 1024;

/// What one stream may be sent whose reader keeps up.
pub(super) const MAX_WINDOW: usize = 8 << 20;

/// What the streams of a connection share above that.
pub(super) const MAX_WINDOWS: usize = 32 << 20;

/// What a message of data costs beside its bytes.
pub(super) const DATA_COST: usize = 32;

/// Bytes in one message of data.
pub(in crate::mux) const MAX_DATA: usize = 32 * 1024;
