//! Faults in when what is looked at.

use super::{Edit, Mutant, Room};

const PACE: &str = "src/core/schedule/pace.rs";
const CONCLUDE: &str = "src/reconcile/pass/conclude.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "routine-look-never-comes", room: Room::Schedule,
        wrong: "a connection that is as declared is not looked at again",
        edits: &[Edit(PACE,
            "Pace::Routine => (now + jittered(resync, chance)).min(unsettled.unwrap_or(now + resync)),",
            "Pace::Routine => (now + jittered(resync, chance) * 1000).min(unsettled.unwrap_or(now + resync * 1000)),")],
    },
    Mutant {
        name: "looks-come-too-often", room: Room::Schedule,
        wrong: "a connection that is as declared is looked at five times as often as the tenant object says",
        edits: &[Edit(PACE,
            "Pace::Routine => (now + jittered(resync, chance)).min(unsettled.unwrap_or(now + resync)),",
            "Pace::Routine => (now + jittered(resync, chance) / 5).min(unsettled.unwrap_or(now + resync)),")],
    },
    Mutant {
        name: "last-edit-goes-first", room: Room::Schedule,
        wrong: "of several edits the last is looked at first, so that one may wait for ever while others edit",
        edits: &[Edit("src/core/schedule/agenda.rs",
            "let Some((_, connection)) = self.lane(rank).pop_first() else",
            "let Some((_, connection)) = self.lane(rank).pop_last() else")],
    },
    Mutant {
        name: "edits-starve-the-rest", room: Room::Schedule,
        wrong: "a look that is overdue waits for as long as somebody edits something",
        edits: &[Edit("src/core/schedule/agenda.rs",
            "let routine_first = routine_due && (!edit_due || self.overtaken >= OVERTAKEN);",
            "let routine_first = routine_due && (!edit_due || self.overtaken >= OVERTAKEN * 1_000);")],
    },
    Mutant {
        name: "failed-write-has-no-date", room: Room::Schedule,
        wrong: "a write that failed is not tried again",
        edits: &[Edit(CONCLUDE,
            "        self.look_again(lane, &NextLook { pace, unsettled, corrections });\n",
            "        if !matches!(write, WriteOutcome::Failed(_)) {\n            \
                 self.look_again(lane, &NextLook { pace, unsettled, corrections });\n        \
             }\n")],
    },
    Mutant {
        name: "failed-read-has-no-date", room: Room::Schedule,
        wrong: "a connection that could not be read is not looked at again",
        edits: &[Edit("src/reconcile/pass/unseen.rs",
            "        self.look_again(Lane::Retry, &NextLook::of(pace));\n",
            "        let _ = (pace, Lane::Retry);\n")],
    },
    Mutant {
        name: "pass-without-a-result-has-no-date", room: Room::Schedule,
        wrong: "a pass that came to no result is not run again",
        edits: &[Edit(CONCLUDE,
            "        self.look_again(Lane::Retry, &NextLook::of(Pace::Again(passes)));\n",
            "")],
    },
    Mutant {
        name: "back-off-never-ends", room: Room::Schedule,
        wrong: "the pauses between tries grow without a bound",
        edits: &[Edit("src/core/schedule/mod.rs",
            "saturating_pow(failures.saturating_sub(1).min(16))).min(MAX_BACKOFF);",
            "saturating_pow((failures * 4).min(16)));")],
    },
    Mutant {
        name: "work-queue-never-pauses", room: Room::Schedule,
        wrong: "what the API server refuses is tried again without a pause",
        edits: &[Edit("src/core/schedule/work_queue.rs",
            "let at = now + backoff(self.count_failure(&item), chance);",
            "let at = now + backoff(self.count_failure(&item), chance) / 10_000;")],
    },
    Mutant {
        name: "new-credentials-tell-nobody", room: Room::Schedule,
        wrong: "objects are not looked at again when the tenant accepts its credentials again",
        edits: &[Edit("src/reconcile/tenant/authentication.rs",
            "if before != self.authentication().map(|known| (known.answer().clone(), known.missing().cloned())) {",
            "if before != self.authentication().map(|known| (known.answer().clone(), known.missing().cloned())) && before.is_none() {")],
    },
];
