//! Serves connections: a greeting each, then one request at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, info, info_span};

use super::super::hello::greeting;
use super::super::lines::{LineError, Lines};
use super::super::message::{BadCall, Call, CallError, Refusal, answer_line, bad_call_line};
use super::super::peers::{Loss, PeerAddress, Peers, Slot};
use super::super::store::Store;
use super::ServiceConfig;
use super::answer::{Answer, Answerer, Caller};
use crate::api::{ClaimedKey, Path, ProvenKey};
use crate::{Connection, Server};

/// A profile service over a store. Clones share everything.
///
/// A connection passes two stages: [`greet`](Self::greet) takes a claimed key and reads the record of that
/// key alone; [`serve_proven`](Self::serve_proven) takes a proven key and does everything else.
#[derive(Debug)]
pub struct Service<S> {
    shared: Arc<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    answerer: Answerer<S>,
    peers: Peers,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The peer ended it.
    #[error("the peer closed the connection")]
    ByPeer,
    /// The service is closing.
    #[error("the service is closing")]
    Closing,
    /// All connections are taken, and a peer from a less busy source has taken this one over.
    #[error("a peer from a less busy network has taken its place")]
    Displaced,
    /// All connections are taken, and no source is busier than the peer's.
    #[error("all connections are taken")]
    Full,
    /// The peer sent no request for too long.
    #[error("the peer sent no request for too long")]
    Idle,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer sent a line that is too long.
    #[error("the peer sent a line that is too long")]
    LongLine,
    /// The peer's key was refused more often than it may be.
    #[error("too many requests of the peer were refused")]
    Refused,
    /// A newer connection of the same key replaced it.
    #[error("a newer connection of the same key replaced it")]
    Replaced,
    /// The peer began a line and did not finish it in time.
    #[error("the peer did not finish a line in time")]
    Slow,
    /// The peer did not read its answers in time.
    #[error("the peer did not read its answers in time")]
    Unread,
}

impl<S: Store> Service<S> {
    /// Makes a service, which is idle until it is given connections.
    pub fn new(store: S, config: ServiceConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                answerer: Answerer::new(store, config),
                peers: Peers::default(),
                closing: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Serves the connections of a listening server until the server is closed or [`Self::close`] is called.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting; accepted connections are still served.
    pub async fn run(&self, server: &Server) {
        loop {
            let connection = tokio::select! {
                () = self.shared.closing.cancelled() => return,
                connection = server.accept() => connection,
            };
            let Some(connection) = connection else { return };
            let service = self.clone();
            self.shared.tasks.spawn(async move {
                let ended = service.serve(connection).await;
                debug!(reason = %ended, "connection ended");
            });
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection; a write under way is finished.
    pub async fn serve(&self, mut connection: Connection) -> Ended {
        let claimed = connection.claimed_key();
        if let Err(ended) = self.greet(&mut connection, claimed).await {
            return ended;
        }
        let proven = tokio::select! {
            proven = connection.proven() => proven,
            () = self.shared.closing.cancelled() => return Ended::Closing,
        };
        match proven {
            Err(error) => {
                // A client that wants only the greeting sends nothing that proves its key, and ends in order.
                let _ = timeout(FAREWELL, connection.shutdown()).await;
                Ended::Io(error.into())
            }
            Ok(key) => self.serve_proven(connection, key, address_of).await,
        }
    }

    /// Sends the greeting for a claimed key.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the greeting could not be read or sent.
    ///
    /// # Cancel safety
    ///
    /// Part of the greeting may have been sent when the future is dropped; the stream is then of no use.
    pub async fn greet<T: AsyncWrite + Unpin>(
        &self,
        stream: &mut T,
        claimed: ClaimedKey,
    ) -> Result<(), Ended> {
        let line = greeting(&self.shared.answerer.store, claimed).await.map_err(io::Error::other)?;
        self.write(stream, &line).await
    }

    /// Answers the requests of a peer that has proven its key, until one side ends the connection.
    ///
    /// `address_of` returns where the peer's packets come from now, for the limits per source.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the connection; a write under way is finished.
    pub async fn serve_proven<T, F>(&self, mut stream: T, key: ProvenKey, address_of: F) -> Ended
    where
        T: AsyncRead + AsyncWrite + Unpin,
        F: Fn(&T) -> PeerAddress,
    {
        let limits = &self.shared.answerer.config.limits;
        let address = address_of(&stream);
        let span = info_span!("peer", key = %key.public_key().short());
        let entered = self.shared.peers.enter(key, address, limits.connections_per_key, limits.connections);
        async {
            let slot = match entered {
                Ok(slot) => slot,
                Err(slot) => {
                    debug!("refused: all connections are taken");
                    tokio::select! {
                        () = self.refuse(&mut stream) => {}
                        () = slot.cut() => {}
                    }
                    return Ended::Full;
                }
            };
            info!("connected");
            let ended = match self.answer_all(&mut stream, key, &address_of, &slot).await {
                Ok(never) => match never {},
                Err(ended) => ended,
            };
            info!(reason = %ended, "disconnected");
            slot.leave();
            // What was written may still arrive; a peer that is gone is waited for so long at most.
            tokio::select! {
                _ = timeout(FAREWELL, stream.shutdown()) => {}
                () = slot.cut() => {}
            }
            ended
        }
        .instrument(span)
        .await
    }

    /// Answers the first request of a peer for which there is no slot, and ends the connection in order.
    async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut T) {
        let first = Lines::default().next(stream, Some(Instant::now() + FAREWELL), FAREWELL).await;
        let id = match first.as_deref().map(Call::read) {
            Ok(Ok(call)) => call.map(|call| call.id),
            Ok(Err(bad)) => bad.id,
            Err(_) => None,
        };
        // A peer that does not take the answer is refused all the same.
        let _ = timeout(FAREWELL, async {
            self.write(stream, &answer_line(id.as_ref(), &Err(Refusal::Full))).await?;
            stream.shutdown().await.map_err(Ended::Io)
        })
        .await;
    }

    /// Stops accepting, lets each connection finish its current request, and waits until all have ended, at
    /// most four seconds.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        // Those that take longer end with the runtime; what they have acknowledged is durable.
        let _ = timeout(FAREWELL * 2, self.shared.tasks.wait()).await;
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.shared.answerer.store
    }

    /// Returns how many connections of proven keys are open.
    pub fn connections(&self) -> usize {
        self.shared.peers.count()
    }

    async fn answer_all<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut T,
        key: ProvenKey,
        address_of: &impl Fn(&T) -> PeerAddress,
        slot: &Slot,
    ) -> Result<std::convert::Infallible, Ended> {
        let limits = &self.shared.answerer.config.limits;
        let mut lines = Lines::default();
        let mut idle_at = Instant::now() + limits.idle;
        loop {
            // The next line is taken after this one is answered: a peer has at most one request in memory.
            let line = tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => return Err(Ended::Closing),
                loss = slot.lost() => return Err(loss.into()),
                line = lines.next(stream, Some(idle_at), limits.line_timeout) => line,
            };
            let line = match line {
                Ok(line) => line,
                Err(LineError::Ended) => return Err(Ended::ByPeer),
                Err(LineError::Idle) => return Err(Ended::Idle),
                Err(LineError::Slow) => return Err(Ended::Slow),
                Err(LineError::Io(error)) => return Err(Ended::Io(error)),
                Err(LineError::TooLong) => {
                    let error = CallError::LongLine;
                    let line = bad_call_line(&BadCall { id: None, error });
                    self.write(stream, &line).await?;
                    return Err(Ended::LongLine);
                }
            };
            // A connection that has left its relay since counts for its own address.
            let caller = Caller { key, address: address_of(stream) };
            slot.count_for(caller.address);
            let (answer, ends) = match self.shared.answerer.answer(&caller, &line).await {
                Answer::Line(line) => (Some(line), false),
                Answer::Nothing => (None, false),
                Answer::Last(line) => (line, true),
            };
            if let Some(answer) = answer {
                tokio::select! {
                    biased;
                    loss = slot.lost() => return Err(loss.into()),
                    written = self.write(stream, &answer) => written?,
                }
                idle_at = Instant::now() + limits.idle;
            }
            if ends {
                return Err(Ended::Refused);
            }
        }
    }

    async fn write<T: AsyncWrite + Unpin>(&self, stream: &mut T, line: &[u8]) -> Result<(), Ended> {
        let write_timeout = self.shared.answerer.config.limits.write_timeout;
        timeout(write_timeout, async {
            stream.write_all(line).await?;
            stream.flush().await
        })
        .await
        .map_err(|_| Ended::Unread)?
        .map_err(Ended::Io)
    }
}

/// Returns where the packets of a connection come from now.
fn address_of(connection: &Connection) -> PeerAddress {
    PeerAddress { ip: *connection.remote_addr().ip(), is_relay: connection.path() == Path::Relayed }
}

impl From<Loss> for Ended {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Replaced => Self::Replaced,
            Loss::Displaced => Self::Displaced,
        }
    }
}

impl<S> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Longest time for the end of a connection to reach the peer.
const FAREWELL: Duration = Duration::from_secs(2);
