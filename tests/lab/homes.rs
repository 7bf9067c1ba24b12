//! An internet of namespaces with a DHT on it, and homes to put programs into.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::support::{Process, interop};

pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_profile-client");
pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_profile-server");
pub(crate) const NODE: &str = env!("CARGO_BIN_EXE_dht-node");

const NATLAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/natlab");

/// What the DHT of a lab is made of, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Four hosts in networks of their own, each with two nodes.
    Spread,
    /// Four hosts of one subnet, a node each.
    Subnet,
    /// Five nodes in one process on one address.
    OneHost,
    /// Two hosts of one subnet, a node each.
    Two,
    /// One node.
    One,
    /// Four nodes of the reference in one subnet.
    Theirs,
    /// Two nodes of this crate and two of the reference in one subnet.
    Mixed,
    /// The hosts of the README, with nothing on them.
    Readme,
    /// Four hosts of one subnet in a carrier's private network, with the homes behind routers in the same
    /// network.
    Private,
}

impl Ground {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spread => "networks of their own",
            Self::Subnet => "four nodes in one subnet",
            Self::OneHost => "five nodes in one process",
            Self::Two => "two nodes",
            Self::One => "one node",
            Self::Theirs => "four nodes of the reference in one subnet",
            Self::Mixed => "two nodes of this crate and two of the reference in one subnet",
            Self::Readme => "the hosts of the README",
            Self::Private => "a carrier's private network",
        }
    }

    fn addresses(self) -> Vec<String> {
        let (hosts, subnet) = match self {
            Self::Spread => return (1..=4).map(|host| format!("25.0.{host}.1")).collect(),
            Self::OneHost | Self::One => (1, "25.0.9"),
            Self::Two => (2, "25.0.9"),
            Self::Subnet | Self::Theirs | Self::Mixed => (4, "25.0.9"),
            Self::Readme => (4, "192.0.2"),
            Self::Private => (4, "10.100.9"),
        };
        (1..=hosts).map(|host| format!("{subnet}.{host}")).collect()
    }

    const fn is_theirs(self, host: usize) -> bool {
        matches!((self, host), (Self::Theirs, _) | (Self::Mixed, 2..))
    }
}

/// What a peer's packets go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No NAT.
    Open,
    /// One port for all destinations; anyone may send to it.
    Cone,
    /// One port for all destinations; only addresses that were sent to may send to it.
    Restricted,
    /// A random port for each destination.
    Random,
    /// The other peer's home.
    Same,
    /// A restricted home behind the restricted NAT of a provider.
    Carrier,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Open, Self::Cone, Self::Restricted, Self::Random, Self::Same];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cone => "cone",
            Self::Restricted => "restricted",
            Self::Random => "random",
            Self::Same => "same",
            Self::Carrier => "carrier",
        }
    }
}

/// An internet with a DHT. Everything in it ends when this is dropped, or when this process ends in any other
/// way.
pub(crate) struct Lab {
    prefix: String,
    guard: Child,
    nodes: Vec<Process>,
    /// Identities and stores.
    pub(crate) folder: TempDir,
    /// Where to join the DHT.
    pub(crate) bootstrap: String,
    ground: Ground,
}

impl Lab {
    /// Makes the internet and starts a DHT that is spread over it. Without the means a test is skipped with
    /// a message, but on CI it fails.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_on(Ground::Spread).await
    }

    /// Likewise, with a DHT of another make or in another place.
    pub(crate) async fn start_on(ground: Ground) -> Option<Self> {
        if let Some(missing) = missing() {
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            return None;
        }
        static LABS: AtomicU32 = AtomicU32::new(0);
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let letter = |number| char::from_u32('a' as u32 + number % 26).unwrap();
        let letters = [letter(number / 26), letter(number)];
        let prefix = format!("hp{}{}", std::process::id(), String::from_iter(letters));
        let mut guard = Command::new(NATLAB)
            .args(["guard", &prefix])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(guard.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        let addresses = ground.addresses();
        let mut lab = Self {
            prefix,
            guard,
            nodes: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            bootstrap: format!("{}:49737", addresses[0]),
            ground,
        };
        let hosts: Vec<&str> = addresses.iter().map(String::as_str).collect();
        lab.natlab("wan", &hosts);
        let own_nodes = ground == Ground::Readme;
        for (number, ip) in hosts.iter().enumerate().filter(|_| !own_nodes) {
            let node = lab.node(number, ip).await;
            lab.nodes.push(node);
        }
        Some(lab)
    }

    /// Starts what a host of the DHT runs.
    async fn node(&self, number: usize, ip: &str) -> Process {
        let host = format!("d{}", number + 1);
        let joins = ["--bootstrap", self.bootstrap.as_str()];
        let joins = if number > 0 { &joins[..] } else { &[] };
        if self.ground.is_theirs(number) {
            let mut arguments = vec!["1", "49737", "--host", ip];
            arguments.extend(joins);
            let mut node = self.script(&host, "testnet.mjs", &arguments);
            node.event("bootstrap").await;
            return node;
        }
        let mut arguments = match (self.ground, number) {
            (Ground::Spread, _) => vec!["--bind", ip, "--port", "49737", "--public", ip],
            // As a person would, who types no more than is needed.
            _ => Vec::new(),
        };
        arguments.extend(match self.ground {
            Ground::Spread => &["--nodes", "2"][..],
            Ground::OneHost => &["--nodes", "5"],
            _ => &[],
        });
        if number == 0 {
            arguments.push("--new-network");
        }
        arguments.extend(joins);
        let mut node = self.program(&host, NODE, &arguments);
        assert_eq!(node.first_line().await, format!("{ip}:49737"));
        node
    }

    /// Gives the host `name` a home. Numbers from 1 to 250, each once.
    pub(crate) fn home(&self, name: &str, kind: &str, number: u32) {
        self.natlab("home", &[name, kind, &number.to_string()]);
    }

    /// Puts the host `name` into the home of `other`, which has the number.
    pub(crate) fn mate(&self, name: &str, other: &str, number: u32) {
        self.natlab("mate", &[name, other, &number.to_string()]);
    }

    /// Makes homes of two kinds for `server` and `client`.
    pub(crate) fn pair(&self, server: Kind, client: Kind) {
        // One home is a router's, and which kind it is makes no difference inside.
        let kind = |kind| match kind {
            Kind::Same => "restricted",
            other => other.name(),
        };
        match (server, client) {
            (Kind::Same, other) if other != Kind::Same => {
                self.home("client", kind(other), 2);
                self.mate_of("server", "client", other, 2);
            }
            (other, Kind::Same) => {
                self.home("server", kind(other), 1);
                self.mate_of("client", "server", other, 1);
            }
            (server, client) => {
                self.home("server", kind(server), 1);
                self.home("client", kind(client), 2);
            }
        }
    }

    /// Makes two homes behind one provider's NAT. Their routers give out the same addresses, as all of a make
    /// do.
    pub(crate) fn neighbours(&self) {
        self.home("server", Kind::Carrier.name(), 1);
        self.natlab("next", &["client", "server", "1"]);
    }

    /// Lets the router of a home forget its mappings and make other ones.
    pub(crate) fn remap(&self, name: &str) {
        self.natlab("remap", &[name]);
    }

    /// Takes the interface of a host down.
    pub(crate) fn down(&self, name: &str) {
        self.natlab("down", &[name]);
    }

    /// Brings the interface of a host up again.
    pub(crate) fn up(&self, name: &str) {
        self.natlab("up", &[name]);
    }

    /// Removes the homes of a pair.
    pub(crate) fn part(&self) {
        for name in ["server", "client"] {
            self.natlab("away", &[name]);
        }
    }

    /// Loses a share of the packets of a home, in both directions.
    pub(crate) fn lose(&self, name: &str, percent: u32) {
        self.natlab("drop", &[name, &percent.to_string()]);
    }

    /// Lets the home of a host take packets up to a size only, and drop larger ones without a word.
    pub(crate) fn mtu(&self, name: &str, bytes: u32) {
        self.natlab("mtu", &[name, &bytes.to_string()]);
    }

    /// Lets the router of a home drop packets that were divided on the way.
    pub(crate) fn whole(&self, name: &str) {
        self.natlab("whole", &[name]);
    }

    /// Lets nothing into a host from its local network.
    pub(crate) fn wall(&self, name: &str) {
        self.natlab("wall", &[name]);
    }

    /// Starts one of the programs on a host.
    pub(crate) fn program(&self, host: &str, path: &str, arguments: &[&str]) -> Process {
        let mut command = self.command(host, path);
        command
            .args(arguments)
            .env_remove("HYPERDHT_BOOTSTRAP")
            .env("XDG_CACHE_HOME", self.folder.path().join(host));
        let name = path.rsplit('/').next().unwrap();
        Process::start(format!("{host}: {name} {}", arguments.join(" ")), command)
    }

    /// Gives a host of the DHT another address.
    pub(crate) fn also(&self, host: &str, address: &str) {
        self.natlab("also", &[host, address]);
    }

    /// Starts a shell command on a host, with the programs in the path and a home folder of the host.
    pub(crate) fn shell(&self, host: &str, line: &str) -> Process {
        let programs = Path::new(NODE).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.command(host, "sh");
        command
            .args(["-c", &format!("exec {line}")])
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("HOME", self.folder.path().join(host))
            .env_remove("HYPERDHT_BOOTSTRAP")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CACHE_HOME");
        Process::start(format!("{host}: {line}"), command)
    }

    /// Starts a script of `tests/interop` on a host.
    pub(crate) fn script(&self, host: &str, script: &str, arguments: &[&str]) -> Process {
        let mut command = self.command(host, "node");
        command.arg(interop().join(script)).args(arguments);
        Process::start(format!("{host}: {script} {}", arguments.join(" ")), command)
    }

    /// Starts a profile server on a host, with a new identity for each `run`; returns it with its key once it
    /// is announced.
    pub(crate) async fn server(&self, host: &str, run: &str, extra: &[&str]) -> (Process, String) {
        let folder = self.folder.path().join(run);
        let mut arguments = vec!["--data-dir", folder.to_str().unwrap(), "--quiet"];
        arguments.extend(["--bootstrap", &self.bootstrap]);
        arguments.extend(extra);
        let mut server = self.program(host, SERVER, &arguments);
        let key = server.first_line().await;
        (server, key)
    }

    /// Runs a profile client on a host to its end; returns its exit code and what it printed.
    pub(crate) async fn client(&self, host: &str, key: &str, words: &[&str]) -> (i32, String) {
        self.client_within("10s", host, key, words).await
    }

    /// Likewise, with this timeout to connect.
    pub(crate) async fn client_within(
        &self,
        timeout: &str,
        host: &str,
        key: &str,
        words: &[&str],
    ) -> (i32, String) {
        let identity = self.folder.path().join(format!("identity-{host}"));
        let mut arguments = vec!["--json", "--explain", "--server", key];
        arguments.extend(["--bootstrap", &self.bootstrap]);
        arguments.extend(["--identity", identity.to_str().unwrap()]);
        arguments.extend(["--timeout", timeout]);
        arguments.extend(words);
        self.program(host, CLIENT, &arguments).end().await
    }

    /// Runs the reference's profile client on a host to its end; returns its exit code and what it printed.
    pub(crate) async fn javascript_client(&self, host: &str, key: &str, words: &[&str]) -> (i32, String) {
        let identity = self.folder.path().join(format!("identity-{host}"));
        let mut arguments = vec!["--server", key, "--bootstrap", &self.bootstrap];
        arguments.extend(["--identity", identity.to_str().unwrap(), "--timing"]);
        arguments.extend(words);
        self.script(host, "profile-client.mjs", &arguments).end().await
    }

    fn mate_of(&self, name: &str, other: &str, kind: Kind, number: u32) {
        match kind {
            // Without a router the home is the provider's network.
            Kind::Open => self.home(name, "open", number + 2),
            _ => self.mate(name, other, number),
        }
    }

    /// Makes a command that replaces itself with a program on a host.
    fn command(&self, host: &str, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        let namespace = format!("{}-{host}", self.prefix);
        command.args(["netns", "exec", &namespace, program]);
        command
    }

    fn natlab(&self, what: &str, arguments: &[&str]) {
        let net = match self.ground {
            Ground::Private => "10.101",
            _ => "25.1",
        };
        let output = Command::new(NATLAB)
            .env("NATLAB_NET", net)
            .args([what, &self.prefix])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{what} {arguments:?}: {output:?}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Whatever is left is swept by the next run.
        let _ = self.guard.wait();
    }
}

/// Returns how often each pair is tried.
pub(crate) fn runs() -> usize {
    let runs = std::env::var("HYPERPROFILE_RUNS").ok();
    runs.map_or(1, |runs| runs.parse().unwrap())
}

/// Returns what a lab needs and is not here.
fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<&'static str>> = OnceLock::new();
    *MISSING.get_or_init(look)
}

fn look() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !works("nft", &["--version"]) {
        return Some("the lab needs nftables");
    }
    let name = format!("hp{}try-", std::process::id());
    let made = works("ip", &["netns", "add", &name]);
    if !made {
        return Some("the lab needs root, iproute2 and network namespaces");
    }
    works("ip", &["netns", "del", &name]);
    None
}
