//! What is asked of a server, and the answer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::super::foreign::is_hidden;
use crate::PublicKey;
use crate::profile::{Ipv4Network, ParseNetworkError};

/// What an operator asks of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(in super::super) enum Request {
    /// A page of what the store holds, in the order of the keys.
    List {
        /// The key before the first one.
        after: Option<PublicKey>,
        /// Only what was changed since, in seconds of Unix time.
        since: Option<u64>,
        /// Most entries; a page has fewer if that is more than the server sends at once.
        limit: usize,
    },
    /// What the store holds for a key.
    Show { key: PublicKey },
    /// Removes the profile of a key.
    Delete { key: PublicKey },
    /// Adds to the list of the banned, and ends connections.
    Ban { target: Target, reason: Option<Reason> },
    /// Takes from the list of the banned.
    Unban { target: Target },
    /// Adds to the list of the allowed keys.
    Allow { key: PublicKey, reason: Option<Reason> },
    /// Takes from the list of the allowed keys.
    Disallow { key: PublicKey },
    /// A page of the list of the banned.
    Banned { after: usize },
    /// A page of the list of the allowed keys.
    Allowed { after: usize },
    /// Numbers.
    Stats,
    /// A page of the open connections.
    Connections { after: u64 },
    /// Ends the connections of a key.
    Disconnect { key: PublicKey },
    /// Reads the configuration and the lists again.
    Reload,
}

impl Request {
    /// Returns the name of the command.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "list",
            Self::Show { .. } => "show",
            Self::Delete { .. } => "delete",
            Self::Ban { .. } => "ban",
            Self::Unban { .. } => "unban",
            Self::Allow { .. } => "allow",
            Self::Disallow { .. } => "disallow",
            Self::Banned { .. } => "banned",
            Self::Allowed { .. } => "allowed",
            Self::Stats => "stats",
            Self::Connections { .. } => "connections",
            Self::Disconnect { .. } => "disconnect",
            Self::Reload => "reload",
        }
    }

    /// Returns whether the command is about what is in the store, whichever server uses it.
    pub(super) const fn is_about_profiles(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show { .. } | Self::Delete { .. })
    }

    /// Returns whether the command changes something, and so is noted in the audit file.
    pub(super) const fn is_act(&self) -> bool {
        match self {
            Self::List { .. }
            | Self::Show { .. }
            | Self::Banned { .. }
            | Self::Allowed { .. }
            | Self::Stats
            | Self::Connections { .. } => false,
            Self::Delete { .. }
            | Self::Ban { .. }
            | Self::Unban { .. }
            | Self::Allow { .. }
            | Self::Disallow { .. }
            | Self::Disconnect { .. }
            | Self::Reload => true,
        }
    }

    /// Returns whom an act is about, and why.
    pub(super) fn subject(&self) -> (Option<String>, Option<&Reason>) {
        match self {
            Self::Delete { key } | Self::Disallow { key } | Self::Disconnect { key } => {
                (Some(key.to_z32()), None)
            }
            Self::Allow { key, reason } => (Some(key.to_z32()), reason.as_ref()),
            Self::Ban { target, reason } => (Some(target.to_string()), reason.as_ref()),
            Self::Unban { target } => (Some(target.to_string()), None),
            _ => (None, None),
        }
    }
}

/// The answer to a request: objects, and where the next page begins.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct Answer {
    pub(in super::super) lines: Vec<Value>,
    /// `after` of the request for the next page; null if there is none.
    pub(in super::super) next: Value,
}

impl Answer {
    pub(super) fn of(line: Value) -> Self {
        Self { lines: vec![line], next: Value::Null }
    }
}

/// Why an act is done, in a line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in super::super) struct Reason(String);

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // It becomes a part of a line of a file.
        match text.chars().any(is_hidden) || text.chars().count() > MAX_REASON {
            true => Err(format!("expected one line of at most {MAX_REASON} visible characters")),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a ban is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Target {
    Key(PublicKey),
    Network(Ipv4Network),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(network) => Ok(Self::Network(network)),
            Err(error @ ParseNetworkError::Beyond { .. }) => Err(error.to_string()),
            Err(_) if text.contains(['.', '/', ':']) => Err(EXPECTED.into()),
            Err(_) => text.parse().map(Self::Key).map_err(|error| format!("{error}; {EXPECTED}")),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Most lines of an answer; the rest is asked for again.
pub(super) const MAX_PAGE: usize = 500;
/// Most characters of a reason.
const MAX_REASON: usize = 200;
const EXPECTED: &str = "expected a public key, an IPv4 address, or a network like 203.0.113.0/24";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_target_is_a_key_or_a_network() {
        let key = PublicKey::from_bytes([7; 32]);
        assert_eq!(key.to_z32().parse(), Ok(Target::Key(key)));
        assert_eq!(key.to_hex().parse(), Ok(Target::Key(key)));
        for (text, shown) in [("203.0.113.7", "203.0.113.7/32"), ("203.0.113.0/24", "203.0.113.0/24")] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
        }
        for text in ["", "abc", "203.0.113", "::1", "203.0.113.0/33"] {
            assert!(text.parse::<Target>().unwrap_err().ends_with(EXPECTED), "{text}");
        }
        assert!("203.0.113.7/24".parse::<Target>().unwrap_err().contains("203.0.113.0/24"));
    }

    #[test]
    fn a_reason_is_one_line_that_is_not_too_long() {
        let fits = "ä".repeat(MAX_REASON);
        assert_eq!(fits.parse::<Reason>().unwrap().to_string(), fits);
        for text in [fits + "x", "a\nb".into(), "\u{202e}".into()] {
            assert!(text.parse::<Reason>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn requests_travel_as_json() {
        let key = PublicKey::from_bytes([7; 32]);
        for (request, text) in [
            (Request::Stats, json!({"command": "stats"})),
            (Request::Delete { key }, json!({"command": "delete", "key": key})),
            (
                Request::Ban { target: Target::Key(key), reason: Some("spam".parse().unwrap()) },
                json!({"command": "ban", "target": key, "reason": "spam"}),
            ),
            (
                Request::List { after: None, since: Some(3), limit: 9 },
                json!({"command": "list", "after": null, "since": 3, "limit": 9}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&request).unwrap(), text);
            assert_eq!(text["command"], request.name());
            assert_eq!(serde_json::from_value::<Request>(text).unwrap(), request);
        }
        for bad in [
            json!({"command": "erase"}),
            json!({"command": "ban", "target": key, "reason": "a\nb"}),
            json!({"command": "delete"}),
            json!({"command": "disconnect", "key": key, "x": 1}),
        ] {
            assert!(serde_json::from_value::<Request>(bad.clone()).is_err(), "{bad}");
        }
    }
}
