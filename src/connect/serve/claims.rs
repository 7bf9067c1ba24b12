//! Where a client claims to be, before anything of that is proven.

use std::net::SocketAddrV4;

use super::return_path::ReturnPath;
use crate::connect::context::Context;
use crate::connect::path::seems_local;
use crate::dht::Incoming;
use crate::wire::handshake::{HandshakeMessage, Mode, NoisePayload};

/// Returns where the client of a handshake message is; `None` if the message is not worth a computation.
pub(super) fn client_address(
    cx: &Context,
    incoming: &Incoming,
    message: &HandshakeMessage,
) -> Option<SocketAddrV4> {
    let forwarded = match message.mode {
        Mode::FromClient => false,
        Mode::FromRelay | Mode::FromSecondRelay => true,
        Mode::FromServer | Mode::Reply => return None,
    };
    let address = match message.peer_address {
        Some(address) if forwarded => address,
        None if !forwarded => incoming.from,
        // A client that names another address as its own, or a node that names none.
        _ => return None,
    };
    let follows = !forwarded || cx.may_send_to(address);
    let first = message.relay_address.is_none_or(|first| cx.may_send_to(first));
    (message.noise.len() >= MIN_NOISE && follows && first).then_some(address)
}

/// Returns whether a client seems to sit in the same local network: it needs no punch then, but has to see
/// the address of the server socket (`connect.md` §6.2 step 7 row d).
pub(super) fn is_local(lan: Option<bool>, cx: &Context, route: &ReturnPath, client: &NoisePayload) -> bool {
    let local = cx.own.lan_addresses(lan);
    route.client_address().ip() == route.incoming.to.ip()
        && local.is_some_and(|local| seems_local(&local, &client.addresses4))
}

/// Message 1 is two keys, one of them sealed, and a sealed payload: what is shorter is not worth a
/// computation.
const MIN_NOISE: usize = 96;
