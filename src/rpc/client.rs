//! Calls by the key of the server.

use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::capability::Capability;
use super::error::RpcError;
use super::responders::Responders;
use super::session::Rpc;
use super::values::Values;
use crate::api::Dht;
use crate::mux::Mux;
use crate::{ConnectAddress, KeyPair, PublicKey};

/// Calls servers by their keys, as npm `@hyperswarm/rpc` does: the first call connects, those that follow use
/// the same connection, and 10 s after the last one it is closed.
///
/// Clones share the connections. Those are closed once all clones and calls are gone.
#[derive(Clone, Debug)]
pub struct Client {
    options: Options,
    pool: Arc<Mutex<Pool>>,
}

/// Calls a server once awaited; from [`Client::request`].
///
/// # Errors
///
/// [`RpcError`]: the server can't be reached, answered with an error, has not answered in time, or the
/// channel has ended. A call that fails because the connection does is not made again: the server may have
/// served it.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, gives the call up. A request that has been sent is served all the
/// same, and its response is dropped.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct ClientCall {
    client: Client,
    server: PublicKey,
    method: String,
    value: Bytes,
    timeout: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Options {
    dht: Dht,
    key_pair: Option<KeyPair>,
    responders: Responders,
    values: Values,
    capability: Option<Capability>,
    linger: Duration,
}

type Pool = HashMap<PublicKey, Arc<Pooled>>;

/// A connection, or the attempt to make one.
#[derive(Debug)]
struct Pooled {
    rpc: OnceCell<Rpc>,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    /// Calls under way.
    calls: usize,
    /// When the last one ended.
    until: Instant,
}

impl Client {
    /// Makes a client that connects through a node.
    pub fn new(dht: &Dht) -> Self {
        let options = Options {
            dht: dht.clone(),
            key_pair: None,
            responders: Responders::new(),
            values: Values::default(),
            capability: None,
            linger: LINGER,
        };
        Self { options, pool: Arc::default() }
    }

    /// Sets the identity that servers see. The default is that of the node.
    pub fn key_pair(mut self, key_pair: &KeyPair) -> Self {
        self.options.key_pair = Some(key_pair.clone());
        self
    }

    /// Sets functions that respond to the servers.
    pub fn responders(mut self, responders: &Responders) -> Self {
        self.options.responders = responders.clone();
        self
    }

    /// Sets how values are encoded.
    pub fn values(mut self, values: Values) -> Self {
        self.options.values = values;
        self
    }

    /// Sets a secret that the server must know as well, and prove that it does: the option `capability` in
    /// JavaScript. Nothing is sent to one that does not.
    pub fn capability(mut self, secret: &[u8; 32]) -> Self {
        self.options.capability = Some(Capability::new(secret));
        self
    }

    /// Sets how long a connection without calls is kept. The default is 10 s, as in the reference.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.options.linger = linger;
        self
    }

    /// Calls a method of a server. Connecting may take 30 s; for the response there is no time limit unless
    /// [`ClientCall::timeout`] sets one for both.
    pub fn request(&self, server: &PublicKey, method: &str, value: impl Into<Bytes>) -> ClientCall {
        let (client, method, value) = (self.clone(), method.to_owned(), value.into());
        ClientCall { client, server: *server, method, value, timeout: None }
    }

    /// Calls a method of a server and asks for no response. Ready once the request is in line to be sent.
    ///
    /// # Errors
    ///
    /// [`RpcError`] if the server can't be reached, or the channel has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the request is sent whole or not at all.
    pub async fn event(
        &self,
        server: &PublicKey,
        method: &str,
        value: impl Into<Bytes>,
    ) -> Result<(), RpcError> {
        let (rpc, _in_use) = self.pooled(server).await?;
        rpc.event(method, value).await
    }

    /// Connects to a server, for calls of the caller's own: the connection is not shared, and stays as long
    /// as what is returned.
    ///
    /// # Errors
    ///
    /// [`RpcError`] if the server can't be reached, or does not prove the capability.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt.
    pub async fn connect(&self, server: impl Into<ConnectAddress>) -> Result<Rpc, RpcError> {
        self.options.connect(server.into()).await
    }

    /// Returns the connection to a server, made if there is none, and what keeps it.
    async fn pooled(&self, server: &PublicKey) -> Result<(Rpc, InUse), RpcError> {
        let in_use = self.enter(server);
        let pooled = &in_use.pooled;
        let connected = pooled.rpc.get_or_try_init(|| self.options.connect(ConnectAddress::from(*server)));
        let rpc = connected.await?.clone();
        Ok((rpc, in_use))
    }

    /// Takes the entry of a server: a new one if its channel has ended.
    fn enter(&self, server: &PublicKey) -> InUse {
        let mut pool = lock(&self.pool);
        let found = pool.get(server).filter(|pooled| !pooled.rpc.get().is_some_and(Rpc::is_closed));
        let pooled = found.cloned().unwrap_or_else(|| {
            let used = Mutex::new(Used { calls: 0, until: Instant::now() });
            let pooled = Arc::new(Pooled { rpc: OnceCell::new(), used });
            pool.insert(*server, Arc::clone(&pooled));
            let linger = self.options.linger;
            tokio::spawn(expire(Arc::downgrade(&self.pool), *server, Arc::downgrade(&pooled), linger));
            pooled
        });
        lock(&pooled.used).calls += 1;
        InUse { pooled }
    }
}

impl ClientCall {
    /// Limits how long connecting and the response may take together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for ClientCall {
    type Output = Result<Bytes, RpcError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, server, method, value, timeout } = self;
            let call = async {
                let (rpc, _in_use) = client.pooled(&server).await?;
                rpc.request(&method, value).await
            };
            match timeout {
                None => call.await,
                Some(after) => {
                    tokio::time::timeout(after, call).await.unwrap_or(Err(RpcError::TimedOut { after }))
                }
            }
        })
    }
}

impl Options {
    async fn connect(&self, address: ConnectAddress) -> Result<Rpc, RpcError> {
        let mut connect = self.dht.connect(&address);
        if let Some(key_pair) = &self.key_pair {
            connect = connect.key_pair(key_pair);
        }
        let mux = Mux::new(connect.await?);
        let open = Rpc::open(&mux).id(address.public_key().as_bytes());
        let open = open.responders(&self.responders).values(self.values);
        match &self.capability {
            None => open.begin(),
            Some(capability) => {
                let rpc = open.capability(capability).begin()?;
                rpc.opened().await?;
                Ok(rpc)
            }
        }
    }
}

/// Counts a call, as long as it is under way.
struct InUse {
    pooled: Arc<Pooled>,
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = lock(&self.pooled.used);
        used.calls -= 1;
        used.until = Instant::now();
    }
}

/// Removes a connection from the pool once it has had no calls for some time.
async fn expire(pool: Weak<Mutex<Pool>>, server: PublicKey, pooled: Weak<Pooled>, linger: Duration) {
    loop {
        let Some(until) = pooled.upgrade().map(|pooled| lock(&pooled.used).until + linger) else {
            return;
        };
        // While there are calls, again and again.
        tokio::time::sleep_until(until.max(Instant::now() + linger / 10)).await;
        let (Some(pool), Some(pooled)) = (pool.upgrade(), pooled.upgrade()) else {
            return;
        };
        let mut pool = lock(&pool);
        let is_current = pool.get(&server).is_some_and(|other| Arc::ptr_eq(other, &pooled));
        if !is_current {
            return;
        }
        let used = lock(&pooled.used);
        if used.calls == 0 && used.until + linger <= Instant::now() {
            pool.remove(&server);
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As in the reference (`@hyperswarm/rpc` index.js, `POOL_LINGER`).
const LINGER: Duration = Duration::from_secs(10);
