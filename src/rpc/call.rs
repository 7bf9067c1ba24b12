//! A call, and what the callers and the task of a channel share.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::calls::{Calls, Ended};
use super::error::RpcError;
use super::message::{self, REQUEST};
use super::values::Values;
use crate::mux::Sender;

/// Calls the peer once awaited, and is ready with the value that it responds with.
///
/// # Errors
///
/// [`RpcError`]: the peer answered with an error, has not answered in time, or the channel has ended.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, gives the call up. A request that has been sent is served all the
/// same, and its response is dropped.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct Call {
    shared: Arc<Shared>,
    method: String,
    value: Bytes,
    timeout: Option<Duration>,
}

/// What the callers and the task of a channel share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sender: Sender,
    pub(super) values: Values,
    pub(super) calls: Mutex<Calls>,
    /// The handshake of the peer, once its side is open; no sender once the channel has ended.
    pub(super) opened: watch::Receiver<Option<Bytes>>,
    /// The channel is to be closed.
    pub(super) stop: CancellationToken,
    /// The channel is to be closed once nothing is under way.
    pub(super) end: CancellationToken,
    /// A call has been given up.
    pub(super) given_up: Notify,
}

impl Call {
    pub(super) fn new(shared: &Arc<Shared>, method: &str, value: Bytes) -> Self {
        Self { shared: Arc::clone(shared), method: method.to_owned(), value, timeout: None }
    }

    /// Limits how long to wait for the response.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for Call {
    type Output = Result<Bytes, RpcError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let call = self.shared.call(self.method, &self.value);
            match self.timeout {
                None => call.await,
                Some(after) => {
                    tokio::time::timeout(after, call).await.unwrap_or(Err(RpcError::TimedOut { after }))
                }
            }
        })
    }
}

impl Shared {
    pub(super) async fn call(&self, method: String, value: &Bytes) -> Result<Bytes, RpcError> {
        let (id, answer) = self.calls().begin()?;
        let _waits = Waits { shared: self, id };
        let request = message::Request { id, method, value: self.values.encode(value) };
        self.send(REQUEST, &request.encode()).await?;
        match answer.await {
            Ok(Ok(Ok(value))) => self.values.decode(&value).ok_or(RpcError::Value),
            Ok(Ok(Err(error))) => Err(RpcError::Remote(error)),
            Ok(Err(reason)) => Err(reason.into()),
            Err(_) => Err(self.reason().into()),
        }
    }

    pub(super) async fn send(&self, kind: u64, content: &[u8]) -> Result<(), RpcError> {
        Ok(self.sender.send(kind, content).await?)
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why the channel has ended.
    pub(super) fn reason(&self) -> Ended {
        self.calls().ended().unwrap_or(Ended::CLOSED)
    }
}

/// A call that waits for its answer; when it is dropped it no longer does.
struct Waits<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.shared.calls().forget(self.id);
        self.shared.given_up.notify_one();
    }
}
