//! Notifies the supervisor that has started a program, as systemd wants it (`sd_notify(3)`): it is ready,
//! reads its configuration again, is alive, or stops. Without one that asks for it nothing is sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Dht;

/// The supervisor of this program, if there is one.
#[derive(Debug, Default)]
pub(super) struct Supervisor {
    #[cfg(target_os = "linux")]
    socket: Option<std::os::unix::net::UnixDatagram>,
    /// Time between two signs of life; `None` if none are wanted.
    beat: Option<Duration>,
    is_ready: AtomicBool,
}

impl Supervisor {
    /// Reads from the environment whom to notify.
    pub(super) fn from_environment() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            socket: linux::socket(std::env::var_os("NOTIFY_SOCKET"))
                .inspect_err(|error| tracing::warn!(%error, "the supervisor cannot be notified"))
                .ok()
                .flatten(),
            beat: beat(|name| std::env::var(name).ok()),
            is_ready: AtomicBool::new(false),
        }
    }

    /// Notifies that the program does its work, with a sentence for people.
    pub(super) fn ready(&self, status: &str) {
        self.is_ready.store(true, Ordering::Relaxed);
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// Notifies that the configuration is read again, until [`Self::ready`]; returns whether the program was
    /// ready before. One that was not is not so after that either.
    pub(super) fn reloading(&self) -> bool {
        let is_ready = self.is_ready.load(Ordering::Relaxed);
        if is_ready {
            #[cfg(target_os = "linux")]
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", linux::monotonic_usec()));
        }
        is_ready
    }

    /// Notifies that the program is about to end.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=ending\n");
    }

    /// Sends signs of life, twice as often as they are wanted, as long as the nodes answer; each with a
    /// sentence for people. Never returns.
    pub(super) async fn keep_alive(&self, nodes: &[Dht], status: impl Fn() -> String) {
        self.beat_while(async || answer(nodes).await, status).await
    }

    async fn beat_while(&self, answered: impl AsyncFn(), status: impl Fn() -> String) {
        let Some(beat) = self.beat else {
            return std::future::pending().await;
        };
        loop {
            answered().await;
            self.send(&format!("WATCHDOG=1\nSTATUS={}\n", status()));
            tokio::time::sleep(beat).await;
        }
    }

    #[cfg_attr(not(target_os = "linux"), allow(clippy::unused_self))]
    fn send(&self, state: &str) {
        #[cfg(target_os = "linux")]
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!(%error, "the supervisor was not notified");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = state;
    }
}

/// Waits until the driver of each node has answered. One that has ended never does.
async fn answer(nodes: &[Dht]) {
    for node in nodes {
        tokio::select! {
            biased;
            _ = node.closed() => std::future::pending().await,
            _ = node.stats() => {}
        }
    }
}

/// Returns the time between two signs of life: half of what the supervisor waits for one.
fn beat(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let number = |name| variable(name)?.parse::<u64>().ok();
    // Those of another process are not this one's.
    if number("WATCHDOG_PID").is_some_and(|process| process != u64::from(std::process::id())) {
        return None;
    }
    let wait = number("WATCHDOG_USEC").filter(|wait| *wait > 0)?;
    Some(Duration::from_micros(wait / 2).max(SHORTEST_BEAT))
}

/// Shortest time between two signs of life, whatever the environment says.
const SHORTEST_BEAT: Duration = Duration::from_millis(10);

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;
    use std::io;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use rustix::time::{ClockId, clock_gettime};

    /// Connects to the socket of a name, which is abstract if it begins with `@`.
    pub(super) fn socket(name: Option<OsString>) -> io::Result<Option<UnixDatagram>> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A supervisor that does not read must not stop the program.
        socket.set_nonblocking(true)?;
        Ok(Some(socket))
    }

    /// Returns the time of the clock that the supervisor compares with.
    pub(super) fn monotonic_usec() -> i64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Testnet;

    #[test]
    fn signs_of_life_are_sent_twice_as_often_as_they_are_wanted() {
        let own = std::process::id().to_string();
        let beat = |wait: Option<&str>, process: Option<&str>| {
            super::beat(|name| match name {
                "WATCHDOG_USEC" => wait.map(Into::into),
                _ => process.map(Into::into),
            })
        };
        assert_eq!(beat(Some("30000000"), None), Some(Duration::from_secs(15)));
        assert_eq!(beat(Some("30000000"), Some(&own)), Some(Duration::from_secs(15)));
        assert_eq!(beat(Some("1"), None), Some(SHORTEST_BEAT));
        for (wait, process) in [(None, None), (Some("0"), None), (Some("x"), None), (Some("9"), Some("0"))] {
            assert_eq!(beat(wait, process), None, "{wait:?} {process:?}");
        }
    }

    #[tokio::test]
    async fn a_node_that_has_ended_gives_no_sign_of_life() {
        let network = Testnet::new(2).await.unwrap();
        answer(network.nodes()).await;
        network.nodes()[1].panic();
        network.nodes()[1].closed().await.unwrap_err();
        tokio::select! {
            biased;
            () = answer(&network.nodes()[1..]) => panic!("it has answered"),
            () = std::future::ready(()) => {}
        }
        network.close().await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn no_sign_of_life_is_sent_without_an_answer() {
        let (socket, peer) = std::os::unix::net::UnixDatagram::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        let beat = Some(Duration::from_secs(15));
        let supervisor = Supervisor { socket: Some(socket), beat, ..Supervisor::default() };
        let received = || {
            let mut buffer = [0; 99];
            peer.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
        };
        let answers = std::cell::Cell::new(0);
        let answered = async || match answers.get() {
            3 => std::future::pending().await,
            number => answers.set(number + 1),
        };
        let alive = supervisor.beat_while(answered, || format!("answers: {}", answers.get()));
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, alive).await.is_err());
        for number in 1..=3 {
            assert_eq!(received(), Some(format!("WATCHDOG=1\nSTATUS=answers: {number}\n")));
        }
        assert_eq!(received(), None);
        // Reading again makes no program ready that was not.
        assert!(!supervisor.reloading());
        assert_eq!(received(), None);
    }
}
