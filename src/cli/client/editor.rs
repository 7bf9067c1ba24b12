//! `edit`: the profile in the editor of its owner. No connection is open meanwhile.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::prompt;
use super::super::runtime::interruptible;
use super::super::{files, toml_file};
use super::args::Arguments;
use super::form::{self, Wrong};
use super::servers::Server;
use super::visit::{READABLE, Visit};
use crate::profile::{Profile, Record};

/// Lets the user edit the profile at the server, and stores it. Ctrl-C is the editor's while that runs.
pub(super) async fn run(arguments: &Arguments, output: &Output, server: &Server) -> Result<(), Failure> {
    let editor = editor(arguments)?;
    let visit = interruptible(Visit::start(arguments, output, server)).await?;
    let before = visit.client.record().cloned();
    let lost = visit.loss.forbid_update(arguments);
    let identity = visit.leave().await;
    lost?;
    if before.is_none() {
        output.note("the server does not know you yet");
        output.note(READABLE);
    }
    let draft = before.as_ref().map(|record| record.profile().parts().clone());
    let written = form::write(&draft.unwrap_or_default());
    let file = Draft::create(&written)?;
    let stored = async {
        match compose(&editor, &file, &written, output).await? {
            Some(profile)
                if Some(profile.text()) != before.as_ref().map(|record| record.profile().text()) =>
            {
                let visit = Visit::start_as(identity, arguments, output, server);
                interruptible(async { store(visit.await?, arguments, before.as_ref(), profile).await }).await
            }
            _ => {
                output.note("nothing changed");
                Ok(())
            }
        }
    };
    stored.await.map_err(|failure| match file.keep_if_changed(&written) {
        false => failure,
        true => kept(failure, &file, output),
    })
}

/// Adds to a failure where the text is that the user has written.
fn kept(failure: Failure, file: &Draft, output: &Output) -> Failure {
    let what = format!("what you have written is in {}", file.path.display());
    output.note(&what);
    match output.json {
        true => Failure { error: anyhow::Error::msg(format!("{}; {what}", failure.error)), ..failure },
        false => failure,
    }
}

/// Returns the command line of the editor.
fn editor(arguments: &Arguments) -> Result<String, Failure> {
    if arguments.no_input {
        return Err(Failure::new(Exit::Usage, "edit opens an editor, and --no-input forbids to ask")
            .hint("change parts with profile-client update, see --help"));
    }
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(|variable| std::env::var(variable).ok());
    named.into_iter().find(|editor| !editor.trim().is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, "no editor is named in VISUAL or EDITOR")
            .hint("name one, as with export EDITOR=nano, or change parts with profile-client update")
    })
}

/// Opens the editor until the file holds a valid profile; `None` if the user has changed nothing.
async fn compose(
    editor: &str,
    file: &Draft,
    written: &str,
    output: &Output,
) -> Result<Option<Profile>, Failure> {
    let mut refused = None;
    loop {
        let (command, path) = (editor.to_owned(), file.path.clone());
        let ended = prompt::blocking(move || Ok(start(&command, &path))).await?;
        let what = match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("the editor has failed: {status}")),
            Err(error) => Some(format!("cannot start the editor: {error}")),
        };
        if let Some(what) = what {
            return Err(Failure::new(Exit::Usage, what).hint("nothing was stored; EDITOR and VISUAL name it"));
        }
        let typed = form::unmarked(&file.read()?);
        if form::is_empty(&typed) || typed == written {
            return Ok(None);
        }
        let wrong = match form::read(&typed) {
            Ok(profile) => return Ok(Some(profile)),
            Err(wrong) => wrong,
        };
        // An editor that does not wait, and a user who gives up, leave the error as it is.
        if refused.as_ref() == Some(&typed) {
            let Wrong { line, what } = wrong;
            let what = format!("{}:{line}: {what}", file.path.display());
            return Err(Failure::new(Exit::Invalid, what).kind("invalid_profile"));
        }
        output.note(&format!("line {}: {}", wrong.line, wrong.what));
        file.write(&form::mark(&typed, &wrong))?;
        refused = Some(typed);
    }
}

/// Runs the editor to its end. Its name may come with arguments, which a shell takes apart.
fn start(editor: &str, path: &std::path::Path) -> io::Result<ExitStatus> {
    #[cfg(unix)]
    let mut command = {
        let mut command = Command::new("sh");
        // Ctrl-C is for the editor, and the shell waits for it.
        command.args(["-c", &format!("trap : INT; {editor} \"$@\""), editor]);
        command
    };
    #[cfg(not(unix))]
    let mut command = {
        let mut words = editor.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    };
    command.arg(path).status()
}

/// Stores the profile, unless another program has changed it since it was opened.
async fn store(
    mut visit: Visit<'_>,
    arguments: &Arguments,
    before: Option<&Record>,
    profile: Profile,
) -> Result<(), Failure> {
    let Some(before) = before else {
        return visit.register(profile).await;
    };
    visit.loss.forbid_update(arguments)?;
    let mut now = None;
    let update = visit.client.update(|stored| match stored.text() == before.profile().text() {
        true => Ok(profile.clone()),
        false => {
            // What is there already is not stored again.
            now = Some(stored.clone());
            Ok(stored.clone())
        }
    });
    let record = visit.deadline.bound(update).await?;
    if now.is_none() {
        return visit.end_with(&record).await;
    }
    visit.leave().await;
    let what = format!(
        "your profile has changed meanwhile: the server has version {}, and you have edited version {}",
        record.version(),
        before.version()
    );
    let hint = "profile-client edit opens the version that is there now";
    Err(Failure::new(Exit::Invalid, what).kind("version_conflict").hint(hint))
}

/// A file that the owner of the profile alone can read, removed in the end unless it is kept.
struct Draft {
    path: PathBuf,
    is_kept: std::cell::Cell<bool>,
}

impl Draft {
    fn create(text: &str) -> Result<Self, Failure> {
        // The end of the name lets editors show TOML.
        let name = format!("profile-{:016x}.toml", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        let file = files::create_new(&path);
        let draft = Self { path, is_kept: false.into() };
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| draft.failure("write", error))?;
        Ok(draft)
    }

    /// Reads what the editor has left, which may be another file of that name.
    fn read(&self) -> Result<String, Failure> {
        let mut text = String::new();
        let opened = files::open(&self.path, File::options().read(true));
        let read = opened.and_then(|file| file.take(toml_file::MAX_BYTES).read_to_string(&mut text));
        read.map_err(|error| self.failure("read", error))?;
        Ok(text)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        fs::write(&self.path, text).map_err(|error| self.failure("write", error))
    }

    /// Leaves the file where it is if the user has written something; returns whether it is so.
    fn keep_if_changed(&self, written: &str) -> bool {
        // What cannot be read may be worth something.
        let is_changed = self.read().map_or(true, |text| form::unmarked(&text) != written);
        self.is_kept.set(is_changed && self.path.exists());
        self.is_kept.get()
    }

    fn failure(&self, verb: &str, error: io::Error) -> Failure {
        let what = format!("cannot {verb} {}", self.path.display());
        Failure::from_error(Exit::Internal, anyhow::Error::from(error).context(what))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept.get()
            && let Err(error) = files::remove(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the file of the editor is left behind");
        }
    }
}
