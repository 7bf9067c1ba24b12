//! A profile as TOML, to be edited by a person: written with the rules at its top, and read with the line of
//! what is wrong.

use toml::de::{DeTable, DeValue};

use super::super::toml_file::line;
use crate::profile::content::{
    MAX_BIO, MAX_FIELD_NAME, MAX_FIELD_VALUE, MAX_FIELDS, MAX_LINK_BYTES, MAX_LINKS, MAX_NAME,
};
use crate::profile::{Profile, ProfileDraft};

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) what: String,
}

/// Writes a profile, or the form for a first one.
pub(super) fn write(draft: &ProfileDraft) -> String {
    let links: Vec<_> = draft.links.iter().map(|link| format!("    {},\n", quoted(link))).collect();
    let links = if links.is_empty() { String::new() } else { format!("\n{}", links.concat()) };
    let fields: Vec<_> =
        draft.fields.iter().map(|(name, value)| format!("{} = {}\n", key(name), quoted(value))).collect();
    format!(
        "\
# Save this file and leave the editor: the profile is then signed and stored.
# Leave it as it is, or make it empty, and nothing happens.
#
# name    1 to {MAX_NAME} characters
# bio     up to {MAX_BIO} characters; \"\"\" before and behind several lines
# links   up to {MAX_LINKS} http, https or mailto URLs of up to {MAX_LINK_BYTES} bytes
# fields  up to {MAX_FIELDS} lines NAME = \"VALUE\", a name of up to {MAX_FIELD_NAME} characters
#         and a value of up to {MAX_FIELD_VALUE}

name = {}
bio = {}
links = [{links}]

[fields]
{}",
        quoted(&draft.name),
        paragraphs(&draft.bio),
        fields.concat()
    )
}

/// Reads a profile.
pub(super) fn read(text: &str) -> Result<Profile, Wrong> {
    let wrong = |at: usize, what: &dyn ToString| Wrong { line: line(text, at), what: what.to_string() };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(at, &error.message())
    })?;
    let mut draft = ProfileDraft::default();
    // Each part is checked alone, so that its line is known.
    let alone = |part: ProfileDraft| ProfileDraft { name: "-".into(), ..part }.check().map(drop);
    let mut has_name = false;
    for (key, value) in table.get_ref() {
        let at = value.span().start;
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("name", DeValue::String(name)) => {
                has_name = true;
                draft.name = name.to_string();
                let part = ProfileDraft { name: draft.name.clone(), ..ProfileDraft::default() };
                part.check().map_err(|error| wrong(at, &error))?;
            }
            ("bio", DeValue::String(bio)) => {
                // The last line break stands before the quotation marks.
                draft.bio = bio.trim_end().to_owned();
                let part = ProfileDraft { bio: draft.bio.clone(), ..ProfileDraft::default() };
                alone(part).map_err(|error| wrong(at, &error))?;
            }
            ("links", DeValue::Array(links)) => {
                for link in links {
                    let at = link.span().start;
                    let text = link.get_ref().as_str().ok_or_else(|| wrong(at, &EXPECTED))?;
                    let part = ProfileDraft { links: vec![text.to_owned()], ..ProfileDraft::default() };
                    alone(part).map_err(|error| wrong(at, &error))?;
                    draft.links.push(text.to_owned());
                }
            }
            ("fields", DeValue::Table(fields)) => {
                for (name, value) in fields {
                    let at = name.span().start;
                    let text = value.get_ref().as_str().ok_or_else(|| wrong(at, &EXPECTED))?;
                    let field = (name.get_ref().to_string(), text.to_owned());
                    let part = ProfileDraft { fields: [field.clone()].into(), ..ProfileDraft::default() };
                    alone(part).map_err(|error| wrong(at, &error))?;
                    draft.fields.extend([field]);
                }
            }
            ("name" | "bio", _) => return Err(wrong(at, &EXPECTED)),
            ("links", _) => return Err(wrong(at, &"expected a list like [\"https://example.org\"]")),
            ("fields", _) => return Err(wrong(at, &"expected [fields], with lines like NAME = \"VALUE\"")),
            (key_text, _) => {
                let what = format!("a profile has name, bio, links and [fields], not {key_text}");
                return Err(wrong(key.span().start, &what));
            }
        }
    }
    if !has_name {
        return Err(wrong(0, &"the profile has no name"));
    }
    // What is left are rules about the whole.
    draft.check().map_err(|error| wrong(0, &error))
}

/// Adds a comment above a line.
pub(super) fn mark(text: &str, wrong: &Wrong) -> String {
    let mut marked = String::new();
    let comment = format!("{MARK}{}\n", wrong.what.replace('\n', " "));
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if number + 1 == wrong.line {
            marked.push_str(&comment);
        }
        marked.push_str(line);
    }
    // What is missing at the end has no line.
    if wrong.line > text.split_inclusive('\n').count() {
        marked.push_str(&comment);
    }
    marked
}

/// Removes such comments.
pub(super) fn unmarked(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with(MARK)).collect()
}

/// Returns whether there is nothing but comments.
pub(super) fn is_empty(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

/// Quotes a text. What JSON writes is a string of TOML as well.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.chars().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// Quotes a text of one line or more.
fn paragraphs(text: &str) -> String {
    if !text.contains('\n') {
        return quoted(text);
    }
    format!("\"\"\"\n{}\n\"\"\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const MARK: &str = "# error: ";
const EXPECTED: &str = "expected a text in quotation marks";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrong(text: &str) -> (usize, String) {
        let Wrong { line, what } = read(text).unwrap_err();
        (line, what)
    }

    #[test]
    fn each_error_has_the_line_of_what_is_wrong() {
        for (text, line, what) in [
            ("name = \"\"", 1, "a name has 1 to 64 characters, this one has 0"),
            ("# one\nbio = \"\"\n", 1, "the profile has no name"),
            ("\nname = 7", 2, EXPECTED),
            ("name = \"Ada\"\nmail = \"a\"", 2, "a profile has name, bio, links and [fields], not mail"),
            (
                "name = \"Ada\"\nlinks = [\n  \"https://a\",\n  \"ftp://a\",\n]",
                4,
                "a link is an absolute http, https or mailto URL",
            ),
            ("name = \"Ada\"\nlinks = \"a\"", 2, "expected a list like [\"https://example.org\"]"),
            ("name = \"Ada\"\n[fields]\na = \"b\"\nc = 2", 4, EXPECTED),
            (
                "name = \"Ada\"\n[fields]\n\n\"\" = \"b\"",
                4,
                "a field name has 1 to 64 characters, this one has 0",
            ),
            ("name = \"Ada\"\nfields = 1", 2, "expected [fields], with lines like NAME = \"VALUE\""),
            ("bio = \"\\u0007\"", 1, "the bio holds U+0007, a control or hidden formatting character"),
            ("name = \"Ada\nbio = 2", 1, "invalid basic string, expected `\"`"),
        ] {
            assert_eq!(wrong(text), (line, what.to_owned()), "{text:?}");
        }
        let many = format!("name = \"Ada\"\nlinks = [{}]", "\"https://a\", ".repeat(17));
        assert_eq!(wrong(&many), (1, "a profile has at most 16 links".to_owned()));
    }

    #[test]
    fn a_mark_stands_above_its_line_and_is_removed_again() {
        let text = "one\ntwo\n";
        for line in 1..=3 {
            let marked = mark(text, &Wrong { line, what: "so\nso".into() });
            assert_eq!(marked.lines().nth(line - 1), Some("# error: so so"), "{marked:?}");
            assert_eq!(unmarked(&marked), text);
        }
    }

    #[test]
    fn the_form_for_a_first_profile_lacks_a_name_alone() {
        let form = write(&ProfileDraft::default());
        assert!(!is_empty(&form) && is_empty("# a\n\n  # b\n"));
        assert!(read(&form).unwrap_err().what.starts_with("a name has"));
        let filled = form.replace("name = \"\"", "name = \"Ada\"");
        assert_eq!(read(&filled).unwrap().text(), "{\"name\":\"Ada\"}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            name in "[\\PC]{0,8}[a-z]",
            bio in "([\\PC\"\\\\\n]{0,30}[a-z\"\\\\])?",
            field in ("[\\PC]{1,9}", "[\\PC\"']{0,9}"),
        ) {
            let links = vec!["https://example.org/?a=b&c='d'".to_owned()];
            let draft = ProfileDraft { name, bio, links, fields: [field].into() };
            // Some of these characters no profile has.
            if let Ok(profile) = draft.clone().check() {
                prop_assert_eq!(read(&write(&draft)), Ok(profile));
            }
        }
    }
}
