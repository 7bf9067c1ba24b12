//! Questions at the terminal, asked while no connection is open: a server does not wait for people.

use std::io::IsTerminal as _;

use dialoguer::{Confirm, Input};

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::args::Arguments;
use crate::profile::{Profile, ProfileDraft};

/// Returns whether a person can be asked.
pub(super) fn may_ask(arguments: &Arguments) -> bool {
    !arguments.no_input
        && !arguments.json
        && std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal()
}

/// Asks for a first profile until it is a valid one.
pub(super) async fn profile(output: Output) -> Result<Profile, Failure> {
    blocking(move || {
        let ask = |what: &str, required: bool| {
            Input::<String>::new().with_prompt(what).allow_empty(!required).interact_text().map_err(failed)
        };
        let mut draft = ProfileDraft::default();
        loop {
            draft.name = ask("Name", true)?;
            draft.bio = ask("Bio (may be empty)", false)?;
            let link = ask("Link (may be empty)", false)?;
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
pub(super) async fn sure(question: &'static str) -> Result<bool, Failure> {
    blocking(move || Confirm::new().with_prompt(question).default(false).interact().map_err(failed)).await
}

/// Runs what waits for a person on a thread of its own, so that Ctrl-C is noticed meanwhile.
pub(super) async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(question).await.map_err(|error| Failure::from_error(Exit::Internal, error))?
}

fn failed(error: dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    match error.kind() {
        std::io::ErrorKind::Interrupted => Failure::new(Exit::Interrupted, "interrupted"),
        _ => Failure::from_error(Exit::Usage, error).hint("give the answers as arguments, see --help"),
    }
}
