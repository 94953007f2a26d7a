//! What came of earlier attempts: looks that failed, changes that the API refused, connections whose changes go one object at
//! a time.

use std::collections::BTreeMap;

use crate::core::schedule::ConnectionKey;
use crate::core::world::Declared;
use crate::model::document::{Document, Entry};
use crate::model::identity::{ConnectionId, Uid};

/// How often the looks at a connection failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: BTreeMap<ConnectionKey, u32>,
}

impl Failures {
    /// Counts a look that failed; yields how many have in a row.
    pub(crate) fn count(&mut self, connection: &ConnectionKey) -> u32 {
        let failures = self.in_a_row.entry(connection.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// Forgets the failures of a connection: a look succeeded.
    pub(crate) fn forget(&mut self, connection: &ConnectionKey) {
        self.in_a_row.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionKey) -> bool) {
        self.in_a_row.retain(|connection, _| is_there(connection));
    }
}

/// The changes that the API refused, by the object that they are of: one for each connection, as an object that moves has some on
/// two.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    by_object: BTreeMap<Uid, Vec<Rejection>>,
}

/// A refused change: it is the same as long as neither the object nor the connection has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rejection {
    generation: i64,
    connection: ConnectionId,
    options: Option<[u8; 32]>,
    /// What Auth0 said. Safe to show.
    message: String,
}

impl Rejections {
    /// Notes that the API refused this object's changes to a connection as it is, and what it said.
    pub(crate) fn note(&mut self, object: &Declared, document: &Document, message: String) {
        let (generation, connection, options) = (object.generation, document.id.clone(), document.options_hash());
        let known = self.by_object.entry(object.uid.clone()).or_default();
        known.retain(|rejection| rejection.generation == generation && rejection.connection != connection);
        known.push(Rejection { generation, connection, options, message });
    }

    /// What the API said when it refused the same changes before, if neither the object nor the connection has changed since.
    pub(crate) fn of(&self, object: &Declared, document: &Document) -> Option<&str> {
        let here = self.by_object.get(&object.uid)?.iter().find(|rejection| rejection.connection == document.id)?;
        let Rejection { generation, connection: _, options, message } = here;
        let same = (*generation, *options) == (object.generation, document.options_hash());
        same.then_some(message.as_str())
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&Uid) -> bool) {
        self.by_object.retain(|object, _| is_there(object));
    }
}

/// The writes that the API refused, by connection. One object may come to want what was refused as another's, or as that of several,
/// once another gives a name up: it is the same write all the same, and is known to be refused.
#[derive(Debug, Default)]
pub(crate) struct RefusedWrites {
    by_connection: BTreeMap<ConnectionId, RefusedThere>,
}

/// What was refused on a connection as it is, while these objects are as they are.
#[derive(Debug, Default)]
struct RefusedThere {
    options: Option<[u8; 32]>,
    /// Everybody whom the connection concerns, with the generation.
    objects: BTreeMap<Uid, i64>,
    /// The changes, and what Auth0 said of them. Safe to show.
    writes: Vec<(BTreeMap<String, Option<Entry>>, String)>,
}

impl RefusedWrites {
    /// Notes that the API refused these changes of a connection as it is, and what it said.
    pub(crate) fn note<'a>(
        &mut self,
        document: &Document,
        objects: impl IntoIterator<Item = &'a Declared>,
        changes: BTreeMap<String, Option<Entry>>,
        message: String,
    ) {
        let (options, objects) = (document.options_hash(), generations(objects));
        let there = self.by_connection.entry(document.id.clone()).or_default();
        if (there.options, &there.objects) != (options, &objects) {
            *there = RefusedThere { options, objects, writes: Vec::new() };
        }
        there.writes.push((changes, message));
    }

    /// What the API said when it refused the same changes before, if neither the connection nor any of the objects has changed since.
    pub(crate) fn of<'a>(
        &self,
        document: &Document,
        objects: impl IntoIterator<Item = &'a Declared>,
        changes: &BTreeMap<String, Option<Entry>>,
    ) -> Option<&str> {
        let there = self.by_connection.get(&document.id)?;
        let (_, message) = there.writes.iter().find(|(refused, _)| refused == changes)?;
        let same = there.options == document.options_hash() && there.objects == generations(objects);
        same.then_some(message.as_str())
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionId) -> bool) {
        self.by_connection.retain(|connection, _| is_there(connection));
    }
}

fn generations<'a>(objects: impl IntoIterator<Item = &'a Declared>) -> BTreeMap<Uid, i64> {
    objects.into_iter().map(|object| (object.uid.clone(), object.generation)).collect()
}

/// Whose turn it is on the connections whose changes go one object at a time, because a joint PATCH was refused.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    next: BTreeMap<ConnectionId, usize>,
}

impl Turns {
    /// From now on the changes of a connection go one object at a time.
    pub(crate) fn begin(&mut self, connection: &ConnectionId) {
        self.next.entry(connection.clone()).or_default();
    }

    /// Takes the next turn, where they go so: another's each time, so that who comes to no end keeps nobody waiting.
    pub(crate) fn take(&mut self, connection: &ConnectionId) -> Option<usize> {
        let turn = self.next.get_mut(connection)?;
        *turn = turn.wrapping_add(1);
        Some(turn.wrapping_sub(1))
    }

    /// The changes of a connection go together again: nothing is left to write.
    pub(crate) fn end(&mut self, connection: &ConnectionId) {
        self.next.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionId) -> bool) {
        self.next.retain(|connection, _| is_there(connection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::builders::{object, value};

    fn document(id: &str, options: &str) -> Document {
        Document::parse(&format!(r#"{{"id":"{id}","name":"shop","strategy":"oidc","options":{options}}}"#)).unwrap()
    }

    #[test]
    fn a_rejection_holds_until_the_object_or_the_connection_changes() {
        let (a, here) = (object("a"), document("con_1", "{}"));
        let mut rejections = Rejections::default();
        rejections.note(&a, &here, "because".into());
        assert_eq!(rejections.of(&a, &here), Some("because"));
        assert_eq!(rejections.of(&object("b"), &here), None);
        assert_eq!(rejections.of(&a.clone().generation(2), &here), None);
        assert_eq!(rejections.of(&a, &document("con_2", "{}")), None);
        assert_eq!(rejections.of(&a, &document("con_1", r#"{"a":1}"#)), None);
    }

    #[test]
    fn what_is_refused_on_one_connection_is_not_forgotten_for_what_is_refused_on_another() {
        let (a, here, there) = (object("a"), document("con_1", "{}"), document("con_2", "{}"));
        let mut rejections = Rejections::default();
        rejections.note(&a, &here, "old".into());
        rejections.note(&a, &here, "here".into());
        rejections.note(&a, &there, "there".into());
        assert_eq!((rejections.of(&a, &here), rejections.of(&a, &there)), (Some("here"), Some("there")));
        let edited = a.clone().generation(2);
        rejections.note(&edited, &there, "edited".into());
        assert_eq!((rejections.of(&a, &here), rejections.of(&edited, &there)), (None, Some("edited")));
    }

    #[test]
    fn a_write_that_was_refused_is_known_whoever_comes_to_want_it_until_something_changes() {
        let changes = |entries: &[(&str, Option<&str>)]| -> BTreeMap<String, Option<Entry>> {
            entries.iter().map(|(name, text)| ((*name).to_owned(), text.map(value))).collect()
        };
        let (a, b, here) = (object("a").wants("blog", "x"), object("b").wants("blog", "x").wants("lang", "de"), document("con_1", "{}"));
        let (joint, alone) = (changes(&[("blog", Some("x")), ("lang", Some("de"))]), changes(&[("blog", Some("x"))]));
        let mut refused = RefusedWrites::default();
        refused.note(&here, [&a, &b], joint.clone(), "joint".into());
        refused.note(&here, [&a, &b], alone.clone(), "alone".into());
        // In whatever order they come, and whoever of them wants it now.
        assert_eq!([refused.of(&here, [&b, &a], &joint), refused.of(&here, [&a, &b], &alone)], [Some("joint"), Some("alone")]);
        assert_eq!(refused.of(&here, [&a, &b], &changes(&[("blog", None)])), None);
        assert_eq!(refused.of(&document("con_2", "{}"), [&a, &b], &joint), None);
        assert_eq!(refused.of(&document("con_1", r#"{"a":1}"#), [&a, &b], &joint), None);
        let edited = b.clone().generation(2);
        assert_eq!([refused.of(&here, [&a, &edited], &joint), refused.of(&here, [&a], &joint)], [None, None]);
        // What was refused of things as they were before is not kept.
        refused.note(&here, [&a, &edited], joint.clone(), "edited".into());
        assert_eq!([refused.of(&here, [&a, &edited], &joint), refused.of(&here, [&a, &b], &alone)], [Some("edited"), None]);
    }
}
