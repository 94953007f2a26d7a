//! The law of a record, asked when a status is written or our finalizer is taken: what is ours and still there stays recorded, unless
//! its owner may let go of it.

use super::seen::{Document, Object, canonical_text, fingerprint};
use super::write::Scene;
use super::{Law, Violation};

/// What becomes of an object when it is written.
#[derive(Clone, Copy, Debug)]
pub enum After<'a> {
    /// It has the status of this one.
    Status(&'a Object),
    /// It is gone, with all that it recorded.
    Gone,
}

/// A connection, as it is and as the process that writes saw it last.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// As it is.
    pub is: &'a Document,
    /// As it was shown; none where it was never asked for.
    pub shown: Option<&'a Document>,
}

/// Checks what an object records of a connection, of the version that is about to be replaced.
pub fn check(scene: &Scene, old: &Object, after: After<'_>, looked: Looked<'_>, violations: &mut Vec<Violation>) {
    let Looked { is: document, shown } = looked;
    for param in old.params_on(&document.id) {
        let entry_in = |document: &Document| document.params.get(&param.name).and_then(|text| canonical_text(text));
        let Some(entry) = entry_in(document) else { continue };
        let print = fingerprint(&scene.host, &document.id, &param.name, &entry);
        let records =
            |object: &Object| object.params_on(&document.id).any(|other| other.name == param.name && other.owned.contains(&print));
        let stays = match after {
            After::Status(new) => records(new),
            After::Gone => false,
        };
        let others = || scene.objects.iter().filter(|(uid, _)| **uid != old.metadata.uid).filter_map(|(_, versions)| versions.last());
        let was_seen = shown.is_none_or(|shown| entry_in(shown).as_ref() == Some(&entry));
        if records(old) && was_seen && !stays && !others().any(|other| records(other)) && scene.is_bound(&old.metadata.uid, document) {
            let text = format!("{}: the record of {}={entry} on {} goes, and it is there", old.key(), param.name, document.name);
            violations.push(Violation::of(Law::NothingLeft, text));
        }
    }
}
