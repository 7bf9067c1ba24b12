//! One error type per operation.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use crate::PublicKey;
use crate::connect::{Failure, Path, Report, Stage};
use crate::dht::{self, ValueError};
use crate::net::End;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The bind address is not an IPv4 address with a port.
    #[error("cannot bind to {given:?}: not an IPv4 address and port like 0.0.0.0:49737")]
    Address {
        /// What was given.
        given: String,
    },
    /// A bootstrap entry is not `host:port` or `ip@host:port`.
    #[error("bootstrap node {given:?} is neither HOST:PORT nor IP@HOST:PORT")]
    Bootstrap {
        /// What was given.
        given: String,
    },
    /// The sockets could not be bound.
    #[error("cannot bind UDP sockets on {address}")]
    Bind {
        /// The address that was asked for.
        address: std::net::SocketAddrV4,
        /// The error of the system.
        source: io::Error,
    },
    /// There is no tokio runtime to run the node on.
    #[error("a node runs on a tokio runtime with I/O and time enabled, and there is none here")]
    NoRuntime,
}

/// Why a node has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The node's code has panicked, or a waker of its user has. The panic hook has reported the place.
    #[error("the node has ended because of a bug: {message}")]
    Panicked {
        /// The message of the panic; that of a task beside the driver is only in what the hook has reported.
        message: String,
    },
}

/// Why waiting for the end of bootstrapping failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// No bootstrap node answered, or none of the names could be resolved.
    #[error("no bootstrap node answered: there is no network, or the bootstrap nodes are down")]
    NoNetwork,
    /// The node has been closed.
    #[error("the node has been closed")]
    Closed,
}

/// Why there is no connection. All variants but [`Self::Closed`] carry what was tried.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// DHT nodes answered and none of them knows the key.
    #[error("no node of the DHT knows {key}: the server is not running, or not announced to this network")]
    NotFound {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// No DHT node answered at all.
    #[error("no node of the DHT answered: there is no network, or the bootstrap nodes are down")]
    NoNetwork {
        /// What was tried.
        report: Box<Report>,
    },
    /// Nodes know the key, but no handshake through them was answered, nor after a second lookup, some ten
    /// seconds in all: the server has gone away, or has refused this client, see
    /// [`Listen::allow`](super::Listen::allow).
    #[error("server {key} is announced but does not answer: it has gone away, or refuses this identity")]
    NoAnswer {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// Nothing answered for the key at the given addresses, and the DHT was not to be asked.
    #[error("nothing answers for server {key} at {}", given(report))]
    Silent {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The server ended the connection as soon as it was established: it has too many.
    #[error("server {key} refused the connection: it has too many, or none for this identity")]
    Refused {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The server's key is not a point of the curve, so no peer can own it.
    #[error("{key} is not a usable public key")]
    BadKey {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The server speaks another version of the handshake, or claims that this side does.
    #[error("server {key} speaks another version of the handshake")]
    Incompatible {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The server answered with an error or with something that makes no sense.
    #[error("the answer of server {key} breaks the protocol (error {code})")]
    Protocol {
        /// The server's key, as text.
        key: String,
        /// The error number that the server sent, or 0.
        code: u64,
        /// What was tried.
        report: Box<Report>,
    },
    /// Both sides shook hands, and no path between them carries packets.
    #[error("server {key} was reached through the DHT, but no path to it carries packets{}", why(report))]
    Unreachable {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The time given for the attempt ran out.
    #[error("timed out while {stage}")]
    TimedOut {
        /// What was going on.
        stage: Stage,
        /// What was tried.
        report: Box<Report>,
    },
    /// The [`Signer`](crate::Signer) of the own identity has failed, or not answered within
    /// [`Limits::decide_for`](crate::Limits::decide_for).
    #[error("the signer of the own identity has not answered the handshake with server {key}")]
    Signer {
        /// The server's key, as text.
        key: String,
        /// What was tried.
        report: Box<Report>,
    },
    /// The node has as many attempts under way as its limits allow.
    #[error("this node already has as many attempts to connect under way as its limits allow")]
    TooMany {
        /// What was tried.
        report: Box<Report>,
    },
    /// The node has been closed.
    #[error("the node has been closed")]
    Closed,
}

impl ConnectError {
    pub(crate) fn new(server: &PublicKey, failure: Failure, report: Box<Report>) -> Self {
        let key = server.to_z32();
        match failure {
            Failure::NotFound => Self::NotFound { key, report },
            Failure::NoNetwork => Self::NoNetwork { report },
            Failure::NoAnswer => Self::NoAnswer { key, report },
            Failure::Silent => Self::Silent { key, report },
            Failure::Refused => Self::Refused { key, report },
            Failure::Incompatible => Self::Incompatible { key, report },
            Failure::Protocol(code) => Self::Protocol { key, code, report },
            Failure::NoPath => Self::Unreachable { key, report },
            Failure::TimedOut(stage) => Self::TimedOut { stage, report },
            Failure::TooMany => Self::TooMany { report },
            Failure::BadKey => Self::BadKey { key, report },
            Failure::Signer => Self::Signer { key, report },
        }
    }

    /// Returns what was tried and how long it took.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::NotFound { report, .. }
            | Self::NoNetwork { report }
            | Self::NoAnswer { report, .. }
            | Self::Silent { report, .. }
            | Self::Refused { report, .. }
            | Self::BadKey { report, .. }
            | Self::Signer { report, .. }
            | Self::Incompatible { report, .. }
            | Self::Protocol { report, .. }
            | Self::Unreachable { report, .. }
            | Self::TimedOut { report, .. }
            | Self::TooMany { report } => Some(report),
            Self::Closed => None,
        }
    }
}

/// Returns the addresses that were tried.
fn given(report: &Report) -> String {
    let tried: Vec<String> = report.exchanges.iter().map(|exchange| exchange.node.to_string()).collect();
    match tried.is_empty() {
        true => "the given addresses".into(),
        false => tried.join(", "),
    }
}

/// Returns why there is no path, as far as that is known.
fn why(report: &Report) -> String {
    let lost = report.punch_lost.map(|lost| format!(": {lost}"));
    lost.unwrap_or_default()
}

/// Why a node can't listen with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another server of this node has the same key.
    #[error("this node already listens with this key")]
    KeyInUse,
    /// The node has as many servers as its limits allow.
    #[error("this node already has as many servers as its limits allow")]
    TooMany,
    /// The node has been closed.
    #[error("the node has been closed")]
    Closed,
}

/// Why a query of the DHT gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No DHT node answered at all.
    #[error("no node of the DHT answered: there is no network, or the bootstrap nodes are down")]
    NoNetwork,
    /// No node took the record.
    #[error("no node of the DHT took the record")]
    NotStored,
    /// The node has as many queries under way as its limits allow.
    #[error("this node has as many queries under way as its limits allow")]
    TooMany,
    /// The node has been closed.
    #[error("the node has been closed")]
    Closed,
}

/// Why a value was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// Nodes would store the value, and none could read it back: the response would be longer than a datagram
    /// may be.
    #[error("a value of {size} bytes is too large, at most {max} bytes can be read back")]
    TooLarge {
        /// Size of the value in bytes.
        size: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The sequence number is above 2^53 - 1, the largest that the wire carries.
    #[error("a sequence number is at most 9007199254740991")]
    SeqTooLarge,
    /// There is a value with a higher sequence number.
    #[error("there is a value with a higher sequence number")]
    SeqTooLow {
        /// That number, if a node showed the value.
        stored: Option<u64>,
    },
    /// There is another value with the same sequence number.
    #[error("there is another value with the same sequence number")]
    SeqReused,
    /// The signer has failed.
    #[error("the signer has not signed the value")]
    Signer,
    /// The key has not signed the value with this sequence number.
    #[error("the key has not signed this value")]
    BadSignature,
    /// The query gave nothing.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Why a request to a node has no response, or was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The node did not answer.
    #[error("the node did not answer")]
    NoAnswer,
    /// The value does not fit the datagram.
    #[error("a value of {size} bytes is too large, at most {max} fit a datagram")]
    TooLarge {
        /// Size of the value in bytes.
        size: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The protocol uses the command, or has no form for its number.
    #[error("{command} is not a free command: these are 11 to 9007199254740991")]
    Reserved {
        /// The number of the command.
        command: u64,
    },
    /// The node has as many requests under way as its limits allow.
    #[error("this node has as many requests under way as its limits allow")]
    TooMany,
    /// The node has been closed.
    #[error("the node has been closed")]
    Closed,
}

impl RequestError {
    pub(super) const fn of(error: dht::RequestError) -> Self {
        match error {
            // The size has been checked before, and requests of applications are not signed.
            dht::RequestError::TimedOut | dht::RequestError::TooLarge | dht::RequestError::Unsigned => {
                Self::NoAnswer
            }
            dht::RequestError::Overloaded => Self::TooMany,
        }
    }
}

impl PutError {
    pub(super) const fn of(error: ValueError) -> Self {
        match error {
            ValueError::TooLarge { size, max } => Self::TooLarge { size, max },
            ValueError::SeqTooLarge => Self::SeqTooLarge,
            ValueError::BadSignature => Self::BadSignature,
        }
    }
}

/// Why a connection ended or an operation on it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer ended the connection abruptly.
    #[error("the peer reset the connection")]
    Reset,
    /// The peer has vanished: it has not answered for too long.
    #[error(
        "the peer has vanished: for {} s nothing has come from it {}",
        after.as_secs(), along(*path, *address)
    )]
    TimedOut {
        /// How long it had to answer, see [`Connect::idle_timeout`](super::Connect::idle_timeout).
        after: Duration,
        /// How packets travelled.
        path: Path,
        /// Where they went.
        address: SocketAddrV4,
    },
    /// The peer is there, but has taken no data for [`Limits::stalled_for`](super::Limits::stalled_for).
    #[error("the peer answers, but has taken no data for too long")]
    Stalled,
    /// The peer is there, but packets of more than 576 bytes do not reach it: a link on the way is too small
    /// for them, and what routers divide is dropped.
    #[error(
        "the peer answers, but large packets do not reach it: a link on the way takes less than 1,200 bytes, \
         and a firewall drops what is divided for it"
    )]
    Narrow,
    /// This node ran out of memory for received data, and the connection held much of it without getting any
    /// further, see [`Limits::receive_memory`](super::Limits::receive_memory).
    #[error("this node ran out of memory for received data and ended the connection, which held much of it")]
    Overloaded,
    /// The blind relay that carried the connection is gone, and no direct path had opened.
    #[error("the relay that carried the connection is gone")]
    RelayGone,
    /// The server claims to be reachable at an address without a holepunch, but nothing has come back from
    /// there: a firewall or router drops the packets. No other path has opened.
    #[error(
        "the server says that anybody can reach it at {address}, and does not answer there; no other way \
         to it has opened"
    )]
    Unreachable {
        /// The address that it claims.
        address: SocketAddrV4,
    },
    /// What the peer sent does not decrypt, or breaks the framing.
    #[error("the peer sent data that does not decrypt")]
    Corrupt,
    /// The stream ended before the peer had shown that it owns its key.
    #[error("the stream ended before the peer had proven its key")]
    Unproven,
    /// The peer announced a message that is larger than the limits allow, or the message or datagram to
    /// send is too large.
    #[error("a message of {size} bytes is too large, at most {max} are allowed")]
    TooLarge {
        /// Size of the message in bytes.
        size: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The connection has been shut down or closed on this side.
    #[error("the connection has been closed on this side")]
    Closed,
}

/// Returns the path of packets in words.
fn along(path: Path, address: SocketAddrV4) -> String {
    match path {
        Path::Direct => format!("directly ({address})"),
        Path::Lan => format!("over the local network ({address})"),
        Path::Relayed => format!("through the relay at {address}"),
    }
}

impl From<End> for StreamError {
    fn from(end: End) -> Self {
        match end {
            End::Orderly | End::Local => Self::Closed,
            End::Left | End::Reset => Self::Reset,
            End::TimedOut { after, path, address } => Self::TimedOut { after, path, address },
            End::Stalled => Self::Stalled,
            End::Narrow => Self::Narrow,
            End::Overloaded => Self::Overloaded,
            End::RelayGone => Self::RelayGone,
            End::Unreachable { address } => Self::Unreachable { address },
            End::Corrupt => Self::Corrupt,
            End::TooLarge { size, max } => Self::TooLarge { size, max },
            End::Unproven => Self::Unproven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Lost;

    #[test]
    fn a_path_that_is_missing_is_told_with_the_reason() {
        let key = PublicKey::from_bytes([7; 32]);
        let report = Report { punch_lost: Some(Lost::BothRandom), ..Report::default() };
        let error = ConnectError::new(&key, Failure::NoPath, report.into()).to_string();
        let told = "no path to it carries packets: both sides are behind NATs that give out random ports";
        assert!(error.ends_with(told), "{error}");
    }

    #[test]
    fn a_peer_that_has_vanished_is_told_with_the_path_to_it() {
        let address = "25.0.0.1:5000".parse().expect("valid");
        let end = End::TimedOut { after: Duration::from_secs(20), path: Path::Relayed, address };
        assert_eq!(
            StreamError::from(end).to_string(),
            "the peer has vanished: for 20 s nothing has come from it through the relay at 25.0.0.1:5000"
        );
    }

    #[test]
    fn messages_name_the_server_as_users_type_it() {
        let key = PublicKey::from_bytes([0xab; 32]);
        let error = ConnectError::new(&key, Failure::NotFound, Box::default());
        assert!(error.to_string().contains(&key.to_z32()), "{error}");
    }
}
