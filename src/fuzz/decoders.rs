//! Every decoder of `wire`.

use std::fmt::Debug;
use std::str::FromStr as _;
use std::sync::LazyLock;

use arbitrary::{Result, Unstructured};

use super::messages as make;
use super::meter::{PER_DATAGRAM, at_most};
use crate::crypto::{self, EncryptionKeyPair};
use crate::dht::Kept;
use crate::keys::PublicKey;
use crate::wire::address::ConnectAddress;
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage, HolepunchPayload, NoisePayload};
use crate::wire::packet::PacketHeader;
use crate::wire::records::{Announce, LookupReply, MutablePut, MutableValue, Peer, PluginRequest};
use crate::wire::relay::{Frame, RelayMessage};
use crate::wire::rpc::Packet;
use crate::wire::{Decode, Encode, Reader};

/// Reads bytes as the message that the first byte picks.
pub(super) fn decode(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let bytes = &bytes[..bytes.len().min(MAX_DATAGRAM)];
    match kind % 16 {
        0 | 1 => settles::<Packet>(bytes),
        2 => settles::<Peer>(bytes),
        3 => settles::<LookupReply>(bytes),
        4 => settles::<Announce>(bytes),
        5 => settles::<MutablePut>(bytes),
        6 => settles::<MutableValue>(bytes),
        7 => settles::<PluginRequest>(bytes),
        8 => settles::<HandshakeMessage>(bytes),
        9 => settles::<HolepunchMessage>(bytes),
        10 | 11 => settles::<NoisePayload>(bytes),
        12 => settles::<HolepunchPayload>(bytes),
        13 => settles::<ConnectAddress>(bytes),
        14 => frames(bytes),
        _ => {
            texts(bytes);
            sealed(bytes);
        }
    }
}

/// Makes a message from bytes, and reads it back from its encoding: whole, cut and with bytes behind it.
pub(super) fn round_trip(data: &[u8]) {
    // Without enough bytes there is no value to check.
    let _ = message(&mut Unstructured::new(data));
}

fn message(u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=12u8)? {
        0 => holds(u, |u| make::request(u).map(Packet::Request)),
        1 => holds(u, |u| make::response(u).map(Packet::Response)),
        2 => holds(u, make::peer),
        3 => holds(u, |u| Ok(LookupReply { peers: make::list(u, 5, make::peer)?, bump: make::int(u)? })),
        4 => holds(u, make::announce),
        5 => holds(u, |u| {
            let (public_key, seq, value) = (make::key(u)?, make::int(u)?, make::blob(u)?);
            Ok(MutablePut { public_key, seq, value, signature: u.arbitrary()? })
        }),
        6 => holds(u, |u| {
            let (seq, value) = (make::int(u)?, make::blob(u)?);
            Ok(MutableValue { seq, value, signature: u.arbitrary()? })
        }),
        7 => holds(u, |u| {
            let (plugin, version, command) =
                (u.arbitrary::<&str>()?.to_owned(), make::int(u)?, make::int(u)?);
            Ok(PluginRequest { plugin, version, command, value: make::option(u, make::blob)? })
        }),
        8 => holds(u, make::handshake),
        9 => holds(u, make::holepunch),
        10 => holds(u, make::noise_payload),
        11 => holds(u, make::holepunch_payload),
        _ => holds(u, |u| Ok(ConnectAddress { key: make::key(u)?, nodes: make::list(u, 5, make::addr4)? })),
    }
}

/// Reads bytes as a stream packet and walks its ranges.
pub(super) fn stream_packet(data: &[u8]) {
    at_most(PER_DATAGRAM, || {
        let Some((header, rest)) = PacketHeader::split(data) else { return };
        assert_eq!(PacketHeader::split(&header.to_bytes()), Some((header, &[][..])));
        assert_eq!(header.to_bytes(), data[..header.to_bytes().len()]);
        if let Some(payload) = header.payload(rest) {
            assert_eq!(payload.len() + usize::from(header.data_offset), rest.len());
        }
        assert!(header.ranges(rest).count() <= rest.len() / 8);
        assert!(!header.to_string().is_empty());
    });
}

/// Bytes either fail, or are a value that reads back from its own encoding.
fn settles<T: Encode + Decode + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = at_most(PER_DATAGRAM, || T::from_bytes(bytes)) else { return };
    let encoded = value.to_bytes();
    assert_eq!(encoded.len(), value.encoded_len());
    assert_eq!(T::from_bytes(&encoded).as_ref(), Ok(&value));
}

fn holds<T: Encode + Decode + PartialEq + Debug>(
    u: &mut Unstructured<'_>,
    make: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<()> {
    let value = make(u)?;
    let bytes = value.to_bytes();
    assert_eq!(bytes.len(), value.encoded_len());
    assert!(bytes.len() >= T::MIN_LEN);
    let mut reader = Reader::new(&bytes);
    assert_eq!(T::decode(&mut reader).as_ref(), Ok(&value));
    assert!(reader.is_empty());
    // Older peers leave the last fields out of some messages; none reads beyond its end.
    let cut = u.int_in_range(0..=bytes.len())?;
    let _ = T::from_bytes(&bytes[..cut]);
    let extended = [bytes.as_slice(), u.take_rest_of(9)].concat();
    assert_eq!(T::from_bytes(&extended).as_ref(), Ok(&value));
    Ok(())
}

/// What is left of the input, up to a length.
trait TakeRestOf<'a> {
    fn take_rest_of(&mut self, most: usize) -> &'a [u8];
}

impl<'a> TakeRestOf<'a> for Unstructured<'a> {
    fn take_rest_of(&mut self, most: usize) -> &'a [u8] {
        self.bytes(most.min(self.len())).unwrap_or_default()
    }
}

/// Frames of the channel to a relay, and the messages in them.
fn frames(bytes: &[u8]) {
    let Ok(frames) = at_most(PER_DATAGRAM, || Frame::decode_all(bytes)) else { return };
    for frame in frames {
        let encoded = frame.to_bytes();
        assert_eq!(encoded.len(), frame.encoded_len());
        if let Frame::Message { channel, kind, content } = &frame
            && let Ok(message) = RelayMessage::decode(*kind, content)
        {
            let Frame::Message { kind, content, .. } = message.to_frame(*channel) else {
                panic!("a message travels on its channel");
            };
            assert_eq!(RelayMessage::decode(kind, &content), Ok(message));
        }
        assert_eq!(Frame::decode_all(&encoded), Ok(vec![frame]));
    }
}

/// Keys, and announcements that a node keeps over a restart, as text.
fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = PublicKey::from_str(text) {
        assert_eq!(key.to_z32().parse(), Ok(key));
        assert_eq!(key.to_hex().parse(), Ok(key));
    }
    if let Ok(kept) = at_most(PER_DATAGRAM, || text.parse::<Kept>()) {
        let again: Kept = kept.to_string().parse().expect("what is written can be read");
        assert_eq!(again, kept);
    }
}

/// A box that nobody has sealed.
fn sealed(bytes: &[u8]) {
    static OWN: LazyLock<EncryptionKeyPair> = LazyLock::new(|| EncryptionKeyPair::from_seed(&[1; 32]));
    let own = &*OWN;
    assert_eq!(at_most(PER_DATAGRAM, || crypto::decrypt(bytes, own)), None);
}

/// What a socket of this crate takes at most of one datagram.
const MAX_DATAGRAM: usize = 2048;
