//! A server that responds to calls.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use tokio::task::JoinSet;

use super::capability::Capability;
use super::responders::Responders;
use super::session::Rpc;
use super::values::Values;
use crate::api::{Connection, Server};
use crate::mux::Mux;

/// Serves calls once awaited, until the server is closed; from [`serve`].
///
/// # Cancel safety
///
/// Dropping the future made from it closes the connections. The server goes on to listen.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct Serve<'a> {
    server: &'a Server,
    responders: Responders,
    values: Values,
    capability: Option<Capability>,
}

/// Accepts the connections of a server, and responds to the calls on each: what `createServer` of
/// `@hyperswarm/rpc` does. To call clients, too, or for other protocols beside this one, take the connections
/// from [`Server::accept`] and use [`Rpc::open`].
pub fn serve<'a>(server: &'a Server, responders: &Responders) -> Serve<'a> {
    Serve { server, responders: responders.clone(), values: Values::default(), capability: None }
}

impl Serve<'_> {
    /// Sets how values are encoded.
    pub fn values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// Sets a secret that clients must know as well, and prove that they do before anything of theirs is
    /// served: the option `capability` in JavaScript.
    pub fn capability(mut self, secret: &[u8; 32]) -> Self {
        self.capability = Some(Capability::new(secret));
        self
    }
}

impl<'a> IntoFuture for Serve<'a> {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { server, responders, values, capability } = self;
            let id = *server.public_key();
            let mut connections = JoinSet::new();
            loop {
                let connection = tokio::select! {
                    connection = server.accept() => connection,
                    Some(_) = connections.join_next() => continue,
                };
                let Some(connection) = connection else {
                    return;
                };
                let (responders, capability) = (responders.clone(), capability.clone());
                connections.spawn(async move {
                    let open =
                        |mux: &Mux| Rpc::open(mux).id(id.as_bytes()).responders(&responders).values(values);
                    serve_one(connection, open, capability).await;
                });
            }
        })
    }
}

async fn serve_one(
    connection: Connection,
    open: impl Fn(&Mux) -> super::session::OpenRpc,
    capability: Option<Capability>,
) {
    let mux = Mux::new(connection);
    let mut open = open(&mux);
    if let Some(capability) = &capability {
        open = open.capability(capability);
    }
    let served = match open.begin() {
        Ok(rpc) => rpc.closed().await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of calls has failed");
    }
}
