//! The law of what a status says and records when it is written: that what is said to be in an object's way was so not long ago, as far as
//! its process may have known, and that nobody is given what another has.

use std::sync::Arc;

use super::seen::{Condition, Document, Named, Object, Param, canonical_text, fingerprint};
use super::write::{Scene, Unseen};
use super::{Law, Violation};

/// A status that is written.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The object before.
    pub old: &'a Object,
    /// The object with its new status.
    pub sent: &'a Object,
}

impl Told<'_> {
    /// The condition of this type, where it has this reason and had another before.
    fn newly(&self, kind: &str, reason: &str) -> Option<&Condition> {
        let said = self.sent.condition(kind).filter(|said| said.reason == reason)?;
        let before = self.old.condition(kind);
        before.is_none_or(|before| (&before.reason, before.observed_generation) != (&said.reason, said.observed_generation)).then_some(said)
    }
}

/// Whether any condition has another reason than before, so that [`check_reasons`] may have something to say.
pub fn is_news(told: Told<'_>) -> bool {
    told.sent.status.conditions.iter().any(|said| told.newly(&said.kind, &said.reason).is_some())
}

/// Checks what is said to be in an object's way. `scene` is what the process may have known since it began to look into that;
/// `is_gone`: whether it was ever told that there is no such connection.
pub fn check_reasons(scene: &Scene, told: Told<'_>, is_gone: impl Fn(&Named) -> bool, violations: &mut Vec<Violation>) {
    let (object, key) = (told.old, told.old.key());
    let tenants = scene.tenants.get(object.spec.tenant_ref.name.as_deref().unwrap_or("default"));
    let labels = scene.namespaces.get(&object.metadata.namespace);
    let some_labels = || labels.into_iter().flatten().flatten();
    let mut some_tenants = tenants.into_iter().flatten().flatten();
    if told.newly("Ready", "NotPermitted").is_some() {
        let denies = some_tenants.clone().any(|tenant| {
            some_labels().any(|labels| match &object.spec.connection.name {
                Some(name) => tenant.admits(labels, name).is_none(),
                // Its name is not known here.
                None => true,
            })
        });
        if !denies {
            violations
                .push(Violation::of(Law::True, format!("{key} is told that it is not permitted, and nothing that was known forbids it")));
        }
    }
    if told.newly("Ready", "TenantNotFound").is_some() && tenants.is_some_and(|versions| versions.iter().all(Option::is_some)) {
        let text = format!("{key} is told that its tenant object does not exist, which its process had to know");
        violations.push(Violation::of(Law::True, text));
    }
    if told.newly("ResolvedRefs", "ConnectionNotFound").is_some() {
        // Who names an id is not told whether there is such a connection where it is not admitted to it.
        let may_hide =
            object.spec.connection.id.is_some() && !some_tenants.all(|tenant| some_labels().all(|labels| tenant.admits_to_all(labels)));
        if !may_hide && !is_gone(&object.spec.connection) {
            let text = format!("{key} is told that its connection does not exist, and Auth0 never said so");
            violations.push(Violation::of(Law::True, text));
        }
    }
}

/// The states of a parameter that an object has.
const HAS: [&str; 2] = ["InSync", "Applied"];

/// Whether a status says that its object has a parameter, or had it, and still records it.
fn is_had(param: &Param) -> bool {
    param.applied == Some(true) || HAS.contains(&param.state.as_str())
}

/// The parameters on a connection that an object is told it has as they are, and was not told before.
fn arrivals<'a>(told: Told<'a>, id: &'a str) -> impl Iterator<Item = &'a Param> {
    let had = move |name: &str| told.old.params_on(id).any(|before| before.name == *name && is_had(before));
    told.sent.params_on(id).filter(move |param| param.state == "InSync" && !had(&param.name))
}

/// Whether an object is told that it has anything as it is on a connection, so that [`check_arrivals`] may have something to say. One that
/// gives up something else there with the same write may get it from the very one who takes that over: one of them is told first.
pub fn arrives(told: Told<'_>, id: &str) -> bool {
    let keeps = |name: &str| told.sent.params_on(id).any(|param| param.name == *name && !param.owned.is_empty());
    let gives_up = || told.old.params_on(id).any(|param| !param.owned.is_empty() && !keeps(&param.name));
    arrivals(told, id).next().is_some() && !gives_up()
}

/// Checks what an object is told to have: that nobody else who had it has a record of it yet, and might come back to it. `scene` is what the
/// process may have known when it told so.
pub fn check_arrivals(scene: &Scene, told: Told<'_>, document: &Document, violations: &mut Vec<Violation>) {
    // One that only observes, or whose tenant does, is told what is there, and not that it has it.
    let is_told_as_an_observer = told.sent.condition("Ready").is_some_and(|ready| ready.reason == "Observing");
    if is_told_as_an_observer || !scene.is_bound_by(told.old, document, Unseen::Keeps) {
        return;
    }
    for param in arrivals(told, &document.id) {
        let Some(entry) = document.params.get(&param.name).and_then(|live| canonical_text(live)) else { continue };
        let print = fingerprint(&scene.host, &document.id, &param.name, &entry);
        let records = |object: &Object| {
            let has = |other: &Param| other.name == param.name && other.owned.contains(&print) && is_had(other);
            object.params_on(&document.id).any(has)
        };
        if !records(told.sent) {
            continue;
        }
        let is_other =
            |object: &Object| object.metadata.uid != told.old.metadata.uid && object.spec.tenant_ref.name == told.old.spec.tenant_ref.name;
        // One that is being deleted and leaves all as it is does not come back.
        let may_come_back =
            |object: &Object| !object.is_deleting() || (object.has_finalizer() && scene.is_bound_by(object, document, Unseen::Keeps));
        let still =
            |versions: &&Vec<Arc<Object>>| versions.iter().all(|object| is_other(object) && records(object) && may_come_back(object));
        if let Some(other) = scene.objects.values().find(still).and_then(|versions| versions.last()) {
            let text = format!(
                "{} is told to have {} of {}, of which {} has a record yet",
                told.old.key(),
                param.name,
                document.name,
                other.key()
            );
            violations.push(Violation::of(Law::OneOwner, text));
        }
    }
}

/// Checks what an object records anew of a connection: not what another has, who may keep it.
pub fn check_records(scene: &Scene, told: Told<'_>, document: &Document, violations: &mut Vec<Violation>) {
    let (old, sent) = (told.old, told.sent);
    for param in sent.params_on(&document.id) {
        let Some(live) = document.params.get(&param.name) else { continue };
        let Some(entry) = canonical_text(live) else { continue };
        let print = fingerprint(&scene.host, &document.id, &param.name, &entry);
        let before = || old.params_on(&document.id).filter(|before| before.name == param.name);
        let had: Vec<&String> = before().flat_map(|before| &before.owned).collect();
        let others = || scene.objects.iter().filter(|(uid, _)| **uid != old.metadata.uid).map(|(_, versions)| versions);
        let keeper = others().find(|versions| versions.iter().all(|object| scene.keeps(object, document, &param.name, live)));
        if let Some(keeper) = keeper.and_then(|versions| versions.last())
            && param.owned.iter().any(|print| !had.contains(&print))
            && !had.contains(&&print)
        {
            let text = format!("{} records {} of {}, which {} has and keeps", old.key(), param.name, document.name, keeper.key());
            violations.push(Violation::of(Law::OneOwner, text));
        }
    }
}
