//! What came of earlier attempts: looks that failed, and connections whose changes go one object at a time.

use std::collections::BTreeMap;

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

    /// Forgets the failures of a connection: a look succeeded.
    pub(crate) fn forget(&mut self, connection: &ConnectionKey) {
        self.in_a_row.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionKey) -> bool) {
        self.in_a_row.retain(|connection, _| is_there(connection));
    }
}

/// Whose turn it is on the connections whose changes go one object at a time, because a PATCH was refused or failed: of each
/// object, how often it was tried since.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    tried: BTreeMap<ConnectionId, BTreeMap<Uid, u32>>,
}

impl Turns {
    /// From now on the changes of a connection go one object at a time. Where a write was that of one object alone (`only`), it had
    /// its turn.
    pub(crate) fn begin(&mut self, connection: &ConnectionId, only: Option<&Uid>) {
        let is_new = !self.tried.contains_key(connection);
        let tried = self.tried.entry(connection.clone()).or_default();
        if let Some(only) = only.filter(|_| is_new) {
            tried.insert(only.clone(), 1);
        }
    }

    /// Takes the next turn of these, where they go so: that of the one who was tried least, so that who comes to no end keeps nobody
    /// waiting.
    pub(crate) fn take<'a>(&mut self, connection: &ConnectionId, actors: &'a [Uid]) -> Option<&'a Uid> {
        let tried = self.tried.get_mut(connection)?;
        let next = actors.iter().min_by_key(|actor| tried.get(*actor).copied().unwrap_or_default())?;
        let times = tried.entry(next.clone()).or_default();
        *times = times.saturating_add(1);
        Some(next)
    }

    /// Whether one of these had no turn yet.
    pub(crate) fn waits(&self, connection: &ConnectionId, mut actors: impl Iterator<Item = Uid>) -> bool {
        self.tried.get(connection).is_some_and(|tried| actors.any(|actor| !tried.contains_key(&actor)))
    }

    /// The changes of a connection go together again: nothing is left to write.
    pub(crate) fn end(&mut self, connection: &ConnectionId) {
        self.tried.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionId) -> bool) {
        self.tried.retain(|connection, _| is_there(connection));
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn whoever_was_tried_least_is_next_and_who_fails_alone_keeps_nobody_waiting() {
        let connection = ConnectionId::from("con_1");
        let [a, b, c] = ["a", "b", "c"].map(Uid::from);
        let mut turns = Turns::default();
        assert_eq!(turns.take(&connection, from_ref(&a)), None, "they go together");
        turns.begin(&connection, Some(&a));
        for _ in 0..3 {
            assert_eq!(turns.take(&connection, from_ref(&a)), Some(&a));
            turns.begin(&connection, Some(&a));
            assert!(!turns.waits(&connection, [a.clone()].into_iter()));
        }
        let all = [a.clone(), b.clone(), c.clone()];
        assert!(turns.waits(&connection, all.iter().cloned()));
        assert_eq!(turns.take(&connection, &all), Some(&b));
        assert!(turns.waits(&connection, [a.clone(), c.clone()].into_iter()));
        assert_eq!(turns.take(&connection, &all), Some(&c));
        assert!(!turns.waits(&connection, [a.clone(), b.clone()].into_iter()));
        turns.end(&connection);
        assert_eq!(turns.take(&connection, &all), None);
    }
}
