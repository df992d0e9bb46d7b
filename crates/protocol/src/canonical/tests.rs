//! The specification's examples, the refusals, and the round trip.

use proptest::prelude::*;

use super::{DEPTH_MAX, FieldError, INTEGER_MAX, Integer, JsonError, Object, Value};

fn canonical(json: &str) -> Result<String, JsonError> {
    Value::parse(json.as_bytes()).map(|value| value.to_canonical())
}

#[test]
fn the_examples_of_the_specification_come_out_as_it_says() {
    let examples = [
        ("{}", "{}"),
        ("{\n  \"one\": 1,\n  \"two\": \"Two\"\n}", r#"{"one":1,"two":"Two"}"#),
        (r#"{ "b": "2", "a": "1" }"#, r#"{"a":"1","b":"2"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe",
            "three_pids": [{"medium": "email", "address": "john.doe@example.org"},
            {"medium": "msisdn", "address": "123456789"}]}}}"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{ "a": "日本語" }"#, r#"{"a":"日本語"}"#),
        (r#"{ "本": 2, "日": 1 }"#, r#"{"日":1,"本":2}"#),
        (r#"{ "a": "\u65E5" }"#, r#"{"a":"日"}"#),
        (r#"{ "a": null }"#, r#"{"a":null}"#),
    ];
    for (given, expected) in examples {
        assert_eq!(canonical(given).as_deref(), Ok(expected));
    }
}

#[test]
fn what_has_no_single_canonical_form_is_refused() {
    assert_eq!(canonical(r#"{"a":1,"a":1}"#), Err(JsonError::DuplicateKey("a".to_owned())));
    assert_eq!(canonical(r#"{"a":1,"\u0061":1}"#), Err(JsonError::DuplicateKey("a".to_owned())));
    for number in ["-0", "1.0", "1e10", "0.5", "-1E2", "10.25"] {
        assert_eq!(canonical(number), Err(JsonError::NotAnInteger(0)), "{number}");
    }
    for number in ["9007199254740992", "-9007199254740992", "9223372036854775808", "123456789012345678901234567890"] {
        assert_eq!(canonical(number), Err(JsonError::OutOfRange(0)), "{number}");
    }
    assert_eq!(canonical("9007199254740991").as_deref(), Ok("9007199254740991"));
    assert_eq!(canonical("-9007199254740991").as_deref(), Ok("-9007199254740991"));
    assert_eq!(Integer::new(INTEGER_MAX + 1), None);
}

#[test]
fn broken_texts_are_refused() {
    let broken = [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "nul",
        "truex",
        "01",
        "-",
        "+1",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\n\"",
        "{} {}",
        "\u{feff}{}",
        "\"\\u+123\"",
        "'a'",
    ];
    for text in broken {
        assert!(matches!(canonical(text), Err(JsonError::Syntax(_))), "{text:?} gave {:?}", canonical(text));
    }
    assert_eq!(Value::parse(b"\"\xff\""), Err(JsonError::Utf8));
    assert_eq!(Object::parse(b"[]"), Err(JsonError::NotAnObject));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(canonical(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(canonical(&nested(DEPTH_MAX + 1)), Err(JsonError::TooDeep));
    assert_eq!(canonical(&"[".repeat(1_000_000)), Err(JsonError::TooDeep));
    assert_eq!(canonical(&"{\"a\":".repeat(1_000_000)), Err(JsonError::TooDeep));
}

#[test]
fn strings_have_one_escape_each() {
    assert_eq!(canonical(r#""\u0008\u0009\u000a\u000C\u000d\u0022\u005c\u002f\u001F\u007f""#).as_deref(), {
        Ok("\"\\b\\t\\n\\f\\r\\\"\\\\/\\u001f\u{7f}\"")
    });
    assert_eq!(canonical(r#""\ud83d\ude00""#).as_deref(), Ok("\"😀\""));
    // Code point order, not UTF-16 order: U+FF5E sorts before U+1F600.
    assert_eq!(canonical("{\"😀\":1,\"～\":2}").as_deref(), Ok("{\"～\":2,\"😀\":1}"));
}

#[test]
fn signed_bytes_leave_out_signatures_and_unsigned_at_the_top_only() {
    let object =
        Object::parse(br#"{"unsigned":{"a":1},"b":{"signatures":{},"unsigned":1},"signatures":{"x":{}}}"#).unwrap();
    assert_eq!(object.signed_bytes(), br#"{"b":{"signatures":{},"unsigned":1}}"#);
}

#[test]
fn reads_say_which_field_was_wrong() {
    let object = Object::parse(br#"{"a":1,"b":["x",2],"c":-1}"#).unwrap();
    assert_eq!(object.string("z"), Err(FieldError::Missing("z".to_owned())));
    assert_eq!(object.string("a"), Err(FieldError::Type { name: "a".to_owned(), expected: "a string" }));
    assert_eq!(object.strings("b"), Err(FieldError::Type { name: "b".to_owned(), expected: "an array of strings" }));
    assert!(object.unsigned("c").is_err());
    assert_eq!(object.unsigned("a"), Ok(1));
    assert_eq!(object.optional_string("z"), Ok(None));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(|integer| Value::Integer(Integer::new(integer).unwrap())),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_reads_back_the_same(value in any_value()) {
        let text = value.to_canonical();
        prop_assert_eq!(Value::parse(text.as_bytes()), Ok(value));
    }

    #[test]
    fn different_values_have_different_encodings(one in any_value(), other in any_value()) {
        prop_assert_eq!(one == other, one.to_canonical() == other.to_canonical());
    }

    #[test]
    fn another_reader_agrees_on_what_was_written(value in any_value()) {
        let text = value.to_canonical();
        let other: serde_json::Value = serde_json::from_str(&text).unwrap();
        // serde_json sorts keys by bytes and escapes as the grammar asks, so its compact form is the canonical one.
        prop_assert_eq!(serde_json::to_string(&other).unwrap(), text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = Value::parse(&bytes) {
            let text = value.to_canonical();
            prop_assert_eq!(Value::parse(text.as_bytes()), Ok(value));
        }
    }

    #[test]
    fn json_like_texts_are_accepted_only_if_another_reader_accepts_them(text in "[\\[\\]{}:,\"a01\\\\u.e -]{0,24}") {
        if Value::parse(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
