//! Meeting peers at blind relays: a connection to the relay, a wish to be paired, and the connection kept for
//! as long as the stream needs it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::debug;

use super::command::{ConnectionHandle, DialOutcome, Token};
use super::link::End;
use super::task_event::{self, TaskEvent, TaskEvents};
use crate::connect::relay::RelayClient;
use crate::connect::{Dial, Endpoint, RelayDial};
use crate::keys::{KeyPair, PublicKey};
use crate::udx::StreamId;

/// The relays that streams of this node use or are about to use.
#[derive(Debug)]
pub(super) struct Relays {
    /// The identity of the node towards relays.
    key_pair: KeyPair,
    by_stream: HashMap<StreamId, Meeting>,
    /// Relays that were dialled so far.
    dials: u64,
    tasks: TaskEvents,
}

#[derive(Debug)]
struct Meeting {
    token: Token,
    /// Makes the task leave in order; dropped with it where that was not done.
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Relays {
    pub(super) fn new(key_pair: KeyPair, tasks: TaskEvents) -> Self {
        Self { key_pair, by_stream: HashMap::new(), dials: 0, tasks }
    }

    /// Starts a task that meets the peer of a stream at a relay. Returns what it waits for: the connection to
    /// make, its token and where to answer with the outcome.
    pub(super) fn start(&mut self, dial: RelayDial) -> (Token, Dial, oneshot::Sender<DialOutcome>) {
        let (answer, connected) = oneshot::channel();
        let (leave, left) = oneshot::channel();
        // Users' tokens count up from zero.
        let token = Token(u64::MAX - self.dials);
        self.dials += 1;
        let to_relay = Dial { timeout: TIMEOUT, ..Dial::new(dial.relay, self.key_pair.clone()) };
        let stream = dial.stream;
        debug!(stream = %stream, key = %dial.relay.short(), "relay dialled");
        let own = *self.key_pair.public_key();
        let meeting = Meeting {
            token,
            leave: Some(leave),
            task: task_event::spawn(&self.tasks, meet(own, dial, connected, left, self.tasks.clone())),
        };
        self.by_stream.insert(stream, meeting);
        (token, to_relay, answer)
    }

    /// Leaves the relay of a stream that needs none any more; returns the token of the dial, which is not
    /// needed either.
    pub(super) fn leave(&mut self, stream: StreamId) -> Option<Token> {
        let mut meeting = self.by_stream.remove(&stream)?;
        // The task may have ended.
        let _ = meeting.leave.take().map(|leave| leave.send(()));
        Some(meeting.token)
    }

    /// Leaves the relays of streams that are over; returns the tokens of the dials, which are not needed any
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
        // With the task goes its connection. One that leaves in order ends it so.
        if self.leave.is_some() {
            self.task.abort();
        }
    }
}

/// Meets the peer of a stream at a relay, reports that, and keeps the connection to the relay until the
/// stream leaves it.
async fn meet(
    own: PublicKey,
    dial: RelayDial,
    connected: oneshot::Receiver<DialOutcome>,
    mut left: oneshot::Receiver<()>,
    tasks: TaskEvents,
) {
    let stream = dial.stream;
    let paired = tokio::select! {
        paired = tokio::time::timeout(TIMEOUT, pair(own, &dial, connected)) => paired.ok().flatten(),
        _ = &mut left => return,
    };
    let Some((relay, id)) = paired else {
        debug!(stream = %stream, key = %dial.relay.short(), "relay failed");
        let _ = tasks.send(TaskEvent::Relay(stream, None));
        return;
    };
    debug!(stream = %stream, key = %dial.relay.short(), "relay paired");
    let _ = tasks.send(TaskEvent::Relay(stream, Some((relay.stream(), id))));
    // The relay sends nothing more, but it serves the pair only while its clients are connected.
    let served = async { while let Ok(Some(_)) = read(&relay).await {} };
    tokio::select! {
        () = served => {
            let _ = tasks.send(TaskEvent::RelayGone(stream));
        }
        _ = &mut left => {
            let end = poll_fn(|cx| relay.poll_shutdown(cx));
            // The connection is dropped even if the relay does not answer that.
            let _ = tokio::time::timeout(TIMEOUT, end).await;
        }
    }
}

/// Waits until the relay has brought the peer; returns the connection to the relay, and the id under which it
/// takes packets.
async fn pair(
    own: PublicKey,
    dial: &RelayDial,
    connected: oneshot::Receiver<DialOutcome>,
) -> Option<(ConnectionHandle, u32)> {
    // A dial that has been given up needs no relay.
    let relay = match connected.await.ok()? {
        Ok(relay) => relay,
        Err((failure, _)) => {
            debug!(stream = %dial.stream, reason = %failure, "relay not connected");
            return None;
        }
    };
    let mut client = RelayClient::new(own, dial.token, dial.is_initiator, dial.stream);
    for message in client.opening() {
        let sent = poll_fn(|cx| relay.poll_write_message(cx, &message)).await;
        sent.inspect_err(|end| debug!(stream = %dial.stream, reason = ?end, "relay lost")).ok()?;
    }
    loop {
        let read = read(&relay).await;
        let message =
            read.inspect_err(|end| debug!(stream = %dial.stream, reason = ?end, "relay lost")).ok()??;
        match client.handle_message(&message) {
            Ok(Some(id)) => return Some((relay, id)),
            Ok(None) => {}
            Err(error) => {
                debug!(stream = %dial.stream, %error, "relay breaks its protocol");
                return None;
            }
        }
    }
}

async fn read(relay: &ConnectionHandle) -> Result<Option<bytes::Bytes>, End> {
    poll_fn(|cx| relay.poll_read_message(cx)).await
}

/// How long a relay gets to answer and to bring the peer (`hyperdht lib/connect.js`, `relayConnection`).
const TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::super::link::Link;
    use super::*;
    use crate::connect::noise::Session;
    use crate::connect::{AttemptId, Established, Origin, Path, Report};
    use crate::keys::KeyPair;
    use crate::secret_stream::Keys;
    use crate::wire::compact::Encode as _;
    use crate::wire::relay::{Frame, RelayMessage};

    #[tokio::test]
    async fn the_end_of_the_connection_to_the_relay_is_reported_at_once() {
        let own = *KeyPair::from_seed(&[1; 32]).public_key();
        let dial = RelayDial { stream: StreamId(7), relay: own, token: [9; 32], is_initiator: true };
        let (ab, ba, hash) = ([1; 32], [2; 32], [3; 64]);
        let (near, _) = link(Keys::new(&ab, &ba, &hash, true));
        let (relay, header) = link(Keys::new(&ba, &ab, &hash, false));
        let (commands, _commands) = mpsc::unbounded_channel();
        let (tasks, mut inbox) = mpsc::unbounded_channel();
        let mut relays = Relays::new(KeyPair::from_seed(&[1; 32]), tasks);
        let (_, to_relay, connected) = relays.start(dial);
        assert_eq!(to_relay.remote, own);
        let handle = ConnectionHandle::new(Arc::clone(&near), commands);
        assert!(connected.send(Ok(handle)).is_ok());

        let pair = RelayMessage::Pair { is_initiator: true, token: [9; 32], id: 5, seq: 0 };
        for frame in [Frame::open(1, &own), pair.to_frame(1)] {
            let bytes = frame.to_bytes();
            let written = poll_fn(|cx| relay.poll_write_message(cx, &bytes)).await;
            written.expect("the connection is open");
        }
        near.push_incoming(header);
        near.push_incoming(relay.take_outgoing().frames.into_iter().flatten().collect());
        let paired = inbox.recv().await;
        assert!(matches!(paired, Some(TaskEvent::Relay(StreamId(7), Some((StreamId(3), 5))))));
        near.set_end(End::Reset);
        let gone = inbox.recv().await;
        assert!(matches!(gone, Some(TaskEvent::RelayGone(StreamId(7)))));
    }

    /// Makes an end of a connection, with the header frame that it sends.
    fn link(keys: Keys) -> (Arc<Link>, Vec<u8>) {
        let established = Established {
            origin: Origin::Attempt(AttemptId(1)),
            stream: StreamId(3),
            session: Session {
                keys,
                holepunch_secret: [0; 32].into(),
                own_key: *KeyPair::from_seed(&[6; 32]).public_key(),
                remote_public_key: *KeyPair::from_seed(&[5; 32]).public_key(),
            },
            path: Path::Direct,
            remote: "127.0.0.1:1".parse().expect("valid"),
            report: Report::default(),
        };
        let (wake, _) = mpsc::unbounded_channel();
        Link::new(&established, wake, Arc::default(), usize::MAX, 10)
    }
}
