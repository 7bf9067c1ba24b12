//! Commands that the protocol does not use: who answers them, and how much a victim gets of that.

use std::time::Instant;

use super::bounds::{at, incoming, public, request, response, sent};
use crate::dht::Reply;
use crate::dht::budget::{AMPLIFICATION, STRANGER_BURST};
use crate::wire::compact::Encode;
use crate::wire::rpc;
use crate::wire::transmit::SocketId;

#[test]
fn a_free_command_is_for_the_layer_above_only_while_it_is_served() {
    let now = Instant::now();
    let mut node = public(now);
    for served in [false, true, false] {
        node.serve_free_commands(served);
        let datagram = request(rpc::FIRST_FREE_COMMAND, None, None).to_bytes();
        node.handle_datagram(now, SocketId::SERVER, at("50.1.1.1", 7), &datagram);
        if served {
            assert_eq!(incoming(&mut node).command, rpc::FIRST_FREE_COMMAND);
            assert!(sent(&mut node).is_empty());
        } else {
            assert!(node.poll_event().is_none());
            assert_eq!(response(&mut node).error, rpc::ERROR_UNKNOWN_COMMAND);
        }
    }
    node.serve_free_commands(true);
    let own = request(rpc::LOOKUP, Some([7; 32]), None).to_bytes();
    node.handle_datagram(now, SocketId::SERVER, at("50.1.1.1", 7), &own);
    assert_eq!(response(&mut node).error, 0);
    assert!(node.poll_event().is_none(), "the protocol's commands stay with the node");
}

#[test]
fn a_victim_gets_no_more_by_free_commands_than_by_others() {
    let now = Instant::now();
    let mut node = public(now);
    node.serve_free_commands(true);
    let victim = at("99.1.2.3", 50);
    let mut ask = |token| {
        let datagram = request(300, None, token).to_bytes();
        node.handle_datagram(now, SocketId::SERVER, victim, &datagram);
        let asked = incoming(&mut node);
        node.reply(now, &asked, Reply::with_value(Some(vec![7; 1850])));
        let bytes: usize = sent(&mut node).iter().map(|sent| sent.payload.len()).sum();
        (bytes, datagram.len(), node.service().issue_token(now, *victim.ip()))
    };
    let mut in_all = 0;
    for _ in 0..1000 {
        in_all += ask(None).0 as u64;
    }
    assert!(in_all <= STRANGER_BURST, "{in_all}");
    let (bytes, asked, token) = ask(None);
    assert!(bytes <= AMPLIFICATION * asked);
    assert!(ask(Some(token)).0 > 1850, "who shows a token gets all of it");
}
