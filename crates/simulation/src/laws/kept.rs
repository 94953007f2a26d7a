//! The law of a record, asked when a status is written or our finalizer is taken: what is ours and still there stays recorded, unless
//! its owner may let go of it.

use std::sync::Arc;

use super::seen::{Document, FINALIZER, Object, Param, canonical_text, fingerprint};
use super::write::{Scene, Unseen};
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

/// The entries of a connection whose record goes with a write of an object: each parameter, its entry, and the fingerprint.
fn going<'a>(
    host: &'a str,
    old: &'a Object,
    after: After<'a>,
    looked: Looked<'a>,
) -> impl Iterator<Item = (&'a Param, String, String)> + 'a {
    let Looked { is: document, shown } = looked;
    old.params_on(&document.id).filter_map(move |param| {
        let entry_in = |document: &Document| document.params.get(&param.name).and_then(|text| canonical_text(text));
        let entry = entry_in(document)?;
        let print = fingerprint(host, &document.id, &param.name, &entry);
        let stays = match after {
            After::Status(new) => records(new, &document.id, &param.name, &print),
            After::Gone => false,
        };
        let was_seen = shown.is_none_or(|shown| entry_in(shown).as_ref() == Some(&entry));
        (records(old, &document.id, &param.name, &print) && was_seen && !stays).then_some((param, entry, print))
    })
}

fn records(object: &Object, id: &str, name: &str, print: &String) -> bool {
    object.params_on(id).any(|param| param.name == *name && param.owned.contains(print))
}

/// Whether any record of a connection goes, so that [`check`] may have something to say: that is mostly not so, and known at once.
pub fn is_at_stake(host: &str, old: &Object, after: After<'_>, looked: Looked<'_>) -> bool {
    going(host, old, after, looked).next().is_some()
}

/// Checks what an object records of a connection, of the version that is about to be replaced. `unseen`: what becomes of it where its
/// namespace may not be known; `is_forged`: whether somebody else wrote the status of an object.
pub fn check(
    (scene, is_forged): (&Scene, impl Fn(&Object) -> bool),
    (old, unseen): (&Object, Unseen),
    after: After<'_>,
    looked: Looked<'_>,
    violations: &mut Vec<Violation>,
) {
    let document = looked.is;
    for (param, entry, print) in going(&scene.host, old, after, looked) {
        let has_it = |other: &Arc<Object>| records(other, &document.id, &param.name, &print);
        let mut others = scene.objects.iter().filter(|(uid, _)| **uid != old.metadata.uid).map(|(_, versions)| versions);
        // What somebody else took out of a status a moment ago may not have been shown yet, and neither that it is gone.
        let is_kept = others.any(|versions| {
            let last = versions.iter().rfind(|version| !version.metadata.uid.is_empty());
            last.is_some_and(has_it) || (last.is_some_and(|last| is_forged(last)) && versions.iter().any(has_it))
        });
        if !is_kept && scene.is_bound(&old.metadata.uid, document, unseen) {
            let text = format!("{}: the record of {}={entry} on {} goes, and it is there", old.key(), param.name, document.name);
            violations.push(Violation::of(Law::NothingLeft, text));
        }
    }
}

/// What keeps a tenant from answering, and says nothing of an object.
const TROUBLE: [&str; 3] = ["TenantNotReady", "RateLimited", "RemoteUnavailable"];

/// Checks what else an object loses when it is written: the finalizers of others, and that it was ready before there was trouble with
/// its tenant.
pub fn check_tone(old: &Object, sent: &Object, is_status: bool, violations: &mut Vec<Violation>) {
    if !is_status {
        let lost = |one: &&String| **one != FINALIZER && !sent.metadata.finalizers.contains(one);
        if let Some(lost) = old.metadata.finalizers.iter().find(lost) {
            violations.push(Violation::of(Law::Foreign, format!("{}: the finalizer {lost} of somebody else's goes", old.key())));
        }
        return;
    }
    let generation = Some(old.metadata.generation);
    let was_ready = old.condition("Ready").is_some_and(|ready| {
        ready.status == "True" && ready.reason == "Ready" && ready.observed_generation == generation && !old.is_deleting()
    });
    if let Some(ready) =
        sent.condition("Ready").filter(|ready| was_ready && ready.status == "False" && TROUBLE.contains(&ready.reason.as_str()))
    {
        let text = format!(
            "{}: was in sync, and is said not to be ready for trouble with the tenant: {} ({})",
            old.key(),
            ready.reason,
            ready.message
        );
        violations.push(Violation::of(Law::True, text));
    }
}
