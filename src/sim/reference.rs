//! The algorithm of the reference, to be compared with.

use std::time::Duration;

use crate::dht::Policy;

/// Returns how a node of the reference walks and keeps its table (dht-rpc.md §9, §10 and §12).
pub const fn policy() -> Policy {
    Policy {
        // §10.1: no limit per network.
        per_network: usize::MAX,
        // §10.4: refreshes are random.
        thin_row: 0,
        // §10.1, `closest`.
        names_by_row: true,
        // §12.1 to §12.3.
        newest_first: true,
        // §10.2: a request is enough.
        verifies_senders: false,
        // §12.5.
        bootstrap_concurrency: 2,
        // §9: every try takes a second, and a walk that is over keeps retrying.
        first_retry: None,
        notices_late: false,
        tries_after_end: u32::MAX,
        unresponsive_for: Duration::ZERO,
    }
}
