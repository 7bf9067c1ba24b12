//! Reads backups.

use std::fmt;
use std::io::{self, BufRead};

use super::super::lines::MAX_LINE;
use super::line::{Closing, Entry, FORMAT, Header, Line, LineError, OLDEST, Sum};

/// Reads the entries of a backup, and goes on after damaged lines. Keeps one line in memory.
pub struct Reader<R> {
    input: R,
    /// The number of the last line that was read, from 1.
    number: u64,
    pub(super) buffer: Vec<u8>,
    header: Option<Header>,
    closing: Option<Closing>,
    sum: Sum,
    /// What was read so far.
    counted: Closing,
    is_over: bool,
}

/// Without the entries.
impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What is wrong with a line of a backup.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Fault {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a line of a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// Lines are missing at the end.
    #[error("the backup is cut off here")]
    Cut,
    /// The last line counts other lines than were read.
    #[error("the backup was written with {0}, and other lines are read")]
    Differs(Closing),
    /// The backup has another format. Nothing of it is read.
    #[error("the backup has format {0}, this program reads format {FORMAT}")]
    Format(u32),
    /// The input cannot be read on.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The line is refused.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The line has more than [`MAX_LINE`] bytes.
    #[error("it has more than {MAX_LINE} bytes")]
    Long,
    /// The line is a first line and not the first one.
    #[error("the first line of a backup does not belong here")]
    Misplaced,
    /// Something follows the last line.
    #[error("something follows the end of the backup")]
    Trailing,
}

impl<R: BufRead> Reader<R> {
    /// Begins to read.
    pub fn new(input: R) -> Self {
        Self {
            input,
            number: 0,
            buffer: Vec::new(),
            header: None,
            closing: None,
            sum: Sum::default(),
            counted: Closing::default(),
            is_over: false,
        }
    }

    /// Returns the first line, once it was read.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Returns the last line, once it was read.
    pub const fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// Reads one line.
    fn step(&mut self) -> Result<Step, FaultKind> {
        let read = read_line(&mut self.input, &mut self.buffer);
        self.number += 1;
        let read = read.inspect_err(|_| self.is_over = true)?;
        if self.closing.is_some() {
            self.is_over = true;
            return match read {
                Read::End { partial: false } => Ok(Step::Over),
                _ => Err(FaultKind::Trailing),
            };
        }
        match read {
            Read::Line => {}
            Read::Long => return Err(FaultKind::Long),
            Read::End { .. } => {
                self.is_over = true;
                return Err(FaultKind::Cut);
            }
        }
        let before = self.sum;
        self.sum.add(&self.buffer);
        match Line::parse(&self.buffer[..self.buffer.len() - 1])? {
            Line::Header(_) if self.number != 1 => Err(FaultKind::Misplaced),
            Line::Header(header) if !(OLDEST..=FORMAT).contains(&header.format) => {
                self.is_over = true;
                Err(FaultKind::Format(header.format))
            }
            Line::Header(header) => {
                self.header = Some(header);
                Ok(Step::Goes)
            }
            Line::Entry(entry) => {
                self.counted.count(&entry);
                Ok(Step::Entry(entry))
            }
            Line::Closing(closing) => {
                self.counted.sum = before.to_hex();
                let is_whole = self.header.is_some() && closing == self.counted;
                self.closing = Some(closing.clone());
                match is_whole {
                    true => Ok(Step::Goes),
                    false => Err(FaultKind::Differs(closing)),
                }
            }
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, Fault>;

    /// Returns the next entry, or what is wrong with a line. The backup is whole if no fault was returned
    /// before the end.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            match self.step() {
                Ok(Step::Goes) => {}
                Ok(Step::Over) => return None,
                Ok(Step::Entry(entry)) => return Some(Ok(entry)),
                Err(kind) => return Some(Err(Fault { line: self.number, kind })),
            }
        }
        None
    }
}

/// What a line was.
enum Step {
    Goes,
    Entry(Entry),
    Over,
}

/// How the reading of a line ended.
enum Read {
    /// With a line feed, which is in the buffer.
    Line,
    /// With a line feed, after more bytes than a line may have.
    Long,
    /// With the input, within a line if `partial`.
    End { partial: bool },
}

/// Reads up to and with the next line feed. Of a line that is too long nothing is kept.
fn read_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Read> {
    buffer.clear();
    let (mut is_long, mut any) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(Read::End { partial: any });
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(available.len());
        is_long |= buffer.len() + taken > MAX_LINE;
        match is_long {
            true => buffer.clear(),
            false => buffer.extend_from_slice(&available[..taken]),
        }
        input.consume(taken);
        if end.is_some() {
            return Ok(if is_long { Read::Long } else { Read::Line });
        }
    }
}
