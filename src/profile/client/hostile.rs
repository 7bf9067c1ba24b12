//! Tables of what a client accepts and refuses from a server.

use serde_json::{Value, json};

use super::super::content::Profile;
use super::super::record::Record;
use super::tests::{Script, ada, scripted};
use super::{ClientError, MemoryVersions, ProfileClient};

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
