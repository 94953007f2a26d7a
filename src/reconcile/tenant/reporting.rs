//! What is written to Kubernetes: the statuses, finalizers and events of the tenant and of its objects.
//!
//! Guarantees: what can't be written now has a date to be tried again; what is left at Auth0 is told before its object can go, by an
//! event or in the log.

use std::sync::Arc;
use std::time::Duration;

use super::Tenant;
use crate::api::FINALIZER;
use crate::api::reason::{ConditionType, EventReason};
use crate::api::upstream_params::ManagementPolicy;
use crate::clock;
use crate::core::pass::claims;
use crate::core::schedule::work_queue::Item;
use crate::core::status::{self, Context, Finalizer, Notice, Outcome};
use crate::core::tenant::state::TenantState;
use crate::core::tenant::{self, CredentialsState};
use crate::core::world::{Declared, DeclaredTenant, Left, LetGo};
use crate::kubernetes::report::{Report, WriteError};
use crate::model::identity::{ConnectionId, ObjectKey, Uid};

impl Tenant {
    fn declared_tenant(&self) -> Option<Arc<DeclaredTenant>> {
        self.shared.hub.read(|world| world.tenant(&self.name))
    }

    /// Writes the tenant's status, if it differs.
    pub(crate) async fn report_tenant(&mut self) {
        let credentials = self.state.serving().map_or(CredentialsState::Untried, |serving| serving.authentication.credentials_state());
        self.shared.metrics.authenticated(&self.name, matches!(credentials, CredentialsState::Granted | CredentialsState::Troubled(_)));
        let (Some(tenant), Some(resolution)) = (self.declared_tenant(), self.state.resolution()) else {
            self.shared.metrics.forget(&self.name);
            return self.queue.finish(&Item::Tenant);
        };
        let mut status = status::tenant::conclude(&tenant, &resolution, &credentials, self.shared.wall.now_in_seconds());
        if let Some(handled) = self.request.handled(&tenant.uid) {
            status.last_handled_reconcile_at = Some(handled.to_owned());
        }
        if status == tenant.status {
            return self.queue.finish(&Item::Tenant);
        }
        let ready = status.conditions.first().map(|ready| (ready.status.clone(), ready.reason.clone())).unwrap_or_default();
        tracing::info!(tenant = %self.name, ready = %ready.0, reason = %ready.1, "tenant");
        match self.shared.report.tenant_status(&tenant, &status).await {
            Ok(()) => {
                self.queue.finish(&Item::Tenant);
                for notice in status::transitions(&tenant.status.conditions, &status.conditions) {
                    self.shared.report.tenant_notice(&tenant, &notice).await;
                }
            }
            Err(error) => {
                tracing::warn!(tenant = %self.name, %error, "the tenant's status could not be written; the operator tries again");
                self.try_again(Item::Tenant, &error);
            }
        }
    }

    /// Concludes a pass for one object: finalizer, status, events, clocks. `as_planned` is the object as the pass saw
    /// it, `current` as it is stored now. Where a record goes, that is a conflict once it is not for these `reasons` any more.
    pub(crate) async fn report_object(
        &mut self,
        as_planned: &Declared,
        current: &Declared,
        outcome: &Outcome,
        names_it: bool,
        mut reasons: LetGo,
    ) -> Result<(), WriteError> {
        let now = clock::now();
        tracing::trace!(object = %as_planned.key, outcome = <&str>::from(outcome), "concluded");
        let observing =
            as_planned.policies.management == ManagementPolicy::Observe || self.serving().is_some_and(|settings| settings.observes);
        let (since_good_look, unready_for) = self.memory.clocks.ages(as_planned, now);
        let context = Context {
            now: self.shared.wall.now_in_seconds(),
            observing,
            names_it,
            since_good_look,
            stale_after: self.stale_after(),
            unready_for,
        };
        let handled = if names_it || as_planned.deleting { self.memory.requests.known(&as_planned.uid) } else { None };
        let conclusion = status::conclude(as_planned, outcome, &context).carries_out(handled);
        let mut stored = current.clone();
        // What goes with the finalizer takes its status along: two writes could be cut short in between.
        let goes = as_planned.deleting && conclusion.finalizer == Finalizer::Remove;
        reasons.handed.retain(|(id, name, print)| {
            let stays = claims::on(&conclusion.status, id).get(name).is_some_and(|claim| claim.owned.contains(print));
            goes || !stays
        });
        let report = if goes || claims::lets_go(&current.status, &conclusion.status) {
            self.report_while(as_planned, reasons)?
        } else {
            self.shared.report.clone()
        };
        if conclusion.finalizer == Finalizer::Add {
            stored = report.finalizer(&stored, true).await?;
        }
        if conclusion.status != stored.status && !goes {
            stored = report.status(&stored, &conclusion.status).await?;
        }
        // Told before the object can go: after that there may be nothing to tell it about.
        for notice in &conclusion.notices {
            if goes && !self.told.insert((as_planned.uid.clone(), notice.note.clone())) {
                continue;
            }
            if notice.reason == EventReason::ParametersLeft.as_str() {
                self.tell_of_left(&as_planned.key, &as_planned.uid, notice).await;
            } else {
                self.shared.report.notice(as_planned, notice).await;
            }
        }
        if conclusion.finalizer == Finalizer::Remove {
            stored = report.finalizer(&stored, false).await?;
        }
        if goes && !stored.other_finalizers.is_empty() && conclusion.status != stored.status {
            report.status(&stored, &conclusion.status).await?;
        }
        // What was said here of a record alone is not what waits to be said of the object. Nor is that the object has something at
        // another Auth0 tenant yet, which no pass over a connection of this one lets go of.
        let is_left = self.identity().is_none_or(|identity| !status::is_elsewhere(&stored, identity));
        if (names_it || as_planned.deleting) && is_left {
            self.queue.finish(&Item::Object(as_planned.key.clone()));
        }
        if names_it {
            let ready = status::condition(&conclusion.status.conditions, ConditionType::Ready);
            let (is_ready, reason) = ready.map(|ready| (ready.status == "True", ready.reason.clone())).unwrap_or_default();
            self.memory.clocks.note_end(as_planned, is_ready, now);
            let is_stalled = status::condition(&conclusion.status.conditions, ConditionType::Stalled).is_some();
            let deadline = self.memory.clocks.unready_until(as_planned).filter(|deadline| now < *deadline);
            if let Some(deadline) = deadline.filter(|_| !is_stalled && !as_planned.deleting) {
                // Nothing else may wake it by then, and it has to be said.
                self.queue.add(Item::Object(as_planned.key.clone()), deadline);
            }
            // Anybody may name a tenant that does not exist, and so many labels are not wanted.
            self.shared.metrics.pass(if matches!(self.state, TenantState::Unknown) { "" } else { &self.name }, &reason);
            let connection = conclusion.status.target.as_deref().unwrap_or_default();
            let tenant = &as_planned.policies.tenant;
            let was = status::condition(&as_planned.status.conditions, ConditionType::Ready).map(|was| (was.status == "True", &was.reason));
            if was != Some((is_ready, &reason)) {
                tracing::info!(%tenant, object = %as_planned.key, connection, ready = is_ready, reason, "object");
            }
            tracing::debug!(%tenant, object = %as_planned.key, connection, ready = is_ready, reason, "check");
        }
        Ok(())
    }

    /// Writes to an object of which a record goes, for as long as that is for these reasons: told by the tenant as this process
    /// knows it, which has to be the one that is declared.
    fn report_while(&self, object: &Declared, reasons: LetGo) -> Result<Report, WriteError> {
        if self.is_outdated() {
            return Err(WriteError::Conflict);
        }
        let reasons = LetGo { tenant: self.shared.hub.read(|world| world.tenant(&object.policies.tenant)), ..reasons };
        if !self.orphans || reasons.tenant.is_none() {
            let object = object.clone();
            Ok(self.shared.report.only_while(move |world| world.still_lets_go(&object, &reasons)))
        } else {
            Err(WriteError::Conflict)
        }
    }

    /// What a record goes for that goes by what is known now.
    pub(crate) fn as_known_now(&self, object: &Declared) -> LetGo {
        LetGo { labels: self.shared.hub.read(|world| world.labels(&object.key.namespace).cloned()), ..LetGo::default() }
    }

    /// How long a look stays good: three times the longer of the resync interval and one full look at the allowed rate.
    pub(super) fn stale_after(&self) -> Duration {
        // From what is declared, which is there also while the Secret is not.
        let declared = self.declared_tenant();
        let Some(spec) = declared.as_ref().and_then(|tenant| tenant.spec.as_ref()) else { return Duration::from_mins(30) };
        let reads = u32::try_from(spec.rate_limit.reads_per_minute).unwrap_or(1).max(1);
        let connections = u32::try_from(self.known_connections.len()).unwrap_or(u32::MAX);
        let full_look = Duration::from_mins(1).saturating_mul(connections) / reads;
        tenant::resync_interval(spec).max(full_look) * 3
    }

    /// What was to be written to an object was not: a date is set to try again.
    pub(crate) fn requeue_after_failure(&mut self, object: &Declared, error: &WriteError) {
        self.requeue(Item::Object(object.key.clone()), object, error);
    }

    /// What an object has on a connection that it does not name was to be written, and was not: a date is set to try again.
    pub(crate) fn requeue_record(&mut self, object: &Declared, connection: &ConnectionId, error: &WriteError) {
        self.requeue(Item::Record(object.key.clone(), connection.clone()), object, error);
    }

    /// What an object has on a connection waits for another object: a date is set to look there again.
    pub(crate) fn look_for_record_again(&mut self, object: &Declared, connection: &ConnectionId) {
        self.queue.add_after_failure(Item::Record(object.key.clone(), connection.clone()), clock::now(), fastrand::f64());
    }

    /// It was written, or need not be.
    pub(crate) fn finish_record(&mut self, object: &Declared, connection: &ConnectionId) {
        self.queue.finish(&Item::Record(object.key.clone(), connection.clone()));
    }

    fn requeue(&mut self, item: Item, object: &Declared, error: &WriteError) {
        match error {
            WriteError::Gone => tracing::debug!(tenant = %self.name, object = %object.key, "an object was deleted"),
            WriteError::Conflict | WriteError::Outdated | WriteError::Failed(_) => {
                tracing::info!(tenant = %self.name, object = %object.key, %error, "an object could not be written; the operator plans it again");
            }
        }
        self.try_again(item, error);
    }

    /// What was to be written was not: how soon it is planned again goes by the reason.
    fn try_again(&mut self, item: Item, error: &WriteError) {
        let (now, chance) = (clock::now(), fastrand::f64());
        match error {
            // What is known now can be planned from at once.
            WriteError::Outdated => self.queue.add_again(item, now, chance),
            WriteError::Conflict | WriteError::Gone | WriteError::Failed(_) => self.queue.add_after_failure(item, now, chance),
        }
    }

    /// Lets go of what an object has at another Auth0 tenant, which its tenant object stood for before. Yields whether that is done.
    pub(super) async fn leave_elsewhere(&mut self, object: &Declared) -> bool {
        let now = self.shared.wall.now_in_seconds();
        let Some(left) = self.identity().and_then(|identity| status::left_elsewhere(object, identity, now)) else { return true };
        // The tenant object may stand for that one again.
        let report = self.report_while(object, self.as_known_now(object));
        let goes = object.deleting && left.finalizer == Finalizer::Remove;
        if goes && report.is_ok() {
            // Told before the object can go, and once.
            for notice in &left.notices {
                if self.told.insert((object.uid.clone(), notice.note.clone())) {
                    self.tell_of_left_elsewhere(object, notice).await;
                }
            }
        }
        let written = async {
            let report = report?;
            // In this order: without a record, a finalizer would say that what equals the spec at this tenant was once ours.
            let stored = if left.finalizer == Finalizer::Remove { report.finalizer(object, false).await? } else { object.clone() };
            if goes && stored.other_finalizers.is_empty() {
                return Ok(());
            }
            match report.status(&stored, &left.status).await {
                // Deleted meanwhile: what it left is told all the same.
                Err(WriteError::Gone) => Ok(()),
                written => written.map(drop),
            }
        };
        if let Err(error) = written.await {
            self.requeue_after_failure(object, &error);
            return false;
        }
        for notice in left.notices.iter().filter(|_| !goes) {
            self.tell_of_left_elsewhere(object, notice).await;
        }
        true
    }

    async fn tell_of_left_elsewhere(&self, object: &Declared, notice: &Notice) {
        tracing::warn!(tenant = %self.name, object = %object.key, "{}", notice.note);
        self.tell_of_left(&object.key, &object.uid, notice).await;
    }

    /// An object is gone that left what it owned.
    pub(crate) async fn report_left(&self, left: &Left, uid: &Uid, why: &str) {
        let notice = status::left_behind(&left.records, why);
        tracing::info!(tenant = %self.name, object = %left.object, note = notice.note, "an object was deleted and left its parameters");
        self.tell_of_left(&left.object, uid, &notice).await;
    }

    /// Tells an object what it leaves; where its namespace takes no more events, the tenant. Where no answer comes, the log.
    async fn tell_of_left(&self, object: &ObjectKey, uid: &Uid, notice: &Notice) {
        match self.shared.report.notice_of(object, uid, notice).await {
            Some(true) => {}
            Some(false) => self.report_left_behind(object, &format!("its namespace takes no more events; {}", notice.note)).await,
            None => self.log_left_behind(object, &notice.note),
        }
    }

    /// An object is gone whose parameters should have been removed first.
    pub(crate) async fn report_stripped(&self, left: &Left) {
        let note = format!("deleted while it did not have the finalizer {FINALIZER}; left at Auth0: {left}");
        self.report_left_behind(&left.object, &note).await;
    }

    /// Tells of parameters that an object left behind where the object itself can't be told about: in the log, and on
    /// the tenant.
    async fn report_left_behind(&self, object: &ObjectKey, note: &str) {
        self.log_left_behind(object, note);
        if let Some(tenant) = self.declared_tenant() {
            let notice = Notice::new(true, EventReason::ParametersLeft.as_str(), format!("UpstreamParams {object}: {note}"));
            self.shared.report.tenant_notice(&tenant, &notice).await;
        }
    }

    fn log_left_behind(&self, object: &ObjectKey, note: &str) {
        tracing::warn!(tenant = %self.name, %object, note, "parameters were left at Auth0");
    }
}
