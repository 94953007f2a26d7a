//! The plan as a value: what it says of each object, and what is left of it where not everybody could store a claim.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Decision;
use super::{Change, ParamPlan, Verdict};
use crate::model::document::Entry;
use crate::model::identity::{Fingerprint, ObjectKey, Uid};

/// A plan for one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to write, by parameter name.
    pub changes: BTreeMap<String, Change>,
    /// What is to be written by a later pass.
    pub deferred: BTreeMap<String, Change>,
    /// What it means for each object that takes part, by parameter name.
    pub objects: BTreeMap<Uid, BTreeMap<String, ParamPlan>>,
    /// Names that an object takes over as they are, while others have a record of them: nothing is written at Auth0, and the
    /// claim is stored all the same, so that the value is in a record at every moment.
    pub adopted: BTreeMap<String, Uid>,
    /// Names that an object has as they are from now on, while others have a record of them, which goes. Of those that are not adopted
    /// it has stored its claim before.
    pub handed: BTreeMap<String, Uid>,
    /// Names that others keep from now on, by the object whose record of them goes.
    pub lost: BTreeMap<Uid, BTreeSet<String>>,
    /// Who would adopt a name and has not stored its claim: it comes with a later pass.
    pub unadopted: BTreeSet<Uid>,
    /// Whether the changes were written, and the answer showed them.
    pub written: bool,
    /// What observers would change, by name and object.
    pub would: BTreeMap<(String, Uid), Change>,
    /// Who takes part, as people call it.
    pub(super) keys: BTreeMap<Uid, ObjectKey>,
    /// Who has each name from now on, while it is being planned.
    pub(super) keepers: BTreeMap<String, Uid>,
    /// The names whose new value replaces one that no record proves to be ours, and that is no drift: what `Overwrite` does.
    pub overwritten: BTreeSet<String>,
}

impl Plan {
    /// The entries to hand to [`crate::model::document::Document::patch_body`].
    pub fn entries(&self) -> BTreeMap<String, Option<Entry>> {
        self.changes.iter().map(|(name, change)| (name.clone(), change.entry.clone())).collect()
    }

    /// Takes in what was decided about a name.
    pub(super) fn take_in(&mut self, name: String, decision: Decision) {
        let Decision { params, change, keeper, lost } = decision;
        for (uid, param) in params {
            self.objects.entry(uid).or_default().insert(name.clone(), param);
        }
        for uid in lost {
            self.lost.entry(uid).or_default().insert(name.clone());
        }
        self.changes.extend(change.map(|change| (name.clone(), change)));
        self.keepers.extend(keeper.map(|keeper| (name, keeper)));
    }

    /// What people call an object that takes part.
    pub(crate) fn key_of(&self, object: &Uid) -> Option<&ObjectKey> {
        self.keys.get(object)
    }

    /// The objects whose changes these are, the first to act first.
    pub fn actors(&self) -> Vec<Uid> {
        let actors: BTreeSet<&Uid> = self.changes.values().map(|change| &change.actor).collect();
        actors.into_iter().cloned().collect()
    }

    /// The objects that want the changes: what Auth0 says of these, it says to them.
    pub fn authors(&self) -> BTreeSet<&Uid> {
        self.changes.values().flat_map(Change::wanted_by).collect()
    }

    /// Whether a change is made for this object now, or the object gives way to it.
    pub fn changes_for(&self, object: &Uid) -> bool {
        self.changes.values().any(|change| change.is_for(object))
    }

    /// Whether somebody gives way to a change: without it, that one's own is still to be made.
    pub fn has_givers(&self) -> bool {
        let authors = self.authors();
        self.changes.values().flat_map(Change::acted_for).any(|uid| !authors.contains(uid))
    }

    /// Whether nothing has to be written, neither at Auth0 nor as a claim.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.adopted.is_empty()
    }

    /// Every object that is acted for: each stores its claim before the write.
    pub fn acted_for(&self) -> BTreeSet<Uid> {
        self.changes.values().flat_map(Change::acted_for).chain(self.adopted.values()).cloned().collect()
    }

    /// Who takes a name over as it is, each once, however many names that are.
    pub fn adopters(&self) -> BTreeSet<Uid> {
        self.adopted.values().cloned().collect()
    }

    /// Whether an object has a name as it is from now on, of which the record of another has to go first.
    pub fn adopts(&self, object: &Uid) -> bool {
        self.handed.values().any(|adopter| adopter == object)
    }

    /// Who has a record of a name that another has as it is from now on.
    pub fn losers(&self) -> BTreeSet<Uid> {
        let hands = |name: &String, params: &BTreeMap<String, ParamPlan>| {
            let gives = |param: &ParamPlan| {
                param.verdict == Verdict::Handed || matches!(param.verdict, Verdict::Conflicted(_)) && !param.before.is_empty()
            };
            params.get(name).is_some_and(gives)
        };
        let handing = self.objects.iter().filter(|(_, params)| self.handed.keys().any(|name| hands(name, params))).map(|(uid, _)| uid);
        let losing = self.lost.iter().filter(|(_, names)| names.iter().any(|name| self.handed.contains_key(name))).map(|(uid, _)| uid);
        handing.chain(losing).cloned().collect()
    }

    /// The names of which this object's record goes now: they are another's already, or are since the changes were written.
    pub fn losses(&self, object: &Uid) -> BTreeSet<String> {
        let names = self.lost.get(object).into_iter().flatten();
        let gone = |name: &&String| (self.written || !self.changes.contains_key(*name)) && !self.deferred.contains_key(*name);
        names.filter(gone).cloned().collect()
    }

    /// One object's part of the plan, as it is to be concluded.
    pub fn part(&self, object: &Uid) -> BTreeMap<String, ParamPlan> {
        let mut params = self.objects.get(object).cloned().unwrap_or_default();
        for name in self.losses(object) {
            match params.get_mut(&name) {
                Some(param) if param.verdict == Verdict::Handed => drop(params.remove(&name)),
                Some(param) => {
                    for record in [&mut param.before, &mut param.claim, &mut param.after] {
                        record.clear();
                    }
                    param.applied = false;
                }
                None => {}
            }
        }
        params
    }

    /// Leaves the changes of these objects only, so that a value the API refuses blocks nobody else's.
    pub fn retain_actors(&mut self, actors: &BTreeSet<Uid>) {
        let (now, later) = std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| actors.contains(&change.actor));
        self.changes = now;
        self.deferred = later;
    }

    /// Every object that is acted for: those of one change after those of the other.
    pub fn acted_for_in_order(&self) -> Vec<Uid> {
        let mut seen = BTreeSet::new();
        let all = self.changes.values().flat_map(Change::acted_for).chain(self.adopted.values());
        all.filter(|uid| seen.insert(*uid)).cloned().collect()
    }

    /// Leaves the changes for which every object that is acted for has stored its claim.
    pub fn retain_claimed(&mut self, claimed: &BTreeSet<Uid>) {
        let all = |change: &Change| change.acted_for().all(|uid| claimed.contains(uid));
        let (now, later): (_, BTreeMap<_, _>) = std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| all(change));
        self.changes = now;
        self.deferred.extend(later);
    }

    /// Leaves the names whose adopter has stored its claim; the others stay whose they are until a later pass.
    pub fn retain_adopted(&mut self, claimed: &BTreeSet<Uid>) {
        let (now, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.adopted).into_iter().partition(|(_, adopter)| claimed.contains(adopter));
        self.adopted = now;
        for (name, adopter) in later {
            let hands = |params: &BTreeMap<String, ParamPlan>| params.get(&name).is_some_and(|param| param.verdict == Verdict::Handed);
            let others = self.objects.iter().filter(|(_, params)| hands(params)).map(|(uid, _)| uid.clone()).collect();
            self.unadopted.insert(adopter.clone());
            self.deferred.insert(name, Change { from: None, entry: None, actor: adopter, others, drift: false });
        }
    }

    /// Leaves to a later pass what this object has as it is from now on, as others have a record of it yet. What it had before it has.
    pub fn defer_handed(&mut self, adopter: &Uid) {
        let part = self.objects.get(adopter);
        let is_new = |name: &String| part.and_then(|params| params.get(name)).is_some_and(|param| !param.applied);
        for name in self.handed.iter().filter(|(name, uid)| *uid == adopter && is_new(name)).map(|(name, _)| name) {
            let change = || Change { from: None, entry: None, actor: adopter.clone(), others: Vec::new(), drift: false };
            self.deferred.entry(name.clone()).or_insert_with(change);
        }
    }

    /// What an object stores before the write: the records of the names that change for it.
    pub fn claims_of(&self, object: &Uid) -> BTreeMap<String, Vec<Fingerprint>> {
        let params = self.objects.get(object).into_iter().flatten();
        let claimed = |name: &String| self.touches(name, object) || self.adopted.get(name) == Some(object);
        params.filter(|(name, _)| claimed(name)).map(|(name, param)| (name.clone(), param.claim.clone())).collect()
    }

    /// The names that the write removes for an object.
    pub fn removed_for(&self, object: &Uid) -> BTreeSet<String> {
        let removals = self.changes.iter().filter(|(_, change)| change.entry.is_none() && change.is_for(object));
        removals.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a change of this name is made for this object now.
    pub fn touches(&self, name: &str, object: &Uid) -> bool {
        self.changes.get(name).is_some_and(|change| change.is_for(object))
    }

    /// Whether a change of this name is made for this object by a later pass.
    pub fn defers(&self, name: &str, object: &Uid) -> bool {
        self.deferred.get(name).is_some_and(|change| change.is_for(object))
    }
}
