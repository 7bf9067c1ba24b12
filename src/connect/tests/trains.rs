//! Which datagrams leave in one call to the system.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use crate::connect::{Config, Endpoint};
use crate::wire::compact::{Decode, Encode};
use crate::wire::rpc::{LOOKUP, PING, Packet, Request};
use crate::wire::transmit::SocketId;

#[test]
fn answers_to_one_asker_leave_together() {
    let now = Instant::now();
    let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
    endpoint.handle_sockets(now, address(1), address(2));
    let (one, other) = (address(3), address(4));
    // An ephemeral node answers a LOOKUP with an error code, which makes that answer one byte longer.
    let lookup = (one, false, LOOKUP);
    let mut asked = vec![(one, true, PING); 5];
    asked.extend([lookup, (one, true, PING), (one, true, PING), (other, true, PING)]);
    for (tid, (from, internal, command)) in asked.iter().copied().enumerate() {
        let request = Request {
            tid: tid as u16,
            to: address(1),
            id: None,
            token: None,
            internal,
            command,
            target: (!internal).then_some([7; 32]),
            value: None,
        };
        endpoint.handle_datagram(now, SocketId::SERVER, from, &request.to_bytes());
    }

    let mut trains = Vec::new();
    let mut answered = Vec::new();
    let mut buffer = Vec::new();
    while let Some(train) = endpoint.poll_transmit(now, 4, &mut buffer) {
        trains.push((train.destination, buffer.len(), train.segment_size));
        for datagram in buffer.chunks(train.segment_size) {
            let Ok(Packet::Response(response)) = Packet::from_bytes(datagram) else {
                panic!("not a response");
            };
            assert_eq!(response.to, train.destination);
            answered.push(response.tid);
        }
        buffer.clear();
    }
    // At most four in one; a longer one begins another; a shorter one is the last.
    let expected = [(one, 40, 10), (one, 10, 10), (one, 21, 11), (one, 10, 10), (other, 10, 10)];
    assert_eq!(trains, expected);
    assert_eq!(answered, (0..9).collect::<Vec<_>>());
}

fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}
