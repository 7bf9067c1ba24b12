//! The units for systemd and the Debian package.

#![allow(clippy::print_stdout)]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{NODE, SERVER, run, text};

/// Runs `systemd-analyze` on a unit whose program is the one that was built; `None` where there is none.
fn analyze(words: &[&str], name: &str, program: &str) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    let unit = fs::read_to_string(source).unwrap();
    let installed = format!("ExecStart=/usr/bin/{} ", name.trim_end_matches(".service"));
    assert!(unit.contains(&installed), "{unit}");
    let path = folder.path().join(name);
    fs::write(&path, unit.replace(&installed, &format!("ExecStart={program} "))).unwrap();
    let output = Command::new("systemd-analyze").args(words).arg(text(&path)).output();
    let Ok(output) = output else {
        println!("SKIPPED: there is no systemd-analyze");
        return None;
    };
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Some((output.status.success(), said.concat()))
}

#[test]
fn the_units_are_valid_and_expose_little() {
    for (name, program) in [("profile-server.service", SERVER), ("dht-node.service", NODE)] {
        let Some((is_valid, said)) = analyze(&["verify", "--man=no"], name, program) else { return };
        // What is ignored is printed, and no failure.
        assert!(is_valid && !said.contains(name), "{said}");
        // In tenths: of 10, where 10 is a service without any protection.
        let words = ["security", "--offline=true", "--no-pager", "--threshold=20"];
        let (is_below, said) = analyze(&words, name, program).unwrap();
        assert!(is_below, "{said}");
    }
}

#[test]
fn every_file_of_the_package_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let assets = manifest.split_once("\nassets = [\n").unwrap().1.split_once("\n]\n").unwrap().0;
    let sources: Vec<_> = assets.lines().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert!(sources.len() > 8, "{sources:?}");
    for source in sources.iter().filter(|source| !source.starts_with("target/")) {
        let (folder, name) = source.rsplit_once('/').unwrap_or((".", source));
        let begins = name.split('*').next().unwrap();
        let mut files = fs::read_dir(root.join(folder)).unwrap().map(|file| file.unwrap().file_name());
        assert!(files.any(|file| text(file.as_ref()).starts_with(begins)), "{source}");
    }
}

#[tokio::test]
async fn the_configuration_files_of_the_package_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian");
    let folder = tempfile::tempdir().unwrap();
    let server = folder.path().join("server.toml");
    let content = fs::read_to_string(root.join("profile-server.toml")).unwrap();
    // The options in it are examples that are put in force by removing the sign.
    let options = content.replace("# registration", "registration").replace("# backup-dir", "backup-dir");
    fs::write(&server, options).unwrap();
    let printed = run(SERVER, &["--config", text(&server), "config"]).await.ended(0).stdout;
    for option in ["registration = \"allow-list\"  #", "backup-dir = \"/var/lib/profile-server/backups\"  #"]
    {
        assert!(printed.contains(option), "{printed}");
    }
    // The example with a database, whose file is not read by this command.
    let example = root.with_file_name("postgres").join("config.toml");
    let server = folder.path().join("database.toml");
    fs::write(&server, fs::read(example).unwrap()).unwrap();
    let printed = run(SERVER, &["--config", text(&server), "config"]).await.ended(0).stdout;
    assert!(printed.contains("store = \"/etc/profile-server/database\"  #"), "{printed}");
    // The file is read before what is typed is judged.
    let node = folder.path().join("dht-node.toml");
    fs::write(&node, fs::read(root.join("dht-node.toml")).unwrap()).unwrap();
    let refused = run(NODE, &["--config", text(&node), "--nodes", "1001"]).await.ended(2);
    assert!(refused.stderr.contains("1001") && !refused.stderr.contains("dht-node.toml"), "{refused:?}");
}
