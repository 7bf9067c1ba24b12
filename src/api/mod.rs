//! What users call; re-exported from the crate root.
//!
//! # The life of a connection
//!
//! **Accept.** [`Server::accept`] hands out a connection once the client has a path to the server. The
//! client's key is [claimed](Connection::claimed_key), not proven. Both sides can write at once.
//!
//! **Prove.** [`Connection::proven`] waits for the first message of the client that decrypts. A client of
//! this crate sends one at once. On the dialling side the key is proven from the beginning.
//!
//! **Read and write.** A write is ready once its bytes are queued; nothing waits for a flush. A read returns
//! nothing (`Ok(0)`, `Ok(None)`) once the peer has ended its direction.
//!
//! **End one direction.** `shutdown` ends the own direction after what was written, and is ready once the
//! peer has acknowledged all of it. Dropping the [`WriteHalf`] ends the direction as well, and waits for
//! nothing. Reading goes on in both cases. Dropping the [`ReadHalf`] means that what comes is dropped: the
//! peer can go on and finish.
//!
//! **Drop both.** Nothing that was written is lost: the node goes on to send it, ends the direction, drops
//! what still comes and forgets the connection once the peer has ended its direction as well. After
//! [`Limits::linger_for`], or 1 MiB more from the peer, or when all such connections hold more than
//! [`Limits::linger_memory`], it resets the connection. A `write_all` that is dropped before it is ready has
//! written a part.
//!
//! **Abort.** [`Connection::abort`] and [`WriteHalf::abort`] reset the connection, and so does a half that is
//! dropped while its thread panics: the peer gets [`StreamError::Reset`], not an end that looks like a whole
//! answer. A task that is cancelled does not panic: its connection is dropped.
//!
//! **Closed.** [`Connection::closed`] is ready once both directions have ended. It is `Ok` if nothing was
//! lost: also if the peer has ended its direction, has all that was written to it, and is gone then. A peer
//! that was dropped and has sent all it had still waits for the other end: read until the end and `shutdown`,
//! or drop the connection.
//!
//! **Close the node.** [`Dht::close`] takes at most 3 s. In that time what was written before a `shutdown` or
//! a drop still arrives; all other connections are reset. Without `close`, a node ends when its last handle
//! is dropped; connections dropped before then still get the time of [`Limits::linger_for`].
//!
//! **End of the program.** When the runtime is dropped, as at the end of `main`, each peer is sent what the
//! path takes at once, and then the end, without waiting for an answer: an orderly end where everything fits,
//! a reset where something is left. If a packet of that is lost, the peer finds out by its idle timeout, 20 s
//! by default. Nothing is sent where the process is killed or calls [`std::process::exit`], and announcements
//! of servers stay in the DHT for some minutes. Await [`Dht::close`] to avoid all this.

mod config;
mod connect;
mod connect_address;
mod connection;
mod connection_stats;
#[cfg(feature = "swarm")]
pub(crate) mod connection_watch;
mod dht;
pub(crate) mod durable;
mod error;
pub(crate) mod files;
mod identity;
mod io_error;
pub(crate) mod key_file;
mod lookup;
mod messages;
mod node;
mod records;
mod relay;
mod requests;
mod server;
mod testnet;
mod watch;

pub use crate::connect::relay::RelayLimits;
pub use crate::connect::{
    Applicant, Exchange, Firewall, Lost, Path, PunchRequest, Report, ServerAddress, Stage, Strategy,
};
pub use crate::dht::{
    Drops, Fill, FoundPeer as Found, FoundValue as MutableValue, Health, Kept as KeptAnnouncement,
    ParseKeptError as ParseAnnouncementError, Stats as DhtStats, Stored,
};
pub use crate::net::{Joined, Listening, NodeState, OpenStream, Overview, Stats};
pub use crate::udx::Traffic;
pub use config::{DEFAULT_BOOTSTRAP, DhtBuilder, Limits, Mode};
pub use connect::Connect;
pub use connect_address::{ConnectAddress, ParseConnectAddressError};
pub use connection::{Connection, ReadHalf, WriteHalf};
pub use connection_stats::ConnectionStats;
pub use dht::{Bootstrapped, Dht, Pong};
pub use error::{
    BootstrapError, ConnectError, ListenError, NodeError, PutError, QueryError, RequestError, SpawnError,
    StreamError,
};
pub use identity::{ClaimedKey, ProvenKey};
pub use key_file::{KeyFile, KeyFileError, LoadedKey};
pub use lookup::{Lookup, Peers};
pub use messages::Messages;
pub use records::{Announce, MutableGet};
pub use relay::{Relay, RelayStats, ServeRelay};
pub use requests::{Request, Requests, Response, SendRequest};
pub use server::{Listen, Server};
pub use testnet::{Testnet, TestnetError};
pub use watch::NodeWatch;
