//! What a node does with handshake and holepunch messages that are not for a server of its own.
//!
//! Every node forwards, ephemeral ones too. Nothing is remembered: the final answer finds its way by the
//! addresses in the message.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::wire::address::is_bogon;
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage, Mode};

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forward<M> {
    /// Send it on as a request with the same transaction id.
    Relay {
        /// The next hop.
        to: SocketAddrV4,
        /// The message, rewritten for that hop.
        message: M,
    },
    /// Send it as a response with the same transaction id to the host that asked first.
    Reply {
        /// Who asked.
        to: SocketAddrV4,
        /// The message, rewritten.
        message: M,
    },
    /// Answer that the target is not known here, with nodes closer to it.
    Unknown,
    /// Say nothing.
    Drop,
}

/// Decides on a handshake message from `from`; `entry` is the address that the target's server announced
/// itself from.
///
/// On a public network (`private` false) addresses that a packet names are followed only if they are public:
/// a node must not be a tool to reach into a local network.
pub(super) fn handshake(
    message: &HandshakeMessage,
    from: SocketAddrV4,
    entry: Option<SocketAddrV4>,
    private: bool,
) -> Forward<HandshakeMessage> {
    let usable = |address: &SocketAddrV4| may_follow(address, private || on_one_host(from, address));
    let next = |mode, peer_address, relay_address| HandshakeMessage {
        mode,
        noise: message.noise.clone(),
        peer_address,
        relay_address,
    };
    match message.mode {
        Mode::FromClient => match message.relay_address.filter(usable).or(entry) {
            Some(to) => Forward::Relay { to, message: next(Mode::FromRelay, Some(from), None) },
            None => Forward::Unknown,
        },
        Mode::FromRelay => match (entry, message.peer_address) {
            (Some(to), Some(peer)) => {
                Forward::Relay { to, message: next(Mode::FromSecondRelay, Some(peer), Some(from)) }
            }
            _ => Forward::Drop,
        },
        Mode::FromServer => match message.peer_address.filter(usable) {
            Some(to) => Forward::Reply { to, message: next(Mode::Reply, Some(from), None) },
            None => Forward::Drop,
        },
        Mode::FromSecondRelay | Mode::Reply => Forward::Drop,
    }
}

/// Decides on a holepunch message from `from`, as [`handshake`] does.
pub(super) fn holepunch(
    message: &HolepunchMessage,
    from: SocketAddrV4,
    entry: Option<SocketAddrV4>,
    private: bool,
) -> Forward<HolepunchMessage> {
    let usable = |address: &SocketAddrV4| may_follow(address, private || on_one_host(from, address));
    let next = |mode| HolepunchMessage {
        mode,
        id: message.id,
        payload: message.payload.clone(),
        peer_address: Some(from),
    };
    match message.mode {
        Mode::FromClient => match message.peer_address.filter(usable).or(entry) {
            Some(to) => Forward::Relay { to, message: next(Mode::FromRelay) },
            None => Forward::Drop,
        },
        Mode::FromServer => match message.peer_address {
            Some(to) if usable(&to) => Forward::Reply { to, message: next(Mode::Reply) },
            Some(_) => Forward::Drop,
            None => Forward::Reply { to: from, message: next(Mode::Reply) },
        },
        Mode::FromRelay | Mode::FromSecondRelay | Mode::Reply => Forward::Drop,
    }
}

/// Returns whether both addresses are on this computer, where programs reach each other anyway; no system
/// takes a loopback source from outside.
const fn on_one_host(from: SocketAddrV4, address: &SocketAddrV4) -> bool {
    from.ip().is_loopback() && address.ip().is_loopback()
}

/// Returns whether an address that a packet names may be sent to.
pub(super) fn may_follow(address: &SocketAddrV4, private: bool) -> bool {
    address.port() != 0 && may_follow_host(*address.ip(), private)
}

/// Returns whether a host that a packet names may be sent to.
pub(super) const fn may_follow_host(host: Ipv4Addr, private: bool) -> bool {
    private || !is_bogon(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "198.18.0.1:1000";
    const SERVER: &str = "88.1.2.3:2000";
    const RELAY: &str = "88.4.5.6:3000";

    #[test]
    fn a_client_is_sent_on_to_where_the_server_announced_itself() {
        let forward = handshake(&message(Mode::FromClient), at(CLIENT), Some(at(SERVER)), false);
        let Forward::Relay { to, message } = forward else { panic!("not relayed: {forward:?}") };
        assert_eq!(to, at(SERVER));
        assert_eq!(message.mode, Mode::FromRelay);
        assert_eq!(message.peer_address, Some(at(CLIENT)));
        assert_eq!(message.relay_address, None);
    }

    #[test]
    fn an_unknown_target_is_answered_with_closer_nodes() {
        let forward = handshake(&message(Mode::FromClient), at(CLIENT), None, false);
        assert_eq!(forward, Forward::Unknown);
    }

    #[test]
    fn the_second_relay_names_the_first() {
        let mut first = message(Mode::FromRelay);
        first.peer_address = Some(at(CLIENT));
        let Forward::Relay { to, message } = handshake(&first, at(RELAY), Some(at(SERVER)), false) else {
            panic!("not relayed")
        };
        assert_eq!(to, at(SERVER));
        assert_eq!(message.mode, Mode::FromSecondRelay);
        assert_eq!(message.peer_address, Some(at(CLIENT)));
        assert_eq!(message.relay_address, Some(at(RELAY)));
    }

    #[test]
    fn the_servers_answer_goes_back_to_the_client_with_the_servers_address() {
        let mut answer = message(Mode::FromServer);
        answer.peer_address = Some(at("88.7.7.7:1"));
        let Forward::Reply { to, message } = handshake(&answer, at(SERVER), None, false) else {
            panic!("not replied")
        };
        assert_eq!(to, at("88.7.7.7:1"));
        assert_eq!(message.mode, Mode::Reply);
        assert_eq!(message.peer_address, Some(at(SERVER)));
    }

    #[test]
    fn a_named_address_inside_somebodys_network_is_not_followed_on_the_public_network() {
        let mut aimed = message(Mode::FromClient);
        aimed.relay_address = Some(at("192.168.1.1:53"));
        assert_eq!(handshake(&aimed, at(CLIENT), None, false), Forward::Unknown);
        assert!(matches!(handshake(&aimed, at(CLIENT), None, true), Forward::Relay { .. }));
        let mut aimed = message(Mode::FromServer);
        aimed.peer_address = Some(at("127.0.0.1:53"));
        assert_eq!(handshake(&aimed, at(SERVER), None, false), Forward::Drop);
        // Two programs on the node's own host.
        assert!(matches!(handshake(&aimed, at("127.0.0.1:9"), None, false), Forward::Reply { .. }));
        aimed.peer_address = Some(at("10.0.0.1:53"));
        assert_eq!(handshake(&aimed, at("127.0.0.1:9"), None, false), Forward::Drop);
    }

    #[test]
    fn replies_and_impossible_modes_are_dropped() {
        for mode in [Mode::Reply, Mode::FromSecondRelay, Mode::FromServer] {
            let forward = handshake(&message(mode), at(CLIENT), Some(at(SERVER)), false);
            assert_eq!(forward, Forward::Drop, "{mode:?}");
        }
    }

    #[test]
    fn holepunch_messages_travel_like_handshakes() {
        let message = HolepunchMessage {
            mode: Mode::FromClient,
            id: 7,
            payload: vec![1],
            peer_address: Some(at(SERVER)),
        };
        let Forward::Relay { to, message } = holepunch(&message, at(RELAY), None, false) else {
            panic!("not relayed")
        };
        assert_eq!((to, message.mode, message.id), (at(SERVER), Mode::FromRelay, 7));
        assert_eq!(message.peer_address, Some(at(RELAY)));
        let answer = HolepunchMessage { mode: Mode::FromServer, peer_address: None, ..message };
        let Forward::Reply { to, message } = holepunch(&answer, at(SERVER), None, false) else {
            panic!("not replied")
        };
        assert_eq!((to, message.mode), (at(SERVER), Mode::Reply));
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    fn message(mode: Mode) -> HandshakeMessage {
        HandshakeMessage { mode, noise: vec![1, 2, 3], peer_address: None, relay_address: None }
    }
}
