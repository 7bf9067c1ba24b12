//! What npm `hypercore-crypto` returns, byte for byte: `tests/vectors/crypto.json`.

use serde_json::Value;

use super::*;
use crate::KeyPair;
use crate::wire::vectors::{fixed, hex, list, load, number, text};

fn vectors() -> Value {
    load("crypto.json")
}

#[test]
fn hashes_are_those_of_the_reference() {
    let hashes = &vectors()["hashes"];
    for case in list(&hashes["hash"]) {
        assert_eq!(hash(hex(&case["data"])), fixed(&case["hash"]));
    }
    let parts: Vec<_> = list(&hashes["parts"]["data"]).iter().map(hex).collect();
    let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
    assert_eq!(hash_parts(&parts), fixed(&hashes["parts"]["hash"]));
    assert_eq!(hash(parts.concat()), hash_parts(&parts));
    let keyed = &hashes["keyed"];
    assert_eq!(keyed_hash(&fixed(&keyed["key"]), hex(&keyed["data"])), fixed(&keyed["hash"]));
    for case in list(&hashes["discoveryKeys"]) {
        assert_eq!(discovery_key(&fixed(&case["key"])), fixed(&case["hash"]));
    }
    for case in list(&hashes["namespaces"]) {
        let ids = list(&case["ids"]).iter().map(|id| u8::try_from(number(id)).unwrap());
        let expected: Vec<[u8; 32]> = list(&case["namespaces"]).iter().map(fixed).collect();
        assert_eq!(namespace(text(&case["name"]), ids), expected);
    }
}

#[test]
fn trees_are_those_of_the_reference() {
    let hashes = &vectors()["hashes"];
    for case in list(&hashes["data"]) {
        assert_eq!(data(hex(&case["data"])), fixed(&case["hash"]));
    }
    for case in list(&hashes["parents"]) {
        let (a, b) = (node(&case["a"]), node(&case["b"]));
        assert_eq!(parent(&a, &b), fixed(&case["hash"]));
        assert_eq!(parent(&b, &a), parent(&a, &b));
    }
    for case in list(&hashes["trees"]) {
        // There is a tree without roots.
        let roots: Vec<_> = case["roots"].as_array().unwrap().iter().map(node).collect();
        assert_eq!(tree(&roots), fixed(&case["hash"]));
    }
    // Sizes from a stranger.
    let [full, one, zero] = [u64::MAX, 1, 0].map(|size| TreeNode { index: 0, size, hash: [1; 32] });
    assert_eq!(parent(&full, &one), parent(&zero, &zero));
}

fn node(case: &Value) -> TreeNode {
    TreeNode { index: number(&case["index"]), size: number(&case["size"]), hash: fixed(&case["hash"]) }
}

#[test]
fn signatures_are_judged_as_by_the_reference() {
    let vectors = vectors();
    let mut judged = [0; 2];
    for case in list(&vectors["signatures"]) {
        let (message, signature) = (hex(&case["message"]), hex(&case["signature"]));
        let valid = verify(&message, &signature, &hex(&case["publicKey"]));
        assert_eq!(valid, case["valid"], "{case}");
        judged[usize::from(valid)] += 1;
        if case["name"] == "signed" {
            assert_eq!(KeyPair::from_seed(&[1; 32]).sign(&message)[..], signature);
        }
    }
    assert!(judged[0] > 100 && judged[1] > 10, "{judged:?}");
}

#[test]
fn key_pairs_are_judged_as_by_the_reference() {
    let vectors = vectors();
    let pairs = list(&vectors["keyPairs"]);
    for case in pairs {
        let (public, secret) = (hex(&case["publicKey"]), hex(&case["secretKey"]));
        assert_eq!(validate_key_pair(&public, &secret), case["valid"], "{case}");
        assert!(!validate_key_pair(&public, &secret[1..]));
        assert!(!validate_key_pair(&public[1..], &secret));
        assert!(!validate_key_pair(&[], &secret[..31]));
    }
    let own = KeyPair::from_seed(&[1; 32]);
    assert_eq!(own.secret_key_bytes()[..], hex(&pairs[0]["secretKey"]));
    // The reference takes the last one for valid. Its halves belong to two keys.
    let mismatched: [u8; 64] = fixed(&pairs[3]["secretKey"]);
    assert!(KeyPair::from_secret_key_bytes(&mismatched).is_err());
}

#[test]
fn sealed_boxes_are_those_of_the_reference() {
    let boxes = &vectors()["boxes"];
    for case in list(&boxes["pairs"]) {
        let pair = EncryptionKeyPair::from_seed(&fixed(&case["seed"]));
        assert_eq!(*pair.public_key(), fixed(&case["publicKey"]));
        assert_eq!(*pair.secret_key_bytes(), fixed(&case["secretKey"]));
        assert_eq!(EncryptionKeyPair::from_secret_key_bytes(pair.secret_key_bytes()), pair);
    }
    let pair = EncryptionKeyPair::from_seed(&[7; 32]);
    for case in list(&boxes["sealed"]) {
        let ephemeral = EncryptionKeyPair::from_secret_key_bytes(&fixed(&case["ephemeralSecretKey"]));
        let (message, sealed_box) = (hex(&case["message"]), hex(&case["box"]));
        assert_eq!(sealed::seal(&message, pair.public_key(), &ephemeral), Ok(sealed_box.clone()));
        assert_eq!(sealed_box.len(), message.len() + SEAL_OVERHEAD);
        assert_eq!(decrypt(&sealed_box, &pair), Some(message));
        assert_eq!(decrypt(&sealed_box, &EncryptionKeyPair::from_seed(&[8; 32])), None);
    }
    for refused in list(&boxes["refused"]) {
        assert_eq!(decrypt(&hex(refused), &pair), None, "{refused}");
    }
    for case in list(&boxes["keys"]) {
        let sealed = encrypt(b"a message that is signed", &fixed(&case["key"]));
        assert_eq!(sealed.is_ok(), case["sealed"], "{case}");
    }
}

#[test]
fn boxes_differ_each_time_and_open() {
    let pair = EncryptionKeyPair::generate();
    let [one, two] = [(); 2].map(|()| encrypt(b"hello", pair.public_key()).unwrap());
    assert_ne!(one[..32], two[..32]);
    assert_eq!([decrypt(&one, &pair), decrypt(&two, &pair)].map(Option::unwrap), [b"hello", b"hello"]);
    assert_ne!(random_bytes::<32>(), random_bytes::<32>());
    let secret = format!("{:?}", pair.secret_key_bytes());
    assert!(!format!("{pair:?}").contains(&secret[1..20]));
}
