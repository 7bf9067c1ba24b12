//! Passphrases: asked for without echo, or read from a file. Never an argument, nor the environment.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::key_access::quoted;
use super::super::prompt;
use super::args::Arguments;

/// A passphrase, without the end of its line.
pub(super) type Passphrase = Zeroizing<String>;

/// Returns the passphrase of an identity that has one.
pub(super) fn known(arguments: &Arguments, identity: &Path) -> Result<Passphrase, Failure> {
    get(arguments, &format!("Passphrase of {}: ", identity.display()))
}

/// Returns a new passphrase, which is asked for twice.
pub(super) fn new(arguments: &Arguments) -> Result<Passphrase, Failure> {
    let passphrase = get(arguments, "New passphrase: ")?;
    if passphrase.chars().count() < SHORTEST {
        let what = format!("the passphrase is too short: {SHORTEST} characters at least");
        return Err(
            Failure::new(Exit::Usage, what).hint("several words that do not belong together are good")
        );
    }
    if arguments.passphrase_file.is_none() && *ask("The same once more: ")? != *passphrase {
        let what = "the passphrases differ, so nothing was changed";
        return Err(Failure::new(Exit::Usage, what).hint("run the command again"));
    }
    Ok(passphrase)
}

fn get(arguments: &Arguments, question: &str) -> Result<Passphrase, Failure> {
    match &arguments.passphrase_file {
        Some(path) => read(path),
        None if arguments.may_ask() => ask(question),
        None => {
            let what = "the identity is protected by a passphrase, which has to be asked for on a terminal";
            Err(Failure::new(Exit::Identity, what)
                .hint("leave out --no-input and --json, or name a file with --passphrase-file"))
        }
    }
}

/// Reads the first line of a file that nobody else can read.
fn read(path: &Path) -> Result<Passphrase, Failure> {
    let name = path.display();
    let failure = |error: io::Error| {
        let error = anyhow::Error::from(error).context(format!("cannot read the passphrase file {name}"));
        Failure::from_error(Exit::Identity, error)
    };
    let file = files::open(path, OpenOptions::new().read(true)).map_err(failure)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = file.metadata().map_err(failure)?;
        let mode = metadata.mode() & 0o7777;
        if metadata.uid() != rustix::process::geteuid().as_raw() || mode & 0o077 != 0 {
            let what = format!("the passphrase file {name} can be used by other users (mode {mode:04o})");
            return Err(Failure::new(Exit::Identity, what).hint(format!("chmod 600 {}", quoted(path))));
        }
    }
    // With room to spare, so that the text is never moved and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * LONGEST as usize));
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(failure)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || text.len() as u64 > LONGEST {
        let what =
            format!("the passphrase file {name} has no passphrase of 1 to {LONGEST} bytes in its first line");
        return Err(Failure::new(Exit::Identity, what));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Asks for a line that is not shown.
#[cfg(unix)]
fn ask(question: &str) -> Result<Passphrase, Failure> {
    let hidden = hidden::Hidden::begin().map_err(|error| {
        let error = anyhow::Error::from(error).context("cannot hide what is typed");
        Failure::from_error(Exit::Usage, error).hint("name a file with --passphrase-file")
    })?;
    let answer = prompt::answer(question).map(Zeroizing::new);
    drop(hidden);
    // The line feed that was typed has not been shown either.
    super::super::stderr::ask("\n");
    answer
}

#[cfg(not(unix))]
fn ask(_: &str) -> Result<Passphrase, Failure> {
    let what = "a passphrase cannot be typed here without being shown";
    Err(Failure::new(Exit::Usage, what).hint("name a file with --passphrase-file"))
}

/// A terminal that does not show what is typed.
#[cfg(unix)]
mod hidden {
    use std::io;
    use std::process;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Shows what is typed again when it is dropped, or a signal ends the program.
    pub(super) struct Hidden(Termios);

    impl Hidden {
        pub(super) fn begin() -> io::Result<Self> {
            let shown = tcgetattr(io::stdin())?;
            let (ready, is_ready) = std::sync::mpsc::channel();
            let settings = shown.clone();
            // A thread of its own, because this one waits for the line. It lasts as long as the program.
            std::thread::Builder::new().name("passphrase".into()).spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
                let outcome = runtime.map(|runtime| runtime.block_on(watch(&settings, &ready)));
                // Without anyone who waits there is nobody to report to.
                let _ = outcome.and_then(|watched| watched).map_err(|error| ready.send(Err(error)));
            })?;
            is_ready.recv().map_err(io::Error::other)??;
            let mut hidden = shown.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?;
            Ok(Self(shown))
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            show(&self.0);
        }
    }

    fn show(settings: &Termios) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
    }

    /// Ends the program at a signal, as it would have ended it, with the terminal as it was.
    async fn watch(settings: &Termios, ready: &std::sync::mpsc::Sender<io::Result<()>>) -> io::Result<()> {
        let numbers = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let mut signals: Vec<Signal> = numbers.into_iter().map(signal).collect::<io::Result<_>>()?;
        // The other side waits for this.
        let _ = ready.send(Ok(()));
        let number = std::future::poll_fn(|cx| {
            let came = signals.iter_mut().position(|signal| signal.poll_recv(cx).is_ready());
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        });
        let number = numbers[number.await].as_raw_value();
        show(settings);
        process::exit(128 + number);
    }
}

/// Fewest characters of a new passphrase.
const SHORTEST: usize = 8;
/// Most bytes of a passphrase in a file.
const LONGEST: u64 = 1024;
