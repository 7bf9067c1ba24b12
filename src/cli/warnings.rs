//! The last warnings of a program that runs, for its page.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::foreign::escaped;

/// Keeps what the log shows of warnings and errors.
#[derive(Debug)]
pub(super) struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        // A clock before 1970 is shown as that.
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        keep(&mut LATEST.lock().unwrap_or_else(PoisonError::into_inner), time, level.as_str(), &text);
    }
}

/// Returns the last warnings, the last one first.
pub(super) fn latest() -> Vec<Value> {
    let kept = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().rev().map(|kept| json!({"time": kept.time, "level": kept.level, "text": kept.text})).collect()
}

fn keep(kept: &mut VecDeque<Kept>, time: u64, level: &'static str, text: &Text) {
    if kept.len() == MAX_WARNINGS {
        kept.pop_front();
    }
    let text = format!("{}{}", text.message, text.fields);
    let end = text.char_indices().nth(MAX_WARNING).map_or(text.len(), |(at, _)| at);
    kept.push_back(Kept { time, level, text: escaped(&text[..end]) });
}

#[derive(Debug)]
struct Kept {
    time: u64,
    level: &'static str,
    text: String,
}

/// The words of an event.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

static LATEST: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());
/// Most warnings that are kept; the oldest goes.
const MAX_WARNINGS: usize = 50;
/// Most characters of a warning.
const MAX_WARNING: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_warnings_are_kept_and_cut() {
        let mut kept = VecDeque::new();
        let long = Text { message: "\u{202e}ä".repeat(MAX_WARNING), ..Text::default() };
        keep(&mut kept, 0, "WARN", &long);
        assert!(kept[0].text.starts_with("\\u{202e}ä\\u{202e}"), "{}", kept[0].text);
        assert_eq!(kept[0].text.matches('ä').count(), MAX_WARNING / 2);
        for number in 1..=2 * MAX_WARNINGS {
            let text = Text { message: "no".into(), fields: format!(" number={number}") };
            keep(&mut kept, 0, "WARN", &text);
        }
        assert_eq!(kept.len(), MAX_WARNINGS);
        assert_eq!(kept[0].text, format!("no number={}", MAX_WARNINGS + 1));
    }

    #[test]
    fn warnings_and_errors_are_kept_and_what_is_less_is_not() {
        use tracing_subscriber::layer::SubscriberExt as _;
        let logger = tracing_subscriber::registry().with(Keeper);
        tracing::subscriber::with_default(logger, || {
            tracing::info!("an information of the test");
            tracing::warn!(error = "a <b>", "a warning of the test");
        });
        let texts: Vec<_> = latest().iter().map(|kept| kept["text"].to_string()).collect();
        assert!(texts.iter().any(|text| text.contains("a warning of the test error=")), "{texts:?}");
        assert!(!texts.iter().any(|text| text.contains("an information")), "{texts:?}");
    }
}
