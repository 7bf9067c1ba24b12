//! Keeps profiles for clients that reach it by its public key. See `profile-server --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperprofile::cli::server::main()
}
