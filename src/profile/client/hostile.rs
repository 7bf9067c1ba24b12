//! Tables of what a client accepts and refuses from a server.

use serde_json::{Value, json};

use super::super::content::Profile;
use super::super::record::Record;
use super::super::rotation::tests::rotation;
use super::tests::{Script, ada, scripted};
use super::{ClientError, Denied, MemoryVersions, ProfileClient};
use crate::KeyPair;

async fn client(lines: &[&str]) -> Result<ProfileClient<Script, MemoryVersions>, ClientError> {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    scripted(&lines).await
}

fn greeting(record: &str) -> String {
    format!(r#"{{"method":"hello","params":{{"protocol":1,"record":{record}}}}}"#)
}

fn ada_record() -> String {
    let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
    serde_json::to_string(&Record::sign(&ada(), 1, profile)).unwrap()
}

#[tokio::test]
async fn a_greeting_names_its_version_and_perhaps_a_record() {
    let record = ada_record();
    for line in [
        &greeting("null"),
        &greeting(&record),
        r#"{"method":"hello","params":{"protocol":1}}"#,
        r#"{"method":"hello","params":{"protocol":1,"record":null,"limits":[],"more":1},"id":[],"more":1.5}"#,
    ] {
        assert!(client(&[line]).await.is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_greeting_with_another_version_or_a_faulty_record_is_refused() {
    let record = ada_record();
    let positional = {
        let record: Value = serde_json::from_str(&record).unwrap();
        let members = ["key", "version", "profile", "signature"];
        json!(members.map(|member| record[member].clone())).to_string()
    };
    for line in [
        r#"{"method":"hello","params":{"protocol":2,"record":7}}"#,
        r#"{"method":"hello","params":{"protocol":0}}"#,
    ] {
        let outcome = client(&[line]).await.map(|_| ());
        assert!(matches!(outcome, Err(ClientError::Incompatible)), "{line}: {outcome:?}");
    }
    let malformed = "a record is malformed or another key's";
    for (line, reason) in [
        ("[]", "its first line is no greeting"),
        (r#"["hello",{"protocol":1}]"#, "its first line is no greeting"),
        (r#"{"method":"Hello","params":{"protocol":1}}"#, "its first line is no greeting"),
        (r#"{"params":{"protocol":1}}"#, "its first line is no greeting"),
        (r#"{"method":"hello"}"#, "its greeting names no version"),
        (r#"{"method":"hello","params":[1]}"#, "its greeting names no version"),
        (r#"{"method":"hello","params":{"protocol":1.0}}"#, "its greeting names no version"),
        (r#"{"method":"hello","params":{"protocol":null}}"#, "its greeting names no version"),
        (&greeting("{}"), malformed),
        (&greeting("[]"), malformed),
        (&greeting(&positional), malformed),
        (&greeting(&record.replace("\"version\":1", "\"version\":1.0")), malformed),
        (&greeting(&record.replace("\"version\":1", "\"version\":1,\"a\":1")), malformed),
        (&greeting(&record.replace("\"version\":1", "\"version\":2")), "a record is not signed by its owner"),
        (
            r#"{"method":"hello","params":{"protocol":1,"protocol":1}}"#,
            "a line is not JSON as the protocol has it",
        ),
        (&"[".repeat(9), "a line is not JSON as the protocol has it"),
    ] {
        let outcome = client(&[line]).await.map(|_| ());
        assert!(
            matches!(outcome, Err(ClientError::Protocol(found)) if found == reason),
            "{line}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_has_the_identifier_of_its_call_and_a_result_or_an_error() {
    let hello = r#"{"method":"hello","params":{"protocol":1}}"#;
    let get = async |lines: &[&str]| client(lines).await.unwrap().get().await;
    let record = ada_record();
    for line in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"record":{record}}}}}"#),
        format!(r#"{{"id":1,"result":{{"record":{record},"more":1}},"more":{{}}}}"#),
    ] {
        assert!(get(&[hello, &line]).await.is_ok(), "{line}");
        let notification = r#"{"id":7,"method":null,"error":{}}"#;
        assert!(get(&[hello, notification, &line]).await.is_ok(), "{line}");
    }
    let faulty_error = "an error has no code, or not what its kind needs";
    for (line, reason) in [
        ("[]", "it answered what was not asked"),
        (r#"{"result":{}}"#, "it answered what was not asked"),
        (r#"{"id":"1","result":{}}"#, "it answered what was not asked"),
        (r#"{"id":1.0,"result":{}}"#, "it answered what was not asked"),
        (r#"{"id":2,"result":{}}"#, "it answered what was not asked"),
        (r#"{"id":1}"#, "an answer has neither result nor error"),
        (r#"{"id":1,"result":null}"#, "an answer has no record"),
        (r#"{"id":1,"result":[{}]}"#, "an answer has no record"),
        (r#"{"id":1,"result":{"record":null}}"#, "a record is malformed or another key's"),
        (r#"{"id":1,"result":{},"error":null}"#, faulty_error),
        (r#"{"id":1,"error":[1,"",{}]}"#, faulty_error),
        (r#"{"id":1,"error":{"code":"1"}}"#, faulty_error),
        (r#"{"id":1,"error":{"code":1,"data":{"kind":"version_conflict","version":1.0}}}"#, faulty_error),
        (r#"{"id":1,"error":{"code":1,"data":{"kind":"too_many","retryafter":1}}}"#, faulty_error),
    ] {
        let outcome = get(&[hello, line]).await;
        assert!(
            matches!(outcome, Err(ClientError::Protocol(found)) if found == reason),
            "{line}: {outcome:?}"
        );
    }
    for (error, expected) in [
        (r#"{"code":1.5}"#, "the server refused (code 1.5): "),
        (r#"{"code":-1,"message":"a","data":7,"more":1}"#, "the server refused (code -1): a"),
        (r#"{"code":-1,"message":7,"data":{"kind":7}}"#, "the server refused (code -1): "),
        (
            r#"{"code":-32000,"message":"a","data":{"kind":"full","more":1}}"#,
            "all connections of the server are taken",
        ),
        (r#"{"code":-1,"message":"a","data":{"kind":"new","more":1}}"#, "the server refused (code -1): a"),
        (
            r#"{"code":1,"message":"a","data":{"kind":"invalid_profile","more":1}}"#,
            "the server refuses the profile: a",
        ),
        (
            r#"{"code":1,"data":{"kind":"version_conflict","version":0,"more":1}}"#,
            "the version does not follow the last one known to the server, 0",
        ),
    ] {
        // Whatever identifier an error bears: a server that could not read the call knows none.
        for id in ["1", "null", "\"x\""] {
            let line = format!(r#"{{"id":{id},"error":{error}}}"#);
            let outcome = get(&[hello, &line]).await;
            assert!(
                matches!(&outcome, Err(ClientError::Denied(denied)) if denied.to_string() == expected),
                "{line}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_deletion_is_answered_with_true() {
    let hello = greeting(&ada_record());
    for (result, accepted) in [
        (r#"{"deleted":true}"#, true),
        (r#"{"deleted":true,"more":1}"#, true),
        (r#"{"deleted":false}"#, false),
        (r#"{"deleted":1}"#, false),
        ("{}", false),
        ("[true]", false),
        ("null", false),
    ] {
        let answer = format!(r#"{{"id":1,"result":{result}}}"#);
        let outcome = client(&[&hello, &answer]).await.unwrap().delete().await;
        assert_eq!(outcome.is_ok(), accepted, "{result}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_chain_of_statements_is_verified_to_its_end() {
    let unproven = "its statements do not prove which key has replaced another one";
    let hello = r#"{"method":"hello","params":{"protocol":1,"maxProtocol":2}}"#;
    let raw = |keys: &[(u8, u8)]| -> Vec<Value> {
        keys.iter().map(|(from, to)| json!(rotation(*from, *to))).collect()
    };
    let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
    let record = |seed: u8| json!(Record::sign(&KeyPair::from_seed(&[seed; 32]), 1, profile.clone()));
    let asked = *KeyPair::from_seed(&[1; 32]).public_key();
    let lookup = async |chain: Vec<Value>, record: Value| {
        let answer = json!({"id": 1, "result": {"record": record, "chain": chain}}).to_string();
        client(&[hello, &answer]).await.unwrap().lookup(asked).await
    };
    let found = lookup(raw(&[(1, 2), (2, 3)]), record(3)).await.unwrap();
    assert_eq!((found.record.key(), found.chain.len()), (rotation(1, 3).to(), 2));
    assert!(lookup(Vec::new(), record(1)).await.unwrap().chain.is_empty());

    let mut forged = raw(&[(1, 2)]);
    forged[0]["toSignature"] = forged[0]["fromSignature"].clone();
    let long: Vec<_> = (1..=9).map(|key| (key, key + 1)).collect();
    for (chain, owner) in [
        (raw(&[(2, 3)]), 3),
        (raw(&[(1, 2), (3, 4)]), 4),
        (raw(&[(1, 2), (2, 1)]), 1),
        (raw(&long), 10),
        (forged, 2),
        (vec![json!({})], 1),
    ] {
        let outcome = lookup(chain, record(owner)).await;
        assert!(matches!(outcome, Err(ClientError::Protocol(what)) if what == unproven), "{outcome:?}");
    }
    // The record has to be that of the key that the statements lead to.
    for owner in [1, 2, 4] {
        let outcome = lookup(raw(&[(1, 2), (2, 3)]), record(owner)).await;
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{owner}: {outcome:?}");
    }

    let greeting = |chain: Value| {
        json!({"method": "hello", "params": {"protocol": 1, "maxProtocol": 2, "chain": chain}}).to_string()
    };
    let own = raw(&[(1, 2)]);
    assert_eq!(*ada().public_key(), asked);
    assert_eq!(client(&[&greeting(json!(own))]).await.unwrap().moved().len(), 1);
    for chain in [json!(raw(&[(2, 3)])), json!({}), json!([[]]), json!(raw(&long))] {
        let outcome = client(&[&greeting(chain)]).await.map(|_| ());
        assert!(matches!(outcome, Err(ClientError::Protocol(what)) if what == unproven), "{outcome:?}");
    }
    // A refusal that proves nothing is no refusal of this kind.
    for chain in [json!([]), json!(raw(&[(1, 2), (3, 4)]))] {
        let data = json!({"kind": "moved", "chain": chain});
        let answer = json!({"id": 1, "error": {"code": 1, "data": data}}).to_string();
        let outcome = client(&[hello, &answer]).await.unwrap().get().await;
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{outcome:?}");
    }
    let data = json!({"kind": "moved", "chain": own});
    let answer = json!({"id": 1, "error": {"code": 1, "data": data}}).to_string();
    let refused = client(&[hello, &answer]).await.unwrap().get().await;
    let Err(ClientError::Denied(denied @ Denied::Moved { .. })) = refused else { panic!("{refused:?}") };
    assert!(denied.to_string().contains(&rotation(1, 2).to().to_z32()), "{denied}");
}

#[tokio::test]
async fn a_server_of_version_1_is_asked_for_nothing_that_it_does_not_know() {
    let hello = greeting(&ada_record());
    let answer =
        json!({"id": 1, "result": {"record": serde_json::from_str::<Value>(&ada_record()).unwrap()}});
    let mut old = client(&[&hello, &answer.to_string()]).await.unwrap();
    // The script would end here if another request came first.
    assert!(old.lookup(*ada().public_key()).await.is_ok());
    let to = KeyPair::from_seed(&[2; 32]);
    let refused = old.rotate(&to, &mut MemoryVersions::default()).await;
    assert!(matches!(refused, Err(ClientError::OldServer)), "{refused:?}");
}
