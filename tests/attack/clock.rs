//! A clock that is set while programs run.

use std::path::{Path, PathBuf};

use hyperprofile::{Connection, Dht, PublicKey};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::harness::{DEADLINE, NODE, Running, text};

/// An hour on, as after sleep, two hours back, and three on. One connection lasts through all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_an_hour_breaks_no_connection() {
    let peer = Path::new(NODE).with_file_name("examples").join("peer");
    let Some(library) = faketime().filter(|_| peer.exists()) else {
        assert!(std::env::var_os("CI").is_none(), "faketime is not installed, or the examples are not built");
        eprintln!("SKIPPED: it needs faketime (apt-get install faketime), and cargo build --examples");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set(&clock, "+0");
    let start = |program: &str, arguments: &[&str]| {
        let preload = format!("LD_PRELOAD={}", text(&library));
        let file = format!("FAKETIME_TIMESTAMP_FILE={}", text(&clock));
        let fake = [&preload, &file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", program];
        Running::start("env", &[&fake[..], arguments].concat())
    };
    let mut nodes = start(NODE, &["--new-network", "--nodes", "5", "--bind", "127.0.0.1:0", "-vv"]);
    let mut log = BufReader::new(nodes.child.stderr.take().unwrap()).lines();
    let bootstrap = nodes.line().await;
    // The log is always read, so that writing it does not stop the nodes.
    let (asleep, mut noticed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(line)) = log.next_line().await {
            if line.contains("the host was asleep") {
                let _ = asleep.send(());
            }
        }
    });
    let mut server = start(text(&peer), &["server", &bootstrap, "patient"]);
    let key = server.line().await;
    let key: PublicKey = key.strip_prefix("key ").unwrap().parse().unwrap();
    let dht = Dht::builder().bootstrap([bootstrap]).bind("127.0.0.1:0").spawn().await.unwrap();
    let mut held = dht.connect(key).await.unwrap();
    echo(&mut held).await;

    for offset in ["+1h", "-1h", "+2h"] {
        set(&clock, offset);
        if offset != "-1h" {
            // Each of the nodes.
            for _ in 0..5 {
                tokio::time::timeout(DEADLINE, noticed.recv()).await.expect("a clock set on is noticed");
            }
        }
        echo(&mut held).await;
        echo(&mut dht.connect(key).await.unwrap()).await;
        echo(&mut held).await;
    }
    assert!(noticed.try_recv().is_err(), "a clock set back is no sleep");
}

async fn echo(connection: &mut Connection) {
    connection.write_all(b"are you there?").await.unwrap();
    let mut answer = [0; 14];
    let answered = tokio::time::timeout(DEADLINE, connection.read_exact(&mut answer));
    answered.await.expect("an answer").unwrap();
    assert_eq!(&answer, b"are you there?");
}

/// Returns the library that sets the clock of one program, by Debian's place for it.
fn faketime() -> Option<PathBuf> {
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1", std::env::consts::ARCH);
    Some(PathBuf::from(library)).filter(|path| path.exists())
}

/// Sets the clock, in one step: the programs read the file at any time.
fn set(clock: &Path, offset: &str) {
    let aside = clock.with_extension("aside");
    std::fs::write(&aside, format!("{offset}\n")).unwrap();
    std::fs::rename(&aside, clock).unwrap();
}
