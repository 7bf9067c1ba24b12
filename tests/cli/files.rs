//! Names of files in arguments, and files as people have them.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::harness::{CLIENT, NODE, Person, Running, SERVER, free_port, run, text};

fn run_in(folder: &Person, program: &str, line: &str) -> Output {
    let mut command = Command::new(program);
    command.args(line.split(' ')).current_dir(folder.path("")).stdin(Stdio::null());
    command.env("XDG_DATA_HOME", folder.path("data")).output().unwrap()
}

#[test]
fn a_dash_is_refused_where_it_cannot_be_standard_input() {
    let folder = Person::new();
    for (program, line) in [
        (CLIENT, "--identity - whoami"),
        (CLIENT, "whoami --identity=-"),
        (SERVER, "--data-dir - key"),
        (SERVER, "--data - key"),
        (SERVER, "--data-dir - backup x"),
        (SERVER, "--backup-dir - check"),
        (NODE, "--data-dir - --new-network --bind 127.0.0.1"),
        (NODE, "--relay --relay-key - --new-network --bind 127.0.0.1"),
    ] {
        let refused = run_in(&folder, program, line);
        let errors = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{line}: {errors}");
        assert!(errors.contains("write ./- for a file of that name"), "{line}: {errors}");
        assert!(!folder.path("-").exists(), "{line}");
    }
}

#[test]
fn a_dash_is_standard_input_where_that_makes_sense_and_a_file_behind_its_folder() {
    let folder = Person::new();
    let key = "y".repeat(52);
    // Standard input is empty.
    for (program, line, code) in [
        (CLIENT, format!("--server {key} register --from-file -"), 9),
        (SERVER, "--data-dir data restore -".into(), 10),
    ] {
        let read = run_in(&folder, program, &line);
        assert_eq!(read.status.code(), Some(code), "{line}: {read:?}");
    }
    let made = run_in(&folder, CLIENT, "--identity ./- whoami");
    assert!(made.status.success(), "{made:?}");
    assert!(folder.path("-").is_file());
    let again = run_in(&folder, CLIENT, "--identity ./- whoami");
    assert_eq!(again.stdout, made.stdout);
}

#[tokio::test]
async fn a_byte_order_mark_harms_no_file() {
    let mark = |path: &std::path::Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, format!("\u{feff}{text}")).unwrap();
    };
    let (operator, ada) = (Person::new(), Person::new());
    let local = format!("--local={}", free_port());
    let data = operator.path("data");
    let mut server = Running::start(SERVER, &[&local, "--data-dir", text(&data), "-q"]);
    let at = format!("{local} --server {}", server.line().await);
    let profile = ada.path("profile.json");
    fs::write(&profile, "\u{feff}{\"name\": \"Ada\"}\r\n").unwrap();
    let key = ada.key().await;
    mark(&ada.path("identity"));
    ada.run(&format!("{at} register --from-file {}", text(&profile))).await.ended(0);
    assert_eq!(ada.run(&format!("{at} show")).await.ended(0).json()["public_key"], key);
    server.signal("-TERM").await;
    server.end().await.ended(0);

    mark(&data.join("identity"));
    let backup = operator.path("backup.jsonl");
    run(SERVER, &["--data-dir", text(&data), "backup", text(&backup)]).await.ended(0);
    mark(&backup);
    run(SERVER, &["--data-dir", text(&data), "check", text(&backup)]).await.ended(0);
    let other = operator.path("other");
    let restored = run(SERVER, &["--data-dir", text(&other), "restore", text(&backup)]).await.ended(0);
    assert!(restored.stdout.contains("1 restored"), "{restored:?}");
}

#[tokio::test]
async fn a_damaged_identity_is_asked_about_before_it_is_given_up() {
    let ada = Person::new();
    ada.key().await;
    fs::write(ada.path("identity"), "# Notes\nbuy milk\n").unwrap();
    let identity = ada.path("identity");
    let refused = run(CLIENT, &["--identity", text(&identity), "whoami"]).await.ended(7);
    assert!(refused.stderr.contains("hint: is this the right file? if so, restore it"), "{refused:?}");
}
