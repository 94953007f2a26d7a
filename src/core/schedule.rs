//! When to look at which connection again.
//!
//! Guarantees: what somebody edited overtakes routine looks; a routine look that is overdue still gets every fifth
//! turn; nothing is picked before the budget allows it; a failing connection is tried less and less often, up to
//! [`MAX_BACKOFF`]. Time and chance are arguments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::identity::{ConnectionId, ConnectionName, ObjectKey};

/// The longest pause between two tries at something that fails.
pub const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// The first pause.
const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// How many edits may overtake one overdue routine look.
const OVERTAKEN: u32 = 4;

/// What a pass looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The tenant's own access: whether the credentials are accepted.
    Access,
    /// A connection by its id.
    Id(ConnectionId),
    /// A connection that is known by name only.
    Name(ConnectionName),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Access => "the tenant's access",
            Self::Id(id) => id,
            Self::Name(name) => name,
        })
    }
}

/// Why a look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    /// Somebody changed something.
    Edit,
    /// Time has passed.
    Routine,
}

/// Something to do that needs no call to Auth0, and so waits for none of its limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chore {
    /// Say of the tenant object how it is.
    Tenant,
    /// Find a place for this object anew: what was to be written to it was not, or it waits for something to be known.
    Object(ObjectKey),
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do this.
    Chore(Chore),
    /// Look at this.
    Look(Subject),
    /// Nothing before this time.
    Wait(Instant),
    /// Nothing at all.
    Idle,
}

/// Everything that is due, of one tenant.
#[derive(Debug, Default)]
pub struct Agenda {
    due: BTreeMap<Subject, (Lane, Instant)>,
    overtaken: u32,
    /// Whether what was picked last was somebody's edit: so is another try at it.
    picked_edit: bool,
}

impl Agenda {
    /// Somebody changed something about this: look at once.
    pub fn edit(&mut self, subject: Subject, now: Instant) {
        self.put(subject, Lane::Edit, now);
    }

    /// Look again at this time, if nothing calls for it before.
    pub fn again(&mut self, subject: Subject, at: Instant) {
        self.put(subject, Lane::Routine, at);
    }

    /// What was picked last came to no end: look again at this time, with the same right of way.
    pub fn retry(&mut self, subject: Subject, at: Instant) {
        self.put(subject, if self.picked_edit { Lane::Edit } else { Lane::Routine }, at);
    }

    /// An edit overtakes what is only due; of two dates in one lane the earlier counts, so that nobody who asks again loses
    /// his place.
    fn put(&mut self, subject: Subject, lane: Lane, at: Instant) {
        let entry = self.due.entry(subject).or_insert((lane, at));
        *entry = match (entry.0, lane) {
            (Lane::Routine, Lane::Edit) => (Lane::Edit, at),
            (known, _) => (known, entry.1.min(at)),
        };
    }

    /// Nothing is to be looked at there any more.
    pub fn forget(&mut self, subject: &Subject) {
        self.due.remove(subject);
    }

    /// Whether this is on it.
    pub fn has(&self, subject: &Subject) -> bool {
        self.due.contains_key(subject)
    }

    /// Everything on it.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.due.keys()
    }

    /// Whether a change waits to be looked at.
    pub fn edits_waiting(&self) -> usize {
        self.due.values().filter(|(lane, _)| *lane == Lane::Edit).count()
    }

    /// Picks what to look at now and takes it off. `opens_at`: when the budget allows the next pass.
    pub fn next(&mut self, now: Instant, opens_at: Instant) -> Next {
        let first = |lane: Lane| {
            let due = self.due.iter().filter(|(_, due)| due.0 == lane).min_by_key(|(subject, due)| (due.1, *subject));
            due.map(|(subject, due)| (subject.clone(), due.1))
        };
        if opens_at <= now && self.due.get(&Subject::Access).is_some_and(|(_, at)| *at <= now) {
            // Everything else depends on it.
            self.due.remove(&Subject::Access);
            self.picked_edit = false;
            return Next::Look(Subject::Access);
        }
        let (edit, routine) = (first(Lane::Edit), first(Lane::Routine));
        let Some(earliest) = edit.iter().chain(&routine).map(|(_, at)| *at).min() else { return Next::Idle };
        let may = earliest.max(opens_at);
        if may > now {
            return Next::Wait(may);
        }
        let is_due = |candidate: &Option<(Subject, Instant)>| candidate.as_ref().is_some_and(|(_, at)| *at <= now);
        let (edit_due, routine_due) = (is_due(&edit), is_due(&routine));
        let routine_first = routine_due && (!edit_due || self.overtaken >= OVERTAKEN);
        self.overtaken = if routine_due && !routine_first { self.overtaken + 1 } else { 0 };
        let Some((subject, _)) = (if routine_first { routine } else { edit }) else { return Next::Idle };
        self.due.remove(&subject);
        self.picked_edit = !routine_first;
        Next::Look(subject)
    }
}

/// The chores that have a date.
#[derive(Debug, Default)]
pub struct Chores {
    due: BTreeMap<Chore, Instant>,
    failures: BTreeMap<Chore, u32>,
}

impl Chores {
    /// It is to be done at this time, or earlier where it was to be done earlier.
    pub fn at(&mut self, chore: Chore, at: Instant) {
        let due = self.due.entry(chore).or_insert(at);
        *due = at.min(*due);
    }

    /// It failed: it is tried again, after a longer pause each time.
    pub fn failed(&mut self, chore: Chore, now: Instant, chance: f64) {
        let failures = self.failures.entry(chore.clone()).or_default();
        *failures = failures.saturating_add(1);
        self.due.insert(chore, now + backoff(*failures, chance));
    }

    /// It is done: the next failure is the first.
    pub fn done(&mut self, chore: &Chore) {
        self.failures.remove(chore);
        self.due.remove(chore);
    }

    /// When the first is due.
    pub fn first(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Takes one that is due.
    pub fn take(&mut self, now: Instant) -> Option<Chore> {
        let (chore, _) = self.due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)?;
        let chore = chore.clone();
        self.due.remove(&chore);
        Some(chore)
    }

    /// Forgets the objects for which this does not hold.
    pub fn retain(&mut self, is_there: impl Fn(&ObjectKey) -> bool) {
        let keeps = |chore: &Chore| match chore {
            Chore::Tenant => true,
            Chore::Object(key) => is_there(key),
        };
        self.failures.retain(|chore, _| keeps(chore));
        self.due.retain(|chore, _| keeps(chore));
    }
}

/// The pause before try number `failures` (from 1), between half and all of a doubling step. `chance` is in 0..1.
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let step = MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(MAX_BACKOFF);
    step.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// The time to the next routine look: the interval, less up to a tenth, so that looks spread.
pub fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Subject {
        Subject::Id(format!("con_{text}").as_str().into())
    }

    #[test]
    fn edits_overtake_routine_looks_but_every_fifth_turn_is_routine() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.again(id("old"), now);
        let picks: Vec<Subject> = (0..5)
            .map(|n| {
                agenda.edit(id(&format!("edit{n}")), now);
                match agenda.next(now, now) {
                    Next::Look(subject) => subject,
                    none @ (Next::Chore(_) | Next::Wait(_) | Next::Idle) => panic!("{none:?}"),
                }
            })
            .collect();
        assert_eq!(picks.iter().position(|subject| *subject == id("old")), Some(4));
    }

    #[test]
    fn nothing_is_picked_before_it_is_due_or_the_budget_opens() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut agenda = Agenda::default();
        assert_eq!(agenda.next(now, now), Next::Idle);
        agenda.again(id("a"), later);
        assert_eq!(agenda.next(now, now), Next::Wait(later));
        agenda.edit(id("a"), now);
        assert_eq!(agenda.next(now, later), Next::Wait(later));
        assert_eq!(agenda.next(later, later), Next::Look(id("a")));
        assert_eq!(agenda.next(later, later), Next::Idle);
    }

    #[test]
    fn a_later_routine_date_does_not_delay_an_edit() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        agenda.again(id("a"), now + Duration::from_mins(10));
        assert_eq!(agenda.next(now, now), Next::Look(id("a")));
    }

    #[test]
    fn a_chore_that_fails_is_tried_again_later_each_time_until_it_is_done() {
        let now = Instant::now();
        let mut chores = Chores::default();
        let after = |chores: &mut Chores, now: Instant| {
            chores.failed(Chore::Tenant, now, 1.0);
            chores.first().unwrap() - now
        };
        assert_eq!([after(&mut chores, now), after(&mut chores, now)], [Duration::from_secs(1), Duration::from_secs(2)]);
        assert_eq!(chores.take(now), None);
        assert_eq!(chores.take(now + Duration::from_secs(2)), Some(Chore::Tenant));
        assert_eq!(chores.first(), None, "taken, so not twice");
        chores.done(&Chore::Tenant);
        assert_eq!(after(&mut chores, now), Duration::from_secs(1));
    }

    #[test]
    fn of_two_dates_of_a_chore_the_earlier_counts_and_the_first_due_goes_first() {
        let now = Instant::now();
        let object = |name: &str| Chore::Object(ObjectKey { namespace: "team".into(), name: name.into() });
        let mut chores = Chores::default();
        chores.at(object("a"), now + Duration::from_secs(3));
        chores.at(object("b"), now + Duration::from_secs(5));
        chores.at(object("b"), now + Duration::from_secs(2));
        chores.at(object("b"), now + Duration::from_secs(9));
        let late = now + Duration::from_secs(10);
        assert_eq!((chores.take(late), chores.take(late), chores.take(late)), (Some(object("b")), Some(object("a")), None));
        chores.failed(object("a"), now, 1.0);
        chores.retain(|key| key.name == "b");
        assert_eq!(chores.first(), None);
    }

    #[test]
    fn whoever_asks_again_keeps_his_place_and_a_second_try_has_the_right_of_way_of_the_first() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        agenda.edit(id("b"), now + second);
        agenda.edit(id("a"), now + 2 * second);
        assert_eq!(agenda.next(now + 3 * second, now), Next::Look(id("a")));
        agenda.retry(id("a"), now + 4 * second);
        agenda.again(id("z"), now);
        assert_eq!(agenda.next(now + 4 * second, now), Next::Look(id("b")));
        assert_eq!(agenda.next(now + 4 * second, now), Next::Look(id("a")));
        assert_eq!(agenda.next(now + 4 * second, now), Next::Look(id("z")));
        agenda.retry(id("z"), now);
        agenda.edit(id("c"), now + second);
        assert_eq!(agenda.next(now + second, now), Next::Look(id("c")), "a routine look stays one");
    }

    #[test]
    fn the_tenants_access_is_looked_at_first() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.edit(id("a"), now);
        agenda.again(Subject::Access, now);
        assert_eq!(agenda.next(now, now), Next::Look(Subject::Access));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(backoff(1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff(3, 0.0), Duration::from_secs(2));
        assert_eq!(backoff(40, 1.0), MAX_BACKOFF);
        assert_eq!(jittered(Duration::from_secs(100), 1.0), Duration::from_secs(90));
    }
}
