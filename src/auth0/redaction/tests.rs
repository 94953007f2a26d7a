//! No value that was sent is in a text that is shown.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn safe(message: &str, body: &Value) -> String {
    Redactor::new(vec![], &body.to_string()).safe(message)
}

#[test]
fn a_message_without_values_is_shown_as_it_is() {
    let body = json!({"options": {"upstream_params": {"blog": {"value": "x"}}, "client_secret": "s3cr3t-value"}});
    let message = "Payload validation error: 'Expected type string' on property options.upstream_params.blog.value.";
    assert_eq!(safe(message, &body), message);
}

#[test]
fn values_are_replaced_whole_escaped_and_in_pieces() {
    let body = json!({"a": "s3cr3t", "b": "quote\"and\\slash", "n": 80_192_104, "long": "abcdefghijklmnopqrstuvwxyz", "pem": "-----BEGIN\nMIIFWDCCA0ACCQ\nEND"});
    for (message, expected) in [
        ("bad s3cr3t!", "bad [redacted]!"),
        ("bad quote\"and\\slash", "bad [redacted]"),
        ("bad quote\\\"and\\\\slash", "bad [redacted]"),
        ("bad 80192104.", "bad [redacted]."),
        ("bad cdefghijklmnop...", "bad [redacted]..."),
        ("bad MIIFWDCCA0ACCQ", "bad [redacted]"),
        ("s3cr3ts3cr3t", "[redacted]"),
    ] {
        assert_eq!(safe(message, &body), expected, "{message}");
    }
}

#[test]
fn a_value_is_not_shown_by_cutting_the_message_inside_it() {
    let message = format!("{}secret-value", "x ".repeat(LOOKED_AT / 2 - 4));
    let redacted = Redactor::new(vec![], r#"["secret-value"]"#).redact(&message);
    assert!(redacted.ends_with("x [redacted]"), "{redacted}");
}

#[test]
fn a_value_that_comes_together_only_on_one_line_is_replaced_too() {
    assert_eq!(safe("s3c\u{200b}r3t", &json!(["s3cr3t"])), "[redacted]");
}

#[test]
fn secrets_are_replaced_at_any_length() {
    let redactor = Redactor::new(vec!["ab", "a-1b", ""], "");
    assert_eq!(redactor.safe("x ab, 'ab' xa-1bx"), "x [redacted], '[redacted]' x[redacted]x");
}

#[test]
fn a_short_value_does_not_eat_words() {
    let message =
        "Payload validation error: 'Expected type object but found type string' on property options.upstream_params.android_client_id";
    let body = json!({"options": {"kind": "prop", "mode": "load", "form": "type", "n": 1234}});
    let shown = message.replace(" type ", " [redacted] ");
    for secret in ["op", "o", "tions", "xpecte", "params", "android"] {
        assert_eq!(Redactor::new(vec![secret], &body.to_string()).safe(message), shown, "{secret}");
    }
    assert_eq!(
        Redactor::new(vec!["op"], "").safe("the client op, \"op\" and op: no"),
        "the client [redacted], \"[redacted]\" and [redacted]: no"
    );
    // What no word is made of goes wherever it stands.
    assert_eq!(Redactor::new(vec!["s3cr"], "").safe("xs3crx"), "x[redacted]x");
    assert_eq!(Redactor::new(vec!["ABCDEFGHIJKL"], "").safe("xABCDEFGHIJKLx"), "x[redacted]x");
}

#[test]
fn names_of_the_request_stay_readable() {
    let body = json!({"options": {"email": {"kind": "email"}, "unique": false}});
    let message = "cannot add non-unique email attribute";
    assert_eq!(safe(message, &body), message);
}

#[test]
fn a_message_is_one_short_line() {
    assert_eq!(safe("a\r\nb\u{1b}[31m\u{202e}c", &json!({})), "a  b [31mc");
    let long = safe(&"é".repeat(3000), &json!({}));
    assert_eq!(long, format!("{}...", "é".repeat(SHOWN)));
}

/// A JSON document whose names and values never look alike, with all of its values.
fn documents() -> impl Strategy<Value = (Value, Vec<String>)> {
    let text = prop_oneof!["M4RK[A-Z0-9]{4,40}", "M4RK[\"\\\\\n\t/é😀A-Z]{1,30}", "\\PC{4,30}", "[a-zA-Z]{4,11}"];
    let leaf = prop_oneof![text.prop_map(Value::from), (1000u64..u64::MAX).prop_map(Value::from), any::<bool>().prop_map(Value::from)];
    let tree = leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,3}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    tree.prop_map(|tree| {
        let mut values = Vec::new();
        collect(&tree, &mut values);
        (tree, values)
    })
}

fn collect(tree: &Value, into: &mut Vec<String>) {
    match tree {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(map) => map.values().for_each(|item| collect(item, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether the value is a word of the text, by a way of looking of its own.
fn stands_alone_in(text: &str, value: &str) -> bool {
    text.split(|c: char| !in_word(c)).any(|word| word == value)
}

proptest! {
    #![proptest_config(crate::tests::seeds::cases(256))]

    #[test]
    fn no_value_of_a_request_is_repeated(
        (document, values) in documents(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, "[a-z .:']{0,12}"), 1..6),
        secret in "[A-Za-z0-9]{1,3}|[A-Za-z]{4,11}|[A-Za-z0-9_.-]{20,60}",
    ) {
        let body = document.to_string();
        let mut message = String::new();
        for (pick, form, filler) in &picks {
            message.push_str(filler);
            if !values.is_empty() {
                let value = pick.get(&values);
                match form {
                    0 => message.push_str(value),
                    1 => message.push_str(&Value::from(value.as_str()).to_string()),
                    _ => message.extend(value.chars().take(15)),
                }
            }
            message.push_str(&secret);
        }
        let safe = Redactor::new(vec![&secret], &body).safe(&message).replace(REDACTED, "\u{0}");
        // A marker that the limit cut in two is no text of the message.
        let safe = safe.strip_suffix("...").map_or(safe.as_str(), |cut| cut.rsplit_once('[').map_or(cut, |(front, _)| front));
        for value in values.iter().filter(|value| value.len() >= SHORTEST_VALUE).chain([&secret]) {
            let shown = if is_wordlike(value) { stands_alone_in(safe, value) } else { safe.contains(value.as_str()) };
            prop_assert!(!shown, "{} in {}", value, safe);
        }
        prop_assert!(!safe.contains("M4RK"), "{}", safe);
        prop_assert!(safe.chars().count() <= SHOWN + 3);
    }
}
