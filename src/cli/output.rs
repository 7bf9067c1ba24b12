//! The only place that prints.
//!
//! Results go to standard output, everything else to standard error. Text for people is escaped line by line:
//! a peer's text cannot move the cursor, change the reading direction or imitate a line of the program.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::exit::Failure;
use crate::profile::content::{escaped, is_forbidden};

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
    /// Prints a line of the result, unless JSON is wanted.
    pub fn line(&self, text: &str) {
        if !self.json {
            write(io::stdout().lock(), &escaped(text));
        }
    }

    /// Prints a label and a text of one or more lines, unless JSON is wanted.
    pub fn labelled(&self, label: &str, text: &str) {
        let label = escaped(label);
        let width = LABEL_WIDTH.max(label.chars().count() + 2);
        for (number, line) in text.split('\n').enumerate() {
            let label = if number == 0 { format!("{label}:") } else { String::new() };
            self.line(&format!("{label:<width$}{line}"));
        }
    }

    /// Prints an object, if JSON is wanted.
    pub fn json(&self, value: &Value) {
        if self.json {
            write(io::stdout().lock(), &json_text(value));
        }
    }

    /// Prints a remark to standard error: what happens, what to do next.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            write(io::stderr().lock(), &escaped(text));
        }
    }

    /// Prints a failure: the error, then what to do, then the causes if `verbose`.
    pub fn failure(&self, failure: &Failure) {
        let message = escaped(&failure.error.to_string());
        if self.json {
            let mut value = json!({"error": {"kind": failure.kind, "message": message}});
            if let Some(report) = &failure.report {
                value["report"] = report.clone();
            }
            self.json(&value);
            return;
        }
        let mut lines = vec![format!("error: {message}")];
        lines.extend(failure.hint.as_deref().map(|hint| format!("hint: {}", escaped(hint))));
        if self.verbose {
            let causes = failure.error.chain().skip(1);
            lines.extend(causes.map(|cause| format!("cause: {}", escaped(&cause.to_string()))));
        }
        write(io::stderr().lock(), &lines.join("\n"));
    }

    /// Shows a spinner on a terminal until it is dropped.
    pub fn spinner(&self, text: &str) -> Spinner {
        if self.json || self.quiet || !io::stderr().is_terminal() {
            return Spinner(None);
        }
        let bar = ProgressBar::new_spinner().with_message(escaped(text));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Spinner(Some(bar))
    }
}

/// A spinner on the terminal, erased when dropped.
#[derive(Debug)]
pub struct Spinner(Option<ProgressBar>);

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Writes a value on one line of ASCII controls and visible characters.
fn json_text(value: &Value) -> String {
    let mut text = String::new();
    // JSON leaves most of what is_forbidden names as it is. Outside of strings there is none of it.
    for c in value.to_string().chars() {
        if is_forbidden(c) {
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

fn write(mut stream: impl io::Write, text: &str) {
    // A reader that has closed the pipe, as in `… | head -1`, is no failure.
    let _ = writeln!(stream, "{text}").and_then(|()| stream.flush());
}

const LABEL_WIDTH: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_no_character_that_a_terminal_obeys() {
        let value = json!({"name": "a\u{1b}[2J\u{9b}\u{202e}\u{7f}\n"});
        let text = json_text(&value);
        assert!(!text.chars().any(is_forbidden), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
