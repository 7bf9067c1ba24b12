//! Looking peers up: all of them at the end, or each as soon as a node names it.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};

use super::node::GiveUp;
use super::records::Failure;
use super::{Dht, Found, QueryError};
use crate::PublicKey;
use crate::dht::Operation;
use crate::net::{Command, OperationOutcome};

/// Looks peers up, from [`Dht::lookup`] and [`Dht::find_peer`]. Awaited, it returns all that nodes have named
/// once the query is over; [`Self::stream`] yields each as soon as its node answers.
///
/// # Errors
///
/// [`QueryError`] if no node answered or the node has been closed.
///
/// # Cancel safety
///
/// Cancel safe: dropping it, or the future made from it, ends the query.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited or made a stream"]
pub struct Lookup {
    dht: Dht,
    operation: Operation,
}

/// The peers that nodes name, each as soon as its node answers, from [`Lookup::stream`]. A
/// [`Stream`]; [`Self::next`] needs no crate of extensions.
///
/// Several nodes may name the same peer. If the query fails, the last item is the error. A query yields 4096
/// peers at most. Dropping the stream ends the query.
#[derive(Debug)]
#[must_use = "dropping a stream ends its query"]
pub struct Peers {
    query: Option<Query>,
}

/// A query that is not over yet.
#[derive(Debug)]
struct Query {
    found: mpsc::UnboundedReceiver<Found>,
    outcome: oneshot::Receiver<OperationOutcome>,
    guard: GiveUp,
}

impl Dht {
    /// Queries the DHT for a server. Returns one record for each node that knows it, and none if no node
    /// does.
    pub fn find_peer(&self, server: &PublicKey) -> Lookup {
        Lookup::new(self, Operation::FindPeer(*server))
    }

    /// Queries the DHT for the peers that have announced a topic. Several nodes may name the same peer, and
    /// each names 20 at most.
    pub fn lookup(&self, topic: [u8; 32]) -> Lookup {
        Lookup::new(self, Operation::Lookup(topic))
    }
}

impl Lookup {
    fn new(dht: &Dht, operation: Operation) -> Self {
        Self { dht: dht.clone(), operation }
    }

    /// Starts the query, and returns the peers as nodes name them:
    ///
    /// ```no_run
    /// # async fn example(dht: hyperprofile::Dht) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut peers = dht.lookup([7; 32]).stream();
    /// while let Some(found) = peers.next().await {
    ///     let found = found?;
    ///     println!("{} by {}", found.public_key, found.from);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self) -> Peers {
        let node = self.dht.node();
        let (token, guard) = node.token();
        let (peers, found) = mpsc::unbounded_channel();
        let (answer, outcome) = oneshot::channel();
        let (operation, peers) = (Box::new(self.operation), Some(peers));
        // Without a driver the outcome is lost too, and the stream yields that the node is closed.
        let _ = node.commands().send(Command::Operation { token, operation, peers, answer });
        Peers { query: Some(Query { found, outcome, guard }) }
    }
}

impl IntoFuture for Lookup {
    type Output = Result<Vec<Found>, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.dht.run(self.operation).await?.peers) })
    }
}

impl Peers {
    /// Returns the next peer that a node has named, `None` once the query is over.
    ///
    /// # Errors
    ///
    /// [`QueryError`] as the last item, if no node answered or the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no peer is lost.
    pub async fn next(&mut self) -> Option<Result<Found, QueryError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Peers {
    type Item = Result<Found, QueryError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(query) = &mut this.query else {
            return Poll::Ready(None);
        };
        if let Some(found) = ready!(query.found.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(found)));
        }
        // Only a closed node does not answer, which the failure below says.
        let outcome = ready!(Pin::new(&mut query.outcome).poll(cx)).ok();
        if let Some(query) = this.query.take() {
            query.guard.finish();
        }
        let failure = Failure::unless_done(outcome).err();
        Poll::Ready(failure.map(|failure| Err(failure.into())))
    }
}
