//! The data directory of `dht-node`: the nodes that its first node knew, and the announcements that each of
//! its nodes held.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::files;
use crate::Dht;
use crate::api::KeptAnnouncement;

/// The files in a data directory: text, an entry per line. Entries are hints: a line that is not one is
/// skipped.
#[derive(Clone, Debug)]
pub(super) struct NodeState {
    directory: PathBuf,
}

impl NodeState {
    /// Uses a directory; creates it if it does not exist.
    pub(super) fn in_directory(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Reads the addresses of the nodes that were known. Without a file there are none.
    pub(super) fn known_nodes(&self) -> io::Result<Vec<SocketAddrV4>> {
        let text = read(&self.nodes(), MAX_NODES_BYTES)?;
        // What is no address is passed over, comments above all.
        let addresses = text.lines().filter_map(|line| line.trim().parse().ok());
        Ok(addresses.take(MAX_NODES).collect())
    }

    /// Reads the announcements of the node with this number, with their remaining lifetimes.
    pub(super) fn announcements(&self, number: u16) -> io::Result<Vec<KeptAnnouncement>> {
        let text = read(&self.announcements_of(number), MAX_ANNOUNCEMENTS_BYTES)?;
        let mut lines = text.lines();
        let saved = lines.next().and_then(|line| line.strip_prefix(SAVED_AT));
        let Some(saved) = saved.and_then(|seconds| seconds.parse().ok()) else {
            return Ok(Vec::new());
        };
        // A clock that was set back does not prolong them.
        let passed = unix_time().saturating_sub(Duration::from_secs(saved));
        let kept = lines.filter_map(|line| {
            let mut kept: KeptAnnouncement = line.parse().ok()?;
            kept.remaining = kept.remaining.checked_sub(passed)?;
            Some(kept)
        });
        Ok(kept.take(MAX_ANNOUNCEMENTS).collect())
    }

    /// Saves the known nodes and the announcements.
    pub(super) async fn save(&self, nodes: &[Dht]) -> io::Result<()> {
        if let Some(first) = nodes.first() {
            let known = first.known_nodes().await;
            // The saved nodes are better than none.
            if !known.is_empty() {
                let head = "# Nodes of the HyperDHT that answered, the last one first.";
                replace(&self.nodes(), head, known.iter().take(MAX_NODES))?;
            }
        }
        for (number, node) in (0..).zip(nodes) {
            // A node that does not serve yet has not read its announcements from the file.
            if !node.state().persistent {
                continue;
            }
            let kept = node.announcements().await;
            let head = format!("{SAVED_AT}{}", unix_time().as_secs());
            let path = self.announcements_of(number);
            replace(&path, &head, kept.iter().take(MAX_ANNOUNCEMENTS))?;
        }
        Ok(())
    }

    fn nodes(&self) -> PathBuf {
        self.directory.join("nodes")
    }

    fn announcements_of(&self, number: u16) -> PathBuf {
        self.directory.join(format!("announcements-{number}"))
    }
}

fn unix_time() -> Duration {
    // Before 1970 nothing has been saved.
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Reads at most so many bytes of a file. Without a file there are none.
fn read(path: &Path, most: u64) -> io::Result<String> {
    let file = match files::open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(files::unmarked(&String::from_utf8_lossy(&bytes)).to_owned())
}

/// Replaces a file by lines.
fn replace(path: &Path, head: &str, lines: impl Iterator<Item = impl Display>) -> io::Result<()> {
    files::replace(path, &path.with_extension("next"), |file| {
        let mut file = io::BufWriter::new(file);
        writeln!(file, "{head}")?;
        for line in lines {
            writeln!(file, "{line}")?;
        }
        file.flush()
    })
}

/// How the first line of announcements begins; the Unix time follows.
const SAVED_AT: &str = "# Announcements as they were signed, saved at ";
/// Addresses that are kept.
const MAX_NODES: usize = 1000;
/// Bytes that are read: that many addresses and some comments.
const MAX_NODES_BYTES: u64 = 64 * 1024;
/// Announcements that are kept: what a node holds at most.
const MAX_ANNOUNCEMENTS: usize = 65_536;
/// Bytes that are read: that many lines.
const MAX_ANNOUNCEMENTS_BYTES: u64 = 40 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_nonsense_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = NodeState::in_directory(&folder.path().join("a/b")).expect("made");
        assert_eq!(state.known_nodes().expect("no file"), []);
        assert_eq!(state.announcements(0).expect("no file"), []);
        let nodes: Vec<SocketAddrV4> =
            (1..=1500).map(|port| SocketAddrV4::new([10, 0, 0, 1].into(), port)).collect();
        replace(&state.nodes(), "# head", nodes.iter()).expect("written");
        assert_eq!(state.known_nodes().expect("read"), nodes[..1000]);
        fs::write(state.nodes(), "\u{feff}10.0.0.1:5\n").expect("written");
        assert_eq!(state.known_nodes().expect("read"), ["10.0.0.1:5".parse().expect("valid")]);
        let text = b"# comment\n10.0.0.1:5\nnonsense\n\xff\xfe\n[::1]:5\n 10.0.0.2:6 \r\n";
        fs::write(state.nodes(), text).expect("written");
        let read = state.known_nodes().expect("read");
        assert_eq!(read, ["10.0.0.1:5", "10.0.0.2:6"].map(|text| text.parse().expect("valid")));
    }

    #[test]
    fn announcements_age_while_the_node_is_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = NodeState::in_directory(folder.path()).expect("made");
        let kept = |seconds| KeptAnnouncement {
            target: [1; 32],
            from: SocketAddrV4::new([10, 0, 0, 1].into(), 5),
            token: [2; 32],
            announce: crate::wire::records::Announce::default(),
            remaining: Duration::from_secs(seconds),
        };
        let write = |saved: u64, lines: &[&str]| {
            let head = format!("{SAVED_AT}{saved}");
            replace(&state.announcements_of(3), &head, lines.iter()).expect("written");
            state.announcements(3).expect("read")
        };
        let now = unix_time().as_secs();
        let lines = [500, 1500].map(|seconds| kept(seconds).to_string());
        let lines = [&lines[0], "nonsense", "a b c d e", &lines[1]].map(|line| line as &str);
        let left = |kept: &[KeptAnnouncement]| -> Vec<u64> {
            kept.iter().map(|kept| kept.remaining.as_secs()).collect()
        };
        let read = write(now - 1000, &lines);
        assert_eq!(read.len(), 1);
        assert!((498..=500).contains(&left(&read)[0]), "{read:?}");
        assert_eq!(left(&write(now + 1000, &lines)), [500, 1500]);
        assert_eq!(write(now - 2000, &lines), []);
        fs::write(state.announcements_of(3), "no head\n").expect("written");
        assert_eq!(state.announcements(3).expect("read"), []);
    }
}
