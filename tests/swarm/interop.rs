//! With npm `hyperswarm` on the other side, over a DHT of our nodes and of the reference's.

use hyperprofile::swarm::{Join, PeerInfo};
use hyperprofile::{Connection, KeyPair, PublicKey, Swarm};
use tokio::io::AsyncWriteExt as _;

use super::support::{Network, Nodes, Process, Reference, reference_installed};
use super::{next, within};

#[tokio::test(flavor = "multi_thread")]
async fn our_client_finds_their_server() {
    with_network(async |place| {
        let mut theirs = node(place, &["--server", "--say", "hello from node"]);
        let key = key_of(&mut theirs).await;
        let ours = swarm(place).await;
        ours.join(place.topic, Join::client());
        let (connection, info) = next(&ours).await;
        assert_eq!((info.public_key, info.client), (key, true));
        talk(connection, &mut theirs, &ours, "server", Some("hello from node")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_finds_our_server() {
    with_network(async |place| {
        let ours = swarm(place).await;
        assert!(within(ours.join(place.topic, Join::server()).flushed()).await);
        let mut theirs = node(place, &["--client", "--say", "hello from node"]);
        let (connection, info) = next(&ours).await;
        assert_eq!((info.public_key, info.client), (key_of(&mut theirs).await, false));
        talk(connection, &mut theirs, &ours, "client", Some("hello from node")).await;
    })
    .await;
}

/// It proves its key by its keep-alive.
#[tokio::test(flavor = "multi_thread")]
async fn their_client_that_does_not_speak_is_handed_out_as_well() {
    with_network(async |place| {
        let ours = swarm(place).await;
        within(ours.join(place.topic, Join::server()).flushed()).await;
        let mut theirs = node(place, &["--client"]);
        let (connection, _) = next(&ours).await;
        talk(connection, &mut theirs, &ours, "client", None).await;
    })
    .await;
}

/// Both dial, and both keep the same connection, whichever has the greater key.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_keep_the_same_one_of_two_dials() {
    with_network(async |place| {
        let seeds = [[1; 32], [2; 32]];
        for (own, their) in [(seeds[0], seeds[1]), (seeds[1], seeds[0])] {
            let dht = place.network.guest().await;
            let ours = Swarm::builder(&dht).key_pair(&KeyPair::from_seed(&own)).spawn().unwrap();
            let seed = hex(&their);
            let mut theirs =
                node(place, &["--server", "--client", "--seed", &seed, "--say", "hello from node"]);
            ours.join(place.topic, Join::default());
            let key = *KeyPair::from_seed(&their).public_key();
            ours.join_peer(&key);
            let (connection, info) = settled(&ours).await;
            assert_eq!(info.public_key, key);
            let role = if connection.is_initiator() { "server" } else { "client" };
            talk(connection, &mut theirs, &ours, role, Some("hello from node")).await;
            assert_eq!(ours.stats().await.connections, 1);
            within(ours.close()).await;
            within(theirs.event("closed")).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dials_the_other_by_its_key() {
    with_network(async |place| {
        let mut theirs = node(place, &["--say", "hello from node"]);
        let key = key_of(&mut theirs).await;
        let ours = swarm(place).await;
        ours.join_peer(&key);
        let (connection, info) = next(&ours).await;
        assert!(info.explicit && connection.is_initiator());
        talk(connection, &mut theirs, &ours, "server", Some("hello from node")).await;

        let listens = swarm(place).await;
        within(listens.listen()).await.unwrap();
        let peer = listens.public_key().to_hex();
        let mut theirs = node(place, &["--peer", &peer, "--say", "hello from node"]);
        let (connection, _) = next(&listens).await;
        talk(connection, &mut theirs, &listens, "client", Some("hello from node")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_either_side_resets_comes_back() {
    with_network(async |place| {
        let mut theirs = node(place, &["--server", "--say", "hello from node"]);
        let key = key_of(&mut theirs).await;
        let ours = swarm(place).await;
        ours.join(place.topic, Join::client());
        let (_first, _) = next(&ours).await;
        within(theirs.event("connected")).await;
        say(&mut theirs, "reset").await;
        let (second, info) = next(&ours).await;
        assert_eq!(info.public_key, key);
        within(theirs.event("connected")).await;
        second.abort();
        let (third, _) = next(&ours).await;
        talk(third, &mut theirs, &ours, "server", Some("hello from node")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_comes_back_after_our_server_has_reset_it() {
    with_network(async |place| {
        let ours = swarm(place).await;
        within(ours.join(place.topic, Join::server()).flushed()).await;
        let mut theirs = node(place, &["--client", "--say", "hello from node"]);
        next(&ours).await.0.abort();
        within(theirs.event("closed")).await;
        let (connection, _) = next(&ours).await;
        talk(connection, &mut theirs, &ours, "client", Some("hello from node")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_is_not_found_by_the_other_kind() {
    with_network(async |place| {
        let mut theirs = node(place, &["--server"]);
        key_of(&mut theirs).await;
        say(&mut theirs, "leave").await;
        within(theirs.event("left")).await;
        let ours = swarm(place).await;
        assert!(within(ours.join(place.topic, Join::client()).flushed()).await);
        within(ours.flush()).await;
        assert_eq!(ours.stats().await.client_attempted, 0);
    })
    .await;
}

/// A drive goes from one Node peer to the other over nodes of this crate, with a swarm of it on the topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_hyperdrive_is_replicated_between_node_peers_on_our_nodes() {
    with_network(async |place| {
        let mut writer = Process::script(
            Reference::Latest,
            "drive.mjs",
            &[&place.network.bootstrap, "put", "the content of a file"],
        );
        let topic = within(writer.event("topic")).await;
        let drive = within(writer.event("drive")).await;
        let ours = swarm(place).await;
        let topic: [u8; 32] = *topic.parse::<PublicKey>().unwrap().as_bytes();
        ours.join(topic, Join::default());
        let (_writer_connection, _) = next(&ours).await;
        let mut reader =
            Process::script(Reference::Latest, "drive.mjs", &[&place.network.bootstrap, "get", &drive]);
        assert_eq!(within(reader.event("content")).await, "the content of a file");
        let (_reader_connection, _) = next(&ours).await;
        assert_eq!(ours.stats().await.connections, 2);
    })
    .await;
}

/// Runs a test over our nodes and over theirs, as often as `HYPERPROFILE_RUNS` says.
async fn with_network(test: impl AsyncFn(&Place)) {
    if !reference_installed() {
        return;
    }
    let runs = std::env::var("HYPERPROFILE_RUNS").map_or(1, |runs| runs.parse().unwrap());
    for nodes in [Nodes::Ours, Nodes::Theirs] {
        let mut place =
            Place { network: within(Network::start(nodes, Reference::Latest)).await, topic: [0; 32] };
        for _ in 0..runs {
            // Announcements outlive their run.
            place.topic = rand::random();
            test(&place).await;
        }
        within(place.network.close()).await;
    }
}

/// Where a test runs: a DHT, and a topic that no other run has.
struct Place {
    network: Network,
    topic: [u8; 32],
}

async fn swarm(place: &Place) -> Swarm {
    Swarm::builder(&place.network.guest().await).spawn().unwrap()
}

fn node(place: &Place, arguments: &[&str]) -> Process {
    let topic = hex(&place.topic);
    let first = [place.network.bootstrap.as_str(), &topic];
    let all: Vec<_> = first.into_iter().chain(arguments.iter().copied()).collect();
    Process::script(Reference::Latest, "swarm.mjs", &all)
}

async fn key_of(theirs: &mut Process) -> PublicKey {
    within(theirs.event("key")).await.parse().unwrap()
}

async fn say(theirs: &mut Process, line: &str) {
    let stdin = theirs.child.stdin.as_mut().unwrap();
    stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
}

/// Takes connections until one of them has brought their greeting: one that gave way to another ends without.
async fn settled(ours: &Swarm) -> (Connection, PeerInfo) {
    loop {
        let (mut connection, info) = next(ours).await;
        if let Ok(Some(said)) = within(connection.read_message()).await {
            assert_eq!(said, "hello from node");
            return (connection, info);
        }
    }
}

/// Exchanges messages in both directions; `greeting` is what they say first, unless it was read already.
async fn talk(
    mut connection: Connection,
    theirs: &mut Process,
    ours: &Swarm,
    their_role: &str,
    greeting: Option<&str>,
) {
    let own = ours.public_key().to_hex();
    loop {
        let connected = within(theirs.event("connected")).await;
        // An earlier one may have given way.
        if connected == format!("{own} {their_role}") {
            break;
        }
    }
    connection.write_message(b"echo").await.unwrap();
    loop {
        let said = within(connection.read_message()).await.unwrap().expect("the connection goes on");
        if said == "echoed" {
            break;
        }
        assert_eq!(Some(&said[..]), greeting.map(str::as_bytes));
    }
    loop {
        if within(theirs.event("said")).await == format!("{own} echo") {
            break;
        }
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    PublicKey::from_bytes(*bytes).to_hex()
}
