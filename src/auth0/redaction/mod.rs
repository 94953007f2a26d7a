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
pub(in crate::auth0) struct Redactor<'a> {
    /// Redacted at any length.
    secrets: Vec<&'a str>,
    /// The JSON body, whose values are redacted.
    body: &'a str,
}

impl<'a> Redactor<'a> {
    /// For a request that carried `secrets` and the JSON text `body`, each of which may be empty.
    pub(in crate::auth0) fn new(secrets: Vec<&'a str>, body: &'a str) -> Self {
        Self { secrets, body }
    }

    /// The message as it may be shown: without values, on one line, cut.
    pub(in crate::auth0) fn safe(&self, message: &str) -> String {
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
    pub(in crate::auth0) fn redact(&self, message: &str) -> String {
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
mod tests;
