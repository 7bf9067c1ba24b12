//! Which path a stream takes: the places where a peer may be reached, what shows that they work, and which
//! one is taken. Pure: it names no node, stream or punch.
//!
//! A connection has one [`PathAgent`]. [`gather()`] lists the candidates of a client from what the handshake
//! has brought. The agent asks its owner to check them, by [`Action`]s; the owner reports the outcome. The
//! first candidate that opens is selected. A selected relay gives way to a direct path once the peer answers
//! there; an advertised address that has not answered gives way to any other candidate. On the following side
//! the packets of the peer are the check, and they select.
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
