//! Networks that change under a server.

use std::time::{Duration, Instant};

use super::homes::{Kind, Lab, runs};

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
