//! Profiles of others: watched, published, exported.

use std::fs;
use std::process::Stdio;

use hyperprofile::KeyPair;
use serde_json::{Value, json};

use crate::harness::{CLIENT, Outcome, Person, Running, SERVER, run, text};
use crate::network::{World, serve};

/// Runs the client of a person without a server.
async fn alone(world: &World, who: &Person, words: &str) -> Outcome {
    who.run(&format!("--bootstrap {} {words}", world.bootstrap())).await
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn who_watches_sees_each_change_also_after_the_server_was_away() {
    let world = World::start(&[]).await;
    let (ada, eve, bootstrap) = (Person::new(), Person::new(), world.bootstrap());
    let (key, identity) = (ada.key().await, eve.path("identity"));
    let arguments = ["--json", "--identity", text(&identity), "--server", &world.key, "--bootstrap"];
    let mut watch = Running::start(CLIENT, &[&arguments[..], &[&bootstrap, "watch", &key]].concat());
    assert_eq!(parsed(&watch.line().await), json!({"public_key": key, "version": null, "profile": null}));
    let registered = world.client(&ada, "register --name Ada").await.ended(0).json();
    let from_server = |mut record: Value| {
        record["from"] = json!("server");
        record
    };
    assert_eq!(parsed(&watch.line().await), from_server(registered));
    let world = world.restart(&[], |_| ()).await;
    let updated = world.client(&ada, "update --bio counts").await.ended(0).json();
    assert_eq!(parsed(&watch.line().await), from_server(updated));
    watch.signal("-INT").await;
    watch.end().await.ended(130);
}

#[tokio::test]
async fn what_does_not_pass_ends_a_watch() {
    let world = World::start(&["--lookup", "closed"]).await;
    let eve = Person::new();
    let key = eve.key().await;
    world.client(&eve, &format!("watch {key}")).await.failed(6, "closed");
    world.client(&eve, "watch").await.ended(2);
    world.client(&eve, &format!("watch{}", format!(" {key}").repeat(33))).await.ended(2);
}

#[tokio::test]
async fn a_published_profile_is_found_while_the_server_is_off() {
    let world = World::start(&[]).await;
    let (ada, eve) = (Person::new(), Person::new());
    let key = ada.key().await;
    let (lookup, in_dht) = (format!("lookup {key}"), format!("lookup --dht {key}"));
    world.client(&ada, "publish").await.failed(8, "not_registered");
    let mut profile = world.client(&ada, "register --name Ada").await.ended(0).json();
    alone(&world, &eve, &in_dht).await.failed(8, "not_registered");
    let published = world.client(&ada, "publish").await.ended(0).json();
    assert_eq!((&published["public_key"], &published["version"]), (&json!(key), &json!(1)));
    assert!(published["nodes"].as_u64().unwrap() > 0);

    profile["from"] = json!("dht");
    assert_eq!(alone(&world, &eve, &in_dht).await.ended(0).json(), profile);
    // Without a server at all, there is nothing else to ask.
    assert_eq!(alone(&world, &eve, &lookup).await.ended(0).json(), profile);
    alone(&world, &eve, &format!("{lookup} --no-dht")).await.ended(2);
    profile["from"] = json!("server");
    assert_eq!(world.client(&eve, &lookup).await.ended(0).json(), profile);

    let World { network, folder, server, key: at } = world;
    server.signal("-TERM").await;
    server.end().await.ended(0);
    let bootstrap = network.bootstrap().remove(0);
    let ask = |words: String| {
        let (eve, arguments) = (&eve, format!("--bootstrap {bootstrap} --server {at} --timeout 5s {words}"));
        async move { eve.run(&arguments).await }
    };
    profile["from"] = json!("dht");
    assert_eq!(ask(lookup.clone()).await.ended(0).json(), profile);
    ask(format!("{lookup} --no-dht")).await.failed(3, "server_not_found");
    // Nobody has published this one: what the server failed with is reported.
    let nobody = KeyPair::generate().public_key().to_z32();
    ask(format!("lookup {nobody}")).await.failed(3, "server_not_found");

    // Taking it back needs no server.
    let withdrawn = ada.run(&format!("--bootstrap {bootstrap} publish --withdraw")).await.ended(0).json();
    assert_eq!(withdrawn["withdrawn"], true);
    ask(lookup.clone()).await.failed(3, "server_not_found");
    eve.run(&format!("--bootstrap {bootstrap} {in_dht}")).await.failed(8, "not_registered");
    drop(serve(&network, folder.path(), &[]));
}

#[tokio::test]
async fn a_key_that_was_replaced_is_followed_by_who_watches_and_in_the_dht() {
    let world = World::start(&[]).await;
    let (ada, eve, bootstrap) = (Person::new(), Person::new(), world.bootstrap());
    let (key, identity) = (ada.key().await, eve.path("identity"));
    world.client(&ada, "register --name Ada").await.ended(0);
    world.client(&ada, "publish").await.ended(0);
    let arguments = ["--json", "--identity", text(&identity), "--server", &world.key, "--bootstrap"];
    let mut watch = Running::start(CLIENT, &[&arguments[..], &[&bootstrap, "watch", &key]].concat());
    watch.line().await;
    world.client(&ada, "identity rotate --yes").await.ended(0);
    let new = ada.key().await;
    let moved = parsed(&watch.line().await);
    assert_eq!((&moved["public_key"], moved["chain"].as_array().unwrap().len()), (&json!(new), 1));
    let updated = world.client(&ada, "update --bio counts").await.ended(0).json();
    let shown = parsed(&watch.line().await);
    assert_eq!((&shown["public_key"], &shown["profile"]), (&json!(new), &updated["profile"]));
    // The DHT does not show the profile of the old key any more, and leads to that of the new one.
    let lookup = format!("lookup --dht {key}");
    alone(&world, &eve, &lookup).await.failed(8, "not_registered");
    world.client(&ada, "publish").await.ended(0);
    let found = alone(&world, &eve, &lookup).await.ended(0).json();
    assert_eq!((&found["public_key"], &found["from"]), (&json!(new), &json!("dht")));
    assert_eq!(found["chain"], moved["chain"]);
}

#[tokio::test]
async fn a_banned_client_is_told_so() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    run(SERVER, &["--data-dir", text(world.folder.path()), "ban", &ada.key().await]).await.ended(0);
    for words in ["", "show", "update --bio x"] {
        world.client(&ada, words).await.failed(6, "closed");
    }
}

#[tokio::test]
async fn another_value_under_the_key_is_replaced_on_request_only() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let key_pair = KeyPair::load(ada.path("identity")).unwrap();
    assert_eq!(key_pair.public_key().to_z32(), ada.key().await);
    world.network.nodes()[0].mutable_put(&key_pair, 3, b"my own").await.unwrap();
    world.client(&ada, "publish").await.failed(9, "invalid");
    alone(&world, &ada, &format!("lookup --dht {}", ada.key().await)).await.failed(8, "not_registered");
    world.client(&ada, "publish --replace").await.ended(0);
    alone(&world, &ada, &format!("lookup --dht {}", ada.key().await)).await.ended(0);
    ada.run(&format!("--server {} --server-addr 127.0.0.1:9 publish", world.key)).await.ended(2);
}

#[tokio::test]
async fn an_exported_profile_proves_itself_and_nothing_else_does() {
    let world = World::start(&[]).await;
    let (ada, eve) = (Person::new(), Person::new());
    let (file, key) = (ada.path("ada.json"), ada.key().await);
    let name = text(&file);
    world.client(&ada, &format!("export {name}")).await.failed(8, "not_registered");
    assert!(!file.exists());
    let profile = world.client(&ada, "register --name Ada").await.ended(0).json();
    let exported = world.client(&ada, &format!("export {name}")).await.ended(0).json();
    assert_eq!(exported, json!({"public_key": key, "version": 1, "file": name}));
    let verify = async |words: &str| eve.run(&format!("verify {words}")).await;
    assert_eq!(verify(name).await.ended(0).json(), profile);
    assert_eq!(verify(&format!("{name} --key {key}")).await.ended(0).json(), profile);
    verify(&format!("{name} --key {}", world.key)).await.failed(9, "invalid");
    // By another client, the same to the byte, through a pipe.
    let other = world.client(&eve, &format!("export - --key {key}")).await.ended(0);
    assert_eq!(other.stdout, fs::read_to_string(&file).unwrap());
    let mut command = tokio::process::Command::new(CLIENT);
    let mut child = command
        .args(["--json", "verify", "-", "--key", &key])
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(child.wait().await.unwrap().success());

    let whole = fs::read_to_string(&file).unwrap();
    for wrong in
        [whole.replace("Ada", "Eve"), whole[..whole.len() - 3].into(), String::new(), "x".repeat(99_999)]
    {
        fs::write(&file, wrong).unwrap();
        verify(name).await.failed(9, "invalid");
    }
    fs::write(&file, whole.replace("\"hyperprofile\": 1", "\"hyperprofile\": 2")).unwrap();
    let later = run(CLIENT, &["verify", name]).await.ended(9);
    assert!(later.stderr.contains("install a newer version"), "{later:?}");
    verify("/nowhere").await.failed(2, "usage");
    world.client(&ada, "export /nowhere/x").await.failed(2, "usage");
}
