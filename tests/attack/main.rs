//! Attacks on the shipped programs and on the public library: hostile peers, failing disks, damaged files.
//!
//! Each module is one subject; its tests assert what `docs/security.md` promises. Tests that take long run
//! reduced, and whole with `HYPERPROFILE_FULL=1`, which `tests/run --full` sets.

// The lint knows test functions, not the helpers below them; figures are what is printed.
#![allow(clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod backup;
mod clock;
mod flood;
mod free_work;
#[path = "../cli/harness.rs"]
#[allow(dead_code, reason = "each test binary uses a part of the harness")]
mod harness;
mod memory;
mod metrics;
mod output;
mod places;
mod process;
mod raw_peer;
mod records;
mod secrets;
mod served;
mod stopped;
mod store;
mod terminal;

/// Returns `whole` when the long tables run, `reduced` otherwise.
fn amount<T>(reduced: T, whole: T) -> T {
    match std::env::var_os("HYPERPROFILE_FULL") {
        Some(_) => whole,
        None => reduced,
    }
}
