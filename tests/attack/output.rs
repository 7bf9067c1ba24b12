//! Standard output that takes nothing: a full disk, a reader that has gone, a descriptor not for writing.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{CLIENT, DEADLINE, NODE, Person, SERVER, text};
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
            let (code, cause) = match sink {
                Sink::Full => (1, "error: cannot write to standard output: No space left on device"),
                Sink::Closed => (0, ""),
                Sink::ReadOnly => (1, "error: cannot write to standard output: Bad file descriptor"),
            };
            assert_eq!(output.status.code(), Some(code), "{program} {line} to {sink:?}: {errors}");
            assert_eq!(errors.contains("error:"), sink != Sink::Closed, "{line} to {sink:?}: {errors}");
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
        (CLIENT, "whoami"),
        (CLIENT, "demo"),
        (SERVER, "--help"),
        (SERVER, "--version"),
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
    assert_noticed(CLIENT, &format!("{at} lookup {}", key.trim()), &person).await;
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
