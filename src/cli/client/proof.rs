//! Signed profiles as files.

use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::key_access::quoted;
use super::super::output::Output;
use super::super::prompt;
use super::super::show;
use super::args::Arguments;
use super::edit;
use super::visit::Visit;
use crate::PublicKey;
use crate::profile::Record;
use crate::profile::proof::{self, MAX_PROOF_TEXT, ProofError};

/// Writes the own profile, or that of another key, to a file.
pub(super) async fn export(
    mut visit: Visit<'_>,
    arguments: &Arguments,
    file: &Path,
    key: Option<&PublicKey>,
) -> Result<(), Failure> {
    let record = match (key, visit.client.record().cloned()) {
        (Some(key), _) => {
            let found = visit.deadline.bound(visit.client.lookup(*key)).await?;
            show::replaced(visit.output, &found.chain);
            found.record
        }
        (None, Some(record)) => record,
        (None, None) => return Err(visit.not_registered(arguments)),
    };
    let output = visit.output;
    if file == Path::new("-") {
        // The file is the output, so nothing else is.
        visit.leave().await;
        return write(file, &record).await;
    }
    write(file, &record).await?;
    let name = file.display().to_string();
    output.note(&format!("wrote version {} to {name}", record.version()));
    output.note(&format!("anyone can check it with: profile-client verify {}", quoted(file)));
    visit.end(json!({"public_key": record.key(), "version": record.version(), "file": name})).await
}

async fn write(file: &Path, record: &Record) -> Result<(), Failure> {
    let (name, text) = (file.to_owned(), proof::to_text(record));
    let written = prompt::blocking(move || {
        Ok(match name == Path::new("-") {
            true => io::stdout().lock().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()),
            false => std::fs::write(name, text),
        })
    });
    written.await?.map_err(|error| {
        let what = format!("cannot write {}", file.display());
        Failure::from_error(Exit::Usage, anyhow::Error::from(error).context(what))
    })
}

/// Checks a file and prints the profile in it.
pub(super) async fn verify(file: &Path, key: Option<&PublicKey>, output: &Output) -> Result<(), Failure> {
    let text = edit::read_text(file, MAX_PROOF_TEXT, "the exported profile").await?;
    let name = match file == Path::new("-") {
        true => "standard input".into(),
        false => file.display().to_string(),
    };
    let invalid = |what: String| Failure::new(Exit::Invalid, what);
    if text.len() > MAX_PROOF_TEXT {
        return Err(invalid(format!("{name} proves nothing: it has more than {MAX_PROOF_TEXT} bytes")));
    }
    let record = proof::from_text(files::unmarked(&text).as_bytes()).map_err(|error| {
        let failure = invalid(format!("{name} proves nothing: {error}"));
        match error {
            ProofError::Later(_) => failure.hint("install a newer version of this program"),
            _ => failure.hint("do not trust it; ask for a new export"),
        }
    })?;
    if let Some(key) = key.filter(|key| *key != record.key()) {
        return Err(invalid(format!("{name} is a profile of {}, and not of {key}", record.key())));
    }
    output.note(&format!("signed by the owner of {}", record.key()));
    show::profile(output, &record);
    output.json(&show::as_json(&record));
    Ok(())
}
