//! What the files of a store hold, beside what they should.

use std::fmt;

/// What the files of a store hold, beside what they should.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What was acknowledged last; `None` if that can't be read, or if the folder was written by a version
    /// that did not note it.
    pub promised: Option<Promised>,
    /// Entries that can be read, those of deleted profiles included.
    pub readable: u64,
    /// Entries that are there and can't be read.
    pub unreadable: u64,
    /// The first digits of the keys of unreadable entries, at most [`MAX_NAMED`] of them.
    pub named: Vec<String>,
    /// What is wrong, a sentence each; empty if every acknowledged version can be read.
    pub faults: Vec<String>,
    /// What was, or at the next start will be, made anew from the rest, a sentence each. Nothing is lost by
    /// it.
    pub mended: Vec<String>,
}

/// The state of a store when it acknowledged a change for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The number of the group of changes that was made durable last.
    pub commit: u64,
    /// The number of entries, those of deleted profiles included.
    pub entries: u64,
}

impl Inventory {
    /// Returns whether every acknowledged version can be read.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// Counts an entry that is there and can't be read.
    pub(super) fn add_unreadable(&mut self, name: &[u8]) {
        self.unreadable += 1;
        if self.named.len() < MAX_NAMED {
            let digits = name.iter().take(4).map(|byte| format!("{byte:02x}"));
            self.named.push(digits.collect());
        }
    }

    /// Notes what is wrong, once.
    pub(super) fn add_fault(&mut self, fault: impl Into<String>) {
        let fault = fault.into();
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Takes the faults for mended: the snapshot of the database was the reason of all of them.
    pub(super) fn mend_snapshot(&mut self, faults: &[String]) {
        let faults = faults.join("; ");
        self.mended.push(format!("the snapshot of the database was damaged and is made anew ({faults})"));
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.promised {
            Some(Promised { commit, entries }) => {
                write!(f, "{entries} keys were stored by commit {commit}, ")?
            }
            None => write!(f, "how many keys were stored is unknown, ")?,
        }
        write!(f, "{} can be read", self.readable)?;
        if self.unreadable > 0 {
            write!(f, ", {} cannot ({}", self.unreadable, self.named.join(", "))?;
            let more = self.unreadable > self.named.len() as u64;
            f.write_str(if more { ", …)" } else { ")" })?;
        }
        for fault in &self.faults {
            write!(f, "; {fault}")?;
        }
        Ok(())
    }
}

/// Most keys that an inventory names.
pub const MAX_NAMED: usize = 16;
