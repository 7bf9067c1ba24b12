//! How other commands reach a server that runs: a socket in its folder.
//!
//! A request is a line. `hyperprofile 1 backup` is answered with the line `ok` and a backup, or with the line
//! `error` and a sentence. `hyperprofile 2` and a request of the operator in JSON are answered with the line
//! `ok`, lines of JSON, and `{"end":true,"next":…}`, or with the line `error` and an object with `exit`,
//! `message` and `hint`. Only the user of the server, and root, get an answer.

use std::fs;
use std::io::{self, BufWriter};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::super::exit::{Exit, Failure};
use super::admin::{Answer, Operator};
use super::ask::{
    BACKUP, GREETING, NAME, OLD_GREETING, REQUEST_TIMEOUT, RESTART, WRITE_TIMEOUT, own_user, reach,
};
use super::snapshot::write_snapshot;

/// The socket of a running server.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
}

/// The name of the socket, which is removed when this is dropped: before the store is unlocked, so that it is
/// not another server's.
#[derive(Debug)]
pub(super) struct Name(PathBuf);

impl Control {
    /// Listens in a folder, whose store is locked: a socket that is there was left by a crash.
    pub(super) fn listen(data: &Path) -> io::Result<(Self, Name)> {
        let path = data.join(NAME);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(&path)?,
            Ok(_) => {
                let what = format!("{} is not a socket", path.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
            }
            // Whatever else is wrong, binding reports it.
            Err(_) => {}
        }
        let listener = reach(data, |path| UnixListener::bind(path))?;
        let name = Name(path);
        fs::set_permissions(&name.0, fs::Permissions::from_mode(0o600))?;
        Ok((Self { listener }, name))
    }

    /// Answers until it is dropped.
    pub(super) async fn serve(&self, operator: &Arc<Operator>) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "the control socket accepts no connection");
                    tokio::time::sleep(REQUEST_TIMEOUT).await;
                    continue;
                }
            };
            let operator = Arc::clone(operator);
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = answer(stream, operator).await {
                    warn!(%error, "a command was not answered");
                }
            });
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // What is left does no harm: the next server removes it.
        let _ = fs::remove_file(&self.0);
    }
}

async fn answer(mut stream: UnixStream, operator: Arc<Operator>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if own_user().is_none_or(|own| !may_command(peer, own)) {
        warn!(user = peer, "a command of another user was refused");
        return Ok(());
    }
    let request = timeout(REQUEST_TIMEOUT, read_request(&mut stream)).await??;
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let runtime = Handle::current();
    // What carries a command out waits for files.
    let answered = tokio::task::spawn_blocking(move || {
        let output = BufWriter::new(stream);
        match request.strip_prefix(GREETING).map(str::trim) {
            Some(request) => {
                let answer = match serde_json::from_str(request) {
                    Ok(request) => runtime.block_on(operator.carry_out(Some(peer), &request)),
                    Err(error) => Err(unknown(&error)),
                };
                send(answer, output)
            }
            None if request.strip_prefix(OLD_GREETING).map(str::trim) == Some(BACKUP) => {
                send_backup(&runtime, &operator, output)
            }
            None => refuse(output, "this server does not know the command"),
        }
    });
    answered.await?
}

/// Makes the failure for a request of a newer program, or of none.
fn unknown(error: &serde_json::Error) -> Failure {
    Failure::new(Exit::Usage, format!("this server does not know the command: {error}")).hint(RESTART)
}

fn send(answer: Result<Answer, Failure>, mut output: impl io::Write) -> io::Result<()> {
    match answer {
        Ok(Answer { lines, next }) => {
            writeln!(output, "ok")?;
            for line in lines {
                writeln!(output, "{line}")?;
            }
            writeln!(output, "{}", json!({"end": true, "next": next}))?;
        }
        Err(Failure { exit, error, hint, .. }) => {
            let refusal = json!({"exit": exit.code(), "message": error.to_string(), "hint": hint});
            writeln!(output, "error {refusal}")?;
        }
    }
    output.flush()
}

fn send_backup(runtime: &Handle, operator: &Operator, mut output: impl io::Write) -> io::Result<()> {
    let store =
        runtime.block_on(operator.store()).map_err(|failure| io::Error::other(failure.error.to_string()))?;
    match runtime.block_on(store.snapshot()) {
        Ok(snapshot) => {
            writeln!(output, "ok")?;
            let (mut output, closing) = write_snapshot(snapshot, output).map_err(io::Error::other)?;
            output.flush()?;
            info!(
                profiles = closing.records,
                deleted = closing.deleted,
                moved = closing.moved,
                "backup sent"
            );
            Ok(())
        }
        Err(error) => refuse(output, &error.to_string()),
    }
}

fn refuse(mut output: impl io::Write, why: &str) -> io::Result<()> {
    writeln!(output, "error {why}")?;
    output.flush()
}

async fn read_request(stream: &mut UnixStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\n") {
        if request.len() >= MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        request.push(stream.read_u8().await?);
    }
    String::from_utf8(request).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Returns whether a user may give commands to a server of another one.
const fn may_command(user: u32, server: u32) -> bool {
    user == server || user == 0
}

/// Connections at a time; further ones wait.
const MAX_CONNECTIONS: usize = 4;
/// Most bytes of a request.
const MAX_REQUEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::super::super::config;
    use super::super::super::store::ServerStore;
    use super::super::admin::{Lists, Live, Reloader};
    use super::super::args::Arguments;
    use super::super::ask::backup;
    use super::super::place::Place;
    use super::*;
    use crate::profile::backup::Reader;
    use crate::profile::{Service, ServiceConfig, SledStore};
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream as BlockingStream;

    /// A server without clients in a folder.
    struct Server {
        folder: tempfile::TempDir,
        data: PathBuf,
        name: Name,
        task: tokio::task::JoinHandle<()>,
    }

    impl Server {
        fn start(deeper: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join(deeper);
            let store = Arc::new(ServerStore::from(SledStore::open(&data.join("profiles")).unwrap()));
            let lists = Lists::of(&data, None);
            let service = Service::new(store, ServiceConfig::default());
            let typed = ["profile-server", "--config", "/dev/null"].map(Into::into);
            let effective = config::load::<Arguments>(&typed).unwrap();
            let key = crate::PublicKey::from_bytes([7; 32]);
            let reloader = Reloader::new(effective.settings(), &effective.arguments, &key);
            let live = Live::begin(service, &lists, reloader).unwrap();
            let operator = Arc::new(Operator::running(Place::usual(&data), lists, live));
            let (control, name) = Control::listen(&data).unwrap();
            let task = tokio::spawn(async move { control.serve(&operator).await });
            Self { folder, data, name, task }
        }

        /// Sends bytes and returns the answer.
        async fn send(&self, request: &[u8]) -> String {
            let (data, request) = (self.data.clone(), request.to_vec());
            let sent = tokio::task::spawn_blocking(move || {
                let mut stream = reach(&data, |path| BlockingStream::connect(path)).unwrap();
                // The server may have closed before it has taken everything.
                let _ = stream.write_all(&request);
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer);
                answer
            });
            sent.await.unwrap()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_command_gets_no_backup() {
        let server = Server::start("data");
        assert!(server.send(b"hyperprofile 1 backup\n").await.starts_with("ok\n{\"hyperprofile-backup"));
        for request in
            ["hyperprofile 1 erase\n", "hyperprofile 2 backup\n", "hyperprofile 2 {}\n", "backup\n", "\n"]
        {
            assert!(server.send(request.as_bytes()).await.starts_with("error "), "{request}");
        }
        let long = [b'x'; 2 * MAX_REQUEST];
        for request in [&b""[..], b"hyperprofile 1 backup", b"\xff\xff\n", &long] {
            assert_eq!(server.send(request).await, "", "{request:?}");
        }
        // All places were given back.
        assert!(server.send(b"hyperprofile 1 backup\n").await.starts_with("ok\n"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_is_found_by_its_folder_while_it_runs() {
        for deeper in ["data", &"deep/".repeat(30)] {
            let server = Server::start(deeper);
            let data = server.data.clone();
            let answer = tokio::task::spawn_blocking(move || backup(&data)).await.unwrap();
            let entries = answer.unwrap().map(|answer| Reader::new(answer).map(Result::unwrap).count());
            assert_eq!(entries, Some(0), "{deeper}");
            let mode = fs::metadata(server.data.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            server.task.abort();
            assert!(server.task.await.unwrap_err().is_cancelled());
            drop(server.name);
            assert!(backup(&server.data).unwrap().is_none());
            assert!(!server.data.join(NAME).exists());
            drop(server.folder);
        }
    }

    #[tokio::test]
    async fn a_socket_that_a_crash_left_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        assert!(backup(folder.path()).unwrap().is_none());
        drop(Control::listen(folder.path()).unwrap());
        fs::write(folder.path().join(NAME), "precious").unwrap();
        assert!(Control::listen(folder.path()).is_err());
        assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), b"precious");
    }

    #[test]
    fn only_the_servers_user_and_root_give_commands() {
        assert!(may_command(1000, 1000) && may_command(0, 1000) && may_command(0, 0));
        assert!(!may_command(1001, 1000) && !may_command(1000, 0));
    }
}
