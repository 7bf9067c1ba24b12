//! URLs of databases as users name them. The password in one is never shown.

use std::borrow::Cow;

/// Returns whether a text is the URL of a database.
pub(super) fn is_url(text: &str) -> bool {
    rest(text).is_some()
}

/// Returns whether a URL holds a password, or may hold one.
pub(super) fn has_password(text: &str) -> bool {
    without_password(text) != text
}

/// Returns a text as it may be shown: of the URL of a database, the user, the hosts, the database, and the
/// options that are known to hold no secret.
pub(super) fn without_password(text: &str) -> Cow<'_, str> {
    let Some(rest) = rest(text) else { return text.into() };
    let mut shown = text[..text.len() - rest.len()].to_owned();
    // A password may hold any of these characters, where it should hold their codes: what could belong to it
    // is left out.
    let rest = match rest.rsplit_once('@') {
        Some((credentials, rest)) => {
            let end = credentials.find([':', '/', '?']).unwrap_or(credentials.len());
            shown.push_str(&credentials[..end]);
            shown.push('@');
            rest
        }
        None => rest,
    };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    shown.push_str(place);
    let mut mark = '?';
    for option in options.split('&') {
        if SHOWN.iter().any(|name| option.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))) {
            shown.push(mark);
            shown.push_str(option);
            mark = '&';
        }
    }
    shown.into()
}

/// Returns what follows the name of the protocol.
fn rest(text: &str) -> Option<&str> {
    PROTOCOLS.iter().find_map(|protocol| text.strip_prefix(protocol))
}

const PROTOCOLS: [&str; 2] = ["postgres://", "postgresql://"];
/// Options of a URL that hold no secret.
const SHOWN: [&str; 9] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "port",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_password_is_shown() {
        for (text, shown) in [
            ("postgres://ada:secret@h/db", "postgres://ada@h/db"),
            (
                "postgresql://ada:secret@h:1,i:2/db?sslmode=disable",
                "postgresql://ada@h:1,i:2/db?sslmode=disable",
            ),
            ("postgres://ada:se@cret@h/db", "postgres://ada@h/db"),
            ("postgres://ada:se/cr?et@h/db", "postgres://ada@h/db"),
            ("postgres://h/db?user=ada&password=secret", "postgres://h/db?user=ada"),
            ("postgres://h/db?p%61ssword=secret&user=ada", "postgres://h/db?user=ada"),
            ("postgres://h/db?password=se:cr@et", "postgres://h@et"),
            ("postgres://ada@h/db?passfile=secret", "postgres://ada@h/db"),
        ] {
            assert_eq!(without_password(text), shown, "{text}");
            assert!(has_password(text), "{text}");
        }
    }

    #[test]
    fn what_holds_no_password_is_shown_as_it_is() {
        for text in [
            "postgres://h/db",
            "postgres://ada@h:1,i/db?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgres:///db?host=/run/postgresql",
            "/folder/a:b@c",
            "mysql://ada:secret@h/db",
            "",
        ] {
            assert_eq!(without_password(text), text);
            assert!(!has_password(text), "{text}");
        }
        assert!(is_url("postgresql://") && !is_url("postgres:/folder"));
    }
}
