//! What needs no network: arguments, identity files, folders.

use std::fs;

use crate::harness::{CLIENT, NODE, Person, Running, SERVER, run, text};

#[tokio::test]
async fn help_lists_the_exit_codes_and_ends_well() {
    for program in [CLIENT, SERVER, NODE] {
        let help = run(program, &["--help"]).await.ended(0).stdout;
        for line in ["Exit codes:", "  7    identity file", "  12   no network", "  130  interrupted"] {
            assert!(help.contains(line), "{program}: {help}");
        }
        run(program, &["--version"]).await.ended(0);
    }
}

#[tokio::test]
async fn wrong_arguments_are_wrong_usage() {
    let key = "y".repeat(52);
    for (program, line) in [
        (CLIENT, "show".to_owned()),
        (CLIENT, "--server abc show".to_owned()),
        (CLIENT, format!("--server {}l show", "y".repeat(51))),
        (CLIENT, format!("--server {key} --local --bootstrap 127.0.0.1:1 show")),
        (CLIENT, format!("--server {key} --timeout soon show")),
        (CLIENT, format!("--server {key} register")),
        (CLIENT, format!("--server {key} register --name a --from-file b")),
        (CLIENT, format!("--server {key} register --name a --field b")),
        (CLIENT, format!("--server {key} update")),
        (CLIENT, format!("--server {key} delete")),
        (CLIENT, format!("--server {key} lookup xyz")),
        (CLIENT, "dance".to_owned()),
        (SERVER, "--local --bootstrap 127.0.0.1:1".to_owned()),
        (SERVER, "--registration ajar".to_owned()),
        (SERVER, "--bind nowhere".to_owned()),
        (NODE, "--new-network --bootstrap 127.0.0.1:1".to_owned()),
        (NODE, "--nodes 0".to_owned()),
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let outcome = run(program, &arguments).await.ended(2);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{line}");
    }
}

#[tokio::test]
async fn an_invalid_profile_is_found_out_before_connecting() {
    let ada = Person::new();
    let key = "y".repeat(52);
    let profile = ada.path("profile.json");
    for (content, kind) in [
        (r#"{"name":""}"#, "invalid_profile"),
        (r#"{"name":"a","name":"b"}"#, "invalid_profile"),
        ("nonsense", "invalid_profile"),
    ] {
        fs::write(&profile, content).unwrap();
        let line = format!("--server {key} register --from-file {}", text(&profile));
        ada.run(&line).await.failed(9, kind);
    }
    let line = format!("--server {key} register --name a --link ftp://a");
    ada.run(&line).await.failed(9, "invalid_profile");
}

#[tokio::test]
async fn whoami_makes_an_identity_once() {
    let ada = Person::new();
    let key = ada.key().await;
    assert_eq!(key.len(), 52);
    assert_eq!(ada.key().await, key);
    let identity = ada.path("identity");
    let plain = run(CLIENT, &["--identity", text(&identity), "whoami"]).await;
    assert_eq!(plain.ended(0).stdout, format!("{key}\n"));
}

#[tokio::test]
async fn first_runs_at_once_end_with_one_identity() {
    let ada = Person::new();
    let identity = ada.path("deep/identity");
    let arguments = ["--identity", text(&identity), "whoami"];
    let runs: Vec<_> = (0..4).map(|_| Running::start(CLIENT, &arguments)).collect();
    let mut keys = Vec::new();
    for run in runs {
        keys.push(run.end().await.ended(0).stdout);
    }
    keys.dedup();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[tokio::test]
async fn data_are_kept_where_the_desktop_standard_says() {
    let home = tempfile::tempdir().unwrap();
    for (variable, value, file) in [
        ("XDG_DATA_HOME", home.path().join("data"), "data/profile-client/identity"),
        ("HOME", home.path().to_owned(), ".local/share/profile-client/identity"),
    ] {
        let made = tokio::process::Command::new(CLIENT)
            .arg("whoami")
            .env_remove("XDG_DATA_HOME")
            .env(variable, value)
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        assert!(home.path().join(file).is_file(), "{file}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_unfit_identity_file_is_refused_with_the_command_that_mends_it() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let ada = Person::new();
    ada.key().await;
    let identity = ada.path("identity");
    let whoami = |path| async move { run(CLIENT, &["--identity", text(path), "whoami"]).await };

    fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = whoami(&identity).await.ended(7);
    assert!(outcome.stderr.contains("hint: chmod 600 '"), "{outcome:?}");
    let command = outcome.stderr.split("hint: ").nth(1).unwrap().trim();
    let mended = tokio::process::Command::new("sh").args(["-c", command]).status().await;
    assert!(mended.unwrap().success());
    whoami(&identity).await.ended(0);

    let link = ada.path("link");
    symlink(&identity, &link).unwrap();
    whoami(&link).await.ended(7);
    let folder = ada.path("folder");
    fs::create_dir(&folder).unwrap();
    whoami(&folder).await.ended(7);

    let content = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, content.replace("SECRET-1 ", "SECRET-1 y")).unwrap();
    whoami(&identity).await.ended(7);
    ada.run("whoami").await.failed(7, "identity");
    let kept = fs::read_to_string(&identity).unwrap();
    assert!(kept.contains("SECRET-1 y"), "a damaged file is left as it is");
}

#[tokio::test]
async fn the_servers_key_is_printed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", text(folder.path()), "key"];
    let key = run(SERVER, &arguments).await.ended(0).stdout;
    assert_eq!(key.len(), 53);
    assert_eq!(run(SERVER, &arguments).await.ended(0).stdout, key);
    let arguments = ["--json", "--data", text(folder.path()), "key"];
    let json = run(SERVER, &arguments).await.ended(0).json();
    assert_eq!(json["public_key"], key.trim_end());
    assert_eq!(json["public_key_hex"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_folder_that_cannot_be_a_store_is_a_storage_failure() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("profiles"), "a file, not a folder").unwrap();
    let outcome = run(SERVER, &["--data-dir", text(folder.path())]).await;
    outcome.ended(10);
}
