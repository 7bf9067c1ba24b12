//! Prints the answers of a server.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::super::exit::{Exit, Failure};
use super::super::super::output::Output;
use super::super::super::show;
use crate::api::key_file::utc;
use crate::profile::Record;
use crate::profile::record::RawRecord;

/// Prints what is held for a key, as a part of a list.
pub(super) fn entry(line: &Value, output: &Output) {
    output.json(line);
    let state = line["state"].as_str().unwrap_or_default();
    let version = line["version"].as_u64().unwrap_or(0);
    let words = format!("{}  {version:>4}  {}", text(&line["key"]), time(&line["changed"]));
    match (state, line["name"].as_str()) {
        ("present", Some(name)) => output.beside(&words, &[name]),
        ("moved", _) => output.line(&format!("{words}  moved to {}", text(&line["moved_to"]))),
        _ => output.line(&format!("{words}  {state}")),
    }
}

/// Prints all that is held for a key.
pub(super) fn held(held: &Value, output: &Output) -> Result<(), Failure> {
    output.json(held);
    let entry = &held["entry"];
    if output.json {
        return Ok(());
    }
    match entry["state"].as_str() {
        Some("present") => show::profile(output, &record(&held["record"])?),
        state => {
            output.beside("key:", &[text(&entry["key"])]);
            output.beside("version:", &[entry["version"].to_string()]);
            match state {
                Some("moved") => output.beside("moved to:", &[text(&entry["moved_to"])]),
                state => output.beside("state:", &[state.unwrap_or("unknown")]),
            }
        }
    }
    output.beside("changed:", &[time(&entry["changed"])]);
    Ok(())
}

/// Prints a line of one of the lists.
pub(super) fn listed(line: &Value, output: &Output) {
    output.json(line);
    match line["note"].as_str() {
        Some(note) if !note.is_empty() => output.beside(text(&line["target"]), &[note]),
        _ => output.line(text(&line["target"])),
    }
}

/// Prints an open connection.
pub(super) fn connection(line: &Value, output: &Output) {
    output.json(line);
    let [key, address, path] = ["key", "address", "path"].map(|name| text(&line[name]));
    let age = line["age_s"].as_u64().unwrap_or(0);
    output.line(&format!("{key}  {address:<15}  {path:<6}  {age:>5} s  requests: {}", line["requests"]));
}

/// Prints the numbers of a server.
pub(super) fn stats(stats: &Value, output: &Output) {
    output.json(stats);
    let is_running = stats["running"] == true;
    output.line(if is_running { "the server runs" } else { "the server is stopped" });
    for (label, name) in [
        ("version", "version"),
        ("seconds since the start", "uptime_s"),
        ("store", "store"),
        ("other servers of the key", "other_servers"),
        ("profiles", "profiles"),
        ("connections", "connections"),
        ("connections at most", "most_connections"),
        ("registration", "registration"),
        ("lookup", "lookup"),
        ("banned keys", "banned_keys"),
        ("banned networks", "banned_networks"),
        ("allowed keys", "allowed_keys"),
    ] {
        match &stats[name] {
            Value::Null => {}
            Value::String(value) => output.line(&format!("{label}: {value}")),
            value => output.line(&format!("{label}: {value}")),
        }
    }
}

/// Prints what a server has read again.
pub(super) fn reloaded(done: &Value, output: &Output) {
    output.json(done);
    let names = |of: &str| -> Vec<String> {
        let list = done[of].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(Into::into).collect()
    };
    output.line(&match names("in_force").join(", ") {
        none if none.is_empty() => "read again; no setting has changed".to_owned(),
        changed => format!("read again; in force: {changed}"),
    });
    let restart = names("restart").join(", ");
    if !restart.is_empty() {
        output.line(&format!("changed, but needs a restart: {restart}"));
    }
    if let Some(ended @ 1..) = done["connections"].as_u64() {
        output.line(&format!("connections ended: {ended}"));
    }
}

fn record(value: &Value) -> Result<Record, Failure> {
    let raw: RawRecord = serde_json::from_value(value.clone())
        .map_err(|error| Failure::new(Exit::Protocol, format!("the server has sent no record: {error}")))?;
    raw.verify().map_err(|error| Failure::from_error(Exit::Storage, error))
}

/// Returns a time of an answer as people read it.
fn time(seconds: &Value) -> String {
    match seconds.as_u64() {
        Some(seconds @ 1..) => utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST))),
        _ => "unknown".into(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The last second of the year 9999.
const LATEST: u64 = 253_402_300_799;
