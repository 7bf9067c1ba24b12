//! Which layer names which, and which ones stay free of clocks, sockets and chance.

use std::collections::BTreeSet;

use crate::imports::Imports;
use crate::source::{self, words};

/// What each module under `src` may name besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("keys", &["wire"]),
    ("identity", &["keys"]),
    ("wire", &["keys"]),
    ("crypto", &["wire", "keys"]),
    ("buffer", &[]),
    ("slots", &["wire"]),
    ("dht", &["wire", "keys", "identity"]),
    ("udx", &["wire", "keys", "buffer"]),
    ("secret_stream", &["wire", "keys", "crypto", "buffer"]),
    ("connect", &["wire", "keys", "identity", "crypto", "slots", "dht", "udx", "secret_stream"]),
    ("net", &["wire", "keys", "identity", "buffer", "slots", "dht", "udx", "secret_stream", "connect"]),
    ("api", &["wire", "keys", "identity", "slots", "dht", "udx", "secret_stream", "connect", "net"]),
    ("mux", &["wire", "api"]),
    ("rpc", &["wire", "keys", "api", "mux"]),
    ("swarm", &["keys", "slots", "api"]),
    ("profile", &["wire", "keys", "slots", "api"]),
    ("cli", &["keys", "wire", "crypto", "api", "mux", "swarm", "profile"]),
    ("sim", &["wire", "keys", "dht", "udx", "secret_stream", "connect"]),
];

/// Layers without I/O, and what nothing in them may name.
const SANS_IO: &[&str] = &["wire", "buffer", "slots", "dht", "udx", "secret_stream", "connect"];
/// A layer above the driver whose decisions are made without I/O as well.
const SWARM_CORE: &str = "src/swarm/core/";
const IMPURE: &[&str] = &[
    "tokio",
    "Instant::now",
    "SystemTime",
    "OsRng",
    "thread_rng",
    "from_entropy",
    "UdpSocket",
    "std::fs",
    "std::env",
];

/// What only `cli` may do.
const PRINTING: &[&str] = &["print!", "println!", "eprint!", "eprintln!", "dbg!", "stdout()", "stderr()"];

#[test]
fn each_layer_names_only_those_below_it() {
    let imports = Imports::of(source::shipped());
    let mut wrong = BTreeSet::new();
    for (file, paths) in imports.named_paths() {
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == file.layer()) else {
            // The root and the programs stand on everything.
            assert!(["lib", "bin"].contains(&file.layer()), "{} is not in the layer map", file.layer());
            continue;
        };
        for path in paths {
            let layer = imports.layer(&path);
            if layer != file.layer() && !below.contains(&layer) {
                wrong.insert(format!("{} names crate::{}", file.path, path.join("::")));
            }
        }
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cores_know_no_clock_no_socket_and_no_chance() {
    forbid(IMPURE, |file| SANS_IO.contains(&file.layer()) || file.path.starts_with(SWARM_CORE));
}

/// Setting the clock, by an hour either way, must change nothing for connections: the driver goes by the
/// monotonic one, and compares them only to notice that the host was asleep.
#[test]
fn the_driver_does_not_go_by_the_time_of_day() {
    let names = &["SystemTime", "UNIX_EPOCH"];
    forbid(names, |file| file.layer() == "net" && file.path != "src/net/sleep.rs");
}

#[test]
fn only_the_command_line_prints() {
    forbid(PRINTING, |file| !["cli", "bin"].contains(&file.layer()));
}

#[test]
fn a_module_file_declares_and_holds_no_code() {
    let holds_code =
        |code: &str| words(code).any(|word| ["fn", "struct", "enum", "impl", "trait"].contains(&word));
    let wrong: Vec<_> = source::shipped()
        .into_iter()
        .filter(|file| file.is_module_file() && holds_code(&file.code))
        .map(|file| file.path)
        .collect();
    assert!(wrong.is_empty(), "code in {}", wrong.join(", "));
}

/// Fails for every layer that `applies` picks and that names one of `words`.
fn forbid(forbidden: &[&str], applies: impl Fn(&source::File) -> bool) {
    let mut wrong = Vec::new();
    for file in source::shipped() {
        if !applies(&file) {
            continue;
        }
        for word in forbidden {
            if contains_word(&file.code, word) {
                wrong.push(format!("{} names {word}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn contains_word(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(is_name))
}
