//! The content of a profile and its rules (`profile.md`, "A profile and its record").

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::json::{self, JsonError};

/// The parts of a profile before they are checked: fill in, then [`check`](Self::check).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfileDraft {
    /// The name of the owner.
    pub name: String,
    /// A text of a few sentences; may have line breaks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bio: String,
    /// Absolute `http`, `https` or `mailto` URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Further texts, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl ProfileDraft {
    /// Checks every rule and writes the text that will be signed.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] names the first rule that the draft breaks.
    pub fn check(self) -> Result<Profile, InvalidProfile> {
        self.check_parts()?;
        let text = serde_json::to_string(&self).expect("strings and lists of strings are JSON");
        check_length(&text)?;
        Ok(Profile { parts: self, text })
    }

    fn check_parts(&self) -> Result<(), InvalidProfile> {
        check_name(&self.name)?;
        check_text("bio", &self.bio, 0, MAX_BIO, true)?;
        if self.links.len() > MAX_LINKS {
            return Err(InvalidProfile::TooManyLinks);
        }
        self.links.iter().try_for_each(|link| check_link(link))?;
        if self.fields.len() > MAX_FIELDS {
            return Err(InvalidProfile::TooManyFields);
        }
        for (name, value) in &self.fields {
            check_text("field name", name, 1, MAX_FIELD_NAME, false)?;
            check_text("field", value, 0, MAX_FIELD_VALUE, false)?;
        }
        Ok(())
    }
}

/// A profile that keeps every rule, with its exact JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    parts: ProfileDraft,
    text: String,
}

impl Profile {
    /// Reads a profile from its JSON text, which it keeps as it is.
    ///
    /// # Errors
    ///
    /// [`InvalidProfile`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidProfile> {
        check_length(text)?;
        let Value::Object(mut members) = json::parse(text.as_bytes())? else {
            return Err(InvalidProfile::NotAnObject);
        };
        let name = member(&mut members, "name")?;
        let bio = member(&mut members, "bio")?;
        let links = member(&mut members, "links")?;
        let fields = member(&mut members, "fields")?;
        if !members.is_empty() {
            return Err(InvalidProfile::UnknownField);
        }
        let draft = ProfileDraft {
            name: name.ok_or(InvalidProfile::NoName)?,
            bio: bio.unwrap_or_default(),
            links: links.unwrap_or_default(),
            fields: fields.unwrap_or_default(),
        };
        draft.check_parts()?;
        // The owner signed this text; this program might write the same parts in another form.
        Ok(Self { parts: draft, text: text.to_owned() })
    }

    /// Returns the JSON text, as it is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the name of the owner.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Returns the parts.
    pub const fn parts(&self) -> &ProfileDraft {
        &self.parts
    }

    /// Returns the parts, to be changed and checked again.
    pub fn into_draft(self) -> ProfileDraft {
        self.parts
    }
}

/// Why a profile is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProfile {
    /// The text is not JSON as this protocol reads it.
    #[error("the profile is {0}")]
    Json(#[from] JsonError),
    /// The text is JSON, but not an object.
    #[error("the profile is not an object")]
    NotAnObject,
    /// A member that no profile has.
    #[error("the profile has a field other than name, bio, links and fields")]
    UnknownField,
    /// A member has another type than it should.
    #[error("the profile's {0} has the wrong type")]
    Type(&'static str),
    /// There is no name.
    #[error("the profile has no name")]
    NoName,
    /// Nothing of the name can be seen.
    #[error("the name has no visible character")]
    InvisibleName,
    /// A text is too short or too long.
    #[error("a {what} has {min} to {max} characters, this one has {length}")]
    Length {
        /// Which text.
        what: &'static str,
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
        /// Characters found.
        length: usize,
    },
    /// A text holds a control character, or one that reorders or hides text.
    #[error("the {what} holds U+{code:04X}, a control or hidden formatting character")]
    Character {
        /// Which text.
        what: &'static str,
        /// The character's number.
        code: u32,
    },
    /// More links than allowed.
    #[error("a profile has at most {MAX_LINKS} links")]
    TooManyLinks,
    /// A link that is not an absolute URL of an allowed kind.
    #[error("a link is an absolute http, https or mailto URL")]
    Link,
    /// A link is too long.
    #[error("a link has at most {MAX_LINK_BYTES} bytes")]
    LongLink,
    /// More fields than allowed.
    #[error("a profile has at most {MAX_FIELDS} fields")]
    TooManyFields,
    /// The whole text is too long.
    #[error("a profile has at most {MAX_PROFILE_BYTES} bytes of text, this one has {0}")]
    TooLong(usize),
}

/// Takes a member out of an object, if it exists. The error names the member; serde's would quote the text.
fn member<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<T>, InvalidProfile> {
    members
        .remove(name)
        .map(|value| T::deserialize(value).map_err(|_| InvalidProfile::Type(name)))
        .transpose()
}

const fn check_length(text: &str) -> Result<(), InvalidProfile> {
    if text.len() > MAX_PROFILE_BYTES {
        return Err(InvalidProfile::TooLong(text.len()));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), InvalidProfile> {
    check_text("name", name, 1, MAX_NAME, false)?;
    if name.chars().all(is_invisible) {
        return Err(InvalidProfile::InvisibleName);
    }
    Ok(())
}

fn check_text(
    what: &'static str,
    text: &str,
    min: usize,
    max: usize,
    line_breaks: bool,
) -> Result<(), InvalidProfile> {
    let length = text.chars().count();
    if !(min..=max).contains(&length) {
        return Err(InvalidProfile::Length { what, min, max, length });
    }
    let allowed = |c: char| line_breaks && c == '\n';
    match text.chars().find(|c| is_forbidden(*c) && !allowed(*c)) {
        Some(c) => Err(InvalidProfile::Character { what, code: c.into() }),
        None => Ok(()),
    }
}

fn check_link(link: &str) -> Result<(), InvalidProfile> {
    if link.len() > MAX_LINK_BYTES {
        return Err(InvalidProfile::LongLink);
    }
    check_text("link", link, 1, MAX_LINK_BYTES, false)?;
    // RFC 3986 allows none of these in a URL; a program that shows links must not take one for two.
    let stray = |c: char| c.is_whitespace() || "<>\"{}|\\^`".contains(c);
    let well_formed = match link.split_once(':') {
        _ if link.contains(stray) => false,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto") => !rest.is_empty(),
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            rest.strip_prefix("//").is_some_and(has_host)
        }
        _ => false,
    };
    if well_formed { Ok(()) } else { Err(InvalidProfile::Link) }
}

/// Returns whether the text after `//` of a URL names a host, with or without user and port.
fn has_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host_and_port, ""),
    };
    !host.is_empty() && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// Returns whether a character is refused in every text: a control, or one that reorders or hides text.
pub fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

/// Returns a peer's text with forbidden and invisible characters as `\\u{…}`; see [`is_forbidden`].
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Joiners are kept: names in many scripts, and composed emoji, need them.
        let joiner = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
        if is_forbidden(c) || (is_invisible(c) && !c.is_whitespace() && !joiner) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns whether a character is invisible by itself.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || is_forbidden(c)
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Most characters of a name.
pub const MAX_NAME: usize = 64;
/// Most characters of a bio.
pub const MAX_BIO: usize = 1024;
/// Most links of a profile.
pub const MAX_LINKS: usize = 16;
/// Most bytes of a link.
pub const MAX_LINK_BYTES: usize = 512;
/// Most fields of a profile.
pub const MAX_FIELDS: usize = 32;
/// Most characters of a field's name.
pub const MAX_FIELD_NAME: usize = 64;
/// Most characters of a field's value.
pub const MAX_FIELD_VALUE: usize = 1024;
/// Most bytes of a profile's JSON text.
pub const MAX_PROFILE_BYTES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> InvalidProfile {
        Profile::parse(text).expect_err(text)
    }

    #[test]
    fn keeps_the_text_as_it_was_written() {
        let text = "{ \"name\" : \"\\u00c4da\", \"links\":[] }";
        let profile = Profile::parse(text).unwrap();
        assert_eq!(profile.text(), text);
        assert_eq!(profile.name(), "Äda");
    }

    #[test]
    fn a_draft_leaves_out_what_is_empty() {
        let draft = ProfileDraft { name: "Ada".into(), ..ProfileDraft::default() };
        assert_eq!(draft.check().unwrap().text(), r#"{"name":"Ada"}"#);
    }

    #[test]
    fn every_limit_holds_at_its_edge() {
        let name = |n: usize| format!(r#"{{"name":"{}"}}"#, "ö".repeat(n));
        assert!(Profile::parse(&name(64)).is_ok());
        assert!(matches!(refused(&name(65)), InvalidProfile::Length { length: 65, .. }));
        assert!(matches!(refused(&name(0)), InvalidProfile::Length { length: 0, .. }));

        let bio = |n: usize| format!(r#"{{"name":"a","bio":"{}"}}"#, "b".repeat(n));
        assert!(Profile::parse(&bio(1024)).is_ok());
        assert!(matches!(refused(&bio(1025)), InvalidProfile::Length { .. }));

        let links = |n: usize| format!(r#"{{"name":"a","links":[{}]}}"#, vec![r#""http://a""#; n].join(","));
        assert!(Profile::parse(&links(16)).is_ok());
        assert_eq!(refused(&links(17)), InvalidProfile::TooManyLinks);

        let link = |n: usize| format!(r#"{{"name":"a","links":["http://{}"]}}"#, "a".repeat(n - 7));
        assert!(Profile::parse(&link(512)).is_ok());
        assert_eq!(refused(&link(513)), InvalidProfile::LongLink);

        let fields = |n: usize| {
            let fields: Vec<_> = (0..n).map(|i| format!(r#""{i}":"""#)).collect();
            format!(r#"{{"name":"a","fields":{{{}}}}}"#, fields.join(","))
        };
        assert!(Profile::parse(&fields(32)).is_ok());
        assert_eq!(refused(&fields(33)), InvalidProfile::TooManyFields);

        let field = |n: usize, m: usize| {
            format!(r#"{{"name":"a","fields":{{"{}":"{}"}}}}"#, "k".repeat(n), "v".repeat(m))
        };
        assert!(Profile::parse(&field(64, 1024)).is_ok());
        for (n, m) in [(0, 1), (65, 1), (1, 1025)] {
            assert!(matches!(refused(&field(n, m)), InvalidProfile::Length { .. }));
        }

        let padded = |n: usize| format!(r#"{{"name":"a"{}}}"#, " ".repeat(n - 12));
        assert!(Profile::parse(&padded(8192)).is_ok());
        assert_eq!(refused(&padded(8193)), InvalidProfile::TooLong(8193));
    }

    #[test]
    fn refuses_unknown_members_and_wrong_types() {
        assert_eq!(refused(r#"{"name":"a","age":"3"}"#), InvalidProfile::UnknownField);
        assert_eq!(refused(r#"{"name":7}"#), InvalidProfile::Type("name"));
        assert_eq!(refused(r#"{"name":"a","bio":null}"#), InvalidProfile::Type("bio"));
        assert_eq!(refused(r#"{"name":"a","links":[1]}"#), InvalidProfile::Type("links"));
        assert_eq!(refused(r#"{"name":"a","fields":{"a":{}}}"#), InvalidProfile::Type("fields"));
        assert_eq!(refused(r#"{"bio":"a"}"#), InvalidProfile::NoName);
        assert_eq!(refused("[]"), InvalidProfile::NotAnObject);
        assert_eq!(refused(r#"{"name":"a","name":"b"}"#), InvalidProfile::Json(JsonError::DuplicateName));
    }

    #[test]
    fn refuses_control_and_bidirectional_characters_everywhere() {
        let bad = [
            "\\u0000", "\\u001b", "\\u007f", "\\u009b", "\\t", "\\u061c", "\\u200e", "\\u200f", "\\u2028",
            "\\u202e", "\\u2066", "\\u2069",
        ];
        for c in bad {
            for text in [
                format!(r#"{{"name":"a{c}"}}"#),
                format!(r#"{{"name":"a","bio":"{c}"}}"#),
                format!(r#"{{"name":"a","links":["http://a{c}"]}}"#),
                format!(r#"{{"name":"a","fields":{{"{c}":"v"}}}}"#),
                format!(r#"{{"name":"a","fields":{{"k":"{c}"}}}}"#),
            ] {
                assert!(matches!(refused(&text), InvalidProfile::Character { .. }), "{text}");
            }
        }
        assert!(Profile::parse(r#"{"name":"a","bio":"one\ntwo"}"#).is_ok());
        assert!(matches!(refused(r#"{"name":"a\nb"}"#), InvalidProfile::Character { code: 10, .. }));
    }

    #[test]
    fn a_name_has_something_to_see() {
        for name in [" ", "\u{a0}", "\u{200b}", "\u{3164}", "\u{2800} \u{feff}"] {
            assert_eq!(refused(&format!(r#"{{"name":"{name}"}}"#)), InvalidProfile::InvisibleName);
        }
        assert!(Profile::parse("{\"name\":\"👩\u{200d}💻\"}").is_ok());
    }

    #[test]
    fn what_could_move_the_cursor_or_hide_is_escaped() {
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(escaped("\u{202e}x\u{200b}"), "\\u{202e}x\\u{200b}");
        assert_eq!(escaped("Äda 👩\u{200d}💻"), "Äda 👩\u{200d}💻");
    }

    #[test]
    fn links_are_absolute_urls_of_three_kinds() {
        for link in [
            "http://a",
            "HTTPS://example.org/ä?q=1#f",
            "https://u@h:8080/",
            "http://[::1]:80/",
            "mailto:a@b.c",
        ] {
            assert_eq!(check_link(link), Ok(()), "{link}");
        }
        for link in [
            "",
            "http:",
            "http://",
            "http:///path",
            "https://?q",
            "http://:80",
            "http://h:99999",
            "http://h:x",
            "ftp://a",
            "javascript:alert(1)",
            "/a",
            "a.org",
            "mailto:",
            "http://a b",
            "http://a\u{a0}b",
            "http://a\">",
        ] {
            assert!(check_link(link).is_err(), "{link}");
        }
    }

    proptest! {
        #[test]
        fn a_checked_draft_reads_back(
            name in "[a-zA-Zäöü]{1,64}",
            bio in "[ -~\n]{0,200}",
            fields in proptest::collection::btree_map("[a-z]{1,9}", "[ -~]{0,30}", 0..9)
        ) {
            let draft = ProfileDraft { name, bio, links: vec!["https://example.org/".into()], fields };
            let profile = draft.clone().check().unwrap();
            prop_assert_eq!(Profile::parse(profile.text()).unwrap().into_draft(), draft);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = Profile::parse(&text);
        }
    }
}
