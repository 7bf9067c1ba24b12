//! Sealing and opening the messages of a stream.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hyperprofile::secret_stream::{Input, Keys, MAX_MESSAGE, Pull, Pulled, Push};

/// Messages per batch when opening: the cipher moves on, so each can be opened once.
const BATCH: usize = 16;

fn secret_stream(criterion: &mut Criterion) {
    let initiator = Keys::new(&[1; 32], &[2; 32], &[3; 64], true);
    let responder = Keys::new(&[2; 32], &[1; 32], &[3; 64], false);
    let mut group = criterion.benchmark_group("secret stream");
    for size in [64, 1200, 16 << 10, 64 << 10] {
        let message = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        let mut push = Push::with_header(&initiator, [4; 24]);
        let mut out = Vec::new();
        group.bench_function(format!("push {size}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                push.seal(&message, &mut out).expect("the message is short");
            });
        });

        group.throughput(Throughput::Bytes((BATCH * size) as u64));
        let mut push = Push::with_header(&initiator, [4; 24]);
        let mut wire = push.header().to_vec();
        for _ in 0..BATCH {
            push.seal(&message, &mut wire).expect("the message is short");
        }
        let mut opened = vec![0; size];
        group.bench_function(format!("pull {size}"), |bencher| {
            bencher.iter_batched(
                || {
                    let mut input = Input::default();
                    input.push(wire.clone());
                    (Pull::new(&responder, MAX_MESSAGE), input)
                },
                |(mut pull, mut input)| {
                    for _ in 0..BATCH {
                        let pulled = pull.pull_into(&mut input, &mut opened);
                        assert_eq!(pulled, Ok(Pulled::Message(size)));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, secret_stream);
criterion_main!(benches);
