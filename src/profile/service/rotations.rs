//! Random histories of keys that are replaced and stolen, against a model: the profile always belongs to the
//! key that the statements lead to.
//!
//! A thief is no other caller than an owner: the holder of a key can send anything in its name. So each
//! request comes from a random key, with records and statements of random keys, forged ones, and ones that
//! were sent before. Now and then the server is restored from an older backup, as a whole or on top of what
//! it has.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::super::entry::{Dated, KeyEntry};
use super::super::limits::Limits;
use super::super::peers::PeerAddress;
use super::super::record::{RawRecord, Record};
use super::super::rotation::tests::rotation;
use super::super::rotation::{MAX_CHAIN, Rotation, verify_chain};
use super::super::store::{MemoryStore, Store};
use super::super::stores::{Place, over_all_stores};
use super::ServiceConfig;
use super::answer::{Answer, Answerer, Caller};
use super::testing::{key_pair, record};
use crate::PublicKey;
use crate::api::ProvenKey;

/// More than a chain may have, so that some are too long.
const KEYS: u8 = 12;

/// What the server has to hold for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Unknown,
    /// A version, and the number in its name.
    Present(u64, u32),
    Deleted(u64),
    /// The key that has replaced it.
    Moved(u8),
}

type Model = [Held; KEYS as usize];

/// A request, and what is in it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A record of a key, of a version and a number.
    Store {
        update: bool,
        signer: u8,
        version: u64,
        number: u32,
    },
    Delete {
        version: u64,
    },
    Rotate {
        from: u8,
        to: u8,
        signer: u8,
        version: u64,
        number: u32,
        forged: bool,
    },
}

/// Signatures take longer than everything else.
#[derive(Default)]
struct Signed {
    records: BTreeMap<(u8, u64, u32), Record>,
    rotations: BTreeMap<(u8, u8), Rotation>,
}

impl Signed {
    fn record(&mut self, signer: u8, version: u64, number: u32) -> &Record {
        let name = format!("{signer} {number}");
        self.records.entry((signer, version, number)).or_insert_with(|| record(signer, version, &name))
    }

    fn rotation(&mut self, from: u8, to: u8) -> &Rotation {
        self.rotations.entry((from, to)).or_insert_with(|| rotation(from, to))
    }

    /// Returns the method and the parameters of a request.
    fn request(&mut self, step: Step) -> (&'static str, Value) {
        match step {
            Step::Store { update, signer, version, number } => {
                let method = if update { "profile.update" } else { "profile.register" };
                (method, json!({"record": self.record(signer, version, number)}))
            }
            Step::Delete { version } => ("profile.delete", json!({"version": version})),
            Step::Rotate { from, to, signer, version, number, forged } => {
                let mut raw = self.rotation(from, to).raw().clone();
                if forged {
                    // The thief has the old key alone, and puts its signature in both places.
                    raw.to_signature = raw.from_signature;
                }
                let record = RawRecord::from(self.record(signer, version, number));
                ("profile.rotate", json!({"rotation": raw, "record": record}))
            }
        }
    }
}

/// Returns what a request of a key changes, or the kind of the refusal.
fn expected(model: &mut Model, caller: u8, step: Step) -> Result<(), &'static str> {
    let version_of = |held| match held {
        Held::Unknown | Held::Moved(_) => 0,
        Held::Present(version, _) | Held::Deleted(version) => version,
    };
    let held = model[usize::from(caller)];
    match step {
        Step::Store { signer, .. } if signer != caller => Err("bad_signature"),
        Step::Store { .. } | Step::Delete { .. } if matches!(held, Held::Moved(_)) => Err("moved"),
        Step::Store { version, number, .. } if held == Held::Present(version, number) => Ok(()),
        Step::Store { update, version, number, .. } => match (update, held) {
            (false, Held::Present(..)) => Err("already_registered"),
            (true, Held::Unknown | Held::Deleted(_)) => Err("not_registered"),
            _ if version != version_of(held) + 1 => Err("version_conflict"),
            _ => {
                model[usize::from(caller)] = Held::Present(version, number);
                Ok(())
            }
        },
        Step::Delete { version } => match held {
            Held::Present(stored, _) if stored == version => {
                model[usize::from(caller)] = Held::Deleted(version);
                Ok(())
            }
            Held::Deleted(stored) if stored == version => Ok(()),
            Held::Present(..) => Err("version_conflict"),
            _ => Err("not_registered"),
        },
        Step::Rotate { from, to, signer, forged, .. }
            if forged || signer != to || ![from, to].contains(&caller) =>
        {
            Err("bad_signature")
        }
        Step::Rotate { from, to, version, number, .. } => {
            match (model[usize::from(from)], model[usize::from(to)]) {
                (Held::Moved(stored), _) if stored == to => Ok(()),
                (Held::Moved(_), _) => Err("moved"),
                (Held::Unknown | Held::Deleted(_), _) => Err("not_registered"),
                (_, Held::Unknown) => {
                    model[usize::from(from)] = Held::Moved(to);
                    model[usize::from(to)] = Held::Present(version, number);
                    Ok(())
                }
                _ => Err("already_registered"),
            }
        }
    }
}

fn step(chance: &mut StdRng, model: &Model, caller: u8) -> Step {
    let held = model[usize::from(caller)];
    let next = match held {
        Held::Present(version, _) | Held::Deleted(version) => version,
        _ => 0,
    } + 1;
    let number = chance.gen_range(0..3);
    let other = (caller + chance.gen_range(1..KEYS)) % KEYS;
    let version = if chance.gen_bool(0.8) { next } else { chance.gen_range(1..4) };
    match chance.gen_range(0..10) {
        0..4 => Step::Store {
            update: matches!(held, Held::Present(..)) ^ chance.gen_ratio(1, 8),
            signer: if chance.gen_ratio(1, 8) { other } else { caller },
            version,
            number,
        },
        4 => Step::Delete { version: version.max(2) - 1 },
        _ => {
            let (from, to) = if chance.gen_ratio(1, 5) { (other, caller) } else { (caller, other) };
            let (signer, forged) = (if chance.gen_ratio(1, 10) { from } else { to }, chance.gen_ratio(1, 10));
            Step::Rotate { from, to, signer, version: chance.gen_range(1..4), number, forged }
        }
    }
}

/// A server, what it should hold, and what was sent to it.
struct World<S> {
    answerer: Answerer<S>,
    model: Model,
    sent: Vec<Step>,
    backups: Vec<(Vec<(PublicKey, Dated)>, Model)>,
    signed: Signed,
}

impl<S: Store> World<S> {
    async fn call(&self, caller: u8, method: &str, parameters: Value) -> Value {
        let key = ProvenKey::new(*key_pair(caller).public_key());
        let caller = Caller { key, address: PeerAddress::direct(Ipv4Addr::LOCALHOST) };
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).to_string();
        let mut watch = self.answerer.store.changes().watch();
        match self.answerer.answer(&caller, line.as_bytes(), &mut watch).await {
            Answer::Line(line) => serde_json::from_slice(&line).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Has a key ask for something new, or something that was asked before, by it or by another one.
    async fn ask(&mut self, chance: &mut StdRng) {
        let caller = chance.gen_range(0..KEYS);
        let replayed = self.sent.choose(chance).copied().filter(|_| chance.gen_ratio(1, 4));
        let step = replayed.unwrap_or_else(|| step(chance, &self.model, caller));
        self.sent.push(step);
        let (method, parameters) = self.signed.request(step);
        let answer = self.call(caller, method, parameters).await;
        let before = self.model;
        match expected(&mut self.model, caller, step) {
            Ok(()) => assert!(answer["result"].is_object(), "{caller}: {step:?}: {answer}, {before:?}"),
            Err(kind) => {
                assert_eq!(answer["error"]["data"]["kind"], kind, "{caller}: {step:?}: {before:?}");
                assert_eq!(self.model, before);
            }
        }
    }

    /// Looks every key up, and compares what is found with the model.
    async fn check(&self) {
        for asked in 0..KEYS {
            let (mut key, mut steps) = (asked, 0);
            while let Held::Moved(to) = self.model[usize::from(key)]
                && steps < MAX_CHAIN
            {
                (key, steps) = (to, steps + 1);
            }
            let hex = key_pair(asked).public_key().to_hex();
            let answer = self.call(0, "profile.lookup", json!({"key": hex, "follow": true})).await;
            let kind = &answer["error"]["data"]["kind"];
            match self.model[usize::from(key)] {
                Held::Moved(_) => assert_eq!(kind, "moved_too_often"),
                Held::Unknown | Held::Deleted(_) => assert_eq!(kind, "not_registered"),
                Held::Present(version, number) => {
                    let found: RawRecord =
                        serde_json::from_value(answer["result"]["record"].clone()).unwrap();
                    assert_eq!((&found.key, found.version), (key_pair(key).public_key(), version));
                    assert_eq!(found.text, format!(r#"{{"name":"{key} {number}"}}"#));
                    let chain = serde_json::from_value(answer["result"]["chain"].clone()).unwrap();
                    let chain = verify_chain(key_pair(asked).public_key(), chain).unwrap();
                    assert_eq!(chain.len(), steps);
                    assert_eq!(chain.last().map_or(asked, |last| number_of(last.to())), key);
                }
            }
        }
    }
}

fn number_of(key: &PublicKey) -> u8 {
    (0..KEYS).find(|number| key_pair(*number).public_key() == key).unwrap()
}

/// How new what is held is, as `is_newer` has it.
fn newer(held: Held, than: Held) -> bool {
    let rank = |held| match held {
        Held::Unknown => (0, 0, 0),
        Held::Present(version, _) => (0, version, 0),
        Held::Deleted(version) => (0, version, 1),
        Held::Moved(_) => (1, 0, 0),
    };
    rank(held) > rank(than)
}

/// Plays a history of 40 requests.
async fn play<P: Place>(seed: u64, signed: Signed) -> Option<Signed> {
    let limits = Limits {
        writes_per_minute: u32::MAX,
        registrations_per_hour: u32::MAX,
        lookups_per_minute: u32::MAX,
        refusals_per_minute: u32::MAX,
        ..Limits::default()
    };
    let config = ServiceConfig { limits, ..ServiceConfig::default() };
    let mut place = P::empty()?;
    let answerer = Answerer::new(place.open().await, config);
    let (model, sent, backups) = (Model::default(), Vec::new(), Vec::new());
    let mut world = World { answerer, model, sent, backups, signed };
    let mut chance = StdRng::seed_from_u64(seed);
    for _ in 0..40 {
        world.ask(&mut chance).await;
        match chance.gen_range(0..20) {
            0 => {
                let entries = world.answerer.store.page(None, usize::MAX).await.unwrap();
                world.backups.push((entries, world.model));
            }
            1 if !world.backups.is_empty() => {
                let (mut entries, model) = world.backups.choose(&mut chance).cloned().unwrap();
                if chance.r#gen() {
                    // On top of what is there: of each key what is newer.
                    let there = world.answerer.store.page(None, usize::MAX).await.unwrap();
                    entries.extend(there);
                    for (held, old) in world.model.iter_mut().zip(model) {
                        *held = if newer(*held, old) { *held } else { old };
                    }
                } else {
                    world.model = model;
                }
                let new = P::empty()?;
                let store = new.open().await;
                P::restore(&store, entries).await;
                world.answerer = Answerer::new(store, config);
                place = new;
            }
            _ => {}
        }
    }
    world.check().await;
    drop(place);
    Some(world.signed)
}

over_all_stores! { the_profile_belongs_to_the_key_that_the_statements_lead_to }

async fn the_profile_belongs_to_the_key_that_the_statements_lead_to<P: Place>() {
    let is_full = std::env::var_os("HYPERPROFILE_FULL").is_some();
    let histories = match (P::IS_FAST, is_full) {
        (true, true) => 10_000,
        (true, false) => 500,
        (false, true) => 300,
        (false, false) => 10,
    };
    let mut signed = Signed::default();
    for seed in 0..histories {
        let Some(played) = play::<P>(seed, signed).await else { return };
        signed = played;
    }
}

#[tokio::test]
async fn a_chain_is_followed_so_far() {
    let answerer = Answerer::new(MemoryStore::default(), ServiceConfig::default());
    let (model, sent, backups) = (Model::default(), Vec::new(), Vec::new());
    let mut world = World { answerer, model, sent, backups, signed: Signed::default() };
    let first = world.signed.request(Step::Store { update: false, signer: 0, version: 1, number: 0 });
    assert!(world.call(0, first.0, first.1).await["result"].is_object());
    for from in 0..9 {
        let step =
            Step::Rotate { from, to: from + 1, signer: from + 1, version: 1, number: 0, forged: false };
        let (method, parameters) = world.signed.request(step);
        let answer = world.call(from, method, parameters).await;
        assert_eq!(answer["result"], json!({"moved": true}), "rotating itself has no bound");
    }
    let lookup = async |key: u8, follow: bool| {
        let hex = key_pair(key).public_key().to_hex();
        world.call(11, "profile.lookup", json!({"key": hex, "follow": follow})).await
    };
    assert_eq!(lookup(0, true).await["error"]["data"]["kind"], "moved_too_often");
    let found = lookup(1, true).await;
    assert_eq!(found["result"]["chain"].as_array().unwrap().len(), MAX_CHAIN);
    assert_eq!(found["result"]["record"]["key"], key_pair(9).public_key().to_hex());
    assert_eq!(lookup(9, true).await["result"]["chain"], json!([]));
    // A client of version 1 cannot check the statements.
    let refused = lookup(5, false).await;
    let error = &refused["error"];
    let last = *key_pair(9).public_key();
    assert_eq!((&error["data"]["kind"], &error["data"]["to"]), (&json!("moved"), &json!(last.to_hex())));
    assert_eq!(error["data"]["chain"].as_array().unwrap().len(), 4);
    assert!(error["message"].as_str().unwrap().contains(&last.to_z32()), "{refused}");
    // The old key can do nothing, and is shown where its profile is.
    let update = world.call(3, "profile.get", json!({})).await;
    assert_eq!(update["error"]["data"]["chain"].as_array().unwrap().len(), 6);
    let held = world.answerer.store.load(key_pair(3).public_key()).await.unwrap();
    assert!(matches!(held, KeyEntry::Moved { version: 1, .. }), "{held:?}");
}

#[tokio::test]
async fn a_banned_key_neither_moves_nor_takes_a_profile() {
    let answerer = Answerer::new(MemoryStore::default(), ServiceConfig::default());
    let (model, sent, backups) = (Model::default(), Vec::new(), Vec::new());
    let mut world = World { answerer, model, sent, backups, signed: Signed::default() };
    let first = world.signed.request(Step::Store { update: false, signer: 0, version: 1, number: 0 });
    world.call(0, first.0, first.1).await;
    let rotate = Step::Rotate { from: 0, to: 1, signer: 1, version: 1, number: 0, forged: false };
    let (method, parameters) = world.signed.request(rotate);
    for banned in [0, 1] {
        world.answerer.set(|settings| {
            settings.admission.banned_keys = [*key_pair(banned).public_key()].into_iter().collect();
        });
        // From the key that is not banned itself.
        let answer = world.call(1 - banned, method, parameters.clone()).await;
        assert_eq!(answer["error"]["data"]["kind"], "closed", "{banned}");
    }
    world.answerer.set(|settings| settings.admission.banned_keys.clear());
    assert_eq!(world.call(0, method, parameters).await["result"], json!({"moved": true}));
}
