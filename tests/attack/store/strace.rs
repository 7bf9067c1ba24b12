//! System calls that fail, or kill, on purpose.

use std::process::Command;

/// Returns whether strace is missing, and reports it: the calling test is skipped.
pub(super) fn is_missing() -> bool {
    if Command::new("strace").arg("-V").output().is_ok() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "strace is not installed");
    eprintln!("SKIPPED: strace is not installed");
    true
}
