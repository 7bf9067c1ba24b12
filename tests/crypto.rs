//! `hyperprofile::crypto` against npm `hypercore-crypto`: thousands of random and hostile inputs, each
//! answered by both.
//!
//! Run `npm ci` in `tests/interop` first. `HYPERPROFILE_SEED` chooses other inputs.

// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

// Each program of tests uses a part of it.
#[allow(dead_code)]
mod support;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use data_encoding::HEXLOWER;
use ed25519_dalek::Sha512;
use hyperprofile::crypto::{self, EncryptionKeyPair, TreeNode};
use hyperprofile::{KeyPair, PublicKey};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use serde_json::{Value, json};
use support::{Process, Reference, reference_installed};

/// How many inputs of each kind.
const ROUNDS: usize = 400;

/// Puts questions to the reference, each with what this crate answers.
#[derive(Default)]
struct Questions {
    lines: Vec<String>,
    answers: Vec<Value>,
}

impl Questions {
    fn ask(&mut self, question: Value, own_answer: Value) {
        self.lines.push(question.to_string());
        self.answers.push(own_answer);
    }

    /// Returns the answers of the reference.
    async fn asked(&self) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("questions");
        std::fs::write(&file, self.lines.join("\n")).unwrap();
        let script = Process::script(Reference::Latest, "crypto.mjs", &[file.to_str().unwrap()]);
        let answers: Vec<Value> =
            script.success().await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), self.lines.len());
        answers
    }

    /// Fails for the first question that the two answer differently.
    async fn compare(self) {
        let theirs = self.asked().await;
        for ((question, own), theirs) in self.lines.iter().zip(&self.answers).zip(&theirs) {
            assert_eq!(own, theirs, "{question}");
        }
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn random() -> StdRng {
    let seed = std::env::var("HYPERPROFILE_SEED").map_or(1, |seed| seed.parse().unwrap());
    StdRng::seed_from_u64(seed)
}

fn some_bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; rng.gen_range(0..400)];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn node(rng: &mut StdRng) -> TreeNode {
    // JavaScript adds sizes exactly up to 2^53.
    TreeNode { index: rng.gen_range(0..1 << 52), size: rng.gen_range(0..1 << 52), hash: rng.r#gen() }
}

fn shown(node: &TreeNode) -> Value {
    json!({"index": node.index, "size": node.size, "hash": hex(node.hash)})
}

#[tokio::test]
async fn hashes_and_trees_are_theirs() {
    if !reference_installed() {
        return;
    }
    let (mut rng, mut questions) = (random(), Questions::default());
    for _ in 0..ROUNDS {
        let parts: Vec<_> = (0..rng.gen_range(1..4)).map(|_| some_bytes(&mut rng)).collect();
        let slices: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        let texts: Vec<_> = parts.iter().map(hex).collect();
        questions.ask(json!({"op": "hash", "parts": texts}), json!(hex(crypto::hash_parts(&slices))));
        questions.ask(json!({"op": "data", "data": texts[0]}), json!(hex(crypto::data(&parts[0]))));
        let key: [u8; 32] = rng.r#gen();
        questions
            .ask(json!({"op": "discoveryKey", "key": hex(key)}), json!(hex(crypto::discovery_key(&key))));
        let ids = some_bytes(&mut rng);
        let spaces: Vec<_> = crypto::namespace(&parts[0], ids.iter().copied()).iter().map(hex).collect();
        questions.ask(json!({"op": "namespace", "name": texts[0], "ids": ids}), json!(spaces));
        let nodes: Vec<_> = (0..rng.gen_range(2..20)).map(|_| node(&mut rng)).collect();
        let texts: Vec<_> = nodes.iter().map(shown).collect();
        questions.ask(json!({"op": "tree", "nodes": texts}), json!(hex(crypto::tree(&nodes))));
        let parent = crypto::parent(&nodes[0], &nodes[1]);
        questions.ask(json!({"op": "parent", "nodes": texts[..2]}), json!(hex(parent)));
    }
    questions.compare().await;
}

#[tokio::test]
async fn keys_and_signatures_are_theirs() {
    if !reference_installed() {
        return;
    }
    let (mut rng, mut questions) = (random(), Questions::default());
    for _ in 0..ROUNDS {
        let seed = rng.r#gen();
        let (own, message) = (KeyPair::from_seed(&seed), some_bytes(&mut rng));
        let (public, secret) = (own.public_key().as_bytes(), own.secret_key_bytes());
        questions.ask(json!({"op": "keyPair", "seed": hex(seed)}), json!([hex(public), hex(secret)]));
        let signature = own.sign(&message);
        let sign = json!({"op": "sign", "message": hex(&message), "secretKey": hex(secret)});
        questions.ask(sign, json!(hex(signature)));
        for (message, signature, key) in hostile(&mut rng, &message, &signature, public) {
            let valid = crypto::verify(&message, &signature, &key);
            let question = json!({
                "op": "verify", "message": hex(message), "signature": hex(signature), "publicKey": hex(key),
            });
            questions.ask(question, json!(valid));
        }
        let mut other = *secret;
        other[rng.gen_range(0..64)] ^= 1 << rng.gen_range(0..8);
        for secret in [secret, &other] {
            let question = json!({"op": "validate", "publicKey": hex(public), "secretKey": hex(secret)});
            questions.ask(question, json!(crypto::validate_key_pair(public, secret)));
        }
    }
    let valid = questions.answers.iter().filter(|answer| **answer == json!(true)).count();
    let invalid = questions.answers.iter().filter(|answer| **answer == json!(false)).count();
    assert!(valid > 2 * ROUNDS && invalid > 8 * ROUNDS, "{valid} valid, {invalid} not");
    questions.compare().await;
}

/// Returns messages, signatures and keys from a valid one, most of them invalid.
fn hostile(
    rng: &mut StdRng,
    message: &[u8],
    signature: &[u8; 64],
    key: &[u8; 32],
) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let (message, signature, key) = (message.to_vec(), signature.to_vec(), key.to_vec());
    let torsion: Vec<_> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    let small = torsion[rng.gen_range(0..8)].to_vec();
    let mut cases = vec![
        (message.clone(), signature.clone(), key.clone()),
        (some_bytes(rng), signature.clone(), key.clone()),
        (message.clone(), some_bytes(rng), key.clone()),
        (message.clone(), signature.clone(), some_bytes(rng)),
        (message.clone(), signature.clone(), not_canonical(rng, &small)),
        (message.clone(), [not_canonical(rng, &small), vec![0; 32]].concat(), small.clone()),
        (message.clone(), [&small[..], &[0; 32]].concat(), small.clone()),
        (message.clone(), [&small[..], &signature[32..]].concat(), key.clone()),
        (message.clone(), [&signature[..32], &plus_order(&signature[32..])].concat(), key.clone()),
        (message.clone(), signature[..rng.gen_range(0..64)].to_vec(), key.clone()),
        (message.clone(), signature.clone(), key[..rng.gen_range(0..32)].to_vec()),
    ];
    for target in 0..3 {
        let mut case = cases[0].clone();
        let bytes = match target {
            0 => &mut case.0,
            1 => &mut case.1,
            _ => &mut case.2,
        };
        if !bytes.is_empty() {
            let at = rng.gen_range(0..bytes.len());
            bytes[at] ^= 1 << rng.gen_range(0..8);
        }
        cases.push(case);
    }
    for _ in 0..4 {
        let (signature, key) = mixed_order(rng, &message);
        cases.push((message.clone(), signature, key));
    }
    cases
}

/// Sets the bit that no encoder sets for a point whose x is 0, or writes y + p, where that fits.
fn not_canonical(rng: &mut StdRng, point: &[u8]) -> Vec<u8> {
    let mut bytes = point.to_vec();
    if rng.r#gen() {
        bytes[31] ^= 0x80;
    } else {
        // 2^255 - 19 + y, for a small y.
        bytes = vec![0xff; 32];
        bytes[0] = 0xed + rng.gen_range(0..19);
        bytes[31] = rng.gen_range(0..2) * 0x80 + 0x7f;
    }
    bytes
}

/// Adds the order of the group to a scalar.
fn plus_order(scalar: &[u8]) -> Vec<u8> {
    let order = (Scalar::ZERO - Scalar::ONE).to_bytes();
    let mut carry = 1;
    let added = scalar.iter().zip(order).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(b) + carry;
        carry = sum >> 8;
        (sum & 0xff) as u8
    });
    added.collect()
}

/// Signs under a key with a part of small order, as only its owner can. Whether the equation holds depends on
/// the hash; multiplied by 8, it always does.
fn mixed_order(rng: &mut StdRng, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut scalar = || Scalar::from_bytes_mod_order_wide(&std::array::from_fn(|_| rng.r#gen()));
    let (secret, once) = (scalar(), scalar());
    let mut with_torsion =
        |scalar: &Scalar| (EdwardsPoint::mul_base(scalar) + EIGHT_TORSION[rng.gen_range(0..8)]).compress();
    let (key, r) = (with_torsion(&secret).to_bytes(), with_torsion(&once).to_bytes());
    let hash = Scalar::hash_from_bytes::<Sha512>(&[&r[..], &key, message].concat());
    let s = once + hash * secret;
    ([r, s.to_bytes()].concat(), key.to_vec())
}

#[tokio::test]
async fn sealed_boxes_open_on_the_other_side() {
    if !reference_installed() {
        return;
    }
    let (mut rng, mut questions, mut theirs) = (random(), Questions::default(), Questions::default());
    let mut messages = Vec::new();
    for _ in 0..ROUNDS {
        let seed: [u8; 32] = rng.r#gen();
        let (own, message) = (EncryptionKeyPair::from_seed(&seed), some_bytes(&mut rng));
        let (public, secret) = (hex(own.public_key()), hex(own.secret_key_bytes()));
        let pair = json!({"op": "encryptionKeyPair", "seed": hex(seed)});
        questions.ask(pair, json!([public, secret]));

        let sealed = crypto::encrypt(&message, own.public_key()).unwrap();
        let mut damaged = sealed.clone();
        let at = rng.gen_range(0..sealed.len());
        damaged[at] ^= 1 << rng.gen_range(0..8);
        let cut = sealed[..rng.gen_range(0..sealed.len())].to_vec();
        for sealed in [sealed, damaged, cut, some_bytes(&mut rng)] {
            let opened = crypto::decrypt(&sealed, &own).map(hex);
            let question =
                json!({"op": "decrypt", "box": hex(sealed), "publicKey": public, "secretKey": secret});
            questions.ask(question, json!(opened));
        }
        // Random bytes are a key as well.
        let any = EncryptionKeyPair::from_secret_key_bytes(&rng.r#gen());
        let encrypt = json!({"op": "encrypt", "message": hex(&message), "publicKey": hex(any.public_key())});
        theirs.ask(encrypt, Value::Null);
        messages.push((any, message));
    }
    questions.compare().await;
    for ((own, message), sealed) in messages.iter().zip(theirs.asked().await) {
        let sealed = HEXLOWER.decode(sealed.as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(crypto::decrypt(&sealed, own).as_ref(), Some(message));
    }
}

/// A key that is exported and imported is the same identity on both sides.
#[test]
fn a_secret_key_travels_as_64_bytes() {
    let own = KeyPair::generate();
    let again = KeyPair::from_secret_key_bytes(own.secret_key_bytes()).unwrap();
    assert_eq!(again, own);
    let named: PublicKey = hex(&own.secret_key_bytes()[32..]).parse().unwrap();
    assert_eq!(named, *own.public_key());
}
