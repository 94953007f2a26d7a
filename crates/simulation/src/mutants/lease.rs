//! Faults in who leads.

use super::{Edit, Mutant, Room};

const ELECTION: &str = "src/core/lease/mod.rs";
const ELECTOR: &str = "src/kubernetes/lease/mod.rs";

#[rustfmt::skip]
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "lost-lease-goes-on-writing", room: Room::Lease,
        wrong: "who can't renew the Lease goes on writing",
        edits: &[
            Edit(ELECTION,
            "pub(crate) const GIVE_UP: Duration = Duration::from_secs(15);",
            "pub(crate) const GIVE_UP: Duration = Duration::from_hours(15);"),
            Edit("src/kubernetes/lease/leadership.rs",
            "since.map_or(Duration::ZERO, |since| LENGTH.saturating_sub(since))",
            "since.map_or(Duration::ZERO, |_| LENGTH)"),
        ],
    },
    Mutant {
        name: "new-leader-does-not-wait", room: Room::Lease,
        wrong: "who takes over a Lease that ran out writes at once, although a write of the one before may still be under way",
        edits: &[Edit(ELECTOR,
            "            Before::RanOut => now + self.write,\n",
            "            Before::RanOut => now,\n")],
    },
    Mutant {
        name: "write-outlasts-the-lease", room: Room::Lease,
        wrong: "a PATCH starts although it need not end before the Lease does",
        edits: &[
            Edit("src/reconcile/pass/write.rs",
            "is_fresh() && leadership.left() >= lasts",
            "is_fresh() && (leadership.left() >= lasts || !leadership.left().is_zero())"),
        ],
    },
    Mutant {
        name: "lease-goes-by-one-clock", room: Room::Lease,
        wrong: "a leader that was asleep goes by its monotonic clock, which stood still",
        edits: &[Edit("src/kubernetes/lease/leadership.rs",
            "state.held.as_mut().map(|held| self.wall.passed(&mut held.since_renewal))",
            "state.held.as_mut().map(|held| clock::now().saturating_duration_since(held.since_renewal.started()))")],
    },
    Mutant {
        name: "lease-is-taken-early", room: Room::Lease,
        wrong: "a Lease is taken that has not run out",
        edits: &[Edit(ELECTION,
            "            Some(left) => Standing::Held(left),\n",
            "            Some(left) if left > LENGTH / 2 => Standing::Held(left),\n            Some(_) => free(Before::RanOut),\n")],
    },
    Mutant {
        name: "deleted-lease-is-free", room: Room::Lease,
        wrong: "a Lease that somebody deleted or emptied is free at once, also for who saw that it was held",
        edits: &[Edit(ELECTION,
            "if known.is_given_back() || (known.is_blank() && !self.held && !worked) {",
            "if known.is_given_back() || known.is_blank() {")],
    },
    Mutant {
        name: "lease-is-given-back-too-early", room: Room::Lease,
        wrong: "the Lease is given back while a write without an answer may still take effect",
        edits: &[Edit(ELECTOR,
            "if !may_give_back || !settled || !holds {",
            "if !may_give_back || !holds {")],
    },
    Mutant {
        name: "lease-of-another-is-given-back-too-early", room: Room::Lease,
        wrong: "the Lease is given back while a write of whoever led before may still take effect",
        edits: &[Edit(ELECTOR,
            "self.seat.is_settled() && self.settled.is_none_or(|settled| settled <= clock::now());",
            "self.seat.is_settled();")],
    },
    Mutant {
        name: "leads-before-it-has-listed", room: Room::Lease,
        wrong: "the Lease is taken, and passes begin, before everything was listed once",
        edits: &[Edit(ELECTOR,
            "            Standing::Free { .. } if !could_serve => Ok(None),\n",
            "")],
    },
];
