//! Replaces the identity by a new one.
//!
//! The new one is on disk, beside the old one, before the server is asked, and the files change their names
//! after that. Each step can be done again, so a program that was killed goes on where it was. No file is
//! overwritten.

use std::path::Path;

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use super::super::output::Output;
use super::super::prompt;
use super::super::versions::VersionsFile;
use super::args::Arguments;
use super::dial::LastReport;
use super::identity::{self, Opened};
use super::names::{NEXT, change_names, old_name, with_end};
use super::publish;
use super::servers::{self, Server};
use super::visit::{Deadline, dial, node};
use crate::KeyPair;
use crate::profile::{Denied, MemoryVersions, ProfileClient};

/// Runs `identity rotate`: replaces the identity, or at a further server `from`, which it has replaced
/// before.
pub(super) async fn run(
    arguments: &Arguments,
    output: &Output,
    yes: bool,
    from: Option<&Path>,
) -> Result<(), Failure> {
    let path = identity::file(arguments)?;
    let next = with_end(&path, NEXT);
    if from.is_none() && !path.exists() && next.exists() {
        // The server was asked before.
        let new = identity::open(&next, arguments)?.ok_or_else(|| identity::missing(&next))?;
        change_names(&path, &next, None)?;
        identity::print(&new.key_pair, &path, output);
        return Ok(());
    }
    let Some(server) = &arguments.server else {
        return Err(Failure::new(Exit::Usage, servers::needed()?));
    };
    let own = identity::open(&path, arguments)?.ok_or_else(|| identity::missing(&path))?;
    match from {
        Some(from) => at_another(arguments, output, server, &path, &own.key_pair, from).await,
        None => replace(arguments, output, server, &path, own, yes).await,
    }
}

async fn replace(
    arguments: &Arguments,
    output: &Output,
    server: &Server,
    path: &Path,
    own: Opened,
    yes: bool,
) -> Result<(), Failure> {
    let next = with_end(path, NEXT);
    let begun = identity::open_with(&next, own.passphrase.as_ref(), arguments)?;
    match &begun {
        Some(_) => output.note("going on where the program was interrupted"),
        None if !yes => {
            if !arguments.may_ask() {
                let what = "replacing the identity needs --yes";
                return Err(Failure::new(Exit::Usage, what));
            }
            output
                .note("your profile moves to a new key; the one that you have now can do nothing after that");
            if !prompt::sure("Replace your identity by a new one?").await? {
                return Ok(());
            }
        }
        None => {}
    }
    let make = || match begun {
        Some(begun) => Ok(begun.key_pair),
        None => {
            let made = KeyPair::generate();
            identity::save(&next, &made, own.passphrase.as_ref(), arguments)?;
            Ok(made)
        }
    };
    let new = ask(arguments, output, server, &own.key_pair, &next, make).await?;
    let old = old_name(path, own.key_pair.public_key());
    change_names(path, &next, Some(&old))?;
    output.note(&format!("the old identity is kept in {}", old.display()));
    output.note(&format!(
        "if you use other servers, do the same there: profile-client --server KEY identity rotate --from {}",
        quoted(&old)
    ));
    output.note("write the new one down with: profile-client identity words");
    identity::print(&new, path, output);
    Ok(())
}

/// Replaces, at a further server, an identity that was replaced at another one.
async fn at_another(
    arguments: &Arguments,
    output: &Output,
    server: &Server,
    path: &Path,
    own: &KeyPair,
    from: &Path,
) -> Result<(), Failure> {
    let old = identity::open(from, arguments)?.ok_or_else(|| identity::missing(from))?.key_pair;
    if old.public_key() == own.public_key() {
        let what = format!("{} and {} hold the same identity", from.display(), path.display());
        return Err(Failure::new(Exit::Usage, what));
    }
    ask(arguments, output, server, &old, path, || Ok(own.clone())).await?;
    output.note(&format!("your profile has moved from {}", old.public_key()));
    identity::print(own, path, output);
    Ok(())
}

/// Has a server move the profile of an old key to a new one, which is made when the server has answered and
/// remembers what the server has acknowledged beside its file.
async fn ask(
    arguments: &Arguments,
    output: &Output,
    server: &Server,
    old: &KeyPair,
    file: &Path,
    new: impl FnOnce() -> Result<KeyPair, Failure>,
) -> Result<KeyPair, Failure> {
    let dht = node(arguments).spawn().await?;
    let deadline = Deadline::after(arguments.timeout);
    let spinner = output.spinner(&format!("connecting to {server}"));
    let dial = dial(arguments, server, &dht, old, LastReport::default());
    // The old key signs nothing more than that it is replaced.
    let connected =
        deadline.bound(ProfileClient::connect(old.clone(), dial, MemoryVersions::default())).await;
    drop(spinner);
    let mut client = connected?;
    if client.record().is_none() && client.moved().is_empty() {
        let failure = Failure::from(Denied::NotRegistered);
        return Err(failure.hint("there is no profile to move: make another identity with identity new"));
    }
    let new = new()?;
    let mut versions = VersionsFile::beside(file, *new.public_key(), *server.public_key());
    let outcome = deadline.bound(client.rotate(&new, &mut versions)).await;
    client.close().await;
    // A node that was given the server's address is in no network.
    if outcome.is_ok() && arguments.server_addr.is_none() {
        let deadline = Deadline::after(arguments.timeout);
        if let Err(failure) = publish::replaced(&dht, deadline, output, old, &new).await {
            // The server has moved the profile all the same.
            let what = "careful: the DHT may still show what the old key has published: ";
            output.note_about(what, &failure.error.to_string());
        }
    }
    dht.close().await;
    match outcome {
        Ok(()) => Ok(new),
        Err(failure) => Err(explain(failure, file)),
    }
}

/// Adds what to do about a refused rotation.
fn explain(failure: Failure, file: &Path) -> Failure {
    match failure.kind {
        "moved" => failure.hint(
            "if you have not done that, somebody else has your key: begin anew with another --identity, and \
             let those know who look you up",
        ),
        "already_registered" => {
            let what =
                format!("the new identity in {} has, or had, a profile of its own there", file.display());
            let hint = "move that file away, and the identity is replaced by another new one";
            Failure::new(Exit::Invalid, what).kind("already_registered").hint(hint)
        }
        _ => failure,
    }
}
