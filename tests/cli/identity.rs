//! The commands about an identity, which need no network.

use std::fs;
use std::process::Stdio;

use hyperprofile::KeyPair;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::harness::{CLIENT, Outcome, Person, text};

/// Words for the seed of 32 zeros, as BIP-39 lists them.
const ZEROS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon art";

/// Restores an identity from a pipe.
async fn restore(person: &Person, words: &str) -> Outcome {
    let mut child = Command::new(CLIENT)
        .args(["--identity", text(&person.path("identity")), "identity", "restore"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has refused already reads nothing more.
    let _ = child.stdin.take().unwrap().write_all(words.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn words_from_a_pipe_bring_an_identity_back() {
    let ada = Person::new();
    let zeros = KeyPair::from_seed(&[0; 32]);
    let restored = restore(&ada, ZEROS).await.ended(0);
    assert_eq!(restored.stdout, format!("{}\n", zeros.public_key()));
    assert_eq!(KeyPair::load(ada.path("identity")).unwrap(), zeros);
    assert_eq!(ada.key().await, zeros.public_key().to_z32());
    assert!(restore(&ada, ZEROS).await.ended(0).stderr.contains("here already"));
}

#[tokio::test]
async fn an_identity_is_never_overwritten() {
    let ada = Person::new();
    let key = ada.key().await;
    let refused = restore(&ada, ZEROS).await.ended(7);
    assert!(refused.stderr.contains(&key) && refused.stderr.contains("hint: "), "{refused:?}");
    ada.run("identity new").await.failed(7, "identity");
    assert_eq!(ada.key().await, key);
}

#[tokio::test]
async fn wrong_words_change_nothing() {
    let ada = Person::new();
    let long = "abandon ".repeat(1 << 20);
    for (words, what) in [
        (ZEROS.replace("art", "arts").as_str(), "word 24 is none of the list"),
        (&ZEROS.replace("art", "ability"), "do not belong together"),
        ("abandon art", "these are 2"),
        ("", "these are 0"),
        (&long, "an identity has 24 words"),
    ] {
        let refused = restore(&ada, words).await.ended(2);
        assert!(refused.stderr.contains(what), "{refused:?}");
    }
    assert!(!ada.path("identity").exists());
}

#[tokio::test]
async fn a_new_identity_is_made_where_there_is_none() {
    let ada = Person::new();
    ada.run("identity words").await.failed(7, "identity");
    assert!(!ada.path("identity").exists());
    let made = ada.run("identity new").await.ended(0).json();
    let shown = ada.run("identity").await.ended(0).json();
    assert_eq!(shown, made);
    assert_eq!(ada.run("whoami").await.ended(0).json(), made);
    // No pipe gets the words.
    ada.run("identity words").await.failed(2, "usage");
    let file = fs::read_to_string(ada.path("identity")).unwrap();
    assert!(file.contains("HYPERPROFILE-SECRET-1"), "{file}");
}
