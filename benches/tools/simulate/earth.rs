//! Where addresses are, and how long datagrams take between them.
//!
//! An address alone decides: its hash gives a region and the quality of its access line, so that nothing need
//! be stored. The round trips between regions are rounded from what public measurements of data centres show;
//! access lines add a few milliseconds, a few of them much more.

use std::net::Ipv4Addr;
use std::time::Duration;

/// Regions by how many of ten hosts they have: western Europe 3, eastern America 2, western America 1,
/// eastern Asia 2, southern Asia 1, southern America 1.
const REGION_OF: [usize; 10] = [0, 0, 0, 1, 1, 2, 3, 3, 4, 5];

/// Round trips between regions in milliseconds.
const ROUND_TRIPS: [[u64; 6]; 6] = [
    [22, 85, 145, 230, 130, 195],
    [85, 25, 65, 185, 200, 120],
    [145, 65, 20, 130, 230, 175],
    [230, 185, 130, 45, 100, 290],
    [130, 200, 230, 100, 50, 310],
    [195, 120, 175, 290, 310, 40],
];

/// Returns how long a datagram takes one way.
pub(crate) fn distance(from: Ipv4Addr, to: Ipv4Addr) -> Duration {
    let (a, b) = (mix(u32::from(from)), mix(u32::from(to)));
    let between = ROUND_TRIPS[region(a)][region(b)] * 1000 / 2;
    // No two pairs of cities are equally far apart: from 0.7 to 1.3 of the usual, the same both ways.
    let pair = mix((a ^ b) as u32);
    let between = between * (700 + pair % 600) / 1000;
    Duration::from_micros(between + access(a) + access(b))
}

fn region(hash: u64) -> usize {
    REGION_OF[(hash % 10) as usize]
}

/// Returns the delay of an access line in microseconds: half are under 4 ms, one in twenty is over 25 ms, one
/// in two hundred over 100 ms.
fn access(hash: u64) -> u64 {
    let share = (hash >> 32) % 1000;
    let fine = (hash >> 16) & 0xff;
    let (low, high) = match share {
        0..500 => (500, 4_000),
        500..950 => (4_000, 25_000),
        950..995 => (25_000, 100_000),
        _ => (100_000, 250_000),
    };
    low + (high - low) * fine / 256
}

/// Spreads the bits of a number over a larger one.
const fn mix(number: u32) -> u64 {
    let mut hash = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
