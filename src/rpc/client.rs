//! Calls by the key of the server.

use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::capability::Capability;
use super::error::RpcError;
use super::responders::Responders;
use super::session::Rpc;
use super::values::Values;
use crate::api::Dht;
use crate::mux::{Mux, MuxError};
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
    /// What the attempt has come to, once it has.
    rpc: Connected,
    used: Mutex<Used>,
    /// Makes the connection, for all calls that wait for it: one that is dropped ends it for no other.
    _connecting: AbortOnDropHandle<()>,
}

type Connected = watch::Receiver<Option<Result<Rpc, RpcError>>>;

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
        let mut connected = in_use.pooled.rpc.clone();
        let result = connected.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        // Without a result the attempt has panicked.
        let rpc = result.unwrap_or(Err(RpcError::Channel(MuxError::Closed)))?;
        Ok((rpc, in_use))
    }

    /// Takes the entry of a server: a new one if the attempt has failed, or the channel has ended.
    fn enter(&self, server: &PublicKey) -> InUse {
        let mut pool = lock(&self.pool);
        let found = pool.get(server).filter(|pooled| !pooled.is_over());
        let pooled = found.cloned().unwrap_or_else(|| {
            let used = Mutex::new(Used { calls: 0, until: Instant::now() });
            let (connected, rpc) = watch::channel(None);
            let (options, address) = (self.options.clone(), ConnectAddress::from(*server));
            let connecting = tokio::spawn(async move {
                connected.send_replace(Some(options.connect(address).await));
            });
            let pooled = Arc::new(Pooled { rpc, used, _connecting: AbortOnDropHandle::new(connecting) });
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

impl Pooled {
    /// Returns whether another connection is needed.
    fn is_over(&self) -> bool {
        match &*self.rpc.borrow() {
            Some(Ok(rpc)) => rpc.is_closed(),
            Some(Err(_)) => true,
            None => self.rpc.has_changed().is_err(),
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
        let Some(until) = pooled.upgrade().map(|pooled| lock(&pooled.used).until) else {
            return;
        };
        // Longer than the clock goes is for ever.
        let Some(until) = until.checked_add(linger) else {
            return;
        };
        // While there are calls, again and again.
        let soonest = Instant::now() + (linger / 10).max(SHORTEST_LINGER);
        tokio::time::sleep_until(until.max(soonest)).await;
        let (Some(pool), Some(pooled)) = (pool.upgrade(), pooled.upgrade()) else {
            return;
        };
        let mut pool = lock(&pool);
        let is_current = pool.get(&server).is_some_and(|other| Arc::ptr_eq(other, &pooled));
        if !is_current {
            return;
        }
        let used = lock(&pooled.used);
        if used.calls == 0 && used.until.elapsed() >= linger {
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

/// How long a connection without calls is kept at least: how often that is looked at.
const SHORTEST_LINGER: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock of the test stands still while a task is busy.
    #[tokio::test(start_paused = true)]
    async fn any_time_to_linger_is_waited_for() {
        let server = *KeyPair::generate().public_key();
        for linger in [Duration::ZERO, Duration::MAX] {
            let (_connected, rpc) = watch::channel(None);
            let used = Mutex::new(Used { calls: 1, until: Instant::now() });
            let connecting = AbortOnDropHandle::new(tokio::spawn(async {}));
            let pooled = Arc::new(Pooled { rpc, used, _connecting: connecting });
            let pool = Arc::new(Mutex::new(Pool::from([(server, Arc::clone(&pooled))])));
            let expiring =
                tokio::spawn(expire(Arc::downgrade(&pool), server, Arc::downgrade(&pooled), linger));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(lock(&pool).contains_key(&server), "a call is under way");
            drop(InUse { pooled });
            expiring.await.unwrap();
            assert_eq!(lock(&pool).contains_key(&server), linger == Duration::MAX);
        }
    }
}
