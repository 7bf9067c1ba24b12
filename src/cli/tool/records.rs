//! What nodes store: peers of topics, and values.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, stdin};
use tokio::time::{sleep, timeout_at};

use super::super::exit::{Exit, Failure};
use super::session::{Tool, local};
use crate::PublicKey;
use crate::api::Lookup;

/// Prints each peer once, as soon as a node names it.
pub(super) async fn peers(tool: &Tool<'_>, lookup: Lookup) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + tool.arguments.timeout;
    let spinner = tool.output.spinner("asking the nodes closest to it");
    let mut spinner = Some(spinner);
    // A node names twenty at most, and a query has an end.
    let mut known: BTreeMap<PublicKey, usize> = BTreeMap::new();
    let mut peers = lookup.stream();
    let is_over = loop {
        let found = match timeout_at(deadline, peers.next()).await {
            Ok(Some(found)) => found?,
            Ok(None) => break true,
            Err(_) => break false,
        };
        let seen = known.entry(found.public_key).or_default();
        *seen += 1;
        if *seen > 1 {
            continue;
        }
        drop(spinner.take());
        let nodes: Vec<_> = found.relay_addresses.iter().map(ToString::to_string).collect();
        let through = if nodes.is_empty() { String::new() } else { format!("@{}", nodes.join(",")) };
        tool.output.line(&format!("{}{through}", found.public_key));
        tool.output
            .json(&json!({"public_key": found.public_key, "relay_addresses": nodes, "from": found.from}));
        tool.output.delivered()?;
    };
    drop(spinner);
    match known.is_empty() {
        true if is_over => Err(nobody()),
        true => Err(tool.late("the network")),
        false => Ok(()),
    }
}

/// Returns the failure of a lookup that has found nobody.
pub(super) fn nobody() -> Failure {
    let failure = Failure::new(Exit::NotFound, "no node knows a peer").kind("not_found");
    failure.hint("is the text or the key the same on both sides, and the network (--bootstrap, --local)?")
}

/// Announces the own key, again and again unless `once`.
pub(super) async fn announce(tool: &Tool<'_>, topic: [u8; 32], once: bool) -> Result<(), Failure> {
    let (key, digits) = (tool.identity.public_key(), HEXLOWER.encode(&topic));
    let mut was_announced = false;
    loop {
        let spinner = tool.output.spinner("announcing");
        let announced = tool.within("the network", tool.dht.announce(topic, &tool.identity, &[])).await;
        drop(spinner);
        let announced = announced.and_then(|announced| announced.map_err(Failure::from));
        let pause = pause(&announced, was_announced);
        match (announced, pause) {
            (Ok(nodes), _) => {
                was_announced = true;
                tool.output.line(&format!("{key} is announced under {digits} on {nodes} nodes"));
                tool.output
                    .json(&json!({"event": "announced", "topic": digits, "public_key": key, "nodes": nodes}));
            }
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(_)) => {
                tool.output.note(&format!("not announced anew: {}; tried again in a minute", failure.error));
                let message = failure.error.to_string();
                tool.output.json(&json!({"event": "not_announced", "topic": digits, "message": message}));
            }
        }
        tool.output.delivered()?;
        match pause {
            Some(pause) if !once => sleep(pause).await,
            _ => return Ok(()),
        }
    }
}

/// Returns when to announce anew; `None` if that has never succeeded: what is wrong then is for the user to
/// change, and later on a network may be gone for a while.
const fn pause<T, E>(announced: &Result<T, E>, was_announced: bool) -> Option<Duration> {
    match announced {
        Ok(_) => Some(ANNOUNCE_PERIOD),
        Err(_) if was_announced => Some(ANNOUNCE_AGAIN),
        Err(_) => None,
    }
}

/// Withdraws what was announced.
pub(super) async fn withdraw(tool: &Tool<'_>, topic: [u8; 32]) -> Result<(), Failure> {
    let spinner = tool.output.spinner("withdrawing the announcement");
    tool.within("the network", tool.dht.unannounce(topic, &tool.identity)).await??;
    drop(spinner);
    tool.output.note("the announcement is withdrawn");
    tool.output.json(&json!({"event": "withdrawn"}));
    Ok(())
}

pub(super) async fn get(tool: &Tool<'_>, target: &PublicKey, mutable: bool) -> Result<(), Failure> {
    let spinner = tool.output.spinner("asking the nodes closest to it");
    let (value, seq) = match mutable {
        true => {
            let found = tool.within("the network", tool.dht.mutable_get(target)).await??;
            found.map(|found| (found.value, Some(found.seq))).ok_or_else(nothing)?
        }
        false => {
            let found = tool.within("the network", tool.dht.immutable_get(*target.as_bytes())).await??;
            (found.ok_or_else(nothing)?, None)
        }
    };
    drop(spinner);
    let text = str::from_utf8(&value).ok();
    tool.output.bytes("value:", &value);
    tool.output.json(&json!({"value": text, "value_hex": HEXLOWER.encode(&value), "seq": seq}));
    Ok(())
}

pub(super) async fn put(tool: &Tool<'_>, text: &str, mutable: bool, seq: Option<u64>) -> Result<(), Failure> {
    let mut value = text.as_bytes().to_vec();
    if text == "-" {
        value.clear();
        // One more than fits, so that a longer one is refused.
        stdin()
            .take(VALUE_BYTES + 1)
            .read_to_end(&mut value)
            .await
            .map_err(|error| local("read standard input", error))?;
    }
    let spinner = tool.output.spinner("storing it on the nodes closest to it");
    let (name, stored, seq) = match mutable {
        true => {
            let seq = match seq {
                Some(seq) => seq,
                None => {
                    let own = tool.dht.mutable_get(tool.identity.public_key());
                    let found = tool.within("the network", own).await??;
                    found.map_or(0, |found| found.seq.saturating_add(1))
                }
            };
            let put = tool.dht.mutable_put(&tool.identity, seq, &value);
            (tool.identity.public_key().to_z32(), tool.within("the network", put).await??, Some(seq))
        }
        false => {
            let stored = tool.within("the network", tool.dht.immutable_put(&value)).await??;
            (HEXLOWER.encode(&stored.target), stored, None)
        }
    };
    drop(spinner);
    tool.output.line(&name);
    tool.output.note(&format!("{} nodes have it", stored.nodes));
    let member = if mutable { "public_key" } else { "hash" };
    tool.output.json(&json!({member: name, "nodes": stored.nodes, "seq": seq}));
    Ok(())
}

fn nothing() -> Failure {
    Failure::new(Exit::NotFound, "no node has it").kind("not_found")
}

/// How often an announcement is made anew; nodes forget it after 20 minutes.
const ANNOUNCE_PERIOD: Duration = Duration::from_secs(600);
/// How long after an announcement that failed the next one follows.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(60);
/// Most bytes of a value (`hyperdht-rpc.md`); the node refuses one that is longer, and says how long it may
/// be.
const VALUE_BYTES: u64 = 1850;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::super::output::Output;
    use super::super::args::Arguments;
    use super::*;
    use crate::{KeyPair, Testnet};

    #[tokio::test]
    async fn a_lookup_without_time_has_timed_out_and_one_that_ends_has_found_nobody() {
        let network = Testnet::new(2).await.unwrap();
        let mut arguments = Arguments::try_parse_from(["hyperdht", "lookup", "room"]).unwrap();
        let dht = &network.nodes()[0];
        // Queries of a node that is suspended wait.
        dht.suspend().await;
        for (timeout, exit) in [(Duration::ZERO, Exit::TimedOut), (Duration::from_secs(60), Exit::NotFound)] {
            arguments.timeout = timeout;
            let (dht, identity) = (dht.clone(), KeyPair::generate());
            let tool = Tool { arguments: &arguments, output: &Output::default(), dht, identity };
            assert_eq!(peers(&tool, tool.dht.lookup([1; 32])).await.unwrap_err().exit, exit);
            tool.dht.resume().await;
        }
    }

    #[test]
    fn an_announcement_that_has_succeeded_once_is_tried_again_when_it_fails() {
        assert_eq!(pause(&Err::<(), _>(()), false), None);
        assert_eq!(pause(&Ok::<_, ()>(()), false), Some(ANNOUNCE_PERIOD));
        assert_eq!(pause(&Err::<(), _>(()), true), Some(ANNOUNCE_AGAIN));
    }
}
