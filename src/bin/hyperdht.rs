//! Reaches any key, topic and value of a HyperDHT. See `hyperdht --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperprofile::cli::tool::main()
}
