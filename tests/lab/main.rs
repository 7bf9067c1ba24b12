//! The real programs in homes behind kernel NATs: network namespaces that `natlab` makes, which nothing
//! leaves.
//!
//! Needs root, iproute2 and nftables, and is skipped with a message without them. `HYPERPROFILE_RUNS=20`
//! repeats every pair 20 times and prints a table.

#![cfg(all(feature = "cli", target_os = "linux"))]
// The lint knows test functions, not the helpers below them; messages of skipped tests and tables are what is
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod broken;
mod carriers;
mod changes;
mod grounds;
mod homes;
mod own_network;
mod pairs;
mod relays;
