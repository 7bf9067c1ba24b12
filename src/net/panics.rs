//! Panics, which are bugs: that of any task of a node ends the node, so that nobody waits for what never
//! comes.

use std::any::Any;
use std::future::Future;
use std::panic::resume_unwind;
use std::thread;

/// Does the work of a task that nobody awaits, and calls `report` if that panics.
pub(crate) async fn watched<T>(work: impl Future<Output = T>, report: impl Fn()) -> T {
    let _watch = OnPanic(report);
    work.await
}

/// Calls its function if a panic drops it.
struct OnPanic<R: Fn()>(R);

impl<R: Fn()> Drop for OnPanic<R> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0();
        }
    }
}

/// Goes on in the driver with the panic of a task beside it, which has been printed there.
pub(super) fn pass_on() -> ! {
    resume_unwind(Box::new("a task beside the driver panicked"))
}

/// Returns the message of a panic.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn only_a_panic_is_reported() {
        let (reports, mut reported) = mpsc::unbounded_channel();
        let report = |number: u8| {
            let reports = reports.clone();
            move || reports.send(number).expect("the test waits for it")
        };
        tokio::spawn(watched(async {}, report(1))).await.expect("it ends in order");
        let aborted = tokio::spawn(watched(std::future::pending::<()>(), report(2)));
        aborted.abort();
        assert!(aborted.await.expect_err("it was aborted").is_cancelled());
        let failed = tokio::spawn(watched(async { panic!("a bug") }, report(3))).await;
        assert_eq!(message(&*failed.expect_err("it panics").into_panic()), "a bug");
        drop(reports);
        assert_eq!(reported.recv().await, Some(3));
        assert_eq!(reported.recv().await, None);
    }
}
