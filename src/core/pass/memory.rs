//! What a process remembers of the objects and connections of one tenant, beyond what any status holds.
//!
//! All of it may be lost with the process: clocks start again, a rejected change is tried once more, a fight is counted
//! anew. Nothing here decides whether a value is ours; only statuses do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::core::pass::plan::Dispute;
use crate::core::schedule::Subject;
use crate::model::identity::{ConnectionId, Uid};

/// Corrections older than this are forgotten.
const FIGHT_WINDOW: Duration = Duration::from_hours(1);

/// After this many corrections of one parameter within the window, another value waits, and every correction keeps
/// [`CORRECTION_PACE`].
const FIGHT_LIMIT: usize = 2;

/// The first pause in a fight; it doubles up to the window.
const FIGHT_PAUSE: Duration = Duration::from_mins(15);

/// The least time between two corrections of one parameter, after [`FIGHT_LIMIT`] of them.
const CORRECTION_PACE: Duration = Duration::from_mins(1);

/// How long it is remembered that somebody wrote a status, and how often that is counted.
const TAKEN_WINDOW: Duration = Duration::from_mins(10);
const TAKEN_COUNTED: u32 = 16;

/// What a process remembers.
#[derive(Debug, Default)]
pub struct Memory {
    clocks: BTreeMap<Uid, Clock>,
    rejected: BTreeMap<Uid, Rejection>,
    fights: BTreeMap<(ConnectionId, String), Fight>,
    failures: BTreeMap<Subject, u32>,
    /// Whose turn it is on the connections whose changes go one object at a time.
    singly: BTreeMap<ConnectionId, usize>,
    drifting: BTreeMap<ConnectionId, BTreeSet<String>>,
    taken: BTreeMap<Uid, Vec<Instant>>,
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
    connection: ConnectionId,
    options: Option<[u8; 32]>,
    /// What Auth0 said. Safe to show.
    message: String,
}

/// Corrections of one parameter, for one generation of the object that owns it: a new one starts anew.
#[derive(Clone, Debug)]
struct Fight {
    owner: Uid,
    generation: i64,
    corrections: Vec<Correction>,
    until: Option<(Instant, Timestamp)>,
    /// Whether it was set back while it is waited, because it was removed: then our value says nothing of the other side.
    ours: bool,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Correction {
    at: Instant,
    time: Timestamp,
    /// Whether the parameter was removed, and not set to another value.
    removed: bool,
}

impl Memory {
    fn clock(&mut self, object: &Uid, generation: i64, now: Instant) -> &mut Clock {
        let fresh = Clock { generation, unready_since: None, was_ready: false, good_look: now };
        let clock = self.clocks.entry(object.clone()).or_insert(fresh);
        if clock.generation != generation {
            *clock = Clock { good_look: clock.good_look, ..fresh };
        }
        clock
    }

    /// Notes that the connection of this object was seen.
    pub fn saw(&mut self, object: &Uid, generation: i64, now: Instant) {
        self.clock(object, generation, now).good_look = now;
    }

    /// Notes whether the object was ready at the end of a pass.
    pub fn ended(&mut self, object: &Uid, generation: i64, ready: bool, now: Instant) {
        let clock = self.clock(object, generation, now);
        clock.was_ready |= ready;
        clock.unready_since = if ready { None } else { Some(clock.unready_since.unwrap_or(now)) };
    }

    /// How long ago the object's connection was seen, and how long this generation has not become ready. A generation
    /// that was ready once is not counted any more.
    pub fn ages(&mut self, object: &Uid, generation: i64, now: Instant) -> (Duration, Duration) {
        let clock = self.clock(object, generation, now);
        let unready = clock.unready_since.filter(|_| !clock.was_ready);
        (now.duration_since(clock.good_look), unready.map_or(Duration::ZERO, |since| now.duration_since(since)))
    }

    /// Notes that the API refused this object's changes to a connection with these options, and what it said.
    pub fn reject(&mut self, object: &Uid, generation: i64, connection: &ConnectionId, options: Option<[u8; 32]>, message: String) {
        self.rejected.insert(object.clone(), Rejection { generation, connection: connection.clone(), options, message });
    }

    /// What the API said when it refused the same changes before, if neither the object nor the connection has changed since.
    pub fn rejection(&self, object: &Uid, generation: i64, connection: &ConnectionId, options: Option<[u8; 32]>) -> Option<&str> {
        let same = |old: &&Rejection| (old.generation, &old.connection, old.options) == (generation, connection, options);
        self.rejected.get(object).filter(same).map(|rejection| rejection.message.as_str())
    }

    /// Notes that somebody's change of a parameter was corrected for this generation of its owner. `removed`: it was gone,
    /// and not set to another value.
    pub fn corrected(
        &mut self,
        connection: &ConnectionId,
        name: &str,
        owner: (&Uid, i64),
        removed: bool,
        (at, time): (Instant, Timestamp),
    ) {
        let fresh =
            Fight { owner: owner.0.clone(), generation: owner.1, corrections: Vec::new(), until: None, ours: false, pause: FIGHT_PAUSE };
        let fight = self.fights.entry((connection.clone(), name.to_owned())).or_insert_with(|| fresh.clone());
        if (&fight.owner, fight.generation) != owner {
            *fight = fresh;
        }
        let over = fight.until.is_some_and(|(until, _)| until <= at);
        if !removed && fight.until.is_some() {
            fight.pause = (fight.pause * 2).min(FIGHT_WINDOW);
        }
        if !removed || over {
            fight.until = None;
        }
        fight.ours |= fight.until.is_some();
        fight.corrections.push(Correction { at, time, removed });
        if let Some(drifting) = self.drifting.get_mut(connection) {
            drifting.remove(name);
        }
    }

    /// What is known of the parameters of a connection that somebody keeps changing.
    ///
    /// A parameter that is removed is set again at every look: a login without it is the harm to prevent, and a tool that
    /// imports whole connections is no opponent. Another value, set for the third time within an hour, is left alone for a
    /// while.
    pub fn disputes(&mut self, connection: &ConnectionId, now: Instant) -> BTreeMap<String, Dispute> {
        // Of this connection only: what is fought about elsewhere is forgotten when it is asked for, or with its connection.
        let first = (connection.clone(), String::new());
        let here = self.fights.range_mut(first..).take_while(|((place, _), _)| place == connection);
        let mut disputes = BTreeMap::new();
        let mut over = Vec::new();
        for ((_, name), fight) in here {
            if fight.is_over(now) {
                over.push((connection.clone(), name.clone()));
            } else {
                disputes.insert(name.clone(), fight.dispute(now));
            }
        }
        for fight in over {
            self.fights.remove(&fight);
        }
        disputes
    }

    /// Notes that a correction waits; yields until when.
    pub fn contend(&mut self, connection: &ConnectionId, name: &str, (now, time): (Instant, Timestamp)) -> Option<(Instant, Timestamp)> {
        let fight = self.fights.get_mut(&(connection.clone(), name.to_owned()))?;
        let until = (now + fight.pause, time.saturating_add(fight.pause).unwrap_or(time));
        // There is another value again, so that ours would be the other side's doing.
        fight.ours = false;
        Some(*fight.until.get_or_insert(until))
    }

    /// When the next correction of a parameter may be made, if it has to keep a pace.
    pub fn paced_until(&self, connection: &ConnectionId, name: &str) -> Option<Instant> {
        self.fights.get(&(connection.clone(), name.to_owned())).and_then(Fight::paced_until)
    }

    /// Notes that a parameter has our value: if its correction waited, the other side has given in.
    pub fn calmed(&mut self, connection: &ConnectionId, name: &str) {
        let key = (connection.clone(), name.to_owned());
        if self.fights.get(&key).is_some_and(|fight| fight.until.is_some() && !fight.ours) {
            self.fights.remove(&key);
        }
    }

    /// Notes which parameters of a connection somebody has changed; yields how many of them are news.
    pub fn drifted(&mut self, connection: &ConnectionId, names: BTreeSet<String>) -> usize {
        if names.is_empty() {
            self.drifting.remove(connection);
            return 0;
        }
        let news = self.drifting.get(connection).map_or(names.len(), |before| names.difference(before).count());
        self.drifting.insert(connection.clone(), names);
        news
    }

    /// Notes that somebody wrote an object's status; yields how often that happened before within ten minutes.
    pub fn status_taken(&mut self, object: &Uid, now: Instant) -> u32 {
        let taken = self.taken.entry(object.clone()).or_default();
        taken.retain(|at| now.duration_since(*at) < TAKEN_WINDOW);
        let before = u32::try_from(taken.len()).unwrap_or(u32::MAX);
        if before < TAKEN_COUNTED {
            taken.push(now);
        }
        before
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
    pub fn go_singly(&mut self, connection: &ConnectionId) {
        self.singly.entry(connection.clone()).or_default();
    }

    /// Whose turn it is, where the changes of a connection go one object at a time: another's each time, so that who comes to no
    /// end keeps nobody waiting.
    pub fn turn(&mut self, connection: &ConnectionId) -> Option<usize> {
        let turn = self.singly.get_mut(connection)?;
        *turn = turn.wrapping_add(1);
        Some(turn.wrapping_sub(1))
    }

    /// Nothing is left to write on a connection.
    pub fn is_settled(&mut self, connection: &ConnectionId) {
        self.singly.remove(connection);
    }

    /// Forgets the objects, and the places, that are not among these.
    pub fn retain(&mut self, present: &BTreeSet<Uid>, places: &BTreeSet<Subject>) {
        self.clocks.retain(|object, _| present.contains(object));
        self.rejected.retain(|object, _| present.contains(object));
        self.taken.retain(|object, _| present.contains(object));
        let is_there = |connection: &ConnectionId| places.contains(&Subject::Id(connection.clone()));
        self.failures.retain(|subject, _| *subject == Subject::Access || places.contains(subject));
        self.fights.retain(|(connection, _), _| is_there(connection));
        self.singly.retain(|connection, _| is_there(connection));
        self.drifting.retain(|connection, _| is_there(connection));
    }
}

impl Fight {
    /// Forgets corrections of long ago; yields whether nothing is left to remember.
    fn is_over(&mut self, now: Instant) -> bool {
        self.corrections.retain(|correction| now.duration_since(correction.at) < FIGHT_WINDOW);
        self.corrections.is_empty() && self.until.is_none_or(|(until, _)| until <= now)
    }

    fn dispute(&self, now: Instant) -> Dispute {
        let values = self.corrections.iter().filter(|correction| !correction.removed).count();
        Dispute {
            owner: self.owner.clone(),
            generation: self.generation,
            times: self.corrections.len(),
            since: self.corrections.first().map(|correction| correction.time),
            until: self.until.map(|(_, time)| time),
            holds: self.until.map_or(values >= FIGHT_LIMIT, |(until, _)| now < until),
            paces: self.paced_until().is_some_and(|until| now < until),
        }
    }

    fn paced_until(&self) -> Option<Instant> {
        let last = self.corrections.last().filter(|_| self.corrections.len() >= FIGHT_LIMIT);
        last.map(|correction| correction.at + CORRECTION_PACE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// The object that owns the parameter, in a generation.
    fn owner(generation: i64) -> (&'static Uid, i64) {
        static UID: LazyLock<Uid> = LazyLock::new(|| "uid".into());
        (&UID, generation)
    }

    fn id(text: &str) -> ConnectionId {
        text.into()
    }

    fn when(at: Instant) -> (Instant, Timestamp) {
        (at, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn another_value_for_the_third_time_within_an_hour_waits_longer_each_time() {
        let start = Instant::now();
        let mut memory = Memory::default();
        let holds = |memory: &mut Memory, at| memory.disputes(&id("con_1"), at).get("blog").is_some_and(|dispute| dispute.holds);
        memory.corrected(&id("con_1"), "blog", owner(1), false, when(start));
        assert!(!holds(&mut memory, start));
        memory.corrected(&id("con_1"), "blog", owner(1), false, when(start + MINUTE));
        assert!(holds(&mut memory, start + 2 * MINUTE));
        assert!(memory.disputes(&id("con_2"), start + 2 * MINUTE).is_empty());
        let until = memory.contend(&id("con_1"), "blog", when(start + 2 * MINUTE)).unwrap();
        assert_eq!(until, (start + 17 * MINUTE, Timestamp::from_second(900).unwrap()));
        assert_eq!(memory.contend(&id("con_1"), "blog", when(start + 5 * MINUTE)), Some(until));
        let until = until.0;
        assert!(!holds(&mut memory, until));
        memory.corrected(&id("con_1"), "blog", owner(1), false, when(until));
        assert!(holds(&mut memory, until + MINUTE));
        assert_eq!(memory.contend(&id("con_1"), "blog", when(until + MINUTE)).unwrap().0, until + 31 * MINUTE);
    }

    #[test]
    fn a_removed_parameter_is_set_again_each_time_at_a_pace() {
        let start = Instant::now();
        let mut memory = Memory::default();
        for round in 0..9 {
            let now = start + round * MINUTE;
            let dispute = memory.disputes(&id("con_1"), now).remove("blog");
            assert!(dispute.is_none_or(|dispute| !dispute.holds && !dispute.paces), "round {round}");
            memory.corrected(&id("con_1"), "blog", owner(1), true, when(now));
            let soon = memory.disputes(&id("con_1"), now + MINUTE / 2).remove("blog").unwrap();
            assert_eq!((soon.times, soon.paces), (usize::try_from(round).unwrap() + 1, round > 0));
        }
        assert_eq!(memory.paced_until(&id("con_1"), "blog"), Some(start + 9 * MINUTE));
    }

    #[test]
    fn a_new_generation_or_a_value_that_equals_ours_ends_it_at_once() {
        let start = Instant::now();
        let mut memory = Memory::default();
        for _ in 0..2 {
            memory.corrected(&id("con_1"), "blog", owner(1), false, when(start));
        }
        memory.calmed(&id("con_1"), "blog");
        assert!(memory.disputes(&id("con_1"), start)["blog"].holds, "our own correction is no peace");
        memory.contend(&id("con_1"), "blog", when(start));
        memory.corrected(&id("con_1"), "blog", owner(2), false, when(start));
        assert!(!memory.disputes(&id("con_1"), start)["blog"].holds);
        memory.corrected(&id("con_1"), "blog", owner(2), false, when(start));
        memory.contend(&id("con_1"), "blog", when(start));
        memory.calmed(&id("con_1"), "blog");
        assert!(memory.disputes(&id("con_1"), start).is_empty());
    }

    #[test]
    fn a_parameter_that_was_removed_while_it_was_waited_and_is_set_again_is_no_peace() {
        let start = Instant::now();
        let holds = |memory: &mut Memory, at| memory.disputes(&id("con_1"), at).get("blog").is_some_and(|dispute| dispute.holds);
        for removed_at in [2, 20] {
            let mut memory = Memory::default();
            for _ in 0..2 {
                memory.corrected(&id("con_1"), "blog", owner(1), false, when(start));
            }
            memory.contend(&id("con_1"), "blog", when(start));
            memory.corrected(&id("con_1"), "blog", owner(1), true, when(start + removed_at * MINUTE));
            memory.calmed(&id("con_1"), "blog");
            assert!(holds(&mut memory, start + (removed_at + 1) * MINUTE), "removed after {removed_at} minutes");
        }
        let mut memory = Memory::default();
        for _ in 0..2 {
            memory.corrected(&id("con_1"), "blog", owner(1), false, when(start));
        }
        memory.contend(&id("con_1"), "blog", when(start));
        memory.corrected(&id("con_1"), "blog", owner(1), true, when(start + MINUTE));
        memory.contend(&id("con_1"), "blog", when(start + 2 * MINUTE));
        memory.calmed(&id("con_1"), "blog");
        assert!(memory.disputes(&id("con_1"), start + 3 * MINUTE).is_empty(), "the other side has given in");
    }

    #[test]
    fn corrections_of_another_hour_do_not_count() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.corrected(&id("con_1"), "blog", owner(1), false, when(start));
        memory.corrected(&id("con_1"), "blog", owner(1), false, when(start + 61 * MINUTE));
        assert!(!memory.disputes(&id("con_1"), start + 62 * MINUTE)["blog"].holds);
    }

    #[test]
    fn a_drift_is_counted_once_however_often_it_is_seen() {
        let mut memory = Memory::default();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(memory.drifted(&id("con_1"), names(&["a"])), 1);
        assert_eq!(memory.drifted(&id("con_1"), names(&["a", "b"])), 1);
        assert_eq!(memory.drifted(&id("con_1"), names(&["b"])), 0);
        memory.corrected(&id("con_1"), "b", owner(1), true, when(Instant::now()));
        assert_eq!(memory.drifted(&id("con_1"), names(&["b"])), 1, "it was set back, and is gone again");
        assert_eq!(memory.drifted(&id("con_1"), names(&[])), 0);
    }

    #[test]
    fn a_new_generation_starts_its_clock_and_one_that_was_ready_has_none() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.ended(&"uid".into(), 1, false, start);
        assert_eq!(memory.ages(&"uid".into(), 1, start + MINUTE).1, MINUTE);
        assert_eq!(memory.ages(&"uid".into(), 2, start + MINUTE).1, Duration::ZERO);
        memory.ended(&"uid".into(), 2, true, start + MINUTE);
        memory.ended(&"uid".into(), 2, false, start + 2 * MINUTE);
        assert_eq!(memory.ages(&"uid".into(), 2, start + 9 * MINUTE).1, Duration::ZERO);
    }

    #[test]
    fn a_status_that_is_taken_again_and_again_is_counted_for_ten_minutes() {
        let start = Instant::now();
        let mut memory = Memory::default();
        let counted: Vec<u32> = (0..3).map(|n| memory.status_taken(&"uid".into(), start + n * MINUTE)).collect();
        assert_eq!(counted, [0, 1, 2]);
        assert_eq!(memory.status_taken(&"uid".into(), start + 11 * MINUTE), 1);
        assert_eq!(memory.status_taken(&"other".into(), start), 0);
    }

    #[test]
    fn nothing_is_remembered_of_objects_and_connections_that_nobody_names() {
        let (now, here) = (Instant::now(), Subject::Id(id("con_1")));
        let mut memory = Memory::default();
        for connection in [id("con_1"), id("con_2")] {
            memory.corrected(&connection, "blog", owner(1), true, when(now));
            memory.go_singly(&connection);
            memory.failed(&Subject::Id(connection));
        }
        memory.failed(&Subject::Access);
        memory.retain(&BTreeSet::new(), &BTreeSet::from([here.clone()]));
        assert_eq!(memory.disputes(&id("con_1"), now).len() + memory.disputes(&id("con_2"), now).len(), 1);
        assert_eq!([memory.turn(&id("con_1")), memory.turn(&id("con_1")), memory.turn(&id("con_2"))], [Some(0), Some(1), None]);
        assert_eq!([memory.failed(&here), memory.failed(&Subject::Id(id("con_2"))), memory.failed(&Subject::Access)], [2, 1, 2]);
    }

    #[test]
    fn a_rejection_holds_until_the_object_or_the_connection_changes() {
        let mut memory = Memory::default();
        memory.reject(&"uid".into(), 1, &id("con_1"), Some([1; 32]), "because".into());
        assert_eq!(memory.rejection(&"uid".into(), 1, &id("con_1"), Some([1; 32])), Some("because"));
        assert_eq!(memory.rejection(&"uid".into(), 2, &id("con_1"), Some([1; 32])), None);
        assert_eq!(memory.rejection(&"uid".into(), 1, &id("con_1"), Some([2; 32])), None);
    }
}
