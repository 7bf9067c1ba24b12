//! QR codes, read by a program that others wrote.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{CLIENT, Person, text};

/// Has a QR code read: a picture in a file, or `-` for squares on standard input. `None` where the reader is
/// not installed, which on CI is a failure.
fn read(file: &str, squares: &str) -> Option<String> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    if !scripts.join("node_modules/jsqr").is_dir() {
        let missing = "the reader of QR codes is not installed: run `npm ci` in tests/interop";
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
        return None;
    }
    let mut command = Command::new("node");
    command.arg(scripts.join("qr.mjs")).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = command.spawn().unwrap();
    reader.stdin.take().unwrap().write_all(squares.as_bytes()).unwrap();
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success(), "{file}: no code in\n{squares}");
    Some(String::from_utf8(read.stdout).unwrap().trim_end().to_owned())
}

/// Returns the squares that lines of blocks show.
fn squares<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut squares = String::new();
    for line in lines {
        for dark in ["█▀", "█▄"] {
            squares.extend(line.chars().map(|c| if dark.contains(c) { '#' } else { '.' }));
            squares.push('\n');
        }
    }
    squares
}

#[tokio::test]
async fn a_picture_and_a_pipe_show_the_own_key() {
    let ada = Person::new();
    let (key, picture) = (ada.key().await, ada.path("key.png"));
    let made = ada.run(&format!("qr --png {}", text(&picture))).await.ended(0).json();
    assert_eq!(made, serde_json::json!({"text": key, "png": text(&picture)}));
    if let Some(shown) = read(text(&picture), "") {
        assert_eq!(shown, key);
    }
    let identity = ada.path("identity");
    let shown = crate::harness::run(CLIENT, &["--identity", text(&identity), "qr"]).await.ended(0).stdout;
    let (blocks, line) = shown.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(line, key);
    if let Some(shown) = read("-", &squares(blocks.lines())) {
        assert_eq!(shown, key);
    }
    let failed = ada.run("qr --png /nowhere/key.png").await.ended(1);
    assert!(failed.stdout.contains("cannot write /nowhere/key.png: "), "{failed:?}");
}

#[tokio::test]
async fn the_ticket_of_a_server_is_the_one_that_is_named() {
    let ada = Person::new();
    let ticket = format!("{}@192.0.2.1:49737,192.0.2.2:49737", ada.key().await);
    let picture = ada.path("server.png");
    ada.run("qr server").await.ended(2);
    let line = format!("qr server --server {ticket} --png {}", text(&picture));
    assert_eq!(ada.run(&line).await.ended(0).json()["text"], ticket);
    if let Some(shown) = read(text(&picture), "") {
        assert_eq!(shown, ticket);
    }
    // That of the default server, without being named.
    ada.run(&format!("servers add home {ticket}")).await.ended(0);
    assert_eq!(ada.run("qr server").await.ended(0).json()["text"], ticket);
}

/// As a camera sees it: by the colours of the cells, whatever those of the terminal are.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_shows_dark_squares_on_a_light_ground() {
    let ada = Person::new();
    let (identity, key) = (ada.path("identity"), ada.key().await);
    let mut terminal = crate::prompts::Terminal::open();
    let child = terminal.start(CLIENT, &["--identity", text(&identity), "qr"]);
    terminal.wait_for(&key);
    assert_eq!(crate::prompts::end(child).await.code(), Some(0), "{}", terminal.shown);
    let mut screen = vt100::Parser::new(40, 80, 0);
    screen.process(terminal.shown.as_bytes());
    let screen = screen.screen();
    // A version 4 code with its quiet zone: 41 squares, of which two share a cell's height.
    let mut lines = Vec::new();
    for row in 0..21 {
        let cells = (0..41).map(|column| screen.cell(row, column).unwrap());
        lines.push(
            cells
                .map(|cell| {
                    assert_eq!(
                        (cell.fgcolor(), cell.bgcolor()),
                        (vt100::Color::Idx(16), vt100::Color::Idx(231))
                    );
                    cell.contents().to_owned()
                })
                .collect::<String>(),
        );
        assert_eq!(screen.cell(row, 41).unwrap().bgcolor(), vt100::Color::Default);
    }
    let squares = squares(lines.iter().map(String::as_str));
    let quiet = ".".repeat(41);
    assert!(squares.lines().take(4).all(|line| line == quiet), "{squares}");
    if let Some(shown) = read("-", &squares) {
        assert_eq!(shown, key);
    }
}
