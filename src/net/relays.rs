//! Meeting peers at blind relays: a connection to the relay, a wish to be paired, and the connection kept for as long as the stream.

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
        let task = tokio::spawn(async move {
            let paired = tokio::time::timeout(PATIENCE, pair(own, &dial, connected)).await;
            let Some((relay, id)) = paired.ok().flatten() else {
                debug!(relay = %dial.relay.short(), "the relay is of no use");
                // Without a driver nobody wants to know.
                let _ = outbox.send(News::Relay(stream, None));
                return;
            };
            let _ = outbox.send(News::Relay(stream, Some((relay.stream(), id))));
            // Nothing more is said, but the relay serves the pair only while its clients are connected.
            while let Ok(Some(_)) = read(&relay).await {}
        });
        self.by_stream.insert(stream, Meeting { token, task });
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
        // With the task goes its connection.
        self.task.abort();
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
