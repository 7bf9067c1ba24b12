//! Which path a stream takes: the places where a peer may be reached, what shows that they work, and which
//! one is taken. Pure: it names no node, stream, punch or role.
//!
//! A connection has one [`PathAgent`]. [`gather()`] lists the candidates of a client from what the handshake
//! has brought. The agent asks its owner to check them, by [`Action`]s; the owner reports the outcome. A
//! candidate that opens is selected if nothing better is, so that the path of a stream only ever improves: a
//! selected relay gives way to a direct path, and never the other way round.
//!
//! | kind | what shows that it works | waits for |
//! |---|---|---|
//! | [`Lan`](Kind::Lan) | the peer answers a handshake or a ping there | |
//! | [`Observed`](Kind::Observed) | the peer itself has answered the handshake from there | |
//! | [`Punched`](Kind::Punched) | a probe of the peer has come through | the advertised address to be late |
//! | [`Incoming`](Kind::Incoming) | a packet of the peer has come | |
//! | [`Advertised`](Kind::Advertised) | the first bytes; selected before they come | LAN, 500 ms |
//! | [`Relayed`](Kind::Relayed) | the relay has paired both sides | the advertised address to be late |

mod agent;
mod candidate;
mod gather;
#[cfg(test)]
mod tests;

pub(super) use agent::{Action, PathAgent, Side};
pub(super) use candidate::{Candidate, Kind};
pub(super) use gather::{Facts, Gathered, gather, seems_local};
