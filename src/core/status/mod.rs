//! What is said of an object after a pass, and of a tenant: from (outcome, old status, now) to status, events and finalizer.
//!
//! Guarantees: the four conditions `Accepted`, `ResolvedRefs`, `Synced` and `Ready` are always present, each with
//! `observedGeneration`; `Reconciling` and `Stalled` are there only while true, never both; `lastTransitionTime` moves
//! only with a condition's status; the same outcome twice yields the same status; no value of any parameter appears; what
//! a look showed is said as of that look when the latest pass had none.
//!
//! Assumes: the caller writes the status only when it differs, with the version the plan was made from.
//!
//! To read in this order: [`outcome`] (how a pass ends, and the one table of what follows), `conditions` (those of both kinds),
//! `object` and `synced` (the conditions of an object), `record` (what it owns where), `events`, [`tenant`] (the status of a tenant).

mod conditions;
mod events;
mod object;
pub(crate) mod object_counts;
pub(crate) mod outcome;
mod record;
pub(crate) mod standing;
mod synced;
pub(crate) mod tenant;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::reason::{ConditionStatus, ConditionType};
use crate::api::upstream_params::UpstreamParamsStatus;
use crate::core::pass::claims;
use crate::core::world::Declared;

pub(crate) use conditions::condition;
pub(crate) use events::{Notice, left_behind, transitions};
pub(crate) use object::is_accepted_on;
pub use outcome::{Outcome, Planned, WriteOutcome};
pub use record::claimed;
pub(crate) use record::{described, is_elsewhere, left_elsewhere};

use outcome::{Deletion, RecordChange, Row};

/// How long a generation that was never in sync may go without progress before it counts as stalled.
pub(crate) const PROGRESS_DEADLINE: Duration = Duration::from_mins(10);

/// Everything else that the status depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The time now, in whole seconds.
    pub now: jiff::Timestamp,
    /// Whether the object or its tenant only observes.
    pub observing: bool,
    /// Whether the connection of this pass is the one that the spec names.
    pub names_it: bool,
    /// How long ago the connection was last seen, in this process.
    pub since_good_look: Duration,
    /// How long a look stays good.
    pub stale_after: Duration,
    /// How long this generation has not been ready, in this process.
    pub unready_for: Duration,
}

/// What to do with the finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// Leave it, there or not.
    Keep,
    /// Set it before the status is written.
    Add,
    /// Remove it after the status is written.
    Remove,
}

/// What to write and say.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The new status, whole.
    pub status: UpstreamParamsStatus,
    /// The events.
    pub notices: Vec<Notice>,
    /// The finalizer.
    pub finalizer: Finalizer,
}

impl Conclusion {
    /// The same, where this request was carried out with it. What was carried out before stays recorded where there is no other.
    pub(crate) fn carries_out(mut self, request: Option<&str>) -> Self {
        if let Some(request) = request {
            self.status.last_handled_reconcile_at = Some(request.to_owned());
        }
        self
    }
}

/// Concludes a pass for one object.
pub fn conclude(object: &Declared, outcome: &Outcome, context: &Context) -> Conclusion {
    let row = outcome.row();
    let status = status(object, &row, context);
    let notices = events::notices(object, &row, context, &status);
    Conclusion { finalizer: finalizer(object, row.deletion, &status), status, notices }
}

/// The new status. Of an object that is elsewhere only the record is concluded here.
fn status(object: &Declared, row: &Row<'_>, context: &Context) -> UpstreamParamsStatus {
    let old = &object.status;
    let connections = record::connections(object, &row.record, context);
    let case = object::Case { object, row, context, connections: &connections };
    let (observed_generation, target, conditions, last_synced_time) = match (object.deleting, context.names_it) {
        (true, _) => (Some(object.generation), old.target.clone(), case.deleting(), old.last_synced_time.clone()),
        (false, true) => {
            let conditions = case.conditions();
            let synced = |conditions| conditions::is(conditions, ConditionType::Synced, ConditionStatus::True);
            let moves = wrote(row) || (synced(&conditions) && !synced(&old.conditions));
            let last = if moves { Some(Time(context.now)) } else { old.last_synced_time.clone() };
            (Some(object.generation), target(object), conditions, last)
        }
        (false, false) => (old.observed_generation, old.target.clone(), old.conditions.clone(), old.last_synced_time.clone()),
    };
    let last_handled_reconcile_at = old.last_handled_reconcile_at.clone();
    UpstreamParamsStatus { observed_generation, target, conditions, connections, last_synced_time, last_handled_reconcile_at }
}

fn wrote(row: &Row<'_>) -> bool {
    match row.record {
        RecordChange::Planned(planned) => planned.wrote(),
        RecordChange::Kept | RecordChange::OwnedOnly | RecordChange::Without(_) | RecordChange::Emptied => false,
    }
}

fn target(object: &Declared) -> Option<String> {
    match &object.spec {
        Ok(spec) => Some(spec.target.to_string()),
        Err(_) => object.status.target.clone(),
    }
}

fn finalizer(object: &Declared, deletion: Deletion<'_>, status: &UpstreamParamsStatus) -> Finalizer {
    let needed = match deletion {
        Deletion::Released(_) => false,
        Deletion::Waits(_) if object.deleting => true,
        Deletion::WithTheRecord if object.deleting => claims::any(status),
        Deletion::Waits(_) | Deletion::WithTheRecord => object.cleans_up() && claims::any(status),
    };
    match (needed, object.finalizer) {
        (true, false) if !object.deleting => Finalizer::Add,
        (false, true) => Finalizer::Remove,
        (true, true | false) | (false, false) => Finalizer::Keep,
    }
}

/// A sentence that begins with some names, with the verb that goes with their number.
fn about(names: &[&str], one: &str, many: &str) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
