//! What a tenant's connections looked like when they were last seen: enough to find them, never their options.

use std::collections::BTreeMap;

use super::document::Document;
use super::validate::Target;

/// One connection, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its name.
    pub name: String,
    /// A hash of everything in its options but the upstream parameters.
    pub foreign: Option<[u8; 32]>,
    /// Whether `foreign` is what the answer to a write of ours showed, so that another value at the next look means
    /// that somebody else's edit and our write may have crossed.
    pub written: bool,
}

/// The connections of one tenant that some object names or named.
#[derive(Debug, Default)]
pub struct Directory {
    by_id: BTreeMap<String, Projection>,
}

impl Directory {
    /// The id of the connection that a target means, as far as it was seen.
    pub fn id_of<'a>(&'a self, target: &'a Target) -> Option<&'a str> {
        match target {
            Target::Id(id) => Some(id),
            Target::Name(name) => self.by_id.iter().find(|(_, seen)| &seen.name == name).map(|(id, _)| id.as_str()),
        }
    }

    /// The name of a connection, as far as it was seen.
    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|seen| seen.name.as_str())
    }

    /// Notes a connection that was read. Yields whether the options that are not ours differ from what the answer to
    /// our last write showed.
    pub fn saw(&mut self, document: &Document) -> bool {
        self.note(document, false)
    }

    /// Notes a connection as the answer to a write of ours shows it.
    pub fn wrote(&mut self, document: &Document) {
        self.note(document, true);
    }

    fn note(&mut self, document: &Document, written: bool) -> bool {
        let new = Projection { name: document.name.clone(), foreign: document.foreign_hash(), written };
        // A connection that was made anew under the same name has another id.
        self.by_id.retain(|id, seen| id == &document.id || seen.name != document.name);
        let old = self.by_id.insert(document.id.clone(), new.clone());
        old.is_some_and(|old| old.written && old.foreign != new.foreign)
    }

    /// Forgets a connection that is gone.
    pub fn forget(&mut self, id: &str) {
        self.by_id.remove(id);
    }

    /// How many connections are known.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
