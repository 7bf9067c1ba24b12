//! Several servers with one key: who is reached, and what happens when one of them dies.
//!
//! Run `npm ci` in `tests/interop` first.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; skipping aloud is the one thing printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod announcements;
#[cfg(feature = "postgres")]
mod database;
mod mortal;
#[cfg(feature = "postgres")]
#[path = "../support/postgres.rs"]
mod postgres;
mod silence;
// Each program of tests uses a part of it.
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "postgres")]
mod writers;
