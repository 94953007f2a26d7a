//! How a pass ended for one object, and the one table of all that follows from it.
//!
//! Guarantees: exhaustive by row. Each outcome has one [`Row`], which says everything about it; the other files of this folder
//! fold a row into conditions, record, events and finalizer, and never ask for the outcome itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::reason::Reason;
use crate::api::upstream_params::ConnectionStatus;
use crate::core::obstacle::Obstacle;
use crate::core::pass::claims;
use crate::core::pass::plan::{ParamPlan, Plan, Verdict};
use crate::core::spec::{Refusal, UnfitReason};
use crate::core::world::Declared;
use crate::model::identity::{ConnectionId, Uid};

/// How a pass ended for one object.
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is used up at once")]
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr)]
pub enum Outcome {
    /// The spec can't be carried out.
    Invalid(Refusal),
    /// The tenant object does not exist.
    TenantNotFound {
        /// The one that was probably meant.
        meant: Option<String>,
    },
    /// The tenant can't be used at present; the text says why.
    TenantNotReady(String),
    /// The tenant does not admit this namespace, or this connection for it.
    NotPermitted(String),
    /// The named connection does not exist. The record of that id, if there is one, has lost its object.
    ConnectionNotFound {
        /// The id that was looked for, when it was by id.
        id: Option<ConnectionId>,
        /// The name that was probably meant, of those that the object may use.
        meant: Option<String>,
    },
    /// The connection could not be read or understood.
    Unread(Obstacle),
    /// The connection or one of the parameters is not one to be managed.
    Refused {
        /// Why not.
        reason: UnfitReason,
        /// What is wrong and what to do.
        message: String,
    },
    /// Planned, and perhaps written.
    Planned(Planned),
    /// The API refused this object's changes before, and nothing has changed since.
    StillRejected {
        /// What it said then. Safe to show.
        message: String,
        /// What is unusual.
        warnings: Vec<String>,
    },
    /// The object, which is being deleted, lets go of everything; the text says why nothing was removed.
    Released(String),
    /// Another object took over what this one has a record of and no say about. Nothing else is said of it here.
    Displaced,
}

/// A pass that came as far as a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The connection: id, name, strategy.
    pub connection: ConnectionStatus,
    /// The object's part of the plan.
    pub params: BTreeMap<String, ParamPlan>,
    /// The names whose change is made in this pass.
    pub touched: BTreeSet<String>,
    /// The names whose change is left to a later pass.
    pub deferred: BTreeSet<String>,
    /// Of those whose change is made, the ones that had a value which nothing proves to be ours.
    pub overwritten: BTreeSet<String>,
    /// What is unusual.
    pub warnings: Vec<String>,
    /// What became of the changes.
    pub write: WriteOutcome,
}

/// What became of a write: of the whole PATCH for the pass, of one object's part of it for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// There was nothing to write.
    Nothing,
    /// Written, and the answer shows it.
    Written,
    /// The claim is stored, and the write failed or its answer was lost.
    Failed(Obstacle),
    /// Nothing was claimed or written: there was no permit, or it is another object's turn.
    Postponed(Obstacle),
    /// The API refused the parameters: a 400 that names them.
    Rejected(String),
}

impl Planned {
    /// An object that left this connection and is not admitted to it any more: its record goes, the parameters stay.
    pub fn left(object: &Declared, id: &ConnectionId, connection: ConnectionStatus) -> Self {
        let left = |claim: claims::Claim| ParamPlan {
            verdict: Verdict::Left,
            claim: Vec::new(),
            after: Vec::new(),
            before: claim.owned,
            applied: false,
            dispute: None,
        };
        Self {
            params: claims::on(&object.status, id).into_iter().map(|(name, claim)| (name, left(claim))).collect(),
            connection,
            touched: BTreeSet::new(),
            deferred: BTreeSet::new(),
            overwritten: BTreeSet::new(),
            warnings: Vec::new(),
            write: WriteOutcome::Nothing,
        }
    }

    /// One object's part of a plan.
    pub fn part(plan: &Plan, object: &Declared, connection: ConnectionStatus, warnings: Vec<String>, write: WriteOutcome) -> Self {
        let params = plan.part(&object.uid);
        let names = |test: fn(&Plan, &str, &Uid) -> bool| {
            plan.changes.keys().chain(plan.deferred.keys()).filter(|name| test(plan, name, &object.uid)).cloned().collect()
        };
        let (touched, deferred) = (names(Plan::touches), names(Plan::defers));
        let overwritten = plan.overwritten.intersection(&touched).cloned().collect();
        Self { connection, params, touched, deferred, overwritten, warnings, write }
    }

    /// Whether anything of this object was written.
    pub(super) fn wrote(&self) -> bool {
        self.write == WriteOutcome::Written && !self.touched.is_empty()
    }

    /// The connection as people call it.
    pub(super) fn label(&self) -> &str {
        self.connection.name.as_deref().unwrap_or(&self.connection.id)
    }
}

/// All that follows from one outcome.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row<'a> {
    /// What is said as `Accepted`.
    pub(super) accepted: Accepted<'a>,
    /// What is said as `ResolvedRefs`.
    pub(super) resolved: Resolved<'a>,
    /// What is said as `Synced`.
    pub(super) synced: Synced<'a>,
    /// Whether the tenant as a whole is in trouble: then who was in sync stays ready.
    pub(super) tenant: TenantHealth,
    /// What becomes of the record.
    pub(super) record: RecordChange<'a>,
    /// What it means for an object that is being deleted.
    pub(super) deletion: Deletion<'a>,
    /// What the operator does next, where the object is not ready.
    pub(super) next: Progress,
}

/// What an outcome says as `Accepted`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Accepted<'a> {
    /// What this generation was told before.
    AsSeen,
    /// It is refused, with reason and message.
    Refused(Reason, String),
    /// It is accepted, with these warnings.
    Warned(&'a [String]),
    /// It is accepted, but for the names that the plan gives to others.
    ByPlan(&'a Planned),
}

/// What an outcome says as `ResolvedRefs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolved<'a> {
    /// What this generation was told before.
    AsSeen,
    /// The same, but for a tenant that was missing: there is one now, or this could not have been the outcome.
    TenantExists,
    /// There is no such tenant object; the one that was probably meant.
    NoTenant(Option<&'a str>),
    /// There is no such connection; the one that was probably meant.
    NoConnection(Option<&'a str>),
    /// Both exist.
    Found,
}

/// What an outcome says as `Synced`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Synced<'a> {
    /// Nothing is written for this object.
    Withheld,
    /// The tenant can't be used, and why.
    TenantNotReady(&'a str),
    /// Something stood in the way.
    Hindered(&'a Obstacle),
    /// The API refused the parameters, and what it said.
    Rejected(&'a str),
    /// What the plan found, and what came of it.
    ByPlan(&'a Planned),
}

/// How the tenant as a whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TenantHealth {
    /// Nothing is known against it.
    Fine,
    /// It is in trouble, for which no object is at fault.
    Troubled,
}

/// What becomes of the record of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RecordChange<'a> {
    /// It stays as it is.
    Kept,
    /// Only what is owned stays. A line without a record would be about a value that nobody looks at for it any more.
    OwnedOnly,
    /// That of one connection goes, with the connection.
    Without(&'a ConnectionId),
    /// All of it goes.
    Emptied,
    /// It becomes what the plan says.
    Planned(&'a Planned),
}

/// What an outcome means for an object that is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion<'a> {
    /// It goes when its record is empty.
    WithTheRecord,
    /// It waits for this, also without a record: that may have been lost.
    Waits(&'a str),
    /// It goes now, and leaves what it owns, for this reason.
    Released(&'a str),
}

/// What the operator does next about an object that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is at work: another pass goes on with it.
    GoesOn,
    /// It tries again, or waits for a change elsewhere.
    TriesAgain,
    /// It tries again, and says meanwhile how long ago the connection was seen: nothing else wakes an object when that becomes
    /// too long ago.
    WatchesTheAge,
}

impl Outcome {
    /// The table.
    #[rustfmt::skip]
    pub(super) fn row(&self) -> Row<'_> {
        match self {
            Self::Invalid(refusal) => Row {
                accepted: Accepted::Refused(Reason::InvalidSpec, refusal.to_string()), resolved: Resolved::AsSeen,
                synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::OwnedOnly, deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
            Self::TenantNotFound { meant } => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::NoTenant(meant.as_deref()), synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::Kept, deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
            Self::TenantNotReady(why) => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::TenantExists, synced: Synced::TenantNotReady(why),
                tenant: TenantHealth::Troubled, record: RecordChange::Kept, deletion: Deletion::Waits(why), next: Progress::WatchesTheAge,
            },
            Self::NotPermitted(why) => Row {
                accepted: Accepted::Refused(Reason::NotPermitted, why.clone()), resolved: Resolved::TenantExists, synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::OwnedOnly, deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
            Self::ConnectionNotFound { id, meant } => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::NoConnection(meant.as_deref()), synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::without(id.as_ref()), deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
            Self::Unread(obstacle) => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::TenantExists, synced: Synced::Hindered(obstacle),
                tenant: obstacle.tenant_health(), record: RecordChange::Kept, deletion: Deletion::Waits(&obstacle.message),
                next: Progress::WatchesTheAge,
            },
            Self::Refused { reason, message } => Row {
                accepted: Accepted::Refused((*reason).into(), message.clone()), resolved: Resolved::Found, synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::OwnedOnly, deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
            Self::Planned(planned) => planned.row(),
            Self::StillRejected { message, warnings } => Row {
                accepted: Accepted::Warned(warnings), resolved: Resolved::Found, synced: Synced::Rejected(message),
                tenant: TenantHealth::Fine, record: RecordChange::Kept, deletion: Deletion::Waits(message), next: Progress::TriesAgain,
            },
            Self::Released(why) => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::AsSeen, synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::Emptied, deletion: Deletion::Released(why), next: Progress::TriesAgain,
            },
            Self::Displaced => Row {
                accepted: Accepted::AsSeen, resolved: Resolved::AsSeen, synced: Synced::Withheld,
                tenant: TenantHealth::Fine, record: RecordChange::Kept, deletion: Deletion::WithTheRecord, next: Progress::TriesAgain,
            },
        }
    }

    /// What the operator does next about an object that is not ready.
    pub fn next(&self) -> Progress {
        self.row().next
    }
}

impl Planned {
    /// The rows of those that came as far as a plan.
    #[rustfmt::skip]
    fn row(&self) -> Row<'_> {
        match &self.write {
            WriteOutcome::Nothing | WriteOutcome::Written => Row {
                accepted: Accepted::ByPlan(self), resolved: Resolved::Found, synced: Synced::ByPlan(self),
                tenant: TenantHealth::Fine, record: RecordChange::Planned(self), deletion: Deletion::WithTheRecord, next: Progress::GoesOn,
            },
            WriteOutcome::Failed(obstacle) | WriteOutcome::Postponed(obstacle) => Row {
                accepted: Accepted::ByPlan(self), resolved: Resolved::Found, synced: Synced::Hindered(obstacle),
                tenant: obstacle.tenant_health(), record: RecordChange::Planned(self), deletion: Deletion::Waits(&obstacle.message),
                next: Progress::GoesOn,
            },
            WriteOutcome::Rejected(message) => Row {
                accepted: Accepted::ByPlan(self), resolved: Resolved::Found, synced: Synced::Rejected(message),
                tenant: TenantHealth::Fine, record: RecordChange::Planned(self), deletion: Deletion::Waits(message), next: Progress::GoesOn,
            },
        }
    }
}

impl<'a> RecordChange<'a> {
    fn without(id: Option<&'a ConnectionId>) -> Self {
        id.map_or(Self::Kept, Self::Without)
    }
}

impl Obstacle {
    const fn tenant_health(&self) -> TenantHealth {
        if self.tenant_wide { TenantHealth::Troubled } else { TenantHealth::Fine }
    }
}
