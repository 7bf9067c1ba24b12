//! One Noise handshake, each side by itself.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hyperprofile::KeyPair;
use hyperprofile::connect::noise::{Initiator, Responder};
use hyperprofile::wire::handshake::NoisePayload;

fn handshake(criterion: &mut Criterion) {
    let client = KeyPair::from_seed(&[1; 32]);
    let server = KeyPair::from_seed(&[2; 32]);
    let payload = NoisePayload { version: 1, ..NoisePayload::default() };
    let start = || {
        Initiator::start(&client, server.public_key(), [3; 32], &payload)
            .expect("the server's key is a point")
    };
    let answer = |noise1: &[u8]| {
        let (responder, _) = Responder::read(&server, noise1).expect("message 1 is authentic");
        responder.write([4; 32], &payload).expect("the payload is short")
    };
    let (_, noise1) = start();
    let (noise2, _) = answer(&noise1);

    let mut group = criterion.benchmark_group("handshake");
    group.bench_function("client, message 1", |bencher| bencher.iter(start));
    group.bench_function("client, message 2", |bencher| {
        bencher.iter_batched(
            || start().0,
            |mut initiator| initiator.finish(&noise2).expect("message 2 is authentic"),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("server, message 1", |bencher| {
        bencher.iter(|| Responder::read(&server, &noise1).expect("message 1 is authentic"));
    });
    group.bench_function("server, both messages", |bencher| {
        bencher.iter(|| answer(&noise1));
    });
    group.finish();
}

criterion_group!(benches, handshake);
criterion_main!(benches);
