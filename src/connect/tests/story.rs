//! What a connect logs, as a story to be reviewed like code.
//!
//! `UPDATE_STORIES=1 cargo test story` writes the stories anew.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::world::{Home, World, enter, recorded};
use crate::connect::{Failure, Path};

#[test]
fn a_punch_through_a_random_router_reads_like_a_story() {
    let mut world = World::of_towns(1, 8);
    let server = world.server(Home::Restricted);
    world.run_secs(1);
    let client = world.home(Home::Random);
    world.record(client);
    let dialled = world.dial(client, server);
    world.connected(dialled).on(Path::Direct);
    compare("random-nat.txt", &recorded());
}

#[test]
fn a_failed_connect_reads_like_a_story() {
    let mut world = World::of_towns(1, 8);
    let server = world.server(Home::Random);
    world.run_secs(1);
    let client = world.home(Home::Random);
    world.record(client);
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NoPath);
    compare("failed.txt", &recorded());
}

#[test]
fn what_a_recorded_thread_logs_is_in_the_story_with_its_fields_and_spans() {
    // Whether or not another thread without a subscriber comes past first.
    thread::spawn(log).join().expect("logging does not panic");
    let recording = enter(Duration::from_millis(1234));
    log();
    thread::spawn(log).join().expect("logging does not panic");
    drop(recording);
    log();
    assert_eq!(recorded(), " 1234 ms attempt{attempt=7}: candidate opened address=10.0.0.1:5 rtt_ms=20\n");
}

fn log() {
    let _span = tracing::debug_span!("attempt", attempt = 7).entered();
    tracing::debug!(address = %"10.0.0.1:5", rtt_ms = 20, "candidate opened");
    tracing::trace!("a datagram");
}

fn compare(name: &str, story: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/connect/tests/stories").join(name);
    if std::env::var_os("UPDATE_STORIES").is_some() {
        std::fs::write(&path, story).expect("the folder is there");
    }
    let stored = std::fs::read_to_string(&path).expect("the story is stored");
    assert!(
        stored == story,
        "{name} has changed; if it is for the better, store it with UPDATE_STORIES=1\n\
         stored:\n{stored}\nnow:\n{story}"
    );
}
