//! Faults in what is concluded of an object: status, record, finalizer.

use super::{Edit, Mutant, Room};

const STATUS: &str = "src/core/status/mod.rs";
const RECORD: &str = "src/core/status/record.rs";
const SYNCED: &str = "src/core/status/synced.rs";
const REPORTING: &str = "src/reconcile/tenant/reporting.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "failed-removal-releases", room: Room::Status,
        wrong: "the finalizer is removed although the removal of the parameters failed",
        edits: &[Edit(STATUS,
            "Deletion::Waits(_) if object.deleting => true,",
            "Deletion::Waits(_) if object.deleting => false,")],
    },
    Mutant {
        name: "first-removal-releases", room: Room::Status,
        wrong: "the finalizer is removed while the object still has a record on another connection",
        edits: &[Edit(STATUS,
            "Deletion::WithTheRecord if object.deleting => claims::any(status),",
            "Deletion::WithTheRecord if object.deleting => false,")],
    },
    Mutant {
        name: "finalizer-first", room: Room::Status,
        wrong: "an object that is being deleted is let go as soon as it is reconciled, before anything is removed",
        edits: &[Edit("src/core/tenant/triage.rs",
            "_ if facts.retains => Triage::Release(Release::Policy),",
            "_ if facts.retains || facts.recorded => Triage::Release(Release::Policy),")],
    },
    Mutant {
        name: "record-goes-with-a-lost-answer", room: Room::Status,
        wrong: "the record of what a write was to set goes when no answer came",
        edits: &[Edit(RECORD,
            "Verdict::Write { .. } if claimed => (ParamState::Pending, &param.claim),",
            "Verdict::Write { .. } if claimed => (ParamState::Pending, &param.before),")],
    },
    Mutant {
        name: "record-goes-before-the-removal", room: Room::Status,
        wrong: "the record of a parameter goes although it could not be removed",
        edits: &[Edit(RECORD,
            "Verdict::Remove => (ParamState::Removing, &param.before),",
            "Verdict::Remove => return None,")],
    },
    Mutant {
        name: "record-goes-with-an-invalid-spec", room: Room::Status,
        wrong: "the record goes where nothing can be carried out",
        edits: &[Edit(RECORD,
            "RecordChange::OwnedOnly => owned_only(old),",
            "RecordChange::OwnedOnly => Vec::new(),")],
    },
    Mutant {
        name: "in-sync-without-a-look", room: Room::Status,
        wrong: "what was to be written is said to be in sync, whatever came of the write",
        edits: &[Edit(RECORD,
            "Verdict::Write { .. } if written => (ParamState::Applied, &param.after),",
            "Verdict::Write { .. } => (ParamState::InSync, &param.after),")],
    },
    Mutant {
        name: "ready-with-another-value", room: Room::Status,
        wrong: "an object is ready while Auth0 has another value of one of its parameters",
        edits: &[Edit(SYNCED,
            "            .or_else(|| self.has_another_value())\n",
            "")],
    },
    Mutant {
        name: "ready-with-a-conflict", room: Room::Status,
        wrong: "an object is ready while one of its parameters belongs to another",
        edits: &[Edit("src/core/status/object.rs",
            "Accepted::ByPlan(planned) => self.accepted_plan(planned),",
            "Accepted::ByPlan(planned) => accepted_with(&planned.warnings),")],
    },
    Mutant {
        name: "status-of-another-generation", room: Room::Status,
        wrong: "a status does not say that it is of the newest generation",
        edits: &[Edit(STATUS,
            "(Some(object.generation), target(object), conditions, last)",
            "(old.observed_generation.or(Some(object.generation)), target(object), conditions, last)")],
    },
    Mutant {
        name: "status-moves-at-each-look", room: Room::Status,
        wrong: "a status is written at every look, although nothing has changed",
        edits: &[Edit(STATUS,
            "let moves = wrote(row) || (synced(&conditions) && !synced(&old.conditions));",
            "let moves = wrote(row) || synced(&conditions) || !synced(&old.conditions);")],
    },
    Mutant {
        name: "record-of-another-tenant-stays", room: Room::Status,
        wrong: "what an object has at the tenant that its tenant object stood for before is never let go of",
        edits: &[Edit("src/reconcile/tenant/objects.rs",
            "if !self.leave_elsewhere(object).await {",
            "if false {")],
    },
    Mutant {
        name: "trouble-turns-everybody-red", room: Room::Status,
        wrong: "trouble with the tenant turns an object red that was in sync",
        edits: &[Edit("src/core/status/object.rs",
            "if self.row.tenant == TenantHealth::Troubled && self.was_in_sync() && accepted.is_true() && resolved.is_true() {",
            "if self.row.tenant == TenantHealth::Troubled && !self.was_in_sync() && accepted.is_true() && resolved.is_true() {")],
    },
    Mutant {
        name: "adopter-is-told-first", room: Room::Status,
        wrong: "who takes a name over is told so before the other's record of it is gone",
        edits: &[Edit("src/reconcile/pass/conclude.rs",
            "            if given_up {\n",
            "            if given_up || !given_up {\n")],
    },
    Mutant {
        name: "status-that-failed-has-no-date", room: Room::Report,
        wrong: "a status that could not be written is not tried again",
        edits: &[Edit(REPORTING,
            "self.try_again(item, error);",
            "drop(item);")],
    },
    Mutant {
        name: "record-goes-unasked", room: Room::Report,
        wrong: "it is not asked right before a record goes whether it still may",
        edits: &[Edit("src/kubernetes/report.rs",
            "if self.fence.as_ref().is_some_and(|holds| !self.hub.read(|world| holds(world))) {",
            "if false {")],
    },
    Mutant {
        name: "conflict-is-overwritten", room: Room::Report,
        wrong: "a status that conflicts is written over the newer version, whatever that says",
        edits: &[Edit("src/kubernetes/report.rs",
            "let same = newest.finalizer == object.finalizer && !newest.differs(object);",
            "let same = newest.uid == object.uid;")],
    },
    Mutant {
        name: "other-finalizers-are-taken", room: Room::Report,
        wrong: "the finalizers of others go with ours",
        edits: &[Edit("src/kubernetes/report.rs",
            "object.other_finalizers.iter().cloned().chain(ours).collect();",
            "ours.into_iter().collect();")],
    },
    Mutant {
        name: "own-status-is-not-folded", room: Room::Report,
        wrong: "what was just written to a status is not known until the watch brings it",
        edits: &[Edit("src/kubernetes/report.rs",
            "                known.status = new.status.clone();\n",
            "")],
    },
];
