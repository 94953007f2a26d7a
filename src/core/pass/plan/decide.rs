//! Name by name: whose it is, what is to be written, and what that means for everybody who wants it or has a record of it.
//!
//! Guarantees: see [`super`]. Assumes: the claimants are those that have a say, and one observer at most, as if it wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, ConnectionState, Dispute, ParamPlan, Participant, Plan, Role, Verdict};
use crate::core::pass::claims::{self, Claim, ConnectionRef};
use crate::core::world::Declared;
use crate::model::document::{Entry, Live};
use crate::model::identity::{Fingerprint, Uid};

/// A participant with what it has a record of here.
pub(super) struct Claimant<'a> {
    part: Participant<'a>,
    claims: BTreeMap<String, Claim>,
    /// Whether these are what it may have had, as its status was lost.
    is_restored: bool,
}

impl<'a> Claimant<'a> {
    pub(super) fn new(part: Participant<'a>, connection_ref: ConnectionRef<'_>) -> Self {
        let status = &part.object.status;
        let mut claims = claims::on(status, connection_ref.connection);
        let mut is_restored = false;
        if part.role == Role::Leaver && part.object.deleting && part.object.finalizer && !claims::any(status) {
            claims = restored(part.object, connection_ref);
            is_restored = true;
        }
        Self { part, claims, is_restored }
    }

    /// Takes these names out of its record: others have them now.
    pub(super) fn without(mut self, names: Option<&BTreeSet<String>>) -> Self {
        self.claims.retain(|name, _| names.is_none_or(|names| !names.contains(name)));
        self
    }

    fn uid(&self) -> &'a Uid {
        &self.part.object.uid
    }

    fn declares(&self, name: &str) -> Option<&'a Entry> {
        self.part.object.spec.as_ref().ok()?.params.get(name)
    }

    /// What it wants to be there. One whose changes were refused wants nothing but what is.
    fn wants(&self, name: &str, live: Option<&Live>) -> Option<&'a Entry> {
        let declared = self.declares(name)?;
        match self.part.role {
            Role::Owner => Some(declared),
            Role::Rejected if matches!(live, Some(Live::Entry(entry)) if entry == declared) => Some(declared),
            Role::Rejected | Role::Observer | Role::Leaver | Role::Holder | Role::Mover | Role::Bystander => None,
        }
    }

    fn claim(&self, name: &str) -> Claim {
        self.claims.get(name).cloned().unwrap_or_default()
    }

    fn holds(&self, name: &str) -> bool {
        self.claims.get(name).is_some_and(|claim| !claim.owned.is_empty())
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let declared = self.part.object.spec.iter().flat_map(|spec| spec.params.keys());
        self.claims.keys().chain(declared)
    }

    /// What it is told of a name, where no record of it is left then.
    fn told(&self, name: &str, verdict: Verdict) -> ParamPlan {
        let Claim { owned, applied } = self.claim(name);
        ParamPlan { verdict, before: owned, claim: Vec::new(), after: Vec::new(), applied, dispute: None }
    }
}

/// The record of an object that is being deleted and whose status was lost, as after a restored backup: our finalizer
/// says that it once owned something, and a live value that equals its spec is that.
fn restored(object: &Declared, connection_ref: ConnectionRef<'_>) -> BTreeMap<String, Claim> {
    let params = object.spec.iter().flat_map(|spec| &spec.params);
    params.map(|(name, entry)| (name.clone(), Claim { owned: vec![connection_ref.fingerprint(name, entry)], applied: false })).collect()
}

/// Decides about every name that a claimant wants or has a record of.
pub(super) fn decide(state: ConnectionState<'_>, mut claimants: Vec<Claimant<'_>>) -> Plan {
    claimants.sort_by_key(|claimant| claimant.part.object.rank());
    let names: BTreeSet<String> = claimants.iter().flat_map(Claimant::names).cloned().collect();
    let mut plan = Plan::default();
    for claimant in &claimants {
        // An object that takes part is concluded, also when it has nothing left here.
        if !matches!(claimant.part.role, Role::Holder | Role::Rejected | Role::Mover) {
            plan.objects.entry(claimant.uid().clone()).or_default();
        }
    }
    for name in names {
        let question = Question { state, claimants: &claimants, name: &name };
        let decision = question.decide();
        plan.overwritten.extend(question.overwrites(&decision).then(|| name.clone()));
        plan.take_in(name, decision);
    }
    plan
}

/// What is decided about one name.
#[derive(Default)]
pub(super) struct Decision {
    /// What it means for the objects.
    pub(super) params: Vec<(Uid, ParamPlan)>,
    /// What is to be written.
    pub(super) change: Option<Change>,
    /// Whose it is from now on.
    pub(super) keeper: Option<Uid>,
    /// Whose record of it goes, although nothing is told of it.
    pub(super) lost: Vec<Uid>,
}

impl Decision {
    fn tell(&mut self, claimant: &Claimant<'_>, param: ParamPlan) {
        self.params.push((claimant.uid().clone(), param));
    }
}

/// One name of the connection, with everybody who may want it.
struct Question<'s, 'a> {
    state: ConnectionState<'s>,
    /// By age, then by namespace and name.
    claimants: &'s [Claimant<'a>],
    name: &'s str,
}

impl<'s, 'a> Question<'s, 'a> {
    fn live(&self) -> Option<&'s Live> {
        self.state.live.get(self.name)
    }

    fn live_fingerprint(&self) -> Option<Fingerprint> {
        self.live().and_then(Live::entry).map(|entry| self.state.connection_ref.fingerprint(self.name, entry))
    }

    fn all(&self) -> std::slice::Iter<'s, Claimant<'a>> {
        self.claimants.iter()
    }

    /// Whether a claimant's record proves the live value to be its own.
    fn proves(&self, claimant: &Claimant<'_>) -> bool {
        self.state.connection_ref.owns(&claimant.claim(self.name).owned, self.name, self.live())
    }

    fn wanted<'c>(&self, claimant: &Claimant<'c>) -> Option<&'c Entry> {
        claimant.wants(self.name, self.live())
    }

    fn wants(&self, claimant: &Claimant<'_>) -> bool {
        self.wanted(claimant).is_some()
    }

    /// Whether a claimant has a record of the name that keeps others from it. What it only claimed, as far as anybody knows, does
    /// not: its value is not there, never was in sync, and no write is on its way that could set it.
    fn has_valid_record(&self, claimant: &Claimant<'_>) -> bool {
        let is_more = || claimant.claim(self.name).applied || self.state.unsettled || self.proves(claimant);
        claimant.holds(self.name) && is_more()
    }

    /// Whether one that can't act keeps the name.
    fn is_held_by(&self, claimant: &Claimant<'_>) -> bool {
        let keeps = match claimant.part.role {
            Role::Holder => true,
            Role::Rejected => claimant.declares(self.name).is_some(),
            Role::Owner | Role::Observer | Role::Leaver | Role::Mover | Role::Bystander => false,
        };
        keeps && self.has_valid_record(claimant)
    }

    fn decide(&self) -> Decision {
        let mut decision = Decision::default();
        let whose = self.whose();
        let winner = whose.filter(|claimant| self.wants(claimant));
        let releasing = self.releasing(winner.is_some());
        let sets = winner.is_some_and(|winner| self.set(winner, &releasing, &mut decision));
        for loser in self.all().filter(|claimant| self.wants(claimant) && Some(claimant.uid()) != winner.map(Claimant::uid)) {
            let by = whose.map(|claimant| claimant.part.object.key.clone()).unwrap_or_default();
            let kept = self.may_be_set_yet(loser);
            decision.tell(loser, ParamPlan { claim: kept.clone(), after: kept, ..loser.told(self.name, Verdict::Conflicted(by)) });
        }
        let keeper = if sets { winner } else { whose.filter(|holder| winner.is_none() && self.proves(holder)) };
        if let Some(keeper) = keeper {
            decision.keeper = Some(keeper.uid().clone());
            for giver in releasing {
                decision.tell(giver, self.with_claim(giver, Verdict::Handed));
            }
        } else {
            // Also where somebody keeps the name: what it can't prove to be its own is not what it keeps.
            let stays = |giver: &&Claimant<'_>| matches!(giver.part.role, Role::Mover | Role::Rejected);
            self.release(releasing.into_iter().filter(|giver| !stays(giver)).collect(), &mut decision);
            if !self.state.unsettled {
                decision.lost = self.held_twice();
            }
        }
        decision
    }

    /// What a claimant has a record of that is not there, and that a write on its way may set yet.
    fn may_be_set_yet(&self, claimant: &Claimant<'_>) -> Vec<Fingerprint> {
        let live = self.live_fingerprint();
        let owned = claimant.claim(self.name).owned.into_iter().filter(|_| self.state.unsettled);
        owned.filter(|print| Some(print) != live.as_ref()).collect()
    }

    /// Who has a record of the name and gives it up. One that is still to be accepted elsewhere, or whose changes were refused, does
    /// where `taken`.
    fn releasing(&self, taken: bool) -> Vec<&'s Claimant<'a>> {
        let gives = |claimant: &Claimant<'_>| match claimant.part.role {
            Role::Owner | Role::Observer | Role::Leaver => true,
            Role::Mover => taken,
            Role::Rejected => taken && claimant.declares(self.name).is_none(),
            Role::Holder | Role::Bystander => false,
        };
        self.all().filter(|claimant| gives(claimant) && claimant.holds(self.name) && !self.wants(claimant)).collect()
    }

    /// Whose name it is: a holder that still wants it, one that can't act, else who declares exactly what is live (after a
    /// restored backup all records are gone and all ages equal, and the login must not change), else the first that wants it.
    ///
    /// Two may hold a record, when a hand-over was cut short between the claims and the write: the record that proves the
    /// live value is the valid one. Where both prove it, the name has not changed hands yet: it is still that of the one in
    /// whose record it was in sync.
    fn whose(&self) -> Option<&'s Claimant<'a>> {
        let wanting = || self.all().filter(|claimant| self.wants(claimant));
        let declares_live = |claimant: &&Claimant<'_>| self.wanted(claimant).cloned().map(Live::Entry).as_ref() == self.live();
        let proved = wanting().filter(|claimant| self.proves(claimant)).min_by_key(|claimant| !claimant.claim(self.name).applied);
        // Where the live value is proved to be another's, what one that can't act only claimed was never written.
        let is_unwritten = || self.all().any(|claimant| self.proves(claimant));
        proved
            .or_else(|| self.all().find(|claimant| self.is_held_by(claimant) && self.proves(claimant)))
            .or_else(|| wanting().find(|claimant| self.has_valid_record(claimant)))
            .or_else(|| self.all().find(|claimant| self.is_held_by(claimant)).filter(|_| !is_unwritten()))
            .or_else(|| wanting().find(declares_live))
            .or_else(|| wanting().next())
    }

    /// Of two that hold the same name until they have moved or can act again, as after a hand-over that was cut short, the
    /// one whose it is keeps it. Yields the others.
    fn held_twice(&self) -> Vec<Uid> {
        let holders =
            || self.all().filter(|one| matches!(one.part.role, Role::Mover | Role::Holder | Role::Rejected) && one.holds(self.name));
        let keeper =
            holders().min_by_key(|one| (!self.proves(one), !one.claim(self.name).applied, one.part.role == Role::Mover)).map(Claimant::uid);
        holders().map(Claimant::uid).filter(|uid| Some(*uid) != keeper).cloned().collect()
    }

    /// The winner of the name sets it, or is told why not. Yields whether the value is its own from then on.
    fn set(&self, winner: &Claimant<'_>, releasing: &[&Claimant<'_>], decision: &mut Decision) -> bool {
        let Some(entry) = self.wanted(winner) else { return false };
        let verdict = self.verdict(winner, releasing, entry);
        let (claim, after) = self.record(winner, releasing, &verdict);
        if let Verdict::Write { drift, .. } = verdict {
            // A record that was lost is not made anew of what the winner's own record proves to be its own.
            let is_guess = |giver: &&&Claimant<'_>| giver.is_restored && self.proves(winner);
            let others = releasing.iter().filter(|giver| !is_guess(giver)).map(|giver| giver.uid().clone()).collect();
            let from = self.live().cloned();
            decision.change = Some(Change { from, entry: Some(entry.clone()), actor: winner.uid().clone(), others, drift });
        }
        let corrects = matches!(verdict, Verdict::Write { drift: true, .. });
        let dispute = self.dispute(winner).map(|dispute| Dispute { times: dispute.times + usize::from(corrects), ..dispute.clone() });
        let sets = matches!(verdict, Verdict::InSync | Verdict::Write { .. });
        decision.tell(winner, ParamPlan { claim, after, dispute, ..winner.told(self.name, verdict) });
        sets
    }

    /// The winner's record before the write, and after it.
    fn record(&self, winner: &Claimant<'_>, releasing: &[&Claimant<'_>], verdict: &Verdict) -> (Vec<Fingerprint>, Vec<Fingerprint>) {
        let owned = winner.claim(self.name).owned;
        let Some(new) = self.wanted(winner).map(|entry| self.state.connection_ref.fingerprint(self.name, entry)) else {
            return (owned.clone(), owned);
        };
        match verdict {
            Verdict::InSync if self.state.unsettled => {
                let known = releasing.iter().flat_map(|giver| giver.claim(self.name).owned).chain(owned);
                let record = known.fold(Vec::new(), |record, print| claims::with(&record, &print, Some(&new)));
                let record = claims::with(&record, &new, Some(&new));
                (record.clone(), record)
            }
            Verdict::InSync => (vec![new.clone()], vec![new]),
            Verdict::Write { .. } => (claims::with(&owned, &new, self.live_fingerprint().as_ref()), vec![new]),
            Verdict::Remove
            | Verdict::Gone
            | Verdict::Handed
            | Verdict::Left
            | Verdict::ExistingValue
            | Verdict::Conflicted(_)
            | Verdict::Contended
            | Verdict::Paced { .. } => (owned.clone(), owned),
        }
    }

    /// What is known of a dispute about the name, if it is this generation's of the object.
    fn dispute(&self, winner: &Claimant<'_>) -> Option<&'s Dispute> {
        let object = winner.part.object;
        self.state.disputes.get(self.name).filter(|dispute| dispute.owner == object.uid && dispute.generation == object.generation)
    }

    fn verdict(&self, winner: &Claimant<'_>, releasing: &[&Claimant<'_>], entry: &Entry) -> Verdict {
        let live = self.live();
        if live == Some(&Live::Entry(entry.clone())) {
            return Verdict::InSync;
        }
        let absent = live.is_none();
        if self.proves(winner) || releasing.iter().any(|giver| self.proves(giver)) {
            return Verdict::Write { drift: false, absent };
        }
        if winner.claim(self.name).applied {
            return match self.dispute(winner) {
                Some(dispute) if dispute.holds && !absent => Verdict::Contended,
                Some(dispute) if dispute.paces => Verdict::Paced { absent },
                Some(_) | None => Verdict::Write { drift: true, absent },
            };
        }
        if absent || winner.part.object.overwrites() { Verdict::Write { drift: false, absent } } else { Verdict::ExistingValue }
    }

    /// Nobody wants the name any more: what is provably ours goes, the rest is left, unless a write of ours may still set it.
    fn release(&self, releasing: Vec<&Claimant<'_>>, decision: &mut Decision) {
        let (ours, rest): (Vec<_>, Vec<_>) = releasing.into_iter().partition(|giver| self.proves(giver));
        for giver in &ours {
            decision.tell(giver, self.with_claim(giver, Verdict::Remove));
        }
        for giver in rest {
            let verdict = match (self.live(), ours.is_empty()) {
                _ if self.state.unsettled => Verdict::Remove,
                (None, _) => Verdict::Gone,
                (Some(_), true) => Verdict::Left,
                (Some(_), false) => Verdict::Handed,
            };
            decision.tell(giver, self.with_claim(giver, verdict));
        }
        if let Some((first, others)) = ours.split_first() {
            let others = others.iter().map(|giver| giver.uid().clone()).collect();
            decision.change = Some(Change { from: self.live().cloned(), entry: None, actor: first.uid().clone(), others, drift: false });
        }
    }

    /// What one is told that gives the name up: its record stays until that is done.
    fn with_claim(&self, giver: &Claimant<'_>, verdict: Verdict) -> ParamPlan {
        ParamPlan { claim: giver.claim(self.name).owned, ..giver.told(self.name, verdict) }
    }

    /// Whether a new value replaces one that no record proves to be ours, and that is no drift: what `Overwrite` does.
    fn overwrites(&self, decision: &Decision) -> bool {
        let sets = decision.change.as_ref().is_some_and(|change| change.entry.is_some() && !change.drift);
        sets && self.live().is_some() && !self.all().any(|claimant| self.proves(claimant))
    }
}
