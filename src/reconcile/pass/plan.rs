//! The second step: all members are planned together, and what somebody else changed is noted.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Pass;
use super::read::Read;
use super::reading::Reading;
use crate::clock;
use crate::core::pass::claims::ConnectionRef;
use crate::core::pass::member::{Member, participants};
use crate::core::pass::memory::disputes::{Moment, Parameter};
use crate::core::pass::plan::{ConnectionState, Plan, Verdict, plan};
use crate::core::world::DeclaredTenant;

/// The connection was planned.
pub(super) struct Planned {
    pub(super) declared: Arc<DeclaredTenant>,
    pub(super) reading: Reading,
    pub(super) members: Vec<Member>,
    pub(super) plan: Plan,
}

impl<'t> Pass<'t, Read> {
    /// Plans what is to be written.
    pub(super) fn plan(mut self) -> Pass<'t, Planned> {
        let mut plan = self.plan_for_all();
        self.remember_drift(&mut plan);
        self.take_turns(&mut plan);
        if !plan.would.is_empty() {
            // In the macro, so that nothing is put into words that nobody reads.
            tracing::debug!(
                tenant = %self.tenant.name, connection = %self.at.reading.document.name,
                plan = plan.to_string().replace('\n', "; "), "observed"
            );
        }
        self.then(|Read { declared, reading, live: _, members }| Planned { declared, reading, members, plan })
    }

    fn plan_for_all(&mut self) -> Plan {
        let Read { reading, live, members, declared: _ } = &self.at;
        let id = &reading.document.id;
        let (memory, now) = (&mut self.tenant.memory, clock::now());
        memory.disputes.forget_old(id, now);
        let disputes = memory.disputes.on(id, now);
        let connection_ref = ConnectionRef { tenant: self.settings.audience.identity(), connection: id };
        let state = ConnectionState { connection_ref, live, disputes: &disputes, unsettled: self.tenant.unsettled_for(id).is_some() };
        plan(state, &participants(members), self.settings.observes)
    }

    /// Counts what somebody has changed, once; sets the date of a correction that waits; and ends a dispute that is over.
    fn remember_drift(&mut self, plan: &mut Plan) {
        let connection = &self.at.reading.document.id;
        let now = Moment { at: clock::now(), time: self.tenant.shared.wall.now_in_seconds() };
        let disputes = &mut self.tenant.memory.disputes;
        let mut drifted = BTreeSet::new();
        for (name, param) in plan.objects.values_mut().flatten() {
            let parameter = Parameter { connection, name };
            match param.verdict {
                Verdict::Write { drift: true, .. } | Verdict::Paced { .. } => drop(drifted.insert(name.clone())),
                Verdict::Contended => {
                    drifted.insert(name.clone());
                    let until = disputes.put_off(parameter, now);
                    if let (Some(dispute), Some(until)) = (&mut param.dispute, until) {
                        dispute.until = Some(until.time);
                    }
                }
                Verdict::InSync => disputes.note_peace(parameter),
                Verdict::Write { drift: false, .. }
                | Verdict::Remove
                | Verdict::Gone
                | Verdict::Handed
                | Verdict::Left
                | Verdict::ExistingValue
                | Verdict::Conflicted(_) => {}
            }
        }
        let news = disputes.note_drift(connection, drifted);
        self.tenant.shared.metrics.drift_seen(&self.tenant.name, u64::try_from(news).unwrap_or(u64::MAX));
    }

    /// Where a write was refused or failed, what others want does not go with that, until nothing is left to write.
    fn take_turns(&mut self, plan: &mut Plan) {
        let connection = &self.at.reading.document.id;
        if plan.changes.is_empty() {
            self.tenant.memory.turns.end(connection);
        } else if let Some(actors) = self.tenant.memory.turns.take(connection, &plan.actors()) {
            plan.retain_actors(&actors);
        }
    }
}
