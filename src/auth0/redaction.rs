//! What may not be repeated of a request, found in a text and replaced.
//!
//! Guarantees: the text holds at most [`SHOWN`] characters, on one line, and no value that was in the request: not whole, not in
//! another JSON spelling, and no piece of it of [`PIECE`] bytes or more. Names stay readable: a value that is spelled like a member
//! name of the same request, such as `email`, tells nothing that the name would not. Words stay readable too: a value that could be a
//! piece of one ([`is_wordlike`]) is replaced where it stands by itself, and not inside a longer word, which quotes nobody.
//!
//! Assumes: a value may be quoted anywhere in the message, cut or escaped. Fails: never.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How many characters of a message are shown.
const SHOWN: usize = 200;
/// How many bytes of a message are looked at.
const LOOKED_AT: usize = 2000;
/// The shortest value of a request body that is redacted, in bytes. Shorter ones are numbers and words such as `en`.
const SHORTEST_VALUE: usize = 4;
/// The shortest piece of a longer value that is redacted, in bytes.
const PIECE: usize = 12;
/// What stands in the place of a value.
const REDACTED: &str = "[redacted]";

/// Whether a value could be a piece of an ordinary word: a few letters, or hardly anything. Replaced inside of words, such
/// values made `pr[redacted]erty` of a message and told, by what was missing, what they were.
fn is_wordlike(value: &str) -> bool {
    value.len() < SHORTEST_VALUE || (value.len() < PIECE && value.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

/// Whether a character continues a word.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What must not be repeated of one request.
pub(super) struct Redactor<'a> {
    /// Redacted at any length.
    secrets: Vec<&'a str>,
    /// The JSON body, whose values are redacted.
    body: &'a str,
}

impl<'a> Redactor<'a> {
    /// For a request that carried `secrets` and the JSON text `body`, each of which may be empty.
    pub(super) fn new(secrets: Vec<&'a str>, body: &'a str) -> Self {
        Self { secrets, body }
    }

    /// The message as it may be shown: without values, on one line, cut.
    pub(super) fn safe(&self, message: &str) -> String {
        let line = self.redact(message);
        let mut plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !is_invisible(*c)).collect();
        if plain != line {
            // Without the characters between its letters a value may have come together.
            plain = self.redact(&plain);
        }
        let line = plain.trim();
        match line.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
            None => line.to_owned(),
        }
    }

    /// Replaces every value; of a long message only the beginning is kept.
    pub(super) fn redact(&self, message: &str) -> String {
        let kept = message.get(..message.floor_char_boundary(LOOKED_AT)).unwrap_or_default();
        let mut found = Found::new(kept, kept.len() < message.len());
        for secret in &self.secrets {
            found.all_of(secret);
        }
        self.find_values(&mut found);
        found.replaced()
    }

    fn find_values(&self, found: &mut Found<'_>) {
        let leaves = leaves(self.body);
        for value in &leaves.values {
            if value.decoded.len() < SHORTEST_VALUE || leaves.names.contains(value.decoded.as_str()) {
                continue;
            }
            let spelled = serde_json::Value::from(value.decoded.as_str()).to_string();
            for spelling in [value.decoded.as_str(), value.written, unquoted(&spelled)] {
                found.all_of(spelling);
            }
        }
    }
}

/// Characters that show nothing or turn the direction of the text, with which a message could disguise itself.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The places in a message that values were found at.
struct Found<'a> {
    message: &'a str,
    /// Whether more of the message followed.
    cut: bool,
    /// Where each piece of the message starts.
    starts: BTreeMap<&'a [u8], Vec<usize>>,
    ranges: Vec<Range<usize>>,
    /// The places of wordlike values, which count where they stand by themselves.
    words: Vec<Range<usize>>,
}

impl<'a> Found<'a> {
    fn new(message: &'a str, cut: bool) -> Self {
        let mut starts: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (start, piece) in message.as_bytes().windows(PIECE).enumerate() {
            starts.entry(piece).or_default().push(start);
        }
        Self { message, cut, starts, ranges: Vec::new(), words: Vec::new() }
    }

    fn all_of(&mut self, value: &str) {
        if !value.is_empty() {
            self.whole(value);
            self.pieces(value);
            self.cut_at_the_end(value);
        }
    }

    fn whole(&mut self, value: &str) {
        // Overlapping places too: "aaa" holds "aa" twice, and both must go.
        let (mut from, wordlike) = (0, is_wordlike(value));
        while let Some(at) = self.message.get(from..).and_then(|rest| rest.find(value)) {
            let place = from + at..from + at + value.len();
            from = self.message.ceil_char_boundary(place.start + 1);
            if wordlike { self.words.push(place) } else { self.ranges.push(place) }
        }
    }

    /// Takes up the wordlike values that stand by themselves, also where what they stood beside goes.
    fn take_up_words(&mut self) {
        let mut gone = vec![false; self.message.len()];
        let mut words = std::mem::take(&mut self.words);
        loop {
            for range in &self.ranges {
                gone.get_mut(range.clone()).into_iter().flatten().for_each(|byte| *byte = true);
            }
            let (alone, rest): (Vec<_>, Vec<_>) = words.into_iter().partition(|place| self.stands_alone(place, &gone));
            if alone.is_empty() {
                return;
            }
            self.ranges.extend(alone);
            words = rest;
        }
    }

    /// Whether no word goes on over the edges of this place.
    fn stands_alone(&self, place: &Range<usize>, gone: &[bool]) -> bool {
        let is_edge = |at: usize| {
            let (before, after) = self.message.split_at(at);
            let beside_gone = [at.checked_sub(1), Some(at)].into_iter().flatten().any(|at| gone.get(at) == Some(&true));
            beside_gone || !(before.ends_with(in_word) && after.starts_with(in_word))
        };
        is_edge(place.start) && is_edge(place.end)
    }

    /// Where the message was cut, it may end in the middle of a value.
    fn cut_at_the_end(&mut self, value: &str) {
        if !self.cut {
            return;
        }
        let longest = value.len().min(PIECE);
        for length in (SHORTEST_VALUE..longest).rev() {
            if value.get(..length).is_some_and(|front| self.message.ends_with(front)) {
                self.ranges.push(self.message.len() - length..self.message.len());
                return;
            }
        }
    }

    fn pieces(&mut self, value: &str) {
        for piece in value.as_bytes().windows(PIECE) {
            for start in self.starts.get(piece).into_iter().flatten() {
                self.ranges.push(*start..start + PIECE);
            }
        }
    }

    fn replaced(mut self) -> String {
        self.take_up_words();
        self.ranges.sort_by_key(|range| range.start);
        let mut out = String::new();
        let mut done = 0;
        let mut ranges = self.ranges.iter().peekable();
        while let Some(first) = ranges.next() {
            let mut end = first.end;
            while let Some(next) = ranges.next_if(|next| next.start <= end) {
                end = end.max(next.end);
            }
            out.push_str(self.message.get(done..self.message.floor_char_boundary(first.start)).unwrap_or_default());
            out.push_str(REDACTED);
            done = self.message.ceil_char_boundary(end);
        }
        out.push_str(self.message.get(done..).unwrap_or_default());
        out
    }
}

/// A value of a JSON text.
struct Leaf<'a> {
    /// As it is written, without the quotes of a string.
    written: &'a str,
    /// What it means.
    decoded: String,
}

/// The names and values of a JSON text.
#[derive(Default)]
struct Leaves<'a> {
    names: BTreeSet<String>,
    values: Vec<Leaf<'a>>,
}

/// Finds every string and number of a JSON text.
///
/// Reads the text itself: a parsed value would lose the spelling of large numbers and repeated members, and nesting
/// of any depth must not matter.
fn leaves(json: &str) -> Leaves<'_> {
    let mut leaves = Leaves::default();
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        let (token, after) = split_token(rest.get(start..).unwrap_or_default());
        let written = unquoted(token);
        let decoded = serde_json::from_str(token).unwrap_or_else(|_| written.to_owned());
        if token.starts_with('"') && after.trim_start().starts_with(':') {
            leaves.names.insert(decoded);
        } else {
            leaves.values.push(Leaf { written, decoded });
        }
        rest = after;
    }
    leaves
}

/// The inside of a JSON string; a number as it is.
fn unquoted(token: &str) -> &str {
    let inner = token.strip_prefix('"').unwrap_or(token);
    inner.strip_suffix('"').unwrap_or(inner)
}

/// Splits a text that starts with a string or a number behind it.
fn split_token(text: &str) -> (&str, &str) {
    let end = if text.starts_with('"') {
        let mut escaped = false;
        let closing = text.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        closing.map_or(text.len(), |(at, _)| at + 1)
    } else {
        text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(text.len())
    };
    text.split_at(end)
}

#[cfg(test)]
mod tests {
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
}
