//! What a run has shown, as one line of a table.

use std::fmt;
use std::time::Duration;

use crate::machine::Done;
use crate::world::{Algorithm, Settings};

/// The figures of one run.
pub(crate) struct Report {
    pub(crate) nodes: usize,
    pub(crate) algorithm: Algorithm,
    pub(crate) lookups: usize,
    pub(crate) found: f64,
    pub(crate) hops: Spread,
    /// Datagrams per lookup.
    pub(crate) messages: Spread,
    /// Milliseconds until the walk is over.
    pub(crate) time: Spread,
    /// Milliseconds until the record is there.
    pub(crate) first: Spread,
    /// Requests that a node has received.
    pub(crate) load: Spread,
    /// Datagrams of any kind per host and second.
    pub(crate) traffic: f64,
    /// Bytes per host.
    pub(crate) memory: Option<u64>,
}

/// The middle and the tail.
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
}

impl Report {
    pub(crate) const HEAD: &str = concat!(
        "   nodes algorithm  lookups   found%     hops p50/95/99   messages mean p50/95/99",
        "    time ms p50/95/99   found ms p50/95/99   load mean p95   datagrams/s   KB/host    real"
    );

    pub(crate) fn new(
        settings: Settings,
        done: &[Done],
        loads: &mut [u64],
        traffic: f64,
        memory: Option<u64>,
    ) -> Self {
        let found = done.iter().filter(|done| done.lookup.found.is_some());
        let outcomes = || done.iter().filter_map(|done| done.result.as_ref().ok());
        let milliseconds = |time: Duration| time.as_millis() as u64;
        Self {
            nodes: settings.nodes,
            algorithm: settings.algorithm,
            lookups: done.len(),
            found: found.count() as f64 / done.len().max(1) as f64,
            hops: Spread::of(outcomes().map(|outcome| outcome.hops.into()).collect()),
            messages: Spread::of(outcomes().map(|outcome| outcome.sent as u64).collect()),
            time: Spread::of(
                done.iter().map(|done| milliseconds(done.ended - done.lookup.started)).collect(),
            ),
            first: Spread::of(
                done.iter()
                    .filter_map(|done| Some(milliseconds(done.lookup.found? - done.lookup.started)))
                    .collect(),
            ),
            load: Spread::of(loads.to_vec()),
            traffic,
            memory,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.algorithm {
            Algorithm::Ours => "ours",
            Algorithm::Reference => "reference",
        };
        write!(
            f,
            "{:>8} {name:<9} {:>8} {:>8.3} {:>18} {:>12.1} {:>12} {:>20} {:>20} {:>9.0} {:>6} {:>12.2} {:>9}",
            self.nodes,
            self.lookups,
            self.found * 100.0,
            self.hops.to_string(),
            self.messages.mean,
            self.messages.to_string(),
            self.time.to_string(),
            self.first.to_string(),
            self.load.mean,
            self.load.p95,
            self.traffic,
            self.memory.map_or(0, |bytes| bytes / 1024),
        )
    }
}

impl Spread {
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |share: f64| {
            let last = values.len().saturating_sub(1);
            values.get((last as f64 * share) as usize).copied().unwrap_or(0)
        };
        Self {
            mean: values.iter().sum::<u64>() as f64 / values.len().max(1) as f64,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.p50, self.p95, self.p99)
    }
}

/// Returns the bytes of memory of this process, where the system shows it.
pub(crate) fn resident_memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}
