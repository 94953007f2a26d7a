//! Which connection to look at now, or when authentication is due instead.
//!
//! Guarantees: authentication goes first, as all else depends on it; what somebody edited overtakes routine looks; a
//! routine look that is overdue still gets every fifth turn; nothing is picked before the budget allows it. A pick and a
//! change take a time that grows with the logarithm of what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::core::schedule::{Change, ConnectionKey, Due, Lane, Next};

/// How many edits may overtake one overdue routine look.
const OVERTAKEN: u32 = 4;

/// What the agenda picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// This is due.
    Due(Due),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing at all.
    Idle,
}

/// The connections of one lane that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// How many.
    pub connections: usize,
    /// How long the first of them has been due.
    pub longest: Duration,
}

/// What is due, by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// What somebody edited, and other tries at it.
    pub edits: Waiting,
    /// All other looks.
    pub routine: Waiting,
}

/// The right of way of a connection that has a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Edit,
    Routine,
}

/// The connections of one tenant that have a date.
#[derive(Debug, Default)]
pub struct Agenda {
    due: BTreeMap<ConnectionKey, (Rank, Instant)>,
    /// The same connections, by lane and date.
    edits: BTreeSet<(Instant, ConnectionKey)>,
    routine: BTreeSet<(Instant, ConnectionKey)>,
    overtaken: u32,
    /// Whether what was picked last was somebody's edit: so is another try at it.
    picked_edit: bool,
}

impl Agenda {
    /// Applies what is to be looked at next.
    pub(crate) fn apply(&mut self, next: Next) {
        for change in next.changes {
            match change {
                Change::IfNotDue(connection, _, _) if self.due.contains_key(&connection) => {}
                Change::Due(connection, lane, at) | Change::IfNotDue(connection, lane, at) => {
                    let rank = self.rank(lane);
                    self.put(connection, rank, at);
                }
                Change::Forget(connection) => self.remove(&connection),
            }
        }
    }

    fn rank(&self, lane: Lane) -> Rank {
        match lane {
            Lane::Edit => Rank::Edit,
            Lane::Retry if self.picked_edit => Rank::Edit,
            Lane::Retry | Lane::Routine => Rank::Routine,
        }
    }

    /// An edit overtakes what is only due; of two dates with one right of way the earlier counts, so that nobody who asks
    /// again loses his place.
    fn put(&mut self, connection: ConnectionKey, rank: Rank, at: Instant) {
        let (rank, at) = match (self.due.get(&connection), rank) {
            (None, _) | (Some((Rank::Routine, _)), Rank::Edit) => (rank, at),
            (Some((Rank::Edit, known)), Rank::Edit | Rank::Routine) => (Rank::Edit, at.min(*known)),
            (Some((Rank::Routine, known)), Rank::Routine) => (Rank::Routine, at.min(*known)),
        };
        self.remove(&connection);
        self.lane(rank).insert((at, connection.clone()));
        self.due.insert(connection, (rank, at));
    }

    fn remove(&mut self, connection: &ConnectionKey) {
        if let Some((connection, (rank, at))) = self.due.remove_entry(connection) {
            self.lane(rank).remove(&(at, connection));
        }
    }

    fn lane(&mut self, rank: Rank) -> &mut BTreeSet<(Instant, ConnectionKey)> {
        match rank {
            Rank::Edit => &mut self.edits,
            Rank::Routine => &mut self.routine,
        }
    }

    /// When the first of all is due.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.edits.first().into_iter().chain(self.routine.first()).map(|(at, _)| *at).min()
    }

    /// What is due, and waits.
    pub(crate) fn backlog(&self, now: Instant) -> Backlog {
        let waiting = |lane: &BTreeSet<(Instant, ConnectionKey)>| Waiting {
            connections: lane.iter().take_while(|(at, _)| *at <= now).count(),
            longest: lane.first().map(|(at, _)| now.saturating_duration_since(*at)).unwrap_or_default(),
        };
        Backlog { edits: waiting(&self.edits), routine: waiting(&self.routine) }
    }

    /// Picks what is due now; a connection is taken off. `opens_at`: when the budget allows the next pass. `authentication`:
    /// when that is due.
    pub(crate) fn pick(&mut self, now: Instant, opens_at: Instant, authentication: Option<Instant>) -> Pick {
        if opens_at <= now && authentication.is_some_and(|at| at <= now) {
            self.picked_edit = false;
            return Pick::Due(Due::Authentication);
        }
        let first = |lane: &BTreeSet<(Instant, ConnectionKey)>| lane.first().map(|(at, _)| *at);
        let (edit, routine) = (first(&self.edits), first(&self.routine));
        let Some(earliest) = edit.into_iter().chain(routine).chain(authentication).min() else { return Pick::Idle };
        let may = earliest.max(opens_at);
        if may > now {
            return Pick::Wait(may);
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (edit_due, routine_due) = (is_due(edit), is_due(routine));
        let routine_first = routine_due && (!edit_due || self.overtaken >= OVERTAKEN);
        self.overtaken = if routine_due && !routine_first { self.overtaken + 1 } else { 0 };
        self.picked_edit = !routine_first;
        let rank = if routine_first { Rank::Routine } else { Rank::Edit };
        let Some((_, connection)) = self.lane(rank).pop_first() else { return Pick::Idle };
        self.due.remove(&connection);
        Pick::Due(Due::Connection(connection))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::seeds;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(text: &str) -> ConnectionKey {
        ConnectionKey::Id(format!("con_{text}").as_str().into())
    }

    fn picked(text: &str) -> Pick {
        Pick::Due(Due::Connection(id(text)))
    }

    impl Agenda {
        fn at(&mut self, connection: ConnectionKey, lane: Lane, at: Instant) {
            let mut next = Next::default();
            next.at(connection, lane, at);
            self.apply(next);
        }

        fn edit(&mut self, connection: ConnectionKey, at: Instant) {
            self.at(connection, Lane::Edit, at);
        }

        fn again(&mut self, connection: ConnectionKey, at: Instant) {
            self.at(connection, Lane::Routine, at);
        }

        fn retry(&mut self, connection: ConnectionKey, at: Instant) {
            self.at(connection, Lane::Retry, at);
        }

        fn next(&mut self, now: Instant, opens_at: Instant) -> Pick {
            self.pick(now, opens_at, None)
        }
    }

    #[test]
    fn edits_overtake_routine_looks_but_every_fifth_turn_is_routine() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.again(id("old"), now);
        let picks: Vec<Pick> = (0..5)
            .map(|n| {
                agenda.edit(id(&format!("edit{n}")), now);
                agenda.next(now, now)
            })
            .collect();
        assert_eq!(picks.iter().position(|pick| *pick == picked("old")), Some(4));
    }

    #[test]
    fn what_waits_is_what_is_due_and_not_picked_yet() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        let waits = |connections, longest| Waiting { connections, longest: Duration::from_secs(longest) };
        assert_eq!(agenda.backlog(now), Backlog { edits: waits(0, 0), routine: waits(0, 0) });
        agenda.edit(id("a"), now);
        agenda.edit(id("b"), now + 9 * SECOND);
        agenda.edit(id("c"), now + 11 * SECOND);
        agenda.again(id("d"), now + 3 * SECOND);
        let then = now + 10 * SECOND;
        assert_eq!(agenda.backlog(then), Backlog { edits: waits(2, 10), routine: waits(1, 7) });
        assert_eq!(agenda.next(then, then), picked("a"));
        assert_eq!(agenda.backlog(then).edits, waits(1, 1));
        assert_eq!(agenda.next(then, then), picked("b"));
        assert_eq!(agenda.backlog(then).edits, waits(0, 0), "the next one is not due yet");
    }

    #[test]
    fn nothing_is_picked_before_it_is_due_or_the_budget_opens() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut agenda = Agenda::default();
        assert_eq!(agenda.next(now, now), Pick::Idle);
        agenda.again(id("a"), later);
        assert_eq!(agenda.next(now, now), Pick::Wait(later));
        agenda.edit(id("a"), now);
        assert_eq!(agenda.next(now, later), Pick::Wait(later));
        assert_eq!(agenda.next(later, later), picked("a"));
        assert_eq!(agenda.next(later, later), Pick::Idle);
    }

    #[test]
    fn a_later_routine_date_does_not_delay_an_edit() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        agenda.again(id("a"), now + Duration::from_mins(10));
        assert_eq!(agenda.next(now, now), picked("a"));
    }

    #[test]
    fn whoever_asks_again_keeps_his_place_and_a_second_try_has_the_right_of_way_of_the_first() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        agenda.edit(id("b"), now + SECOND);
        agenda.edit(id("a"), now + 2 * SECOND);
        assert_eq!(agenda.next(now + 3 * SECOND, now), picked("a"));
        agenda.retry(id("a"), now + 4 * SECOND);
        agenda.again(id("z"), now);
        assert_eq!(agenda.next(now + 4 * SECOND, now), picked("b"));
        assert_eq!(agenda.next(now + 4 * SECOND, now), picked("a"));
        assert_eq!(agenda.next(now + 4 * SECOND, now), picked("z"));
        agenda.retry(id("z"), now);
        agenda.edit(id("c"), now + SECOND);
        assert_eq!(agenda.next(now + SECOND, now), picked("c"), "a routine look stays one");
    }

    #[test]
    fn authentication_goes_first_and_waits_for_the_budget_too() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        assert_eq!(agenda.pick(now, now, Some(now)), Pick::Due(Due::Authentication));
        assert_eq!(agenda.pick(now, now + SECOND, Some(now)), Pick::Wait(now + SECOND));
        assert_eq!(agenda.pick(now, now, Some(now + SECOND)), picked("a"));
        assert_eq!(agenda.pick(now, now, Some(now + SECOND)), Pick::Wait(now + SECOND));
    }

    #[test]
    fn what_has_a_date_keeps_it_where_one_is_wanted_only_for_what_has_none() {
        let now = Instant::now();
        let (mut agenda, mut next) = (Agenda::default(), Next::default());
        next.at(id("a"), Lane::Routine, now + SECOND);
        next.at_unless_due(id("a"), Lane::Edit, now);
        next.at_unless_due(id("b"), Lane::Edit, now);
        next.at(id("c"), Lane::Edit, now);
        next.forget(id("c"));
        agenda.apply(next);
        assert_eq!([agenda.next(now, now), agenda.next(now, now)], [picked("b"), Pick::Wait(now + SECOND)]);
    }

    /// What the agenda means: everything that is due, looked through at each pick.
    #[derive(Default)]
    struct Scanned {
        due: BTreeMap<ConnectionKey, (bool, Instant)>,
        overtaken: u32,
        picked_edit: bool,
    }

    impl Scanned {
        fn apply(&mut self, next: Next) {
            for change in next.changes {
                let (connection, lane, at) = match change {
                    Change::Due(connection, lane, at) => (connection, lane, at),
                    Change::IfNotDue(connection, lane, at) if !self.due.contains_key(&connection) => (connection, lane, at),
                    Change::IfNotDue(..) => continue,
                    Change::Forget(connection) => {
                        self.due.remove(&connection);
                        continue;
                    }
                };
                let edit = lane == Lane::Edit || lane == Lane::Retry && self.picked_edit;
                let entry = self.due.entry(connection).or_insert((edit, at));
                *entry = if edit && !entry.0 { (true, at) } else { (entry.0, entry.1.min(at)) };
            }
        }

        fn pick(&mut self, now: Instant, opens_at: Instant, authentication: Option<Instant>) -> Pick {
            if opens_at <= now && authentication.is_some_and(|at| at <= now) {
                self.picked_edit = false;
                return Pick::Due(Due::Authentication);
            }
            let Some(earliest) = self.due.values().map(|(_, at)| *at).chain(authentication).min() else { return Pick::Idle };
            if earliest.max(opens_at) > now {
                return Pick::Wait(earliest.max(opens_at));
            }
            let first = |edit: bool| {
                let due = self.due.iter().filter(|(_, due)| due.0 == edit && due.1 <= now);
                due.min_by_key(|(connection, due)| (due.1, *connection)).map(|(connection, _)| connection.clone())
            };
            let (edit, routine) = (first(true), first(false));
            let routine_first = routine.is_some() && (edit.is_none() || self.overtaken >= OVERTAKEN);
            self.overtaken = if routine.is_some() && !routine_first { self.overtaken + 1 } else { 0 };
            self.picked_edit = !routine_first;
            let connection = if routine_first { routine } else { edit }.unwrap();
            self.due.remove(&connection);
            Pick::Due(Due::Connection(connection))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        At(u8, Lane, u64),
        AtUnlessDue(u8, Lane, u64),
        Forget(u8),
        Pick { after: u64, opens_in: u64, authentication: Option<u64> },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let lane = || prop_oneof![Just(Lane::Edit), Just(Lane::Retry), Just(Lane::Routine)];
        let step = prop_oneof![
            4 => (0..8_u8, lane(), 0..9_u64).prop_map(|(which, lane, at)| Step::At(which, lane, at)),
            1 => (0..8_u8, lane(), 0..9_u64).prop_map(|(which, lane, at)| Step::AtUnlessDue(which, lane, at)),
            1 => (0..8_u8).prop_map(Step::Forget),
            4 => (0..4_u64, prop_oneof![3 => Just(0), 1 => 0..4_u64], proptest::option::weighted(0.2, 0..6_u64))
                .prop_map(|(after, opens_in, authentication)| Step::Pick { after, opens_in, authentication }),
        ];
        proptest::collection::vec(step, 0..80)
    }

    #[test]
    fn it_picks_what_a_look_through_everything_would_pick() {
        let start = Instant::now();
        seeds::hold(300, &steps(), |steps| {
            let (mut agenda, mut scanned, mut now) = (Agenda::default(), Scanned::default(), start);
            let in_seconds = |seconds: u64| Duration::from_secs(seconds);
            for step in steps {
                let mut next = Next::default();
                match step {
                    Step::At(which, lane, at) => next.at(id(&which.to_string()), lane, now + in_seconds(at)),
                    Step::AtUnlessDue(which, lane, at) => next.at_unless_due(id(&which.to_string()), lane, now + in_seconds(at)),
                    Step::Forget(which) => next.forget(id(&which.to_string())),
                    Step::Pick { after, opens_in, authentication } => {
                        now += in_seconds(after);
                        let (opens_at, authentication) = (now + in_seconds(opens_in), authentication.map(|at| now + in_seconds(at)));
                        prop_assert_eq!(agenda.pick(now, opens_at, authentication), scanned.pick(now, opens_at, authentication));
                    }
                }
                agenda.apply(next.clone());
                scanned.apply(next);
            }
            prop_assert_eq!(agenda.edits.len() + agenda.routine.len(), agenda.due.len());
            Ok(())
        });
    }
}
