//! The third step: everybody for whom something is written stores its record of it first.
//!
//! Guarantees: the write of a claim is the fence, also where the record does not change; what could not be claimed in time is
//! taken out of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use super::plan::Planned;
use super::written::{Ended, Written};
use super::{FRESH, Pass};
use crate::api::upstream_params::ConnectionStatus;
use crate::clock::{self, WallClock};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::member::Member;
use crate::core::pass::plan::Plan;
use crate::core::schedule::pace::Pace;
use crate::core::status::{self, WriteOutcome};
use crate::core::world::Declared;
use crate::kubernetes::report::{Report, WriteError};
use crate::model::identity::{Fingerprint, Uid};

/// How old a document may be when a claim for the PATCH is stored: the PATCH has to start after it, and in time.
const CLAIMED: Duration = Duration::from_millis(1750);

/// How many claims are on their way at a time.
const CLAIMS_AT_ONCE: usize = 16;

/// What is left of the plan is claimed, and may be written.
pub(super) struct Claimed {
    pub(super) planned: Planned,
    /// Claims that are still on their way: what is written goes without them.
    pub(super) late: Late,
    /// Whose claim was not stored in time.
    pub(super) unclaimed: BTreeSet<Uid>,
}

/// Claims that are on their way to the API server, each with the number of its member.
pub(super) type Late = JoinSet<(usize, Stored)>;

/// What became of a claim: the object as it is then, also where only the finalizer was stored, and the error.
type Stored = (Declared, Result<(), WriteError>);

impl<'t> Pass<'t, Planned> {
    /// Stores the claims. Yields a pass that is at its end where nothing can be written, or nothing has to be.
    pub(super) async fn claim(mut self) -> ControlFlow<Pass<'t, Written>, Pass<'t, Claimed>> {
        if self.at.plan.is_empty() || self.settings.observes {
            return Break(self.unwritten(Ended::WITHOUT_A_WRITE));
        }
        let unwritten = if self.at.plan.changes.is_empty() { Some(Ended::WITHOUT_A_WRITE) } else { self.obstacle() };
        // What only changes hands is claimed also where nothing can be written.
        let adopters = || self.at.plan.adopters().into_iter().collect();
        let claimants: Vec<Uid> = if unwritten.is_none() { self.at.plan.acted_for_in_order() } else { adopters() };
        let (claimed, late) = self.store_claims(&claimants).await;
        self.at.plan.retain_adopted(&claimed);
        if let Some(ended) = unwritten {
            until_stored(late, &mut self.at.members).await;
            let came_to_nothing = ended == Ended::WITHOUT_A_WRITE && self.at.plan.adopted.is_empty();
            return Break(self.unwritten(if came_to_nothing { Ended::NoResult } else { ended }));
        }
        self.at.plan.retain_claimed(&claimed);
        let unclaimed = claimants.into_iter().filter(|uid| !claimed.contains(uid)).collect();
        Continue(self.then(|planned| Claimed { planned, late, unclaimed }))
    }

    fn unwritten(self, ended: Ended) -> Pass<'t, Written> {
        self.then(|Planned { declared: _, reading, members, plan }| Written { reading, members, plan, ended })
    }

    /// Why nothing can be written to the connection now.
    fn obstacle(&mut self) -> Option<Ended> {
        let postponed = |obstacle, pace| Some(Ended::With(WriteOutcome::Postponed(obstacle), pace));
        if let Some(missing) = self.tenant.missing_scopes() {
            let (reason, message) = (ObstacleReason::TenantNotReady, missing.message.clone());
            return postponed(Obstacle { reason, message, tenant_wide: true }, Pace::Routine);
        }
        let unavailable = |message| Obstacle { reason: ObstacleReason::RemoteUnavailable, message, tenant_wide: true };
        let document = &self.at.reading.document;
        if let Some(left) = self.tenant.shared.leadership.settles_in() {
            let message = "the operator that led before may still be writing; this one waits until that has ended";
            let obstacle = Obstacle { reason: ObstacleReason::Pending, message: message.to_owned(), tenant_wide: false };
            return postponed(obstacle, Pace::After(left));
        }
        if let Some(left) = self.tenant.unsettled_for(&document.id) {
            let message =
                "Auth0 did not answer a write to the connection, which may still take effect; the operator waits until it has ended";
            return postponed(unavailable(message.to_owned()), Pace::After(left));
        }
        if clock::since(self.at.reading.asked.started()) > FRESH {
            let message = format!(
                "Auth0 took more than {} s to show the connection, too long to write safely; the operator tries again",
                FRESH.as_secs()
            );
            tracing::info!(tenant = %self.tenant.name, connection = %document.name, "a check had no result, because the read took too long");
            return postponed(unavailable(message), self.back_off());
        }
        None
    }

    /// Stores the claims of these objects, in this order, many at a time. Yields whose are stored in time, and the writes
    /// that are still on their way.
    async fn store_claims(&mut self, claimants: &[Uid]) -> (BTreeSet<Uid>, Late) {
        let by = self.at.reading.asked.started() + CLAIMED;
        let connection = self.described(&self.at.reading.document);
        let Planned { members, plan, .. } = &mut self.at;
        let number = |uid: &Uid| members.iter().position(|member| member.stored.uid == *uid);
        let mut waiting = claimants.iter().filter_map(number).collect::<Vec<usize>>().into_iter();
        let (mut claimed, mut refused, mut on_their_way) = (BTreeSet::new(), Vec::new(), Late::new());
        loop {
            while on_their_way.len() < CLAIMS_AT_ONCE
                && clock::now() < by
                && let Some(number) = waiting.next()
            {
                let Some(member) = members.get(number) else { continue };
                let claim = Claim::new(plan, &member.stored, &connection);
                let (report, wall) = (self.tenant.shared.report.clone(), self.tenant.shared.wall.clone());
                on_their_way.spawn(async move { (number, claim.store(&report, &wall).await) });
            }
            let Ok(Some(ended)) = tokio::time::timeout_at(by.into(), on_their_way.join_next()).await else { break };
            match take_in(ended, members) {
                Some(Ok(uid)) => drop(claimed.insert(uid)),
                Some(Err(refusal)) => refused.push(refusal),
                None => {}
            }
        }
        for (object, error) in refused {
            self.tenant.requeue_after_failure(&object, &error);
        }
        (claimed, on_their_way)
    }
}

/// What one object stores before the write.
struct Claim {
    object: Arc<Declared>,
    connection: ConnectionStatus,
    records: BTreeMap<String, Vec<Fingerprint>>,
    removed: BTreeSet<String>,
}

impl Claim {
    fn new(plan: &Plan, object: &Arc<Declared>, connection: &ConnectionStatus) -> Self {
        let (records, removed) = (plan.claims_of(&object.uid), plan.removed_for(&object.uid));
        Self { object: object.clone(), connection: connection.clone(), records, removed }
    }

    /// Stores it, the finalizer first.
    async fn store(self, report: &Report, wall: &WallClock) -> Stored {
        let mut stored = Declared::clone(&self.object);
        let written = self.store_to(&mut stored, report, wall).await;
        (stored, written)
    }

    async fn store_to(&self, stored: &mut Declared, report: &Report, wall: &WallClock) -> Result<(), WriteError> {
        if !stored.finalizer && stored.cleans_up() && !stored.deleting {
            *stored = Declared { status: stored.status.clone(), ..report.finalizer(stored, true).await? };
        }
        let status = status::claimed(stored, &self.connection, &self.records, &self.removed, wall.now_in_seconds());
        *stored = report.status(stored, &status).await?;
        Ok(())
    }
}

/// Takes in the end of a claim: whose it was, where it is stored; else the object and the error.
fn take_in(ended: Result<(usize, Stored), JoinError>, members: &mut [Member]) -> Option<Result<Uid, (Arc<Declared>, WriteError)>> {
    let (number, (stored, written)) = ended.ok()?;
    let member = members.get_mut(number)?;
    // What is concluded is written to the version that the claim made, also where that was the finalizer's alone.
    member.stored = Arc::new(stored);
    Some(written.map(|()| member.stored.uid.clone()).map_err(|error| (member.stored.clone(), error)))
}

/// Waits for the claims that came too late for the write: what is concluded is written to the version that they made.
pub(super) async fn until_stored(mut late: Late, members: &mut [Member]) {
    while let Some(ended) = late.join_next().await {
        take_in(ended, members);
    }
}
