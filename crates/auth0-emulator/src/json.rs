//! A JSON value that keeps what Postgres `jsonb` keeps.
//!
//! `serde_json` reads and writes; the value is ours. Its own one rounds numbers beyond 64 bits and loses the order of keys, or keeps
//! both where a feature says so (`arbitrary_precision`, `preserve_order`): features hold for a whole build, so they would change
//! what the operator does while it is tested. A tenant stores documents of other people, so this value keeps the text of every
//! number and the order of every key. It refuses what is not RFC 8259, lone surrogates, and nesting that is too deep.

use std::fmt;

use serde_json::value::RawValue;

/// Nesting beyond this is refused, so that a hostile body cannot overflow the stack.
const MAX_DEPTH: usize = 128;

/// One JSON value; numbers are kept as the text that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number's own text, e.g. `1.0` or `12345678901234567890`.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object in the order of arrival.
    Object(Object),
}

/// An object that keeps the order of its keys. A key occurs once: of duplicates the last one wins, as in `jsonb`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Json)>);

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {0}")]
pub struct NotJson(String);

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

impl Json {
    /// Reads a document (RFC 8259).
    pub fn parse(text: &str) -> Result<Self, NotJson> {
        let checked: &RawValue = serde_json::from_str(text)?;
        Reader { text: checked.get(), at: 0 }.value(0)
    }

    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A whole number.
    pub fn number(number: i64) -> Self {
        Self::Number(number.to_string())
    }

    /// An array of strings.
    pub fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::Array(items.into_iter().map(|item| Self::string(item.as_ref())).collect())
    }

    /// The member `key`, when this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The object, when this is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The string, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether this is `true`.
    pub fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// The name JSON schema gives this kind of value, as Auth0's validation messages print it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(text) if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => "integer",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The same value with every object's keys in `jsonb` order: shorter keys first, equal lengths bytewise.
    #[must_use]
    pub fn reordered(mut self) -> Self {
        self.reorder();
        self
    }

    fn reorder(&mut self) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(Self::reorder),
            Self::Object(object) => object.reorder(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {}
        }
    }

    /// The value as `serde_json` holds it; a number beyond its range is rounded, so compare texts where that matters.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.text()).unwrap_or(serde_json::Value::Null)
    }

    /// Takes over a `serde_json` value.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self::parse(&value.to_string()).unwrap_or(Self::Null)
    }
}

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether `key` occurs.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets `key`, in its place when it occurs already, else at the end.
    pub fn insert(&mut self, key: impl Into<String>, value: Json) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(place) => *place = value,
            None => self.0.push((key, value)),
        }
    }

    /// Sets `key` at the end unless it occurs already.
    pub fn insert_missing(&mut self, key: &str, value: impl FnOnce() -> Json) {
        if !self.contains(key) {
            self.0.push((key.to_owned(), value()));
        }
    }

    /// Sets `key` at the given place unless it occurs already.
    pub fn insert_missing_at(&mut self, place: usize, key: &str, value: impl FnOnce() -> Json) {
        if !self.contains(key) {
            self.0.insert(place.min(self.0.len()), (key.to_owned(), value()));
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let place = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(place).1)
    }

    /// The keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same object in `jsonb` order, at every depth.
    #[must_use]
    pub fn reordered(mut self) -> Self {
        self.reorder();
        self
    }

    fn reorder(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.reorder());
        self.0.sort_by(|(left, _), (right, _)| left.len().cmp(&right.len()).then_with(|| left.as_bytes().cmp(right.as_bytes())));
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<String>> FromIterator<(K, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(members: I) -> Self {
        let mut object = Self::new();
        for (key, value) in members {
            object.insert(key, value);
        }
        object
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl Json {
    /// Writes the value's text.
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => out.write_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.write_str(text),
            Self::String(text) => quote(text, out),
            Self::Array(items) => {
                out.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    out.write_str(if place == 0 { "" } else { "," })?;
                    item.write(out)?;
                }
                out.write_str("]")
            }
            Self::Object(object) => object.write(out),
        }
    }

    /// The value's text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(512);
        // A string takes everything.
        let _ = self.write(&mut text);
        text
    }
}

impl Object {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write_members(self.iter(), out, Json::write)
    }
}

/// Writes an object of these members.
fn write_members<'a, V: 'a, W: fmt::Write>(
    members: impl Iterator<Item = (&'a str, V)>,
    out: &mut W,
    write: impl Fn(V, &mut W) -> fmt::Result,
) -> fmt::Result {
    out.write_str("{")?;
    for (place, (key, value)) in members.enumerate() {
        out.write_str(if place == 0 { "" } else { "," })?;
        quote(key, out)?;
        out.write_str(":")?;
        write(value, out)?;
    }
    out.write_str("}")
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out)
    }
}

/// An object that is shown and not kept: its members in order, and nothing copied.
pub(crate) struct View<'a>(pub(crate) Vec<(&'a str, Member<'a>)>);

/// The value of a member that is shown.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    Json(&'a Json),
    Object(&'a Object),
}

impl View<'_> {
    /// Writes the object's text.
    pub(crate) fn write(&self, out: &mut String) {
        let member = |member: Member<'_>, out: &mut String| match member {
            Member::Json(value) => value.write(out),
            Member::Object(object) => object.write(out),
        };
        // A string takes everything.
        let _ = write_members(self.0.iter().copied(), out, member);
    }

    /// The object's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(512);
        self.write(&mut text);
        text
    }
}

fn quote(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    // Nearly no text has anything to escape.
    if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.write_str("\"")?;
        out.write_str(text)?;
        return out.write_str("\"");
    }
    out.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// Reads a text that is known to be well formed, but for escapes that stand for nothing and for its depth.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space; `None` at the end, which a well-formed text does not have inside of a value.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    /// Takes the text up to the next byte that satisfies this.
    fn until(&mut self, end: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(end).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Takes a string, quotes and all.
    fn string(&mut self) -> Result<String, NotJson> {
        let begin = self.at;
        let (mut escaped, mut plain) = (false, true);
        let rest = self.text.as_bytes().get(begin + 1..).unwrap_or_default();
        let end = rest.iter().position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            plain &= !escaped;
            ends
        });
        self.at = begin + 1 + end.unwrap_or(rest.len()) + 1;
        let whole = self.text.get(begin..self.at).unwrap_or_default();
        if plain {
            return Ok(whole.get(1..whole.len() - 1).unwrap_or_default().to_owned());
        }
        Ok(serde_json::from_str(whole)?)
    }

    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        if depth > MAX_DEPTH {
            return Err(NotJson("nested too deeply".to_owned()));
        }
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'[') => {
                let mut items = Vec::new();
                self.at += 1;
                while self.goes_on(b']') {
                    items.push(self.value(depth + 1)?);
                }
                Ok(Json::Array(items))
            }
            Some(b'{') => {
                let mut object = Object::new();
                self.at += 1;
                while self.goes_on(b'}') {
                    let key = self.string()?;
                    self.peek();
                    // The colon.
                    self.at += 1;
                    let value = self.value(depth + 1)?;
                    object.insert(key, value);
                }
                Ok(Json::Object(object))
            }
            _ => Ok(match self.until(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r')) {
                "null" => Json::Null,
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                number => Json::Number(number.to_owned()),
            }),
        }
    }

    /// Whether another item follows before this end, of which it takes the comma before the item, or the end.
    fn goes_on(&mut self, end: u8) -> bool {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.peek();
                true
            }
            Some(byte) if byte != end => true,
            _ => {
                self.at += 1;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_survive() {
        let text = r#"{"zz":12345678901234567890123,"a":[1.0,-0.50,1e3],"b":{"y":null,"x":"\u00e9\ud83d\ude00\n"}}"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(json.to_string(), "{\"zz\":12345678901234567890123,\"a\":[1.0,-0.50,1e3],\"b\":{\"y\":null,\"x\":\"é😀\\n\"}}");
        let sorted = json.reordered().to_string();
        assert!(sorted.starts_with("{\"a\":[1.0"), "{sorted}");
        assert!(sorted.ends_with("\"zz\":12345678901234567890123}"), "{sorted}");
        assert!(sorted.contains(r#""b":{"x""#), "{sorted}");
    }

    #[test]
    fn the_last_duplicate_wins() {
        assert_eq!(Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\"}", "01", "1.", "\"\\ud800\"", "nul", "{} x", "\"\n\"", "{a:1}"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        for depth in [200, 5000] {
            assert!(Json::parse(&"[".repeat(depth)).is_err());
            assert!(Json::parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).is_err());
        }
    }

    #[test]
    fn white_space_and_empty_values_are_read() {
        let text = " { \"a\" : [ ] , \"b\":{ },\n\t\"c\" :[ 1 ,\r2, { \"d\" : \"\" } ], \"e\\\"\\\\\" : true }  ";
        assert_eq!(Json::parse(text).unwrap().to_string(), r#"{"a":[],"b":{},"c":[1,2,{"d":""}],"e\"\\":true}"#);
        for scalar in ["0", " -1.5e3 ", "null", "true", "false", "\"\"", "[]", "{}"] {
            assert_eq!(Json::parse(scalar).unwrap().to_string(), scalar.trim());
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Json::parse(&deep(129)).is_ok() && Json::parse(&deep(130)).is_err());
    }

    #[test]
    fn what_is_read_is_what_serde_reads() {
        let mut random = fastrand::Rng::with_seed(1);
        let pieces = ["{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "-2.5", "null", "true", " "];
        let mut read = 0;
        for _ in 0..200_000 {
            let text: String = (0..random.usize(1..9)).map(|_| pieces[random.usize(0..pieces.len())]).collect();
            let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
            let ours = Json::parse(&text);
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(ours.to_value(), theirs, "{text}");
                read += 1;
            }
        }
        assert!(read > 5000, "{read}");
    }

    #[test]
    fn numbers_beyond_every_type_and_escapes_are_read_as_they_are() {
        let text = r#"{"e":1E+400,"z":-0,"long":0.10000000000000000000000000000000000001,"\u0061":"\/\b\f\u0001"}"#;
        let written = r#"{"e":1E+400,"z":-0,"long":0.10000000000000000000000000000000000001,"a":"/\b\f\u0001"}"#;
        assert_eq!(Json::parse(text).unwrap().to_string(), written);
    }
}
