//! Standard error. A full disk, a pipe that nobody reads or a closed descriptor does not stop a program.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Prints a line, or several: at once or, in a program that runs for long, by the thread of its [`Queue`].
pub(super) fn print(text: &str) {
    match QUEUE.get() {
        Some(queue) => queue.push(text),
        None => write(&format!("{text}\n")),
    }
}

/// Prints a question at once, without the end of a line.
pub(super) fn ask(question: &str) {
    write(question);
}

/// Returns whether a thread of its own writes.
pub(super) fn is_queued() -> bool {
    QUEUE.get().is_some()
}

/// Makes a thread write all that is printed from now on. What waits when this is dropped is written then, if
/// standard error takes it in time.
#[derive(Debug)]
pub(super) struct Queued;

impl Queued {
    /// Starts the thread. Without one everything is written at once, as before.
    pub(super) fn start() -> Self {
        let queue = Arc::new(Queue::default());
        let own = Arc::clone(&queue);
        let started = thread::Builder::new().name("stderr".into()).spawn(move || own.write_all(write));
        // A second one would find the first, which does the work.
        if started.is_ok() && QUEUE.set(queue).is_ok() {
            std::panic::set_hook(Box::new(|panic| print(&panic_text(panic))));
        }
        Self
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(queue) = QUEUE.get() {
            queue.wait_until_written(LAST_LINES);
        }
    }
}

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Lines on their way to a thread that writes them. What does not fit is dropped and counted.
#[derive(Debug, Default)]
struct Queue {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: String,
    /// Bytes that are being written.
    writing: usize,
    /// Prints that were dropped behind what waits.
    dropped: u64,
}

impl Queue {
    fn push(&self, text: &str) {
        let mut lines = self.lock();
        let full = lines.waiting.len() + lines.writing + text.len() >= MAX_QUEUED;
        // After a gap only its number follows, so that it stands where the gap is.
        if full || lines.dropped > 0 {
            lines.dropped += 1;
        } else {
            lines.waiting.push_str(text);
            lines.waiting.push('\n');
        }
        self.changed.notify_all();
    }

    /// Writes line by line, for ever.
    fn write_all(&self, write: impl Fn(&str)) {
        loop {
            for line in self.take().split_inclusive('\n') {
                write(line);
            }
            self.lock().writing = 0;
            self.changed.notify_all();
        }
    }

    /// Waits for lines, and takes them.
    fn take(&self) -> String {
        let waits = |lines: &mut Lines| lines.waiting.is_empty() && lines.dropped == 0;
        let lines = self.changed.wait_while(self.lock(), waits);
        let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut lines.waiting);
        match std::mem::take(&mut lines.dropped) {
            0 => {}
            dropped => {
                taken.push_str(&format!("({dropped} messages dropped: standard error was too slow)\n"))
            }
        }
        lines.writing = taken.len();
        taken
    }

    fn wait_until_written(&self, most: Duration) {
        let unwritten = |lines: &mut Lines| lines.writing + lines.waiting.len() > 0 || lines.dropped > 0;
        // Whether in time or not: the program ends.
        let _ = self.changed.wait_timeout_while(self.lock(), most, unwritten);
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // Nothing panics halfway through a change.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(line: &str) {
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match io::stderr().write(rest) {
            Ok(written) if written > 0 => rest = &rest[written..],
            // Another program has put the terminal or the pipe that it shares with this one into this mode.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // There is no other place to report it.
            Ok(_) | Err(_) => return,
        }
    }
}

/// Returns what the standard library prints for a panic, which would wait for standard error.
fn panic_text(panic: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let text = format!("thread '{}' {panic}", thread.name().unwrap_or("without a name"));
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("{text}\n{backtrace}"),
        _ => text,
    }
}

/// Most bytes of lines that wait to be written.
const MAX_QUEUED: usize = 256 << 10;
/// Time between two attempts to write to a descriptor that does not wait.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest time for the last lines of a program to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Starts a thread that writes to a reader which takes a line when the test asks for it.
    fn start() -> (Arc<Queue>, mpsc::Receiver<()>, mpsc::Receiver<String>) {
        let queue = Arc::new(Queue::default());
        let own = Arc::clone(&queue);
        let (begin, begun) = mpsc::channel();
        let (give, taken) = mpsc::sync_channel(0);
        thread::spawn(move || {
            own.write_all(|line| {
                // Both fail when the test is over.
                let _ = begin.send(());
                let _ = give.send(line.to_owned());
            })
        });
        (queue, begun, taken)
    }

    #[test]
    fn lines_beyond_the_bound_are_counted_where_they_are_missing() {
        let (queue, begun, taken) = start();
        queue.push("first");
        begun.recv().unwrap();
        let long = "x".repeat(MAX_QUEUED / 4);
        for _ in 0..6 {
            queue.push(&long);
        }
        queue.push("short");
        assert!(queue.lock().waiting.len() < MAX_QUEUED);
        let read = || taken.recv().unwrap();
        assert_eq!(read(), "first\n");
        for _ in 0..3 {
            assert_eq!(read(), format!("{long}\n"));
        }
        assert_eq!(read(), "(4 messages dropped: standard error was too slow)\n");
        queue.push("next");
        assert_eq!(read(), "next\n");
        queue.wait_until_written(Duration::MAX);
    }

    #[test]
    fn the_last_lines_are_not_waited_for_without_end() {
        let (queue, _begun, taken) = start();
        queue.push("last");
        queue.wait_until_written(Duration::from_millis(1));
        assert_eq!(taken.recv().unwrap(), "last\n");
    }
}
