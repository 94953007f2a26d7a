//! What the API refused, so that it is not sent again before something changes.
//!
//! It is kept for each connection, and only as long as the connection looks as it did then: one that changes and changes back has
//! changed, and what was refused is tried again. So a refusal that came of a passing fault ends with the next edit there.

use std::collections::BTreeMap;

use crate::core::world::Declared;
use crate::model::document::{Document, Entry};
use crate::model::identity::{ConnectionId, Uid};

/// What the API refused.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    by_connection: BTreeMap<ConnectionId, RefusedThere>,
}

/// What was refused on a connection as it is.
#[derive(Debug, Default)]
struct RefusedThere {
    options: Option<[u8; 32]>,
    /// The objects whose changes were refused, each alone.
    objects: BTreeMap<Uid, Refusal>,
    writes: Vec<RefusedWrite>,
}

/// The changes of an object were refused as it was.
#[derive(Debug)]
struct Refusal {
    generation: i64,
    /// What Auth0 said. Safe to show.
    message: String,
}

/// A PATCH that was refused while everybody whom the connection concerns was as they were. One object may come to want what was
/// refused as another's, or as that of several, once another gives a name up: it is the same write all the same.
#[derive(Debug)]
struct RefusedWrite {
    changes: BTreeMap<String, Option<Entry>>,
    generations: BTreeMap<Uid, i64>,
    /// What Auth0 said. Safe to show.
    message: String,
}

impl Refusals {
    /// Notes a connection as it is seen: what was refused while its options were others may be tried again. Options that are not
    /// shown say nothing.
    pub(crate) fn saw(&mut self, document: &Document) {
        // Most connections never refused anything, and a hash of theirs is not needed.
        let Some(there) = self.by_connection.get(&document.id) else { return };
        let seen = document.options_hash();
        if seen.is_some() && seen != there.options {
            self.by_connection.remove(&document.id);
        }
    }

    /// Notes that the API refused this object's changes to a connection as it is, and what it said.
    pub(crate) fn note_object(&mut self, document: &Document, object: &Declared, message: String) {
        let refusal = Refusal { generation: object.generation, message };
        self.there_mut(document).objects.insert(object.uid.clone(), refusal);
    }

    /// Notes that the API refused these changes of a connection as it is, whom all it concerned, and what the API said.
    pub(crate) fn note_write<'a>(
        &mut self,
        document: &Document,
        concerned: impl IntoIterator<Item = &'a Declared>,
        changes: BTreeMap<String, Option<Entry>>,
        message: String,
    ) {
        let (there, generations) = (self.there_mut(document), generations(concerned));
        there.writes.retain(|write| write.generations == generations);
        there.writes.push(RefusedWrite { changes, generations, message });
    }

    /// What the API said when it refused this object's changes, if neither the object nor the connection has changed since.
    pub(crate) fn of_object(&self, document: &Document, object: &Declared) -> Option<&str> {
        let refusal = self.there(document)?.objects.get(&object.uid)?;
        (refusal.generation == object.generation).then_some(refusal.message.as_str())
    }

    /// What the API said when it refused these changes, if neither the connection nor anybody whom it concerns has changed since.
    pub(crate) fn of_write<'a>(
        &self,
        document: &Document,
        concerned: impl IntoIterator<Item = &'a Declared>,
        changes: &BTreeMap<String, Option<Entry>>,
    ) -> Option<&str> {
        let write = self.there(document)?.writes.iter().find(|write| write.changes == *changes)?;
        (write.generations == generations(concerned)).then_some(write.message.as_str())
    }

    /// Forgets the objects, and the connections, that are not there any more.
    pub(super) fn retain(&mut self, has_object: impl Fn(&Uid) -> bool, has_connection: impl Fn(&ConnectionId) -> bool) {
        self.by_connection.retain(|connection, there| {
            there.objects.retain(|object, _| has_object(object));
            has_connection(connection)
        });
    }

    /// What was refused on the connection as it is.
    fn there(&self, document: &Document) -> Option<&RefusedThere> {
        self.by_connection.get(&document.id).filter(|there| there.options == document.options_hash())
    }

    fn there_mut(&mut self, document: &Document) -> &mut RefusedThere {
        self.saw(document);
        let fresh = || RefusedThere { options: document.options_hash(), ..RefusedThere::default() };
        self.by_connection.entry(document.id.clone()).or_insert_with(fresh)
    }
}

fn generations<'a>(objects: impl IntoIterator<Item = &'a Declared>) -> BTreeMap<Uid, i64> {
    objects.into_iter().map(|object| (object.uid.clone(), object.generation)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::builders::{object, value};

    fn document(id: &str, options: &str) -> Document {
        Document::parse(&format!(r#"{{"id":"{id}","name":"shop","strategy":"oidc","options":{options}}}"#)).unwrap()
    }

    fn changes(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<Entry>> {
        entries.iter().map(|(name, text)| ((*name).to_owned(), text.map(value))).collect()
    }

    #[test]
    fn what_is_refused_of_an_object_is_known_until_the_object_or_the_connection_changes() {
        let (a, here) = (object("a"), document("con_1", "{}"));
        let mut refusals = Refusals::default();
        refusals.note_object(&here, &a, "because".into());
        assert_eq!(refusals.of_object(&here, &a), Some("because"));
        assert_eq!(refusals.of_object(&here, &object("b")), None);
        assert_eq!(refusals.of_object(&here, &a.clone().generation(2)), None);
        assert_eq!(refusals.of_object(&document("con_2", "{}"), &a), None);
        assert_eq!(refusals.of_object(&document("con_1", r#"{"a":1}"#), &a), None);
    }

    #[test]
    fn what_is_refused_on_one_connection_is_not_forgotten_for_what_is_refused_on_another() {
        let (a, here, there) = (object("a"), document("con_1", "{}"), document("con_2", "{}"));
        let mut refusals = Refusals::default();
        refusals.note_object(&here, &a, "old".into());
        refusals.note_object(&here, &a, "here".into());
        refusals.note_object(&there, &a, "there".into());
        assert_eq!((refusals.of_object(&here, &a), refusals.of_object(&there, &a)), (Some("here"), Some("there")));
    }

    #[test]
    fn a_connection_that_changes_and_changes_back_has_changed() {
        let (a, before, other) = (object("a"), document("con_1", "{}"), document("con_1", r#"{"a":1}"#));
        let removal = changes(&[("blog", None)]);
        let mut refusals = Refusals::default();
        refusals.note_object(&before, &a, "no".into());
        refusals.note_write(&before, [&a], removal.clone(), "no".into());
        let known = |refusals: &Refusals| [refusals.of_object(&before, &a).is_some(), refusals.of_write(&before, [&a], &removal).is_some()];
        refusals.saw(&before);
        refusals.saw(&document("con_2", r#"{"a":1}"#));
        let hidden = Document::parse(r#"{"id":"con_1","name":"shop","strategy":"oidc"}"#).unwrap();
        refusals.saw(&hidden);
        assert_eq!(known(&refusals), [true, true]);
        refusals.saw(&other);
        assert_eq!(known(&refusals), [false, false]);
        // What is refused of the other is all that is known then.
        refusals.note_object(&before, &a, "no".into());
        refusals.note_write(&other, [&a], removal.clone(), "no".into());
        assert_eq!(known(&refusals), [false, false]);
    }

    #[test]
    fn a_write_that_was_refused_is_known_whoever_comes_to_want_it_until_something_changes() {
        let (a, b, here) = (object("a").wants("blog", "x"), object("b").wants("blog", "x").wants("lang", "de"), document("con_1", "{}"));
        let (joint, alone) = (changes(&[("blog", Some("x")), ("lang", Some("de"))]), changes(&[("blog", Some("x"))]));
        let mut refusals = Refusals::default();
        refusals.note_write(&here, [&a, &b], joint.clone(), "joint".into());
        refusals.note_write(&here, [&a, &b], alone.clone(), "alone".into());
        // In whatever order they come, and whoever of them wants it now.
        assert_eq!(
            [refusals.of_write(&here, [&b, &a], &joint), refusals.of_write(&here, [&a, &b], &alone)],
            [Some("joint"), Some("alone")]
        );
        assert_eq!(refusals.of_write(&here, [&a, &b], &changes(&[("blog", None)])), None);
        assert_eq!(refusals.of_write(&document("con_2", "{}"), [&a, &b], &joint), None);
        assert_eq!(refusals.of_write(&document("con_1", r#"{"a":1}"#), [&a, &b], &joint), None);
        let edited = b.clone().generation(2);
        assert_eq!([refusals.of_write(&here, [&a, &edited], &joint), refusals.of_write(&here, [&a], &joint)], [None, None]);
        // What was refused of things as they were before is not kept.
        refusals.note_write(&here, [&a, &edited], joint.clone(), "edited".into());
        assert_eq!([refusals.of_write(&here, [&a, &edited], &joint), refusals.of_write(&here, [&a, &b], &alone)], [Some("edited"), None]);
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_there_any_more() {
        let (a, b, here, there) = (object("a"), object("b"), document("con_1", "{}"), document("con_2", "{}"));
        let mut refusals = Refusals::default();
        for (document, object) in [(&here, &a), (&here, &b), (&there, &a)] {
            refusals.note_object(document, object, "no".into());
            refusals.note_write(document, [object], changes(&[]), "no".into());
        }
        refusals.retain(|object| *object == a.uid, |connection| *connection == here.id);
        assert_eq!(
            [(&here, &a), (&here, &b), (&there, &a)].map(|(document, object)| refusals.of_object(document, object).is_some()),
            [true, false, false]
        );
        assert_eq!(
            [(&here, &b), (&there, &a)].map(|(document, object)| refusals.of_write(document, [object], &changes(&[])).is_some()),
            [true, false]
        );
    }
}
