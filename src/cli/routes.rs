//! A file with the nodes through which servers were reached, so that the next connection needs no lookup.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use super::files;
use super::network::Network;
use crate::PublicKey;

/// Servers remembered; the one reached longest ago makes room.
const MAX_SERVERS: usize = 64;
/// Nodes remembered for each.
const MAX_NODES: usize = 4;
/// A larger file was not written by this program.
const MAX_BYTES: u64 = 64 * 1024;

/// The last good nodes per network and server. They are hints: a file that cannot be read counts as empty,
/// and one that cannot be written is left as it is.
///
/// A line is the name of the network, the server's key and its nodes, separated by spaces; the server reached
/// last comes first.
#[derive(Debug)]
pub struct RoutesFile {
    path: PathBuf,
    network: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    network: String,
    server: PublicKey,
    nodes: Vec<SocketAddrV4>,
}

impl RoutesFile {
    /// Remembers the routes of a network in a file, which need not exist.
    pub fn new(path: PathBuf, network: &Network) -> Self {
        Self { path, network: network.name() }
    }

    /// Returns the file in this user's cache folder, if there is such a folder.
    pub fn of_user(network: &Network) -> Option<Self> {
        use etcetera::BaseStrategy as _;
        // Without a home folder each connection looks the server up, which works as well.
        let strategy = etcetera::choose_base_strategy().ok()?;
        let path = strategy.cache_dir().join("profile-client/routes");
        Some(Self::new(path, network))
    }

    /// Returns the nodes through which a server was reached.
    pub fn get(&self, server: &PublicKey) -> Vec<SocketAddrV4> {
        let mut entries = self.read().into_iter();
        let entry = entries.find(|entry| self.is_of(entry, server));
        entry.map(|entry| entry.nodes).unwrap_or_default()
    }

    /// Remembers the nodes through which a server was reached; none at all forgets it.
    pub fn set(&self, server: &PublicKey, nodes: &[SocketAddrV4]) {
        let before = self.read();
        let mut entries = before.clone();
        entries.retain(|entry| !self.is_of(entry, server));
        let nodes: Vec<_> = nodes.iter().take(MAX_NODES).copied().collect();
        if !nodes.is_empty() {
            let entry = Entry { network: self.network.clone(), server: *server, nodes };
            entries.insert(0, entry);
        }
        entries.truncate(MAX_SERVERS);
        if entries != before
            && let Err(error) = self.replace(&entries)
        {
            tracing::debug!(file = %self.path.display(), %error, "the routes were not written");
        }
    }

    fn is_of(&self, entry: &Entry, server: &PublicKey) -> bool {
        entry.network == self.network && entry.server == *server
    }

    fn read(&self) -> Vec<Entry> {
        // Hints that cannot be read are none.
        let bytes = files::read(&self.path, MAX_BYTES).ok().flatten();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let entries: Option<Vec<_>> = files::unmarked(&text).lines().map(entry).collect();
        let mut entries = entries.unwrap_or_default();
        entries.truncate(MAX_SERVERS);
        entries
    }

    /// Replaces the file in one step.
    fn replace(&self, entries: &[Entry]) -> io::Result<()> {
        // A path without a folder is in the working directory.
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)?;
        let mut text = String::new();
        for entry in entries {
            text.push_str(&format!("{} {}", entry.network, entry.server.to_z32()));
            for node in &entry.nodes {
                text.push_str(&format!(" {node}"));
            }
            text.push('\n');
        }
        // The servers that a user visits are private.
        let mut aside = self.path.as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        files::replace(&self.path, Path::new(&aside), |file| file.write_all(text.as_bytes()))
    }
}

pub(crate) fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let network = words.next()?.to_owned();
    let server = words.next()?.parse().ok()?;
    let nodes: Option<Vec<SocketAddrV4>> = words.map(|word| word.parse().ok()).collect();
    let nodes = nodes?;
    let usable = !nodes.is_empty() && nodes.len() <= MAX_NODES;
    let entry = Entry { network, server, nodes };
    (usable && entry.nodes.iter().all(|node| node.port() != 0)).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_nodes_of_each_server() {
        let (folder, routes) = file();
        assert_eq!(routes.get(&key(1)), []);
        routes.set(&key(1), &nodes(1..3));
        routes.set(&key(2), &nodes(5..20));
        routes.set(&key(1), &nodes(2..4));
        assert_eq!(routes.get(&key(1)), nodes(2..4));
        assert_eq!(routes.get(&key(2)), nodes(5..9));
        routes.set(&key(1), &[]);
        assert_eq!(routes.get(&key(1)), []);
        let files = fs::read_dir(folder.path().join("deep")).unwrap().count();
        assert_eq!(files, 1, "nothing but the file is left");
    }

    #[test]
    fn what_holds_in_one_network_is_not_asked_in_another() {
        let (_folder, routes) = file();
        let in_network = |nodes: &[&str]| RoutesFile::new(routes.path.clone(), &network(nodes));
        let other = in_network(&["b:1", "a:1"]);
        routes.set(&key(1), &nodes(1..3));
        assert_eq!(other.get(&key(1)), []);
        other.set(&key(1), &nodes(5..6));
        assert_eq!(routes.get(&key(1)), nodes(1..3));
        assert_eq!(in_network(&["a:1", "b:1"]).get(&key(1)), nodes(5..6));
        other.set(&key(1), &[]);
        assert_eq!(routes.get(&key(1)), nodes(1..3));
    }

    #[test]
    fn the_server_reached_longest_ago_makes_room() {
        let (_folder, routes) = file();
        for n in 0..=MAX_SERVERS as u8 {
            routes.set(&key(n), &nodes(1..2));
        }
        assert_eq!(routes.read().len(), MAX_SERVERS);
        assert_eq!(routes.get(&key(0)), []);
        assert_eq!(routes.get(&key(1)), nodes(1..2));
    }

    #[test]
    fn a_mark_of_an_editor_is_no_part_of_the_first_line() {
        let (_folder, routes) = file();
        routes.set(&key(1), &nodes(1..3));
        let text = fs::read_to_string(&routes.path).unwrap();
        fs::write(&routes.path, format!("\u{feff}{text}")).unwrap();
        assert_eq!(routes.get(&key(1)), nodes(1..3));
    }

    #[test]
    fn a_damaged_file_is_an_empty_one_and_is_replaced() {
        let (_folder, routes) = file();
        routes.set(&key(1), &nodes(1..3));
        let good = fs::read(&routes.path).unwrap();
        let huge = good.repeat(MAX_BYTES as usize / good.len() + 1);
        for bad in [&good[..good.len() - 4], b"nonsense", b"\xff\xfe", b"\n", &huge] {
            fs::write(&routes.path, bad).unwrap();
            assert_eq!(routes.get(&key(1)), [], "{bad:?}");
            routes.set(&key(2), &nodes(7..8));
            assert_eq!(routes.read().len(), 1);
            assert_eq!(routes.get(&key(2)), nodes(7..8));
        }
    }

    #[cfg(unix)]
    #[test]
    fn other_users_cannot_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, routes) = file();
        routes.set(&key(1), &nodes(1..3));
        let mode = fs::metadata(&routes.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn file() -> (tempfile::TempDir, RoutesFile) {
        let folder = tempfile::tempdir().unwrap();
        let routes = RoutesFile::new(folder.path().join("deep/routes"), &network(&["a:1"]));
        (folder, routes)
    }

    fn network(nodes: &[&str]) -> Network {
        Network { bootstrap: nodes.iter().map(ToString::to_string).collect() }
    }

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn nodes(ports: std::ops::Range<u16>) -> Vec<SocketAddrV4> {
        let ip = [25, 0, 1, 1].into();
        ports.map(|port| SocketAddrV4::new(ip, port)).collect()
    }
}
