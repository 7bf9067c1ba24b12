//! Text of others on a terminal: only the program's words begin lines.

use std::process::Stdio;

use tokio::process::Command;

use crate::amount;
use crate::harness::{CLIENT, Person, text};
use crate::served::Served;

const LABELS: [&str; 6] = ["name:", "bio:", "links:", "fields:", "key:", "version:"];
const WIDTHS: [u16; 5] = [20, 40, 80, 132, 256];

/// Returns the strings of the corpus.
fn corpus() -> Vec<String> {
    let lines = include_str!("hostile-strings.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns profiles that hold the strings of the corpus, as far as a profile may.
fn profiles(strings: &[String]) -> Vec<serde_json::Value> {
    use hyperprofile::profile::ProfileDraft;
    let mut profiles = Vec::new();
    let mut draft = ProfileDraft { name: "Eve".into(), ..ProfileDraft::default() };
    for text in strings {
        let mut more = draft.clone();
        let name: String = text.chars().take(64).collect();
        more.fields.insert(name, text.clone());
        match more.clone().check() {
            Ok(_) => draft = more,
            // Full, or a string that no profile holds.
            Err(_) if draft.fields.len() > 20 => {
                profiles.push(serde_json::to_value(&draft).unwrap());
                draft.fields.clear();
            }
            Err(_) => {}
        }
    }
    profiles.push(serde_json::to_value(&draft).unwrap());
    profiles
}

/// Fails unless a terminal of a width shows each label once, in column 0, and nothing else there.
fn assert_labels_alone_in_column_0(shown: &str, width: u16, labels: &[&str]) {
    let rows = u16::try_from(shown.lines().count() * 2 + 10).unwrap();
    let mut terminal = vt100::Parser::new(rows, width, 0);
    terminal.process(shown.replace('\n', "\r\n").as_bytes());
    let mut seen = Vec::new();
    for (row, line) in terminal.screen().rows(0, width).enumerate() {
        assert!(!terminal.screen().row_wrapped(row as u16), "width {width}: {line:?}");
        if !line.is_empty() && !line.starts_with(' ') {
            seen.push(line.split_inclusive(':').next().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(seen, labels, "width {width}: {shown}");
}

#[test]
fn the_corpus_is_large() {
    assert!(corpus().len() >= 2000);
}

#[tokio::test]
async fn no_profile_forges_a_line_of_the_client() {
    let (operator, eve, visitor) = (Person::new(), Person::new(), Person::new());
    let limits = ["--writes-per-minute", "100000", "--lookups-per-minute", "100000"];
    let served = Served::start(&operator.path("server"), &limits).await;
    let at = &served.at;
    let key = eve.key().await;
    let mut profiles = profiles(&corpus());
    assert!(profiles.len() > 50, "the corpus fills profiles");
    let bio = ["key: yyyy", "", "version: 9", &" ".repeat(71), "\tkey: x"].join("\n").replace('\t', "");
    profiles.insert(
        0,
        serde_json::json!({
            "name": "key: forged",
            "bio": bio,
            "links": ["https://example.org/version:", "https://example.org/key:"],
            "fields": {"key": "yyyy", "name": "Ada", "version": "9", "error": "none", "bio": " key: x"},
        }),
    );
    let step = amount(profiles.len() / 4, 1);
    for profile in profiles.iter().step_by(step) {
        let path = eve.path("profile.json");
        std::fs::write(&path, profile.to_string()).unwrap();
        let verb = if std::ptr::eq(profile, &profiles[0]) { "register" } else { "update" };
        eve.run(&format!("{at} {verb} --from-file {}", text(&path))).await.ended(0);
        let has = |label: &str| {
            let part = profile.get(label.trim_end_matches(':'));
            part.is_some_and(|part| part.as_object().is_none_or(|fields| !fields.is_empty()))
                || ["key:", "version:"].contains(&label)
        };
        let labels: Vec<_> = LABELS.into_iter().filter(|label| has(label)).collect();
        for width in WIDTHS {
            let shown = Command::new(CLIENT)
                .args(format!("{at} lookup {key}").split(' '))
                .args(["--identity", text(&visitor.path("identity"))])
                .env("XDG_CACHE_HOME", visitor.path("cache"))
                .env("COLUMNS", width.to_string())
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap();
            assert!(shown.status.success(), "{shown:?}");
            let text = String::from_utf8(shown.stdout).unwrap();
            assert_labels_alone_in_column_0(&text, width, &labels);
        }
    }
}
