//! Those who have no say: what observers are told, and whose record of a name goes because another object has it now.

use std::collections::BTreeMap;

use super::decide::{Claimant, decide};
use super::{ConnectionState, ParamPlan, Participant, Plan, Role, Verdict};
use crate::core::pass::claims::{self, Claim};

/// Tells an observer what writing would do: beside those that act, or where everybody observes, beside all others.
pub(super) fn observe(
    plan: &mut Plan,
    state: ConnectionState<'_>,
    (participants, all_observe): (&[Participant<'_>], bool),
    observer: Participant<'_>,
) {
    let uid = &observer.object.uid;
    let others = participants.iter().filter(|part| part.object.uid != *uid && (all_observe || part.role.acts()));
    let mut simulated: Vec<Claimant<'_>> = others.map(|part| Claimant::new(enforcing(*part), state.connection_ref)).collect();
    // What another object has taken over is not its own any more.
    simulated.push(Claimant::new(enforcing(observer), state.connection_ref).without(plan.lost.get(uid)));
    let mut decided = decide(state, simulated);
    let would = decided.changes.into_iter().filter(|(_, change)| change.actor == *uid);
    plan.would.extend(would.map(|(name, change)| ((name, uid.clone()), change)));
    let seen = decided.objects.remove(uid).unwrap_or_default();
    plan.objects.insert(uid.clone(), carried(seen, &claims::on(&observer.object.status, state.connection_ref.connection)));
}

fn enforcing(part: Participant<'_>) -> Participant<'_> {
    let role = if part.role == Role::Observer { Role::Owner } else { part.role };
    Participant { role, ..part }
}

/// The verdicts, with the record as it was. Observing never makes anything ours.
fn carried(seen: BTreeMap<String, ParamPlan>, records: &BTreeMap<String, Claim>) -> BTreeMap<String, ParamPlan> {
    let handed = |claim: &Claim| ParamPlan {
        verdict: Verdict::Handed,
        before: Vec::new(),
        claim: Vec::new(),
        after: Vec::new(),
        applied: claim.applied,
        dispute: None,
    };
    let unseen = records.iter().filter(|(name, claim)| !claim.owned.is_empty() && !seen.contains_key(*name));
    let unseen: Vec<_> = unseen.map(|(name, claim)| (name.clone(), handed(claim))).collect();
    let with_record = |(name, param): (String, ParamPlan)| {
        let owned = records.get(&name).map(|claim| claim.owned.clone()).unwrap_or_default();
        (name, ParamPlan { before: owned.clone(), claim: owned.clone(), after: owned, ..param })
    };
    seen.into_iter().chain(unseen).map(with_record).collect()
}

/// Notes whose record of a name goes, because another object keeps the name from now on. Who acts is told in its part of
/// the plan; this is for those who have a record and no part in the name.
pub(super) fn lose(plan: &mut Plan, state: ConnectionState<'_>, participants: &[Participant<'_>]) {
    let keepers = std::mem::take(&mut plan.keepers);
    for part in participants {
        let uid = &part.object.uid;
        for (name, claim) in claims::on(&part.object.status, state.connection_ref.connection) {
            let Some(keeper) = keepers.get(&name).filter(|keeper| *keeper != uid && !claim.owned.is_empty()) else { continue };
            let is_told = !matches!(part.role, Role::Mover | Role::Rejected);
            let told = is_told && plan.objects.get(uid).is_some_and(|params| params.contains_key(&name));
            if !told {
                plan.lost.entry(uid.clone()).or_default().insert(name.clone());
            }
            let kept = plan.objects.get(keeper).and_then(|params| params.get(&name));
            let Some(kept) = kept.filter(|kept| kept.verdict == Verdict::InSync) else { continue };
            plan.handed.insert(name.clone(), keeper.clone());
            if !kept.after.iter().all(|print| kept.before.contains(print)) {
                plan.adopted.insert(name, keeper.clone());
            }
        }
    }
}
