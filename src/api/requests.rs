//! Commands of an application's own, between nodes of the DHT.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::node::NodeHandle;
use super::{Dht, RequestError};
use crate::dht::{MAX_IMMUTABLE, Outgoing, Reply, max_request};
use crate::net::{Command, IncomingRequests, OpenRequest, incoming_requests};
use crate::wire::compact::MAX_VARUINT;
use crate::wire::rpc::FIRST_FREE_COMMAND;

/// The requests of free commands that other nodes send to this one, from [`Dht::requests`]. Dropping it stops
/// serving them.
///
/// At most 256 requests wait. Beyond that the newest of the busiest source is answered as an unknown command.
#[must_use = "dropping it stops serving"]
pub struct Requests {
    node: NodeHandle,
    waiting: Arc<IncomingRequests>,
}

/// A request of another node. Dropping it answers nothing; the sender tries again then, four times in all.
#[must_use = "the sender waits for an answer"]
pub struct Request {
    node: NodeHandle,
    request: Box<OpenRequest>,
}

/// Sends a request to one node once awaited, from [`Dht::request`].
///
/// # Errors
///
/// [`RequestError`] if the node does not answer within some 4 s, this node is suspended, the command is the
/// protocol's, the value is too large, or this node has been closed. An error code in the response is not an
/// error here.
///
/// # Cancel safety
///
/// Cancel safe: dropping it, or the future made from it, ends the tries. What has been sent may still have
/// its effect.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct SendRequest {
    node: NodeHandle,
    outgoing: Outgoing,
}

/// The response to a [`SendRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The node that answered.
    pub from: SocketAddrV4,
    /// The error code of the node, if it refused; 1 is an unknown command. Larger codes than fit are the
    /// largest.
    pub error: Option<NonZeroU32>,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// A token of the node, to show in a further request.
    pub token: Option<[u8; 32]>,
    /// Nodes near the target of the request, as the node knows them.
    pub closer: Vec<SocketAddrV4>,
    /// The address of this node as the other one sees it.
    pub seen_as: SocketAddrV4,
    /// Time from the latest try to the response.
    pub round_trip: Duration,
}

impl Dht {
    /// Serves the commands that the protocol does not use: from 11 on. The protocol may take the next ones,
    /// so an application chooses large numbers. Other nodes' requests of them are answered as unknown
    /// commands until this is called. A second call ends what the first returned.
    ///
    /// Others reach this node at [`NodeState::public_address`](super::NodeState::public_address), as far as
    /// its router lets them.
    ///
    /// A request is handed over at least once: senders repeat one up to three times. A repeated one is
    /// ignored while the first one waits or is being answered, as long as these are at most 256. It is handed
    /// over again after that, as when the answer was lost; what it does should be the same then.
    pub fn requests(&self) -> Requests {
        let (node, waiting) = (self.node().clone(), incoming_requests());
        if node.commands().send(Command::ServeRequests(Arc::downgrade(&waiting))).is_err() {
            waiting.clear();
        }
        Requests { node, waiting }
    }

    /// Returns a builder that sends a request of a free command to a node once awaited.
    pub fn request(&self, node: SocketAddrV4, command: u64) -> SendRequest {
        let outgoing = Outgoing { target: None, ..Outgoing::application(node, command, [0; 32]) };
        SendRequest { node: self.node().clone(), outgoing }
    }
}

impl Requests {
    /// Waits for the next request. `None` once the node has ended, or [`Dht::requests`] was called again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no request is lost.
    pub async fn next(&self) -> Option<Request> {
        let request = Box::new(self.waiting.next().await?);
        Some(Request { node: self.node.clone(), request })
    }
}

impl Request {
    /// Returns where the request came from. It may be another socket than the one by which the node is
    /// reached, and is none to store as its address. Anyone can write any address on a request without a
    /// token.
    pub fn remote_addr(&self) -> SocketAddrV4 {
        self.request.incoming.from
    }

    /// Returns whether the sender has shown a token of this node, which proves that it receives at its
    /// address.
    pub fn is_proven(&self) -> bool {
        self.request.incoming.proven
    }

    /// Returns the command number.
    pub fn command(&self) -> u64 {
        self.request.incoming.command
    }

    /// Returns the key that the request is about.
    pub fn target(&self) -> Option<&[u8; 32]> {
        self.request.incoming.target.as_ref()
    }

    /// Returns the payload.
    pub fn value(&self) -> Option<&[u8]> {
        self.request.incoming.value.as_deref()
    }

    /// Answers with a value, a token for further requests and, if the request has a target, nodes near it.
    ///
    /// A sender that has shown no token may be the victim of another one. Networks of such senders get a
    /// bounded rate: beyond it the answer is cut, without its value at last, to three times the request, or
    /// dropped. Where answers are large, answer without a value first, and with it to the request that shows
    /// the token.
    ///
    /// # Errors
    ///
    /// [`RequestError::TooLarge`] beyond 1850 bytes.
    pub fn reply(self, value: Option<&[u8]>) -> Result<(), RequestError> {
        check_size(value, MAX_IMMUTABLE)?;
        self.answer(Reply::with_value(value.map(<[u8]>::to_vec)));
        Ok(())
    }

    /// Answers with an error code and, if the request has a target, nodes near it. The protocol uses the
    /// codes 1, 2, 16 and 17.
    pub fn refuse(self, code: NonZeroU32) {
        self.answer(Reply::with_error(code.get().into()));
    }

    fn answer(self, reply: Reply) {
        // Without a driver nothing is answered.
        let _ = self.node.commands().send(Command::Reply { request: self.request, reply });
    }
}

impl SendRequest {
    /// Sets the key that the request is about; the response names nodes near it.
    pub const fn target(mut self, target: [u8; 32]) -> Self {
        self.outgoing.target = Some(target);
        self
    }

    /// Sets the payload, at most 1930 bytes.
    pub fn value(mut self, value: &[u8]) -> Self {
        self.outgoing.value = Some(value.to_vec());
        self
    }

    /// Shows a token that the node gave out in a response within the last minutes.
    pub const fn token(mut self, token: [u8; 32]) -> Self {
        self.outgoing.token = Some(token);
        self
    }

    async fn run(self) -> Result<Response, RequestError> {
        let Self { node, outgoing } = self;
        if !(FIRST_FREE_COMMAND..=MAX_VARUINT).contains(&outgoing.command) {
            return Err(RequestError::Reserved { command: outgoing.command });
        }
        check_size(outgoing.value.as_deref(), max_request())?;
        let answer = node.request(outgoing).await?;
        Ok(Response {
            from: answer.from,
            error: NonZeroU32::new(u32::try_from(answer.error).unwrap_or(u32::MAX)),
            value: answer.value,
            token: answer.token,
            closer: answer.closer,
            seen_as: answer.to,
            round_trip: answer.rtt,
        })
    }
}

impl IntoFuture for SendRequest {
    type Output = Result<Response, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Without what waits.
impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

/// Without the payload.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Request");
        shown.field("from", &self.request.incoming.from).field("command", &self.request.incoming.command);
        shown.finish_non_exhaustive()
    }
}

fn check_size(value: Option<&[u8]>, max: usize) -> Result<(), RequestError> {
    match value.map_or(0, <[u8]>::len) {
        size if size > max => Err(RequestError::TooLarge { size, max }),
        _ => Ok(()),
    }
}
