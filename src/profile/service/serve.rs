//! Serves connections: a greeting each, then one request at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, info, info_span};

use super::super::changes::Watch;
use super::super::hello::greeting;
use super::super::lines::{LineError, Lines};
use super::super::message::{BadCall, Call, CallError, Refusal, answer_line, bad_call_line, hello_line};
use super::super::peers::{Loss, OpenConnection, PeerAddress, Peers, Slot};
use super::super::store::{Store, StoreError};
use super::answer::{Answer, Answerer, Caller};
use super::{Admission, ServiceConfig};
use crate::api::{ClaimedKey, Path, ProvenKey};
use crate::{Connection, PublicKey, Server};

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
    /// The operator has banned the key, or the network that the peer's packets come from.
    #[error("the key or its network is banned")]
    Banned,
    /// The peer ended it.
    #[error("the peer closed the connection")]
    ByPeer,
    /// The service is closing.
    #[error("the service is closing")]
    Closing,
    /// The operator has ended it.
    #[error("the operator has ended the connection")]
    Disconnected,
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
        let address = address_of(&connection);
        if let Err(ended) = self.greet(&mut connection, claimed, address).await {
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

    /// Sends the greeting for a claimed key, which shows whether the key or its address is banned, or its
    /// record cannot be read.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the greeting could not be sent.
    ///
    /// # Cancel safety
    ///
    /// Part of the greeting may have been sent when the future is dropped; the stream is then of no use.
    pub async fn greet<T: AsyncWrite + Unpin>(
        &self,
        stream: &mut T,
        claimed: ClaimedKey,
        address: PeerAddress,
    ) -> Result<(), Ended> {
        let answerer = &self.shared.answerer;
        // Each of its requests is refused once it has proven the key, if it sends any.
        let refusal = answerer.admit_key(claimed.to_address_reply(), address).err();
        let line = match greeting(&answerer.store, claimed, refusal.as_ref()).await {
            Ok(line) => line,
            // The peer learns why, and may find another server of the key.
            Err(error) => {
                debug!(%error, "the record of a claimed key cannot be read");
                hello_line(None, &[], Some(&Refusal::Storage))
            }
        };
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
        let address = address_of(&stream);
        let span = info_span!("peer", key = %key.public_key().short());
        let entered = self.enter(key, address);
        async {
            let slot = match entered {
                Ok(slot) => slot,
                Err((slot, refusal)) => {
                    let ended = match refusal {
                        Refusal::Banned => Ended::Banned,
                        _ => Ended::Full,
                    };
                    debug!(reason = %ended, "connection refused");
                    tokio::select! {
                        () = self.refuse(&mut stream, refusal) => {}
                        () = slot.cut() => {}
                    }
                    return ended;
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

    /// Takes a slot for a peer, or refuses it.
    fn enter(&self, key: ProvenKey, address: PeerAddress) -> Result<Slot, (Slot, Refusal)> {
        let Shared { answerer, peers, .. } = &*self.shared;
        if let Err(refusal) = answerer.admit_key(key.public_key(), address) {
            return Err((peers.refuse(key, address), refusal));
        }
        let limits = answerer.settings().config.limits;
        let entered = peers.enter(key, address, limits.connections_per_key, limits.connections);
        entered.map_err(|slot| (slot, Refusal::Full))
    }

    /// Answers the first request of a peer that gets no slot, and ends the connection in order.
    async fn refuse<T: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut T, refusal: Refusal) {
        let first = Lines::default().next(stream, Some(Instant::now() + FAREWELL), FAREWELL).await;
        let id = match first.as_deref().map(Call::read) {
            Ok(Ok(call)) => call.map(|call| call.id),
            Ok(Err(bad)) => bad.id,
            Err(_) => None,
        };
        // A peer that does not take the answer is refused all the same.
        let _ = timeout(FAREWELL, async {
            self.write(stream, &answer_line(id.as_ref(), &Err(refusal))).await?;
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

    /// Replaces the settings while the service runs: they hold for every request from now on, and what was
    /// counted counts on. A lower number of connections ends none.
    pub fn configure(&self, config: ServiceConfig) {
        self.shared.answerer.set(|settings| settings.config = config);
    }

    /// Returns the settings.
    pub fn config(&self) -> ServiceConfig {
        self.shared.answerer.settings().config
    }

    /// Replaces the lists of who is banned and who is allowed, and ends the open connections of those who are
    /// banned now; returns how many those were. A service begins with empty lists.
    pub fn set_admission(&self, admission: Admission) -> usize {
        let Shared { answerer, peers, .. } = &*self.shared;
        answerer.set(|settings| settings.admission = admission);
        let settings = answerer.settings();
        // One that has just been let in is refused with its first request.
        peers.end(Loss::Banned, |key, address| settings.admission.is_banned(key, address))
    }

    /// Ends the open connections of a key, which may connect again; returns how many those were.
    pub fn disconnect(&self, key: &PublicKey) -> usize {
        self.shared.peers.end(Loss::Disconnected, |other, _| other == key)
    }

    /// Returns the open connections of proven keys whose number is greater than `after`, at most `most` of
    /// them, the oldest first.
    pub fn open_connections(&self, after: u64, most: usize) -> Vec<OpenConnection> {
        self.shared.peers.list(after, most)
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
        let limits = || self.shared.answerer.settings().config.limits;
        let mut lines = Lines::default();
        let mut watch = self.shared.answerer.store.changes().watch();
        let mut idle_at = Instant::now() + limits().idle;
        loop {
            // The next line is taken after this one is answered: a peer has at most one request in memory.
            let line = tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => return Err(Ended::Closing),
                loss = slot.lost() => return Err(loss.into()),
                line = lines.next(stream, Some(idle_at), limits().line_timeout) => line,
                changed = watch.next() => {
                    self.show_change(stream, &key, &changed, &mut watch, slot).await?;
                    continue;
                }
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
            let (answer, end) = match self.shared.answerer.answer(&caller, &line, &mut watch).await {
                Answer::Line(line) => (Some(line), None),
                Answer::Nothing => (None, None),
                Answer::Last(line, Refusal::Banned) => (line, Some(Ended::Banned)),
                Answer::Last(line, _) => (line, Some(Ended::Refused)),
            };
            if let Some(answer) = answer {
                self.write_unless_lost(stream, &answer, slot).await?;
                idle_at = Instant::now() + limits().idle;
            }
            if let Some(end) = end {
                return Err(end);
            }
        }
    }

    /// Sends what a watched key has now. That is no request of the peer, which is idle all the same.
    async fn show_change<T: AsyncWrite + Unpin>(
        &self,
        stream: &mut T,
        caller: &ProvenKey,
        key: &PublicKey,
        watch: &mut Watch,
        slot: &Slot,
    ) -> Result<(), Ended> {
        match self.shared.answerer.change_of(caller, key).await {
            Ok(Some(line)) if watch.is_news(key, &line) => self.write_unless_lost(stream, &line, slot).await,
            Ok(_) => Ok(()),
            // Once it is back, the store shows all keys as changed.
            Err(StoreError::Unavailable(_)) => Ok(()),
            Err(error) => Err(Ended::Io(io::Error::other(error))),
        }
    }

    async fn write_unless_lost<T: AsyncWrite + Unpin>(
        &self,
        stream: &mut T,
        line: &[u8],
        slot: &Slot,
    ) -> Result<(), Ended> {
        tokio::select! {
            biased;
            loss = slot.lost() => Err(loss.into()),
            written = self.write(stream, line) => written,
        }
    }

    async fn write<T: AsyncWrite + Unpin>(&self, stream: &mut T, line: &[u8]) -> Result<(), Ended> {
        let write_timeout = self.shared.answerer.settings().config.limits.write_timeout;
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
            Loss::Banned => Self::Banned,
            Loss::Disconnected => Self::Disconnected,
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
