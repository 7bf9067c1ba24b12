//! Keeps a profile at a profile server. See `profile-client --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hyperprofile::cli::client::main()
}
