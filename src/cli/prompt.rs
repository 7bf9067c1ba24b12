//! Questions at the terminal, asked while no connection is open: a server does not wait for people.

use std::io::{self, IsTerminal as _};

use super::exit::{Exit, Failure};
use super::stderr;

/// Returns whether a person can be asked: both ways lead to a terminal.
pub(super) fn may_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to go on.
pub(super) async fn sure(question: &'static str) -> Result<bool, Failure> {
    blocking(move || confirm(question)).await
}

/// Does the same on this thread.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    loop {
        match answer(&format!("{question} [y/N] "))?.to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => {}
        }
    }
}

/// Asks for a line. The terminal itself edits it: a program that changed the settings for that would leave
/// them changed when a signal ends it.
pub(super) fn answer(question: &str) -> Result<String, Failure> {
    stderr::ask(question);
    let mut line = String::new();
    let failure = match io::stdin().read_line(&mut line) {
        Ok(0) => Failure::new(Exit::Usage, "the input has ended without an answer"),
        Ok(_) => return Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => {
            let error = anyhow::Error::new(error).context("cannot read the answer");
            Failure::from_error(Exit::Usage, error)
        }
    };
    Err(failure.hint("give the answers as arguments, see --help"))
}

/// Runs what waits for a person on a thread of its own, so that Ctrl-C is noticed meanwhile.
pub(super) async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(question).await.map_err(|error| Failure::from_error(Exit::Internal, error))?
}
