//! The client: one attempt to connect (`connect.md` §5, §14).
//!
//! [`Attempt`] goes through two phases. [`search`] finds nodes that know the server and
//! exchanges handshake messages through them; [`handshakes`] decides which node is asked when. [`connecting`]
//! carries out what a [`PathAgent`](super::path::PathAgent) decides until the stream has its path: [`lan`]
//! looks for the server in the local network, [`punching`] leads a punch. [`call`] is what both phases share.

mod attempt;
mod call;
mod connecting;
mod handshakes;
mod lan;
mod punching;
mod reply;
mod search;
mod step;

pub(super) use attempt::Attempt;
pub(super) use step::{End, Input};
