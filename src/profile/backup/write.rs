//! Writes backups.

use std::io::{self, Write};

use super::line::{Closing, Entry, FORMAT, Header, Line, Sum};

/// Writes the lines of a backup.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    sum: Sum,
    /// What was written so far.
    counted: Closing,
}

impl<W: Write> Writer<W> {
    /// Writes the first line. `created` is the Unix time in seconds.
    ///
    /// # Errors
    ///
    /// The error of `output`.
    pub fn begin(output: W, created: u64) -> io::Result<Self> {
        let mut writer = Self { output, sum: Sum::default(), counted: Closing::default() };
        writer.line(&Line::Header(Header { format: FORMAT, created }))?;
        Ok(writer)
    }

    /// Writes the line of an entry.
    ///
    /// # Errors
    ///
    /// The error of `output`.
    pub fn entry(&mut self, entry: Entry) -> io::Result<()> {
        self.counted.count(&entry);
        self.line(&Line::Entry(entry))
    }

    /// Writes the last line; without it the backup counts as cut. Flushes nothing.
    ///
    /// # Errors
    ///
    /// The error of `output`.
    pub fn close(mut self) -> io::Result<(W, Closing)> {
        let closing = Closing { sum: self.sum.to_hex(), ..self.counted.clone() };
        self.line(&Line::Closing(closing.clone()))?;
        Ok((self.output, closing))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let bytes = line.to_bytes();
        self.sum.add(&bytes);
        self.output.write_all(&bytes)
    }
}
