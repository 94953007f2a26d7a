//! The part of an object in a pass over one connection: who may write, who keeps what it has, who leaves, and who is told why
//! nothing is done for it.
//!
//! Guarantees: every combination of facts has exactly one part; an object that the tenant does not admit, or that only
//! observes, never has a part that writes; one whose namespace is not known loses nothing by that and gains nothing.
//!
//! Assumes: the facts are of one moment, and the object names this connection or has a record here or on the one that
//! had its name before.

use crate::core::pass::plan::Role;
use crate::core::world::Declared;

/// Whether the tenant admits the object's namespace to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The namespace is not known yet, which says nothing for the object and nothing against it.
    Unknown,
    /// It does not.
    Denied,
    /// It does.
    Granted,
}

/// Which connection the spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// None: the spec can't be carried out.
    Nothing,
    /// This one.
    This {
        /// Whether what is declared can be managed on a connection of this kind.
        fits: bool,
    },
    /// Another one.
    Another {
        /// Whether the object was accepted there.
        accepted: bool,
    },
}

/// Whether the object is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It is not.
    Alive,
    /// It is, and our finalizer is not on it: it is no longer ours to clean up.
    Dying,
    /// It is, and waits for us to take our finalizer off.
    Kept,
}

impl Life {
    /// Of this object.
    pub(crate) fn of(object: &Declared) -> Self {
        match (object.deleting, object.finalizer) {
            (false, _) => Self::Alive,
            (true, false) => Self::Dying,
            (true, true) => Self::Kept,
        }
    }
}

/// What decides the part of an object.
#[allow(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// See [`Admission`].
    pub admission: Admission,
    /// See [`Life`].
    pub life: Life,
    /// See [`Names`].
    pub names: Names,
    /// Whether its status has a record on this connection.
    pub recorded_here: bool,
    /// Whether its status has a record anywhere else.
    pub recorded_elsewhere: bool,
    /// Whether it has a record on the connection that had the name of this one before, and is gone.
    pub recorded_on_gone: bool,
    /// Whether it, or its tenant, only observes.
    pub observes: bool,
    /// Whether its deletion leaves what it owns.
    pub retains: bool,
    /// Whether the API refused its changes before, and nothing has changed since.
    pub rejected: bool,
}

/// What an object that can't act has here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing.
    Nothing,
    /// A record, which it keeps until another object takes the name over.
    Record,
    /// The names that it has a record of: no other object gets them.
    Names,
}

/// Why an object that is being deleted lets go of everything, and nothing is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The tenant does not admit it.
    NotAdmitted,
    /// Its policies, or those of its tenant, say so.
    Policy,
    /// It has no record anywhere, and what it declares can't have been set here.
    NothingOwned,
}

/// The part of an object in a pass: what it does in the plan ([`Part::role`]), and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Names the connection: what it declares is written. It is told what came of the plan.
    Owner,
    /// Names the connection and only observes: it is told what the plan would do.
    Observer,
    /// What it owns here goes. It is told what came of the plan.
    Leaver,
    /// Leaves as soon as it is accepted where it goes. Nothing is said of it here.
    Mover,
    /// Would leave, but the API refused that before: it gives way to others only, and is told so.
    RejectedLeaver,
    /// Can't act, and nothing is said of it here.
    Waiting(Hold),
    /// Names the connection, and is told that the tenant does not admit it.
    NotPermitted(Hold),
    /// Names the connection, and is told what can't be managed here.
    Refused(Hold),
    /// Names the connection, and is told what the API refused before. It keeps what it declares, and what is there as it declares
    /// it is its own.
    StillRejected,
    /// Is not admitted here any more and has its place elsewhere: the record goes, the parameters stay, and it is told so.
    Left,
    /// Is being deleted, and lets go of everything.
    Released(Release),
    /// Is being deleted, has no record here, and what it owned went with the connection that had this name before.
    ConnectionGone,
}

impl Part {
    /// What the object does in the plan; none where it takes no part in it.
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Owner => Some(Role::Owner),
            Self::Observer => Some(Role::Observer),
            Self::Leaver => Some(Role::Leaver),
            Self::Mover | Self::RejectedLeaver => Some(Role::Mover),
            Self::StillRejected => Some(Role::Rejected),
            Self::Waiting(hold) | Self::NotPermitted(hold) | Self::Refused(hold) => hold.role(),
            // What it leaves passes to whoever wants it by way of a claim, as every record does.
            Self::Left | Self::Released(_) => Some(Role::Bystander),
            Self::ConnectionGone => None,
        }
    }
}

impl Hold {
    fn role(self) -> Option<Role> {
        match self {
            Self::Nothing => None,
            Self::Record => Some(Role::Bystander),
            Self::Names => Some(Role::Holder),
        }
    }
}

impl Facts {
    /// The part of the object that these are the facts of.
    pub(crate) fn part(&self) -> Part {
        match (self.admission, self.life) {
            (Admission::Unknown, _) => Part::Waiting(self.hold()),
            (Admission::Denied | Admission::Granted, Life::Dying) => Part::Waiting(Hold::Nothing),
            // What it holds elsewhere may be permitted: that record has to outlive this one.
            (Admission::Denied, Life::Kept) if self.recorded_elsewhere => Part::Left,
            (Admission::Denied, Life::Kept) => Part::Released(Release::NotAdmitted),
            (Admission::Denied, Life::Alive) => self.part_where_denied(),
            (Admission::Granted, Life::Kept) => self.part_in_deletion(),
            (Admission::Granted, Life::Alive) => self.part_where_admitted(),
        }
    }

    fn part_where_denied(&self) -> Part {
        match self.names {
            Names::This { .. } => Part::NotPermitted(self.record()),
            Names::Another { accepted: true } if !self.observes => Part::Left,
            // It may be admitted again: until it is known to have left, its record stays.
            Names::Another { .. } | Names::Nothing => Part::Waiting(self.record()),
        }
    }

    fn part_in_deletion(&self) -> Part {
        if self.retains || self.observes {
            return Part::Released(Release::Policy);
        }
        if self.recorded_on_gone && !self.recorded_here {
            // On the connection that has the name now nothing ever was its own.
            return Part::ConnectionGone;
        }
        let recorded = self.recorded_here || self.recorded_elsewhere;
        if recorded || self.names == (Names::This { fits: true }) {
            return self.leaver();
        }
        // Without a record only what it might have set can have been its own.
        Part::Released(Release::NothingOwned)
    }

    fn part_where_admitted(&self) -> Part {
        match self.names {
            Names::Nothing => Part::Waiting(self.hold()),
            Names::Another { .. } if self.observes => Part::Waiting(self.record()),
            Names::Another { accepted: true } => self.leaver(),
            Names::Another { accepted: false } => Part::Mover,
            Names::This { fits: false } => Part::Refused(self.hold()),
            Names::This { fits: true } if self.observes => Part::Observer,
            Names::This { fits: true } if self.rejected => Part::StillRejected,
            Names::This { fits: true } => Part::Owner,
        }
    }

    /// What was refused once is not tried again before something changes; until then it gives way to others only.
    fn leaver(&self) -> Part {
        if self.rejected && self.recorded_here { Part::RejectedLeaver } else { Part::Leaver }
    }

    /// Only an object that may write holds anything; what others have a record of is theirs until somebody takes it over.
    fn hold(&self) -> Hold {
        if self.recorded_here && !self.observes { Hold::Names } else { self.record() }
    }

    fn record(&self) -> Hold {
        if self.recorded_here { Hold::Record } else { Hold::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMISSIONS: [(&str, Admission); 3] =
        [("unknown", Admission::Unknown), ("denied", Admission::Denied), ("granted", Admission::Granted)];
    const LIVES: [(&str, Life); 3] = [("alive", Life::Alive), ("dying", Life::Dying), ("kept", Life::Kept)];
    const NAMES: [(&str, Names); 5] = [
        ("nothing", Names::Nothing),
        ("fits", Names::This { fits: true }),
        ("unfit", Names::This { fits: false }),
        ("moved", Names::Another { accepted: true }),
        ("moving", Names::Another { accepted: false }),
    ];
    const NO_AND_YES: [(&str, bool); 2] = [("n", false), ("y", true)];

    /// Each row holds for all facts that match its cells; `*` matches every one, `|` separates some. Of all combinations
    /// each is in exactly one row.
    const TABLE: &str = "
        # admission life    names          here  elsewhere gone observes retains rejected   part
        # Nothing is known of the namespace: nobody loses or gains anything.
        unknown     *       *              n     *         *    *        *       *          Waiting(Nothing)
        unknown     *       *              y     *         *    n        *       *          Waiting(Names)
        unknown     *       *              y     *         *    y        *       *          Waiting(Record)

        # What is being deleted without our finalizer is no longer ours.
        denied|granted dying *             *     *         *    *        *       *          Waiting(Nothing)

        # Not admitted, and being deleted.
        denied      kept    *              *     n         *    *        *       *          Released(NotAdmitted)
        denied      kept    *              *     y         *    *        *       *          Left

        # Not admitted: nothing is written, and the record stays for the day that it is admitted again.
        denied      alive   fits|unfit     n     *         *    *        *       *          NotPermitted(Nothing)
        denied      alive   fits|unfit     y     *         *    *        *       *          NotPermitted(Record)
        denied      alive   nothing|moving n     *         *    *        *       *          Waiting(Nothing)
        denied      alive   nothing|moving y     *         *    *        *       *          Waiting(Record)
        denied      alive   moved          n     *         *    y        *       *          Waiting(Nothing)
        denied      alive   moved          y     *         *    y        *       *          Waiting(Record)
        denied      alive   moved          *     *         *    n        *       *          Left

        # Being deleted.
        granted     kept    *              *     *         *    *        y       *          Released(Policy)
        granted     kept    *              *     *         *    y        n       *          Released(Policy)
        granted     kept    *              n     *         y    n        n       *          ConnectionGone
        granted     kept    *              y     *         *    n        n       n          Leaver
        granted     kept    *              y     *         *    n        n       y          RejectedLeaver
        granted     kept    *              n     y         n    n        n       *          Leaver
        granted     kept    fits           n     n         n    n        n       *          Leaver
        granted     kept    nothing|unfit|moved|moving n n n    n        n       *          Released(NothingOwned)

        # The spec can't be carried out.
        granted     alive   nothing        n     *         *    *        *       *          Waiting(Nothing)
        granted     alive   nothing        y     *         *    n        *       *          Waiting(Names)
        granted     alive   nothing        y     *         *    y        *       *          Waiting(Record)

        # It names another connection.
        granted     alive   moved|moving   n     *         *    y        *       *          Waiting(Nothing)
        granted     alive   moved|moving   y     *         *    y        *       *          Waiting(Record)
        granted     alive   moving         *     *         *    n        *       *          Mover
        granted     alive   moved          n     *         *    n        *       *          Leaver
        granted     alive   moved          y     *         *    n        *       n          Leaver
        granted     alive   moved          y     *         *    n        *       y          RejectedLeaver

        # It names this one.
        granted     alive   unfit          n     *         *    *        *       *          Refused(Nothing)
        granted     alive   unfit          y     *         *    n        *       *          Refused(Names)
        granted     alive   unfit          y     *         *    y        *       *          Refused(Record)
        granted     alive   fits           *     *         *    y        *       *          Observer
        granted     alive   fits           *     *         *    n        *       n          Owner
        granted     alive   fits           *     *         *    n        *       y          StillRejected
    ";

    /// Every combination of facts, with its cells.
    fn all() -> Vec<([&'static str; 9], Facts)> {
        let bools = || {
            (0..64_u32).map(|bits| {
                let at = |bit: u32| NO_AND_YES[usize::from(bits >> bit & 1 == 1)];
                [at(0), at(1), at(2), at(3), at(4), at(5)]
            })
        };
        let mut all = Vec::new();
        for ((admission, life), (names, bools)) in product(&product(&ADMISSIONS, &LIVES), &product(&NAMES, &bools().collect::<Vec<_>>())) {
            let [here, elsewhere, gone, observes, retains, rejected] = bools;
            let cells = [admission.0, life.0, names.0, here.0, elsewhere.0, gone.0, observes.0, retains.0, rejected.0];
            let facts = Facts {
                admission: admission.1,
                life: life.1,
                names: names.1,
                recorded_here: here.1,
                recorded_elsewhere: elsewhere.1,
                recorded_on_gone: gone.1,
                observes: observes.1,
                retains: retains.1,
                rejected: rejected.1,
            };
            all.push((cells, facts));
        }
        all
    }

    fn product<A: Copy, B: Copy>(one: &[A], other: &[B]) -> Vec<(A, B)> {
        one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))).collect()
    }

    #[test]
    fn every_combination_of_facts_is_in_one_row_and_has_its_part() {
        let rows = TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split_whitespace().collect()).collect();
        assert!(rows.iter().all(|row| row.len() == 10), "{rows:?}");
        let matches = |pattern: &str, cell: &str| pattern == "*" || pattern.split('|').any(|one| one == cell);
        let mut used = vec![0; rows.len()];
        let all = all();
        assert_eq!(all.len(), 3 * 3 * 5 * 64);
        for (cells, facts) in all {
            let found: Vec<usize> =
                (0..rows.len()).filter(|row| rows[*row].iter().zip(cells).all(|(pattern, cell)| matches(pattern, cell))).collect();
            assert_eq!(found.len(), 1, "{cells:?} is in these rows: {found:?}");
            assert_eq!(format!("{:?}", facts.part()), rows[found[0]][9], "{cells:?}");
            used[found[0]] += 1;
        }
        assert!(used.iter().all(|count| *count > 0), "a row that nothing matches: {used:?}");
    }

    #[test]
    fn only_what_is_admitted_and_does_not_only_observe_has_a_say() {
        for (cells, facts) in all() {
            let acts = matches!(facts.part().role(), Some(Role::Owner | Role::Leaver | Role::Mover));
            assert!(!acts || (facts.admission == Admission::Granted && !facts.observes), "{cells:?}");
        }
    }
}
