//! What happened during one attempt to connect.

use std::fmt;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::ids::Path;
use super::nat::Firewall;
use super::punch::Strategy;
use crate::keys::PublicKey;

/// A step on the way to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stage {
    /// Joining the DHT.
    #[default]
    Bootstrap,
    /// Asking the DHT which nodes know the server.
    Lookup,
    /// Exchanging Noise messages with the server through those nodes.
    Handshake,
    /// Finding a path for stream packets.
    Path,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootstrap => "joining the DHT",
            Self::Lookup => "looking the server up in the DHT",
            Self::Handshake => "shaking hands with the server",
            Self::Path => "finding a path to the server",
        })
    }
}

/// Why an attempt to connect failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// DHT nodes answered and none of them knows the key.
    #[error("no node of the DHT knows this key: the server is not running, or not announced to this network")]
    NotFound,
    /// No DHT node answered at all.
    #[error("no node of the DHT answered: there is no network, or the bootstrap nodes are down")]
    NoNetwork,
    /// Nodes know the key, but no handshake through them was answered: the server is gone, or refuses this
    /// client and does not answer.
    #[error("the server is announced but does not answer: it has gone away, or refuses this identity")]
    NoAnswer,
    /// Nothing answered at the given addresses, and the network was not to be asked.
    #[error("nothing answers for the server at the given addresses")]
    Silent,
    /// The server ended the stream before it was ready: it has too many connections, or refuses this client.
    #[error("the server refused the connection")]
    Refused,
    /// The server speaks another version of the handshake, or claims that the client does.
    #[error("the server speaks another version of the handshake")]
    Incompatible,
    /// The server answered with an error or with something that makes no sense.
    #[error("the server's answer breaks the protocol (error {0})")]
    Protocol(u64),
    /// Both sides shook hands, and no path between them carries packets.
    #[error("the handshake succeeded, but no path to the server carries packets")]
    NoPath,
    /// The time given for the attempt ran out.
    #[error("timed out while {0}")]
    TimedOut(Stage),
    /// The key to connect to is no point of the curve.
    #[error("the server's key is not a valid public key")]
    BadKey,
    /// The signer of the own identity has failed, or not answered in time.
    #[error("the signer of the own identity has not answered")]
    Signer,
    /// As many attempts are under way as the limits allow.
    #[error("too many attempts to connect are under way")]
    TooMany,
}

/// Why punching through two NATs led to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Lost {
    /// The server gave up.
    #[error("the server gave up punching")]
    Aborted,
    /// Both NATs give out another port for each destination.
    #[error("both sides are behind NATs that give out random ports")]
    BothRandom,
    /// A NAT could not be judged: too few nodes answered, or they did not agree.
    #[error("one side could not find out what NAT it is behind")]
    NatUnknown,
    /// Fewer than three nodes have answered how they see this node, which is too few to judge a NAT by.
    #[error("the network has too few nodes to judge the NATs by: it takes three")]
    TooFewNodes,
    /// No node brought messages through.
    #[error("no node passed messages on to the server and back")]
    NoAnswer,
    /// All probes were sent and none arrived.
    #[error("no probe came through")]
    NoProbe,
    /// No socket could be opened.
    #[error("no socket could be opened to punch with")]
    NoSocket,
    /// The peer has named addresses, but none has been proven to be its own, as punching through a random NAT
    /// needs.
    #[error("no address of the server is proven to be its own")]
    NotVerified,
    /// Too many punches through random NATs were made a moment ago.
    #[error("too many punches through random NATs were made a moment ago")]
    Throttled,
    /// The same, on the server's side.
    #[error("the server punches through its random NAT for another client")]
    TryLater,
}

impl Stage {
    /// Returns the name in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Lookup => "lookup",
            Self::Handshake => "handshake",
            Self::Path => "path",
        }
    }
}

/// One handshake that was started: message 1, sent to a node that passes it on or to the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Exchange {
    /// The node that was asked.
    pub node: SocketAddrV4,
    /// When, from the start of the attempt.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub started: Duration,
    /// When its answer came, if one did.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub answered: Option<Duration>,
}

/// What was tried and seen during one attempt, with how long each stage took.
///
/// Prints as a line for each step, with the milliseconds from the start of the attempt to its end. With the
/// feature `serde` it is data: a member for each field, times as milliseconds with fractions. Its debug form
/// is short: a program that ends with an error prints that.
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// From the start of the attempt to its end.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub total: Duration,
    /// How far the attempt came.
    pub stage: Stage,
    /// Until the node had joined the network, which is when a first node of it has answered; zero if that was
    /// before. `None` if none has, or the attempt did not need the DHT.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub joined: Option<Duration>,
    /// Until the first node that knows the server answered, if one did.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub lookup: Option<Duration>,
    /// Until the server's Noise message was read, if it was.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub handshake: Option<Duration>,
    /// DHT nodes that were asked for the server.
    pub nodes_asked: usize,
    /// DHT nodes that answered.
    pub nodes_answered: usize,
    /// Nodes that know the server.
    pub records_found: usize,
    /// Handshakes that were started, through different nodes, in that order; those after [`Self::handshake`]
    /// look for the server in the local network.
    pub exchanges: Vec<Exchange>,
    /// Where an earlier connection to the server ran, if it was asked there first.
    pub remembered: Option<SocketAddrV4>,
    /// Until it was clear that the server can't reach this node, though the node seemed to be publicly
    /// reachable.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub unreachable: Option<Duration>,
    /// Where the server claims to be reachable by any host, and until it was clear that it does not answer
    /// there at once. If nothing else led to it, it never has.
    #[cfg_attr(feature = "serde", serde(serialize_with = "place_and_milliseconds"))]
    pub unanswered: Option<(SocketAddrV4, Duration)>,
    /// The own address as the node sees it through which the server answered.
    pub own_address: Option<SocketAddrV4>,
    /// The server's address as that node saw it, or the node's own if it is the server.
    pub server_address: Option<SocketAddrV4>,
    /// What NAT is in front of this node, if there was a punch.
    pub own_nat: Option<Firewall>,
    /// What that is judged by: DHT nodes, and how each sees the puncher socket.
    pub own_samples: Vec<(SocketAddrV4, SocketAddrV4)>,
    /// What NAT the peer claims to be behind, if there was a punch.
    pub remote_nat: Option<Firewall>,
    /// Where the peer was to be reached through it, by what it claims and what was seen of it; without a port
    /// if that is another one for each destination.
    pub remote_addresses: Vec<SocketAddrV4>,
    /// How the NATs were punched through, if it came to that.
    pub strategy: Option<Strategy>,
    /// Probes that have left.
    pub probes_sent: u32,
    /// Why punching led to nothing, if it did.
    pub punch_lost: Option<Lost>,
    /// The blind relay that one side named, if one did.
    pub relay: Option<PublicKey>,
    /// Until that relay had paired both sides, if it has.
    #[cfg_attr(feature = "serde", serde(serialize_with = "milliseconds"))]
    pub relay_paired: Option<Duration>,
    /// Nodes to ask for the server next time, best first.
    pub routes: Vec<SocketAddrV4>,
    /// How stream packets travel and to where, if a path was found.
    pub path: Option<(Path, SocketAddrV4)>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, stage, .. } = self;
        f.debug_struct("Report").field("total", total).field("stage", stage).finish_non_exhaustive()
    }
}

/// Writes a time as milliseconds with fractions.
#[cfg(feature = "serde")]
pub(crate) fn milliseconds<S: serde::Serializer>(
    time: &(impl Copy + Into<Option<Duration>>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let time: Option<Duration> = (*time).into();
    serde::Serialize::serialize(&time.map(|time| time.as_secs_f64() * 1e3), serializer)
}

#[cfg(feature = "serde")]
fn place_and_milliseconds<S: serde::Serializer>(
    seen: &Option<(SocketAddrV4, Duration)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let seen = seen.map(|(place, time)| (place, time.as_secs_f64() * 1e3));
    serde::Serialize::serialize(&seen, serializer)
}

#[cfg(test)]
#[cfg(feature = "serde")]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_data_with_a_member_for_each_field_and_times_as_milliseconds() {
        let (time, node) = (Duration::from_micros(1500), "25.0.1.1:5".parse().unwrap());
        let key = PublicKey::from_bytes([7; 32]);
        let report = Report {
            total: time,
            stage: Stage::Path,
            exchanges: vec![Exchange { node, started: time, answered: Some(time) }],
            unanswered: Some((node, time)),
            own_nat: Some(Firewall::Consistent),
            strategy: Some(Strategy::RandomPorts),
            punch_lost: Some(Lost::NoProbe),
            relay: Some(key),
            path: Some((Path::Lan, node)),
            ..Report::default()
        };
        let data = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "total": 1.5,
            "stage": "path",
            "exchanges": [{"node": "25.0.1.1:5", "started": 1.5, "answered": 1.5}],
            "unanswered": ["25.0.1.1:5", 1.5],
            "own_nat": "consistent",
            "strategy": "random_ports",
            "punch_lost": "no_probe",
            "relay": key.to_z32(),
            "path": ["lan", "25.0.1.1:5"],
            "joined": null,
            "nodes_asked": 0,
        });
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(data[member], *value, "{member}");
        }
    }
}
