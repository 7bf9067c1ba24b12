//! Stored tables of what a stream achieves on links of all kinds, so that a change of behaviour shows in
//! review.
//!
//! A difference is not a failure of the engine but a question to the author: is the new table better?
//! `UPDATE_TABLES=1 cargo test tables` writes the tables anew.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Config, Event};

// One test per link, so that they run side by side.
#[test]
fn a_slow_link_with_a_shallow_queue_does_what_its_table_says() {
    compare("slow-shallow.txt", SLOW, SHALLOW);
}

#[test]
fn a_slow_link_with_a_deep_queue_does_what_its_table_says() {
    compare("slow-deep.txt", SLOW, DEEP);
}

#[test]
fn a_fast_link_with_a_shallow_queue_does_what_its_table_says() {
    compare("fast-shallow.txt", FAST, SHALLOW);
}

#[test]
fn a_fast_link_with_a_deep_queue_does_what_its_table_says() {
    compare("fast-deep.txt", FAST, DEEP);
}

#[test]
fn a_shallow_queue_makes_a_stream_send_little_twice() {
    let cell = measure(SLOW, SHALLOW, 0.0, Duration::from_millis(20), 32 << 20);
    assert!(cell.twice < 0.03, "{:.3}", cell.twice);
    assert!(cell.rate > 0.9 * SLOW, "{}", cell.rate);
}

fn compare(name: &str, rate: f64, queue: f64) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/udx/tests/tables").join(name);
    let table = table(rate, queue);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &table).expect("the folder is there");
    }
    let stored = std::fs::read_to_string(&path).expect("the table is stored");
    assert!(
        stored == table,
        "{name} has changed; if it is for the better, store it with UPDATE_TABLES=1\n\
         stored:\n{stored}\nnow:\n{table}"
    );
}

fn table(rate: f64, queue: f64) -> String {
    let bytes = if rate > SLOW { 32 << 20 } else { 12 << 20 };
    let mut table = format!(
        "{} MB over a link of {} MB/s whose queue holds {} ms:\n\
         MB/s of payload from the first byte to the last, and the share of packets sent twice.\n\n\
         loss    ",
        bytes >> 20,
        rate / 1e6,
        queue * 1e3
    );
    for rtt in ROUND_TRIPS {
        write!(table, "{:>16}", format!("{rtt} ms")).expect("a string takes all");
    }
    table.push('\n');
    for loss in LOSSES {
        write!(table, "{:<8}", format!("{loss} %")).expect("a string takes all");
        for rtt in ROUND_TRIPS {
            let rtt = Duration::from_millis(rtt);
            let Cell { rate, twice } = measure(rate, queue, loss / 100.0, rtt, bytes);
            let cell = format!("{:.1} {:>5.1} %", rate / 1e6, twice * 1e2);
            write!(table, "{cell:>16}").expect("a string takes all");
        }
        table.push('\n');
    }
    table
}

struct Cell {
    /// Bytes per second.
    rate: f64,
    /// Share of the packets.
    twice: f64,
}

/// Sends `bytes` bytes one way.
fn measure(rate: f64, queue: f64, loss: f64, rtt: Duration, bytes: usize) -> Cell {
    let direction =
        Direction { loss, rate: Some((rate, (rate * queue) as usize)), ..Direction::clean(rtt / 2) };
    let mut link = Link::new(7, Config::default(), direction);
    let (now, end) = (link.now, link.end(Side::B));
    // As every connection does, the receiver says something first, and so knows the round trip.
    end.streams.write(now, end.id, b"header").expect("the stream is open");
    link.run_for(2 * rtt);
    let (began, chunk) = (link.now, vec![7; 64 << 10]);
    let (mut written, mut read, mut out) = (0, 0, Vec::new());
    while read < bytes {
        let (now, end) = (link.now, link.end(Side::A));
        while written < bytes {
            let chunk = &chunk[..chunk.len().min(bytes - written)];
            let taken = end.streams.write(now, end.id, chunk);
            let taken = taken.expect("the stream is open");
            written += taken;
            if taken < chunk.len() {
                break;
            }
        }
        let end = link.end(Side::B);
        out.clear();
        read += end.streams.read(now, end.id, usize::MAX, &mut out);
        assert!(link.step(), "the transfer stands still at {read}");
        let closed = |event: &Event| matches!(event, Event::Closed(_));
        assert!(!link.ends.iter().any(|end| end.events.iter().any(closed)));
    }
    let sender = link.end(Side::A);
    let packets = f64::from(sender.highest + 1);
    let twice = (sender.numbered as f64 - packets) / packets;
    Cell { rate: bytes as f64 / (link.now - began).as_secs_f64(), twice }
}

/// Bytes per second.
const SLOW: f64 = 12.5e6;
const FAST: f64 = 125e6;
/// Seconds of the link's rate: 250 kB at the slow one.
const SHALLOW: f64 = 0.02;
const DEEP: f64 = 0.2;
/// Percent.
const LOSSES: [f64; 5] = [0.0, 0.1, 1.0, 5.0, 10.0];
/// Milliseconds.
const ROUND_TRIPS: [u64; 4] = [1, 20, 50, 200];
