//! What came of earlier attempts: looks that failed, and connections whose changes do not go together.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::schedule::ConnectionKey;
use crate::model::identity::{ConnectionId, Uid};

/// How often the looks at a connection failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    in_a_row: BTreeMap<ConnectionKey, u32>,
}

impl Failures {
    /// Counts a look that failed; yields how many have in a row.
    pub(crate) fn count(&mut self, connection: &ConnectionKey) -> u32 {
        let failures = self.in_a_row.entry(connection.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// How many looks have failed in a row.
    pub(crate) fn in_a_row(&self, connection: &ConnectionKey) -> u32 {
        self.in_a_row.get(connection).copied().unwrap_or_default()
    }

    /// Forgets the failures of a connection: a look succeeded.
    pub(crate) fn forget(&mut self, connection: &ConnectionKey) {
        self.in_a_row.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionKey) -> bool) {
        self.in_a_row.retain(|connection, _| is_there(connection));
    }
}

/// Whose turn it is on the connections whose changes do not go together, because a PATCH was refused or failed.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    of: BTreeMap<ConnectionId, Line>,
}

/// Who waits for a turn on one connection.
#[derive(Debug, Default)]
struct Line {
    /// When each had its last turn, as a number that rises.
    last: BTreeMap<Uid, u64>,
    serial: u64,
    /// Those whose last turn failed.
    failed: BTreeSet<Uid>,
    /// Whether what several want failed together: then each goes alone.
    singly: bool,
}

impl Line {
    fn note_turn(&mut self, of: &Uid) {
        self.serial += 1;
        self.last.insert(of.clone(), self.serial);
        self.failed.remove(of);
    }
}

impl Turns {
    /// From now on the changes of a connection do not go together, as a write of what these want was refused, or failed. Of several
    /// each has its own turn yet.
    pub(crate) fn begin(&mut self, connection: &ConnectionId, failed: &[Uid]) {
        let line = self.of.entry(connection.clone()).or_default();
        match failed {
            [one] => {
                line.note_turn(one);
                line.failed.insert(one.clone());
            }
            several => {
                line.singly = true;
                line.last.retain(|uid, _| !several.contains(uid));
                line.failed.retain(|uid| !several.contains(uid));
            }
        }
    }

    /// Whether the changes of a connection do not go together.
    pub(crate) fn have_begun(&self, connection: &ConnectionId) -> bool {
        self.of.contains_key(connection)
    }

    /// Takes the next turn of these, where they do not go together: those who had none yet; else, or where those go alone, too, the
    /// one whose last is longest ago, so that who comes to no end keeps nobody waiting.
    pub(crate) fn take(&mut self, connection: &ConnectionId, actors: &[Uid]) -> Option<BTreeSet<Uid>> {
        let line = self.of.get_mut(connection)?;
        let new: BTreeSet<Uid> = actors.iter().filter(|actor| !line.last.contains_key(*actor)).cloned().collect();
        let next = if line.singly || new.is_empty() {
            actors.iter().min_by_key(|actor| line.last.get(*actor)).into_iter().cloned().collect()
        } else {
            new
        };
        for actor in &next {
            line.note_turn(actor);
        }
        Some(next)
    }

    /// Whether one of these had no part in what failed last, where they do not go together.
    pub(crate) fn waits<'a>(&self, connection: &ConnectionId, mut actors: impl Iterator<Item = &'a Uid>) -> bool {
        self.of.get(connection).is_some_and(|line| actors.any(|actor| !line.failed.contains(actor)))
    }

    /// The changes of a connection go together again: nothing is left to write.
    pub(crate) fn end(&mut self, connection: &ConnectionId) {
        self.of.remove(connection);
    }

    pub(super) fn retain(&mut self, is_present: impl Fn(&Uid) -> bool, is_there: impl Fn(&ConnectionId) -> bool) {
        self.of.retain(|connection, _| is_there(connection));
        for line in self.of.values_mut() {
            line.last.retain(|uid, _| is_present(uid));
            line.failed.retain(|uid| is_present(uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "con_1";

    fn uids(names: &str) -> Vec<Uid> {
        names.chars().map(|name| Uid::from(name.to_string().as_str())).collect()
    }

    /// Whose turns these are, one after the other, of those who want something each time.
    fn turns(turns: &mut Turns, wanting: &[&str]) -> String {
        let mut taken = |names: &&str| turns.take(&HERE.into(), &uids(names)).unwrap_or_default().iter().map(ToString::to_string).collect();
        wanting.iter().map(&mut taken).collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn they_go_together_until_something_fails_and_when_nothing_is_left() {
        let mut line = Turns::default();
        assert_eq!(line.take(&HERE.into(), &uids("ab")), None);
        line.begin(&HERE.into(), &uids("ab"));
        assert_eq!(turns(&mut line, &["ab"]), "a");
        line.end(&HERE.into());
        assert_eq!(line.take(&HERE.into(), &uids("ab")), None);
    }

    #[test]
    fn what_failed_together_goes_one_by_one_and_who_comes_to_no_end_keeps_nobody_waiting() {
        let mut line = Turns::default();
        line.begin(&HERE.into(), &uids("abc"));
        assert_eq!(turns(&mut line, &["abc", "abc", "abc", "abc", "abcd", "abcd", "ac", "ac"]), "a b c a d b c a");
    }

    #[test]
    fn who_failed_alone_for_long_lets_all_others_go_first_and_has_its_turn_after_them() {
        let mut line = Turns::default();
        line.begin(&HERE.into(), &uids("a"));
        for _ in 0..100 {
            assert_eq!(turns(&mut line, &["a"]), "a");
            line.begin(&HERE.into(), &uids("a"));
        }
        assert!(!line.waits(&HERE.into(), uids("a").iter()));
        assert!(line.waits(&HERE.into(), uids("abc").iter()));
        assert_eq!(turns(&mut line, &["abc"]), "bc", "those have no part in it");
        // That failed as well: each has a turn of its own.
        line.begin(&HERE.into(), &uids("bc"));
        assert!(line.waits(&HERE.into(), uids("abc").iter()));
        assert_eq!(turns(&mut line, &["abc", "abc", "abc", "abc", "abc"]), "b c a b c");
        for failed in ["b", "c"] {
            assert!(line.waits(&HERE.into(), uids("abc").iter()));
            line.begin(&HERE.into(), &uids(failed));
        }
        assert!(line.waits(&HERE.into(), uids("abc").iter()), "the turn of the third came to nothing that was its own fault");
        line.begin(&HERE.into(), &uids("a"));
        assert!(!line.waits(&HERE.into(), uids("abc").iter()));
    }
}
