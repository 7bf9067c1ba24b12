//! `hyperdht`: a tool for any key, topic and value of a HyperDHT.
//!
//! | module | what it does |
//! |---|---|
//! | `args` | the arguments |
//! | `run` | which command runs |
//! | `session` | the node, the identity, what several commands print |
//! | `ping` | nodes, servers and the peers of a topic |
//! | `records` | peers of topics, values |
//! | `pipe` | standard input and output to a peer's |
//! | `swarm` | lines to and from all peers of a topic |
//! | `tunnel`, `udp` | ports of another computer |

mod args;
mod ping;
mod pipe;
mod records;
mod run;
mod session;
mod swarm;
mod tunnel;
mod udp;

pub use run::main;
