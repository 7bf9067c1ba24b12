//! Runs nodes of a HyperDHT. See `dht-node --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperprofile::cli::node::main()
}
