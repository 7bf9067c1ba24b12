//! Replacing an identity: at one server, at others, and after an interruption at any step.

use std::fs;
use std::path::Path;

use crate::harness::{CLIENT, Outcome, Person, TOOL, run, text};
use crate::network::World;

/// The files of an identity, and those that are made when it is replaced.
fn files(person: &Person) -> Vec<String> {
    let folder = fs::read_dir(person.path("")).unwrap();
    let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("identity")).collect();
    names.sort();
    names
}

fn rename(person: &Person, from: &str, to: &str) {
    fs::rename(person.path(from), person.path(to)).unwrap();
}

#[tokio::test]
async fn a_lost_device_is_shut_out_and_others_are_shown_the_new_key() {
    let world = World::start(&[]).await;
    let (ada, bob, device) = (Person::new(), Person::new(), Person::new());
    world.client(&ada, "register --name Ada --bio counts").await.ended(0);
    world.client(&ada, "update --bio computes").await.ended(0);
    fs::copy(ada.path("identity"), device.path("identity")).unwrap();
    let old = ada.key().await;

    let replaced = world.client(&ada, "identity rotate --yes").await.ended(0);
    let new = replaced.json()["public_key"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    assert_eq!(ada.key().await, new);
    let kept = format!("identity.old-{}", &old[..8]);
    let beside = |name: &str| [name.to_owned(), format!("{name}.profiles"), format!("{name}.versions")];
    let mut expected = [beside("identity"), beside(&kept)].concat();
    expected.sort();
    assert_eq!(files(&ada), expected);
    let shown = world.client(&ada, "show").await.ended(0).json();
    assert_eq!((&shown["profile"]["bio"], &shown["version"]), (&"computes".into(), &1.into()));
    world.client(&ada, "update --bio again").await.ended(0);

    // The device has the old key, and nothing more.
    for words in ["", "show", "update --bio x", "delete --yes", "register --name x", "identity rotate --yes"]
    {
        let refused = told(Some(&world), &device, words).await.ended(7).stderr;
        assert!(refused.contains(&new) && refused.contains("hint: "), "{words}: {refused}");
        world.client(&device, words).await.failed(7, "moved");
    }
    for asked in [&old, &new] {
        let lookup = format!("lookup {asked}");
        let found = told(Some(&world), &bob, &lookup).await.ended(0);
        let json = world.client(&bob, &lookup).await.ended(0).json();
        assert_eq!((&json["public_key"], &json["profile"]["bio"]), (&new.as_str().into(), &"again".into()));
        let note = format!("the owner has replaced the key {old} by {new}");
        assert_eq!(found.stderr.contains(&note), *asked == old, "{found:?}");
        assert_eq!(json["chain"].is_array(), *asked == old);
    }

    // A server that is restored from a backup of before: the owner says it again.
    let again = format!("identity rotate --from {}", text(&ada.path(&kept)));
    world.client(&ada, &again).await.ended(0);
}

#[tokio::test]
async fn other_servers_are_shown_the_same_statement() {
    let (one, two) = (World::start(&[]).await, World::start(&[]).await);
    let ada = Person::new();
    one.client(&ada, "register --name Ada").await.ended(0);
    two.client(&ada, "register --name Lovelace").await.ended(0);
    let old = ada.key().await;
    one.client(&ada, "identity rotate --yes").await.ended(0);
    let from = ada.path(&format!("identity.old-{}", &old[..8]));
    let rotate = format!("identity rotate --from {}", text(&from));
    for _ in 0..2 {
        two.client(&ada, &rotate).await.ended(0);
    }
    assert_eq!(two.client(&ada, "show").await.ended(0).json()["profile"]["name"], "Lovelace");

    let missing = "identity rotate --from /nowhere/identity";
    two.client(&ada, missing).await.failed(7, "identity");
    let itself = format!("identity rotate --from {}", text(&ada.path("identity")));
    two.client(&ada, &itself).await.failed(2, "usage");
    // Another key has no business with the statement.
    let bob = Person::new();
    two.client(&bob, &rotate).await.ended(7);
}

#[tokio::test]
async fn what_cannot_be_replaced_is_left_as_it_is() {
    let world = World::start(&[]).await;
    let (ada, bob) = (Person::new(), Person::new());
    world.client(&ada, "identity rotate --yes").await.failed(7, "identity");
    assert_eq!(files(&ada), [""; 0]);
    let key = ada.key().await;
    world.client(&ada, "identity rotate").await.failed(2, "usage");
    ada.run("identity rotate --yes").await.failed(2, "usage");
    world.client(&ada, "identity rotate --yes").await.failed(8, "not_registered");
    assert_eq!((files(&ada), ada.key().await), (vec!["identity".to_owned()], key));
    // The next identity has a profile of its own.
    world.client(&ada, "register --name Ada").await.ended(0);
    world.client(&bob, "register --name Bob").await.ended(0);
    fs::copy(bob.path("identity"), ada.path("identity.next")).unwrap();
    let refused = told(Some(&world), &ada, "identity rotate").await.ended(9).stderr;
    assert!(refused.contains("has, or had, a profile of its own") && refused.contains("hint: "), "{refused}");
    world.client(&ada, "identity rotate").await.failed(9, "already_registered");
    assert_eq!(world.client(&ada, "show").await.ended(0).json()["profile"]["name"], "Ada");
}

#[tokio::test]
async fn a_program_that_was_killed_goes_on_where_it_was() {
    let world = World::start(&[]).await;
    // Before the server was asked.
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let old = ada.key().await;
    rename(&ada, "identity", "kept");
    ada.run("identity new").await.ended(0);
    rename(&ada, "identity", "identity.next");
    rename(&ada, "kept", "identity");
    let next = fs::read(ada.path("identity.next")).unwrap();
    world.client(&ada, "identity rotate").await.ended(0);
    assert_eq!(fs::read(ada.path("identity")).unwrap(), next);

    // After the server has moved the profile, at each step of the names.
    let kept = format!("identity.old-{}", &old[..8]);
    let steps = [
        (".versions", kept.as_str(), "identity"),
        (".profiles", &kept, "identity"),
        ("", &kept, "identity"),
        (".versions", "identity", "identity.next"),
        (".profiles", "identity", "identity.next"),
        ("", "identity", "identity.next"),
    ];
    for undone in 1..=steps.len() {
        let before = files(&ada);
        for (end, done, not_yet) in steps.iter().rev().take(undone) {
            rename(&ada, &format!("{done}{end}"), &format!("{not_yet}{end}"));
        }
        if undone <= 3 {
            // Nothing makes another identity in the gap.
            for words in ["whoami", "show", "identity new"] {
                let refused = told(Some(&world), &ada, words).await.ended(7).stderr;
                assert!(refused.contains("go on with: profile-client identity rotate"), "{words}: {refused}");
            }
            ada.run("identity rotate").await.ended(0);
        } else {
            let refused = told(Some(&world), &ada, "show").await.ended(7).stderr;
            assert!(refused.contains("go on with"), "{undone}: {refused}");
            world.client(&ada, "identity rotate").await.ended(0);
        }
        assert_eq!(files(&ada), before, "{undone}");
        assert_eq!(fs::read(ada.path("identity")).unwrap(), next, "{undone}");
        world.client(&ada, "show").await.ended(0);
    }

    // Something has taken the name.
    for (end, done, not_yet) in steps.iter().rev() {
        rename(&ada, &format!("{done}{end}"), &format!("{not_yet}{end}"));
    }
    fs::write(ada.path(&kept), "something").unwrap();
    let refused = told(Some(&world), &ada, "identity rotate").await.ended(7).stderr;
    assert!(refused.contains("is in the way") && refused.contains("hint: mv "), "{refused}");
    assert_eq!(fs::read_to_string(ada.path(&kept)).unwrap(), "something");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_goes_along_with_the_identity() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let key = ada.key().await;
    let plain = fs::read_to_string(ada.path("identity")).unwrap();
    let secret = plain.lines().last().unwrap().to_owned();
    let passphrase = |text: &str| private(&ada.path("passphrase"), text);
    passphrase("correct horse\n");
    let with = |words: &str| format!("--passphrase-file {} {words}", text(&ada.path("passphrase")));

    passphrase("short\n");
    ada.run(&with("identity protect")).await.failed(2, "usage");
    passphrase("correct horse\nand another line\n");
    ada.run("identity unprotect").await.failed(2, "usage");
    let protected = ada.run(&with("identity protect")).await.ended(0);
    assert_eq!(protected.json()["public_key"], key.as_str());
    let content = fs::read_to_string(ada.path("identity")).unwrap();
    assert!(content.contains("HYPERPROFILE-PROTECTED-1") && !content.contains(&secret), "{content}");
    assert_eq!(files(&ada), ["identity", "identity.profiles", "identity.versions"]);
    ada.run(&with("identity protect")).await.failed(2, "usage");

    // The public key needs no passphrase.
    for words in ["whoami", "identity", "identity show"] {
        assert_eq!(ada.run(words).await.ended(0).json()["public_key"], key.as_str());
    }
    let asked = told(Some(&world), &ada, "show").await.ended(7).stderr;
    assert!(asked.contains("--passphrase-file"), "{asked}");
    world.client(&ada, "show").await.failed(7, "identity");
    world.client(&ada, &with("update --bio counts")).await.ended(0);
    passphrase("correct house\n");
    let wrong = told(Some(&world), &ada, &with("show")).await.ended(7).stderr;
    assert!(wrong.contains("that is not the passphrase") && wrong.contains("hint: "), "{wrong}");
    passphrase("\n");
    ada.run(&with("identity unprotect")).await.failed(7, "identity");
    passphrase("correct horse");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |mode| fs::set_permissions(ada.path("passphrase"), PermissionsExt::from_mode(mode));
        mode(0o640).unwrap();
        let refused = told(Some(&world), &ada, &with("show")).await.ended(7).stderr;
        assert!(refused.contains("hint: chmod 600"), "{refused}");
        mode(0o600).unwrap();
    }

    // The new identity has the same passphrase.
    world.client(&ada, &with("identity rotate --yes")).await.ended(0);
    let rotated = fs::read_to_string(ada.path("identity")).unwrap();
    assert!(rotated.contains("HYPERPROFILE-PROTECTED-1") && rotated != content, "{rotated}");
    world.client(&ada, &with("show")).await.ended(0);

    // Damage is something else than a wrong passphrase, and other programs say what the file is.
    let damaged = rotated.replace(" 65536 ", " 65537 ");
    private(&ada.path("identity"), &damaged);
    let refused = told(None, &ada, &with("identity unprotect")).await.ended(7).stderr;
    assert!(refused.contains("is damaged: its checksum is wrong"), "{refused}");
    private(&ada.path("identity"), &rotated);
    let other = run(TOOL, &["--identity", text(&ada.path("identity")), "key"]).await.ended(7);
    assert!(other.stderr.contains("is protected by a passphrase"), "{other:?}");

    ada.run(&with("identity unprotect")).await.ended(0);
    let plain = fs::read_to_string(ada.path("identity")).unwrap();
    assert!(plain.contains("HYPERPROFILE-SECRET-1"), "{plain}");
    world.client(&ada, "show").await.ended(0);
}

/// Runs the client as a person reads it, with notes and hints.
async fn told(world: Option<&World>, who: &Person, words: &str) -> Outcome {
    let (identity, bootstrap) = (who.path("identity"), world.map(World::bootstrap));
    let mut arguments = vec!["--identity", text(&identity)];
    if let (Some(world), Some(bootstrap)) = (world, &bootstrap) {
        arguments.extend(["--server", &world.key, "--bootstrap", bootstrap]);
    }
    arguments.extend(words.split(' ').filter(|word| !word.is_empty()));
    run(CLIENT, &arguments).await
}

/// Writes a file that its owner alone can read.
fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }
}
