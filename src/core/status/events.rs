//! What is told as an event: what was done, what was left, and each condition that came to another result.
//!
//! Guarantees: told on transitions only; no value of any parameter; a note fits into an event.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Context;
use super::outcome::{Deletion, Planned, RecordChange, Row, WriteOutcome};
use crate::api::reason::{ConditionStatus, ConditionType, EventReason, Reason};
use crate::api::upstream_params::UpstreamParamsStatus;
use crate::core::pass::claims;
use crate::core::pass::plan::{ParamPlan, Verdict};
use crate::core::world::Declared;

/// An event's note is cut here: the API server refuses notes over 1 kB.
const MAX_NOTE: usize = 900;

/// An event to emit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub warning: bool,
    /// The reason.
    pub reason: &'static str,
    /// What happened, at most 900 bytes.
    pub note: String,
}

impl Notice {
    /// A notice, cut to what an event may hold.
    pub fn new(warning: bool, reason: &'static str, mut note: String) -> Self {
        let end = (0..=MAX_NOTE.min(note.len())).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
        note.truncate(end);
        Self { warning, reason, note }
    }
}

/// The events of a pass, the cause before the summary.
pub(super) fn notices(object: &Declared, row: &Row<'_>, context: &Context, status: &UpstreamParamsStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Deletion::Released(why) = row.deletion
        && claims::any(&object.status)
    {
        notices.push(left_behind(&claims::records(&object.status).collect::<Vec<_>>(), why));
    }
    if let RecordChange::Planned(planned) = row.record {
        let left = |notice: &Notice| notice.reason == EventReason::ParametersLeft.as_str();
        // Observing does nothing that could be told, but it may find that there is nothing left to own.
        notices.extend(of_plan(planned).into_iter().filter(|notice| !context.observing || left(notice)));
    }
    if !object.deleting {
        notices.extend(transitions(&object.status.conditions, &status.conditions));
    }
    notices
}

/// What an object that goes leaves at Auth0, by name.
pub(crate) fn left_behind(records: &[claims::Record], why: &str) -> Notice {
    let names = |record: &claims::Record| record.owned.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let places: Vec<String> = records.iter().map(|record| format!("{} on the connection {}", names(record), record.called())).collect();
    Notice::new(true, EventReason::ParametersLeft.as_str(), format!("left at Auth0: {}, because {why}", places.join(", ")))
}

/// What was done to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Wrote,
    Overwrote,
    SetBack,
    Removed,
    Adopted,
    Left,
}

/// How a deed is told.
struct Telling {
    warning: bool,
    reason: &'static str,
    verb: &'static str,
    /// What follows, of one parameter and of several.
    why: [&'static str; 2],
}

impl Deed {
    /// In the order in which they are told.
    const ALL: [Self; 6] = [Self::Wrote, Self::Overwrote, Self::SetBack, Self::Removed, Self::Adopted, Self::Left];

    /// What a pass did to this parameter, if anything.
    fn to(name: &str, param: &ParamPlan, planned: &Planned) -> Option<Self> {
        let done = planned.write == WriteOutcome::Written && planned.touched.contains(name);
        match &param.verdict {
            Verdict::InSync => param.before.is_empty().then_some(Self::Adopted),
            Verdict::Write { .. } if done && planned.overwritten.contains(name) => Some(Self::Overwrote),
            Verdict::Write { drift: true, .. } => done.then_some(Self::SetBack),
            Verdict::Write { drift: false, .. } => done.then_some(Self::Wrote),
            Verdict::Remove => done.then_some(Self::Removed),
            Verdict::Left => Some(Self::Left),
            Verdict::Gone
            | Verdict::Handed
            | Verdict::ExistingValue
            | Verdict::Conflicted(_)
            | Verdict::Contended
            | Verdict::Paced { .. } => None,
        }
    }

    fn telling(self) -> Telling {
        let telling = |warning, reason, verb, why| Telling { warning, reason, verb, why };
        match self {
            Self::Wrote => telling(false, Reason::Applied.as_str(), "wrote", ["", ""]),
            Self::Overwrote => {
                let why = [", because adoptionPolicy is Overwrite"; 2];
                telling(true, EventReason::Overwritten.as_str(), "replaced somebody else's value of", why)
            }
            Self::SetBack => telling(true, EventReason::DriftCorrected.as_str(), "set back", [", which somebody else had changed"; 2]),
            Self::Removed => telling(false, EventReason::ParametersRemoved.as_str(), "removed", ["", ""]),
            Self::Adopted => {
                let why = [", which had the declared value already", ", which had the declared values already"];
                telling(false, EventReason::Adopted.as_str(), "adopted", why)
            }
            Self::Left => {
                let why = [
                    ", because somebody else changed it, or the object may not manage it any more",
                    ", because somebody else changed them, or the object may not manage them any more",
                ];
                telling(true, EventReason::ParametersLeft.as_str(), "left", why)
            }
        }
    }
}

fn of_plan(planned: &Planned) -> Vec<Notice> {
    let told = |deed: Deed| {
        let names = planned.params.iter().filter(|(name, param)| Deed::to(name, param, planned) == Some(deed));
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        let Telling { warning, reason, verb, why: [one, many] } = deed.telling();
        let why = if names.len() == 1 { one } else { many };
        let note = || format!("{verb} {} on the connection {}{why}", names.join(", "), planned.label());
        (!names.is_empty()).then(|| Notice::new(warning, reason, note()))
    };
    Deed::ALL.into_iter().filter_map(told).collect()
}

/// One event for each condition, of an object or a tenant, that came to another result, unless it only waits or only
/// repeats another condition.
pub(crate) fn transitions(old: &[Condition], new: &[Condition]) -> Vec<Notice> {
    let changed = new.iter().filter_map(|now| {
        let kind: ConditionType = now.type_.parse().ok()?;
        let same = old.iter().any(|was| (&was.type_, &was.status, &was.reason) == (&now.type_, &now.status, &now.reason));
        (!same && is_news(kind, now)).then_some((rank(kind), now))
    });
    let mut changed: Vec<(u8, &Condition)> = changed.collect();
    changed.sort_by_key(|(rank, _)| *rank);
    let notice = |now: &Condition| {
        let reason: Reason = now.reason.parse().ok()?;
        let warning = !is_true(now) || reason == Reason::AcceptedWithWarnings;
        Some(Notice::new(warning, reason.as_str(), now.message.clone()))
    };
    changed.into_iter().filter_map(|(_, now)| notice(now)).collect()
}

/// The cause before the summary.
fn rank(kind: ConditionType) -> u8 {
    match kind {
        ConditionType::Accepted => 0,
        ConditionType::ResolvedRefs => 1,
        ConditionType::Synced | ConditionType::Authenticated => 2,
        ConditionType::Ready => 3,
        ConditionType::Reconciling | ConditionType::Stalled => 4,
    }
}

fn is_news(kind: ConditionType, now: &Condition) -> bool {
    if now.reason == Reason::Pending.as_str() {
        return false;
    }
    match kind {
        ConditionType::Ready => is_true(now) || now.reason == Reason::StaleObservation.as_str(),
        ConditionType::Accepted => !is_true(now) || now.reason == Reason::AcceptedWithWarnings.as_str(),
        ConditionType::ResolvedRefs | ConditionType::Synced | ConditionType::Authenticated => !is_true(now),
        ConditionType::Reconciling | ConditionType::Stalled => false,
    }
}

fn is_true(condition: &Condition) -> bool {
    condition.status == ConditionStatus::True.as_str()
}
