//! Starts the peers in `tests/interop` and the programs, and reads what they print.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hyperprofile::api::{Dht, Mode, Testnet};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Longest time before a test gives up. No test waits for time to pass: on success it ends at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The installed versions of the reference, by the name that the scripts take in `HYPERDHT`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reference {
    /// 6.34.0.
    Latest,
    /// 6.32.0.
    V6_32,
}

impl Reference {
    fn package(self) -> &'static str {
        match self {
            Self::Latest => "hyperdht",
            Self::V6_32 => "hyperdht-6.32",
        }
    }
}

/// Returns whether the reference is installed. Without it a test is skipped with a message, but on CI it
/// fails.
pub(crate) fn reference_installed() -> bool {
    let installed = [Reference::Latest, Reference::V6_32]
        .iter()
        .all(|version| interop().join("node_modules").join(version.package()).is_dir());
    if !installed {
        let missing = "the JavaScript peers are not installed: run `npm ci` in tests/interop";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
    }
    installed
}

/// A running process whose lines are read. It is killed when this is dropped, and ends by itself when the
/// test process is gone.
pub(crate) struct Process {
    name: String,
    pub(crate) child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts a script of `tests/interop`.
    pub(crate) fn script(version: Reference, script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.arg(interop().join(script)).args(arguments).env("HYPERDHT", version.package());
        Self::start(format!("{script} {}", arguments.join(" ")), command)
    }

    /// Starts one of the programs.
    pub(crate) fn program(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(arguments).env_remove("HYPERDHT_BOOTSTRAP");
        let name = Path::new(path).file_name().unwrap().to_string_lossy();
        Self::start(format!("{name} {}", arguments.join(" ")), command)
    }

    /// Starts a command; `name` is for failures.
    pub(crate) fn start(name: String, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = mpsc::unbounded_channel();
        forward(child.stdout.take().unwrap(), "", sender.clone());
        forward(child.stderr.take().unwrap(), "stderr: ", sender);
        Self { name, child, lines, seen: Vec::new() }
    }

    /// Waits for a line that begins with a word and returns the rest of it.
    ///
    /// Panics with everything the process printed if it ends before or prints `failed`.
    pub(crate) async fn event(&mut self, word: &str) -> String {
        loop {
            let Some(line) = self.next_line().await else {
                panic!("ended without `{word}`: {}", self.report());
            };
            let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if first == word {
                return rest.to_owned();
            }
            assert!(first != "failed", "{}", self.report());
        }
    }

    /// Waits for the first line on standard output and returns it.
    pub(crate) async fn first_line(&mut self) -> String {
        loop {
            let Some(line) = self.next_line().await else {
                panic!("printed nothing: {}", self.report());
            };
            if !line.starts_with("stderr: ") {
                return line;
            }
        }
    }

    /// Waits for `count` lines on both outputs together, and returns them sorted: the order between the two
    /// is not determined.
    pub(crate) async fn sorted_lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            let Some(line) = self.next_line().await else {
                panic!("ended after {} lines: {}", lines.len(), self.report());
            };
            lines.push(line.strip_prefix("stderr: ").unwrap_or(&line).to_owned());
        }
        lines.sort();
        lines
    }

    /// Waits until the process ends; returns its exit code and what it printed on standard output.
    pub(crate) async fn end(mut self) -> (i32, String) {
        while self.next_line().await.is_some() {}
        let status = self.within(self.name.clone(), DEADLINE).await;
        let mut output = String::new();
        for line in self.seen.iter().filter(|line| !line.starts_with("stderr: ")) {
            writeln!(output, "{line}").unwrap();
        }
        (status, output)
    }

    /// Waits until the process ends and fails unless it ended well.
    pub(crate) async fn success(self) -> String {
        let name = self.name.clone();
        let (status, output) = self.end().await;
        assert_eq!(status, 0, "{name} printed:\n{output}");
        output
    }

    async fn within(&mut self, name: String, deadline: Duration) -> i32 {
        let status = tokio::time::timeout(deadline, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{name} does not end"));
        status.unwrap().code().unwrap_or(-1)
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(DEADLINE, self.lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("silent for too long: {}", self.report()))?;
        self.seen.push(line.clone());
        Some(line)
    }

    fn report(&self) -> String {
        format!("{} printed:\n{}", self.name, self.seen.join("\n"))
    }
}

/// Whose nodes a DHT is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nodes {
    /// Ten of the reference.
    Theirs,
    /// Ten of this crate.
    Ours,
    /// Five of this crate that bootstrap six of the reference.
    Mixed,
}

/// A DHT on loopback, running until it is dropped.
pub(crate) struct Network {
    /// Where to join, `127.0.0.1:PORT`.
    pub(crate) bootstrap: String,
    ours: Option<Testnet>,
    theirs: Option<Process>,
}

impl Network {
    /// Starts the nodes and waits until all of them are up.
    pub(crate) async fn start(nodes: Nodes, version: Reference) -> Self {
        let ours = match nodes {
            Nodes::Theirs => None,
            Nodes::Ours => Some(Testnet::new(10).await.unwrap()),
            Nodes::Mixed => Some(Testnet::new(5).await.unwrap()),
        };
        let mut bootstrap = ours.as_ref().map(|ours| ours.bootstrap().remove(0));
        let theirs = match (nodes, &bootstrap) {
            (Nodes::Ours, _) => None,
            (_, None) => Some(Process::script(version, "testnet.mjs", &["10"])),
            (_, Some(first)) => {
                let arguments = ["6", "--bootstrap", first];
                Some(Process::script(version, "testnet.mjs", &arguments))
            }
        };
        let mut network = Self { bootstrap: String::new(), ours, theirs };
        if let Some(theirs) = &mut network.theirs {
            let first = theirs.event("bootstrap").await;
            bootstrap = bootstrap.or(Some(first));
        }
        network.bootstrap = bootstrap.unwrap();
        network
    }

    /// Joins with an ephemeral node of this crate, like the nodes of the scripts.
    pub(crate) async fn guest(&self) -> Dht {
        let dht = Dht::builder()
            .bootstrap([self.bootstrap.as_str()])
            .bind("127.0.0.1:0")
            .mode(Mode::Ephemeral)
            .spawn()
            .await
            .unwrap();
        dht.bootstrapped().await.unwrap();
        dht
    }

    /// Ends the nodes in order.
    pub(crate) async fn close(self) {
        drop(self.theirs);
        if let Some(ours) = self.ours {
            ours.close().await;
        }
    }
}

fn forward(
    stream: impl AsyncRead + Unpin + Send + 'static,
    prefix: &'static str,
    sender: mpsc::UnboundedSender<String>,
) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if sender.send(format!("{prefix}{line}")).is_err() {
                break;
            }
        }
    });
}

/// Returns the folder of the scripts.
pub(crate) fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}
