//! The messages that a busy node reads and writes most: DHT requests and responses, packet headers, announced
//! peers.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};

use criterion::{Criterion, criterion_group, criterion_main};
use hyperprofile::KeyPair;
use hyperprofile::wire::packet::{DATA, PacketHeader};
use hyperprofile::wire::records::Peer;
use hyperprofile::wire::rpc::{FIND_NODE, NodeId, Packet, Request, Response};
use hyperprofile::wire::{Decode, Encode};

fn codec(criterion: &mut Criterion) {
    let request = Request {
        tid: 7,
        to: address(1),
        id: Some(NodeId::of(address(2))),
        token: Some([3; 32]),
        internal: true,
        command: FIND_NODE,
        target: Some([4; 32]),
        value: None,
    };
    let response = Response {
        tid: 7,
        to: address(2),
        id: Some(NodeId::of(address(1))),
        token: Some([3; 32]),
        closer: (10..30).map(address).collect(),
        error: 0,
        value: None,
    };
    let peer = Peer {
        public_key: *KeyPair::from_seed(&[1; 32]).public_key(),
        relay_addresses: (1..4).map(address).collect(),
    };
    let mut group = criterion.benchmark_group("codec");
    let mut measure = |name: &str, bytes: Vec<u8>, decode: fn(&[u8]), encode: &dyn Fn() -> Vec<u8>| {
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| decode(black_box(&bytes)));
        });
        group.bench_function(format!("encode {name}"), |bencher| bencher.iter(encode));
    };
    measure("request", request.to_bytes(), decodes::<Packet>, &|| request.to_bytes());
    measure("response", response.to_bytes(), decodes::<Packet>, &|| response.to_bytes());
    measure("peer", peer.to_bytes(), decodes::<Peer>, &|| peer.to_bytes());

    let header = PacketHeader { kind: DATA, data_offset: 0, stream_id: 5, window: 4 << 20, seq: 100, ack: 7 };
    let mut datagram = header.to_bytes().to_vec();
    datagram.resize(1472, 0);
    group.bench_function("decode packet header", |bencher| {
        bencher.iter(|| PacketHeader::split(black_box(&datagram)));
    });
    group.bench_function("encode packet header", |bencher| {
        bencher.iter(|| black_box(&header).to_bytes());
    });
    group.finish();
}

fn decodes<T: Decode>(bytes: &[u8]) {
    black_box(T::from_bytes(bytes).ok()).expect("the bytes were encoded from a value");
}

fn address(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, n), 49_737)
}

criterion_group!(benches, codec);
criterion_main!(benches);
