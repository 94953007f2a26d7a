//! What an address means.

use std::borrow::Cow;

use super::kind::{Key, Kind};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Without a name: all of the kind, in the namespace or everywhere.
    pub(super) key: Key,
    /// The status, not the whole.
    pub(super) status: bool,
}

impl Route {
    pub(super) fn read(path: &str) -> Option<Self> {
        Kind::ALL.into_iter().find_map(|kind| {
            let names = kind.names();
            let rest = path.strip_prefix(names.root)?.strip_prefix('/')?;
            let parts: Vec<Cow<'_, str>> = rest.split('/').map(decoded).collect();
            let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
            let (namespace, rest) = match parts.as_slice() {
                ["namespaces", namespace, plural, rest @ ..] if names.namespaced && *plural == names.plural => (*namespace, rest),
                [plural, rest @ ..] if *plural == names.plural && (!names.namespaced || rest.is_empty()) => ("", rest),
                _ => return None,
            };
            let (name, status) = match rest {
                [] => ("", false),
                [name] => (*name, false),
                [name, "status"] if kind.is_custom() => (*name, true),
                _ => return None,
            };
            Some(Self { key: Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }, status })
        })
    }
}

/// The parameters of a query.
#[derive(Debug, Default)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn read(query: &'a str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref()).unwrap_or_default()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(match (escaped, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, byte) => *byte,
        });
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
