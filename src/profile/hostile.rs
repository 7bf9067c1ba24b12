//! What readers accept and refuse, as tables: lines at a server, profiles, lines at a client.

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

use super::content::Profile;
use super::message::{Call, bad_call_line};
use super::record::Record;
use super::{ClientError, Dial, DialError, MemoryVersions, ProfileClient};
use crate::KeyPair;

/// Bytes of a call around its parameters.
fn call(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
}

/// What a server makes of a line: `call` and what it then answers to, `notification`, or a code and the identifier
/// under which it answers.
fn read(line: &[u8]) -> String {
    match Call::read(line) {
        Ok(None) => "notification".into(),
        Ok(Some(call)) => format!("call {}", json!(call.id)),
        Err(bad) => {
            let answer: Value = serde_json::from_slice(&bad_call_line(&bad)).unwrap();
            format!("{} {}", answer["error"]["code"], answer["id"])
        }
    }
}

fn assert_reads(table: &[(&[u8], &str)]) {
    for (line, expected) in table {
        let shown = line[..line.len().min(200)].escape_ascii();
        assert_eq!(read(line), *expected, "{shown}");
    }
}

/// JSON nested so many levels deep.
fn nested(levels: usize, open: &str, close: &str) -> String {
    format!("{}0{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn what_is_no_json_is_answered_with_32700() {
    for line in [
        &b""[..],
        b" ",
        b"{",
        b"nonsense",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} {}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi\xffng\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xed\xa0\x80\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":\"\\ud800\",\"method\":\"ping\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"more\":\"\\udc00\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"more\":1e999}",
        b"{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"ping\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"ping\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":\"a\nb\",\"method\":\"ping\"}",
        b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        b"{'jsonrpc':'2.0'}",
        b"{\"a\":1}\0",
        nested(9, "[", "]").as_bytes(),
        nested(9, "{\"a\":", "}").as_bytes(),
        "[".repeat(65_535).as_bytes(),
        "{\"a\":".repeat(13_000).as_bytes(),
        &call("ping", &nested(8, "{\"a\":", "}")),
    ] {
        assert_reads(&[(line, "-32700 null")]);
    }
}

#[test]
fn what_is_no_call_is_answered_with_32600() {
    assert_reads(&[
        (b"null", "-32600 null"),
        (b"1", "-32600 null"),
        (b"\"ping\"", "-32600 null"),
        (b"[]", "-32600 null"),
        (b"{}", "-32600 null"),
        (b"[\"2.0\",1,\"ping\",{}]", "-32600 null"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "-32600 null"),
        (br#"{"id":1,"method":"ping"}"#, "-32600 1"),
        (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "-32600 1"),
        (br#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "-32600 1"),
        (br#"{"jsonrpc":null,"id":1,"method":"ping"}"#, "-32600 1"),
        (br#"{"jsonrpc":"2.0","id":1}"#, "-32600 1"),
        (br#"{"jsonrpc":"2.0","id":1,"method":7}"#, "-32600 1"),
        (br#"{"jsonrpc":"2.0","id":1,"method":null}"#, "-32600 1"),
        (br#"{"jsonrpc":"2.0","id":"a","method":["ping"]}"#, "-32600 \"a\""),
        (br#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "-32600 1"),
        (br#"{"jsonrpc":"2.0","result":{}}"#, "-32600 null"),
        // Repeated members, wherever they are.
        (
            br#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#,
            "-32600 null",
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"i\u0064":1,"method":"ping"}"#,
            "-32600 null",
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#,
            "-32600 null",
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","more":[{"a":1,"a":1}]}"#,
            "-32600 null",
        ),
        (
            br#"{"jsonrpc":"2.0","method":"ping","params":{"a":1,"a":1}}"#,
            "-32600 null",
        ),
        // A fault in the syntax after a repeated member is not reached.
        (br#"{"a":1,"a":"#, "-32600 null"),
        // The first fault counts.
        (br#"{"a":[[[[[[[[[0]]]]]]]]],"b":1,"b":1}"#, "-32700 null"),
    ]);
}

#[test]
fn an_identifier_is_an_integer_or_a_short_string() {
    for id in [
        "0",
        "-1",
        "18446744073709551615",
        "-9223372036854775808",
        "\"\"",
        "\"a\"",
        "\"2.0\"",
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(read(line.as_bytes()), format!("call {id}"));
    }
    for id in [
        "null",
        "true",
        "1.0",
        "1.5",
        "1e3",
        "-0",
        "18446744073709551616",
        "-9223372036854775809",
        "[]",
        "[1]",
        "{}",
        r#"{"Number":1}"#,
    ] {
        for method in ["ping", "nothing"] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
            assert_eq!(read(line.as_bytes()), "-32600 null", "{line}");
        }
    }
    // Bytes count, not characters.
    for (id, outcome) in [
        ("i".repeat(64), "call"),
        ("i".repeat(65), "-32600"),
        ("ö".repeat(33), "-32600"),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#);
        assert!(read(line.as_bytes()).starts_with(outcome), "{line}");
    }
}

#[test]
fn a_line_without_identifier_is_a_notification_whatever_it_asks() {
    for line in [
        &br#"{"jsonrpc":"2.0","method":"ping"}"#[..],
        br#"{"jsonrpc":"2.0","method":"profile.delete","params":{"version":1}}"#,
        br#"{"jsonrpc":"2.0","method":"profile.delete","params":[]}"#,
        br#"{"jsonrpc":"2.0","method":"nothing","params":null,"more":[]}"#,
    ] {
        assert_reads(&[(line, "notification")]);
    }
}

#[test]
fn unknown_members_beside_the_call_are_passed_over_and_unknown_methods_are_not() {
    assert_reads(&[
        (br#" {"jsonrpc":"2.0","id":1,"method":"ping"} "#, "call 1"),
        (
            br#"{"more":{"a":[1.5,null]},"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            "call 1",
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"pi\u006eg","params":{}}"#,
            "call 1",
        ),
        (&call("Ping", "{}"), "-32601 1"),
        (&call("", "{}"), "-32601 1"),
        (&call("profile.steal", r#"{"a":1}"#), "-32601 1"),
        // Parameters are looked at before the method.
        (&call("profile.steal", "[]"), "-32602 1"),
        (&call("profile.steal", "null"), "-32602 1"),
    ]);
}

#[test]
fn parameters_are_those_of_the_method_and_no_others() {
    let key = "0a".repeat(32);
    for (method, accepted, refused) in [
        ("ping", vec!["{}"], vec!["[]", "null", "0", "\"\"", r#"{"a":1}"#]),
        (
            "profile.get",
            vec!["{}"],
            vec!["[]", "null", r#"{"key":"00"}"#, r#"{"":{}}"#],
        ),
        (
            "profile.delete",
            vec![r#"{"version":1}"#, r#"{"version":9007199254740991}"#],
            vec![
                "{}",
                "[1]",
                "null",
                r#"{"version":0}"#,
                r#"{"version":-1}"#,
                r#"{"version":1.0}"#,
                r#"{"version":1e0}"#,
                r#"{"version":9007199254740992}"#,
                r#"{"version":"1"}"#,
                r#"{"version":null}"#,
                r#"{"version":[1]}"#,
                r#"{"version":1,"a":1}"#,
                r#"{"Version":1}"#,
            ],
        ),
        (
            "profile.lookup",
            vec![
                &format!(r#"{{"key":"{key}"}}"#),
                &format!(r#"{{"key":"{}"}}"#, key.to_uppercase()),
            ],
            vec![
                "{}",
                &format!(r#"["{key}"]"#),
                r#"{"key":""}"#,
                r#"{"key":null}"#,
                &format!(r#"{{"key":"{key}00"}}"#),
                &format!(r#"{{"key":"{}"}}"#, &key[1..]),
                &format!(r#"{{"key":"{}gg"}}"#, &key[2..]),
                &format!(r#"{{"key":["{key}"]}}"#),
                &format!(r#"{{"key":"{key}","a":1}}"#),
            ],
        ),
    ] {
        for params in accepted {
            assert_eq!(read(&call(method, params)), "call 1", "{method} {params}");
        }
        for params in refused {
            assert_eq!(read(&call(method, params)), "-32602 1", "{method} {params}");
        }
    }
    for (method, outcome) in [
        ("ping", "call 1"),
        ("profile.get", "call 1"),
        ("profile.delete", "-32602 1"),
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        assert_eq!(read(line.as_bytes()), outcome, "{line}");
    }
}

#[test]
fn a_record_in_a_call_has_four_members_of_their_types() {
    let (key, signature) = ("0a".repeat(32), "0b".repeat(64));
    let good = format!(r#"{{"key":"{key}","version":1,"profile":"{{}}","signature":"{signature}"}}"#);
    let mut refused = vec![
        "null".to_owned(),
        "{}".to_owned(),
        "\"\"".to_owned(),
        // Its members without their names.
        format!(r#"["{key}",1,"{{}}","{signature}"]"#),
    ];
    for (part, others) in [
        (
            "\"version\":1",
            &[
                "\"version\":0",
                "\"version\":1.0",
                "\"version\":1e0",
                "\"version\":-1",
            ][..],
        ),
        (
            "\"version\":1",
            &[
                "\"version\":9007199254740992",
                "\"version\":\"1\"",
                "\"version\":null",
            ],
        ),
        (
            "\"version\":1",
            &["\"a\":1", "\"version\":1,\"a\":1", "\"version\":1,\"text\":\"\""],
        ),
        (
            "\"profile\":\"{}\"",
            &[
                "\"profile\":{}",
                "\"profile\":null",
                "\"profile\":[\"{}\"]",
                "\"text\":\"{}\"",
            ],
        ),
        (
            "\"key\":\"",
            &["\"key\":\"0", "\"key\":\"00", "\"key\":\"x", "\"Key\":\""],
        ),
        (
            "\"signature\":\"",
            &["\"signature\":\"0", "\"signature\":\"00", "\"sig\":\""],
        ),
        (&signature, &["", "00"]),
    ] {
        refused.extend(others.iter().map(|other| good.replace(part, other)));
    }
    for method in ["profile.register", "profile.update"] {
        let outcome = |params: &str| read(&call(method, params));
        for after in [
            "",
            r#","after":0"#,
            r#","after":1"#,
            r#","after":9007199254740991"#,
        ] {
            let params = format!(r#"{{"record":{good}{after}}}"#);
            assert_eq!(outcome(&params), "call 1", "{params}");
        }
        for after in ["-1", "-0", "1.0", "null", "\"1\"", "[]", "9007199254740992"] {
            let params = format!(r#"{{"record":{good},"after":{after}}}"#);
            assert_eq!(outcome(&params), "-32602 1", "{params}");
        }
        for record in &refused {
            let params = format!(r#"{{"record":{record}}}"#);
            assert_eq!(outcome(&params), "-32602 1", "{params}");
        }
        for params in [
            "{}".to_owned(),
            format!("[{good}]"),
            format!("[{good},1]"),
            good.clone(),
            format!(r#"{{"record":{good},"version":1}}"#),
            format!(r#"{{"record":[{good}]}}"#),
        ] {
            assert_eq!(outcome(&params), "-32602 1", "{params}");
        }
        let upper = good.replace(&key, &key.to_uppercase());
        assert_eq!(outcome(&format!(r#"{{"record":{upper}}}"#)), "call 1");
        let twice = good.replace("\"version\":1", "\"version\":1,\"version\":1");
        assert_eq!(outcome(&format!(r#"{{"record":{twice}}}"#)), "-32600 null");
    }
}

#[test]
fn a_profile_has_known_members_of_their_types() {
    for text in [
        r#"{"name":"a"}"#,
        r#" { "n\u0061me" : "a", "fields":{}, "links":[], "bio":"" } "#,
        r#"{"name":"a","fields":{"name":"a","bio":"b"}}"#,
    ] {
        assert_eq!(Profile::parse(text).unwrap().text(), text);
    }
    let deep = format!(r#"{{"name":"a","fields":{}}}"#, nested(8, "{\"a\":", "}"));
    for (text, expected) in [
        ("", "the profile is not JSON (line 1, column 0)"),
        ("{", "the profile is not JSON (line 1, column 1)"),
        (r#"{"name":"a"} 1"#, "the profile is not JSON (line 1, column 14)"),
        (
            r#"{"name":"\ud800"}"#,
            "the profile is not JSON (line 1, column 16)",
        ),
        (r#"{"name":1e999}"#, "the profile is not JSON (line 1, column 13)"),
        ("[]", "the profile is not an object"),
        ("null", "the profile is not an object"),
        (r#"["a","",[],{}]"#, "the profile is not an object"),
        ("{}", "the profile has no name"),
        (r#"{"bio":"a"}"#, "the profile has no name"),
        (r#"{"name":7}"#, "the profile's name has the wrong type"),
        (r#"{"name":null}"#, "the profile's name has the wrong type"),
        (r#"{"name":["a"]}"#, "the profile's name has the wrong type"),
        (
            r#"{"name":"a","bio":null}"#,
            "the profile's bio has the wrong type",
        ),
        (r#"{"name":"a","bio":0}"#, "the profile's bio has the wrong type"),
        (
            r#"{"name":"a","links":null}"#,
            "the profile's links has the wrong type",
        ),
        (
            r#"{"name":"a","links":{}}"#,
            "the profile's links has the wrong type",
        ),
        (
            r#"{"name":"a","links":"http://a"}"#,
            "the profile's links has the wrong type",
        ),
        (
            r#"{"name":"a","links":[["http://a"]]}"#,
            "the profile's links has the wrong type",
        ),
        (
            r#"{"name":"a","fields":null}"#,
            "the profile's fields has the wrong type",
        ),
        (
            r#"{"name":"a","fields":[]}"#,
            "the profile's fields has the wrong type",
        ),
        (
            r#"{"name":"a","fields":[["a","b"]]}"#,
            "the profile's fields has the wrong type",
        ),
        (
            r#"{"name":"a","fields":{"a":1}}"#,
            "the profile's fields has the wrong type",
        ),
        (
            r#"{"name":"a","fields":{"a":null}}"#,
            "the profile's fields has the wrong type",
        ),
        (
            r#"{"name":"a","Name":"a"}"#,
            "the profile has a field other than name, bio, links and fields",
        ),
        (
            r#"{"name":"a","":null}"#,
            "the profile has a field other than name, bio, links and fields",
        ),
        (
            r#"{"name":"a","n\u0061me":"a"}"#,
            "the profile is an object has two members of one name",
        ),
        (
            r#"{"name":"a","fields":{"a":"","a":""}}"#,
            "the profile is an object has two members of one name",
        ),
        (
            r#"{"name":"a","more":[{"a":"","a":""}]}"#,
            "the profile is an object has two members of one name",
        ),
        (&deep, "the profile is nested deeper than 8 levels"),
    ] {
        assert_eq!(
            Profile::parse(text).expect_err(text).to_string(),
            expected,
            "{text}"
        );
    }
}

/// A server that sends these lines and reads on.
struct Script(Vec<String>);

impl Dial for Script {
    type Stream = DuplexStream;

    async fn dial(&mut self) -> Result<DuplexStream, DialError> {
        let (near, mut far) = duplex(1 << 18);
        for line in &self.0 {
            far.write_all(format!("{line}\n").as_bytes()).await?;
        }
        tokio::spawn(async move { tokio::io::copy(&mut far, &mut tokio::io::sink()).await });
        Ok(near)
    }
}

async fn client(lines: &[&str]) -> Result<ProfileClient<Script, MemoryVersions>, ClientError> {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    ProfileClient::connect(ada(), Script(lines), MemoryVersions::default()).await
}

fn ada() -> KeyPair {
    KeyPair::from_seed(&[5; 32])
}

fn ada_record() -> String {
    let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
    serde_json::to_string(&Record::sign(&ada(), 1, profile)).unwrap()
}

#[tokio::test]
async fn a_greeting_names_its_version_and_perhaps_a_record() {
    let record = ada_record();
    let positional = {
        let record: Value = serde_json::from_str(&record).unwrap();
        json!([
            record["key"],
            record["version"],
            record["profile"],
            record["signature"]
        ])
        .to_string()
    };
    let greeting =
        |record: &str| format!(r#"{{"method":"hello","params":{{"protocol":1,"record":{record}}}}}"#);
    for line in [
        &greeting("null"),
        &greeting(&record),
        r#"{"method":"hello","params":{"protocol":1}}"#,
        r#"{"method":"hello","params":{"protocol":1,"record":null,"limits":[],"more":1},"id":[],"more":1.5}"#,
    ] {
        assert!(client(&[line]).await.is_ok(), "{line}");
    }
    for line in [
        r#"{"method":"hello","params":{"protocol":2,"record":7}}"#,
        r#"{"method":"hello","params":{"protocol":0}}"#,
    ] {
        let outcome = client(&[line]).await.map(|_| ());
        assert!(
            matches!(outcome, Err(ClientError::Incompatible)),
            "{line}: {outcome:?}"
        );
    }
    let malformed = "a record is malformed or another key's";
    for (line, reason) in [
        ("[]", "its first line is no greeting"),
        (r#"["hello",{"protocol":1}]"#, "its first line is no greeting"),
        (
            r#"{"method":"Hello","params":{"protocol":1}}"#,
            "its first line is no greeting",
        ),
        (r#"{"params":{"protocol":1}}"#, "its first line is no greeting"),
        (r#"{"method":"hello"}"#, "its greeting names no version"),
        (
            r#"{"method":"hello","params":[1]}"#,
            "its greeting names no version",
        ),
        (
            r#"{"method":"hello","params":{"protocol":1.0}}"#,
            "its greeting names no version",
        ),
        (
            r#"{"method":"hello","params":{"protocol":null}}"#,
            "its greeting names no version",
        ),
        (&greeting("{}"), malformed),
        (&greeting("[]"), malformed),
        (&greeting(&positional), malformed),
        (
            &greeting(&record.replace("\"version\":1", "\"version\":1.0")),
            malformed,
        ),
        (
            &greeting(&record.replace("\"version\":1", "\"version\":1,\"a\":1")),
            malformed,
        ),
        (
            &greeting(&record.replace("\"version\":1", "\"version\":2")),
            "a record is not signed by its owner",
        ),
        (
            r#"{"method":"hello","params":{"protocol":1,"protocol":1}}"#,
            "a line is not JSON as the protocol has it",
        ),
        (&nested(9, "[", "]"), "a line is not JSON as the protocol has it"),
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
        let news = r#"{"id":7,"method":null,"error":{}}"#;
        assert!(get(&[hello, news, &line]).await.is_ok(), "{line}");
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
        (
            r#"{"id":1,"result":{"record":null}}"#,
            "a record is malformed or another key's",
        ),
        (r#"{"id":1,"result":{},"error":null}"#, faulty_error),
        (r#"{"id":1,"error":[1,"",{}]}"#, faulty_error),
        (r#"{"id":1,"error":{"code":"1"}}"#, faulty_error),
        (
            r#"{"id":1,"error":{"code":1,"data":{"kind":"version_conflict","version":1.0}}}"#,
            faulty_error,
        ),
        (
            r#"{"id":1,"error":{"code":1,"data":{"kind":"too_many","retryafter":1}}}"#,
            faulty_error,
        ),
    ] {
        let outcome = get(&[hello, line]).await;
        assert!(
            matches!(outcome, Err(ClientError::Protocol(found)) if found == reason),
            "{line}: {outcome:?}"
        );
    }
    for (error, expected) in [
        (r#"{"code":1.5}"#, "the server refused (code 1.5): "),
        (
            r#"{"code":-1,"message":"a","data":7,"more":1}"#,
            "the server refused (code -1): a",
        ),
        (
            r#"{"code":-1,"message":7,"data":{"kind":7}}"#,
            "the server refused (code -1): ",
        ),
        (
            r#"{"code":-1,"message":"a","data":{"kind":"new","more":1}}"#,
            "the server refused (code -1): a",
        ),
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
    let hello = format!(
        r#"{{"method":"hello","params":{{"protocol":1,"record":{}}}}}"#,
        ada_record()
    );
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
