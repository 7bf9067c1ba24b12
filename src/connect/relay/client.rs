//! The messages of a peer to a blind relay, over an ordinary connection to it.

use crate::keys::PublicKey;
use crate::udx::StreamId;
use crate::wire::DecodeError;
use crate::wire::compact::Encode as _;
use crate::wire::relay::{Frame, PROTOCOL, RelayMessage};
use crate::wire::rpc::Token;

/// The own number of the only channel.
const CHANNEL: u64 = 1;

/// One request to be paired, as the messages of a connection to a relay.
#[derive(Debug)]
pub struct RelayClient {
    key: PublicKey,
    token: Token,
    is_initiator: bool,
    stream: StreamId,
    /// The relay's number of the channel, once it has opened it.
    channel: Option<u64>,
}

/// Why a relay is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The relay sent what makes no sense.
    #[error("the relay breaks its protocol: {0}")]
    Protocol(#[from] DecodeError),
    /// The peer that was connected to is no relay, or refuses this client.
    #[error("the relay refuses")]
    Refused,
}

impl RelayClient {
    /// Makes a request of the peer whose key is `key` towards the relay: to be brought together, for
    /// `stream`, with the other holder of the token.
    pub const fn new(key: PublicKey, token: Token, is_initiator: bool, stream: StreamId) -> Self {
        Self { key, token, is_initiator, stream, channel: None }
    }

    /// Returns the messages to send first.
    pub fn opening(&self) -> [Vec<u8>; 2] {
        let pair = RelayMessage::Pair {
            is_initiator: self.is_initiator,
            token: self.token,
            id: self.stream.0,
            seq: 0,
        };
        [Frame::open(CHANNEL, &self.key).to_bytes(), pair.to_frame(CHANNEL).to_bytes()]
    }

    /// Takes a message of the relay. Returns the id under which the relay takes packets, once both peers are
    /// there.
    ///
    /// # Errors
    ///
    /// [`RelayError`] once the connection is of no use any more.
    pub fn handle_message(&mut self, message: &[u8]) -> Result<Option<u32>, RelayError> {
        let mut paired = None;
        for frame in Frame::decode_all(message)? {
            match frame {
                Frame::Open { local_id, protocol, id, .. }
                    if protocol == PROTOCOL && id == self.key.as_bytes() =>
                {
                    self.channel = Some(local_id);
                }
                Frame::Reject { local_id: CHANNEL } => return Err(RelayError::Refused),
                Frame::Close { local_id } if self.channel == Some(local_id) => {
                    return Err(RelayError::Refused);
                }
                Frame::Message { channel, kind, content } if self.channel == Some(channel) => {
                    if let RelayMessage::Pair { is_initiator, token, id, .. } =
                        RelayMessage::decode(kind, &content)?
                        && is_initiator == self.is_initiator
                        && token == self.token
                    {
                        paired = Some(id);
                    }
                }
                // Other channels belong to other protocols.
                Frame::Open { .. } | Frame::Reject { .. } | Frame::Close { .. } | Frame::Message { .. } => {}
            }
        }
        Ok(paired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{fixed, hex, list, load, text};

    #[test]
    fn a_client_says_and_understands_what_the_reference_does() {
        let vectors = load("blind-relay.json");
        let session = &vectors["session"];
        for (name, key, stream, initiator) in
            [("A", "keyA", "streamIdA", true), ("B", "keyB", "streamIdB", false)]
        {
            let id = StreamId(session[stream].as_u64().unwrap() as u32);
            let key = PublicKey::from_bytes(fixed(&session[key]));
            let token = fixed(&vectors["pairMessage"][0]["token"]);
            let mut client = RelayClient::new(key, token, initiator, id);
            let sent: Vec<_> = list(&session["frames"])
                .iter()
                .filter(|frame| frame["from"] == name)
                .map(|frame| hex(&frame["bytes"]))
                .take(2)
                .collect();
            assert_eq!(client.opening().as_slice(), sent, "{name}");
            let relay = format!("relay({name})");
            let mut paired = None;
            for frame in list(&session["frames"]) {
                if frame["from"].is_string() && text(&frame["from"]) == relay {
                    paired = client.handle_message(&hex(&frame["bytes"])).unwrap();
                }
            }
            let expected = session["deliveredRemoteIds"][name].as_u64();
            assert_eq!(paired.map(u64::from), expected, "{name}");
        }
    }

    #[test]
    fn answers_that_are_for_somebody_else_or_for_nobody_pair_nothing() {
        let key = PublicKey::from_bytes([1; 32]);
        let mut client = RelayClient::new(key, [7; 32], true, StreamId(5));
        let answer = |is_initiator, token| {
            let pair = RelayMessage::Pair { is_initiator, token, id: 9, seq: 0 };
            pair.to_frame(4).to_bytes()
        };
        assert_eq!(client.handle_message(&answer(true, [7; 32])), Ok(None));
        let open = Frame::open(4, &key).to_bytes();
        assert_eq!(client.handle_message(&open), Ok(None));
        assert_eq!(client.handle_message(&[]), Ok(None));
        assert_eq!(client.handle_message(&answer(false, [7; 32])), Ok(None));
        assert_eq!(client.handle_message(&answer(true, [8; 32])), Ok(None));
        assert_eq!(client.handle_message(&answer(true, [7; 32])), Ok(Some(9)));
    }

    #[test]
    fn a_relay_that_rejects_closes_or_talks_nonsense_is_of_no_use() {
        let key = PublicKey::from_bytes([1; 32]);
        let client = || RelayClient::new(key, [7; 32], true, StreamId(5));
        let reject = Frame::Reject { local_id: 1 }.to_bytes();
        assert_eq!(client().handle_message(&reject), Err(RelayError::Refused));
        let mut open = client();
        assert_eq!(open.handle_message(&Frame::open(2, &key).to_bytes()), Ok(None));
        let close = Frame::Close { local_id: 2 }.to_bytes();
        assert_eq!(open.handle_message(&close), Err(RelayError::Refused));
        assert!(matches!(client().handle_message(&[0, 9]), Err(RelayError::Protocol(_))));
    }
}
