//! A virtual network, the peers in it, and the words in which a scenario is written.

mod base;
mod connections;
mod homes;
mod insides;
mod packets;
mod peer;
mod recorder;

pub(crate) use base::{LOSSY, World, at, key, server_key, sockets};
pub(crate) use connections::{Connected, Dialled, End, dial_to, listen_as};
pub(crate) use homes::{Home, firewalled, reachable_at};
pub(crate) use packets::{
    Forged, between_homes, is_probe, is_rpc, is_stream_packet, noise_payload, request, sender_is_inside,
    to_home,
};
pub(crate) use peer::Peer;
pub(crate) use recorder::{enter, recorded};
