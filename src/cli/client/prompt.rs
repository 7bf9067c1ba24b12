//! Questions at the terminal, asked while no connection is open: a server does not wait for people.

use std::io::{self, IsTerminal as _};

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::stderr;
use super::args::Arguments;
use crate::profile::{Profile, ProfileDraft};

/// Returns whether a person can be asked.
pub(super) fn may_ask(arguments: &Arguments) -> bool {
    !arguments.no_input && !arguments.json && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a first profile until it is a valid one.
pub(super) async fn profile(output: Output) -> Result<Profile, Failure> {
    blocking(move || {
        let mut draft = ProfileDraft::default();
        loop {
            draft.name = answer("Name: ")?;
            if draft.name.is_empty() {
                continue;
            }
            draft.bio = answer("Bio (may be empty): ")?;
            let link = answer("Link (may be empty): ")?;
            draft.links = Some(link).filter(|link| !link.is_empty()).into_iter().collect();
            match draft.clone().check() {
                Ok(profile) => return Ok(profile),
                Err(error) => output.note(&error.to_string()),
            }
        }
    })
    .await
}

/// Asks whether to go on.
pub(in super::super) async fn sure(question: &'static str) -> Result<bool, Failure> {
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
