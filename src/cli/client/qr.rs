//! A public key, or the ticket of a server, as a QR code: on the terminal or in a PNG file.

use std::io::Write as _;
use std::path::Path;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use qrcode::{Color, EcLevel, QrCode};
use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;

/// Prints a text as a QR code, or writes it to a file.
pub(super) fn show(text: &str, png: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| Failure::from_error(Exit::Internal, error))?;
    let modules = Modules { size: code.width(), colors: code.into_colors() };
    match png {
        Some(path) => {
            std::fs::write(path, modules.png()).map_err(|error| {
                let what = format!("cannot write {}", path.display());
                Failure::from_error(Exit::Internal, anyhow::Error::from(error).context(what))
            })?;
            output.note(&format!("wrote {}", path.display()));
        }
        None => output.picture(&modules.lines()),
    }
    output.line(text);
    output.json(&json!({"text": text, "png": png.map(|path| path.display().to_string())}));
    Ok(())
}

/// The squares of a code.
struct Modules {
    size: usize,
    colors: Vec<Color>,
}

impl Modules {
    /// Returns whether a square is dark; those around the code are light.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.size);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.colors[y * self.size + x] == Color::Dark,
            _ => false,
        }
    }

    const fn width(&self) -> usize {
        self.size + 2 * QUIET
    }

    /// Returns lines of characters that each show two squares, one above the other.
    fn lines(&self) -> Vec<String> {
        let pair = |x, y| match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        let rows = (0..self.width()).step_by(2);
        rows.map(|y| (0..self.width()).map(|x| pair(x, y)).collect()).collect()
    }

    /// Returns a picture in black and white, a bit for each pixel (PNG, third edition).
    fn png(&self) -> Vec<u8> {
        let width = self.width() * PIXELS;
        let mut rows = ZlibEncoder::new(Vec::new(), Compression::best());
        for y in 0..width {
            // No filter. A bit that is set is white, and so are those that fill the last byte.
            let mut row = vec![0xff; 1 + width.div_ceil(8)];
            row[0] = 0;
            for x in (0..width).filter(|x| self.is_dark(x / PIXELS, y / PIXELS)) {
                row[1 + x / 8] &= !(0x80 >> (x % 8));
            }
            rows.write_all(&row).expect(MEMORY);
        }
        let side = u32::try_from(width).expect("a code has at most 177 squares a side").to_be_bytes();
        let header = [&side[..], &side, &[1, 0, 0, 0, 0]].concat();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut png, *b"IHDR", &header);
        chunk(&mut png, *b"IDAT", &rows.finish().expect(MEMORY));
        chunk(&mut png, *b"IEND", &[]);
        png
    }
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    let length = u32::try_from(data.len()).expect("a picture of a code is small");
    for part in [&length.to_be_bytes()[..], &kind, data, &sum.sum().to_be_bytes()] {
        png.extend_from_slice(part);
    }
}

/// Light squares around a code (ISO/IEC 18004).
const QUIET: usize = 4;
/// Pixels of a side of a square in a picture.
const PIXELS: usize = 8;
const MEMORY: &str = "memory takes all that is written";
