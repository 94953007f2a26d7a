//! Faults in whose a name is, and in what is written.

use super::{Edit, Mutant, Room};

const DECIDE: &str = "src/core/pass/plan/decide.rs";
const PASS_PLAN: &str = "src/reconcile/pass/plan.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "existing-value-is-overwritten", room: Room::Plan,
        wrong: "a value that somebody else set is replaced under `adoptionPolicy: IfEqual`",
        edits: &[Edit(DECIDE,
            "if absent || winner.part.object.overwrites() { Verdict::Write { drift: false, absent } } else { Verdict::ExistingValue }",
            "Verdict::Write { drift: false, absent }")],
    },
    Mutant {
        name: "foreign-value-is-removed", room: Room::Plan,
        wrong: "a name that is recorded is removed whatever its value is by now",
        edits: &[Edit(DECIDE,
            "releasing.into_iter().partition(|giver| self.proves(giver));",
            "releasing.into_iter().partition(|_| self.live().is_some());")],
    },
    Mutant {
        name: "both-own-it", room: Room::Plan,
        wrong: "of two objects that declare one name both are told that they have it",
        edits: &[Edit(DECIDE,
            "decision.tell(loser, ParamPlan { claim: kept.clone(), after: kept, ..loser.told(self.name, Verdict::Conflicted(by)) });",
            "drop((by, kept));\n            decision.tell(loser, loser.told(self.name, Verdict::InSync));")],
    },
    Mutant {
        name: "restore-hands-over", room: Room::Plan,
        wrong: "where all records are gone, as after a restore, the older object wins over the one whose value is live",
        edits: &[Edit(DECIDE,
            "            .or_else(|| wanting().find(declares_live))\n",
            "")],
    },
    Mutant {
        name: "owner-loses-to-an-older-one", room: Room::Plan,
        wrong: "a name goes to the oldest object that declares it, whoever has a record of it",
        edits: &[Edit(DECIDE,
            "        proved\n            .or_else",
            "        wanting().next().or(proved)\n            .or_else")],
    },
    Mutant {
        name: "dropped-name-stays", room: Room::Plan,
        wrong: "a name that an object does not declare any more stays at Auth0, and its record goes",
        edits: &[Edit(DECIDE,
            "            Role::Owner | Role::Observer | Role::Leaver => true,",
            "            Role::Owner => false,\n            Role::Observer | Role::Leaver => true,")],
    },
    Mutant {
        name: "drift-is-left", room: Room::Plan,
        wrong: "a value that somebody changed after it was in sync counts as somebody's own, and is left",
        edits: &[Edit(DECIDE,
            "if winner.claim(self.name).applied {",
            "if winner.claim(self.name).applied && absent {")],
    },
    Mutant {
        name: "fight-is-fought", room: Room::Plan,
        wrong: "a value that another tool sets again and again is set back each time, without a pause",
        edits: &[Edit(DECIDE,
            "Some(dispute) if dispute.holds && !absent => Verdict::Contended,\n                Some(dispute) if dispute.paces => Verdict::Paced { absent },\n                Some(_) | None",
            "_")],
    },
    Mutant {
        name: "equal-value-is-written", room: Room::Plan,
        wrong: "what is as declared already is written again",
        edits: &[Edit(DECIDE,
            "if live == Some(&Live::Entry(entry.clone())) {\n            return Verdict::InSync;",
            "if live == Some(&Live::Entry(entry.clone())) {\n            return Verdict::Write { drift: false, absent: false };")],
    },
    Mutant {
        name: "unsettled-write-is-forgotten", room: Room::Plan,
        wrong: "the record of what a write without an answer may still set goes before that write must have ended",
        edits: &[Edit(PASS_PLAN,
            "unsettled: self.tenant.unsettled_for(id).is_some() };",
            "unsettled: false };")],
    },
    Mutant {
        name: "settings-from-before-the-read", room: Room::Plan,
        wrong: "a pass plans with what the tenant admitted before the read, although that changed meanwhile",
        edits: &[Edit("src/reconcile/pass/read.rs",
            "declared.filter(|_| !self.tenant.is_outdated()) else {",
            "declared else {")],
    },
];
