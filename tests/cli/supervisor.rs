//! What a supervisor such as systemd hears of the programs, and what the packages say about them.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

use hyperprofile::Testnet;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::harness::{DEADLINE, NODE, Running, SERVER, free_port, text};

/// The socket of a supervisor, in a folder or with an abstract name.
struct Supervisor {
    socket: UnixDatagram,
    name: String,
    folder: tempfile::TempDir,
}

impl Supervisor {
    fn listen(is_abstract: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let (socket, name) = match is_abstract {
            true => {
                let name = format!("hyperprofile{}", path.display());
                let address = SocketAddr::from_abstract_name(&name).unwrap();
                let socket = StdDatagram::bind_addr(&address).unwrap();
                socket.set_nonblocking(true).unwrap();
                (UnixDatagram::from_std(socket).unwrap(), format!("@{name}"))
            }
            false => (UnixDatagram::bind(&path).unwrap(), text(&path).to_owned()),
        };
        Self { socket, name, folder }
    }

    fn start(&self, program: &str, arguments: &[&str], watchdog: &str) -> Running {
        let environment = [("NOTIFY_SOCKET", self.name.as_str()), ("WATCHDOG_USEC", watchdog)];
        Running::start_in(program, arguments, &environment)
    }

    /// Returns the next message but signs of life.
    async fn next(&self) -> String {
        loop {
            let message = self.any().await;
            if !message.starts_with("WATCHDOG=1\n") {
                return message;
            }
        }
    }

    async fn any(&self) -> String {
        let mut buffer = [0; 512];
        let length = timeout(DEADLINE, self.socket.recv(&mut buffer)).await.expect("in time").unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn has_nothing(&self) -> bool {
        self.socket.try_recv(&mut [0; 512]).is_err()
    }
}

fn monotonic_usec() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[tokio::test]
async fn a_server_is_ready_when_it_is_announced_and_again_after_each_reload() {
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    for is_abstract in [false, true] {
        let supervisor = Supervisor::listen(is_abstract);
        let data = supervisor.folder.path().join("data");
        let arguments = ["--data-dir", text(&data), "--bootstrap", &bootstrap];
        let mut server = supervisor.start(SERVER, &arguments, "");
        server.line().await;
        assert_eq!(supervisor.any().await, "READY=1\nSTATUS=connections: 0; profiles: 0\n");
        let before = monotonic_usec();
        server.signal("-HUP").await;
        let reloading = supervisor.any().await;
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!((before..=monotonic_usec()).contains(&at.parse().unwrap()), "{reloading}");
        assert_eq!(supervisor.any().await, "READY=1\nSTATUS=configuration read again\n");
        std::fs::write(data.join("banned"), "nonsense\n").unwrap();
        server.signal("-HUP").await;
        assert!(supervisor.any().await.starts_with("RELOADING=1\n"));
        let failed = "READY=1\nSTATUS=configuration not read again, see the log\n";
        assert_eq!(supervisor.any().await, failed);
        server.signal("-TERM").await;
        assert_eq!(supervisor.any().await, "STOPPING=1\nSTATUS=ending\n");
        server.end().await.ended(0);
        assert!(supervisor.has_nothing(), "no sign of life was wanted");
    }
}

#[tokio::test]
async fn a_server_without_a_network_is_not_ready_whatever_happens() {
    let supervisor = Supervisor::listen(false);
    let data = supervisor.folder.path().join("data");
    let nobody = format!("127.0.0.1:{}", free_port());
    let arguments = ["--json", "--data-dir", text(&data), "--bootstrap", &nobody];
    let mut server = supervisor.start(SERVER, &arguments, "50000");
    assert_eq!(server.line().await, "{\"event\":\"no_network\"}");
    let mut stderr = server.child.stderr.take().unwrap();
    server.signal("-HUP").await;
    crate::operator::read_until(&mut stderr, "configuration read again").await;
    server.child.stderr = Some(stderr);
    assert!(supervisor.has_nothing());
    server.signal("-TERM").await;
    server.end().await.ended(0);
    assert!(supervisor.has_nothing());
}

#[tokio::test]
async fn a_node_that_has_joined_gives_signs_of_life_until_it_ends() {
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let supervisor = Supervisor::listen(true);
    let mut node = supervisor.start(NODE, &["--bootstrap", &bootstrap], "50000");
    node.line().await;
    assert!(supervisor.any().await.starts_with("READY=1\nSTATUS=nodes: 1; reachable by others: "));
    for _ in 0..5 {
        assert!(supervisor.any().await.starts_with("WATCHDOG=1\nSTATUS=nodes: 1; "));
    }
    node.signal("-TERM").await;
    assert_eq!(supervisor.next().await, "STOPPING=1\nSTATUS=ending\n");
    node.end().await.ended(0);
}

#[tokio::test]
async fn a_supervisor_that_is_gone_stops_no_program() {
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let supervisor = Supervisor::listen(false);
    let mut node = supervisor.start(NODE, &["--bootstrap", &bootstrap], "50000");
    node.line().await;
    supervisor.any().await;
    drop(supervisor);
    let mut stderr = node.child.stderr.take().unwrap();
    crate::operator::read_until(&mut stderr, "the supervisor was not notified").await;
    node.child.stderr = Some(stderr);
    node.signal("-TERM").await;
    node.end().await.ended(0);
}
