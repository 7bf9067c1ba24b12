//! Keeps profiles for clients that reach it by its public key. See `profile-server --help`.

use std::process::ExitCode;

/// Gives memory back to the system when it is not needed any more, wherever in the heap it is.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    hyperprofile::cli::server::main()
}
