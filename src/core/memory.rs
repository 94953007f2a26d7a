//! What a process remembers of the objects and connections of one tenant, beyond what any status holds.
//!
//! All of it may be lost with the process: clocks start again, a rejected change is tried once more, a fight is counted
//! anew. Nothing here decides whether a value is ours; only statuses do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::schedule::Subject;
use super::world::Uid;

/// Corrections older than this are forgotten.
const FIGHT_WINDOW: Duration = Duration::from_hours(1);

/// After this many corrections within the window, the next one waits.
const FIGHT_LIMIT: usize = 2;

/// The first pause in a fight; it doubles up to the window.
const FIGHT_PAUSE: Duration = Duration::from_mins(15);

/// What a process remembers.
#[derive(Debug, Default)]
pub struct Memory {
    clocks: BTreeMap<Uid, Clock>,
    rejected: BTreeMap<Uid, Rejection>,
    fights: BTreeMap<(String, String), Fight>,
    failures: BTreeMap<Subject, u32>,
    singly: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    generation: i64,
    unready_since: Option<Instant>,
    was_ready: bool,
    good_look: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rejection {
    generation: i64,
    connection: String,
    options: Option<[u8; 32]>,
}

#[derive(Clone, Debug)]
struct Fight {
    corrections: Vec<Instant>,
    until: Option<Instant>,
    pause: Duration,
}

impl Memory {
    fn clock(&mut self, object: &str, generation: i64, now: Instant) -> &mut Clock {
        let fresh = Clock { generation, unready_since: None, was_ready: false, good_look: now };
        let clock = self.clocks.entry(object.to_owned()).or_insert(fresh);
        if clock.generation != generation {
            *clock = Clock { good_look: clock.good_look, ..fresh };
        }
        clock
    }

    /// Notes that the connection of this object was seen.
    pub fn saw(&mut self, object: &str, generation: i64, now: Instant) {
        self.clock(object, generation, now).good_look = now;
    }

    /// Notes whether the object was ready at the end of a pass.
    pub fn ended(&mut self, object: &str, generation: i64, ready: bool, now: Instant) {
        let clock = self.clock(object, generation, now);
        clock.was_ready |= ready;
        clock.unready_since = if ready { None } else { Some(clock.unready_since.unwrap_or(now)) };
    }

    /// How long ago the object's connection was seen, and how long this generation has not become ready. A generation
    /// that was ready once is not counted any more.
    pub fn ages(&mut self, object: &str, generation: i64, now: Instant) -> (Duration, Duration) {
        let clock = self.clock(object, generation, now);
        let unready = clock.unready_since.filter(|_| !clock.was_ready);
        (now.duration_since(clock.good_look), unready.map_or(Duration::ZERO, |since| now.duration_since(since)))
    }

    /// Notes that the API refused this object's changes to a connection with these options.
    pub fn reject(&mut self, object: &str, generation: i64, connection: &str, options: Option<[u8; 32]>) {
        let rejection = Rejection { generation, connection: connection.to_owned(), options };
        self.rejected.insert(object.to_owned(), rejection);
    }

    /// Whether the same changes were refused before, and neither the object nor the connection has changed since.
    pub fn is_rejected(&self, object: &str, generation: i64, connection: &str, options: Option<[u8; 32]>) -> bool {
        let rejection = Rejection { generation, connection: connection.to_owned(), options };
        self.rejected.get(object) == Some(&rejection)
    }

    /// Forgets that anything of this object was refused: it is tried once more.
    pub fn forgive(&mut self, object: &str) {
        self.rejected.remove(object);
    }

    /// Notes that somebody's change of a parameter was corrected.
    pub fn corrected(&mut self, connection: &str, name: &str, now: Instant) {
        let fresh = Fight { corrections: Vec::new(), until: None, pause: FIGHT_PAUSE };
        let fight = self.fights.entry((connection.to_owned(), name.to_owned())).or_insert(fresh);
        if fight.until.take().is_some() {
            fight.pause = (fight.pause * 2).min(FIGHT_WINDOW);
        }
        fight.corrections.push(now);
    }

    /// The parameters of a connection that are not to be corrected now: the third correction within an hour waits.
    pub fn contended(&mut self, connection: &str, now: Instant) -> BTreeSet<String> {
        self.fights.retain(|_, fight| {
            fight.corrections.retain(|at| now.duration_since(*at) < FIGHT_WINDOW);
            !fight.corrections.is_empty() || fight.until.is_some_and(|until| now < until)
        });
        let here = self.fights.iter().filter(|((place, _), _)| place == connection);
        let waiting = here.filter(|(_, fight)| fight.until.map_or(fight.corrections.len() >= FIGHT_LIMIT, |until| now < until));
        waiting.map(|((_, name), _)| name.clone()).collect()
    }

    /// Notes that a correction waits; yields until when.
    pub fn contend(&mut self, connection: &str, name: &str, now: Instant) -> Option<Instant> {
        let fight = self.fights.get_mut(&(connection.to_owned(), name.to_owned()))?;
        Some(*fight.until.get_or_insert(now + fight.pause))
    }

    /// Notes that a look failed; yields how many have in a row.
    pub fn failed(&mut self, subject: &Subject) -> u32 {
        let failures = self.failures.entry(subject.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// Notes that a look succeeded.
    pub fn succeeded(&mut self, subject: &Subject) {
        self.failures.remove(subject);
    }

    /// From now on the changes of a connection go one object at a time, because a joint PATCH was refused.
    pub fn go_singly(&mut self, connection: &str) {
        self.singly.insert(connection.to_owned());
    }

    /// Whether the changes of a connection go one object at a time.
    pub fn goes_singly(&self, connection: &str) -> bool {
        self.singly.contains(connection)
    }

    /// Nothing is left to write on a connection.
    pub fn is_settled(&mut self, connection: &str) {
        self.singly.remove(connection);
    }

    /// Forgets the objects that are not among these.
    pub fn retain(&mut self, present: &BTreeSet<Uid>) {
        self.clocks.retain(|object, _| present.contains(object));
        self.rejected.retain(|object, _| present.contains(object));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn the_third_correction_within_an_hour_waits_longer_each_time() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.corrected("con_1", "blog", start);
        assert!(memory.contended("con_1", start).is_empty());
        memory.corrected("con_1", "blog", start + MINUTE);
        assert!(memory.contended("con_1", start + 2 * MINUTE).contains("blog"));
        assert!(memory.contended("con_2", start + 2 * MINUTE).is_empty());
        let until = memory.contend("con_1", "blog", start + 2 * MINUTE).unwrap();
        assert_eq!(until, start + 17 * MINUTE);
        assert_eq!(memory.contend("con_1", "blog", start + 5 * MINUTE), Some(until));
        assert!(memory.contended("con_1", until).is_empty());
        memory.corrected("con_1", "blog", until);
        assert!(memory.contended("con_1", until + MINUTE).contains("blog"));
        assert_eq!(memory.contend("con_1", "blog", until + MINUTE), Some(until + 31 * MINUTE));
    }

    #[test]
    fn corrections_of_another_hour_do_not_count() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.corrected("con_1", "blog", start);
        memory.corrected("con_1", "blog", start + 61 * MINUTE);
        assert!(memory.contended("con_1", start + 62 * MINUTE).is_empty());
    }

    #[test]
    fn a_new_generation_starts_its_clock_and_one_that_was_ready_has_none() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.ended("uid", 1, false, start);
        assert_eq!(memory.ages("uid", 1, start + MINUTE).1, MINUTE);
        assert_eq!(memory.ages("uid", 2, start + MINUTE).1, Duration::ZERO);
        memory.ended("uid", 2, true, start + MINUTE);
        memory.ended("uid", 2, false, start + 2 * MINUTE);
        assert_eq!(memory.ages("uid", 2, start + 9 * MINUTE).1, Duration::ZERO);
    }

    #[test]
    fn a_rejection_holds_until_the_object_or_the_connection_changes() {
        let mut memory = Memory::default();
        memory.reject("uid", 1, "con_1", Some([1; 32]));
        assert!(memory.is_rejected("uid", 1, "con_1", Some([1; 32])));
        assert!(!memory.is_rejected("uid", 2, "con_1", Some([1; 32])));
        assert!(!memory.is_rejected("uid", 1, "con_1", Some([2; 32])));
    }
}
