//! What a program takes of this machine, by `/proc`.

use std::time::Duration;

/// A program that runs, by its id.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Returns the memory that it occupies, in bytes.
    pub(crate) fn memory(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib << 10
    }

    /// Returns how many sockets it has open.
    pub(crate) fn sockets(self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap();
        let targets = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Returns the processor time that it has taken.
    pub(crate) fn busy(self) -> Duration {
        busy(&format!("/proc/{}/stat", self.0))
    }

    /// Returns the processor time that the calling thread has taken.
    pub(crate) fn this_thread() -> Duration {
        busy("/proc/thread-self/stat")
    }
}

fn busy(file: &str) -> Duration {
    let stat = std::fs::read_to_string(file).unwrap();
    // The second field, a name in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    // Linux counts in hundredths of a second there.
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
