//! `profile-client demo`: a network, a server and clients in one process, with a line for each step.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngCore as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::versions::VersionsFile;
use crate::api::ConnectError;
use crate::profile::lines::{LineError, Lines};
use crate::profile::message::{Call, Request};
use crate::profile::record::RawRecord;
use crate::profile::{ProfileClient, ProfileDraft, Record, Service, ServiceConfig, SledStore, ThroughDht};
use crate::{Connection, Dht, KeyPair, PublicKey, Testnet};

/// Shows a profile's life, and three attempts to pass for its owner.
pub(super) async fn run(output: &Output) -> Result<(), Failure> {
    let folder = Folder::create()?;
    let mut stage = Stage { output, step: 0 };
    let started = Instant::now();

    stage.act("A network. Five nodes of a distributed hash table start on this computer; nothing leaves it.");
    let network = Testnet::new(5).await?;

    stage.act("A server. It makes a key pair, and announces its public key to the network.");
    let server_key = KeyPair::generate();
    let store = SledStore::open(&folder.path("profiles"))?;
    let service = Service::new(store, ServiceConfig::default());
    let server_node = network.builder().spawn().await?;
    let server = server_node.listen(&server_key).await?;
    let serving = {
        let service = service.clone();
        tokio::spawn(async move { service.run(&server).await })
    };
    let world = World { network: &network, server: *server_key.public_key(), folder: &folder };
    stage.say(&format!("its key, all that a client needs: {}", world.server));

    let ada = first_visit(&mut stage, &world).await?;
    second_visit(&mut stage, &world, &ada).await?;
    another_identity(&mut stage, &world, &ada).await?;
    impostor(&mut stage, &world, &ada).await?;
    unharmed(&mut stage, &world, &ada).await?;
    answers(&stage);

    service.close().await;
    server_node.close().await;
    // Ends by itself now that the service is closed.
    serving.await.map_err(|error| Failure::from_error(Exit::Internal, error))?;
    drop(service);
    network.close().await;
    let seconds = started.elapsed().as_secs_f32();
    stage.say("");
    stage.say(&format!("Done in {seconds:.1} s. The network, the server and their files are gone."));
    Ok(())
}

async fn first_visit(stage: &mut Stage<'_>, world: &World<'_>) -> Result<Record, Failure> {
    stage.act(
        "Ada comes for the first time. Her program makes a key pair too and keeps it in a file that \
               only she can read.",
    );
    let mut ada = world.visit("ada").await?;
    stage.say("it finds the server by its key and opens an encrypted connection");
    expect(ada.record().is_none(), "a new identity is unknown")?;
    stage.say("the server's greeting: I do not know you yet");
    let draft = ProfileDraft {
        name: "Ada Lovelace".into(),
        bio: "Writes programs for engines that do not exist yet.".into(),
        ..ProfileDraft::default()
    };
    let profile = draft.check().map_err(|error| Failure::from_error(Exit::Internal, error))?;
    let record = ada.register(profile).await?;
    stage.say(&format!(
        "she registers as {:?}; her program signs the profile, the server writes it to disk, then says so",
        record.profile().name()
    ));
    ada.close().await;
    Ok(record)
}

async fn second_visit(stage: &mut Stage<'_>, world: &World<'_>, known: &Record) -> Result<(), Failure> {
    stage.act("Ada's program is started again. It reads the same file, so it is the same Ada.");
    let ada = world.visit("ada").await?;
    expect(ada.record() == Some(known), "a known identity is greeted with its profile")?;
    stage
        .say(&format!("the server's greeting, before anything was asked: hello, {}", known.profile().name()));
    ada.close().await;
    Ok(())
}

async fn another_identity(stage: &mut Stage<'_>, world: &World<'_>, ada: &Record) -> Result<(), Failure> {
    stage.act("Bob comes, with a key pair of his own. He would like to be Ada.");
    let bob = KeyPair::load_or_create(world.folder.path("bob"))?;
    let dht = world.node().await?;
    let connection = dht.connect(world.server).key_pair(&bob).await?;
    let mut raw = Raw::greeted(connection).await?;
    expect(raw.hello["params"]["record"].is_null(), "a greeting shows nothing of others")?;
    stage.say("the server's greeting: I do not know you yet. There is nothing of Ada's in it");

    let draft = ProfileDraft { name: "Bob was here".into(), ..ProfileDraft::default() };
    let profile = draft.check().map_err(|error| Failure::from_error(Exit::Internal, error))?;
    let by_bob = Record::sign(&bob, ada.version() + 1, profile);
    let forged = RawRecord { key: *ada.key(), ..(&by_bob).into() };
    let request = Request::Update { record: forged, after: None };
    expect(raw.kind(request).await? == "bad_signature", "a forged record is refused")?;
    stage.say(
        "he sends a new profile in Ada's name, signed by himself: refused, the signature is not that \
               of his connection's key",
    );

    let request = Request::Register { record: ada.into(), after: None };
    expect(raw.kind(request).await? == "bad_signature", "a foreign record is refused")?;
    stage.say("he sends Ada's own signed profile, which anyone may copy: refused, it is not his key's");

    let request = Request::Delete { version: ada.version() };
    expect(raw.kind(request).await? == "not_registered", "a request acts on the caller's record")?;
    stage.say(
        "he asks to delete the profile: there is none of his. No request says whom it is about; it is \
               always about the connection's key",
    );
    dht.close().await;
    Ok(())
}

async fn impostor(stage: &mut Stage<'_>, world: &World<'_>, ada: &Record) -> Result<(), Failure> {
    stage.act(
        "Eve knows Ada's public key, as anyone may, but not the secret in Ada's file. She claims to be Ada.",
    );
    let eve = KeyPair::generate().claiming(*ada.key());
    let dht = world.node().await?;
    let attempt = dht.connect(world.server).key_pair(&eve).timeout(IMPOSTOR_TIMEOUT);
    match attempt.await {
        Ok(_) => {
            return Err(Failure::new(Exit::Internal, "the impostor got a connection"));
        }
        // What the server does with a message that it cannot open: nothing.
        Err(ConnectError::NoAnswer { .. } | ConnectError::TimedOut { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    stage.say(
        "no connection: the very first message of the handshake is sealed with Ada's secret and the \
               server's key, so the server cannot open what Eve sealed with another, and does not answer",
    );
    dht.close().await;
    Ok(())
}

async fn unharmed(stage: &mut Stage<'_>, world: &World<'_>, known: &Record) -> Result<(), Failure> {
    stage.act("Ada looks once more.");
    let ada = world.visit("ada").await?;
    expect(ada.record() == Some(known), "the profile is as its owner left it")?;
    stage.say(&format!("{:?}, version {}: as she left it", known.profile().name(), known.version()));
    ada.close().await;
    Ok(())
}

fn answers(stage: &Stage<'_>) {
    for (question, answer) in [
        (
            "How does the server identify its clients?",
            "By the public key that each proves in the handshake of its connection. There are no names, \
             passwords or tokens to send.",
        ),
        (
            "Could clients spoof one another?",
            "No. A key without its secret opens no connection; over a connection of one's own only one's own \
             profile can be changed; and every profile is signed by its owner, which the server and each \
             reader check.",
        ),
        (
            "How does a client keep its identity across sessions?",
            "Its key pair is in a file. The program with that file is the same client, on any computer; a \
             lost file is a lost identity.",
        ),
    ] {
        stage.say("");
        stage.output.line(question);
        stage.say(answer);
        stage.output.json(&json!({"question": question, "answer": answer}));
    }
}

/// The network, the server and the folder of the clients' identities.
struct World<'a> {
    network: &'a Testnet,
    server: PublicKey,
    folder: &'a Folder,
}

impl World<'_> {
    async fn node(&self) -> Result<Dht, Failure> {
        Ok(self.network.builder().spawn().await?)
    }

    /// Connects a client whose identity is in a file.
    async fn visit(&self, who: &str) -> Result<ProfileClient<ThroughDht, VersionsFile>, Failure> {
        let path = self.folder.path(who);
        let identity = KeyPair::load_or_create(&path)?;
        let dial = ThroughDht { dht: self.node().await?, server: self.server, identity: identity.clone() };
        let versions = VersionsFile::beside(&path, *identity.public_key(), self.server);
        Ok(ProfileClient::connect(identity, dial, versions).await?)
    }
}

/// A connection that sends requests unchecked.
struct Raw {
    connection: Connection,
    lines: Lines,
    hello: Value,
}

impl Raw {
    async fn greeted(connection: Connection) -> Result<Self, Failure> {
        let mut raw = Self { connection, lines: Lines::default(), hello: Value::Null };
        raw.hello = raw.read().await?;
        Ok(raw)
    }

    /// Makes a request and returns the kind of its refusal, empty if it was not refused.
    async fn kind(&mut self, request: Request) -> Result<String, Failure> {
        let call = Call { id: 1.into(), request };
        self.connection
            .write_all(&call.to_line())
            .await
            .map_err(|error| Failure::from_error(Exit::NoPath, error))?;
        let answer = self.read().await?;
        let kind = answer["error"]["data"]["kind"].as_str();
        Ok(kind.unwrap_or_default().to_owned())
    }

    async fn read(&mut self) -> Result<Value, Failure> {
        let deadline = Some(Instant::now() + ANSWER);
        let line = self.lines.next(&mut self.connection, deadline, ANSWER);
        let line = line.await.map_err(|error: LineError| Failure::from_error(Exit::NoPath, error))?;
        serde_json::from_slice(&line).map_err(|error| Failure::from_error(Exit::Protocol, error))
    }
}

/// Prints the steps of the demonstration.
struct Stage<'a> {
    output: &'a Output,
    step: u32,
}

impl Stage<'_> {
    /// Prints the headline of the next step.
    fn act(&mut self, text: &str) {
        self.step += 1;
        if self.step > 1 {
            self.output.line("");
        }
        self.output.line(&format!("{}. {text}", self.step));
        self.output.json(&json!({"step": self.step, "text": text}));
    }

    /// Prints what happens in the step.
    fn say(&self, text: &str) {
        self.output.line(&match text {
            "" => String::new(),
            text => format!("   {text}"),
        });
    }
}

/// A folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, Failure> {
        let number = rand::rngs::OsRng.next_u64();
        let path = std::env::temp_dir().join(format!("profile-demo-{number:016x}"));
        #[cfg_attr(not(unix), allow(unused_mut, reason = "other systems have no modes"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(Failure::from_error(Exit::Storage, error)),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(Path::new(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "cannot remove the folder of the \
                                                                demonstration");
        }
    }
}

/// Fails if the demonstration does not show what it claims.
fn expect(holds: bool, what: &'static str) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::new(Exit::Internal, format!("the demonstration failed: it should be that {what}")))
}

/// How long Eve waits for an answer that does not come; a handshake on one computer takes milliseconds.
const IMPOSTOR_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time for an answer.
const ANSWER: Duration = Duration::from_secs(10);
