//! Standard error that takes nothing: it takes no program down.

use std::fs::OpenOptions;
use std::io::{PipeReader, Write as _};
use std::process::Stdio;

use hyperprofile::Dht;

use crate::harness::{CLIENT, NODE, Person, Running, SERVER, free_port, text};

/// What standard error is.
#[derive(Clone, Copy, Debug)]
enum Sink {
    /// `/dev/full`, which behaves as a full disk.
    Full,
    /// Nothing: the program is started with its descriptor closed.
    Closed,
    /// A pipe whose reading end is closed.
    Gone,
    /// A pipe that nobody reads, and that is full but for a page.
    Unread,
}

/// A program that runs, and what keeps its standard error from being read.
struct Unheard {
    running: Running,
    _reader: Option<PipeReader>,
}

/// Starts a program that logs much.
fn start(program: &str, arguments: &[&str], sink: Sink) -> Unheard {
    let arguments = [arguments, &["-vv"]].concat();
    let mut reader = None;
    let running = match sink {
        Sink::Full => {
            let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
            Running::start_unheard(program, &arguments, full.into())
        }
        Sink::Closed => {
            let shell = [&["-c", "exec \"$0\" \"$@\" 2>&-", program], &arguments[..]].concat();
            Running::start_unheard("/bin/sh", &shell, Stdio::null())
        }
        Sink::Gone => Running::start_unheard(program, &arguments, std::io::pipe().unwrap().1.into()),
        Sink::Unread => {
            let (kept, mut writer) = std::io::pipe().unwrap();
            writer.write_all(&[b'x'; 15 << 12]).unwrap();
            reader = Some(kept);
            Running::start_unheard(program, &arguments, writer.into())
        }
    };
    Unheard { running, _reader: reader }
}

const SINKS: [Sink; 4] = [Sink::Full, Sink::Closed, Sink::Gone, Sink::Unread];

#[tokio::test]
async fn a_server_serves_and_ends_whatever_its_standard_error_is() {
    for sink in SINKS {
        let (operator, ada) = (Person::new(), Person::new());
        let local = format!("--local={}", free_port());
        let data = operator.path("data");
        let limit = ["--writes-per-minute", "100"];
        let arguments = [&[&local, "--data-dir", text(&data)], &limit[..]].concat();
        let Unheard { mut running, _reader } = start(SERVER, &arguments, sink);
        let at = format!("{local} --server {}", running.line().await);
        ada.run(&format!("{at} register --name Ada")).await.ended(0);
        for number in 0..20 {
            ada.run(&format!("{at} update --bio {number}")).await.ended(0);
        }
        running.signal("-TERM").await;
        let ended = running.end().await;
        assert_eq!(ended.code, 0, "{sink:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_node_answers_and_ends_whatever_its_standard_error_is() {
    for sink in SINKS {
        let arguments = ["--new-network", "--bind", "127.0.0.1"];
        let Unheard { mut running, _reader } = start(NODE, &arguments, sink);
        let address = running.line().await.parse().unwrap();
        let probe = Dht::builder().bootstrap([""; 0]).bind("127.0.0.1:0").spawn().await.unwrap();
        for number in 0..20 {
            let answered = probe.ping(address).await;
            assert!(answered.is_ok(), "{sink:?}, ping {number}: {answered:?}");
        }
        running.signal("-TERM").await;
        let ended = running.end().await;
        assert_eq!(ended.code, 0, "{sink:?}: {ended:?}");
    }
}

#[tokio::test]
async fn a_client_shows_its_profile_where_standard_error_takes_nothing() {
    let (operator, ada) = (Person::new(), Person::new());
    let local = format!("--local={}", free_port());
    let data = operator.path("data");
    let mut server = Running::start(SERVER, &[&local, "--data-dir", text(&data), "-q"]);
    let key = server.line().await;
    let identity = ada.path("identity");
    let at = [&local, "--server", &key, "--identity", text(&identity)];
    ada.run(&format!("{local} --server {key} register --name Ada")).await.ended(0);
    for sink in [Sink::Full, Sink::Closed, Sink::Gone] {
        let Unheard { running, _reader } = start(CLIENT, &[&at[..], &["show"]].concat(), sink);
        let shown = running.end().await.ended(0);
        assert!(shown.stdout.contains("Ada"), "{sink:?}: {shown:?}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_takes_no_program_down() {
    let ada = Person::new();
    let whoami = |errors: Stdio| {
        let mut command = std::process::Command::new(CLIENT);
        command.args(["--identity", text(&ada.path("identity")), "whoami"]).env("RUST_LOG", "=,a=loud");
        command.stderr(errors).output().unwrap()
    };
    let heard = whoami(Stdio::piped());
    let errors = String::from_utf8(heard.stderr).unwrap();
    assert!(errors.contains("ignoring \"a=loud\" in RUST_LOG: "), "{errors}");
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(whoami(full.into()).status.code(), Some(0));
}
