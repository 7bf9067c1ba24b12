//! The socket by which commands reach a server that runs.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use hyperprofile::Testnet;

use crate::backup::{command, stop};
use crate::network::serve;

fn socket(folder: &Path) -> Option<fs::Metadata> {
    let found = fs::symlink_metadata(folder.join("control")).ok()?;
    found.file_type().is_socket().then_some(found)
}

/// In a folder near, and in one whose path is longer than the address of a socket can be.
#[tokio::test]
async fn a_second_server_and_a_killed_one_leave_the_folder_to_the_one_that_runs() {
    let network = Testnet::new(5).await.unwrap();
    for deeper in ["data", &"deep/".repeat(40)] {
        let outside = tempfile::tempdir().unwrap();
        let folder = &outside.path().join(deeper);
        let mut server = serve(&network, folder, &[]);
        server.line().await;
        let mode = socket(folder).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for _ in 0..2 {
            let second = serve(&network, folder, &[]).end().await.ended(10);
            assert!(second.stderr.contains("locked:"), "{second:?}");
            // The first one holds the store: only it can have answered.
            command(folder, &["backup", "-"]).await.ended(0);
        }

        server.signal("-KILL").await;
        server.end().await.ended(-1);
        assert!(socket(folder).is_some(), "it is left");
        command(folder, &["backup", "-"]).await.ended(0);
        let mut server = serve(&network, folder, &[]);
        server.line().await;
        command(folder, &["backup", "-"]).await.ended(0);
        stop(server).await;
        assert!(socket(folder).is_none(), "a server that ends removes it");
    }
}

#[tokio::test]
async fn a_server_without_a_socket_serves_and_its_backup_says_what_to_do() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control");
    fs::write(&control, "precious").unwrap();
    let mut server = serve(&network, folder.path(), &[]);
    server.line().await;
    let refused = command(folder.path(), &["backup", "-"]).await.ended(10);
    assert!(refused.stderr.contains("cannot be asked: try again, or stop it first"), "{refused:?}");
    server.signal("-TERM").await;
    let ended = server.end().await.ended(0);
    assert!(ended.stderr.contains("a backup needs the server stopped: no control socket"), "{ended:?}");
    assert_eq!(fs::read(&control).unwrap(), b"precious");
}
