//! The server: answers handshakes for one key and waits for its clients' packets (`connect.md` §6, §14).
//!
//! A [`Server`] keeps itself findable by its [`announcer`]. [`entries`] holds the handshakes
//! that it answers, each distinct message 1 once; [`entry`] is one of them, whose stream gets its path from a
//! [`PathAgent`](super::path::PathAgent). [`punching`] answers a client that punches, [`return_path`] takes
//! the answer to message 1 back to the client.

mod announcer;
mod claims;
mod entries;
mod entry;
mod punching;
mod return_path;
mod server;
mod withdrawals;

pub(super) use server::{Notice, Server};
