//! What a tenant's connections looked like when they were last seen: enough to find them, never their options.
//!
//! Guarantees: of two ids seen under one name only the later is known; finding one by name or by id is a lookup in
//! a map, as every pass asks for every object.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::spec::Target;
use crate::model::document::Document;
use crate::model::identity::{ConnectionId, ConnectionName};

/// One connection, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Projection {
    /// Its name.
    pub name: ConnectionName,
    /// A hash of everything in its options but the upstream parameters.
    pub foreign: Option<[u8; 32]>,
    /// Whether `foreign` is what the answer to a write of ours showed, so that another value at the next look means
    /// that somebody else's edit and our write may have crossed.
    pub written: bool,
}

/// The connections of one tenant that some object names or named.
#[derive(Debug, Default)]
pub(crate) struct KnownConnections {
    by_id: BTreeMap<ConnectionId, Projection>,
    /// The id of each name in `by_id`.
    by_name: BTreeMap<ConnectionName, ConnectionId>,
    /// Those that were not there under their id the last time, while what is there under their name could not be asked.
    missing: BTreeSet<ConnectionId>,
}

impl KnownConnections {
    /// The id of the connection that a target means, as far as it was seen.
    pub(crate) fn id_of<'a>(&'a self, target: &'a Target) -> Option<&'a ConnectionId> {
        match target {
            Target::Id(id) => Some(id),
            Target::Name(name) => self.by_name.get(name),
        }
    }

    /// The name of a connection, as far as it was seen.
    pub(crate) fn name_of(&self, id: &ConnectionId) -> Option<&ConnectionName> {
        self.by_id.get(id).map(|seen| &seen.name)
    }

    /// Notes a connection that was read. Yields whether the options that are not ours differ from what the answer to
    /// our last write showed.
    pub(crate) fn saw(&mut self, document: &Document) -> bool {
        self.note(document, false)
    }

    /// Notes a connection as the answer to a write of ours shows it.
    pub(crate) fn wrote(&mut self, document: &Document) {
        self.note(document, true);
    }

    fn note(&mut self, document: &Document, written: bool) -> bool {
        let new = Projection { name: document.name.clone(), foreign: document.foreign_hash(), written };
        let differs = self.by_id.get(&document.id).is_some_and(|old| old.written && old.foreign != new.foreign);
        // A connection that was made anew under the same name has another id, and a renamed one leaves its old name.
        if let Some(namesake) = self.by_name.get(&document.name).filter(|id| **id != document.id).cloned() {
            self.forget(&namesake);
        }
        self.forget(&document.id);
        self.by_name.insert(document.name.clone(), document.id.clone());
        self.by_id.insert(document.id.clone(), new);
        differs
    }

    /// Notes that a connection is not there under its id, while what is there under its name could not be asked.
    pub(crate) fn miss(&mut self, id: &ConnectionId) {
        self.missing.insert(id.clone());
    }

    /// Whether a connection was not there under its id the last time, so that its name is what to ask for.
    pub(crate) fn is_missing(&self, id: &ConnectionId) -> bool {
        self.missing.contains(id)
    }

    /// Forgets a connection that is gone.
    pub(crate) fn forget(&mut self, id: &ConnectionId) {
        self.missing.remove(id);
        if let Some(seen) = self.by_id.remove(id) {
            self.by_name.remove(&seen.name);
        }
    }

    /// Forgets the connections for which this does not hold.
    pub(crate) fn retain(&mut self, is_named: impl Fn(&ConnectionId) -> bool) {
        self.by_id.retain(|id, _| is_named(id));
        self.by_name.retain(|_, id| self.by_id.contains_key(id));
        self.missing.retain(|id| is_named(id));
    }

    /// How many connections are known.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(known: &mut KnownConnections, id: &str, name: &str, options: &str) -> bool {
        known.saw(&document(id, name, options))
    }

    fn document(id: &str, name: &str, options: &str) -> Document {
        let text = format!(r#"{{"id":"{id}","name":"{name}","strategy":"oidc","options":{options}}}"#);
        Document::parse(&text).unwrap()
    }

    fn found<'a>(known: &'a KnownConnections, name: &str) -> Option<&'a str> {
        known.by_name.get(name).map(ConnectionId::as_str)
    }

    #[test]
    fn a_connection_is_found_under_its_last_name_and_a_name_has_its_last_id() {
        let mut known = KnownConnections::default();
        seen(&mut known, "con_1", "shop", "{}");
        seen(&mut known, "con_1", "store", "{}");
        assert_eq!((found(&known, "shop"), found(&known, "store"), known.len()), (None, Some("con_1"), 1));
        seen(&mut known, "con_2", "store", "{}");
        assert_eq!((found(&known, "store"), known.name_of(&"con_1".into()), known.len()), (Some("con_2"), None, 1));
        seen(&mut known, "con_1", "shop", "{}");
        known.forget(&"con_2".into());
        known.forget(&"con_2".into());
        assert_eq!((found(&known, "store"), found(&known, "shop"), known.len()), (None, Some("con_1"), 1));
        assert_eq!(known.id_of(&Target::Name("shop".into())), Some(&"con_1".into()));
        assert_eq!(known.id_of(&Target::Id("con_9".into())), Some(&"con_9".into()), "an id needs no look");
    }

    #[test]
    fn what_nobody_names_is_forgotten() {
        let mut known = KnownConnections::default();
        seen(&mut known, "con_1", "shop", "{}");
        seen(&mut known, "con_2", "store", "{}");
        known.retain(|id| *id == "con_2");
        assert_eq!((found(&known, "shop"), found(&known, "store"), known.len()), (None, Some("con_2"), 1));
    }

    #[test]
    fn other_options_differ_only_from_what_a_write_showed() {
        let mut known = KnownConnections::default();
        assert!(!seen(&mut known, "con_1", "shop", r#"{"a":1}"#));
        assert!(!seen(&mut known, "con_1", "shop", r#"{"a":2}"#), "somebody's edit between two looks is nobody's loss");
        known.wrote(&document("con_1", "shop", r#"{"a":2}"#));
        assert!(!seen(&mut known, "con_1", "shop", r#"{"a":2}"#));
        known.wrote(&document("con_1", "shop", r#"{"a":2}"#));
        assert!(seen(&mut known, "con_1", "shop", r#"{"a":3}"#));
    }
}
