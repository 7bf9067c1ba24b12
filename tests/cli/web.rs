//! The page for the operator: its options, its routes, and the page in a browser.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{NODE, Person, Running, SERVER, run, text};

/// A program with a page.
struct Page {
    program: Running,
    /// `http://IP:PORT/`.
    url: String,
}

impl Page {
    /// Starts a program, and reads the address of its page from what it prints.
    async fn of(program: &str, arguments: &str) -> Self {
        let line = format!("{arguments} --json --web 127.0.0.1:0");
        let mut program = Running::start(program, &line.split(' ').collect::<Vec<_>>());
        let event: Value = serde_json::from_str(&program.line().await).unwrap();
        assert_eq!(event["event"], "web", "{event}");
        let url = event["url"].as_str().unwrap().to_owned();
        Self { program, url }
    }

    async fn get(&self, path: &str) -> String {
        let address = self.url.strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Waits until the program prints that it listens; returns what it prints of that.
    async fn listening(&mut self) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.program.line().await).unwrap();
            if event["event"] == "listening" {
                return event;
            }
        }
    }

    async fn end(self) {
        self.program.signal("-TERM").await;
        self.program.end().await.ended(0);
    }
}

/// A server in a private network of its own, and its folder.
async fn server() -> (Page, Value, tempfile::TempDir, u16) {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::harness::free_port();
    let line = format!("--local={port} --data-dir {}", text(folder.path()));
    let mut page = Page::of(SERVER, &line).await;
    let listening = page.listening().await;
    (page, listening, folder, port)
}

#[tokio::test]
async fn a_server_shows_whether_it_is_ready_and_serves_the_numbers_of_its_store() {
    let (page, listening, _folder, port) = server().await;
    assert!(page.get("/readyz").await.ends_with("ready\n"));
    assert!(page.get("/healthz").await.ends_with("ok\n"));
    assert!(page.get("/metrics").await.contains("\nhyperprofile_profiles 0\n"));
    let key = listening["public_key_hex"].as_str().unwrap();
    let register = format!("--local={port} --server {key} register --name Ada");
    Person::new().run(&register).await.ended(0);
    let metrics = page.get("/metrics").await;
    for line in
        ["hyperprofile_profiles 1", "hyperprofile_writes_total 1", "hyperprofile_sync_seconds_count 1"]
    {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line}: {metrics}");
    }
    page.end().await;
}

#[tokio::test]
async fn a_server_without_a_network_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("--bootstrap 127.0.0.1:1 --data-dir {}", text(folder.path()));
    let page = Page::of(SERVER, &line).await;
    let answer = page.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    page.end().await;
}

#[tokio::test]
async fn options_that_would_show_the_page_to_others_or_nobody_are_refused() {
    let node = async |words: &str| {
        let line = format!("--new-network --bind 127.0.0.1:0 --json {words}");
        run(NODE, &line.split(' ').collect::<Vec<_>>()).await
    };
    let public = node("--web 0.0.0.0:0").await;
    let message = public.json()["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "--web 0.0.0.0:0 is not an address of this computer alone");
    public.failed(2, "usage");
    // The parser reports what it finds itself.
    for words in ["--web-public", "--web-host a", "--web here"] {
        node(words).await.ended(2);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (option, what) in [("--web", "the page"), ("--metrics", "metrics")] {
        let outcome = node(&format!("{option} {address}")).await;
        let message = outcome.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("cannot serve {what} at {address}")), "{message}");
        outcome.failed(1, "internal");
    }
}

#[tokio::test]
async fn a_page_for_others_is_served_where_that_is_asked_for() {
    let line = "--new-network --bind 127.0.0.1:0 --json --web 0.0.0.0:0 --web-public --web-host node.example";
    let mut node = Running::start(NODE, &line.split(' ').collect::<Vec<_>>());
    let event: Value = serde_json::from_str(&node.line().await).unwrap();
    let port = event["url"].as_str().unwrap().trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    for (host, status) in [("node.example", "200"), ("other.example", "403")] {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{host}");
    }
    node.signal("-TERM").await;
    node.end().await.ended(0);
}

#[tokio::test]
async fn every_number_of_the_dashboard_is_served() {
    let (page, ..) = server().await;
    let metrics = page.get("/metrics").await;
    let served: BTreeSet<_> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let dashboard = std::fs::read_to_string(root().join("packaging/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let expressions: Vec<_> = targets.flatten().map(|target| target["expr"].as_str().unwrap()).collect();
    let names: BTreeSet<_> = expressions
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| ["hyperdht_", "hyperprofile_", "process_"].iter().any(|start| word.starts_with(start)))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<_> = names.difference(&served).collect();
    assert!(missing.is_empty(), "{missing:?}");
    page.end().await;
}

/// What a person sees and hears, in a browser: see the script.
#[tokio::test]
async fn the_page_shows_what_happens_to_everyone() {
    if !can_browse() {
        return;
    }
    let (page, listening, _folder, port) = server().await;
    let node = Page::of(NODE, &format!("--bootstrap 127.0.0.1:{port} --nodes 2")).await;
    let script = root().join("tests/interop/page.mjs");
    let picture = std::env::var("HYPERPROFILE_PICTURE").unwrap_or_default();
    let key = listening["public_key_hex"].as_str().unwrap();
    let client = crate::harness::CLIENT;
    let browsed = Command::new("node")
        .args([text(&script), &page.url, &node.url, client, key, &port.to_string(), &picture])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let browsed = timeout(Duration::from_secs(300), browsed).await.expect("an end in time").unwrap();
    let said = String::from_utf8_lossy(&browsed.stdout) + String::from_utf8_lossy(&browsed.stderr);
    assert!(browsed.status.success(), "{said}");
    node.end().await;
    page.end().await;
}

/// Returns whether there is a browser. Without one the test is skipped with a message, but on CI it fails.
#[allow(clippy::print_stderr)]
fn can_browse() -> bool {
    let found = |program: &str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|at| at.join(program).is_file())
    };
    let is_installed = ["chromium", "chromedriver", "node"].into_iter().all(found)
        && root().join("tests/interop/node_modules/axe-core").is_dir();
    if !is_installed {
        let missing =
            "there is no browser: install chromium and chromium-driver, and run `npm ci` in tests/interop";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
    }
    is_installed
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
