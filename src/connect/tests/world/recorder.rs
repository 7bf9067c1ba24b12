//! Records what is logged on this thread, with the virtual time.

use std::cell::{Cell, RefCell};
use std::sync::LazyLock;
use std::time::Duration;
use std::{fmt, io};

use tracing::dispatcher::{DefaultGuard, Dispatch, set_default};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;

/// Records until the guard is dropped; `passed` is what each line begins with.
pub(crate) fn enter(passed: Duration) -> DefaultGuard {
    PASSED.set(passed);
    set_default(&SUBSCRIBERS.0)
}

/// Returns the lines that were recorded on this thread, and forgets them.
pub(crate) fn recorded() -> String {
    String::from_utf8(LINES.take()).expect("logs are text")
}

thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The subscriber of all threads that record, and one that logs nothing. While there is only one, a callsite
/// that is first reached on another thread asks that thread's default, which is none, and stays disabled for
/// all (`Rebuilder::JustOne` in tracing-core); of two, both are asked.
static SUBSCRIBERS: LazyLock<(Dispatch, Dispatch)> = LazyLock::new(|| {
    let lines = tracing_subscriber::fmt()
        .with_timer(Virtual)
        .with_ansi(false)
        .with_target(false)
        .with_level(false)
        .with_max_level(LevelFilter::DEBUG)
        .with_writer(|| Lines)
        .finish()
        .with(Targets::new().with_target("hyperprofile::connect", LevelFilter::DEBUG));
    let subscribers = (Dispatch::new(lines), Dispatch::new(NoSubscriber::new()));
    tracing::callsite::rebuild_interest_cache();
    subscribers
});

struct Virtual;

impl FormatTime for Virtual {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:>5} ms", PASSED.get().as_millis())
    }
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
