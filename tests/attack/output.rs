//! Standard output that takes nothing: a full disk, a reader that has gone, a descriptor not for writing.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{CLIENT, DEADLINE, NODE, Person, SERVER, run, text};
use crate::served::{Served, free_port};

/// What standard output is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sink {
    /// `/dev/full`, which behaves as a full disk.
    Full,
    /// A pipe whose reading end is closed.
    Closed,
    /// A file that is open for reading.
    ReadOnly,
}

impl Sink {
    fn open(self) -> Stdio {
        match self {
            Self::Full => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
            Self::Closed => std::io::pipe().unwrap().1.into(),
            Self::ReadOnly => File::open("/dev/null").unwrap().into(),
        }
    }
}

/// Fails unless a program that prints to such a place ends as it must.
async fn assert_noticed(program: &str, words: &str, person: &Person) {
    for sink in [Sink::Full, Sink::Closed, Sink::ReadOnly] {
        for json in ["", "--json "] {
            let line = format!("{json}{words}");
            let child = Command::new(program)
                .args(line.split(' ').filter(|word| !word.is_empty()))
                .env("XDG_DATA_HOME", person.path("data"))
                .env("XDG_CACHE_HOME", person.path("cache"))
                .env_remove("HYPERDHT_BOOTSTRAP")
                .env_remove("RUST_LOG")
                .stdin(Stdio::null())
                .stdout(sink.open())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
            let output = ended.unwrap_or_else(|_| panic!("{line} goes on with {sink:?}")).unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            // A reader that has gone has seen what it wanted, but it has not got the backup.
            let quiet = sink == Sink::Closed && !words.contains(" backup ");
            let cause = match sink {
                Sink::Full => "to standard output: No space left on device",
                Sink::Closed if quiet => "",
                Sink::Closed => "to standard output: Broken pipe",
                Sink::ReadOnly => "to standard output: Bad file descriptor",
            };
            let code = if quiet { 0 } else { 1 };
            assert_eq!(output.status.code(), Some(code), "{program} {line} to {sink:?}: {errors}");
            assert_eq!(errors.contains("error:"), !quiet, "{line} to {sink:?}: {errors}");
            assert!(errors.contains(cause), "{program} {line} to {sink:?}: {errors}");
        }
    }
}

#[tokio::test]
async fn lost_output_without_a_network_is_a_failure() {
    let person = Person::new();
    for (program, words) in [
        (CLIENT, "--help"),
        (CLIENT, "--version"),
        (CLIENT, "help show"),
        (CLIENT, "show --help"),
        (CLIENT, "whoami"),
        (CLIENT, "demo"),
        (SERVER, "--help"),
        (SERVER, "--version"),
        (SERVER, "backup --help"),
        (SERVER, "key"),
        (NODE, "--help"),
        (NODE, "--version"),
    ] {
        assert_noticed(program, words, &person).await;
    }
}

#[tokio::test]
async fn lost_output_of_a_visit_is_a_failure() {
    let person = Person::new();
    let served = Served::start(&person.path("server"), &["--writes-per-minute", "1000"]).await;
    let at = &served.at;
    for words in ["register --name Ada", "update --bio x", "show", "", "doctor"] {
        assert_noticed(CLIENT, &format!("{at} {words}"), &person).await;
    }
    let key = Command::new(CLIENT).arg("whoami").env("XDG_DATA_HOME", person.path("data")).output().await;
    let key = String::from_utf8(key.unwrap().stdout).unwrap();
    for words in ["register --again", &format!("lookup {}", key.trim()), "--explain show"] {
        assert_noticed(CLIENT, &format!("{at} {words}"), &person).await;
    }
}

#[tokio::test]
async fn lost_output_of_a_command_for_the_profiles_is_a_failure() {
    let person = Person::new();
    let (folder, backup) = (person.path("server"), person.path("backup"));
    let mut served = Some(Served::start(&folder, &[]).await);
    let data = format!("--data-dir {}", text(&folder));
    let stored = format!("{data} backup {}", text(&backup));
    run(SERVER, &stored.split(' ').collect::<Vec<_>>()).await.ended(0);
    // While the server runs, and afterwards.
    for _ in 0..2 {
        for words in ["backup -", "check", &format!("check {}", text(&backup))] {
            assert_noticed(SERVER, &format!("{data} {words}"), &person).await;
        }
        if let Some(running) = served.take() {
            running.server.signal("-TERM").await;
            running.server.end().await.ended(0);
        }
    }
    assert_noticed(SERVER, &format!("{data} restore {}", text(&backup)), &person).await;
}

#[tokio::test]
async fn a_server_or_node_that_cannot_print_its_key_does_not_run() {
    let person = Person::new();
    let server = format!("--local={} --data-dir {}", free_port(), text(&person.path("server")));
    assert_noticed(SERVER, &server, &person).await;
    assert_noticed(NODE, "--new-network --bind 127.0.0.1", &person).await;
    let relay = "--new-network --bind 127.0.0.1 --relay";
    assert_noticed(NODE, relay, &person).await;
}
