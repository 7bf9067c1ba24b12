//! Replays the corpus, and mutates it.

use std::fs;
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, RngCore, SeedableRng};

use super::{TARGETS, run};
use crate::wire::vectors;

/// The most bytes of an input.
const MAX_INPUT: usize = 4096;

/// Runs a target on its corpus, on every string of bytes in the vectors, and on so many mutations of them;
/// without `HYPERPROFILE_FULL` on a tenth of those.
fn fuzz(name: &str, inputs: usize) {
    let inputs = if std::env::var_os("HYPERPROFILE_FULL").is_some() { inputs } else { inputs / 10 };
    let (corpus, seeds) = (corpus(name), seeds());
    for seed in corpus.iter().chain(&seeds) {
        attempt(name, seed, "a seed");
    }
    let mut rng = StdRng::seed_from_u64(0x5eed);
    let mut input = Vec::new();
    for number in 0..inputs {
        input.clear();
        let from = if rng.gen_bool(0.7) { &corpus } else { &seeds };
        input.extend_from_slice(from.choose(&mut rng).map_or(&[], Vec::as_slice));
        for _ in 0..rng.gen_range(1..=4) {
            mutate(&mut rng, &mut input, from);
        }
        input.truncate(MAX_INPUT);
        attempt(name, &input, &format!("mutation {number}"));
    }
}

/// Runs a target; a panic is that of the test, which then names the input.
fn attempt(name: &str, input: &[u8], what: &str) {
    struct Named<'a>(&'a str, &'a [u8], &'a str);
    impl Drop for Named<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let hex = data_encoding::HEXLOWER.encode(self.1);
                println!("target {} fails on {}: {hex}", self.0, self.2);
            }
        }
    }
    let _named = Named(name, input, what);
    run(name, input);
}

/// Returns the corpus of a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(folder).expect("a folder in fuzz/corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "a corpus has files");
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}

/// Returns the bytes in the vectors, as they are and behind a number, by which some targets pick what to do.
fn seeds() -> Vec<Vec<u8>> {
    let numbered = |(at, bytes): (usize, Vec<u8>)| {
        let behind = [&[at as u8 % 16], bytes.as_slice()].concat();
        [behind, bytes]
    };
    from_vectors().into_iter().enumerate().flat_map(numbered).collect()
}

/// Returns every string of hexadecimal digits in the vectors that has the length of a datagram.
fn from_vectors() -> Vec<Vec<u8>> {
    fn collect(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
        match value {
            serde_json::Value::String(text) => {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
                found.extend(bytes.ok().filter(|bytes| (4..MAX_INPUT).contains(&bytes.len())));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
            serde_json::Value::Object(map) => map.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for name in VECTORS {
        collect(&vectors::load(name), &mut found);
    }
    found.sort();
    found.dedup();
    assert!(found.len() > 200, "{} strings in the vectors", found.len());
    found
}

/// Changes a few bytes, or the order of some.
fn mutate(rng: &mut StdRng, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let length = input.len();
    let at = rng.gen_range(0..=length);
    match rng.gen_range(0..9) {
        0 if length > 0 => input[at.min(length - 1)] ^= 1 << rng.gen_range(0..8),
        1 if length > 0 => input[at.min(length - 1)] = *EDGES.choose(rng).unwrap_or(&0),
        2 => input.truncate(at),
        3 => {
            let count = rng.gen_range(1..=16).min(length - at);
            input.drain(at..at + count);
        }
        4 => {
            let mut bytes = vec![0; rng.gen_range(1..=64)];
            rng.fill_bytes(&mut bytes);
            input.splice(at..at, bytes);
        }
        5 => {
            let count = rng.gen_range(0..=64).min(length - at);
            let copied = input[at..at + count].to_vec();
            let to = rng.gen_range(0..=length);
            input.splice(to..to, copied);
        }
        6 => {
            let other = seeds.choose(rng).map_or(&[][..], Vec::as_slice);
            let from = rng.gen_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        7 => {
            let mut bytes = vec![0; rng.gen_range(0..=400)];
            rng.fill_bytes(&mut bytes);
            input.extend(bytes);
        }
        _ => {
            let end = (at + 8).min(length);
            rng.fill_bytes(&mut input[at..end]);
        }
    }
}

const EDGES: [u8; 12] = [0, 1, 2, 3, 4, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff];

const VECTORS: [&str; 9] = [
    "blind-relay.json",
    "connect-errors.json",
    "dh.json",
    "holepunch-payload.json",
    "noise-ik.json",
    "noise-payload.json",
    "rpc.json",
    "secretstream.json",
    "udx.json",
];

/// Makes a test of each target; all of them are in the list.
macro_rules! fuzzed {
    ($($name:ident: $inputs:expr;)*) => {
        $(
            #[test]
            fn $name() {
                fuzz(stringify!($name), $inputs);
            }
        )*

        #[test]
        fn every_target_is_tested() {
            let tested = [$(stringify!($name)),*];
            assert!(TARGETS.iter().all(|(name, _)| tested.contains(name)));
            let inputs: usize = [$($inputs),*].iter().sum();
            assert!(inputs >= 10_000_000, "{inputs} inputs");
        }
    };
}

fuzzed! {
    decoders: 4_000_000;
    messages: 2_500_000;
    packets: 2_500_000;
    frames: 60_000;
    boxes: 300_000;
    handshakes: 3000;
    files: 500_000;
    backups: 10_000;
    lines: 500_000;
    session: 10_000;
    channels: 60_000;
    streams: 10_000;
    forged: 30_000;
    node: 30_000;
    endpoint: 10_000;
}
