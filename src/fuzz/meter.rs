//! How much memory a call allocates. Only tests count: libFuzzer has a limit of its own.

/// The most bytes that one datagram may have allocated.
pub(super) const PER_DATAGRAM: usize = 64 * 1024;

/// Calls `act` and panics if it allocates more than `limit` bytes.
pub(super) fn at_most<T>(limit: usize, act: impl FnOnce() -> T) -> T {
    let (result, total, _) = measured(act);
    assert!(total <= limit as u64, "{total} bytes allocated");
    result
}

/// Calls `act` and panics if it leaves more than `limit` bytes allocated than before. For streams: a packet
/// that closes a gap moves what came early, up to a window of it.
pub(super) fn keeps_at_most<T>(limit: usize, act: impl FnOnce() -> T) -> T {
    let (result, _, kept) = measured(act);
    assert!(kept <= limit as i64, "{kept} bytes kept");
    result
}

/// Meters the datagrams of one node.
pub(super) struct Meter {
    /// Tables of levels that the node has not made yet: one for the replies to strangers and one for what it
    /// forwards, each of a fixed size and made when it is first needed.
    tables: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { tables: 2 }
    }
}

impl Meter {
    /// Calls `act` and panics if it allocates more than a datagram may, and a table that is still to be made.
    pub(super) fn datagram<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let (result, total, _) = measured(act);
        // Both tables may be due to one datagram.
        let made = total.saturating_sub(PER_DATAGRAM as u64).div_ceil(TABLE);
        assert!(made <= self.tables, "{total} bytes allocated");
        self.tables -= made;
        result
    }
}

/// Bytes of a table of levels.
const TABLE: u64 = 256 * 1024;

/// Calls `act` and returns how many bytes it has allocated, and how many more are allocated than before.
#[cfg(test)]
fn measured<T>(act: impl FnOnce() -> T) -> (T, u64, i64) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(act()));
    (result.expect("the call returned"), counted.bytes_total, counted.bytes_current)
}

#[cfg(not(test))]
fn measured<T>(act: impl FnOnce() -> T) -> (T, u64, i64) {
    (act(), 0, 0)
}
