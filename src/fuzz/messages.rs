//! Values of every message, made from bytes.

use std::net::{Ipv4Addr, SocketAddrV4, SocketAddrV6};

use arbitrary::{Result, Unstructured};

use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::MAX_VARUINT;
use crate::wire::handshake::{
    HandshakeMessage, HolepunchInfo, HolepunchMessage, HolepunchPayload, Mode, NoisePayload, RelayInfo,
    RelayThrough, UdxInfo, VERSION,
};
use crate::wire::records::{Announce, Peer};
use crate::wire::rpc::{NodeId, Request, Response};

/// Makes an integer that the wire has a form for; small ones and edges are more frequent than chance has
/// them.
pub(super) fn int(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=3u8)? {
        0 => u.int_in_range(0..=8)?,
        1 => *u.choose(&[0, 1, 252, 253, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, MAX_VARUINT])?,
        2 => u.arbitrary::<u16>()?.into(),
        _ => u.int_in_range(0..=MAX_VARUINT)?,
    })
}

/// Makes bytes, of the length of a few datagrams at most.
pub(super) fn blob(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=1200usize)?.min(u.len());
    Ok(u.bytes(length)?.to_vec())
}

pub(super) fn option<T>(
    u: &mut Unstructured<'_>,
    make: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Option<T>> {
    if u.arbitrary()? { make(u).map(Some) } else { Ok(None) }
}

pub(super) fn list<T>(
    u: &mut Unstructured<'_>,
    most: usize,
    mut make: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let length = u.int_in_range(0..=most)?;
    (0..length).map(|_| make(u)).collect()
}

/// Makes a key pair of a small set.
pub(super) fn key_pair(u: &mut Unstructured<'_>) -> Result<KeyPair> {
    Ok(KeyPair::from_seed(&[u.int_in_range(0..=3)?; 32]))
}

pub(super) fn key(u: &mut Unstructured<'_>) -> Result<PublicKey> {
    Ok(PublicKey::from_bytes(u.arbitrary()?))
}

/// Makes an address: mostly one of a small set, so that hosts meet again.
pub(super) fn addr4(u: &mut Unstructured<'_>) -> Result<SocketAddrV4> {
    let some = u.int_in_range(0..=7u8)?;
    if some == 7 {
        return Ok(SocketAddrV4::new(Ipv4Addr::from(u.arbitrary::<[u8; 4]>()?), u.arbitrary()?));
    }
    Ok(host(some))
}

/// Returns the address of a host of the small set.
pub(super) const fn host(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, number, 1), 49737)
}

pub(super) fn addr6(u: &mut Unstructured<'_>) -> Result<SocketAddrV6> {
    Ok(SocketAddrV6::new(u.arbitrary::<[u8; 16]>()?.into(), u.arbitrary()?, 0, 0))
}

pub(super) fn mode(u: &mut Unstructured<'_>) -> Result<Mode> {
    use Mode::{FromClient, FromRelay, FromSecondRelay, FromServer, Reply};
    u.choose(&[FromClient, FromServer, FromRelay, FromSecondRelay, Reply]).copied()
}

pub(super) fn request(u: &mut Unstructured<'_>) -> Result<Request> {
    Ok(Request {
        tid: u.arbitrary()?,
        to: addr4(u)?,
        id: option(u, |u| Ok(NodeId(u.arbitrary()?)))?,
        token: option(u, |u| u.arbitrary())?,
        internal: u.arbitrary()?,
        command: int(u)?,
        target: option(u, |u| u.arbitrary())?,
        value: option(u, blob)?,
    })
}

pub(super) fn response(u: &mut Unstructured<'_>) -> Result<Response> {
    Ok(Response {
        tid: u.arbitrary()?,
        to: addr4(u)?,
        id: option(u, |u| Ok(NodeId(u.arbitrary()?)))?,
        token: option(u, |u| u.arbitrary())?,
        closer: list(u, 24, addr4)?,
        error: int(u)?,
        value: option(u, blob)?,
    })
}

pub(super) fn peer(u: &mut Unstructured<'_>) -> Result<Peer> {
    Ok(Peer { public_key: key(u)?, relay_addresses: list(u, 4, addr4)? })
}

pub(super) fn announce(u: &mut Unstructured<'_>) -> Result<Announce> {
    Ok(Announce {
        peer: option(u, peer)?,
        refresh: option(u, |u| u.arbitrary())?,
        signature: option(u, |u| u.arbitrary())?,
        bump: int(u)?,
    })
}

pub(super) fn handshake(u: &mut Unstructured<'_>) -> Result<HandshakeMessage> {
    Ok(HandshakeMessage {
        mode: mode(u)?,
        noise: blob(u)?,
        peer_address: option(u, addr4)?,
        relay_address: option(u, addr4)?,
    })
}

pub(super) fn holepunch(u: &mut Unstructured<'_>) -> Result<HolepunchMessage> {
    Ok(HolepunchMessage { mode: mode(u)?, id: int(u)?, payload: blob(u)?, peer_address: option(u, addr4)? })
}

pub(super) fn noise_payload(u: &mut Unstructured<'_>) -> Result<NoisePayload> {
    Ok(NoisePayload {
        version: VERSION,
        error: if u.ratio(1, 4)? { int(u)? } else { 0 },
        firewall: u.int_in_range(0..=4)?,
        holepunch: option(u, |u| {
            let relay = |u: &mut Unstructured<'_>| {
                Ok(RelayInfo { relay_address: addr4(u)?, peer_address: addr4(u)? })
            };
            Ok(HolepunchInfo { id: int(u)?, relays: list(u, 3, relay)? })
        })?,
        addresses4: list(u, 3, addr4)?,
        addresses6: list(u, 2, addr6)?,
        udx: option(u, |u| {
            Ok(UdxInfo {
                version: int(u)?,
                reusable_socket: u.arbitrary()?,
                id: u.arbitrary()?,
                seq: int(u)?,
            })
        })?,
        secret_stream: option(u, int)?,
        relay_through: option(u, |u| {
            Ok(RelayThrough { version: int(u)?, public_key: key(u)?, token: u.arbitrary()? })
        })?,
        relay_addresses: option(u, |u| list(u, 3, addr4))?,
    })
}

pub(super) fn holepunch_payload(u: &mut Unstructured<'_>) -> Result<HolepunchPayload> {
    Ok(HolepunchPayload {
        error: if u.ratio(1, 4)? { int(u)? } else { 0 },
        firewall: u.int_in_range(0..=4)?,
        round: int(u)?,
        connected: u.arbitrary()?,
        punching: u.arbitrary()?,
        addresses: option(u, |u| list(u, 3, addr4))?,
        remote_address: option(u, addr4)?,
        token: option(u, |u| u.arbitrary())?,
        remote_token: option(u, |u| u.arbitrary())?,
    })
}
