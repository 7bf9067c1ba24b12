//! Calls over one channel, in both directions.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::call::{Call, Shared};
use super::calls::Ended;
use super::capability::{Capability, Expected};
use super::error::{Cause, RemoteError, RpcError};
use super::message::{self, REQUEST, RESPONSE};
use super::responders::{Answer, Request, Responders};
use super::values::Values;
use crate::mux::{Channel, Message, Mux, MuxError};

/// Calls over a channel of a [`Mux`], as npm `protomux-rpc` has them; from [`Rpc::open`].
///
/// Both sides can call and respond. A clone is another handle of the same channel. Once all are dropped the
/// channel is closed: calls fail, and requests of the peer that are being served end without a response.
/// [`Self::end`] waits for them.
#[derive(Clone, Debug)]
pub struct Rpc {
    handle: Arc<Handle>,
}

/// Opens a channel of calls; from [`Rpc::open`].
#[derive(Debug)]
#[must_use = "nothing happens until it is begun"]
pub struct OpenRpc {
    mux: Mux,
    protocol: String,
    id: Bytes,
    handshake: Bytes,
    responders: Responders,
    values: Values,
    expected: Option<Expected>,
}

/// Keeps the channel open.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    mux: Mux,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Rpc {
    /// Begins to open a channel of calls on a mux. The channel of `protomux-rpc` has no id by default; that
    /// of `@hyperswarm/rpc` has the key of the server as its id.
    pub fn open(mux: &Mux) -> OpenRpc {
        OpenRpc {
            mux: mux.clone(),
            protocol: PROTOCOL.to_owned(),
            id: Bytes::new(),
            handshake: Bytes::new(),
            responders: Responders::new(),
            values: Values::default(),
            expected: None,
        }
    }

    /// Calls a method of the peer. There is no time limit unless [`Call::timeout`] sets one, as in the
    /// reference: the call ends with the channel at the latest, and that with the connection.
    pub fn request(&self, method: &str, value: impl Into<Bytes>) -> Call {
        Call::new(&self.handle.shared, method, value.into())
    }

    /// Calls a method of the peer and asks for no response. Returns once the request is in line to be sent.
    ///
    /// # Errors
    ///
    /// [`RpcError::Channel`] if the channel has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the request is sent whole or not at all.
    pub async fn event(&self, method: &str, value: impl Into<Bytes>) -> Result<(), RpcError> {
        let shared = &self.handle.shared;
        let value = shared.values.encode(&value.into());
        let request = message::Request { id: 0, method: method.to_owned(), value };
        shared.send(REQUEST, &request.encode()).await
    }

    /// Waits until the peer has opened its side, and returns the handshake that it has sent with that. Calls
    /// can be made before.
    ///
    /// # Errors
    ///
    /// [`RpcError::Channel`] if the peer has rejected the channel, or it has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn opened(&self) -> Result<Bytes, RpcError> {
        let shared = &self.handle.shared;
        let mut opened = shared.opened.clone();
        match opened.wait_for(Option::is_some).await {
            Ok(handshake) => Ok(handshake.clone().unwrap_or_default()),
            Err(_) => Err(shared.reason().into()),
        }
    }

    /// Waits until the channel has been closed, in order.
    ///
    /// # Errors
    ///
    /// [`RpcError::Channel`] if the peer has rejected the channel, or the connection has failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> Result<(), RpcError> {
        let shared = &self.handle.shared;
        let mut opened = shared.opened.clone();
        // Until its sender is gone.
        while opened.changed().await.is_ok() {}
        match shared.reason() {
            Ended::CLOSED => Ok(()),
            reason => Err(reason.into()),
        }
    }

    /// Closes the channel once all calls have been answered, those of the peer and of this side, and waits
    /// for that.
    ///
    /// # Errors
    ///
    /// As [`Self::closed`].
    ///
    /// # Cancel safety
    ///
    /// The channel is closed all the same if this is dropped.
    pub async fn end(&self) -> Result<(), RpcError> {
        self.handle.shared.end.cancel();
        self.closed().await
    }

    /// Returns the mux that the channel is on.
    pub fn mux(&self) -> &Mux {
        &self.handle.mux
    }

    pub(super) fn is_closed(&self) -> bool {
        self.handle.shared.calls().ended().is_some()
    }
}

impl OpenRpc {
    /// Sets the id of the channel: for `@hyperswarm/rpc` the key of the server.
    pub fn id(mut self, id: &[u8]) -> Self {
        self.id = Bytes::copy_from_slice(id);
        self
    }

    /// Sets the name of the protocol. The default is that of the reference, `protomux-rpc`.
    pub fn protocol(mut self, protocol: &str) -> Self {
        protocol.clone_into(&mut self.protocol);
        self
    }

    /// Sets the handshake: bytes that the peer gets with the opening.
    pub fn handshake(mut self, handshake: impl Into<Bytes>) -> Self {
        self.handshake = handshake.into();
        self
    }

    /// Sets the functions that respond to the peer; by default there are none.
    pub fn responders(mut self, responders: &Responders) -> Self {
        self.responders = responders.clone();
        self
    }

    /// Sets how values are encoded.
    pub fn values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// Sets a secret that the peer must know as well, and prove that it does before anything of it is served.
    pub(super) fn capability(mut self, capability: &Capability) -> Self {
        let (own, expected) = capability.handshakes(self.mux.connection());
        self.expected = Some(expected);
        self.handshake(own)
    }

    /// Opens the channel. Calls can be made at once; they fail if the peer rejects it. The mux begins to
    /// read: open other channels, and listen for them, before.
    ///
    /// # Errors
    ///
    /// [`RpcError::Channel`] if the mux has as many channels as it may, or the connection has ended.
    pub fn begin(self) -> Result<Rpc, RpcError> {
        let channel = self.mux.open(&self.protocol, &self.id).handshake(self.handshake).begin()?;
        let (opened, receiver) = watch::channel(None);
        let shared = Arc::new(Shared {
            sender: channel.sender(),
            values: self.values,
            calls: Mutex::default(),
            opened: receiver,
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
            given_up: Notify::new(),
        });
        let session = Session {
            shared: Arc::clone(&shared),
            mux: self.mux.clone(),
            responders: self.responders,
            expected: self.expected,
            serving: JoinSet::new(),
            served: HashMap::new(),
            bytes: 0,
        };
        tokio::spawn(session.run(channel, opened));
        Ok(Rpc { handle: Arc::new(Handle { shared, mux: self.mux }) })
    }
}

/// What comes from the peer.
enum Came {
    Handshake(Bytes),
    Message(Message),
    End,
}

/// The task of a channel.
struct Session {
    shared: Arc<Shared>,
    mux: Mux,
    responders: Responders,
    expected: Option<Expected>,
    serving: JoinSet<()>,
    /// The requests that are being served: the id, and the bytes.
    served: HashMap<Id, (u64, usize)>,
    bytes: usize,
}

impl Session {
    async fn run(mut self, mut channel: Channel, opened: watch::Sender<Option<Bytes>>) {
        let shared = Arc::clone(&self.shared);
        let reason = tokio::select! {
            () = shared.stop.cancelled() => Ended::CLOSED,
            reason = self.work(&mut channel, &opened) => reason,
        };
        self.serving.abort_all();
        shared.calls().fail(reason);
    }

    /// Reads from the channel until it ends; returns why it has.
    async fn work(&mut self, channel: &mut Channel, opened: &watch::Sender<Option<Bytes>>) -> Ended {
        let shared = Arc::clone(&self.shared);
        let mut is_open = false;
        loop {
            let is_ending = shared.end.is_cancelled();
            if is_ending && self.serving.is_empty() && shared.calls().is_empty() {
                return Ended::CLOSED;
            }
            let came = async {
                if is_open {
                    channel.recv().await.map(|message| message.map_or(Came::End, Came::Message))
                } else {
                    channel.opened().await.map(Came::Handshake)
                }
            };
            let came = tokio::select! {
                // A peer that does not read what it is answered waits.
                came = came, if self.serving.len() < self.served.len() + MAX_REFUSING => came,
                Some(done) = self.serving.join_next_with_id() => {
                    self.done(done);
                    continue;
                }
                () = shared.given_up.notified(), if is_ending => continue,
                () = shared.end.cancelled(), if !is_ending => continue,
            };
            match came {
                Ok(Came::Handshake(handshake)) => {
                    if self.expected.as_ref().is_some_and(|expected| !expected.is(&handshake)) {
                        return Ended::Capability;
                    }
                    is_open = true;
                    // Someone may wait for it, or not.
                    opened.send_replace(Some(handshake));
                }
                Ok(Came::Message(message)) if self.on_message(&message) => {}
                Ok(Came::Message(_) | Came::End) => return Ended::CLOSED,
                Err(reason) => return Ended::Channel(reason),
            }
        }
    }

    /// Returns whether the channel can go on. A message that cannot be read ends it, as in the reference.
    fn on_message(&mut self, message: &Message) -> bool {
        match message.kind {
            REQUEST => {
                let request = message::Request::decode(&message.content);
                request.is_ok_and(|request| self.on_request(request))
            }
            RESPONSE => match message::Response::decode(&message.content) {
                Ok(response) => {
                    self.shared.calls().answer(response.id, response.result);
                    true
                }
                Err(error) => {
                    tracing::debug!(%error, "a response cannot be read");
                    false
                }
            },
            // A newer version's.
            _ => true,
        }
    }

    fn on_request(&mut self, request: message::Request) -> bool {
        let Some(from) = self.mux.connection().remote_public_key() else {
            // What has been decrypted proves the key.
            return false;
        };
        let message::Request { id, method, value } = request;
        let length = value.len();
        let is_full =
            self.served.len() >= MAX_SERVED || self.bytes + length > MAX_SERVED_BYTES && self.bytes > 0;
        let refusal = match (self.responders.get(&method), self.shared.values.decode(&value)) {
            (None, _) => {
                let message = format!("Unknown method '{method}'");
                RemoteError::new(RemoteError::UNKNOWN_METHOD, message, None)
            }
            (_, None) => {
                let cause = Cause::new("the value is not encoded as this side expects");
                RemoteError::new(RemoteError::DECODE_ERROR, "Could not decode request", Some(cause))
            }
            (Some(function), Some(value)) if !is_full => {
                self.serve(id, length, move |shared| function(Request { value, from, shared }));
                return true;
            }
            _ => failed(Cause::with_code("TOO_MANY", "as many requests are being served as may be")),
        };
        let shared = Arc::clone(&self.shared);
        self.serving.spawn(async move { respond(&shared, id, Err(refusal)).await });
        true
    }

    /// Begins to serve a request. The functions begin in the order of the requests, and what they do before
    /// they wait is done in that order, as in the reference. Many do not wait at all.
    fn serve(&mut self, id: u64, length: usize, function: impl FnOnce(Arc<Shared>) -> Answer) {
        let shared = Arc::clone(&self.shared);
        let begun = panic::catch_unwind(AssertUnwindSafe(|| {
            let answer = function(Arc::clone(&shared));
            let mut serving = Box::pin(async move {
                let result = answer.await.map_err(failed);
                let result = result.map(|value| shared.values.encode(&value));
                respond(&shared, id, result).await;
            });
            // A task that is spawned is polled again.
            let is_done = serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            (!is_done).then_some(serving)
        }));
        match begun {
            Ok(None) => {}
            Ok(Some(serving)) => {
                let task = self.serving.spawn(serving);
                self.served.insert(task.id(), (id, length));
                self.bytes += length;
            }
            Err(_) => self.panicked(id),
        }
    }

    fn panicked(&mut self, id: u64) {
        let shared = Arc::clone(&self.shared);
        let error = failed(Cause::new("the function that responds has panicked"));
        self.serving.spawn(async move { respond(&shared, id, Err(error)).await });
    }

    /// A request has been served, or the function has panicked.
    fn done(&mut self, done: Result<(Id, ()), tokio::task::JoinError>) {
        let (task, has_panicked) = match &done {
            Ok((task, ())) => (*task, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some((id, length)) = self.served.remove(&task) else {
            return;
        };
        self.bytes -= length;
        if has_panicked {
            self.panicked(id);
        }
    }
}

/// Sends a response, unless nobody waits for it.
async fn respond(shared: &Shared, id: u64, result: Result<Bytes, RemoteError>) {
    if id == 0 {
        return;
    }
    let mut response = message::Response { id, result }.encode();
    loop {
        match shared.sender.send(RESPONSE, &response).await {
            Err(MuxError::TooLarge { size, max }) => {
                let cause = Cause::new(MuxError::TooLarge { size, max }.to_string());
                let error =
                    RemoteError::new(RemoteError::ENCODE_ERROR, "Could not encode response", Some(cause));
                response = message::Response { id, result: Err(error) }.encode();
            }
            // Once the channel has ended nobody waits for it.
            _ => return,
        }
    }
}

fn failed(cause: Cause) -> RemoteError {
    RemoteError::new(RemoteError::REQUEST_ERROR, "Request failed", Some(cause))
}

/// The name of the protocol in the reference.
const PROTOCOL: &str = "protomux-rpc";

/// Requests of one channel that are served at once.
pub(super) const MAX_SERVED: usize = 4096;

/// Bytes of the requests of one channel that are served at once, if it is more than one.
pub(super) const MAX_SERVED_BYTES: usize = 16 << 20;

/// Requests of one channel that are refused, and whose errors wait to be sent.
const MAX_REFUSING: usize = 256;
