//! The last step: everybody is told what came of the pass, and the connection has its next date.
//!
//! Guarantees: who adopts a name as it is has stored its claim, and is told last, when nobody else has a record of the name
//! any more: until then the name is still the other's, who may come back. Nothing is concluded of who could not store its
//! claim in time, so that its records stay.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Pass;
use super::written::{Ended, Written};
use crate::clock;
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims::{self, ConnectionRef};
use crate::core::pass::member::Member;
use crate::core::pass::memory::disputes::Parameter;
use crate::core::pass::plan::Verdict;
use crate::core::pass::role::Part;
use crate::core::schedule::pace::{NextLook, Pace};
use crate::core::schedule::{ConnectionKey, Lane, Next};
use crate::core::status::{WriteOutcome, is_accepted_on};
use crate::core::world::{Declared, LetGo};
use crate::model::document::Live;
use crate::model::identity::{ConnectionId, Fingerprint, Uid};

/// After so many passes without a result in a row, it is told.
const TOLD: u32 = 3;

impl Pass<'_, Written> {
    /// Concludes. Yields what is to be looked at next.
    pub(super) async fn conclude(mut self) -> Next {
        let id = self.at.reading.document.id.clone();
        match std::mem::replace(&mut self.at.ended, Ended::NoResult) {
            Ended::With(write, pace) => {
                self.note(&write);
                self.set_date(&write, pace);
                self.tell_all(&write).await;
            }
            Ended::NoResult => self.run_again().await,
            Ended::Split => {
                self.tenant.memory.turns.begin(&id, &self.at.plan.actors());
                self.next.at(self.connection, Lane::Edit, clock::now());
            }
        }
        self.next
    }

    fn note(&mut self, write: &WriteOutcome) {
        self.at.plan.written = *write == WriteOutcome::Written;
        match write {
            WriteOutcome::Rejected(message) => self.remember_rejected(message),
            WriteOutcome::Nothing | WriteOutcome::Written => self.tenant.memory.failures.forget(&self.connection),
            WriteOutcome::Failed(_) | WriteOutcome::Postponed(_) => {}
        }
    }

    fn remember_rejected(&mut self, message: &str) {
        let Written { reading, members, plan, .. } = &self.at;
        let (document, authors) = (&reading.document, plan.authors());
        for member in members.iter().filter(|member| authors.contains(&member.stored.uid)) {
            self.tenant.memory.refusals.note_object(document, &member.stored, message.to_owned());
        }
    }

    /// When the connection is looked at again.
    fn set_date(&mut self, write: &WriteOutcome, pace: Pace) {
        let is_given_up = matches!(write, WriteOutcome::Rejected(_)) && self.at.plan.has_givers();
        let deferred = !self.at.plan.deferred.is_empty() || is_given_up;
        let unsettled = self.tenant.unsettled_for(&self.at.reading.document.id);
        let (lane, pace, unsettled) = match write {
            WriteOutcome::Failed(_) => (Lane::Retry, pace, unsettled),
            WriteOutcome::Postponed(_) => (Lane::Retry, pace, None),
            WriteOutcome::Nothing | WriteOutcome::Written if deferred => (Lane::Retry, Pace::AtOnce, None),
            WriteOutcome::Rejected(_) if deferred => (Lane::Retry, self.pace_of_refused(), None),
            WriteOutcome::Nothing => (Lane::Routine, pace, unsettled),
            WriteOutcome::Written | WriteOutcome::Rejected(_) => (Lane::Routine, pace, None),
        };
        let corrections = self.corrections();
        self.look_again(lane, &NextLook { pace, unsettled, corrections });
    }

    /// How soon it goes on without the one that was refused: at once, but each object is refused once only. Where there are more
    /// refusals than objects, the connection changes all the time, and with it what is known to be refused.
    fn pace_of_refused(&mut self) -> Pace {
        let refusals = self.tenant.memory.failures.count(&self.connection);
        let objects = u32::try_from(self.at.members.len()).unwrap_or(u32::MAX);
        if refusals > objects { Pace::Backoff(refusals - objects) } else { Pace::AtOnce }
    }

    /// When the corrections that wait may be made.
    fn corrections(&self) -> Vec<Instant> {
        let (connection, disputes) = (&self.at.reading.document.id, &self.tenant.memory.disputes);
        let waits = self.at.plan.objects.values().flatten().filter_map(|(name, param)| match param.verdict {
            Verdict::Contended => disputes.waits_until(Parameter { connection, name }),
            Verdict::Paced { .. } => disputes.paced_until(Parameter { connection, name }),
            Verdict::InSync
            | Verdict::Write { .. }
            | Verdict::Remove
            | Verdict::Gone
            | Verdict::Handed
            | Verdict::Left
            | Verdict::ExistingValue
            | Verdict::Conflicted(_) => None,
        });
        waits.collect()
    }

    /// A pass that came to no result is run again soon. One is nothing to tell of: somebody edited an object meanwhile.
    /// Where it goes on, everybody who waits is told.
    async fn run_again(&mut self) {
        let passes = self.tenant.memory.failures.count(&self.connection);
        self.look_again(Lane::Retry, &NextLook::of(Pace::Again(passes)));
        let (tenant, connection) = (&self.tenant.name, &self.at.reading.document.name);
        if passes < TOLD {
            tracing::info!(%tenant, %connection, "a check had no result and runs again");
            return;
        }
        tracing::warn!(
            %tenant, %connection, passes,
            "checks have no result, because the ownership record cannot be stored in time"
        );
        let message = "the operator cannot store the ownership record in time, because the Kubernetes API server is slow or refuses it, \
                       or the objects keep changing; the operator tries again";
        let waits = Obstacle { reason: ObstacleReason::Pending, message: message.to_owned(), tenant_wide: false };
        self.tell_all(&WriteOutcome::Postponed(waits)).await;
    }

    /// Tells everybody; who adopts a name last, and only where all that lose one were told.
    async fn tell_all(&mut self, write: &WriteOutcome) {
        let members = std::mem::take(&mut self.at.members);
        let uids: BTreeSet<&Uid> = members.iter().map(|member| &member.stored.uid).collect();
        let losers = self.at.plan.losers();
        let mut given_up = losers.iter().all(|uid| uids.contains(uid) && !self.at.plan.unadopted.contains(uid));
        let (adopting, others): (Vec<Member>, Vec<Member>) =
            members.into_iter().partition(|member| self.at.plan.adopts(&member.stored.uid));
        for member in others {
            let told = self.tell_member(&member, write).await;
            given_up &= told || !losers.contains(&member.stored.uid);
        }
        // One may have a name of another's, and lose one to a third.
        let (losing, last): (Vec<Member>, Vec<Member>) = adopting.into_iter().partition(|member| losers.contains(&member.stored.uid));
        for member in losing.into_iter().chain(last) {
            if given_up {
                let told = self.tell_member(&member, write).await;
                given_up = told || !losers.contains(&member.stored.uid);
                self.tenant.finish_record(&member.stored, &self.at.reading.document.id);
            } else {
                self.tell_waiting(&member, write).await;
            }
        }
    }

    /// Tells an object that a parameter passes to it of which another still has a record. It is looked at again for that.
    async fn tell_waiting(&mut self, member: &Member, write: &WriteOutcome) {
        let uid = &member.stored.uid;
        if self.at.plan.unadopted.contains(uid) {
            return;
        }
        self.at.plan.defer_handed(uid);
        let message = "another object still has a record of a parameter that passes to this one, and that object could not be written; \
                       the operator tries again";
        let waits = Obstacle { reason: ObstacleReason::Pending, message: message.to_owned(), tenant_wide: false };
        let is_all = match write {
            WriteOutcome::Nothing => true,
            WriteOutcome::Written => !self.at.plan.changes_for(uid),
            WriteOutcome::Failed(_) | WriteOutcome::Postponed(_) | WriteOutcome::Rejected(_) => false,
        };
        // What is claimed stays claimed.
        let write = if is_all { &WriteOutcome::Failed(waits) } else { write };
        self.tell_member(member, write).await;
        self.tenant.look_for_record_again(&member.stored, &self.at.reading.document.id);
    }

    /// Tells one object what came of the pass. Yields whether all is well with that.
    async fn tell_member(&mut self, member: &Member, write: &WriteOutcome) -> bool {
        let uid = &member.stored.uid;
        if self.at.plan.unadopted.contains(uid) {
            // Its claim was not stored: it comes with the next pass.
            return true;
        }
        let (id, losses) = (&self.at.reading.document.id, self.at.plan.losses(uid));
        let mut planned = member.planned(self.at.reading.gone.as_ref());
        planned.status = claims::without(planned.status, id, &losses);
        let at = (&self.at.reading.document, self.settings.audience.identity());
        let Some(outcome) = member.outcome(&self.at.plan, &planned, at, write) else { return true };
        let reasons = LetGo { labels: member.labels.clone(), handed: self.handed(member, write), ..LetGo::default() };
        let told = self.tell(&planned, &member.stored, (&outcome, member.named), reasons).await;
        if told {
            self.follow_up(member, &planned);
        }
        told
    }

    /// What an object has a record of that stays there, or may be there by now, and is another's.
    fn handed(&self, member: &Member, write: &WriteOutcome) -> Vec<(ConnectionId, String, Fingerprint)> {
        let Written { reading, plan, .. } = &self.at;
        let (uid, id) = (&member.stored.uid, &reading.document.id);
        let (losses, part, live) = (plan.losses(uid), plan.part(uid), reading.document.live().unwrap_or_default());
        let passes = |name: &String| {
            let verdict = part.get(name).map(|param| &param.verdict);
            losses.contains(name) || matches!(verdict, Some(Verdict::Handed | Verdict::Conflicted(_)))
        };
        let here = ConnectionRef { tenant: self.settings.audience.identity(), connection: id };
        // What has no answer may have been set all the same.
        let may_be_set = plan.written || matches!(write, WriteOutcome::Failed(_)) || self.tenant.unsettled_for(id).is_some();
        let stays = |name: &String| -> Vec<Fingerprint> {
            let change = plan.changes.get(name);
            let set = change.and_then(|change| change.entry.as_ref()).filter(|_| may_be_set);
            let was = live.get(name).filter(|_| !plan.written || change.is_none()).and_then(Live::entry);
            set.into_iter().chain(was).map(|entry| here.fingerprint(name, entry)).collect()
        };
        let claims = claims::on(&member.stored.status, id).into_iter().filter(|(name, _)| passes(name));
        let handed = claims.flat_map(|(name, claim)| {
            let recorded = stays(&name).into_iter().filter(move |print| claim.owned.contains(print));
            recorded.map(move |print| (name.clone(), print))
        });
        handed.map(|(name, print)| (id.clone(), name, print)).collect()
    }

    /// After an object was concluded here, the other connections it belongs to are due, where that is news to them. Else
    /// each has its own date, which may be the end of a pause: two that called for each other would never pause.
    fn follow_up(&mut self, member: &Member, planned: &Declared) {
        let now = clock::now();
        let Ok(spec) = &planned.spec else { return };
        if member.named {
            // Accepted here, so it may leave where it was.
            let is_news = !member.was_accepted && self.is_accepted(planned);
            let others = claims::connections(&planned.status).map(ConnectionKey::Id);
            for other in others.filter(|other| *other != self.connection) {
                if is_news {
                    self.next.at(other, Lane::Edit, now);
                } else {
                    self.next.at_unless_due(other, Lane::Edit, now);
                }
            }
        } else if member.part == Part::Leaver && !planned.deleting && self.has_left(planned, &self.at.reading.document.id) {
            // It has left here, so what it names can be concluded.
            self.next.at(self.tenant.key_of(&spec.target), Lane::Edit, now);
        }
    }

    /// Whether an object is accepted here by what it was told.
    fn is_accepted(&self, object: &Declared) -> bool {
        let now = self.tenant.shared.hub.read(|world| world.object(&object.key));
        now.is_some_and(|now| is_accepted_on(&now, &self.at.reading.document.id))
    }
}
