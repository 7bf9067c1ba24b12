//! Lines of bounded length, each complete within a bounded time.

use std::fmt;
use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Splits a byte stream into lines and keeps the bytes of the next one.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes before this index belong to lines already returned.
    start: usize,
    /// Bytes from `start` to this index hold no line break.
    searched: usize,
    /// When the first byte of the unfinished line was noticed.
    begun: Option<Instant>,
}

/// Without the bytes.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.buffer.len() - self.start;
        f.debug_struct("Lines").field("length", &length).finish_non_exhaustive()
    }
}

/// Why there is no next line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The peer ended the stream, between lines or within one.
    #[error("the peer closed the connection")]
    Ended,
    /// More than [`MAX_LINE`] bytes came without a line break.
    #[error("the peer sent a line of more than {MAX_LINE} bytes")]
    TooLong,
    /// The peer began a line and did not finish it in time.
    #[error("the peer did not finish a line in time")]
    Slow,
    /// Nothing came until the given instant.
    #[error("the peer sent nothing in time")]
    Idle,
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Lines {
    /// Returns the next line, without its line break.
    ///
    /// Waits until `idle_at` for a line to be complete, and at most `line_timeout` from its first byte.
    ///
    /// # Errors
    ///
    /// [`LineError`]; only after [`LineError::Idle`] is the stream usable.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses nothing: what has arrived stays in the buffer, and so does the instant at which a
    /// line began.
    pub async fn next<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        idle_at: Option<Instant>,
        line_timeout: Duration,
    ) -> Result<Vec<u8>, LineError> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(line);
            }
            let line_at = self.begun.map(|begun| begun + line_timeout);
            let read = async {
                match line_at {
                    Some(line_at) => timeout_at(line_at, stream.read_buf(&mut self.buffer))
                        .await
                        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                        .map_err(|error| match error.kind() {
                            io::ErrorKind::TimedOut if Instant::now() >= line_at => LineError::Slow,
                            _ => LineError::Io(error),
                        }),
                    None => Ok(stream.read_buf(&mut self.buffer).await?),
                }
            };
            let idle = async {
                match idle_at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let count = tokio::select! {
                biased;
                count = read => count?,
                () = idle => return Err(LineError::Idle),
            };
            if count == 0 {
                return Err(LineError::Ended);
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        if let Some(offset) = found {
            let end = self.searched + offset;
            if end - self.start >= MAX_LINE {
                return Err(LineError::TooLong);
            }
            let line = self.buffer[self.start..end].to_vec();
            self.start = end + 1;
            self.searched = self.start;
            self.begun = None;
            return Ok(Some(line));
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        self.searched = self.buffer.len();
        if self.buffer.len() >= MAX_LINE {
            return Err(LineError::TooLong);
        }
        if self.buffer.is_empty() {
            // A silent connection holds no memory for lines.
            self.buffer = Vec::new();
        } else {
            self.begun.get_or_insert_with(Instant::now);
        }
        // Room for one read: the buffer never holds more than a line and this.
        self.buffer.reserve(READ_SIZE);
        Ok(None)
    }
}

/// Most bytes of a line, its line break included.
pub const MAX_LINE: usize = 65_536;

/// Bytes asked for at once.
const READ_SIZE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt as _, duplex};

    const LINE_TIMEOUT: Duration = Duration::from_secs(10);

    fn in_seconds(seconds: u64) -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn cuts_lines_wherever_the_fragments_end() {
        for chunk in 1..12 {
            let (mut near, mut far) = duplex(chunk);
            let write = async move {
                for part in b"one\n\ntwo and more\nthree".chunks(chunk) {
                    far.write_all(part).await.unwrap();
                }
            };
            let read = async {
                let mut lines = Lines::default();
                for expected in ["one", "", "two and more"] {
                    let line = lines.next(&mut near, None, LINE_TIMEOUT).await.unwrap();
                    assert_eq!(line, expected.as_bytes());
                }
                let end = lines.next(&mut near, None, LINE_TIMEOUT).await;
                assert!(matches!(end, Err(LineError::Ended)), "{end:?}");
            };
            tokio::join!(write, read);
        }
    }

    #[tokio::test]
    async fn takes_a_line_of_the_greatest_length_and_refuses_a_longer_one() {
        for (length, fits) in [(MAX_LINE - 1, true), (MAX_LINE, false), (4 * MAX_LINE, false)] {
            let (mut near, mut far) = duplex(8 * MAX_LINE);
            far.write_all(&vec![b'x'; length]).await.unwrap();
            far.write_all(b"\n").await.unwrap();
            let mut lines = Lines::default();
            let line = lines.next(&mut near, None, LINE_TIMEOUT).await;
            assert!(lines.buffer.capacity() <= 3 * MAX_LINE);
            match line {
                Ok(line) => assert!(fits && line.len() == length),
                Err(error) => assert!(!fits && matches!(error, LineError::TooLong)),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drop_at_a_time_does_not_keep_a_line_open() {
        let (mut near, mut far) = duplex(64);
        let write = async move {
            loop {
                if far.write_all(b"x").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let started = Instant::now();
        let read = async {
            let mut lines = Lines::default();
            let end = lines.next(&mut near, in_seconds(60), LINE_TIMEOUT).await;
            assert!(matches!(end, Err(LineError::Slow)), "{end:?}");
            drop(near);
        };
        tokio::join!(write, read);
        assert!(started.elapsed() < Duration::from_secs(12));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_at_the_given_instant_and_spoils_nothing() {
        let (mut near, mut far) = duplex(64);
        let mut lines = Lines::default();
        let end = lines.next(&mut near, in_seconds(60), LINE_TIMEOUT).await;
        assert!(matches!(end, Err(LineError::Idle)), "{end:?}");
        far.write_all(b"late\n").await.unwrap();
        let line = lines.next(&mut near, in_seconds(60), LINE_TIMEOUT).await;
        assert_eq!(line.unwrap(), b"late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_read_loses_nothing() {
        let (mut near, mut far) = duplex(64);
        let mut lines = Lines::default();
        for part in [&b"half"[..], b" and", b" half"] {
            far.write_all(part).await.unwrap();
            let dropped = lines.next(&mut near, in_seconds(1), LINE_TIMEOUT).await;
            assert!(matches!(dropped, Err(LineError::Idle)));
        }
        far.write_all(b"\n").await.unwrap();
        let line = lines.next(&mut near, None, LINE_TIMEOUT).await;
        assert_eq!(line.unwrap(), b"half and half");
    }
}
