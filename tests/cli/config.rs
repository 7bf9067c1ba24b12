//! Configuration files: what wins over what, and the line of each error.

use std::fs;
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{CLIENT, NODE, Outcome, Person, SERVER, TOOL, text};

/// Runs a program with a folder of configurations of its own; `words` is split at spaces.
async fn run(person: &Person, program: &str, words: &str, bootstrap: Option<&str>) -> Outcome {
    let mut command = Command::new(program);
    command.args(words.split(' ').filter(|word| !word.is_empty()));
    command.env("XDG_CONFIG_HOME", person.path("config")).env("XDG_DATA_HOME", person.path("data"));
    command.env("HYPERDHT_BOOTSTRAP", bootstrap.unwrap_or_default()).env("NO_COLOR", "1");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes the file of a program that is read without being named; returns its path.
fn write(person: &Person, program: &str, content: &str) -> String {
    let folder = person.path("config").join(std::path::Path::new(program).file_stem().unwrap());
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.toml");
    fs::write(&file, content).unwrap();
    restrict(&file, 0o644);
    text(&file).to_owned()
}

fn restrict(file: &std::path::Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (file, mode);
}

#[tokio::test]
async fn arguments_win_over_the_environment_and_both_over_the_file() {
    let key = "y".repeat(52);
    // None of these names a node, and each error names the text.
    for (program, command) in [
        (CLIENT, format!("--server {key} show")),
        (SERVER, String::new()),
        (NODE, String::new()),
        (TOOL, "lookup x".into()),
    ] {
        let ada = Person::new();
        write(&ada, program, "bootstrap = [\"a\", \"of-the-file\"]\n");
        let named = async |words: &str, bootstrap| {
            let outcome = run(&ada, program, &format!("{words} {command}"), bootstrap).await;
            outcome.ended(2).stderr
        };
        let shown = named("--bootstrap typed", Some("of-the-environment")).await;
        assert!(shown.contains("\"typed\""), "{program}: {shown}");
        let shown = named("", Some("of-the-environment")).await;
        assert!(shown.contains("\"of-the-environment\""), "{program}: {shown}");
        let shown = named("", None).await;
        assert!(shown.contains("\"a\""), "{program}: {shown}");
        // No list at all in place of that of the file.
        let shown = named("--config /dev/null --bootstrap typed", None).await;
        assert!(shown.contains("\"typed\""), "{program}: {shown}");
    }
}

#[tokio::test]
async fn each_value_comes_from_the_first_place_that_has_one() {
    let ada = Person::new();
    let content = "bootstrap = \"file:1\"\nconnections = 5\nwrites-per-minute = 6\n";
    let file = write(&ada, SERVER, content);
    let sources = async |words: &str, environment| {
        let printed = run(&ada, SERVER, &format!("--json {words} config"), environment).await.ended(0).stdout;
        let all: Vec<serde_json::Value> =
            printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        ["bootstrap", "connections", "writes-per-minute", "lookups-per-minute"].map(|option| {
            let setting = all.iter().find(|setting| setting["option"] == option).unwrap();
            let (values, source) = (&setting["values"], &setting["source"]);
            let at =
                source["line"].as_u64().map(|line| format!(" {}:{line}", source["file"].as_str().unwrap()));
            format!("{values} {}{}", source["kind"].as_str().unwrap(), at.unwrap_or_default())
        })
    };
    assert_eq!(
        sources("--connections 4", Some("environment:1, b:2")).await,
        [
            "[\"environment:1\",\"b:2\"] environment".to_owned(),
            "[\"4\"] argument".to_owned(),
            format!("[\"6\"] file {file}:3"),
            "[\"60\"] default".to_owned(),
        ]
    );
    let [bootstrap, connections, ..] = sources("", None).await;
    assert_eq!(bootstrap, format!("[\"file:1\"] file {file}:1"));
    assert_eq!(connections, format!("[\"5\"] file {file}:2"));
    // What is typed excludes both.
    let [bootstrap, ..] = sources("--local", Some("environment:1")).await;
    assert_eq!(bootstrap, "[] default");
}

#[tokio::test]
async fn an_entry_gives_way_to_what_excludes_it() {
    let ada = Person::new();
    let line = format!("--server {} --timeout 100ms show", "y".repeat(52));
    write(&ada, CLIENT, "bootstrap = \"nonsense\"\n");
    run(&ada, CLIENT, &line, None).await.ended(2);
    // The file names no node any more: there is none at that port.
    let port = crate::harness::free_port();
    let shown = run(&ada, CLIENT, &format!("--local={port} {line}"), None).await.stderr;
    assert!(!shown.contains("nonsense"), "{shown}");
    let shown = run(&ada, CLIENT, &format!("--server-addr 127.0.0.1:{port} {line}"), None).await.stderr;
    assert!(!shown.contains("nonsense"), "{shown}");
    // The environment excludes an entry as well.
    write(&ada, CLIENT, "local = true\n");
    let shown = run(&ada, CLIENT, &line, Some("nonsense")).await.ended(2).stderr;
    assert!(shown.contains("\"nonsense\""), "{shown}");
}

#[tokio::test]
async fn each_error_names_the_file_and_the_line() {
    let ada = Person::new();
    for (program, content, what) in [
        (
            CLIENT,
            "# mine\ntimeot = \"10s\"\n",
            "2: timeot is no option of profile-client\nhint: is timeout meant?",
        ),
        (CLIENT, "no_input = true", "1: no_input is no option of profile-client\nhint: is no-input meant?"),
        (
            SERVER,
            "\nanswer = 42",
            "2: answer is no option of profile-server\nhint: the keys are the long options that \
             profile-server --help lists",
        ),
        (CLIENT, "name = \"Ada\"", "1: name is an option of the command register, which a file cannot set"),
        (TOOL, "allow = [\"a\"]", "1: allow is an option of the command pipe, which a file cannot set"),
        (CLIENT, "config = \"other.toml\"", "1: config cannot be set in a file"),
        (CLIENT, "json = true\n\ntimeout = soon", "3: string values must be quoted, expected literal string"),
        (CLIENT, "timeout = \"soon\"", "1: timeout: expected a time like 500ms, 30s, 2m, 6h or 1d"),
        (CLIENT, "timeout = true", "1: timeout: expected a text or a number, found a value of type boolean"),
        (
            CLIENT,
            "timeout = [\"1s\"]",
            "1: timeout: expected a text or a number, found a value of type array",
        ),
        (CLIENT, "json = \"yes\"", "1: json: expected true or false"),
        (CLIENT, "verbose = 300", "1: verbose: expected a number from 0 to 255"),
        (CLIENT, "local = 0", "1: local: 0 is not in 1..=65535"),
        (
            CLIENT,
            "bootstrap = [\n  \"a:1\",\n  2.5,\n]",
            "1: bootstrap: expected a text or a number, found a value of type float",
        ),
        (SERVER, "registration = \"ajar\"", "1: registration: expected one of open, closed, allow-list"),
        (
            SERVER,
            "local = 5\nbootstrap = \"a:1\"",
            "2: bootstrap cannot be used together with local in line 1",
        ),
        (NODE, "nodes = 2\nrelay-pairs = 4", "2: relay-pairs needs relay as well"),
        (NODE, "[relay]\npairs = 4", "1: relay: expected true or false"),
        (NODE, "nodes = 1\nnodes = 2", "2: duplicate key"),
    ] {
        let file = write(&ada, program, content);
        let command = if program == NODE || program == SERVER { "" } else { "whoami" };
        let refused = run(&ada, program, command, None).await.ended(2);
        assert_eq!(
            (refused.stdout.as_str(), refused.stderr.as_str()),
            ("", &*format!("error: {file}:{what}\n"))
        );
        // A file with errors keeps no help away.
        run(&ada, program, "--help", None).await.ended(0);
    }
    let file = write(&ada, CLIENT, "local = 0");
    let json = run(&ada, CLIENT, "--json whoami", None).await.ended(2).json();
    assert_eq!(json["error"]["message"], format!("{file}:1: local: 0 is not in 1..=65535"));
    fs::write(&file, b"local = true\nserver = \"\xff\"").unwrap();
    let refused = run(&ada, CLIENT, "whoami", None).await.ended(2);
    assert_eq!(refused.stderr, format!("error: {file}:2: this is not text in UTF-8\n"));
    fs::write(&file, " ".repeat(65_537)).unwrap();
    let refused = run(&ada, CLIENT, "whoami", None).await.ended(2);
    assert_eq!(refused.stderr, format!("error: {file} has more than 65536 bytes\n"));
    let nothing = ada.path("nothing.toml");
    let refused = run(&ada, CLIENT, &format!("--config {} whoami", text(&nothing)), None).await.ended(2);
    assert_eq!(refused.stderr, format!("error: there is no file {}\n", text(&nothing)));
}

#[tokio::test]
async fn a_named_file_takes_the_place_of_the_usual_one_and_places_are_seen_from_it() {
    let ada = Person::new();
    write(&ada, CLIENT, "timeout = \"soon\"");
    let file = ada.path("mine.toml");
    fs::write(&file, "identity = \"keys/ada\"\ntimeout = 5\nverbose = 1\n").unwrap();
    restrict(&file, 0o600);
    let shown = run(&ada, CLIENT, &format!("whoami --config {}", text(&file)), None).await.ended(0);
    assert!(ada.path("keys/ada").exists(), "{shown:?}");
    let typed = ada.path("other");
    let line = format!("--identity {} whoami --config {}", text(&typed), text(&file));
    run(&ada, CLIENT, &line, None).await.ended(0);
    assert!(typed.exists());
}

/// As OpenSSH has it.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_may_write_is_refused() {
    let ada = Person::new();
    let file = write(&ada, CLIENT, "timeout = 5\n");
    run(&ada, CLIENT, "whoami", None).await.ended(0);
    for mode in [0o664, 0o646] {
        restrict(file.as_ref(), mode);
        let refused = run(&ada, CLIENT, "whoami", None).await.ended(2).stderr;
        let hint = format!("hint: read it, then keep others from it with chmod go-w '{file}'");
        assert_eq!(refused, format!("error: other users may write {file}\n{hint}\n"));
    }
    restrict(file.as_ref(), 0o644);
    // Root alone can give a file away.
    if std::os::unix::fs::chown(&file, Some(12_345), None).is_ok() {
        let refused = run(&ada, CLIENT, "whoami", None).await.ended(2).stderr;
        assert!(refused.starts_with(&format!("error: {file} belongs to another user\n")), "{refused}");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let refused = run(&ada, CLIENT, "whoami", None).await.ended(2).stderr;
    assert!(refused.contains("is not a regular file"), "{refused}");
}
