//! Tables of what a server accepts and refuses: the lines of a client, and the profiles in them.

use serde_json::{Value, json};

use super::content::Profile;
use super::message::{Call, bad_call_line};

/// Bytes of a call around its parameters.
fn call(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into_bytes()
}

/// Returns how a server reads a line: `call` and its identifier, `notification`, or the code and the
/// identifier of the error answer.
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

/// Returns JSON of that many nested levels.
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
        (br#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":1,"i\u0064":1,"method":"ping"}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","more":[{"a":1,"a":1}]}"#, "-32600 null"),
        (br#"{"jsonrpc":"2.0","method":"ping","params":{"a":1,"a":1}}"#, "-32600 null"),
        // A fault in the syntax after a repeated member is not reached.
        (br#"{"a":1,"a":"#, "-32600 null"),
        // The first fault counts.
        (br#"{"a":[[[[[[[[[0]]]]]]]]],"b":1,"b":1}"#, "-32700 null"),
    ]);
}

#[test]
fn an_identifier_is_an_integer_or_a_short_string() {
    for id in ["0", "-1", "18446744073709551615", "-9223372036854775808", "\"\"", "\"a\"", "\"2.0\""] {
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
        "99999999999999999999",
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
    for (id, outcome) in [("i".repeat(64), "call"), ("i".repeat(65), "-32600"), ("ö".repeat(33), "-32600")] {
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
        (br#"{"more":{"a":[1.5,null]},"jsonrpc":"2.0","id":1,"method":"ping"}"#, "call 1"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"pi\u006eg","params":{}}"#, "call 1"),
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
        ("profile.get", vec!["{}"], vec!["[]", "null", r#"{"key":"00"}"#, r#"{"":{}}"#]),
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
            vec![&format!(r#"{{"key":"{key}"}}"#), &format!(r#"{{"key":"{}"}}"#, key.to_uppercase())],
            vec![
                "{}",
                &format!(r#"["{key}"]"#),
                r#"{"key":""}"#,
                r#"{"key":"00"}"#,
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
    for (method, outcome) in [("ping", "call 1"), ("profile.get", "call 1"), ("profile.delete", "-32602 1")] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        assert_eq!(read(line.as_bytes()), outcome, "{line}");
    }
}

/// A record whose parts are well formed.
fn good_record() -> String {
    let (key, signature) = ("0a".repeat(32), "0b".repeat(64));
    format!(r#"{{"key":"{key}","version":1,"profile":"{{}}","signature":"{signature}"}}"#)
}

#[test]
fn a_record_in_a_call_has_four_members_of_their_types() {
    let good = good_record();
    let signature = "0b".repeat(64);
    let mut refused = vec![
        "null".to_owned(),
        "{}".to_owned(),
        "\"\"".to_owned(),
        format!("[{good}]"),
        // The values of its members without their names.
        format!(r#"["{}",1,"{{}}","{signature}"]"#, "0a".repeat(32)),
        good.replace(&signature, ""),
        good.replace(&signature, "00"),
    ];
    let replaced = REFUSED_PARTS.iter().flat_map(|(part, others)| {
        let good = &good;
        others.iter().map(move |other| good.replace(part, other))
    });
    refused.extend(replaced);
    for method in ["profile.register", "profile.update"] {
        for record in &refused {
            let params = format!(r#"{{"record":{record}}}"#);
            assert_eq!(read(&call(method, &params)), "-32602 1", "{params}");
        }
    }
    let upper = good.replace(&"0a".repeat(32), &"0A".repeat(32));
    let twice = good.replace("\"version\":1", "\"version\":1,\"version\":1");
    for (record, outcome) in [(good, "call 1"), (upper, "call 1"), (twice, "-32600 null")] {
        let params = format!(r#"{{"record":{record}}}"#);
        assert_eq!(read(&call("profile.register", &params)), outcome, "{params}");
    }
}

#[test]
fn a_record_comes_alone_or_with_the_version_that_it_follows() {
    let good = good_record();
    for method in ["profile.register", "profile.update"] {
        let outcome = |params: &str| read(&call(method, params));
        for after in ["0", "1", "9007199254740991"] {
            let params = format!(r#"{{"record":{good},"after":{after}}}"#);
            assert_eq!(outcome(&params), "call 1", "{params}");
        }
        for after in ["-1", "-0", "1.0", "null", "\"1\"", "[]", "9007199254740992"] {
            let params = format!(r#"{{"record":{good},"after":{after}}}"#);
            assert_eq!(outcome(&params), "-32602 1", "{params}");
        }
        for params in [
            "{}".to_owned(),
            format!("[{good}]"),
            format!("[{good},1]"),
            good.clone(),
            format!(r#"{{"record":{good},"version":1}}"#),
        ] {
            assert_eq!(outcome(&params), "-32602 1", "{params}");
        }
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
    let refused = Profile::parse(&deep).unwrap_err().to_string();
    assert_eq!(refused, "the profile is nested deeper than 8 levels");
    for (text, expected) in REFUSED_PROFILES {
        assert_eq!(Profile::parse(text).expect_err(text).to_string(), *expected, "{text}");
    }
}

/// Profiles that break a rule of form, and what their owners read about it.
const REFUSED_PROFILES: &[(&str, &str)] = &[
    ("", "the profile is not JSON (line 1, column 0)"),
    ("{", "the profile is not JSON (line 1, column 1)"),
    (r#"{"name":"a"} 1"#, "the profile is not JSON (line 1, column 14)"),
    (r#"{"name":"\ud800"}"#, "the profile is not JSON (line 1, column 16)"),
    (r#"{"name":1e999}"#, "the profile is not JSON (line 1, column 13)"),
    ("[]", "the profile is not an object"),
    ("null", "the profile is not an object"),
    (r#"["a","",[],{}]"#, "the profile is not an object"),
    ("{}", "the profile has no name"),
    (r#"{"bio":"a"}"#, "the profile has no name"),
    (r#"{"name":7}"#, "the profile's name has the wrong type"),
    (r#"{"name":null}"#, "the profile's name has the wrong type"),
    (r#"{"name":["a"]}"#, "the profile's name has the wrong type"),
    (r#"{"name":"a","bio":null}"#, "the profile's bio has the wrong type"),
    (r#"{"name":"a","bio":0}"#, "the profile's bio has the wrong type"),
    (r#"{"name":"a","links":null}"#, "the profile's links has the wrong type"),
    (r#"{"name":"a","links":{}}"#, "the profile's links has the wrong type"),
    (r#"{"name":"a","links":"http://a"}"#, "the profile's links has the wrong type"),
    (r#"{"name":"a","links":[["http://a"]]}"#, "the profile's links has the wrong type"),
    (r#"{"name":"a","fields":null}"#, "the profile's fields has the wrong type"),
    (r#"{"name":"a","fields":[]}"#, "the profile's fields has the wrong type"),
    (r#"{"name":"a","fields":[["a","b"]]}"#, "the profile's fields has the wrong type"),
    (r#"{"name":"a","fields":{"a":1}}"#, "the profile's fields has the wrong type"),
    (r#"{"name":"a","fields":{"a":null}}"#, "the profile's fields has the wrong type"),
    (r#"{"name":"a","Name":"a"}"#, "the profile has a field other than name, bio, links and fields"),
    (r#"{"name":"a","":null}"#, "the profile has a field other than name, bio, links and fields"),
    (r#"{"name":"a","n\u0061me":"a"}"#, "the profile is ambiguous: an object has two members of one name"),
    (
        r#"{"name":"a","fields":{"a":"","a":""}}"#,
        "the profile is ambiguous: an object has two members of one name",
    ),
    (
        r#"{"name":"a","more":[{"a":"","a":""}]}"#,
        "the profile is ambiguous: an object has two members of one name",
    ),
];

/// Parts of a good record, and what none can be replaced by.
const REFUSED_PARTS: &[(&str, &[&str])] = &[
    (
        "\"version\":1",
        &[
            "\"version\":0",
            "\"version\":1.0",
            "\"version\":1e0",
            "\"version\":-1",
            "\"version\":9007199254740992",
            "\"version\":\"1\"",
            "\"version\":null",
            "\"a\":1",
            "\"version\":1,\"a\":1",
            "\"version\":1,\"text\":\"\"",
        ],
    ),
    (
        "\"profile\":\"{}\"",
        &["\"profile\":{}", "\"profile\":null", "\"profile\":[\"{}\"]", "\"text\":\"{}\""],
    ),
    ("\"key\":\"", &["\"key\":\"0", "\"key\":\"00", "\"key\":\"x", "\"Key\":\""]),
    ("\"signature\":\"", &["\"signature\":\"0", "\"signature\":\"00", "\"sig\":\""]),
];
