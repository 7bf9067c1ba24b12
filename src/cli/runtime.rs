//! From `main` to an exit code.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use tokio::runtime::Builder;
use tokio::task::{JoinError, JoinSet};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};
#[cfg(feature = "web")]
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::config::{self, Effective, Refused};
use super::exit::{Exit, Failure};
use super::output::{self, LogWriter, Output};
use super::stderr;
use crate::Dht;

/// Runs a program and reports its failure, if any, with its exit code. `threads` of `None` means one per
/// core.
pub(super) fn run<F>(output: Output, threads: Option<usize>, program: F) -> ExitCode
where
    F: Future<Output = Result<(), Failure>>,
{
    let mut builder = match threads {
        Some(1) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Some(threads) = threads.filter(|threads| *threads > 1) {
        builder.worker_threads(threads);
    }
    let outcome = match builder.max_blocking_threads(BLOCKING_THREADS).enable_all().build() {
        Ok(runtime) => {
            // The hook has printed the panic. Its own exit code is one that `--help` does not list.
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(program)))
                .unwrap_or_else(|_| Err(Failure::new(Exit::Internal, "the program has panicked").hint(BUG)));
            // A prompt still waiting for an answer must not hold the program up.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::from_error(Exit::Internal, error)),
    };
    report(&output, outcome)
}

/// Threads that read the store, or wait for a person. Each takes 2 MiB of addresses for its stack; tokio
/// would start as many as there are clients at once, up to 512.
const BLOCKING_THREADS: usize = 16;

/// What the system may show of a program.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct Secrecy {
    /// Let debuggers and core dumps see this program, and with it the secret key
    #[arg(long, global = true)]
    allow_core_dumps: bool,
}

impl Secrecy {
    /// Hides the memory of the process, unless the user wants it otherwise.
    pub(super) fn apply(self) {
        #[cfg(target_os = "linux")]
        if !self.allow_core_dumps {
            use rustix::process::{DumpableBehavior, set_dumpable_behavior};
            if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
                tracing::warn!(%error, "core dumps and debuggers are not kept away");
            }
        }
    }
}

/// Reads the arguments of the program, those of its configuration file included; the error is its exit code.
pub(super) fn arguments<A: Parser>() -> Result<A, ExitCode> {
    effective().map(|effective| effective.arguments)
}

/// Does the same, and keeps where each argument comes from.
pub(super) fn effective<A: Parser>() -> Result<Effective<A>, ExitCode> {
    let typed: Vec<_> = std::env::args_os().collect();
    config::load(&typed).map_err(|refused| match refused {
        Refused::Typed(error) if error.use_stderr() => error.exit(),
        // No error, but help that was asked for.
        Refused::Typed(error) => {
            output::print_help(&error);
            report(&Output::default(), Ok(()))
        }
        Refused::Page(page) => {
            output::print_page(&page);
            report(&Output::default(), Ok(()))
        }
        Refused::File { failure, json } => report(&Output { json, ..Output::default() }, Err(*failure)),
    })
}

/// Reports an outcome and returns its exit code. What was printed and lost makes it a failure.
pub(super) fn report(output: &Output, outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome.and_then(|()| output.delivered()) else {
        return Exit::Ok.into();
    };
    // A user who pressed Ctrl-C knows.
    if !failure.is_printed && (failure.exit != Exit::Interrupted || output.json) {
        output.failure(&failure);
    }
    match output.delivered() {
        Err(lost) if lost.exit != Exit::Ok && failure.exit != Exit::Internal => {
            Output { json: false, ..*output }.failure(&lost);
            lost.exit.into()
        }
        _ => failure.exit.into(),
    }
}

/// Gives up when the user presses Ctrl-C.
pub(super) async fn interruptible<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        outcome = work => outcome,
    }
}

/// Waits for a request to end: Ctrl-C, or the signal by which a system stops its services.
pub(super) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                return tokio::select! {
                    _ = terminate.recv() => {}
                    () = ctrl_c() => {}
                };
            }
            Err(error) => tracing::warn!(%error, "SIGTERM ends the program at once, not in order"),
        }
    }
    ctrl_c().await;
}

/// Waits until the terminal that the program was started at is gone, which sends SIGHUP as well; for ever
/// where there was none.
pub(super) async fn terminal_gone() {
    let is_at_terminal = || io::stdin().is_terminal();
    if !is_at_terminal() {
        return std::future::pending().await;
    }
    let mut hangups = Hangups::listen();
    while is_at_terminal() {
        hangups.next().await;
    }
}

/// The signals by which an operator asks a program to read its configuration again.
#[derive(Debug)]
pub(super) struct Hangups {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    /// Listens from now on. Without that, the signal ends the program.
    pub(super) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let signals = signal(SignalKind::hangup())
                .inspect_err(|error| tracing::warn!(%error, "SIGHUP ends the program"))
                .ok();
            Self { signals }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for the next signal; several that come at once are one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// Waits for Ctrl-C. Where the system does not report it, the program runs until it is killed.
async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C ends the program at once, not in order");
        std::future::pending().await
    }
}

/// Waits until one of the nodes has ended; the error is the bug that has ended it.
pub(super) async fn ended(nodes: &[Dht]) -> Result<(), Failure> {
    let mut ends: JoinSet<_> = nodes.iter().cloned().map(|node| async move { node.closed().await }).collect();
    match ends.join_next().await {
        Some(ended) => Ok(ended.map_err(|error| Failure::from_error(Exit::Internal, error))??),
        None => std::future::pending().await,
    }
}

/// Waits for a task that never ends by itself. Returns the failure of the program, which cannot go on
/// without it.
pub(super) async fn task_ended(task: &str, end: impl Future<Output = Result<(), JoinError>>) -> Failure {
    let what = match end.await {
        Ok(()) => format!("{task} has ended"),
        Err(error) => format!("{task} has ended: {error}"),
    };
    Failure::new(Exit::Internal, what).hint(BUG)
}

/// What to do about a fault of a program.
const BUG: &str = "start the program again, and report the bug";

/// Logs to standard error: what `RUST_LOG` selects or, without it, this crate at the level that `-v` raises
/// from `quiet`.
pub(super) fn log(quiet: LevelFilter, verbose: u8) {
    let level = level(quiet, verbose);
    let (filter, ignored) = filter(level, &named_filter());
    let logger = tracing_subscriber::fmt()
        .with_writer(LogWriter::default)
        .with_ansi(false)
        // The module that a line comes from is what RUST_LOG selects by.
        .with_target(level >= LevelFilter::DEBUG)
        // It prints them with what panics where standard error takes nothing.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = logger.reload_handle();
    let change = move |filter| {
        // Fails only where the logger is gone.
        let _ = handle.reload(filter);
    };
    // The first one is the one that is installed.
    let _ = CHANGE_LOG.set(Box::new(change));
    let logger = logger.finish();
    #[cfg(feature = "web")]
    let logger = logger.with(super::warnings::Keeper);
    // Fails only if a logger is installed already, which then does the work.
    let _ = logger.try_init();
    for reason in ignored {
        stderr::print(&output::remark(&reason));
    }
}

/// Logs from now on as [`log`] would with other arguments. Whether lines show their module stays as it was.
pub(super) fn change_log(quiet: LevelFilter, verbose: u8) {
    if let Some(change) = CHANGE_LOG.get() {
        // What cannot be read was reported at the start.
        let (filter, _) = filter(level(quiet, verbose), &named_filter());
        change(filter);
    }
}

fn named_filter() -> String {
    std::env::var_os(EnvFilter::DEFAULT_ENV).unwrap_or_default().to_string_lossy().into_owned()
}

/// Replaces what the logger lets through.
static CHANGE_LOG: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Reads what to log, and passes over what cannot be read, with a sentence for each. The logger would print
/// these itself, and panic where standard error takes nothing.
fn filter(level: LevelFilter, named: &str) -> (EnvFilter, Vec<String>) {
    let mut ignored = Vec::new();
    let mut read = |part: &&str| {
        let directive: Result<Directive, _> = part.parse();
        let reason = directive.err().map(|error| format!("ignoring {part:?} in RUST_LOG: {error}"));
        let is_read = reason.is_none();
        ignored.extend(reason);
        is_read
    };
    let parts: Vec<_> = named.split(',').filter(|part| !part.is_empty()).filter(&mut read).collect();
    let builder = EnvFilter::builder().with_default_directive(level.into());
    // Each part was read before, so this ignores nothing.
    (builder.parse_lossy(parts.join(",")), ignored)
}

/// Returns the level for a number of `-v`.
fn level(quiet: LevelFilter, verbose: u8) -> LevelFilter {
    match verbose {
        0 => quiet,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Testnet;

    #[tokio::test]
    async fn a_node_that_a_bug_has_ended_is_a_failure_with_its_reason() {
        let network = Testnet::new(2).await.unwrap();
        network.nodes()[1].panic();
        let failure = ended(network.nodes()).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Internal);
        assert!(failure.error.to_string().contains("because of a bug"), "{failure:?}");
        network.nodes()[0].close().await;
        assert!(ended(&network.nodes()[..1]).await.is_ok());
    }

    #[test]
    fn a_program_that_panics_ends_with_a_code_of_the_list() {
        let output = Output { quiet: true, ..Output::default() };
        let ended = run(output, Some(1), async { panic!("on purpose") });
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::from(Exit::Internal)));
    }

    #[tokio::test]
    async fn a_task_that_ends_is_a_failure_that_names_it() {
        let panicked = task_ended("the task of the test", tokio::spawn(async { panic!("on purpose") })).await;
        assert_eq!(panicked.exit, Exit::Internal);
        let message = panicked.error.to_string();
        assert!(message.starts_with("the task of the test has ended: "), "{message}");
        assert!(message.contains("on purpose"), "{message}");
        assert_eq!(task_ended("it", tokio::spawn(async {})).await.error.to_string(), "it has ended");
    }

    #[test]
    fn what_cannot_be_read_of_a_filter_is_passed_over_and_reported() {
        let (read, ignored) = filter(LevelFilter::ERROR, "hyperprofile::dht=trace,=,,a=b=c,udx=louder,info");
        assert_eq!(read.to_string(), "hyperprofile::dht=trace,info");
        assert_eq!(ignored.len(), 3, "{ignored:?}");
        assert!(ignored[2].starts_with("ignoring \"udx=louder\" in RUST_LOG: "), "{ignored:?}");
        assert_eq!(filter(LevelFilter::ERROR, "").0.to_string(), "error");
    }

    #[test]
    fn each_v_raises_the_level_and_none_lowers_it() {
        let levels = [0, 1, 2, 3, 9].map(|verbose| level(LevelFilter::ERROR, verbose));
        let (error, info) = (LevelFilter::ERROR, LevelFilter::INFO);
        let (debug, trace) = (LevelFilter::DEBUG, LevelFilter::TRACE);
        assert_eq!(levels, [error, info, debug, trace, trace]);
        assert_eq!(level(info, 1), info);
    }
}
