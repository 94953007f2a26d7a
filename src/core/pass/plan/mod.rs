//! What one connection needs: all objects that name it or hold a record on it, planned together, into one PATCH.
//!
//! Guarantees, for each parameter name:
//! - at most one object sets it, and which one does not depend on the order the objects come in;
//! - a live value that no record proves to be ours is replaced only where the object says `Overwrite` or the
//!   parameter was in sync here before, and is removed only where an object that is deleted has lost its record and
//!   declares exactly that value;
//! - a parameter that one object gives up and another wants changes hands in one PATCH;
//! - an object that only observes or is not admitted neither takes part nor holds anything; its record stays until
//!   another object takes the name over, and goes then;
//! - a record passes from one object to another only by way of a claim, also where nothing has to be written;
//! - nothing is planned where nothing differs.
//!
//! Assumes: the caller has checked each object's access, validity and policies, and says so by its [`Role`].

use std::collections::{BTreeMap, BTreeSet};

use crate::core::pass::claims::{self, Claim, Place};
use crate::core::world::Declared;
use crate::model::document::{Entry, Live};
use crate::model::identity::{Fingerprint, ObjectKey, Uid};

/// What an object may do on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names this connection, and may write.
    Owner,
    /// Names this connection, and only wants to know what writing would do.
    Observer,
    /// Is being deleted, or names another connection where it was accepted: what it owns here goes.
    Leaver,
    /// Holds what it owns and writes nothing: it became invalid or was rejected.
    Holder,
    /// Names another connection and is still to be accepted there: what it owns stays until then, but for what another
    /// object declares here.
    Mover,
    /// Has a record here and no say: it only observes, or is not admitted any more. It keeps the record until another
    /// object takes the name over.
    Bystander,
}

impl Role {
    /// Whether it has a say in what is written.
    fn acts(self) -> bool {
        match self {
            Self::Owner | Self::Leaver | Self::Holder | Self::Mover => true,
            Self::Observer | Self::Bystander => false,
        }
    }
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
    /// What is known of the names that somebody keeps changing.
    pub disputes: &'a BTreeMap<String, Dispute>,
    /// Whether a write of ours without an answer may still take effect: then what is live is not the last word, and no
    /// record of what it may set goes.
    pub unsettled: bool,
}

/// What is known of a parameter that somebody keeps changing and that is set back each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The object for which it is set back, and its generation: another one has no part in the dispute.
    pub owner: Uid,
    /// See `owner`.
    pub generation: i64,
    /// How often it was set back within the last hour.
    pub times: usize,
    /// When it was set back first within the last hour.
    pub since: Option<jiff::Timestamp>,
    /// Until when another value is left alone.
    pub until: Option<jiff::Timestamp>,
    /// Whether another value is left alone now.
    pub holds: bool,
    /// Whether a correction waits now, because the last one is less than a minute ago.
    pub paces: bool,
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
    /// Somebody sets another value again and again: left alone for a while.
    Contended,
    /// Was changed by somebody else, and is set back a minute after the last time.
    Paced {
        /// Whether the name is not there at all.
        absent: bool,
    },
}

/// One parameter of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamPlan {
    /// What is to be done.
    pub verdict: Verdict,
    /// The record as it is.
    pub before: Vec<Fingerprint>,
    /// The record to store before the write: for a new value it holds the new fingerprint already.
    pub claim: Vec<Fingerprint>,
    /// The record once the plan is carried out.
    pub after: Vec<Fingerprint>,
    /// Whether the parameter was in sync here before.
    pub applied: bool,
    /// That somebody keeps changing it, with this pass' own correction counted.
    pub dispute: Option<Dispute>,
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

/// What a change does to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was not there.
    Adds,
    /// It had another value.
    Changes,
    /// It goes.
    Removes,
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
    /// Names that an object takes over as they are, while others have a record of them: nothing is written at Auth0, and the
    /// claim is stored all the same, so that the value is in a record at every moment.
    pub adopted: BTreeMap<String, Uid>,
    /// Names that others keep from now on, by the object whose record of them goes.
    pub lost: BTreeMap<Uid, BTreeSet<String>>,
    /// Who would adopt a name and has not stored its claim: it comes with a later pass.
    pub unadopted: BTreeSet<Uid>,
    /// Whether the changes were written, and the answer showed them.
    pub written: bool,
    /// Who has each name from now on, while it is being planned.
    keepers: BTreeMap<String, Uid>,
    /// The names whose new value replaces one that no record proves to be ours, and that is no drift: what `Overwrite` does.
    pub overwritten: BTreeSet<String>,
}

impl Plan {
    /// The entries to hand to [`crate::model::document::Document::patch_body`].
    pub fn entries(&self) -> BTreeMap<String, Option<Entry>> {
        self.changes.iter().map(|(name, change)| (name.clone(), change.entry.clone())).collect()
    }

    /// What the change of this name does, if there is one.
    pub fn effect(&self, name: &str) -> Option<Effect> {
        let change = self.changes.get(name)?;
        let verdict = self.objects.get(&change.actor).and_then(|params| params.get(name)).map(|param| &param.verdict);
        Some(match (&change.entry, verdict) {
            (None, _) => Effect::Removes,
            (Some(_), Some(Verdict::Write { absent: true, .. })) => Effect::Adds,
            (Some(_), _) => Effect::Changes,
        })
    }

    /// The objects whose changes these are, the first to act first.
    pub fn actors(&self) -> Vec<Uid> {
        let actors: BTreeSet<&Uid> = self.changes.values().map(|change| &change.actor).collect();
        actors.into_iter().cloned().collect()
    }

    /// Whether nothing has to be written, neither at Auth0 nor as a claim.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.adopted.is_empty()
    }

    /// Every object that is acted for: each stores its claim before the write.
    pub fn acted_for(&self) -> BTreeSet<Uid> {
        let changed = self.changes.values().flat_map(|change| std::iter::once(&change.actor).chain(&change.others));
        changed.chain(self.adopted.values()).cloned().collect()
    }

    /// Whether an object takes a name over as it is, whose old record has to go first.
    pub fn adopts(&self, object: &Uid) -> bool {
        self.adopted.values().any(|adopter| adopter == object)
    }

    /// Who has a record of a name that another takes over as it is.
    pub fn losers(&self) -> BTreeSet<Uid> {
        let hands =
            |name: &String, params: &BTreeMap<String, ParamPlan>| params.get(name).is_some_and(|param| param.verdict == Verdict::Handed);
        let handing = self.objects.iter().filter(|(_, params)| self.adopted.keys().any(|name| hands(name, params))).map(|(uid, _)| uid);
        let losing = self.lost.iter().filter(|(_, names)| names.iter().any(|name| self.adopted.contains_key(name))).map(|(uid, _)| uid);
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

    /// Leaves the changes of one object only, so that a value the API refuses blocks nobody else's.
    pub fn retain_actor(&mut self, actor: &Uid) {
        let (now, later) = std::mem::take(&mut self.changes).into_iter().partition(|(_, change)| &change.actor == actor);
        self.changes = now;
        self.deferred = later;
    }

    /// Every object that is acted for: those of one change after those of the other.
    pub fn acted_for_in_order(&self) -> Vec<Uid> {
        let mut seen = BTreeSet::new();
        let changed = self.changes.values().flat_map(|change| std::iter::once(&change.actor).chain(&change.others));
        let all = changed.chain(self.adopted.values());
        all.filter(|uid| seen.insert(*uid)).cloned().collect()
    }

    /// Leaves the changes for which every object that is acted for has stored its claim.
    pub fn retain_claimed(&mut self, claimed: &BTreeSet<Uid>) {
        let all = |change: &Change| std::iter::once(&change.actor).chain(&change.others).all(|uid| claimed.contains(uid));
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
            self.deferred.insert(name, Change { entry: None, actor: adopter, others, drift: false });
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

/// Plans a connection. `all_observe`: the tenant only observes, so the observers are told what all of them would do together.
pub fn plan(site: Site<'_>, participants: &[Participant<'_>], all_observe: bool) -> Plan {
    let acting = || participants.iter().filter(|part| part.role.acts()).map(|part| Side::new(*part, site.place));
    let mut plan = decide(site, acting().collect());
    lose(&mut plan, site, participants);
    for observer in participants.iter().filter(|part| part.role == Role::Observer) {
        let uid = &observer.object.uid;
        let mut simulated: Vec<Side<'_>> = if all_observe {
            let others = participants.iter().filter(|part| part.object.uid != *uid);
            others.map(|part| Side::new(promoted(*part), site.place)).collect()
        } else {
            acting().collect()
        };
        let mut own = Side::new(promoted(*observer), site.place);
        // What another object has taken over is not its own any more.
        own.claims.retain(|name, _| plan.lost.get(uid).is_none_or(|lost| !lost.contains(name)));
        simulated.push(own);
        let seen = decide(site, simulated).objects.remove(uid).unwrap_or_default();
        plan.objects.insert(uid.clone(), observed(seen, &claims::on(&observer.object.status, site.place.connection)));
    }
    plan
}

fn promoted(part: Participant<'_>) -> Participant<'_> {
    let role = if part.role == Role::Observer { Role::Owner } else { part.role };
    Participant { role, ..part }
}

/// Notes whose record of a name goes, because another object keeps the name from now on. Who acts is told in its part of
/// the plan; this is for those who have a record and no part in the name.
fn lose(plan: &mut Plan, site: Site<'_>, participants: &[Participant<'_>]) {
    let keepers = std::mem::take(&mut plan.keepers);
    for part in participants {
        let uid = &part.object.uid;
        for (name, claim) in claims::on(&part.object.status, site.place.connection) {
            let Some(keeper) = keepers.get(&name).filter(|keeper| *keeper != uid && !claim.owned.is_empty()) else { continue };
            let told = part.role != Role::Mover && plan.objects.get(uid).is_some_and(|params| params.contains_key(&name));
            if !told {
                plan.lost.entry(uid.clone()).or_default().insert(name.clone());
            }
            let kept = plan.objects.get(keeper).and_then(|params| params.get(&name));
            if kept.is_some_and(|kept| kept.verdict == Verdict::InSync && !kept.after.iter().all(|print| kept.before.contains(print))) {
                plan.adopted.insert(name, keeper.clone());
            }
        }
    }
}

/// What an observer is told: the verdicts, with the record as it was. Observing never makes anything ours.
fn observed(seen: BTreeMap<String, ParamPlan>, records: &BTreeMap<String, Claim>) -> BTreeMap<String, ParamPlan> {
    let recorded = records.iter().filter(|(_, claim)| !claim.owned.is_empty());
    let unseen = recorded.filter(|(name, _)| !seen.contains_key(*name)).map(|(name, claim)| {
        let handed = ParamPlan {
            verdict: Verdict::Handed,
            before: Vec::new(),
            claim: Vec::new(),
            after: Vec::new(),
            applied: claim.applied,
            dispute: None,
        };
        (name.clone(), handed)
    });
    let carried = |(name, param): (String, ParamPlan)| {
        let owned = records.get(&name).map(|claim| claim.owned.clone()).unwrap_or_default();
        (name, ParamPlan { before: owned.clone(), claim: owned.clone(), after: owned, ..param })
    };
    let unseen: Vec<_> = unseen.collect();
    seen.into_iter().chain(unseen).map(carried).collect()
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

fn decide(site: Site<'_>, mut sides: Vec<Side<'_>>) -> Plan {
    sides.sort_by_key(|side| side.part.object.rank());
    let declared =
        |side: &Side<'_>| side.part.object.spec.as_ref().map(|spec| spec.params.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let names: BTreeSet<String> = sides.iter().flat_map(|side| side.claims.keys().cloned().chain(declared(side))).collect();
    let mut plan = Plan::default();
    for side in &sides {
        // An object that takes part is concluded, also when it has nothing left here.
        if !matches!(side.part.role, Role::Holder | Role::Mover) {
            plan.objects.entry(side.part.object.uid.clone()).or_default();
        }
    }
    for name in &names {
        settle(site, &sides, name, &mut plan);
    }
    plan.overwritten = overwritten(site, &sides, &plan);
    plan
}

fn overwritten(site: Site<'_>, sides: &[Side<'_>], plan: &Plan) -> BTreeSet<String> {
    let sets = plan.changes.iter().filter(|(_, change)| change.entry.is_some() && !change.drift);
    let foreign = sets.filter(|(name, _)| site.live.contains_key(*name) && !sides.iter().any(|side| side.proves(site, name)));
    foreign.map(|(name, _)| name.clone()).collect()
}

/// Decides about one name.
fn settle(site: Site<'_>, sides: &[Side<'_>], name: &str, plan: &mut Plan) {
    let wanting = |side: &&Side<'_>| side.wants(name).is_some();
    let master = master(site, sides, name);
    let winner = master.filter(wanting);
    let gives = |side: &Side<'_>| match side.part.role {
        Role::Owner | Role::Observer | Role::Leaver => true,
        Role::Mover => winner.is_some(),
        Role::Holder | Role::Bystander => false,
    };
    let releasing: Vec<&Side<'_>> = sides.iter().filter(|side| gives(side) && side.holds(name) && !wanting(side)).collect();
    let sets = winner.is_some_and(|winner| award(site, winner, &releasing, name, plan));
    for loser in sides.iter().filter(wanting).filter(|side| Some(&side.part.object.uid) != winner.map(|winner| &winner.part.object.uid)) {
        let by = master.map(|side| side.part.object.key.clone()).unwrap_or_default();
        note(plan, loser, name, Verdict::Conflicted(by), Vec::new(), Vec::new());
    }
    let keeper = if sets { winner } else { master.filter(|holder| winner.is_none() && holder.proves(site, name)) };
    if let Some(keeper) = keeper {
        plan.keepers.insert(name.to_owned(), keeper.part.object.uid.clone());
        for side in releasing {
            note(plan, side, name, Verdict::Handed, side.claim(name).owned, Vec::new());
        }
    } else {
        // Also where somebody keeps the name: what it can't prove to be its own is not what it keeps.
        let leaving: Vec<&Side<'_>> = releasing.into_iter().filter(|side| side.part.role != Role::Mover).collect();
        release(site, &leaving, name, plan);
        if !site.unsettled {
            keep_once(site, sides, name, plan);
        }
    }
}

/// Of two that hold the same name until they have moved or can act again, as after a hand-over that was cut short, the one whose
/// it is keeps it.
fn keep_once(site: Site<'_>, sides: &[Side<'_>], name: &str, plan: &mut Plan) {
    let holders = || sides.iter().filter(|side| matches!(side.part.role, Role::Mover | Role::Holder) && side.holds(name));
    let keeper = holders()
        .min_by_key(|side| (!side.proves(site, name), !side.claim(name).applied, side.part.role != Role::Holder))
        .map(|side| &side.part.object.uid);
    for other in holders().map(|side| &side.part.object.uid).filter(|uid| Some(*uid) != keeper) {
        plan.lost.entry(other.clone()).or_default().insert(name.to_owned());
    }
}

/// Whose name it is: a holder that still wants it, one that can't act, else who declares exactly what is live (after a
/// restored backup all records are gone and all ages equal, and the login must not change), else the first that wants it.
///
/// Two may hold a record, when a hand-over was cut short between the claims and the write: the record that proves the
/// live value is the valid one. Where both prove it, the name has not changed hands yet: it is still that of the one in
/// whose record it was in sync.
fn master<'s, 'a>(site: Site<'_>, sides: &'s [Side<'a>], name: &str) -> Option<&'s Side<'a>> {
    let wanting = |side: &&Side<'_>| side.wants(name).is_some();
    let holder = |side: &&Side<'_>| side.part.role == Role::Holder && side.holds(name);
    let proves = |side: &&Side<'_>| side.proves(site, name);
    let live = |side: &&Side<'_>| side.wants(name).cloned().map(Live::Entry).as_ref() == site.live.get(name);
    let valid = sides.iter().filter(wanting).filter(proves).min_by_key(|side| !side.claim(name).applied);
    let first = valid.or_else(|| sides.iter().filter(holder).find(proves));
    // Where the live value is proved to be another's, what one that can't act only claimed was never written.
    let unwritten = sides.iter().any(|side| side.proves(site, name));
    let held = || sides.iter().filter(wanting).find(|side| side.holds(name)).or_else(|| sides.iter().filter(|_| !unwritten).find(holder));
    first.or_else(held).or_else(|| sides.iter().filter(wanting).find(live)).or_else(|| sides.iter().find(wanting))
}

/// The winner of a name sets it, or is told why not. Yields whether the value is its own from then on.
fn award(site: Site<'_>, winner: &Side<'_>, releasing: &[&Side<'_>], name: &str, plan: &mut Plan) -> bool {
    let Some(entry) = winner.wants(name) else { return false };
    let live = site.live.get(name);
    let new = site.place.fingerprint(name, entry);
    let claim = winner.claim(name);
    let verdict = judge(site, winner, releasing, name, entry);
    let (claimed, after) = match verdict {
        Verdict::InSync if site.unsettled => {
            let known = releasing.iter().flat_map(|side| side.claim(name).owned).chain(claim.owned);
            let record = known.fold(Vec::new(), |record, print| claims::with(&record, &print, Some(&new)));
            let record = claims::with(&record, &new, Some(&new));
            (record.clone(), record)
        }
        Verdict::InSync => (vec![new.clone()], vec![new]),
        Verdict::Write { .. } => {
            let live = live.and_then(|live| match live {
                Live::Entry(entry) => Some(site.place.fingerprint(name, entry)),
                Live::Foreign => None,
            });
            (claims::with(&claim.owned, &new, live.as_ref()), vec![new])
        }
        Verdict::Remove
        | Verdict::Gone
        | Verdict::Handed
        | Verdict::Left
        | Verdict::ExistingValue
        | Verdict::Conflicted(_)
        | Verdict::Contended
        | Verdict::Paced { .. } => (claim.owned.clone(), claim.owned),
    };
    if let Verdict::Write { drift, .. } = verdict {
        let others = releasing.iter().map(|side| side.part.object.uid.clone()).collect();
        let change = Change { entry: Some(entry.clone()), actor: winner.part.object.uid.clone(), others, drift };
        plan.changes.insert(name.to_owned(), change);
    }
    let sets = matches!(verdict, Verdict::InSync | Verdict::Write { .. });
    let corrects = matches!(verdict, Verdict::Write { drift: true, .. });
    note(plan, winner, name, verdict, claimed, after);
    if let (Some(dispute), Some(param)) =
        (dispute(site, winner, name), plan.objects.get_mut(&winner.part.object.uid).and_then(|params| params.get_mut(name)))
    {
        param.dispute = Some(Dispute { times: dispute.times + usize::from(corrects), ..dispute.clone() });
    }
    sets
}

/// What is known of a dispute about this name, if it is this generation's of the object.
fn dispute<'a>(site: Site<'a>, winner: &Side<'_>, name: &str) -> Option<&'a Dispute> {
    let object = winner.part.object;
    site.disputes.get(name).filter(|dispute| dispute.owner == object.uid && dispute.generation == object.generation)
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
        return match dispute(site, winner, name) {
            Some(dispute) if dispute.holds && !absent => Verdict::Contended,
            Some(dispute) if dispute.paces => Verdict::Paced { absent },
            Some(_) | None => Verdict::Write { drift: true, absent },
        };
    }
    if absent || winner.part.object.overwrites() { Verdict::Write { drift: false, absent } } else { Verdict::ExistingValue }
}

/// Nobody wants the name any more: what is provably ours goes, the rest is left, unless a write of ours may still set it.
fn release(site: Site<'_>, releasing: &[&Side<'_>], name: &str, plan: &mut Plan) {
    let live = site.live.get(name);
    let (ours, rest): (Vec<&&Side<'_>>, Vec<_>) = releasing.iter().partition(|side| site.place.owns(&side.claim(name).owned, name, live));
    for side in &ours {
        note(plan, side, name, Verdict::Remove, side.claim(name).owned, Vec::new());
    }
    for side in rest {
        let verdict = match (live, ours.is_empty()) {
            _ if site.unsettled => Verdict::Remove,
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

fn note(plan: &mut Plan, side: &Side<'_>, name: &str, verdict: Verdict, claim: Vec<Fingerprint>, after: Vec<Fingerprint>) {
    let Claim { owned: before, applied } = side.claim(name);
    let params = plan.objects.entry(side.part.object.uid.clone()).or_default();
    params.insert(name.to_owned(), ParamPlan { verdict, before, claim, after, applied, dispute: None });
}

#[cfg(test)]
mod tests;
