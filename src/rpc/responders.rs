//! The functions that respond to requests.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::call::{Call, Shared};
use super::error::Cause;
use crate::PublicKey;

/// A request, for the function that responds to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {
    /// What was sent.
    pub value: Bytes,
    /// The proven key of the peer.
    pub from: PublicKey,
    pub(super) shared: Arc<Shared>,
}

impl Request {
    /// Calls a method of the peer that has sent the request, on the same channel.
    pub fn call(&self, method: &str, value: impl Into<Bytes>) -> Call {
        Call::new(&self.shared, method, value.into())
    }
}

/// Functions that respond to requests, by the name of the method. A clone holds the same ones: what is added
/// later counts for the connections that are open, too.
#[derive(Clone, Default)]
pub struct Responders {
    functions: Arc<RwLock<HashMap<String, Function>>>,
}

pub(super) type Function = Arc<dyn Fn(Request) -> Answer + Send + Sync>;

pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send>>;

impl Responders {
    /// Makes none.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has a function respond to requests of a method; another one that did no longer does.
    ///
    /// Functions are called in the order of the requests. What they return may wait: requests are served at
    /// the same time, and responses come in any order. If it fails, the peer gets
    /// [`RemoteError::REQUEST_ERROR`](super::RemoteError::REQUEST_ERROR) with what it failed with as the
    /// cause; if it panics, the same without the message. What still waits when the channel ends is dropped.
    /// The function itself must not block.
    pub fn respond<F, A, T>(&self, method: &str, function: F) -> &Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Result<T, Cause>> + Send + 'static,
        T: Into<Bytes>,
    {
        let function: Function = Arc::new(move |request| {
            let answer = function(request);
            Box::pin(async move { answer.await.map(Into::into) })
        });
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        functions.insert(method.to_owned(), function);
        self
    }

    /// Responds to a method no longer. Requests that are being served still get their response.
    pub fn unrespond(&self, method: &str) {
        self.functions.write().unwrap_or_else(PoisonError::into_inner).remove(method);
    }

    pub(super) fn get(&self, method: &str) -> Option<Function> {
        self.functions.read().unwrap_or_else(PoisonError::into_inner).get(method).cloned()
    }
}

impl fmt::Debug for Responders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let mut methods: Vec<_> = functions.keys().collect();
        methods.sort();
        f.debug_tuple("Responders").field(&methods).finish()
    }
}
