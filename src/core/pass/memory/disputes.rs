//! Which parameters somebody keeps changing, how often each was set back, and which of them wait.
//!
//! Guarantees: a parameter that is removed is set again at every look, at a pace: a login without it is the harm to prevent,
//! and a tool that imports whole connections is no opponent. Another value, set for the third time within an hour, is left
//! alone for a while, longer each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::core::pass::plan::Dispute;
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

/// A moment: to reckon with, and to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// On the clock of this process.
    pub at: Instant,
    /// On everybody's.
    pub time: Timestamp,
}

impl Moment {
    fn after(self, pause: Duration) -> Self {
        Self { at: self.at + pause, time: self.time.saturating_add(pause).unwrap_or(self.time) }
    }
}

/// A parameter of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'a> {
    /// The connection.
    pub connection: &'a ConnectionId,
    /// Its name there.
    pub name: &'a str,
}

impl Parameter<'_> {
    fn key(self) -> (ConnectionId, String) {
        (self.connection.clone(), self.name.to_owned())
    }
}

/// What is known of the parameters that somebody changed.
#[derive(Debug, Default)]
pub(crate) struct Disputes {
    fights: BTreeMap<(ConnectionId, String), Fight>,
    /// The parameters of a connection that were seen changed and have not been set back.
    drifting: BTreeMap<ConnectionId, BTreeSet<String>>,
}

/// Corrections of one parameter, for one generation of the object that owns it: a new one starts anew.
#[derive(Clone, Debug)]
struct Fight {
    owner: Uid,
    generation: i64,
    corrections: Vec<Correction>,
    until: Option<Moment>,
    /// Whether it was set back while it is waited, because it was removed: then our value says nothing of the other side.
    ours: bool,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Correction {
    made: Moment,
    /// Whether the parameter was removed, and not set to another value.
    removed: bool,
}

impl Disputes {
    /// Notes that somebody's change of a parameter was corrected for this generation of its owner. `removed`: it was gone,
    /// and not set to another value.
    pub(crate) fn note_correction(&mut self, parameter: Parameter<'_>, owner: (&Uid, i64), removed: bool, made: Moment) {
        let fresh = || Fight::of(owner);
        let fight = self.fights.entry(parameter.key()).or_insert_with(fresh);
        if (&fight.owner, fight.generation) != owner {
            *fight = fresh();
        }
        fight.correct(Correction { made, removed });
        if let Some(drifting) = self.drifting.get_mut(parameter.connection) {
            drifting.remove(parameter.name);
        }
    }

    /// What is known of the parameters of a connection that somebody keeps changing.
    pub(crate) fn on(&self, connection: &ConnectionId, now: Instant) -> BTreeMap<String, Dispute> {
        let here = self.fights.range(first(connection)..).take_while(|((place, _), _)| place == connection);
        here.filter(|(_, fight)| !fight.is_over(now)).map(|((_, name), fight)| (name.clone(), fight.dispute(now))).collect()
    }

    /// Forgets the corrections on a connection that are too old to count: those on others are forgotten when they are looked at,
    /// or with their connection.
    pub(crate) fn forget_old(&mut self, connection: &ConnectionId, now: Instant) {
        let mut over = Vec::new();
        for (key, fight) in self.fights.range_mut(first(connection)..).take_while(|((place, _), _)| place == connection) {
            fight.corrections.retain(|correction| correction.counts(now));
            if fight.is_over(now) {
                over.push(key.clone());
            }
        }
        for key in over {
            self.fights.remove(&key);
        }
    }

    /// Puts a correction off; yields until when it waits.
    pub(crate) fn put_off(&mut self, parameter: Parameter<'_>, now: Moment) -> Option<Moment> {
        let fight = self.fights.get_mut(&parameter.key())?;
        // There is another value again, so that ours would be the other side's doing.
        fight.ours = false;
        Some(*fight.until.get_or_insert(now.after(fight.pause)))
    }

    /// Until when a correction waits that was put off.
    pub(crate) fn waits_until(&self, parameter: Parameter<'_>) -> Option<Instant> {
        self.fights.get(&parameter.key())?.until.map(|until| until.at)
    }

    /// When the next correction of a parameter may be made, if it has to keep a pace.
    pub(crate) fn paced_until(&self, parameter: Parameter<'_>) -> Option<Instant> {
        self.fights.get(&parameter.key()).and_then(Fight::paced_until)
    }

    /// Notes that a parameter has our value: if its correction waited, the other side has given in.
    pub(crate) fn note_peace(&mut self, parameter: Parameter<'_>) {
        let key = parameter.key();
        if self.fights.get(&key).is_some_and(|fight| fight.until.is_some() && !fight.ours) {
            self.fights.remove(&key);
        }
    }

    /// Notes which parameters of a connection somebody has changed; yields how many of them are news.
    pub(crate) fn note_drift(&mut self, connection: &ConnectionId, names: BTreeSet<String>) -> usize {
        if names.is_empty() {
            self.drifting.remove(connection);
            return 0;
        }
        let news = self.drifting.get(connection).map_or(names.len(), |before| names.difference(before).count());
        self.drifting.insert(connection.clone(), names);
        news
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionId) -> bool) {
        self.fights.retain(|(connection, _), _| is_there(connection));
        self.drifting.retain(|connection, _| is_there(connection));
    }
}

/// Before all parameters of a connection.
fn first(connection: &ConnectionId) -> (ConnectionId, String) {
    (connection.clone(), String::new())
}

impl Correction {
    fn counts(&self, now: Instant) -> bool {
        now.duration_since(self.made.at) < FIGHT_WINDOW
    }
}

impl Fight {
    fn of((owner, generation): (&Uid, i64)) -> Self {
        Self { owner: owner.clone(), generation, corrections: Vec::new(), until: None, ours: false, pause: FIGHT_PAUSE }
    }

    fn correct(&mut self, correction: Correction) {
        let over = self.until.is_some_and(|until| until.at <= correction.made.at);
        if !correction.removed && self.until.is_some() {
            self.pause = (self.pause * 2).min(FIGHT_WINDOW);
        }
        if !correction.removed || over {
            self.until = None;
        }
        self.ours |= self.until.is_some();
        self.corrections.push(correction);
    }

    fn is_over(&self, now: Instant) -> bool {
        let waits = self.until.is_some_and(|until| now < until.at);
        !waits && !self.corrections.iter().any(|correction| correction.counts(now))
    }

    fn dispute(&self, now: Instant) -> Dispute {
        let recent = || self.corrections.iter().filter(|correction| correction.counts(now));
        let values = recent().filter(|correction| !correction.removed).count();
        Dispute {
            owner: self.owner.clone(),
            generation: self.generation,
            times: recent().count(),
            since: recent().next().map(|correction| correction.made.time),
            until: self.until.map(|until| until.time),
            holds: self.until.map_or(values >= FIGHT_LIMIT, |until| now < until.at),
            paces: recent().count() >= FIGHT_LIMIT && self.paced_until().is_some_and(|until| now < until),
        }
    }

    fn paced_until(&self) -> Option<Instant> {
        let last = self.corrections.last().filter(|_| self.corrections.len() >= FIGHT_LIMIT);
        last.map(|correction| correction.made.at + CORRECTION_PACE)
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

    fn blog() -> Parameter<'static> {
        static ID: LazyLock<ConnectionId> = LazyLock::new(|| "con_1".into());
        Parameter { connection: &ID, name: "blog" }
    }

    fn when(at: Instant) -> Moment {
        Moment { at, time: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn another_value_for_the_third_time_within_an_hour_waits_longer_each_time() {
        let start = Instant::now();
        let mut disputes = Disputes::default();
        let holds = |disputes: &Disputes, at| disputes.on(&id("con_1"), at).get("blog").is_some_and(|dispute| dispute.holds);
        disputes.note_correction(blog(), owner(1), false, when(start));
        assert!(!holds(&disputes, start));
        disputes.note_correction(blog(), owner(1), false, when(start + MINUTE));
        assert!(holds(&disputes, start + 2 * MINUTE));
        assert!(disputes.on(&id("con_2"), start + 2 * MINUTE).is_empty());
        let until = disputes.put_off(blog(), when(start + 2 * MINUTE)).unwrap();
        assert_eq!(until, Moment { at: start + 17 * MINUTE, time: Timestamp::from_second(900).unwrap() });
        assert_eq!(disputes.waits_until(blog()), Some(until.at));
        assert_eq!(disputes.put_off(blog(), when(start + 5 * MINUTE)), Some(until));
        let until = until.at;
        assert!(!holds(&disputes, until));
        disputes.note_correction(blog(), owner(1), false, when(until));
        assert!(holds(&disputes, until + MINUTE));
        assert_eq!(disputes.put_off(blog(), when(until + MINUTE)).unwrap().at, until + 31 * MINUTE);
    }

    #[test]
    fn a_removed_parameter_is_set_again_each_time_at_a_pace() {
        let start = Instant::now();
        let mut disputes = Disputes::default();
        for round in 0..9 {
            let now = start + round * MINUTE;
            let dispute = disputes.on(&id("con_1"), now).remove("blog");
            assert!(dispute.is_none_or(|dispute| !dispute.holds && !dispute.paces), "round {round}");
            disputes.note_correction(blog(), owner(1), true, when(now));
            let soon = disputes.on(&id("con_1"), now + MINUTE / 2).remove("blog").unwrap();
            assert_eq!((soon.times, soon.paces), (usize::try_from(round).unwrap() + 1, round > 0));
        }
        assert_eq!(disputes.paced_until(blog()), Some(start + 9 * MINUTE));
    }

    #[test]
    fn a_new_generation_or_a_value_that_equals_ours_ends_it_at_once() {
        let start = Instant::now();
        let mut disputes = Disputes::default();
        for _ in 0..2 {
            disputes.note_correction(blog(), owner(1), false, when(start));
        }
        disputes.note_peace(blog());
        assert!(disputes.on(&id("con_1"), start)["blog"].holds, "our own correction is no peace");
        disputes.put_off(blog(), when(start));
        disputes.note_correction(blog(), owner(2), false, when(start));
        assert!(!disputes.on(&id("con_1"), start)["blog"].holds);
        disputes.note_correction(blog(), owner(2), false, when(start));
        disputes.put_off(blog(), when(start));
        disputes.note_peace(blog());
        assert!(disputes.on(&id("con_1"), start).is_empty());
    }

    #[test]
    fn a_parameter_that_was_removed_while_it_was_waited_and_is_set_again_is_no_peace() {
        let start = Instant::now();
        let holds = |disputes: &Disputes, at| disputes.on(&id("con_1"), at).get("blog").is_some_and(|dispute| dispute.holds);
        for removed_at in [2, 20] {
            let mut disputes = Disputes::default();
            for _ in 0..2 {
                disputes.note_correction(blog(), owner(1), false, when(start));
            }
            disputes.put_off(blog(), when(start));
            disputes.note_correction(blog(), owner(1), true, when(start + removed_at * MINUTE));
            disputes.note_peace(blog());
            assert!(holds(&disputes, start + (removed_at + 1) * MINUTE), "removed after {removed_at} minutes");
        }
        let mut disputes = Disputes::default();
        for _ in 0..2 {
            disputes.note_correction(blog(), owner(1), false, when(start));
        }
        disputes.put_off(blog(), when(start));
        disputes.note_correction(blog(), owner(1), true, when(start + MINUTE));
        disputes.put_off(blog(), when(start + 2 * MINUTE));
        disputes.note_peace(blog());
        assert!(disputes.on(&id("con_1"), start + 3 * MINUTE).is_empty(), "the other side has given in");
    }

    #[test]
    fn corrections_of_another_hour_do_not_count() {
        let start = Instant::now();
        let mut disputes = Disputes::default();
        disputes.note_correction(blog(), owner(1), false, when(start));
        disputes.note_correction(blog(), owner(1), false, when(start + 61 * MINUTE));
        assert!(!disputes.on(&id("con_1"), start + 62 * MINUTE)["blog"].holds);
    }

    #[test]
    fn a_drift_is_counted_once_however_often_it_is_seen() {
        let mut disputes = Disputes::default();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(disputes.note_drift(&id("con_1"), names(&["a"])), 1);
        assert_eq!(disputes.note_drift(&id("con_1"), names(&["a", "b"])), 1);
        assert_eq!(disputes.note_drift(&id("con_1"), names(&["b"])), 0);
        disputes.note_correction(Parameter { name: "b", ..blog() }, owner(1), true, when(Instant::now()));
        assert_eq!(disputes.note_drift(&id("con_1"), names(&["b"])), 1, "it was set back, and is gone again");
        assert_eq!(disputes.note_drift(&id("con_1"), names(&[])), 0);
    }

    #[test]
    fn what_is_too_old_to_count_is_not_told_before_it_is_forgotten_either() {
        let start = Instant::now();
        let mut disputes = Disputes::default();
        for _ in 0..2 {
            disputes.note_correction(blog(), owner(1), true, when(start));
        }
        let (there, later) = (id("con_2"), start + 61 * MINUTE);
        disputes.note_correction(Parameter { connection: &there, ..blog() }, owner(1), true, when(start));
        assert!(disputes.on(&id("con_1"), later).is_empty());
        disputes.forget_old(&id("con_1"), later);
        assert_eq!((disputes.paced_until(blog()), disputes.on(&id("con_1"), start).len()), (None, 0));
        assert_eq!(disputes.on(&there, start).len(), 1, "that of another connection waits for its own look");
    }
}
