//! Meeting peers at blind relays: a connection to the relay, a wish to be paired, and the connection kept for
//! as long as the stream needs it.

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
                () = served => {
                    // Without a driver nobody wants to know.
                    let _ = outbox.send(News::RelayGone(stream));
                }
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

    /// Leaves the relay of a stream that needs none any more; returns the token of the dial, which nobody
    /// wants either.
    pub(super) fn leave(&mut self, stream: StreamId) -> Option<Token> {
        let mut meeting = self.by_stream.remove(&stream)?;
        // A task that is over needs no telling.
        let _ = meeting.leave.take().map(|leave| leave.send(()));
        Some(meeting.token)
    }

    /// Leaves the relays of streams that are over; returns the tokens of the dials that nobody wants any
    /// more.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::link::Link;
    use super::*;
    use crate::connect::noise::Session;
    use crate::connect::{AttemptId, Established, Origin, Path, Report};
    use crate::keys::KeyPair;
    use crate::secret_stream::Keys;
    use crate::wire::compact::Encode as _;
    use crate::wire::relay::{Frame, RelayMessage};

    #[tokio::test]
    async fn the_end_of_the_connection_to_the_relay_is_told_at_once() {
        let own = *KeyPair::from_seed(&[1; 32]).public_key();
        let dial = RelayDial {
            stream: StreamId(7),
            relay: own,
            token: [9; 32],
            is_initiator: true,
        };
        let (ab, ba, hash) = ([1; 32], [2; 32], [3; 64]);
        let (near, _) = link(Keys::new(ab, ba, hash, true));
        let (relay, header) = link(Keys::new(ba, ab, hash, false));
        let (commands, _commands) = mpsc::unbounded_channel();
        let (outbox, mut inbox) = mpsc::unbounded_channel();
        let (connected, dialled) = oneshot::channel();
        let mut relays = Relays::default();
        relays.start(Token(1), own, dial, dialled, outbox);
        let handle = Handle::new(Arc::clone(&near), commands);
        assert!(connected.send(Ok(handle)).is_ok());

        let pair = RelayMessage::Pair {
            is_initiator: true,
            token: [9; 32],
            id: 5,
            seq: 0,
        };
        for frame in [Frame::open(1, &own), pair.to_frame(1)] {
            let bytes = frame.to_bytes();
            let written = poll_fn(|cx| relay.poll_write_message(cx, &bytes)).await;
            written.expect("the connection is open");
        }
        near.push_incoming(header);
        near.push_incoming(relay.take_outgoing().frames.into_iter().flatten().collect());
        let paired = inbox.recv().await;
        assert!(matches!(
            paired,
            Some(News::Relay(StreamId(7), Some((StreamId(3), 5))))
        ));
        near.set_end(End::Reset);
        let gone = inbox.recv().await;
        assert!(matches!(gone, Some(News::RelayGone(StreamId(7)))));
    }

    /// Makes an end of a connection, with the header frame that it sends.
    fn link(keys: Keys) -> (Arc<Link>, Vec<u8>) {
        let established = Established {
            origin: Origin::Attempt(AttemptId(1)),
            stream: StreamId(3),
            session: Session {
                keys,
                holepunch_secret: [0; 32].into(),
                remote_public_key: *KeyPair::from_seed(&[5; 32]).public_key(),
            },
            path: Path::Direct,
            remote: "127.0.0.1:1".parse().expect("valid"),
            report: Report::default(),
        };
        let (bell, _) = mpsc::unbounded_channel();
        Link::new(&established, bell, Arc::default(), usize::MAX, 10)
    }
}
