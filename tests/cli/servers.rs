//! Names of servers, and the server that is used where none is named.

use std::fs;
use std::path::PathBuf;

use hyperprofile::KeyPair;

use crate::harness::{CLIENT, Outcome, Person, Running, SERVER, run, text};

fn key(seed: u8) -> String {
    KeyPair::from_seed(&[seed; 32]).public_key().to_z32()
}

fn file(person: &Person) -> PathBuf {
    person.path("cache/config/profile-client/servers.toml")
}

/// Runs the client for people.
async fn show(person: &Person, words: &str) -> Outcome {
    let (identity, cache) = (person.path("identity"), person.path("cache"));
    let mut arguments = vec!["--identity", text(&identity)];
    arguments.extend(words.split(' ').filter(|word| !word.is_empty()));
    Running::start_with(CLIENT, &arguments, text(&cache)).end().await
}

#[tokio::test]
async fn servers_are_added_listed_chosen_and_removed() {
    let ada = Person::new();
    let (home, work) = (key(1), format!("{}@192.0.2.1:49737,192.0.2.2:7", key(2)));
    let none = show(&ada, "servers").await.ended(0);
    assert_eq!(none.stdout, "");
    let hint = "no server has a name; give one to a server: profile-client servers add NAME KEY\n";
    assert_eq!(none.stderr, hint);
    let added = show(&ada, &format!("servers add home {home}")).await.ended(0);
    assert_eq!(added.stdout, format!("* home  {home}\n"));
    assert_eq!(added.stderr, "home is the default: it is used where --server names no other\n");
    let added = show(&ada, &format!("servers add work.2 {work}")).await.ended(0);
    assert_eq!(added.stdout, format!("* home    {home}\n  work.2  {work}\n"));
    assert_eq!(added.stderr, "");
    // Once more is nothing new; another key needs another name.
    show(&ada, &format!("servers add home {home}")).await.ended(0);
    let taken = show(&ada, &format!("servers add home {work}")).await.ended(2);
    assert_eq!(
        taken.stderr,
        format!(
            "error: home is the name of {home} already\n\
             hint: choose another name, or: profile-client servers remove home\n"
        )
    );
    show(&ada, "servers default work.2").await.ended(0);
    let listed = ada.run("servers list").await.ended(0).json();
    assert_eq!(
        listed["servers"],
        serde_json::json!([
            {"name": "home", "public_key": home, "connect_address": home, "default": false},
            {"name": "work.2", "public_key": key(2), "connect_address": work, "default": true},
        ])
    );
    let removed = show(&ada, "servers remove work.2").await.ended(0);
    assert_eq!(removed.stdout, format!("  home  {home}\n"));
    let hint = "no server is the default now; choose one: profile-client servers default NAME\n";
    assert_eq!(removed.stderr, hint);
    for command in ["remove", "default"] {
        let unknown = show(&ada, &format!("servers {command} work")).await.ended(2);
        let hint = "hint: profile-client servers lists the names\n";
        assert_eq!(unknown.stderr, format!("error: no server is named work\n{hint}"));
    }
    let content = fs::read_to_string(file(&ada)).unwrap();
    let comment = "# Written by `profile-client servers`, which keeps no other comments.\n";
    assert_eq!(content, format!("{comment}\n[servers]\n\"home\" = \"{home}\"\n"));
}

#[tokio::test]
async fn a_name_is_no_key_and_has_64_plain_characters_at_most() {
    let ada = Person::new();
    for name in ["a b", "ä", "", &"a".repeat(65), &key(1), &"0".repeat(64), "a/b"] {
        let identity = ada.path("identity");
        let arguments = ["--identity", text(&identity), "servers", "add", name, &key(1)];
        let refused = run(CLIENT, &arguments).await.ended(2);
        assert!(refused.stderr.contains("a name has 1 to 64") || refused.stderr.contains("this is a key"));
    }
    assert!(!file(&ada).exists());
    show(&ada, &format!("servers add {} {}", "N".repeat(64), key(1))).await.ended(0);
}

#[tokio::test]
async fn without_a_server_the_message_says_what_to_type() {
    let ada = Person::new();
    let none = show(&ada, "show").await.ended(2).stderr;
    assert!(none.contains("profile-client servers add NAME KEY"), "{none}");
    show(&ada, &format!("servers add home {}", key(1))).await.ended(0);
    show(&ada, "servers remove home").await.ended(0);
    show(&ada, &format!("servers add home {}", key(1))).await.ended(0);
    fs::write(file(&ada), format!("[servers]\nhome = \"{}\"\n", key(1))).unwrap();
    let none = show(&ada, "show").await.ended(2).stderr;
    assert!(none.contains("profile-client servers default NAME"), "{none}");
    let unknown = show(&ada, "--server work show").await.ended(2).stderr;
    assert!(
        unknown.contains("no name that `profile-client servers` lists, and no key either: "),
        "{unknown}"
    );
}

#[tokio::test]
async fn an_error_of_the_file_names_its_line() {
    let ada = Person::new();
    show(&ada, &format!("servers add home {}", key(1))).await.ended(0);
    let path = file(&ada);
    for (content, line) in [
        ("default = \"home\"\n", "1: no server is named home"),
        ("\ndefault = 1\n", "2: expected default = \"NAME\", or [servers] with lines like NAME = \"KEY\""),
        ("[server]\n", "1: expected default = \"NAME\", or [servers] with lines like NAME = \"KEY\""),
        (
            "[servers]\n\nhome = \"abc\"",
            "3: home: a public key has 52 characters (z-base-32) or 64 (hexadecimal), this one has 3",
        ),
        ("[servers]\nhome = 1", "2: home: expected a key in quotation marks"),
        (
            "[servers]\n\"a b\" = \"\"",
            "2: a name has 1 to 64 letters, digits, -, _ and ., and does not begin with -",
        ),
        ("[servers", "1: unclosed table, expected `]`"),
    ] {
        fs::write(&path, content).unwrap();
        let failed = show(&ada, "servers").await.ended(2).stderr;
        assert_eq!(failed, format!("error: {}:{line}\n", text(&path)));
        assert_eq!(show(&ada, "show").await.ended(2).stderr, failed);
    }
    // A key does without the file.
    show(&ada, &format!("--server {} --server-addr 127.0.0.1:9 --timeout 10ms show", key(1))).await.ended(5);
}

#[tokio::test]
async fn the_default_server_greets_and_a_name_is_as_good_as_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let network = hyperprofile::Testnet::new(3).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let data = folder.path().join("server");
    let mut server = Running::start(SERVER, &["--bootstrap", &bootstrap, "--data-dir", text(&data)]);
    let key = server.line().await;
    let ada = Person::new();
    let registered =
        show(&ada, &format!("--bootstrap {bootstrap} --server {key} register --name Ada")).await.ended(0);
    let note = format!("to leave --server out from now on: profile-client servers add NAME {key}\n");
    assert!(registered.stderr.contains(&note), "{registered:?}");
    show(&ada, &format!("servers add home {key}")).await.ended(0);
    show(&ada, &format!("servers add other {}", self::key(7))).await.ended(0);
    for words in ["", "show", "--server home show", &format!("--server {key} register --name Ada")] {
        let shown = show(&ada, &format!("--bootstrap {bootstrap} {words}")).await.ended(0);
        assert!(shown.stdout.starts_with("name:    Ada\n"), "{shown:?}");
        assert!(!shown.stderr.contains("servers add"), "{shown:?}");
    }
    // A configuration names it as well.
    let config = file(&ada).with_file_name("config.toml");
    fs::write(&config, format!("server = \"home\"\nbootstrap = \"{bootstrap}\"\n")).unwrap();
    show(&ada, "servers default other").await.ended(0);
    show(&ada, "show").await.ended(0);
    let failed = show(&ada, "--server other --timeout 5s show").await.ended(3).stderr;
    assert!(failed.contains(&format!("knows {}", self::key(7))), "{failed}");
    // Hints repeat what was typed, and no more.
    show(&ada, "delete --yes").await.ended(0);
    let hint = show(&ada, "show").await.ended(8).stderr;
    assert!(hint.contains("--server home register --name NAME"), "{hint}");
}
