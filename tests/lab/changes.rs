//! Networks that change under a server.

use std::path::Path;
use std::time::{Duration, Instant};

use super::homes::{Kind, Lab, NODE, runs};

/// A server that is not reachable again by then will not be.
const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_router_changes_its_mapping_is_reachable_again_soon() {
    let mut times = Vec::new();
    for run in 0..runs() {
        let Some(lab) = Lab::start().await else {
            return;
        };
        lab.pair(Kind::Restricted, Kind::Restricted);
        let (_server, key) = lab.server("server", &format!("remap-{run}"), &[]).await;
        let visit = || lab.client_within("2s", "client", &key, &["register", "--name", "Ada"]);
        let (code, output) = visit().await;
        assert_eq!(code, 0, "{output}");

        lab.remap("server");
        let start = Instant::now();
        loop {
            let (code, output) = visit().await;
            if code == 0 {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "{output}");
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    eprintln!(
        "a server is reachable {:.1} s after its router's mapping has changed, at the latest after {:.1} s",
        seconds(times.get(times.len() / 2)),
        seconds(times.last()),
    );
}

/// Links with tunnels in them take less than the 1,200 bytes that streams begin with. Behind a firewall that
/// drops fragments, what was sent has to be sent anew in smaller packets.
#[tokio::test(flavor = "multi_thread")]
async fn homes_that_take_small_packets_only_are_served() {
    for (run, (home, whole)) in
        [("server", false), ("client", false), ("server", true), ("client", true)].into_iter().enumerate()
    {
        let Some(lab) = Lab::start().await else {
            return;
        };
        lab.pair(Kind::Restricted, Kind::Restricted);
        lab.mtu(home, 576);
        if whole {
            lab.whole(home);
        }
        let (_server, key) = lab.server("server", &format!("small-{run}"), &[]).await;
        let bio = "Writes programs for engines that do not exist yet. ".repeat(9);
        let words = ["register", "--name", "Ada", "--bio", &bio];
        let (code, output) = lab.client_within("10s", "client", &key, &words).await;
        assert_eq!(code, 0, "{home}, whole packets only: {whole}: {output}");
    }
}

/// What is under way is too large for the path then, and no router reports it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_outlives_a_path_that_takes_less_than_before() {
    let Some(peer) = peer() else {
        return;
    };
    for home in ["server", "client"] {
        for (bytes, megabytes) in [(1280, "300"), (1000, "300"), (576, "120")] {
            let Some(lab) = Lab::start().await else {
                return;
            };
            lab.pair(Kind::Restricted, Kind::Restricted);
            let mut server = lab.program("server", &peer, &["server", &lab.bootstrap, "sink"]);
            let key = server.first_line().await;
            let key = key.strip_prefix("key ").unwrap();
            let words = ["client", &lab.bootstrap, key, "stream", megabytes];
            let mut client = lab.program("client", &peer, &words);
            let counter = "/sys/class/net/eth0/statistics/tx_bytes";
            let line = format!("sh -c 'until [ $(cat {counter}) -gt 20000000 ]; do :; done; echo sent'");
            assert_eq!(lab.shell("client", &line).first_line().await, "sent");
            lab.mtu(home, bytes);
            let start = Instant::now();
            let line = client.first_line().await;
            assert!(line.starts_with("stream "), "{home}, {bytes} bytes: {line}");
            eprintln!("{home} takes {bytes} bytes: {line} after {:.1} s", start.elapsed().as_secs_f64());
        }
    }
}

/// Returns the path of the measuring peer.
fn peer() -> Option<String> {
    let peer = Path::new(NODE).with_file_name("examples").join("peer");
    if !peer.exists() {
        assert!(std::env::var_os("CI").is_none(), "the examples are not built");
        eprintln!("SKIPPED: the examples are not built: cargo build --examples");
        return None;
    }
    Some(peer.to_str().unwrap().to_owned())
}

/// Eight seconds are nothing to any connection. Half a minute is more than the usual time-out, and what an
/// application may choose to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_an_interface_that_is_down() {
    let Some(peer) = peer() else {
        return;
    };
    let Some(lab) = Lab::start().await else {
        return;
    };
    lab.pair(Kind::Restricted, Kind::Restricted);
    let mut server = lab.program("server", &peer, &["server", &lab.bootstrap, "patient"]);
    let key = server.first_line().await;
    let key = key.strip_prefix("key ").unwrap();
    for (seconds, idle_timeout) in [(8, "20"), (30, "60")] {
        let mut client = lab.program("client", &peer, &["client", &lab.bootstrap, key, "hold", idle_timeout]);
        assert_eq!(client.first_line().await, "echo");
        lab.down("client");
        // The length of the outage is what is tried.
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        lab.up("client");
        // What was printed before the interface went down may still come.
        let start = Instant::now();
        let mut echoes = 0;
        while echoes < 20 {
            assert_eq!(client.first_line().await, "echo", "{seconds} s");
            echoes += 1;
            assert!(start.elapsed() < DEADLINE, "{echoes} echoes after {seconds} s");
        }
        eprintln!(
            "{seconds} s without an interface: {:.1} s for 20 more echoes",
            start.elapsed().as_secs_f64()
        );
    }
}
