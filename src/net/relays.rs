//! Meeting peers at blind relays: a connection to the relay, a wish to be paired, and the connection kept for as long as the stream needs it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::debug;

use super::command::{DialOutcome, Token};
use super::driver::News;
use super::link::{End, Handle};
use crate::connect::relay::RelayClient;
use crate::connect::{Endpoint, RelayDial};
use crate::keys::PublicKey;
use crate::udx::StreamId;

/// How long a relay gets to answer and to bring the peer, as the reference.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// The relays that streams of ours use or are about to use.
#[derive(Debug, Default)]
pub(super) struct Relays {
    by_stream: HashMap<StreamId, Meeting>,
}

#[derive(Debug)]
struct Meeting {
    token: Token,
    /// Tells the task to leave in order; dropped with it where that was not done.
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Relays {
    /// Starts to meet a peer over a connection that is being made.
    pub(super) fn start(
        &mut self,
        token: Token,
        own: PublicKey,
        dial: RelayDial,
        connected: oneshot::Receiver<DialOutcome>,
        outbox: mpsc::UnboundedSender<News>,
    ) {
        let stream = dial.stream;
        let (leave, mut left) = oneshot::channel();
        let task = tokio::spawn(async move {
            let meeting = tokio::time::timeout(PATIENCE, pair(own, &dial, connected));
            let paired = tokio::select! {
                paired = meeting => paired.ok().flatten(),
                _ = &mut left => return,
            };
            let Some((relay, id)) = paired else {
                debug!(relay = %dial.relay.short(), "the relay is of no use");
                // Without a driver nobody wants to know.
                let _ = outbox.send(News::Relay(stream, None));
                return;
            };
            let _ = outbox.send(News::Relay(stream, Some((relay.stream(), id))));
            // Nothing more is said, but the relay serves the pair only while its clients are connected.
            let served = async { while let Ok(Some(_)) = read(&relay).await {} };
            tokio::select! {
                () = served => {}
                _ = &mut left => {
                    let end = poll_fn(|cx| relay.poll_shutdown(cx));
                    // A relay that does not answer even that loses us all the same.
                    let _ = tokio::time::timeout(PATIENCE, end).await;
                }
            }
        });
        let meeting = Meeting {
            token,
            leave: Some(leave),
            task,
        };
        self.by_stream.insert(stream, meeting);
    }

    /// Leaves the relay of a stream that needs none any more; returns the token of the dial, which nobody wants either.
    pub(super) fn leave(&mut self, stream: StreamId) -> Option<Token> {
        let mut meeting = self.by_stream.remove(&stream)?;
        // A task that is over needs no telling.
        let _ = meeting.leave.take().map(|leave| leave.send(()));
        Some(meeting.token)
    }

    /// Leaves the relays of streams that are over; returns the tokens of the dials that nobody wants any more.
    pub(super) fn sweep(&mut self, endpoint: &mut Endpoint) -> Vec<Token> {
        if self.by_stream.is_empty() {
            return Vec::new();
        }
        let gone = |stream: &StreamId, _: &mut Meeting| !endpoint.streams().contains(*stream);
        let swept = self.by_stream.extract_if(gone);
        swept.map(|(_, meeting)| meeting.token).collect()
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // With the task goes its connection. One that was told to leave ends it in order.
        if self.leave.is_some() {
            self.task.abort();
        }
    }
}

/// Waits until the relay has brought the peer.
async fn pair(
    own: PublicKey,
    dial: &RelayDial,
    connected: oneshot::Receiver<DialOutcome>,
) -> Option<(Handle, u32)> {
    let relay = connected.await.ok()?.ok()?;
    let mut client = RelayClient::new(own, dial.token, dial.is_initiator, dial.stream);
    for message in client.opening() {
        let sent = poll_fn(|cx| relay.poll_write_message(cx, &message)).await;
        sent.ok()?;
    }
    loop {
        let message = read(&relay).await.ok()??;
        match client.handle_message(&message) {
            Ok(Some(id)) => return Some((relay, id)),
            Ok(None) => {}
            Err(error) => {
                debug!(relay = %dial.relay.short(), %error, "the relay is of no use");
                return None;
            }
        }
    }
}

async fn read(relay: &Handle) -> Result<Option<bytes::Bytes>, End> {
    poll_fn(|cx| relay.poll_read_message(cx)).await
}
