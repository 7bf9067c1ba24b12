//! The profiles of others: looked up once, or watched.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::show;
use super::args::Arguments;
use super::publish;
use super::servers::Server;
use super::visit::{Deadline, Visit, node};
use crate::PublicKey;
use crate::profile::client::Watched;
use crate::profile::{ClientError, Denied, Found};

/// Prints the profile of a key: the server's or, unless `only_server`, what its owner has published.
pub(super) async fn lookup(
    arguments: &Arguments,
    output: &Output,
    server: &Server,
    key: &PublicKey,
    only_server: bool,
) -> Result<(), Failure> {
    let failure = match Visit::start(arguments, output, server).await {
        Ok(mut visit) => match visit.deadline.bound(visit.client.lookup(*key)).await {
            Ok(Found { record, chain, .. }) => {
                show::replaced(output, &chain);
                show::profile(output, &record);
                return visit.end(show::as_json_from(&record, &chain, "server")).await;
            }
            Err(failure) => {
                visit.leave().await;
                failure
            }
        },
        Err(failure) => failure,
    };
    // A node that was given the server's address is in no network.
    if only_server || arguments.server_addr.is_some() || !may_be_published(&failure) {
        return Err(failure);
    }
    let dht = node(arguments).spawn().await?;
    let found = publish::look(&dht, Deadline::after(arguments.timeout), output, key).await;
    match found {
        Ok((record, chain)) => {
            output.note_about("the server does not show it: ", &failure.error.to_string());
            publish::show(output, &record, &chain);
            dht.close().await;
            Ok(())
        }
        Err(other) => Err(match failure.hint {
            Some(_) => failure,
            None => failure.hint(format!("it is not in the DHT either: {}", other.error)),
        }),
    }
}

/// Returns whether the DHT may have what a server does not show. Of a key that was replaced it has what is
/// outdated.
fn may_be_published(failure: &Failure) -> bool {
    let is_replaced = failure.kind.starts_with("moved");
    !is_replaced
        && matches!(
            failure.exit,
            Exit::NotFound
                | Exit::NoPath
                | Exit::TimedOut
                | Exit::Refused
                | Exit::NotRegistered
                | Exit::Storage
                | Exit::Protocol
        )
}

/// Prints the profiles of keys, and each of them again when it changes. Ends with an error that does not pass
/// by itself.
pub(super) async fn watch(mut visit: Visit<'_>, keys: &[PublicKey]) -> Result<(), Failure> {
    let output = visit.output;
    let mut watching = visit.client.watch(keys.iter().copied());
    let mut pause = FIRST_PAUSE;
    let mut is_first = true;
    loop {
        match watching.next().await {
            Ok(Watched { key, record, chain, .. }) => {
                pause = FIRST_PAUSE;
                if !std::mem::take(&mut is_first) {
                    output.line("");
                }
                show::replaced(output, &chain);
                match &record {
                    Some(record) => {
                        show::profile(output, record);
                        output.json(&show::as_json_from(record, &chain, "server"));
                    }
                    None => {
                        output.line(&format!("{key} has no profile at this server"));
                        let none = json!({"public_key": key, "version": null, "profile": null});
                        output.json(&none);
                    }
                }
                output.delivered()?;
            }
            Err(error) => {
                let Some(wait) = wait(&error, pause) else { return Err(error.into()) };
                let what = format!("not watching, trying again in {} s: ", wait.as_secs());
                output.note_about(&what, &error.to_string());
                sleep(wait).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Returns how long to wait after an error that may pass by itself.
fn wait(error: &ClientError, pause: Duration) -> Option<Duration> {
    match error {
        ClientError::Denied(Denied::TooMany { retry_after }) => {
            Some(Duration::from_secs(*retry_after).clamp(FIRST_PAUSE, LONGEST_WAIT))
        }
        ClientError::Dial(_)
        | ClientError::Lost(_)
        | ClientError::TimedOut
        | ClientError::Denied(Denied::Full | Denied::Storage) => Some(pause),
        _ => None,
    }
}

/// How long after an error the first attempt follows. Each further one follows after twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest time that a server can ask to wait: its longest window.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_waited_for_as_long_as_the_server_asks() {
        let denied = |denied: Denied| wait(&denied.into(), FIRST_PAUSE).map(|wait| wait.as_secs());
        assert_eq!(denied(Denied::TooMany { retry_after: 40 }), Some(40));
        assert_eq!(denied(Denied::TooMany { retry_after: 0 }), Some(1));
        assert_eq!(denied(Denied::TooMany { retry_after: u64::MAX }), Some(3600));
        assert_eq!(denied(Denied::Full), Some(1));
        assert_eq!(denied(Denied::Closed), None);
        assert_eq!(wait(&ClientError::TimedOut, LONGEST_PAUSE), Some(LONGEST_PAUSE));
        assert_eq!(wait(&ClientError::OldServer, FIRST_PAUSE), None);
    }
}
