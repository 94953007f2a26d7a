//! What came of earlier attempts: looks that failed, and connections whose changes go one object at a time.

use std::collections::BTreeMap;

use crate::core::schedule::ConnectionKey;
use crate::model::identity::ConnectionId;

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

/// Whose turn it is on the connections whose changes go one object at a time, because a joint PATCH was refused.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    next: BTreeMap<ConnectionId, usize>,
}

impl Turns {
    /// From now on the changes of a connection go one object at a time.
    pub(crate) fn begin(&mut self, connection: &ConnectionId) {
        self.next.entry(connection.clone()).or_default();
    }

    /// Takes the next turn, where they go so: another's each time, so that who comes to no end keeps nobody waiting.
    pub(crate) fn take(&mut self, connection: &ConnectionId) -> Option<usize> {
        let turn = self.next.get_mut(connection)?;
        *turn = turn.wrapping_add(1);
        Some(turn.wrapping_sub(1))
    }

    /// The changes of a connection go together again: nothing is left to write.
    pub(crate) fn end(&mut self, connection: &ConnectionId) {
        self.next.remove(connection);
    }

    pub(super) fn retain(&mut self, is_there: impl Fn(&ConnectionId) -> bool) {
        self.next.retain(|connection, _| is_there(connection));
    }
}
