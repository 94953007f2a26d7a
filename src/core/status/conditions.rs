//! Conditions of both kinds: how one is found, dated and read back.
//!
//! Guarantees: each condition carries the generation it is about, and `lastTransitionTime` moves only with its value.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::reason::{ConditionStatus, ConditionType, Reason};

/// Before what an earlier look showed and this pass could not see again.
const AS_SEEN: &str = "at the last check: ";

/// A condition before it has a type and its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn holds(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::True, reason, message: message.into() }
    }

    pub(super) fn fails(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::False, reason, message: message.into() }
    }

    pub(super) fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::Unknown, reason, message: message.into() }
    }

    /// Nothing is known yet.
    pub(super) fn pending(message: impl Into<String>) -> Self {
        Self::unknown(Reason::Pending, message)
    }

    pub(super) fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }

    /// What a condition says, if it is one that this operator could have written.
    fn read(condition: &Condition) -> Option<Self> {
        let (status, reason) = (condition.status.parse().ok()?, condition.reason.parse().ok()?);
        Some(Self { status, reason, message: condition.message.clone() })
    }

    /// The same, as of an earlier look.
    fn into_seen(self) -> Self {
        if self.reason == Reason::Pending || self.message.starts_with(AS_SEEN) {
            return self;
        }
        Self { message: format!("{AS_SEEN}{}", self.message), ..self }
    }
}

/// The condition of this type.
pub(crate) fn condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether the condition of this type has this value.
pub(super) fn is(conditions: &[Condition], kind: ConditionType, status: ConditionStatus) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == status.as_str())
}

/// What a new condition is compared with and dated by.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    /// The conditions as they are stored.
    pub(super) conditions: &'a [Condition],
    /// The generation that the new ones are about.
    pub(super) generation: i64,
    /// The time now.
    pub(super) now: jiff::Timestamp,
}

impl Before<'_> {
    /// The stored condition of this type.
    pub(super) fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        condition(self.conditions, kind)
    }

    /// The stored condition of this type, where it is about this generation.
    pub(super) fn of_this_generation(&self, kind: ConditionType) -> Option<&Condition> {
        self.condition(kind).filter(|old| old.observed_generation == Some(self.generation))
    }

    /// What this generation's status says already, as of the look that showed it; or that nothing is known yet.
    pub(super) fn carried(&self, kind: ConditionType, pending: &str) -> Finding {
        let old = self.of_this_generation(kind).and_then(Finding::read);
        old.map_or_else(|| Finding::pending(pending), Finding::into_seen)
    }

    /// The time at which the condition of this type took this value.
    pub(super) fn since(&self, kind: ConditionType, status: ConditionStatus) -> jiff::Timestamp {
        let old = self.condition(kind).filter(|old| old.status == status.as_str());
        old.map_or(self.now, |old| old.last_transition_time.0)
    }

    /// The condition to store.
    pub(super) fn dated(&self, kind: ConditionType, finding: Finding) -> Condition {
        let Finding { status, reason, message } = finding;
        Condition {
            type_: kind.as_str().to_owned(),
            status: status.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: Some(self.generation),
            last_transition_time: Time(self.since(kind, status)),
        }
    }

    /// The conditions to store, in this order.
    pub(super) fn all_dated(&self, findings: impl IntoIterator<Item = (ConditionType, Finding)>) -> Vec<Condition> {
        findings.into_iter().map(|(kind, finding)| self.dated(kind, finding)).collect()
    }
}
