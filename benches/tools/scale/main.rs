//! Measures what a server and its store take, the figures behind `docs/scale.md`.
//!
//! ```text
//! scale writes STORE [--clients 64] [--keys 300] [--writes 50000] [--bytes 300]
//!       registrations of --keys keys a client, then updates of them, each durable when it is answered
//! scale fill STORE [--profiles 1000000] [--bytes 300]      puts profiles into an empty store
//! scale open STORE [--profiles 1000000]                    opens it and reads all of them
//! scale registrations|greetings|lookups STORE [--clients 64] [--count 20000] [--bytes 300] [--threads 1]
//!       through a server of its own, a process with as many threads, over a DHT on 127.0.0.1
//! scale delay IP:PORT --port 5555 --microseconds 500       a path to a database that takes so long one way
//! ```
//!
//! STORE is a folder for sled, or with the feature `postgres` the URL of a database, which `writes` and what
//! goes through a server use with --connections 64 sessions. The allocator is that of the programs, where
//! this is built with them.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod delay;
mod options;
mod profiles;
mod service;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod writes;

use tokio::runtime::{Builder, Runtime};

use options::Options;
use support::Result;

#[cfg(all(feature = "cli", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let store = options.store.as_str();
    match options.command.as_str() {
        "writes" => runtime(None)?.block_on(writes::run(&options)),
        "fill" => runtime(None)?.block_on(stores::fill(&options)),
        "open" => runtime(Some(1))?.block_on(stores::open(&options)),
        "delay" => delay::forward(store, options.port, options.microseconds),
        "serve" => runtime(Some(options.threads))?.block_on(service::serve(&options)),
        "registrations" | "greetings" | "lookups" => {
            let runtime = runtime(Some(options.threads))?;
            // As a task and not on the main thread, which would be one more for every message to wake.
            runtime.block_on(async { tokio::spawn(service::run(options)).await? })
        }
        other => Err(format!("no command {other}").into()),
    }
}

/// Makes a runtime like that of the programs. `None` means one thread per core.
fn runtime(threads: Option<usize>) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    Ok(builder.max_blocking_threads(16).enable_all().build()?)
}
