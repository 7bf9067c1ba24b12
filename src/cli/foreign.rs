//! Text from elsewhere: profiles, names, words of peers, paths.
//!
//! A terminal must not obey it, and a reader must not take it for a line of the program. So every character
//! without a shape of its own is written as `\u{…}`, and lines are broken here, not by the terminal: only the
//! program's own words begin in column 0.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, ClassUnicode, HirKind};
use unicode_width::UnicodeWidthChar as _;

/// Returns a text as one line, with what cannot be shown as `\u{…}`.
pub(super) fn escaped(text: &str) -> String {
    Shown::new(text).map(|(c, _)| c).collect()
}

/// Returns a text in lines of at most `width` cells, with what cannot be shown as `\u{…}`.
///
/// The first line begins behind `start` cells that the caller has written, each further one with `indent`
/// spaces. Lines are broken at spaces where that is possible, and never between a character and its marks.
pub(super) fn wrapped(text: &str, start: usize, indent: usize, width: usize) -> String {
    // Room for a wide character.
    let width = width.max(indent + 2);
    let mut lines = Lines { text: String::with_capacity(text.len()), indent, column: start, space: None };
    for (c, cells) in Shown::new(text) {
        if lines.column + cells > width {
            if c == ' ' {
                lines.end();
                continue;
            }
            lines.make_room(width - cells);
        }
        lines.push(c, cells);
    }
    let end = lines.text.trim_end().len();
    lines.text.truncate(end);
    lines.text
}

/// Returns whether a character is written as its number: one that Unicode has not assigned, leaves to private
/// use, or gives no shape of its own.
pub(super) fn is_hidden(c: char) -> bool {
    static HIDDEN: LazyLock<ClassUnicode> = LazyLock::new(|| {
        // Other (controls, formats, private use, unassigned and noncharacters), the separators of lines, and
        // what a program may leave out, as U+115F, which is a letter.
        let class = regex_syntax::parse(r"[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]");
        match class.map(|class| class.into_kind()) {
            Ok(HirKind::Class(Class::Unicode(class))) => class,
            other => unreachable!("a class of characters is read as one: {other:?}"),
        }
    });
    if matches!(c, ' '..='~') {
        return false;
    }
    let ranges = HIDDEN.ranges();
    let next = ranges.partition_point(|range| range.start() <= c);
    next > 0 && c <= ranges[next - 1].end()
}

/// The characters that are written for a text, each with the cells that it takes. One of no cells belongs to
/// the one before it.
struct Shown<'a> {
    text: std::str::Chars<'a>,
    escape: Option<std::char::EscapeUnicode>,
    /// How many marks may follow.
    marks: usize,
}

impl<'a> Shown<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.chars(), escape: None, marks: 0 }
    }
}

impl Iterator for Shown<'_> {
    type Item = (char, usize);

    fn next(&mut self) -> Option<(char, usize)> {
        if let Some(c) = self.escape.as_mut().and_then(Iterator::next) {
            return Some((c, 1));
        }
        let c = self.text.next()?;
        let cells = c.width().filter(|_| !is_hidden(c));
        match (cells, self.marks) {
            (Some(0), 1..) => {
                self.marks -= 1;
                Some((c, 0))
            }
            (Some(cells @ 1..), _) => {
                self.marks = MAX_MARKS;
                Some((c, cells))
            }
            // A mark without a character to stand on, or one too many on it.
            (Some(0) | None, _) => {
                self.marks = 0;
                let mut escape = c.escape_unicode();
                let first = escape.next()?;
                self.escape = Some(escape);
                Some((first, 1))
            }
        }
    }
}

/// What comes from a peer in pieces, as a terminal may show it: line breaks are kept.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The beginning of a character whose rest has not come.
    cut: Vec<u8>,
}

impl Screen {
    /// Returns what can be shown of the next piece.
    pub(super) fn show(&mut self, piece: &[u8]) -> String {
        let bytes = [std::mem::take(&mut self.cut).as_slice(), piece].concat();
        // A character has four bytes at most.
        let starts = (bytes.len().saturating_sub(3)..bytes.len()).rev();
        let cut = starts.map(|at| bytes.split_at(at)).find(|(_, end)| {
            str::from_utf8(end).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        });
        let (whole, cut) = cut.unwrap_or((&bytes, &[]));
        self.cut = cut.to_vec();
        let text = String::from_utf8_lossy(whole);
        let lines: Vec<_> = text.split('\n').map(|line| escaped(line.trim_end_matches('\r'))).collect();
        lines.join("\n")
    }
}

/// Lines that grow.
struct Lines {
    text: String,
    indent: usize,
    /// Cells of the last line.
    column: usize,
    /// The last space of the last line: the bytes and the cells up to its end.
    space: Option<(usize, usize)>,
}

impl Lines {
    fn push(&mut self, c: char, cells: usize) {
        self.text.push(c);
        self.column += cells;
        if c == ' ' {
            self.space = Some((self.text.len(), self.column));
        }
    }

    /// Moves the last word to a new line, unless it is too long for one; then it is broken.
    fn make_room(&mut self, limit: usize) {
        let Some((bytes, cells)) = self.space.filter(|(_, cells)| self.indent + self.column - cells <= limit)
        else {
            return self.end();
        };
        let word = self.text.split_off(bytes);
        let moved = self.column - cells;
        self.end();
        self.text.push_str(&word);
        self.column += moved;
    }

    fn end(&mut self) {
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', self.indent));
        self.column = self.indent;
        self.space = None;
    }
}

/// Most marks on one character: Hebrew with points and accents has three, Tibetan stacks four.
const MAX_MARKS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_has_a_shape_is_shown_as_it_is() {
        for text in ["Ada", "Ä – ö, 東京", "Ελλάδα שלום नमस्ते", "a\u{301}\u{323}", "🦀 ~/[x]\\", "e\u{a0}!"]
        {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn what_has_none_is_shown_as_its_number() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{34f}',
            '\u{378}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{202e}',
            '\u{2028}',
            '\u{2029}',
            '\u{2065}',
            '\u{2066}',
            '\u{3164}',
            '\u{e000}',
            '\u{fdd0}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{1fffe}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{10fffd}',
            '\u{10ffff}',
        ] {
            assert_eq!(escaped(&format!("a{c}b")), format!("a{}b", c.escape_unicode()));
        }
    }

    #[test]
    fn marks_need_a_character_and_few_of_them_fit() {
        assert_eq!(escaped("\u{301}a"), "\\u{301}a");
        let many = format!("a{}", "\u{301}".repeat(1000));
        let shown = escaped(&many);
        assert_eq!(shown.matches('\u{301}').count(), MAX_MARKS);
        assert_eq!(shown.matches("\\u{301}").count(), 1000 - MAX_MARKS);
        assert_eq!(escaped("\u{1b}\u{301}"), "\\u{1b}\\u{301}", "an escape carries no mark");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrapped("one two three", 0, 2, 9), "one two\n  three");
        assert_eq!(wrapped("one two three", 4, 2, 9), "one\n  two\n  three");
        assert_eq!(wrapped("abcdefghij", 0, 2, 6), "abcdef\n  ghij");
        assert_eq!(wrapped("a bcdefghij", 0, 4, 8), "a bcdefg\n    hij", "a whole line would not hold it");
        assert_eq!(wrapped("東京東京", 0, 1, 4), "東京\n 東\n 京");
        assert_eq!(wrapped("ab cd", 0, 2, 2), "ab\n  cd");
        assert_eq!(wrapped("a       ", 0, 2, 4), "a");
    }

    #[test]
    fn pieces_are_shown_with_characters_that_borders_divide() {
        let mut screen = Screen::default();
        let text = "a\r\n\u{1b}[2Jü 東 🦀\n";
        let shown: String = text.as_bytes().chunks(1).map(|byte| screen.show(byte)).collect();
        assert_eq!(shown, "a\n\\u{1b}[2Jü 東 🦀\n");
        assert_eq!(screen.show(b"\xff\xfe\xf0\x9f"), "\u{fffd}\u{fffd}");
        assert_eq!(screen.show(b"x"), "\u{fffd}x");
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_each_but_the_first_is_indented(
            text in any::<String>(), start in 0_usize..12, indent in 1_usize..12, width in 14_usize..100,
        ) {
            let lines = wrapped(&text, start, indent, width);
            for (number, line) in lines.split('\n').enumerate() {
                let before = if number == 0 { start } else { 0 };
                let cells: usize = line.chars().map(|c| c.width().unwrap_or(1000)).sum();
                prop_assert!(before + cells <= width, "{line:?}");
                prop_assert!(number == 0 || line.is_empty() || line.starts_with(&" ".repeat(indent)));
                prop_assert!(!line.chars().any(is_hidden));
            }
            // Nothing but spaces is lost.
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&lines), solid(&escaped(&text)));
        }
    }
}
