//! Prints profiles.

use serde_json::{Value, json};

use super::output::Output;
use crate::profile::{Record, Rotation};

/// Prints a profile for people.
pub(super) fn profile(output: &Output, record: &Record) {
    for (label, texts) in entries(record) {
        output.beside(label, &texts);
    }
}

/// Says that the owner of a key goes on under another one, if that is so.
pub(super) fn replaced(output: &Output, chain: &[Rotation]) {
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else { return };
    output.note(&format!("the owner has replaced the key {} by {}", first.from(), last.to()));
    output.note("both keys have signed that; use the new one from now on");
}

/// Returns the labels of a profile, each once, with what belongs to them. All that its owner has chosen,
/// names of fields included, is text beside a label.
fn entries(record: &Record) -> Vec<(&'static str, Vec<String>)> {
    let parts = record.profile().parts();
    let fields = parts.fields.iter().map(|(name, value)| format!("{name}: {value}"));
    let mut entries = vec![
        ("name:", vec![parts.name.clone()]),
        ("bio:", vec![parts.bio.clone()]),
        ("links:", parts.links.clone()),
        ("fields:", fields.collect()),
        ("key:", vec![record.key().to_z32()]),
        ("version:", vec![record.version().to_string()]),
    ];
    entries.retain(|(_, texts)| texts.iter().any(|text| !text.is_empty()));
    entries
}

/// Returns the object that `--json` prints.
pub(super) fn as_json(record: &Record) -> Value {
    let profile: Value =
        serde_json::from_str(record.profile().text()).expect("the text of a profile was read as JSON before");
    json!({
        "public_key": record.key(),
        "version": record.version(),
        "profile": profile,
    })
}

/// Returns the same, with what the record comes from, and the statements that lead to it.
pub(super) fn as_json_from(record: &Record, chain: &[Rotation], source: &str) -> Value {
    let mut value = as_json(record);
    value["from"] = json!(source);
    if !chain.is_empty() {
        value["chain"] = json!(chain);
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::output::entry;
    use super::*;
    use crate::KeyPair;
    use crate::profile::{Profile, ProfileDraft};

    const LABELS: [&str; 6] = ["name:", "bio:", "links:", "fields:", "key:", "version:"];

    /// The strings of the corpus that a profile may hold.
    fn hostile() -> Vec<String> {
        let lines = include_str!("../../tests/attack/hostile-strings.jsonl").lines();
        let strings = lines.map(|line| serde_json::from_str(line).unwrap());
        strings.filter(|text: &String| field("x", text).check().is_ok()).collect()
    }

    fn field(name: &str, value: &str) -> ProfileDraft {
        let fields = [(name.to_owned(), value.to_owned())].into();
        ProfileDraft { name: "Eve".into(), fields, ..ProfileDraft::default() }
    }

    /// Fails unless each label is in column 0 once, nothing else is, and the terminal breaks no line.
    fn assert_only_labels_in_column_0(profile: Profile, width: u16) {
        let record = Record::sign(&KeyPair::from_seed(&[1; 32]), 1, profile);
        let entries = entries(&record);
        let lines: Vec<_> = entries.iter().map(|(label, texts)| entry(label, texts, width.into())).collect();
        let text = lines.join("\n").replace('\n', "\r\n");
        // Twice as many as there should be.
        let rows = u16::try_from(2 * text.lines().count()).unwrap();
        let mut terminal = vt100::Parser::new(rows, width, 0);
        terminal.process(text.as_bytes());
        let screen = terminal.screen();
        let mut seen = Vec::new();
        for (row, content) in screen.rows(0, width).enumerate() {
            assert!(!screen.row_wrapped(row as u16), "width {width}: {content:?}");
            if !content.is_empty() && !content.starts_with(' ') {
                let label = LABELS.iter().find(|label| content.starts_with(**label));
                seen.push(*label.unwrap_or_else(|| panic!("width {width}: {content:?}")));
            }
        }
        let expected: Vec<_> = entries.iter().map(|(label, _)| *label).collect();
        assert_eq!(seen, expected, "width {width}");
    }

    #[test]
    fn every_hostile_string_stays_behind_its_label() {
        for text in hostile() {
            // As the name of a field too, where it is short enough for one.
            let named = field(&text, &text).check().or_else(|_| field("x", &text).check()).unwrap();
            for width in [12, 20, 33, 80, 256] {
                assert_only_labels_in_column_0(named.clone(), width);
            }
        }
    }

    #[test]
    fn fields_named_as_labels_are_no_labels() {
        let spaces = " ".repeat(71);
        for (name, value) in [("key", "yyyy"), ("version", "99"), ("x", &format!("{spaces}key: forged"))] {
            for width in 12..120 {
                assert_only_labels_in_column_0(field(name, value).check().unwrap(), width);
            }
        }
    }

    proptest! {
        #[test]
        fn each_label_is_in_column_0_once_and_nothing_else_is(
            name in select(hostile()),
            bio in prop::collection::vec(select(hostile()), 0..4),
            fields in prop::collection::btree_map(select(hostile()), select(hostile()), 0..4),
            width in 12_u16..=256,
        ) {
            let draft = ProfileDraft {
                name, bio: bio.join("\n"), links: vec!["https://example.org/key:".into()], fields,
            };
            // Too long, or nothing to see.
            if let Ok(profile) = draft.check() {
                assert_only_labels_in_column_0(profile, width);
            }
        }
    }
}
