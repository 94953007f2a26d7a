//! How long an object has not been seen, or not been ready, and how often somebody else wrote its status.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::core::status::PROGRESS_DEADLINE;
use crate::core::world::Declared;
use crate::model::identity::Uid;

/// How long it is remembered that somebody wrote a status, and how often that is counted.
const REMEMBERED: Duration = Duration::from_mins(10);
const COUNTED: u32 = 16;

/// One clock for each object.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    by_object: BTreeMap<Uid, Clock>,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    generation: i64,
    unready_since: Option<Instant>,
    was_ready: bool,
    good_look: Instant,
}

impl Clock {
    /// Since when this generation of the object has not become ready. One that was ready once is not counted any more.
    fn unready_since(&self, object: &Declared) -> Option<Instant> {
        self.unready_since.filter(|_| self.generation == object.generation && !self.was_ready)
    }
}

impl Clocks {
    /// The clock of an object; a new generation starts it anew.
    fn of(&mut self, object: &Declared, now: Instant) -> &mut Clock {
        let generation = object.generation;
        let fresh = Clock { generation, unready_since: None, was_ready: false, good_look: now };
        let clock = self.by_object.entry(object.uid.clone()).or_insert(fresh);
        if clock.generation != generation {
            *clock = Clock { good_look: clock.good_look, ..fresh };
        }
        clock
    }

    /// Notes that the connection of this object was seen.
    pub(crate) fn note_look(&mut self, object: &Declared, now: Instant) {
        self.of(object, now).good_look = now;
    }

    /// Notes whether the object was ready at the end of a pass.
    pub(crate) fn note_end(&mut self, object: &Declared, ready: bool, now: Instant) {
        let clock = self.of(object, now);
        clock.was_ready |= ready;
        clock.unready_since = if ready { None } else { Some(clock.unready_since.unwrap_or(now)) };
    }

    /// When it is to be said that this generation of an object does not become ready, where it was not ready yet.
    pub(crate) fn unready_until(&self, object: &Declared) -> Option<Instant> {
        let clock = self.by_object.get(&object.uid)?;
        clock.unready_since(object).map(|since| since + PROGRESS_DEADLINE)
    }

    /// How long ago the object's connection was seen, and how long this generation has not become ready. A generation
    /// that was ready once is not counted any more.
    pub(crate) fn ages(&self, object: &Declared, now: Instant) -> (Duration, Duration) {
        let Some(clock) = self.by_object.get(&object.uid) else { return (Duration::ZERO, Duration::ZERO) };
        (now.duration_since(clock.good_look), clock.unready_since(object).map_or(Duration::ZERO, |since| now.duration_since(since)))
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&Uid) -> bool) {
        self.by_object.retain(|object, _| is_there(object));
    }
}

/// When somebody else wrote the status of an object.
#[derive(Debug, Default)]
pub(crate) struct StatusWrites {
    by_object: BTreeMap<Uid, Vec<Instant>>,
}

impl StatusWrites {
    /// Notes that somebody wrote an object's status; yields how often that happened before within ten minutes.
    pub(crate) fn count(&mut self, object: &Uid, now: Instant) -> u32 {
        let writes = self.by_object.entry(object.clone()).or_default();
        writes.retain(|at| now.duration_since(*at) < REMEMBERED);
        let before = u32::try_from(writes.len()).unwrap_or(u32::MAX);
        if before < COUNTED {
            writes.push(now);
        }
        before
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&Uid) -> bool) {
        self.by_object.retain(|object, _| is_there(object));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::builders::object;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_new_generation_starts_its_clock_and_one_that_was_ready_has_none() {
        let start = Instant::now();
        let (first, second) = (object("a").generation(1), object("a").generation(2));
        let mut clocks = Clocks::default();
        clocks.note_end(&first, false, start);
        assert_eq!(clocks.ages(&first, start + MINUTE).1, MINUTE);
        assert_eq!(clocks.ages(&second, start + MINUTE).1, Duration::ZERO);
        assert_eq!(clocks.unready_until(&first), Some(start + PROGRESS_DEADLINE));
        clocks.note_end(&second, true, start + MINUTE);
        clocks.note_end(&second, false, start + 2 * MINUTE);
        assert_eq!(clocks.ages(&second, start + 9 * MINUTE).1, Duration::ZERO);
        assert_eq!(clocks.unready_until(&second), None);
    }

    #[test]
    fn a_look_is_as_old_as_it_is_whatever_the_generation() {
        let start = Instant::now();
        let mut clocks = Clocks::default();
        assert_eq!(clocks.ages(&object("a"), start).0, Duration::ZERO, "what is new has not been away");
        clocks.note_look(&object("a").generation(1), start);
        clocks.note_end(&object("a").generation(2), false, start + MINUTE);
        assert_eq!(clocks.ages(&object("a").generation(2), start + 3 * MINUTE), (3 * MINUTE, 2 * MINUTE));
    }

    #[test]
    fn a_status_that_is_taken_again_and_again_is_counted_for_ten_minutes() {
        let start = Instant::now();
        let mut writes = StatusWrites::default();
        let counted: Vec<u32> = (0..3).map(|n| writes.count(&"uid".into(), start + n * MINUTE)).collect();
        assert_eq!(counted, [0, 1, 2]);
        assert_eq!(writes.count(&"uid".into(), start + 11 * MINUTE), 1);
        assert_eq!(writes.count(&"other".into(), start), 0);
    }
}
