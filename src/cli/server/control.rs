//! How other commands reach a server that runs: a socket in its folder.
//!
//! A request is a line, `hyperprofile 1` and a command. The answer is a line, `ok` or `error` and a sentence,
//! and what the command returns: for `backup` a backup. Only the user of the server, and root, get an answer.

use std::fs;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::super::exit::{Exit, Failure};
use super::snapshot::write_snapshot;
use crate::profile::SledStore;

/// What a running server sends.
pub(super) type Answer = BufReader<BlockingStream>;

/// The command that returns a backup.
pub(super) const BACKUP: &str = "backup";

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
    pub(super) async fn serve(&self, store: &Arc<SledStore>) {
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
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = answer(stream, &store).await {
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

async fn answer(mut stream: UnixStream, store: &SledStore) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if !may_command(peer, own_user()?) {
        warn!(user = peer, "a command of another user was refused");
        return Ok(());
    }
    let request = timeout(REQUEST_TIMEOUT, read_request(&mut stream)).await??;
    let refusal = match request.strip_prefix(GREETING).map(str::trim) {
        Some(BACKUP) => match store.snapshot().await {
            Ok(snapshot) => {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                return tokio::task::spawn_blocking(move || {
                    let mut output = BufWriter::new(stream);
                    output.write_all(b"ok\n")?;
                    let (mut output, closing) = write_snapshot(snapshot, output).map_err(io::Error::other)?;
                    output.flush()?;
                    info!(profiles = closing.records, deleted = closing.deleted, "backup sent");
                    Ok(())
                })
                .await?;
            }
            Err(error) => error.to_string(),
        },
        _ => "this server does not know the command".into(),
    };
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    writeln!(&stream, "error {refusal}")
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

/// Asks the server of a folder. Returns `None` if none runs there; else what follows `ok`. Blocks.
pub(super) fn ask(data: &Path, command: &str) -> Result<Option<Answer>, Failure> {
    let path = data.join(NAME);
    let failed = |error: io::Error| {
        let what = format!("cannot ask the server at {}: {error}", path.display());
        Failure::new(Exit::Storage, what).hint("run this as the user of the server, or stop the server first")
    };
    let stream = match reach(data, |path| BlockingStream::connect(path)) {
        Ok(stream) => stream,
        // No server, or one that was killed.
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    stream.set_read_timeout(Some(WRITE_TIMEOUT)).map_err(failed)?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT)).map_err(failed)?;
    writeln!(&stream, "{GREETING} {command}").map_err(failed)?;
    let mut answer = BufReader::new(stream);
    let mut first = String::new();
    answer.read_line(&mut first).map_err(failed)?;
    match first.trim_end() {
        "ok" => Ok(Some(answer)),
        "" => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        refusal => {
            // Whatever else it answers is shown as it is.
            let refusal = refusal.strip_prefix("error ").unwrap_or(refusal);
            Err(Failure::new(Exit::Storage, format!("the server refuses: {refusal}")))
        }
    }
}

/// Calls `act` with the path of the socket. A path is longer than an address can hold where the folder is
/// deep; then it goes through the folder's descriptor.
fn reach<T>(data: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = data.join(NAME);
    if path.as_os_str().len() <= MAX_PATH {
        return act(&path);
    }
    let folder = fs::File::open(data)?;
    act(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())))
}

/// Returns whether a user may give commands to a server of another one.
const fn may_command(user: u32, server: u32) -> bool {
    user == server || user == 0
}

fn own_user() -> io::Result<u32> {
    // The other end of this pair is this process.
    Ok(UnixStream::pair()?.0.peer_cred()?.uid())
}

/// The name of the socket in the folder of the server's data.
const NAME: &str = "control";
/// How a request begins: the protocol and its version.
const GREETING: &str = "hyperprofile 1";
/// Connections at a time; further ones wait.
const MAX_CONNECTIONS: usize = 4;
/// Most bytes of a request.
const MAX_REQUEST: usize = 256;
/// Longest path of a socket: an address of the system holds 107 bytes.
const MAX_PATH: usize = 100;
/// Longest time for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that a side does not take, or send, anything of a backup. What is written to the store
/// meanwhile is kept in memory.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::backup::Reader;
    use std::io::Read as _;

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
            let store = Arc::new(SledStore::open(&data.join("profiles")).unwrap());
            let (control, name) = Control::listen(&data).unwrap();
            let task = tokio::spawn(async move { control.serve(&store).await });
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
        for request in ["hyperprofile 1 erase\n", "hyperprofile 2 backup\n", "backup\n", "\n"] {
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
            let answer = tokio::task::spawn_blocking(move || ask(&data, BACKUP)).await.unwrap();
            let entries = answer.unwrap().map(|answer| Reader::new(answer).map(Result::unwrap).count());
            assert_eq!(entries, Some(0), "{deeper}");
            let mode = fs::metadata(server.data.join(NAME)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            server.task.abort();
            assert!(server.task.await.unwrap_err().is_cancelled());
            drop(server.name);
            assert!(ask(&server.data, BACKUP).unwrap().is_none());
            assert!(!server.data.join(NAME).exists());
            drop(server.folder);
        }
    }

    #[tokio::test]
    async fn a_socket_that_a_crash_left_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        assert!(ask(folder.path(), BACKUP).unwrap().is_none());
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
