//! How many connections fit into the memory that the system lets this program have.
//!
//! An allocation that fails ends a program; Rust's collections don't return the failure. So a program that
//! must stay up takes no more connections than it has room for.

use std::fs;
use std::path::Path;

/// Returns how many connections fit, `most` unless a limit on memory is set that allows fewer.
pub(super) fn connections(most: usize) -> usize {
    fitting(limit(), most)
}

fn fitting(limit: Option<u64>, most: usize) -> usize {
    let Some(limit) = limit else {
        return most;
    };
    let places = limit.saturating_sub(BESIDE) / EACH;
    usize::try_from(places).unwrap_or(most).clamp(FEWEST.min(most), most)
}

/// Returns the lowest limit on this program's memory in bytes: of its address space, its data, or its control
/// group and those around it. `None` if there is none, or the system has another way to set one.
fn limit() -> Option<u64> {
    // What a thread may use counts as address space and as data; a control group counts what it does use.
    let reserved = workers().saturating_sub(WORKERS) * EACH_WORKER;
    let own = own_limits().map(|limit| Some(limit?.saturating_sub(reserved)));
    own.into_iter().chain([group_limit()]).flatten().min()
}

/// Returns how many threads run the tasks of this program: one per core, unless set otherwise.
fn workers() -> u64 {
    tokio::runtime::Handle::try_current().map_or(WORKERS, |runtime| runtime.metrics().num_workers() as u64)
}

#[cfg(unix)]
fn own_limits() -> [Option<u64>; 2] {
    use rustix::process::{Resource, getrlimit};

    [Resource::As, Resource::Data].map(|resource| getrlimit(resource).current)
}

#[cfg(not(unix))]
const fn own_limits() -> [Option<u64>; 2] {
    [None; 2]
}

/// Reads the limits of control groups, which Linux shows as files.
fn group_limit() -> Option<u64> {
    // Where it cannot be read, there are no control groups, or none of the second version.
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = Path::new(GROUPS).join(groups.lines().find_map(|line| line.strip_prefix("0::/"))?);
    let around = own.ancestors().take_while(|folder| folder.starts_with(GROUPS));
    // The outermost has no limit, others `max` or a number.
    around.filter_map(|folder| fs::read_to_string(folder.join("memory.max")).ok()?.trim().parse().ok()).min()
}

/// Where the control groups are.
const GROUPS: &str = "/sys/fs/cgroup";
/// What the program takes without connections: its code, its threads, the store's cache, received data.
const BESIDE: u64 = 192 << 20;
/// Threads that run tasks and are in [`BESIDE`].
const WORKERS: u64 = 2;
/// What each further one reserves: 2 MiB for its stack, and what the allocator keeps for it. Measured with 64
/// of them and 11,000 connections: 2.6 MiB.
const EACH_WORKER: u64 = 3 << 20;
/// What a connection takes at most beside received data, more than twice the 12 KiB that were measured.
const EACH: u64 = 32 << 10;
/// So few are served in any case.
const FEWEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_connections_fit_into_less_memory() {
        assert_eq!(fitting(None, 10_000), 10_000);
        assert_eq!(fitting(Some(u64::MAX), 10_000), 10_000);
        assert_eq!(fitting(Some(600_000 << 10), 10_000), 10_000);
        assert_eq!(fitting(Some(BESIDE + 1000 * EACH), 10_000), 1000);
        assert_eq!(fitting(Some(1), 10_000), FEWEST);
        assert_eq!(fitting(Some(1), 10), 10);
    }
}
