//! What congestion control does on a shared bottleneck: a stored table, and what must hold whatever the
//! table says.
//!
//! A difference is not a failure of the engine but a question to the author: is the new table better?
//! `UPDATE_TABLES=1 cargo test congestion` writes it anew.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::sim::bottleneck::{Bottleneck, OPENING, Path};
use crate::udx::CongestionControl::{self, Bbr, Cubic};

#[test]
fn one_flow_fills_each_path_with_a_short_queue_as_its_table_says() {
    let fast = path(100.0, 20, 1.0);
    let far = path(100.0, 100, 1.0);
    let cells = [
        ("100 Mbit/s, 20 ms", fast),
        ("the same, queue of a quarter", path(100.0, 20, 0.25)),
        ("the same, 10 % lost", Path { loss: 0.1, ..fast }),
        ("100 Mbit/s, 100 ms, 3 % lost", Path { loss: 0.03, ..far }),
        ("20 Mbit/s, 50 ms, queue of 4", path(20.0, 50, 4.0)),
        ("50 Mbit/s, 40 ms, gathers 4 ms", Path { gathers: ms(4), ..path(50.0, 40, 1.0) }),
        ("1 Gbit/s, 1 ms, gathers 0.3 ms", Path { gathers: ms(1) * 3 / 10, ..path(1000.0, 1, 1.0) }),
        ("policed to 20 Mbit/s, 40 ms", Path { policer: Some((20.0 * MBIT, 2e5)), ..path(100.0, 40, 1.0) }),
    ];
    let mut table = String::from(
        "One flow, 6 s: Mbit/s of payload, packets that the queue drops, and the queue in ms (half of the\n\
         time, and 99 %).\n\n",
    );
    for (name, path) in cells {
        let seen = run(path, &[(Bbr, 0.0)], Duration::ZERO, Duration::from_secs(6));
        let Seen { drops, queue, .. } = seen;
        writeln!(
            table,
            "{name:<32} {:>6.1} {:>6.2} % {:>6.1} {:>6.1}",
            seen.rates[0],
            drops * 1e2,
            queue[0],
            queue[1]
        )
        .expect("a string takes all");
    }
    compare("congestion-one.txt", &table);
}

#[test]
fn flows_share_a_path_as_their_table_says() {
    let mut table = String::from(
        "Two flows at 50 Mbit/s and 40 ms, the second 5 s later: Mbit/s of each from 10 s to 25 s, and\n\
         packets that the queue drops.\n\n",
    );
    for (first, second) in [(Bbr, Bbr), (Bbr, Cubic), (Cubic, Bbr)] {
        for depth in [0.25, 1.0, 4.0] {
            let seen = run(path(50.0, 40, depth), &[(first, 0.0), (second, 5.0)], SETTLED, MEASURED);
            let names = format!("{first:?}, {second:?}, queue of {depth}");
            let [a, b] = [seen.rates[0], seen.rates[1]];
            writeln!(table, "{names:<28} {a:>6.1} {b:>6.1} {:>6.2} %", seen.drops * 1e2)
                .expect("a string takes all");
            assert!(a.min(b) > 0.2 * (a + b), "{names}: {a} and {b}");
        }
    }
    compare("congestion-two.txt", &table);
}

#[test]
fn a_crowd_shares_a_path_as_its_table_says() {
    let mut table = String::from(
        "Flows at 100 Mbit/s and 40 ms that begin within 50 ms, 10 s: Mbit/s of all, packets that the queue\n\
         drops, and Jain's index of what each gets.\n\n",
    );
    for count in [10, 50] {
        let flows: Vec<_> = (0..count).map(|flow| (Bbr, f64::from(flow) * 0.05 / f64::from(count))).collect();
        let seen = run(path(100.0, 40, 1.0), &flows, Duration::ZERO, Duration::from_secs(10));
        let sum: f64 = seen.rates.iter().sum();
        let squares: f64 = seen.rates.iter().map(|rate| rate * rate).sum();
        let jain = sum * sum / (squares * f64::from(count));
        writeln!(table, "{count:<8} {sum:>6.1} {:>6.2} % {jain:>6.2}", seen.drops * 1e2)
            .expect("a string takes all");
        assert!(seen.drops < 0.04, "{count} flows: {}", seen.drops);
        assert!(jain > 0.9, "{count} flows: {jain}");
        let least = seen.rates.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(least > 0.2 * sum / f64::from(count), "one of {count} flows gets {least} Mbit/s");
    }
    compare("congestion-crowd.txt", &table);
}

/// Streams that share a queue measure the shortest round trip together, after five seconds, and send little
/// meanwhile. One that probes for bandwidth in that moment finds room which is not there for long.
#[test]
fn a_probe_does_not_take_what_others_leave_free_for_a_moment() {
    let mut bottleneck = Bottleneck::new(1, path(100.0, 40, 1.0));
    for after in [0, 375, 250, 125] {
        bottleneck.add(Bbr, OPENING + ms(after));
    }
    bottleneck.run_for(OPENING + ms(5500));
    let dropped = |bottleneck: &Bottleneck| bottleneck.flows.iter().map(|flow| flow.dropped).sum::<u64>();
    let before = dropped(&bottleneck);
    bottleneck.run_for(ms(2500));
    assert!(dropped(&bottleneck) - before < 20, "{} dropped", dropped(&bottleneck) - before);
}

/// A link that becomes wider while its queue is empty shows nothing of that: only a probe finds it.
#[test]
fn a_link_that_becomes_ten_times_as_wide_is_soon_filled() {
    for offset in [0, 130, 260, 390] {
        let mut bottleneck = Bottleneck::new(offset, Path { queue: 625_000, ..path(10.0, 50, 1.0) });
        bottleneck.add(Bbr, Duration::ZERO);
        bottleneck.run_for(ms(5000 + offset));
        bottleneck.path.rate = 100.0 * MBIT;
        bottleneck.run_for(ms(800));
        let before = bottleneck.flows[0].received;
        bottleneck.run_for(ms(500));
        let rate = (bottleneck.flows[0].received - before) as f64 / 0.5 / MBIT;
        assert!(rate > 80.0, "{rate} Mbit/s after {offset} ms");
    }
}

/// The windows of both sides and what is out grow as far as the path needs.
#[test]
fn a_gigabit_over_a_tenth_of_a_second_is_filled() {
    // Behind a lost packet a round trip of others waits on both sides.
    let mut bottleneck = Bottleneck::new(1, Path { loss: 0.000_1, ..path(1000.0, 100, 1.0) });
    let flow = bottleneck.add(Bbr, Duration::ZERO);
    bottleneck.run_for(ms(2500));
    let delivered = |bottleneck: &Bottleneck| bottleneck.stats(flow).expect("it is open").delivered;
    let before = delivered(&bottleneck);
    bottleneck.run_for(ms(2000));
    let rate = (delivered(&bottleneck) - before) as f64 / 2.0 / MBIT;
    assert!(rate >= 950.0, "{rate} Mbit/s");
}

/// One that becomes narrower has a queue that must drain again.
#[test]
fn a_link_that_becomes_narrow_keeps_no_queue() {
    let mut bottleneck = Bottleneck::new(3, Path { queue: 2_000_000, ..path(100.0, 50, 1.0) });
    bottleneck.add(Bbr, Duration::ZERO);
    bottleneck.run_for(ms(4000));
    bottleneck.path.rate = 20.0 * MBIT;
    bottleneck.run_for(ms(6000));
    let mut waits: Vec<_> = (0..400)
        .map(|_| {
            bottleneck.run_for(ms(5));
            bottleneck.waiting()
        })
        .collect();
    waits.sort_unstable();
    let median = waits[200] as f64 / bottleneck.path.rate;
    assert!(median < 0.02, "a queue of {median} s");
}

/// What flows get and what that costs.
struct Seen {
    /// Mbit/s of each.
    rates: Vec<f64>,
    /// The share of packets that the queue drops.
    drops: f64,
    /// Milliseconds that a packet waits, half of the time and 99 % of it.
    queue: [f64; 2],
}

fn run(path: Path, flows: &[(CongestionControl, f64)], from: Duration, to: Duration) -> Seen {
    let mut bottleneck = Bottleneck::new(1, path);
    // A flow opens as a connection does: over what the flows before it have put in the queue.
    let mut opened = Duration::ZERO;
    for (algorithm, after) in flows {
        let after = Duration::from_secs_f64(*after);
        bottleneck.run_for(after - opened);
        bottleneck.add(*algorithm, OPENING);
        opened = after;
    }
    bottleneck.run_for(OPENING + from - opened);
    let before: Vec<_> = bottleneck.flows.iter().map(|flow| flow.received).collect();
    let mut waits: Vec<_> = (0..((to - from) / 5).as_millis())
        .map(|_| {
            bottleneck.run_for(ms(5));
            bottleneck.waiting() as f64 / path.rate * 1e3
        })
        .collect();
    waits.sort_by(f64::total_cmp);
    let seconds = (to - from).as_secs_f64();
    let received = bottleneck.flows.iter().zip(before).map(|(flow, before)| flow.received - before);
    let (sent, dropped) = bottleneck
        .flows
        .iter()
        .fold((0, 0), |(sent, dropped), flow| (sent + flow.sent, dropped + flow.dropped));
    Seen {
        rates: received.map(|bytes| bytes as f64 / seconds / MBIT).collect(),
        drops: dropped as f64 / sent as f64,
        queue: [waits[waits.len() / 2], waits[waits.len() * 99 / 100]],
    }
}

fn compare(name: &str, table: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/udx/tests/tables").join(name);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, table).expect("the folder is there");
    }
    let stored = std::fs::read_to_string(&path).expect("the table is stored");
    assert!(
        stored == table,
        "{name} has changed; if it is for the better, store it with UPDATE_TABLES=1\n\
         stored:\n{stored}\nnow:\n{table}"
    );
}

fn path(mbit: f64, rtt: u64, depth: f64) -> Path {
    Path::new(mbit * MBIT, ms(rtt), depth)
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Bytes per second.
const MBIT: f64 = 125_000.0;
const SETTLED: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(25);
