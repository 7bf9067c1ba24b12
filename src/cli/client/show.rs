//! Prints profiles.

use serde_json::{Value, json};

use super::super::output::Output;
use crate::profile::Record;

/// Prints a profile for people.
pub(super) fn profile(output: &Output, record: &Record) {
    let parts = record.profile().parts();
    output.labelled("name", &parts.name);
    if !parts.bio.is_empty() {
        output.labelled("bio", &parts.bio);
    }
    for link in &parts.links {
        output.labelled("link", link);
    }
    for (name, value) in &parts.fields {
        output.labelled(name, value);
    }
    output.labelled("key", &record.key().to_z32());
    output.labelled("version", &record.version().to_string());
}

/// Returns the object that `--json` prints.
pub(super) fn as_json(record: &Record) -> Value {
    let profile: Value =
        serde_json::from_str(record.profile().text()).expect("the text of a profile was read as JSON before");
    json!({
        "public_key": record.key().to_z32(),
        "version": record.version(),
        "profile": profile,
    })
}
