//! Profiles in the DHT, beside those at a server.

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::show as print;
use super::args::Arguments;
use super::visit::{Deadline, Visit, node};
use crate::profile::publication::{FindError, PublishError, Published, find, follow};
use crate::profile::{Record, Rotation, publication};
use crate::{Dht, KeyPair, PublicKey};

/// Puts the profile that the server has into the DHT.
pub(super) async fn publish(visit: Visit<'_>, arguments: &Arguments, replace: bool) -> Result<(), Failure> {
    let Some(record) = visit.client.record().cloned() else {
        return Err(visit.not_registered(arguments));
    };
    let version = record.version();
    let nodes = put(
        &visit.dht,
        visit.deadline,
        visit.output,
        visit.client.identity(),
        Published::Record(record),
        replace,
    );
    let nodes = nodes.await?;
    visit.output.line(&format!("version {version} of your profile is on {nodes} nodes of the DHT"));
    visit.output.note("they keep it for 32 hours at least: publish it again once a day");
    let key = visit.key.clone();
    visit.end(json!({"public_key": key, "version": version, "nodes": nodes})).await
}

/// Takes back what was published. No server is needed.
pub(super) async fn withdraw(
    arguments: &Arguments,
    output: &Output,
    identity: &KeyPair,
    replace: bool,
) -> Result<(), Failure> {
    let dht = node(arguments).spawn().await?;
    let deadline = Deadline::after(arguments.timeout);
    let nodes = put(&dht, deadline, output, identity, Published::Withdrawn, replace).await?;
    output.line(&format!("your profile is withdrawn from the DHT, on {nodes} nodes"));
    output.json(&json!({"public_key": identity.public_key(), "withdrawn": true, "nodes": nodes}));
    dht.close().await;
    Ok(())
}

async fn put(
    dht: &Dht,
    deadline: Deadline,
    output: &Output,
    identity: &KeyPair,
    what: Published,
    replace: bool,
) -> Result<usize, Failure> {
    let _spinner = output.spinner("storing it on the nodes closest to your key");
    Ok(deadline.bound(publication::publish(dht, identity, &what, replace)).await?.nodes)
}

/// Puts the statement that a key was replaced in the place of what that key has published, if it has.
pub(super) async fn replaced(
    dht: &Dht,
    deadline: Deadline,
    output: &Output,
    old: &KeyPair,
    new: &KeyPair,
) -> Result<(), Failure> {
    let spinner = output.spinner("asking the nodes closest to the old key");
    let found = deadline.bound(find(dht, old.public_key())).await?;
    drop(spinner);
    if let Some(Published::Record(_)) = found {
        let statement = Published::Moved(Rotation::sign(old, new));
        put(dht, deadline, output, old, statement, false).await?;
        output.note("the DHT shows that the old key was replaced; publish your profile there again");
    }
    Ok(())
}

/// Prints what the owner of a key has published.
pub(super) async fn lookup(arguments: &Arguments, output: &Output, key: &PublicKey) -> Result<(), Failure> {
    let dht = node(arguments).spawn().await?;
    let (record, chain) = look(&dht, Deadline::after(arguments.timeout), output, key).await?;
    show(output, &record, &chain);
    dht.close().await;
    Ok(())
}

/// Finds what the owner of a key has published.
pub(super) async fn look(
    dht: &Dht,
    deadline: Deadline,
    output: &Output,
    key: &PublicKey,
) -> Result<(Record, Vec<Rotation>), Failure> {
    let _spinner = output.spinner("asking the nodes closest to the key");
    let found = deadline.bound(follow(dht, key)).await?;
    found.ok_or_else(|| {
        let what = "the DHT has no profile of this key: its owner has published none, or withdrawn it";
        Failure::new(Exit::NotRegistered, what)
            .hint("ask a server that the owner uses: profile-client --server KEY lookup KEY")
    })
}

/// Prints a profile from the DHT.
pub(super) fn show(output: &Output, record: &Record, chain: &[Rotation]) {
    output.note(
        "this is what the owner of the key has published in the DHT; a server may have a later version",
    );
    print::replaced(output, chain);
    print::profile(output, record);
    output.json(&print::as_json_from(record, chain, "dht"));
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Put(error) => error.into(),
            PublishError::Foreign { .. } => {
                Self::from_error(Exit::Invalid, error).hint("to replace it, add --replace")
            }
            PublishError::Newer { .. } => Self::from_error(Exit::Invalid, error).hint(
                "the server has lost that version, or another one has it: change the profile there, then \
                 publish again",
            ),
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Query(error) => error.into(),
            FindError::Foreign => Self::from_error(Exit::NotRegistered, error),
            FindError::Incomplete => {
                Self::from_error(Exit::NotRegistered, error).hint("its owner has to publish it again")
            }
            FindError::Invalid(_) | FindError::Statement(_) => Self::from_error(Exit::Protocol, error),
        }
    }
}
