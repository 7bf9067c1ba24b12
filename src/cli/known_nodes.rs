//! What a node knew when it last ran: a file with one address per line.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

/// The file in a data directory.
#[derive(Clone, Debug)]
pub(super) struct KnownNodes {
    path: PathBuf,
}

impl KnownNodes {
    /// Names the file in a directory, which is made if it is not there.
    pub(super) fn in_directory(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self {
            path: directory.join("nodes"),
        })
    }

    /// Reads the addresses. Without a file there are none, and a line that is no address is passed over.
    pub(super) fn load(&self) -> io::Result<Vec<SocketAddrV4>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let addresses = text.lines().filter_map(|line| line.trim().parse().ok());
        Ok(addresses.take(MAX_NODES).collect())
    }

    /// Replaces the file, in one step: whoever reads it finds the old addresses or the new ones.
    pub(super) fn save(&self, nodes: &[SocketAddrV4]) -> io::Result<()> {
        // What was known is worth more than nothing.
        if nodes.is_empty() {
            return Ok(());
        }
        let mut text = String::from("# Nodes of the HyperDHT that answered, the last one first.\n");
        for node in nodes.iter().take(MAX_NODES) {
            text.push_str(&node.to_string());
            text.push('\n');
        }
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&next, &self.path)
    }
}

/// Addresses that are kept.
const MAX_NODES: usize = 1000;
/// Bytes that are read: that many addresses and some comments.
const MAX_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_nonsense_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = KnownNodes::in_directory(&folder.path().join("a/b")).expect("made");
        assert_eq!(file.load().expect("no file"), []);
        let nodes: Vec<SocketAddrV4> = (1..=1500)
            .map(|port| SocketAddrV4::new([10, 0, 0, 1].into(), port))
            .collect();
        file.save(&nodes).expect("written");
        assert_eq!(file.load().expect("read"), nodes[..1000]);
        file.save(&[]).expect("left alone");
        assert_eq!(file.load().expect("read").len(), 1000);
        let text = b"# comment\n10.0.0.1:5\nnonsense\n\xff\xfe\n[::1]:5\n 10.0.0.2:6 \r\n";
        fs::write(&file.path, text).expect("written");
        let read = file.load().expect("read");
        assert_eq!(
            read,
            ["10.0.0.1:5", "10.0.0.2:6"].map(|text| text.parse().expect("valid"))
        );
    }
}
