//! The only place that prints.
//!
//! Results go to standard output, everything else to standard error. Text from elsewhere cannot move the
//! cursor, change the reading direction or imitate a line of the program: see `foreign`. A
//! line that standard output does not take is remembered, and the program fails.

use std::io::{self, IsTerminal, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use terminal_size::{Height, Width, terminal_size_of};

use super::exit::{Exit, Failure};
use super::foreign::{escaped, is_hidden, wrapped};
use super::stderr;

/// How a program prints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output {
    /// One JSON object per line on standard output, nothing for people.
    pub json: bool,
    /// Failures alone on standard error.
    pub quiet: bool,
    /// Failures with all their causes.
    pub verbose: bool,
}

impl Output {
    /// Prints a line of the result, unless JSON is wanted. The terminal breaks it where it is too long, so it
    /// holds the program's own words only.
    pub fn line(&self, text: &str) {
        if !self.json {
            print(&escaped(text));
        }
    }

    /// Prints words of the program, and beside them texts that may come from elsewhere, unless JSON is
    /// wanted. Each text begins a line; nothing but the program's words is in column 0.
    pub fn beside(&self, words: &str, texts: &[impl AsRef<str>]) {
        if !self.json {
            print(&entry(words, texts, columns(terminal_size_of(io::stdout()), NO_TERMINAL)));
        }
    }

    /// Prints bytes from elsewhere, unless JSON is wanted: as they are to a file or a pipe, to a terminal as
    /// text beside words of the program.
    pub fn bytes(&self, words: &str, bytes: &[u8]) {
        if io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(bytes);
            self.beside(words, &text.lines().collect::<Vec<_>>());
        } else if !self.json && LOST.get().is_none() {
            let mut stream = io::stdout().lock();
            keep(check_writable().and_then(|()| stream.write_all(bytes)).and_then(|()| stream.flush()));
        }
    }

    /// Prints a picture of black on white, made of blocks, unless JSON is wanted.
    pub fn picture(&self, lines: &[String]) {
        // Whatever the colours of the terminal are. A file takes the blocks alone.
        let (before, after) = match io::stdout().is_terminal() {
            true => (BLACK_ON_WHITE, COLOURS_AS_BEFORE),
            false => ("", ""),
        };
        for line in lines.iter().filter(|_| !self.json) {
            print(&format!("{before}{line}{after}"));
        }
    }

    /// Prints an object, if JSON is wanted.
    pub fn json(&self, value: &Value) {
        if self.json {
            print(&json_text(value));
        }
    }

    /// Prints a remark to standard error: what happens, what to do next. The program's own words only.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            stderr::print(&escaped(text));
        }
    }

    /// Prints a remark that ends with a text from elsewhere to standard error.
    pub fn note_about(&self, what: &str, text: &str) {
        if !self.quiet && !self.json {
            stderr::print(&remark(&format!("{what}{text}")));
        }
    }

    /// Prints a failure: the error and the system's reason for it, then what to do, then all causes if
    /// `verbose`.
    pub fn failure(&self, failure: &Failure) {
        let message = message(&failure.error);
        if self.json {
            let mut value = json!({"error": {"kind": failure.kind, "message": escaped(&message)}});
            if let Some(report) = &failure.report {
                value["report"] = report.clone();
            }
            self.json(&value);
            // Where standard output takes nothing, standard error is all that is left.
            if self.delivered().is_ok() {
                return;
            }
        }
        stderr::print(&remark(&format!("error: {message}")));
        if let Some(hint) = &failure.hint {
            // Not broken into lines: it may hold a command to copy.
            stderr::print(&escaped(&format!("hint: {hint}")));
        }
        if self.verbose {
            for cause in failure.error.chain().skip(1) {
                stderr::print(&remark(&format!("cause: {cause}")));
            }
        }
    }

    /// Fails if standard output has not taken all that was printed so far. A program that goes on for long
    /// asks after its first lines; the others when they end.
    ///
    /// Without a reader, as behind `… | head -1`, the failure is one that nobody needs to hear of.
    pub fn delivered(&self) -> Result<(), Failure> {
        match LOST.get() {
            None => Ok(()),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Ok, "nobody reads standard output").printed())
            }
            Some(error) => {
                Err(Failure::new(Exit::Internal, format!("cannot write to standard output: {error}")))
            }
        }
    }

    /// Shows a spinner on a terminal, after 300 ms, until it is dropped. A program that runs for long prints
    /// the text instead: a terminal that is stopped would stop it as well.
    pub fn spinner(&self, text: &str) -> Spinner {
        if self.json || self.quiet || !io::stderr().is_terminal() {
            return Spinner::default();
        }
        if stderr::is_queued() {
            self.note(text);
            return Spinner::default();
        }
        let text = Arc::new(Mutex::new(escaped(text)));
        let shown = Arc::clone(&text);
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("spinner".into()).spawn(move || {
            if takes_long(&ended) {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                    bar.set_style(style);
                }
                loop {
                    bar.set_message(shown.lock().unwrap_or_else(PoisonError::into_inner).clone());
                    bar.tick();
                    if ended.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
                bar.finish_and_clear();
            }
        });
        // Without a thread there is no spinner.
        Spinner { text, thread: thread.ok().map(|thread| (end, thread)) }
    }
}

/// A spinner on the terminal, erased when dropped.
#[derive(Debug, Default)]
pub struct Spinner {
    text: Arc<Mutex<String>>,
    thread: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Spinner {
    /// Shows another text from now on. The program's own words only.
    pub fn show(&self, text: &str) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = escaped(text);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            // What is printed next begins in a clean line. A panic of the thread was printed.
            let _ = thread.join();
        }
    }
}

/// Returns whether work goes on for longer than [`PATIENCE`]. Its channel closes when it is done.
fn takes_long(ended: &mpsc::Receiver<()>) -> bool {
    ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
}

/// Time between two pictures of a spinner.
const TICK: Duration = Duration::from_millis(100);
/// How long work takes before a spinner shows it.
const PATIENCE: Duration = Duration::from_millis(300);

/// Why standard output has not taken a line. What follows would be a text with a hole.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes a line to standard output, unless an earlier one was lost.
fn print(line: &str) {
    let written = || {
        check_writable()?;
        let mut stream = io::stdout().lock();
        writeln!(stream, "{line}")?;
        stream.flush()
    };
    if LOST.get().is_none() {
        keep(written());
    }
}

/// Writes what clap has to say at the request of the user, as `--help`.
pub(super) fn print_help(help: &clap::Error) {
    keep(check_writable().and_then(|()| help.print()).and_then(|()| io::stdout().flush()));
}

/// Writes a page about the program's own options, as it is.
pub(super) fn print_page(page: &[u8]) {
    let mut stream = io::stdout().lock();
    keep(check_writable().and_then(|()| stream.write_all(page)).and_then(|()| stream.flush()));
}

fn keep(written: io::Result<()>) {
    if let Err(error) = written {
        // Only the first one counts.
        let _ = LOST.set(error);
    }
}

/// Fails if standard output is open for reading only. The standard library takes that for success.
pub(super) fn check_writable() -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{OFlags, fcntl_getfl};
        if fcntl_getfl(io::stdout())? & OFlags::ACCMODE == OFlags::RDONLY {
            return Err(rustix::io::Errno::BADF.into());
        }
    }
    Ok(())
}

/// Writes log lines, which hold fields from elsewhere, as everything from elsewhere is written.
#[derive(Debug, Default)]
pub(super) struct LogWriter;

impl io::Write for LogWriter {
    /// Takes one line whole, as the logger hands it over.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = remark(text.strip_suffix('\n').unwrap_or(&text));
        stderr::print(&text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the error with the reason that the system gives for it, which is rarely in the error's own words.
fn message(error: &anyhow::Error) -> String {
    let message = error.to_string();
    let system = error.chain().skip(1).find_map(|cause| cause.downcast_ref::<io::Error>());
    match system.map(ToString::to_string) {
        Some(reason) if !message.contains(&reason) => format!("{message}: {reason}"),
        _ => message,
    }
}

/// Returns a remark for standard error, of which only the first word is in column 0.
pub(super) fn remark(text: &str) -> String {
    wrapped(text, 0, REMARK_INDENT, columns(terminal_size_of(io::stderr()), MAX_COLUMNS))
}

/// Returns words of the program with texts beside them, in lines of a width.
pub(super) fn entry(words: &str, texts: &[impl AsRef<str>], width: usize) -> String {
    let beside = LABEL_COLUMNS.max(words.len() + 1);
    // On a narrow screen the words have a line of their own.
    let (mut entry, indent) = match width >= beside + MIN_TEXT {
        true => (format!("{words:<beside$}"), beside),
        false => (format!("{words}\n{:REMARK_INDENT$}", ""), REMARK_INDENT),
    };
    let lines = texts.iter().flat_map(|text| text.as_ref().split('\n'));
    for (number, line) in lines.enumerate() {
        if number > 0 {
            entry.push('\n');
            entry.extend(std::iter::repeat_n(' ', indent));
        }
        // What is broken here is further in than what begins a line.
        entry.push_str(&wrapped(line, indent, indent + REMARK_INDENT, width));
        entry.truncate(entry.trim_end_matches(' ').len());
    }
    entry
}

/// Returns the cells of a line: as many as the terminal has, else as the environment says.
fn columns(terminal: Option<(Width, Height)>, otherwise: usize) -> usize {
    let columns = terminal.map(|(width, _)| usize::from(width.0));
    // A width that is no number is none.
    let named = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    // A terminal that does not know its width says zero.
    columns.filter(|columns| *columns > 0).or_else(named).unwrap_or(otherwise).clamp(MIN_COLUMNS, MAX_COLUMNS)
}

/// Writes a value on one line of ASCII controls and visible characters.
fn json_text(value: &Value) -> String {
    let mut text = String::new();
    // JSON leaves most of what is hidden as it is. Outside of strings there is none of it.
    for c in value.to_string().chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// Two colours of the 256 that a theme leaves as they are.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const COLOURS_AS_BEFORE: &str = "\u{1b}[0m";
/// Cells of a label, with the space behind it.
const LABEL_COLUMNS: usize = 9;
/// Fewest cells for a text beside its label.
const MIN_TEXT: usize = 16;
/// Cells by which a line is indented that goes on with the one before.
const REMARK_INDENT: usize = 2;
/// Fewest cells of a line: the longest label fits.
const MIN_COLUMNS: usize = 12;
/// Most cells of a line.
const MAX_COLUMNS: usize = 256;
/// Cells of a line of a profile that goes to a file or a pipe, and may be seen on a terminal later.
const NO_TERMINAL: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_word_of_a_remark_or_a_log_line_is_in_column_0() {
        for line in include_str!("../../tests/attack/hostile-strings.jsonl").lines() {
            let text: String = serde_json::from_str(line).unwrap();
            for width in [MIN_COLUMNS, 80, MAX_COLUMNS] {
                let shown = wrapped(&format!("error: {text}"), 0, REMARK_INDENT, width);
                assert!(shown.starts_with("error:"), "{shown:?}");
                // A line of a text of spaces is empty.
                let mut rest = shown.split('\n').skip(1);
                assert!(rest.all(|line| line.is_empty() || line.starts_with("  ")), "{shown:?}");
                assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_spinner_shows_work_that_goes_on_and_none_that_is_done() {
        let (end, ended) = mpsc::channel();
        assert!(takes_long(&ended));
        drop(end);
        assert!(!takes_long(&ended));
    }

    #[test]
    fn a_failure_names_the_reason_of_the_system_once() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let hidden = anyhow::Error::new(full()).context("cannot create the file");
        assert_eq!(message(&hidden), format!("cannot create the file: {}", full()));
        let named = anyhow::Error::new(full()).context(format!("cannot write: {}", full()));
        assert_eq!(message(&named), format!("cannot write: {}", full()));
        assert_eq!(message(&anyhow::Error::msg("refused")), "refused");
    }

    #[test]
    fn json_holds_no_character_that_a_terminal_obeys() {
        let value = json!({"name": "a\u{1b}[2J\u{9b}\u{202e}\u{7f}\n"});
        let text = json_text(&value);
        assert!(!text.chars().any(is_hidden), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
