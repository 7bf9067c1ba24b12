//! From two keys to one path (sans-IO): handshake, forwarding, announcing, and the path of a stream.
//!
//! [`Endpoint`] is a whole peer. It owns a DHT node and the streams, and turns the answers of the one and the
//! packets of the other into connections.
//!
//! | room | duty |
//! |---|---|
//! | `ids`, `options`, `event`, `limits`, `report`, `timeline` | what goes in and comes out |
//! | `done`, `handshake`, `job` | the computations that run beside the driver, and what comes of them |
//! | `nat`, `router`, `noise`, `secure_payload`, `timers` | tools that know no connection |
//! | `path` | which places might work, what is checked next, which one is taken |
//! | `context` | the node, the streams, who waits for what, the own addresses |
//! | `punch` | opens NATs: the puncher socket, plans of probes, budgets |
//! | `relay` | blind relays: the client, the service, what it forwards, and leaving one |
//! | `remembered` | where peers were reached before |
//! | `intake` | which handshakes of remote clients are computed next, and which are forgotten |
//! | `core` | what `dial` and `serve` share |
//! | `dial` | the client: one attempt to connect |
//! | `serve` | the server: one listening key |
//! | `endpoint` | the verbs of the driver, and the routing of events to attempts and servers |
//!
//! Each room names only those above it; `dial` and `serve` never name each other. The protocol is described
//! in `docs/protocol/connect.md`, the life of a connection in `docs/architecture.md`.

mod context;
mod core;
mod dial;
mod done;
mod endpoint;
mod event;
mod handshake;
mod ids;
mod intake;
mod job;
mod limits;
mod nat;
pub mod noise;
mod options;
mod path;
mod punch;
pub mod relay;
mod remembered;
mod report;
mod router;
pub mod secure_payload;
mod serve;
#[cfg(test)]
mod tests;
mod timeline;
mod timers;

pub use endpoint::Endpoint;
pub use event::{Established, Event, Moved, Origin, RelayDial, ServerAddress, ServerState};
pub use ids::{AttemptId, Path, ServerId};
pub use job::{Job, JobDone, Question, Reply, Step};
pub use limits::Limits;
pub use nat::Firewall;
pub use options::{
    AllowHook, Applicant, Config, Decision, Dial, Listen, ListenError, PunchHook, PunchRequest,
};
pub use punch::Strategy;
#[cfg(feature = "serde")]
pub(crate) use report::milliseconds;
pub use report::{Exchange, Failure, Lost, Report, Stage};
