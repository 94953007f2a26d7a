//! What a server says with an error, read: for decisions, and as text that is safe to show.
//!
//! Guarantees: what is shown is Auth0's own `message` (or `error_description`) after it went through a [`Redactor`]. Fails: never;
//! what can't be read is empty.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::failure::About;
use super::redaction::Redactor;
use super::scopes::{NEEDED_SCOPES, is_scope};
use crate::model::document::UPSTREAM_PARAMS;

/// The parts of an error body that are read: the Management API's, and those of OAuth 2 (RFC 6749, section 5.2).
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    #[serde(deserialize_with = "text_or_none")]
    message: Option<String>,
    #[serde(rename = "errorCode", deserialize_with = "text_or_none")]
    error_code: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    error: Option<String>,
    #[serde(deserialize_with = "text_or_none")]
    error_description: Option<String>,
}

/// A member of another type than text is as good as absent: it must not hide the members beside it.
fn text_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_str().map(str::to_owned))
}

/// An error body, read. The raw text is for decisions only and never leaves this crate's edge.
pub(super) struct Complaint {
    raw: String,
    /// `errorCode` of the Management API or `error` of OAuth 2; empty when there is none.
    pub(super) code: String,
}

impl Complaint {
    /// Reads an error body; of anything else than a JSON object nothing is taken.
    pub(super) fn parse(body: &[u8]) -> Self {
        let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        let code = body.error_code.or(body.error).filter(|code| is_code(code)).unwrap_or_default();
        Self { raw: body.message.or(body.error_description).unwrap_or_default(), code }
    }

    /// The safe text.
    pub(super) fn text(&self, redactor: &Redactor<'_>) -> String {
        redactor.safe(&self.raw)
    }

    /// The safe error code: a code is a word, and no value that was sent.
    pub(super) fn safe_code(&self, redactor: &Redactor<'_>) -> String {
        redactor.safe(&self.code)
    }

    /// Whether the tenant's limit for all endpoints together is meant, and not this endpoint's.
    pub(super) fn is_global_limit(&self) -> bool {
        self.raw.starts_with("Global limit")
    }

    /// What a refused write is about: the property that the message names, such as
    /// `... on property options.upstream_params.x.value (...)`.
    pub(super) fn about(&self) -> About {
        let Some((_, after)) = self.raw.split_once(UPSTREAM_PARAMS) else { return About::Options };
        match entry_path(after) {
            "" => About::Params,
            path => About::Entry(path.to_owned()),
        }
    }

    /// Whether the message is about `options` as a whole, which takes scopes of its own to write.
    pub(super) fn names_options_scope(&self) -> bool {
        self.raw.contains("\"options\"") && self.raw.contains("requires")
    }

    /// Whether it is the tenant's subscription that is lacking, and no scope.
    pub(super) fn is_about_subscription(&self) -> bool {
        self.raw.contains("subscription")
    }

    /// The scopes that the message names, such as `expected any of: read:connections`.
    pub(super) fn scopes(&self, redactor: &Redactor<'_>) -> Vec<String> {
        let words = |text: &str| -> BTreeSet<String> {
            text.split(|c: char| !(c.is_ascii_lowercase() || c == ':' || c == '_'))
                .filter(|word| is_scope(word))
                .map(str::to_owned)
                .collect()
        };
        // A scope that this operator needs is a public word, even when an option of the connection is spelled the same.
        let raw = words(&self.raw).into_iter().filter(|word| NEEDED_SCOPES.contains(&word.as_str()));
        let mut scopes = words(&redactor.redact(&self.raw));
        scopes.extend(raw);
        scopes.into_iter().collect()
    }
}

/// The path behind `options.upstream_params`, in either notation (`.name.value`, `['name']`), without what follows in the
/// sentence. Empty when the parameters as a whole are meant.
fn entry_path(after: &str) -> &str {
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';' | '`');
    if let Some(path) = after.strip_prefix('.') {
        let path = path.split(|c: char| ends(c) || matches!(c, '\'' | '"')).next().unwrap_or_default();
        return path.trim_end_matches(['.', ':']);
    }
    let quoted = after.strip_prefix('[').map(|path| path.trim_start_matches(['\'', '"']));
    quoted.and_then(|path| path.split(['\'', '"', ']']).next()).unwrap_or_default()
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_property_of_a_refusal_is_read_from_the_message() {
        let entry = |path: &str| About::Entry(path.to_owned());
        for (message, about) in [
            ("Payload validation error: 'x' on property options.client_secret (The secret).", About::Options),
            ("", About::Options),
            ("Payload validation error: 'x' on property options.upstream_params (Options for adding parameters).", About::Params),
            ("'Too many properties defined (11), maximum 10' on property options.upstream_params.", About::Params),
            ("options.upstream_params must be an object", About::Params),
            ("Payload validation error: 'x' on property options.upstream_params.android_client_id.", entry("android_client_id")),
            ("... on property options.upstream_params.blog.value (the value).", entry("blog.value")),
            ("'options.upstream_params.a-b.c_d' is wrong", entry("a-b.c_d")),
            ("\"options.upstream_params.blog\": must be object", entry("blog")),
            ("options.upstream_params['a b'].value is wrong", entry("a b")),
            ("options.upstream_params[\"a.b\"] is wrong", entry("a.b")),
        ] {
            let complaint = Complaint { raw: message.to_owned(), code: String::new() };
            assert_eq!(complaint.about(), about, "{message}");
        }
    }

    #[test]
    fn both_forms_of_error_bodies_are_read_and_others_are_not() {
        let read = |body: &str| {
            let complaint = Complaint::parse(body.as_bytes());
            (complaint.raw, complaint.code)
        };
        let pair = |message: &str, code: &str| (message.to_owned(), code.to_owned());
        assert_eq!(read(r#"{"statusCode":400,"error":"Bad Request","message":"m","errorCode":"invalid_body"}"#), pair("m", "invalid_body"));
        assert_eq!(read(r#"{"error":"access_denied","error_description":"Unauthorized"}"#), pair("Unauthorized", "access_denied"));
        assert_eq!(read(r#"{"message":["m"],"errorCode":"x_y"}"#), pair("", "x_y"));
        assert_eq!(read(r#"{"statusCode":409,"error":"Conflict is not a code","message":"m"}"#), pair("m", ""));
        for body in ["", "<html>", "[]", "null", "{\"message\":", "\u{0}"] {
            assert_eq!(read(body), pair("", ""), "{body}");
        }
    }

    #[test]
    fn scopes_are_taken_from_the_known_forms_of_the_message() {
        let scopes = |message: &str, body: &str| {
            let complaint = Complaint { raw: message.to_owned(), code: String::new() };
            complaint.scopes(&Redactor::new(vec![], body))
        };
        assert_eq!(
            scopes("Insufficient scope, expected any of: update:connections,read:connections", ""),
            ["read:connections", "update:connections"]
        );
        assert_eq!(
            scopes("Updating the \"options\" property requires the \"update:connections_options\" scope.", ""),
            ["update:connections_options"]
        );
        assert_eq!(scopes("expected any of: read:connections", r#"{"scope":"read:connections"}"#), ["read:connections"]);
        assert_eq!(scopes("expected any of: user:secret", r#"{"a":"user:secret"}"#), [""; 0]);
        assert_eq!(scopes("see https://auth0.com:443 a: b", ""), [""; 0]);
    }

    proptest! {
        #![proptest_config(crate::tests::seeds::cases(256))]

        #[test]
        fn nothing_that_is_sent_or_answered_makes_it_fail(message in "\\PC*", body in "\\PC*", bytes in any::<Vec<u8>>()) {
            let redactor = Redactor::new(vec![], &body);
            redactor.safe(&message);
            Complaint::parse(&bytes).scopes(&redactor);
        }
    }
}
