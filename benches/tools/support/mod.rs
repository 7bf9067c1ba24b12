//! Shared by the measuring peers.

#![allow(dead_code, reason = "not every example needs all of it")]

pub(crate) mod forward;
pub(crate) mod node;

use std::time::Duration;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Describes times by their median and the one that 99 % stay under.
pub(crate) fn microseconds(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    format!("p50 {:.1} us, p99 {:.1} us", at(0.5), at(0.99))
}

pub(crate) fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Returns the bytes of memory in use, as Linux reports them.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_u64) * 4096
}

/// Returns the processor time used so far, as Linux reports it in hundredths of a second.
pub(crate) fn processor_time() -> Duration {
    processor_time_of(std::process::id())
}

/// Returns the processor time that a process has used so far.
pub(crate) fn processor_time_of(pid: u32) -> Duration {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = status.rsplit(')').next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
