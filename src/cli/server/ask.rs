//! Asks a server that runs, through the socket in its folder. `control` describes what travels.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::super::exit::{Exit, Failure};
use super::admin::{Answer, Request};

/// The backup that a running server sends.
pub(super) type Backup = BufReader<BlockingStream>;

/// Asks the server of a folder for a backup. Returns `None` if none runs there. Blocks.
pub(super) fn backup(data: &Path) -> Result<Option<Backup>, Failure> {
    let Some((first, answer)) = ask(data, &format!("{OLD_GREETING} {BACKUP}"))? else {
        return Ok(None);
    };
    match first.strip_prefix("error ") {
        None if first == "ok" => Ok(Some(answer)),
        // Whatever else it answers is shown as it is.
        refusal => {
            let what = format!("the server refuses: {}", refusal.unwrap_or(&first));
            Err(Failure::new(Exit::Storage, what))
        }
    }
}

/// Asks the server of a folder. Returns `None` if none runs there. Blocks.
pub(super) fn request(data: &Path, request: &Request) -> Result<Option<Answer>, Failure> {
    let text = serde_json::to_string(request).map_err(|error| Failure::from_error(Exit::Internal, error))?;
    let Some((first, answer)) = ask(data, &format!("{GREETING} {text}"))? else {
        return Ok(None);
    };
    if first != "ok" {
        return Err(refusal(&first));
    }
    let mut lines = Vec::new();
    for line in answer.lines() {
        let line = line.map_err(|error| unreachable_server(data, &error))?;
        let mut line: Value = serde_json::from_str(&line)
            .map_err(|error| Failure::new(Exit::Protocol, format!("the server has sent no JSON: {error}")))?;
        if line["end"] == true {
            return Ok(Some(Answer { lines, next: line["next"].take() }));
        }
        lines.push(line);
    }
    Err(unreachable_server(data, &io::ErrorKind::UnexpectedEof.into()))
}

/// Reads a refusal, of an older server as well.
fn refusal(line: &str) -> Failure {
    let told = line.strip_prefix("error ").unwrap_or(line);
    let Ok(Value::Object(refusal)) = serde_json::from_str(told) else {
        return Failure::new(Exit::Storage, format!("the server refuses: {told}")).hint(RESTART);
    };
    let exit =
        refusal.get("exit").and_then(Value::as_u64).and_then(|code| Exit::of(u8::try_from(code).ok()?));
    let text = |name| refusal.get(name).and_then(Value::as_str);
    let failure = Failure::new(exit.unwrap_or(Exit::Storage), text("message").unwrap_or(told));
    match text("hint") {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Sends a line to the server of a folder. Returns the first line of its answer and what follows, `None` if
/// no server runs there.
fn ask(data: &Path, line: &str) -> Result<Option<(String, Backup)>, Failure> {
    let failed = |error: io::Error| unreachable_server(data, &error);
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
    writeln!(&stream, "{line}").map_err(failed)?;
    let mut answer = BufReader::new(stream);
    let mut first = String::new();
    answer.read_line(&mut first).map_err(failed)?;
    match first.trim_end() {
        "" => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        first => Ok(Some((first.to_owned(), answer))),
    }
}

fn unreachable_server(data: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot ask the server at {}: {error}", data.join(NAME).display());
    Failure::new(Exit::Storage, what).hint("run this as the user of the server, or stop the server first")
}

/// Calls `act` with the path of the socket. A path is longer than an address can hold where the folder is
/// deep; then it goes through the folder's descriptor.
pub(super) fn reach<T>(data: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = data.join(NAME);
    if path.as_os_str().len() <= MAX_PATH {
        return act(&path);
    }
    let folder = fs::File::open(data)?;
    act(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())))
}

/// Returns the number of this user.
pub(super) fn own_user() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

/// The name of the socket in the folder of the server's data.
pub(super) const NAME: &str = "control";
/// How a request begins: the protocol and its version.
pub(super) const GREETING: &str = "hyperprofile 2";
/// How that of a backup begins, the only one of version 1.
pub(super) const OLD_GREETING: &str = "hyperprofile 1";
/// What to do about a server that does not know a command.
pub(super) const RESTART: &str = "the server may be of another version than this program: restart it";
/// The command that returns a backup.
pub(super) const BACKUP: &str = "backup";
/// Longest path of a socket: an address of the system holds 107 bytes.
const MAX_PATH: usize = 100;
/// Longest time for a request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that a side does not take, or send, anything of a backup. What is written to the store
/// meanwhile is kept in memory.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_exit_code_and_that_of_an_older_server_is_shown_as_it_is() {
        let refused = refusal(r#"error {"exit":8,"message":"it has no profile","hint":null}"#);
        assert_eq!((refused.exit, refused.hint), (Exit::NotRegistered, None));
        assert_eq!(refused.error.to_string(), "it has no profile");
        let refused = refusal(r#"error {"exit":2,"message":"wrong","hint":"correct it"}"#);
        assert_eq!((refused.exit, refused.hint.as_deref()), (Exit::Usage, Some("correct it")));
        let older = refusal("error this server does not know the command");
        assert_eq!((older.exit, older.hint.as_deref()), (Exit::Storage, Some(RESTART)));
        assert_eq!(older.error.to_string(), "the server refuses: this server does not know the command");
        for odd in ["", "hello", "error []", r#"error {"exit":99}"#, r#"error {"exit":-1,"message":7}"#] {
            assert_eq!(refusal(odd).exit, Exit::Storage, "{odd}");
        }
    }
}
