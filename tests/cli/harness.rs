//! Starts the programs and reads what they print.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long anything may take before a test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_profile-client");
pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_profile-server");
pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_dht-node");
#[allow(dead_code, reason = "a part of the tests alone runs it")]
pub(crate) const TOOL: &str = env!("CARGO_BIN_EXE_hyperdht");

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Returns the one object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Fails unless the program ended with a code; returns itself.
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails unless the program ended with a code and, on standard output, an error of a kind.
    pub(crate) fn failed(self, code: i32, kind: &str) {
        let outcome = self.ended(code);
        assert_eq!(outcome.json()["error"]["kind"], kind, "{outcome:#?}");
    }
}

/// Runs a program to its end.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> Outcome {
    Running::start(program, arguments).end().await
}

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, env!("CARGO_TARGET_TMPDIR"))
    }

    /// Starts a program as another user, which takes root.
    #[cfg(unix)]
    #[allow(dead_code, reason = "only attacks run as another user")]
    pub(crate) fn start_as(program: &str, arguments: &[&str], user: u32) -> Self {
        let mut command = Command::new(program);
        command.uid(user).gid(user);
        Self::spawn(command, arguments, env!("CARGO_TARGET_TMPDIR"), Stdio::piped())
    }

    /// Starts a program with more in its environment.
    #[allow(dead_code, reason = "a part of the tests alone has more there")]
    pub(crate) fn start_in(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.envs(environment.iter().copied());
        Self::spawn(command, arguments, env!("CARGO_TARGET_TMPDIR"), Stdio::piped())
    }

    /// Starts a program with a standard error that the test does not read.
    #[allow(dead_code, reason = "a part of the tests alone looks at diagnostics")]
    pub(crate) fn start_unheard(program: &str, arguments: &[&str], errors: Stdio) -> Self {
        Self::spawn(Command::new(program), arguments, env!("CARGO_TARGET_TMPDIR"), errors)
    }

    /// Starts a program with a cache folder of its own.
    pub(crate) fn start_with(program: &str, arguments: &[&str], cache: &str) -> Self {
        Self::spawn(Command::new(program), arguments, cache, Stdio::piped())
    }

    fn spawn(mut command: Command, arguments: &[&str], cache: &str, errors: Stdio) -> Self {
        let mut child = command
            .args(arguments)
            .env("XDG_CACHE_HOME", cache)
            // No configuration of the person who runs the tests.
            .env("XDG_CONFIG_HOME", Path::new(cache).join("config"))
            .env_remove("HYPERDHT_BOOTSTRAP")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Waits for the next line on standard output.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(DEADLINE, self.stdout.read_line(&mut line)).await;
        read.expect("a line in time").unwrap();
        assert!(line.ends_with('\n'), "no line: {line:?}");
        line.trim_end().to_owned()
    }

    /// Sends a signal, as a shell does.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the program runs").to_string();
        let sent = Command::new("kill").args([name, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits until the program ends.
    pub(crate) async fn end(mut self) -> Outcome {
        let mut stderr = self.child.stderr.take();
        let (mut out, mut err) = (String::new(), String::new());
        let all = async {
            let errors = async {
                match &mut stderr {
                    Some(stderr) => stderr.read_to_string(&mut err).await,
                    None => Ok(0),
                }
            };
            tokio::try_join!(self.stdout.read_to_string(&mut out), errors).unwrap();
            self.child.wait().await.unwrap()
        };
        let status = timeout(DEADLINE, all).await.expect("an end in time");
        Outcome { code: status.code().unwrap_or(-1), stdout: out, stderr: err }
    }
}

/// A person with an identity file.
pub(crate) struct Person {
    folder: TempDir,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the client with this identity and `--json`; `words` is split at spaces.
    pub(crate) async fn run(&self, words: &str) -> Outcome {
        let identity = self.path("identity");
        let mut arguments = vec!["--json", "--identity", text(&identity)];
        arguments.extend(words.split(' ').filter(|word| !word.is_empty()));
        let cache = self.path("cache");
        Running::start_with(CLIENT, &arguments, text(&cache)).end().await
    }

    pub(crate) async fn key(&self) -> String {
        let key = &self.run("whoami").await.ended(0).json()["public_key"];
        key.as_str().unwrap().to_owned()
    }
}

/// Returns a port that is free at the moment.
#[allow(dead_code, reason = "a part of the tests alone names ports")]
pub(crate) fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
