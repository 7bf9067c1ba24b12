//! The picture in the README: what the demonstration prints, as a drawing of a terminal.
//!
//! `UPDATE_TABLES=1 cargo test --test cli picture` draws it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::harness::{CLIENT, run};

#[tokio::test]
async fn the_picture_shows_what_the_demonstration_prints() {
    let shown = run(CLIENT, &["demo"]).await.ended(0);
    let drawn = picture(&shown.stdout);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo.svg");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, drawn).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == drawn,
        "docs/demo.svg shows something else; draw it anew with UPDATE_TABLES=1:\n{drawn}"
    );
}

/// Draws the steps of a demonstration, the three answers left out.
fn picture(printed: &str) -> String {
    let steps = printed.split("\n\nHow ").next().unwrap();
    let mut lines = vec![format!("$ {COMMAND}")];
    for line in steps.lines().filter(|line| !line.is_empty()) {
        let indent = if line.starts_with(' ') { "   " } else { "" };
        let words = line.split_whitespace().map(shortened);
        let mut current = indent.to_owned();
        for word in words {
            if current.len() + 1 + word.len() > COLUMNS {
                lines.push(std::mem::replace(&mut current, format!("{indent}  ")));
            }
            if !current.ends_with(' ') && !current.is_empty() {
                current.push(' ');
            }
            current.push_str(&word);
        }
        lines.push(current);
    }
    let (width, height) = (COLUMNS * CELL + 2 * MARGIN, lines.len() * LINE + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{COMMAND}: a network, a server, two visits of a client, and an impostor</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16191d\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\" \
         xml:space=\"preserve\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let fill = match line {
            line if line.starts_with('$') => "#7fd18b",
            line if line.starts_with("   ") => "#a9b4bf",
            _ => "#f2f4f6",
        };
        let y = MARGIN + number * LINE + LINE * 3 / 4;
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{fill}\">{text}</text>").unwrap();
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// Keys are others each time.
fn shortened(word: &str) -> String {
    if word.len() == 52 { "<key>".to_owned() } else { word.to_owned() }
}

const COMMAND: &str = "profile-client demo";
/// Cells of a line.
const COLUMNS: usize = 100;
/// Pixels of a cell, of a line, and around the text.
const CELL: usize = 8;
const LINE: usize = 19;
const MARGIN: usize = 16;
