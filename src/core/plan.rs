//! What one connection needs: all objects that name it or hold a record on it, planned together, into one PATCH.
//!
//! Guarantees, for each parameter name:
//! - at most one object sets it, and which one does not depend on the order the objects come in;
//! - a live value that no record proves to be ours is replaced only where the object says `Overwrite` or the
//!   parameter was in sync here before, and is never removed;
//! - a parameter that one object gives up and another wants changes hands in one PATCH;
//! - an object that only observes neither takes part nor holds anything, and is told what taking part would do;
//! - nothing is planned where nothing differs.
//!
//! Assumes: the caller has checked each object's access, validity and policies, and says so by its [`Role`].

use std::collections::{BTreeMap, BTreeSet};

use super::claims::{self, Claim, Place};
use super::document::{Entry, Live};
use super::world::{Declared, ObjectKey, Uid};

/// What an object may do on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names this connection, and may write.
    Owner,
    /// Names this connection, and only wants to know what writing would do.
    Observer,
    /// Is being deleted, or names another connection where it was accepted: what it owns here goes.
    Leaver,
    /// Holds what it owns and writes nothing: it became invalid, was rejected, or is still to be accepted elsewhere.
    Holder,
}

/// One object's part in a connection.
#[derive(Clone, Copy, Debug)]
pub struct Participant<'a> {
    /// The object.
    pub object: &'a Declared,
    /// What it may do.
    pub role: Role,
}

/// The connection as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Where.
    pub place: Place<'a>,
    /// The live parameters.
    pub live: &'a BTreeMap<String, Live>,
    /// Names that are corrected too often at the moment: left alone until they cool down.
    pub contended: &'a BTreeSet<String>,
}

/// What is to be done about one parameter of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The live value is the declared one.
    InSync,
    /// Is to be set. `drift`: it was in sync here before, and somebody changed it.
    Write {
        /// Whether this corrects somebody's change.
        drift: bool,
        /// Whether the name is not there at all.
        absent: bool,
    },
    /// Is ours and no longer wanted: to be removed.
    Remove,
    /// Is recorded as ours and already gone.
    Gone,
    /// Was recorded as ours, and another object has it now.
    Handed,
    /// Was recorded as ours and holds a value that is not: left alone, no longer recorded.
    Left,
    /// Somebody else set another value before us.
    ExistingValue,
    /// Another object owns or claims the name.
    Conflicted(ObjectKey),
    /// Is being changed back again and again: left alone for a while.
    Contended,
}

/// One parameter of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamPlan {
    /// What is to be done.
    pub verdict: Verdict,
    /// The record as it is.
    pub before: Vec<String>,
    /// The record to store before the write: for a new value it holds the new fingerprint already.
    pub claim: Vec<String>,
    /// The record once the plan is carried out.
    pub after: Vec<String>,
    /// Whether the parameter was in sync here before.
    pub applied: bool,
}

/// One change of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new entry; `None` removes.
    pub entry: Option<Entry>,
    /// The object that wants it, or the first that gives it up.
    pub actor: Uid,
    /// The other objects whose record this change touches.
    pub others: Vec<Uid>,
    /// Whether it corrects somebody's change.
    pub drift: bool,
}

impl Change {
    fn is_for(&self, object: &Uid) -> bool {
        &self.actor == object || self.others.contains(object)
    }
}

/// A plan for one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to write, by parameter name.
    pub changes: BTreeMap<String, Change>,
    /// What is to be written by a later pass.
    pub deferred: BTreeMap<String, Change>,
    /// What it means for each object that takes part, by parameter name.
    pub objects: BTreeMap<Uid, BTreeMap<String, ParamPlan>>,
}

impl Plan {
    /// The entries to hand to [`super::document::Document::patch_body`].
    pub fn entries(&self) -> BTreeMap<String, Option<Entry>> {
        self.changes.iter().map(|(name, change)| (name.clone(), change.entry.clone())).collect()
    }

    /// The objects whose changes these are, the first to act first.
    pub fn actors(&self) -> Vec<Uid> {
        let actors: BTreeSet<&Uid> = self.changes.values().map(|change| &change.actor).collect();
        actors.into_iter().cloned().collect()
    }

    /// Every object that is acted for: each stores its claim before the write.
    pub fn acted_for(&self) -> BTreeSet<Uid> {
        self.changes.values().flat_map(|change| std::iter::once(&change.actor).chain(&change.others)).cloned().collect()
    }

    /// Leaves the changes of one object only, so that a value the API refuses blocks nobody else's.
    pub fn retain_actor(&mut self, actor: &Uid) {
        let (now, later) = std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| &change.actor == actor);
        self.changes = now;
        self.deferred = later;
    }

    /// Every object that is acted for: those of one change after those of the other.
    pub fn acted_for_in_order(&self) -> Vec<Uid> {
        let mut seen = BTreeSet::new();
        let all = self.changes.values().flat_map(|change| std::iter::once(&change.actor).chain(&change.others));
        all.filter(|uid| seen.insert(*uid)).cloned().collect()
    }

    /// Leaves the changes for which every object that is acted for has stored its claim.
    pub fn retain_claimed(&mut self, claimed: &BTreeSet<Uid>) {
        let all = |change: &Change| std::iter::once(&change.actor).chain(&change.others).all(|uid| claimed.contains(uid));
        let (now, later): (_, BTreeMap<_, _>) = std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| all(change));
        self.changes = now;
        self.deferred.extend(later);
    }

    /// What an object stores before the write: the records of the names that change for it.
    pub fn claims_of(&self, object: &Uid) -> BTreeMap<String, Vec<String>> {
        let params = self.objects.get(object).into_iter().flatten();
        params.filter(|(name, _)| self.touches(name, object)).map(|(name, param)| (name.clone(), param.claim.clone())).collect()
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

/// Plans a connection. `all_observe`: the tenant only observes, so the observers are told what all of them would do together.
pub fn plan(site: Site<'_>, participants: &[Participant<'_>], all_observe: bool) -> Plan {
    let acting: Vec<Participant<'_>> = participants.iter().filter(|part| part.role != Role::Observer).copied().collect();
    let mut plan = decide(site, &acting);
    for observer in participants.iter().filter(|part| part.role == Role::Observer) {
        let simulated = if all_observe {
            participants.iter().copied().map(promoted).collect()
        } else {
            let mut simulated = acting.clone();
            simulated.push(promoted(*observer));
            simulated
        };
        let uid = &observer.object.uid;
        let seen = decide(site, &simulated).objects.remove(uid).unwrap_or_default();
        plan.objects.insert(uid.clone(), observed(seen, &claims::on(&observer.object.status, site.place.connection)));
    }
    plan
}

fn promoted(part: Participant<'_>) -> Participant<'_> {
    let role = if part.role == Role::Observer { Role::Owner } else { part.role };
    Participant { role, ..part }
}

/// What an observer is told: the verdicts, with the record as it was. Observing never makes anything ours.
fn observed(seen: BTreeMap<String, ParamPlan>, records: &BTreeMap<String, Claim>) -> BTreeMap<String, ParamPlan> {
    let carried = |(name, param): (String, ParamPlan)| {
        let owned = records.get(&name).map(|claim| claim.owned.clone()).unwrap_or_default();
        (name, ParamPlan { before: owned.clone(), claim: owned.clone(), after: owned, ..param })
    };
    seen.into_iter().map(carried).collect()
}

/// A participant with what it claims here.
struct Side<'a> {
    part: Participant<'a>,
    claims: BTreeMap<String, Claim>,
}

impl<'a> Side<'a> {
    fn new(part: Participant<'a>, place: Place<'_>) -> Self {
        let status = &part.object.status;
        let mut claims = claims::on(status, place.connection);
        if part.role == Role::Leaver && part.object.deleting && part.object.finalizer && !claims::any(status) {
            claims = restored(part.object, place);
        }
        Self { part, claims }
    }

    fn wants(&self, name: &str) -> Option<&'a Entry> {
        match (&self.part.object.spec, self.part.role) {
            (Ok(spec), Role::Owner) => spec.params.get(name),
            _ => None,
        }
    }

    fn claim(&self, name: &str) -> Claim {
        self.claims.get(name).cloned().unwrap_or_default()
    }

    fn holds(&self, name: &str) -> bool {
        self.claims.get(name).is_some_and(|claim| !claim.owned.is_empty())
    }

    /// Whether its record proves the live value to be its own.
    fn proves(&self, site: Site<'_>, name: &str) -> bool {
        site.place.owns(&self.claim(name).owned, name, site.live.get(name))
    }
}

/// The record of an object that is being deleted and whose status was lost, as after a restored backup: our finalizer
/// says that it once owned something, and a live value that equals its spec is that.
fn restored(object: &Declared, place: Place<'_>) -> BTreeMap<String, Claim> {
    let params = object.spec.iter().flat_map(|spec| &spec.params);
    params.map(|(name, entry)| (name.clone(), Claim { owned: vec![place.fingerprint(name, entry)], applied: false })).collect()
}

fn decide(site: Site<'_>, participants: &[Participant<'_>]) -> Plan {
    let mut sides: Vec<Side<'_>> = participants.iter().map(|part| Side::new(*part, site.place)).collect();
    sides.sort_by_key(|side| side.part.object.rank());
    let declared =
        |side: &Side<'_>| side.part.object.spec.as_ref().map(|spec| spec.params.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let names: BTreeSet<String> = sides.iter().flat_map(|side| side.claims.keys().cloned().chain(declared(side))).collect();
    let mut plan = Plan::default();
    for side in &sides {
        // An object that takes part is concluded, also when it has nothing left here.
        if side.part.role != Role::Holder {
            plan.objects.entry(side.part.object.uid.clone()).or_default();
        }
    }
    for name in &names {
        settle(site, &sides, name, &mut plan);
    }
    plan
}

/// Decides about one name.
fn settle(site: Site<'_>, sides: &[Side<'_>], name: &str, plan: &mut Plan) {
    let wanting = |side: &&Side<'_>| side.wants(name).is_some();
    let master = master(site, sides, name);
    let winner = master.filter(wanting);
    let releasing: Vec<&Side<'_>> =
        sides.iter().filter(|side| side.part.role != Role::Holder && side.holds(name) && !wanting(side)).collect();
    let sets = winner.is_some_and(|winner| award(site, winner, &releasing, name, plan));
    for loser in sides.iter().filter(wanting).filter(|side| Some(&side.part.object.uid) != winner.map(|winner| &winner.part.object.uid)) {
        let by = master.map(|side| side.part.object.key.clone()).unwrap_or_default();
        note(plan, loser, name, Verdict::Conflicted(by), Vec::new(), Vec::new());
    }
    if sets || (winner.is_none() && master.is_some_and(|holder| holder.proves(site, name))) {
        for side in releasing {
            note(plan, side, name, Verdict::Handed, side.claim(name).owned, Vec::new());
        }
    } else {
        // Also where somebody keeps the name: what it can't prove to be its own is not what it keeps.
        release(site, &releasing, name, plan);
    }
}

/// Whose name it is: a holder that still wants it, one that can't act, else the first that wants it.
///
/// Two may hold a record, when a hand-over was cut short between the claims and the write: the record that proves the
/// live value is the valid one.
fn master<'s, 'a>(site: Site<'_>, sides: &'s [Side<'a>], name: &str) -> Option<&'s Side<'a>> {
    let wanting = |side: &&Side<'_>| side.wants(name).is_some();
    let holder = |side: &&Side<'_>| side.part.role == Role::Holder && side.holds(name);
    let proves = |side: &&Side<'_>| side.proves(site, name);
    let first = sides.iter().filter(wanting).find(proves).or_else(|| sides.iter().filter(holder).find(proves));
    let held = || sides.iter().filter(wanting).find(|side| side.holds(name)).or_else(|| sides.iter().find(holder));
    first.or_else(held).or_else(|| sides.iter().find(wanting))
}

/// The winner of a name sets it, or is told why not. Yields whether the value is its own from then on.
fn award(site: Site<'_>, winner: &Side<'_>, releasing: &[&Side<'_>], name: &str, plan: &mut Plan) -> bool {
    let Some(entry) = winner.wants(name) else { return false };
    let live = site.live.get(name);
    let new = site.place.fingerprint(name, entry);
    let claim = winner.claim(name);
    let verdict = judge(site, winner, releasing, name, entry);
    let (claimed, after) = match verdict {
        Verdict::InSync => (vec![new.clone()], vec![new]),
        Verdict::Write { .. } => {
            let live = live.and_then(|live| match live {
                Live::Entry(entry) => Some(site.place.fingerprint(name, entry)),
                Live::Foreign => None,
            });
            (claims::with(&claim.owned, &new, live.as_deref()), vec![new])
        }
        Verdict::Remove
        | Verdict::Gone
        | Verdict::Handed
        | Verdict::Left
        | Verdict::ExistingValue
        | Verdict::Conflicted(_)
        | Verdict::Contended => (claim.owned.clone(), claim.owned),
    };
    if let Verdict::Write { drift, .. } = verdict {
        let others = releasing.iter().map(|side| side.part.object.uid.clone()).collect();
        let change = Change { entry: Some(entry.clone()), actor: winner.part.object.uid.clone(), others, drift };
        plan.changes.insert(name.to_owned(), change);
    }
    let sets = matches!(verdict, Verdict::InSync | Verdict::Write { .. });
    note(plan, winner, name, verdict, claimed, after);
    sets
}

fn judge(site: Site<'_>, winner: &Side<'_>, releasing: &[&Side<'_>], name: &str, entry: &Entry) -> Verdict {
    let live = site.live.get(name);
    if live == Some(&Live::Entry(entry.clone())) {
        return Verdict::InSync;
    }
    let claim = winner.claim(name);
    let absent = live.is_none();
    let ours =
        site.place.owns(&claim.owned, name, live) || releasing.iter().any(|side| site.place.owns(&side.claim(name).owned, name, live));
    if ours {
        return Verdict::Write { drift: false, absent };
    }
    if claim.applied {
        return if site.contended.contains(name) { Verdict::Contended } else { Verdict::Write { drift: true, absent } };
    }
    if absent || winner.part.object.overwrites() { Verdict::Write { drift: false, absent } } else { Verdict::ExistingValue }
}

/// Nobody wants the name any more: what is provably ours goes, the rest is left.
fn release(site: Site<'_>, releasing: &[&Side<'_>], name: &str, plan: &mut Plan) {
    let live = site.live.get(name);
    let (ours, rest): (Vec<&&Side<'_>>, Vec<_>) = releasing.iter().partition(|side| site.place.owns(&side.claim(name).owned, name, live));
    for side in &ours {
        note(plan, side, name, Verdict::Remove, side.claim(name).owned, Vec::new());
    }
    for side in rest {
        let verdict = match (live, ours.is_empty()) {
            (None, _) => Verdict::Gone,
            (Some(_), true) => Verdict::Left,
            (Some(_), false) => Verdict::Handed,
        };
        note(plan, side, name, verdict, side.claim(name).owned, Vec::new());
    }
    if let Some((first, others)) = ours.split_first() {
        let others = others.iter().map(|side| side.part.object.uid.clone()).collect();
        let change = Change { entry: None, actor: first.part.object.uid.clone(), others, drift: false };
        plan.changes.insert(name.to_owned(), change);
    }
}

fn note(plan: &mut Plan, side: &Side<'_>, name: &str, verdict: Verdict, claim: Vec<String>, after: Vec<String>) {
    let Claim { owned: before, applied } = side.claim(name);
    let params = plan.objects.entry(side.part.object.uid.clone()).or_default();
    params.insert(name.to_owned(), ParamPlan { verdict, before, claim, after, applied });
}

#[cfg(test)]
mod tests;
