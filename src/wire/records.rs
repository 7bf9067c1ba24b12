//! What nodes store for others: peers, announcements, mutable values; and the requests of plugins.
//!
//! | message | fields in order |
//! |---|---|
//! | peer | public key fixed32, relay addresses array of addr4 |
//! | lookup reply | peers array of peer, bump varuint (absent in older replies) |
//! | announce | flags varuint, peer (1), refresh fixed32 (2), signature fixed64 (4), bump varuint (8) |
//! | mutable put | public key fixed32, seq varuint, value bytes, signature fixed64 |
//! | mutable value | seq varuint, value bytes, signature fixed64 |
//! | plugin request | plugin text, version varuint, command varuint, flags varuint, value bytes (0x01) |

use std::fmt;
use std::net::SocketAddrV4;

use super::compact::{
    Decode, DecodeError, Encode, Put, Reader, array_len, bytes_len, flag, option_len, put_option, read_if,
    varuint_len,
};
use super::hash;
use super::rpc::{self, NodeId, Target, Token};
use crate::keys::PublicKey;

/// A peer that announced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer's key.
    pub public_key: PublicKey,
    /// Nodes that forward to it.
    pub relay_addresses: Vec<SocketAddrV4>,
}

impl Encode for Peer {
    fn encoded_len(&self) -> usize {
        32 + array_len(&self.relay_addresses)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.public_key.encode(out);
        out.put_array(&self.relay_addresses);
    }
}

impl Decode for Peer {
    const MIN_LEN: usize = 33;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { public_key: PublicKey::decode(reader)?, relay_addresses: reader.array()? })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}, {} relays", self.public_key.short(), self.relay_addresses.len())
    }
}

/// The value of a reply to LOOKUP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReply {
    /// At most 20 peers, a random sample if the node knows more.
    pub peers: Vec<Peer>,
    /// The latest bump of the topic, Unix milliseconds; 0 if none is known.
    pub bump: u64,
}

impl Encode for LookupReply {
    fn encoded_len(&self) -> usize {
        array_len(&self.peers) + varuint_len(self.bump)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_array(&self.peers);
        out.put_varuint(self.bump);
    }
}

impl Decode for LookupReply {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            peers: reader.array()?,
            // Nodes older than 6.24 end here.
            bump: if reader.is_empty() { 0 } else { reader.varuint()? },
        })
    }
}

/// The value of ANNOUNCE and UNANNOUNCE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announce {
    /// Who announces; absent when an earlier announcement is refreshed.
    pub peer: Option<Peer>,
    /// The next link of a refresh chain.
    pub refresh: Option<[u8; 32]>,
    /// Signature over [`announce_signable`].
    pub signature: Option<[u8; 64]>,
    /// A time that later lookups return, Unix milliseconds; 0 for none. Not signed.
    pub bump: u64,
}

impl Announce {
    const PEER: u64 = 0x01;
    const REFRESH: u64 = 0x02;
    const SIGNATURE: u64 = 0x04;
    const BUMP: u64 = 0x08;

    fn bump_field(&self) -> Option<&u64> {
        Some(&self.bump).filter(|bump| **bump != 0)
    }
}

impl Encode for Announce {
    fn encoded_len(&self) -> usize {
        1 + option_len(self.peer.as_ref())
            + option_len(self.refresh.as_ref())
            + option_len(self.signature.as_ref())
            + self.bump_field().map_or(0, |bump| varuint_len(*bump))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = flag(Self::PEER, self.peer.as_ref())
            | flag(Self::REFRESH, self.refresh.as_ref())
            | flag(Self::SIGNATURE, self.signature.as_ref())
            | flag(Self::BUMP, self.bump_field());
        out.put_varuint(flags);
        put_option(out, self.peer.as_ref());
        put_option(out, self.refresh.as_ref());
        put_option(out, self.signature.as_ref());
        if let Some(bump) = self.bump_field() {
            out.put_varuint(*bump);
        }
    }
}

impl Decode for Announce {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            peer: read_if(flags, Self::PEER, || Peer::decode(reader))?,
            refresh: read_if(flags, Self::REFRESH, || reader.fixed())?,
            signature: read_if(flags, Self::SIGNATURE, || reader.fixed())?,
            bump: read_if(flags, Self::BUMP, || reader.varuint())?.unwrap_or(0),
        })
    }
}

/// Which of the two signed requests of an announcer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceKind {
    /// ANNOUNCE.
    Announce,
    /// UNANNOUNCE.
    Unannounce,
}

/// Returns the 64 bytes that an announcer signs for one node: namespace, then a hash that binds target, node
/// and token.
pub fn announce_signable(
    kind: AnnounceKind,
    target: &Target,
    node: &NodeId,
    token: &Token,
    peer: &Peer,
    refresh: Option<&[u8; 32]>,
) -> [u8; 64] {
    let command = match kind {
        AnnounceKind::Announce => rpc::ANNOUNCE,
        AnnounceKind::Unannounce => rpc::UNANNOUNCE,
    };
    let refresh: &[u8] = refresh.map_or(&[], |refresh| refresh);
    let hash = hash::hash(&[target, node.as_bytes(), token, &peer.to_bytes(), refresh]);
    signable(command, &hash)
}

/// Returns the 64 bytes that the owner of a mutable value signs; they hold at every node.
pub fn mutable_signable(seq: u64, value: &[u8]) -> [u8; 64] {
    let mut content = Vec::with_capacity(varuint_len(seq) + bytes_len(value));
    content.put_varuint(seq);
    content.put_bytes(value);
    signable(rpc::MUTABLE_PUT, &hash::hash(&[&content]))
}

fn signable(command: u64, hash: &[u8; 32]) -> [u8; 64] {
    let namespace = hash::dht_namespace(command as u8);
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&namespace);
    bytes[32..].copy_from_slice(hash);
    bytes
}

/// The value of MUTABLE_PUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutablePut {
    /// Whose record it is.
    pub public_key: PublicKey,
    /// Version of the record; a higher one replaces a lower.
    pub seq: u64,
    /// The record.
    pub value: Vec<u8>,
    /// Signature over [`mutable_signable`].
    pub signature: [u8; 64],
}

impl Encode for MutablePut {
    fn encoded_len(&self) -> usize {
        32 + varuint_len(self.seq) + bytes_len(&self.value) + 64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.public_key.encode(out);
        out.put_varuint(self.seq);
        out.put_bytes(&self.value);
        out.extend_from_slice(&self.signature);
    }
}

impl Decode for MutablePut {
    const MIN_LEN: usize = 98;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            public_key: PublicKey::decode(reader)?,
            seq: reader.varuint()?,
            value: reader.bytes()?.to_vec(),
            signature: reader.fixed()?,
        })
    }
}

/// The value of a reply to MUTABLE_GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutableValue {
    /// Version of the record.
    pub seq: u64,
    /// The record.
    pub value: Vec<u8>,
    /// Signature over [`mutable_signable`].
    pub signature: [u8; 64],
}

impl Encode for MutableValue {
    fn encoded_len(&self) -> usize {
        varuint_len(self.seq) + bytes_len(&self.value) + 64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(self.seq);
        out.put_bytes(&self.value);
        out.extend_from_slice(&self.signature);
    }
}

impl Decode for MutableValue {
    const MIN_LEN: usize = 66;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: reader.varuint()?, value: reader.bytes()?.to_vec(), signature: reader.fixed()? })
    }
}

/// The value of PLUGIN.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
pub struct PluginRequest {
    /// Name of the plugin.
    pub plugin: String,
    /// Its version; a node serves exactly its own.
    pub version: u64,
    /// The plugin's own command number.
    pub command: u64,
    /// Content, by the plugin's command.
    pub value: Option<Vec<u8>>,
}

impl PluginRequest {
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    const VALUE: u64 = 0x01;
}

impl Encode for PluginRequest {
    fn encoded_len(&self) -> usize {
        bytes_len(self.plugin.as_bytes())
            + varuint_len(self.version)
            + varuint_len(self.command)
            + 1
            + self.value.as_deref().map_or(0, bytes_len)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.plugin.as_bytes());
        out.put_varuint(self.version);
        out.put_varuint(self.command);
        out.put_varuint(flag(Self::VALUE, self.value.as_ref()));
        if let Some(value) = &self.value {
            out.put_bytes(value);
        }
    }
}

impl Decode for PluginRequest {
    const MIN_LEN: usize = 4;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let plugin = reader.text()?.to_owned();
        let version = reader.varuint()?;
        let command = reader.varuint()?;
        let flags = reader.varuint()?;
        Ok(Self {
            plugin,
            version,
            command,
            value: read_if(flags, Self::VALUE, || reader.bytes().map(<[u8]>::to_vec))?,
        })
    }
}
