//! A PostgreSQL cluster in a temporary folder. `src/profile/postgres_store` uses this file as well.

// Each test binary uses a part.
#![allow(dead_code)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::Rng as _;

/// What TCP connections need. Those to the Unix socket need none.
pub(crate) const PASSWORD: &str = "do not show this";

/// A cluster that runs until it is dropped or the test process has ended; then its folder is removed.
pub(crate) struct Cluster {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    bin: PathBuf,
    server: Mutex<Option<Server>>,
    databases: AtomicU32,
}

/// A shell that has started the server and signals it.
struct Server {
    shell: Child,
    output: JoinHandle<()>,
}

impl Cluster {
    /// Makes a cluster and starts it. `None`, with a message, if PostgreSQL is not installed; on CI that
    /// fails.
    pub(crate) fn start() -> Option<Self> {
        Self::make(|cluster| {
            let password = cluster.folder.join("password");
            std::fs::write(&password, PASSWORD).unwrap();
            let mut initdb = cluster.program("initdb");
            initdb.args(["--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]);
            initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
            initdb.arg(format!("--pwfile={}", password.display())).arg("--pgdata").arg(cluster.data());
            output(initdb);
        })
    }

    /// Starts a cluster whose data `prepare` makes in [`Self::data`]. `None` as [`Self::start`].
    pub(crate) fn make(prepare: impl FnOnce(&Self)) -> Option<Self> {
        let Some(bin) = bin() else {
            let missing = "PostgreSQL is not installed: run `apt-get install postgresql`";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap().keep();
        if let Some((user, group)) = user() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let (server, databases) = (Mutex::default(), AtomicU32::new(0));
        let cluster = Self { folder, port: free_port(), bin, server, databases };
        prepare(&cluster);
        let settings = "shared_buffers = 16MB\nlisten_addresses = '127.0.0.1'\n";
        cluster.configure(settings);
        cluster.run();
        Some(cluster)
    }

    /// Makes a standby of a cluster, which acknowledges what is committed there once that is configured.
    pub(crate) fn standby_of(primary: &Self) -> Option<Self> {
        Self::make(|standby| standby.copy(primary))
    }

    /// Begins anew as a standby of another cluster. This one does not run.
    pub(crate) fn follow(&self, primary: &Self) {
        std::fs::remove_dir_all(self.data()).unwrap();
        self.copy(primary);
        self.run();
    }

    fn copy(&self, primary: &Self) {
        let mut copy = self.program("pg_basebackup");
        copy.args(["--username=postgres", "--checkpoint=fast", "--write-recovery-conf", "--no-sync"]);
        copy.arg("--host").arg(&primary.folder).arg(format!("--port={}", primary.port));
        copy.arg("--pgdata").arg(self.data());
        output(copy);
    }

    /// Makes a primary of a standby, and waits until it is one.
    pub(crate) fn promote(&self) {
        assert_eq!(self.sql("postgres", "SELECT pg_promote()"), "t");
    }

    /// Returns the folder of its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Appends lines to its configuration, which hold from the next start or reload on.
    pub(crate) fn configure(&self, lines: &str) {
        let file = std::fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        file.unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Makes an empty database and returns its name.
    pub(crate) fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Returns the URL of a database over TCP, with the password.
    pub(crate) fn url(&self, database: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!("postgres://postgres:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements in a database over the Unix socket and returns what `psql` prints.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        psql.args(["--username=postgres", "--dbname", database, "--command", statements]);
        psql.arg("--host").arg(&self.folder).arg(format!("--port={}", self.port));
        output(psql)
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) fn run(&self) {
        let mut shell = Command::new("sh");
        // The end of its input is the end of the test. A background job does not read that input.
        shell.args(["-c", SHELL, "sh"]).arg(&self.folder).arg(self.bin.join("postgres"));
        shell.arg("-D").arg(self.data()).arg("-k").arg(&self.folder).arg(format!("-p{}", self.port));
        let mut shell = self.as_user(shell);
        // A process that waits for a standby prompts there when the server dies.
        shell.stdout(Stdio::null());
        let mut shell = shell.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (ready, is_ready) = mpsc::channel();
        let lines = BufReader::new(shell.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let output = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.map_while(Result::ok) {
                    if line.contains("ready to accept") {
                        // Read until the timeout alone.
                        let _ = ready.send(());
                    }
                    log.lock().unwrap().push(line);
                }
            }
        });
        let is_ready = is_ready.recv_timeout(Duration::from_secs(60));
        assert!(is_ready.is_ok(), "PostgreSQL does not start: {:#?}", log.lock().unwrap());
        *self.server.lock().unwrap() = Some(Server { shell, output });
    }

    /// Ends the server in order, as the system does when it shuts down.
    pub(crate) fn stop(&self) {
        self.signal("INT");
    }

    /// Kills the server with `kill -9`; its other processes end when they notice.
    pub(crate) fn kill(&self) {
        self.signal("KILL");
    }

    /// Sends a signal to the server and waits until all its processes have ended.
    fn signal(&self, signal: &str) {
        let Server { mut shell, output } = self.server.lock().unwrap().take().expect("it runs");
        shell.stdin.take().unwrap().write_all(format!("{signal}\n").as_bytes()).unwrap();
        shell.wait().unwrap();
        // Each of them has the same standard error, which is at its end with the last one.
        output.join().unwrap();
    }

    /// Returns a command that runs a program of PostgreSQL as the user that owns the folder.
    pub(crate) fn program(&self, name: &str) -> Command {
        self.as_user(Command::new(self.bin.join(name)))
    }

    /// Returns a command that runs a script as that user, in the folder.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]);
        self.as_user(shell)
    }

    fn as_user(&self, mut command: Command) -> Command {
        if let Some((user, group)) = user() {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder).env("LC_ALL", "C");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.server.lock().unwrap().take() {
            Some(Server { mut shell, .. }) => {
                drop(shell.stdin.take());
                shell.wait().unwrap();
            }
            None => std::fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// Sends the signal that its input names to the program that it starts; at the end of its input it ends the
/// program and removes the folder.
const SHELL: &str = r#"
folder=$1; shift
"$@" & server=$!
if read -r signal; then
    kill -"$signal" $server; wait $server
else
    kill -QUIT $server; wait $server; rm -rf "$folder"
fi 2>/dev/null"#;

/// Runs a command to its end and returns what it has printed.
pub(crate) fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Returns the folder of the programs of the newest PostgreSQL.
fn bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = versions.into_iter().rev().chain(std::env::split_paths(&path));
    folders.find(|folder| folder.join("initdb").is_file())
}

/// Returns the user that the server runs as in place of root, which it refuses: that of the package.
fn user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap();
    let postgres = users.lines().find(|line| line.starts_with("postgres:")).expect("the user of the package");
    let mut ids = postgres.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next()?, ids.next()?))
}

/// Returns a port that the system gives to no connection by itself.
fn free_port() -> u16 {
    let mut chance = rand::thread_rng();
    let mut ports = std::iter::repeat_with(|| chance.gen_range(20_000..32_000));
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
