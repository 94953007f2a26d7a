//! When to do what of a tenant: [`agenda`] holds the connections that are to be looked at, [`work_queue`] what is to be
//! done at Kubernetes alone.
//!
//! Guarantees: a failing connection is tried less and less often, up to [`MAX_BACKOFF`]. Time and chance are arguments.

pub(crate) mod agenda;
pub(crate) mod pace;
pub(crate) mod work_queue;

use std::time::{Duration, Instant};

use crate::model::identity::{ConnectionId, ConnectionName};

/// The longest pause between two tries at something that fails.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_mins(5);

/// The first pause.
const MIN_BACKOFF: Duration = Duration::from_secs(1);

/// A connection, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ConnectionKey {
    /// By its id.
    Id(ConnectionId),
    /// By its name, where no id is known for it.
    Name(ConnectionName),
}

impl std::fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Id(id) => id,
            Self::Name(name) => name,
        })
    }
}

/// What needs a call to Auth0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Authentication: whether the tenant accepts the credentials.
    Authentication,
    /// A pass over this connection.
    Connection(ConnectionKey),
}

/// With which right of way a connection is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody changed something: before what is only due.
    Edit,
    /// The pass that ran last came to no end: with the same right of way again.
    Retry,
    /// Time has passed.
    Routine,
}

/// One change of what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// The connection is due then, or earlier where it was due earlier with the same right of way.
    Due(ConnectionKey, Lane, Instant),
    /// The same, where no date is set for the connection yet.
    IfNotDue(ConnectionKey, Lane, Instant),
    /// Nothing is to be looked at there any more.
    Forget(ConnectionKey),
}

/// What is to be looked at next: what a pass yields and what is decided of an object. The tenant's loop applies it, with
/// [`agenda::Agenda::apply`], in the order in which it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what is to be looked at next is applied by the tenant's loop"]
pub(crate) struct Next {
    changes: Vec<Change>,
}

impl Next {
    /// The connection is due at this time.
    pub(crate) fn at(&mut self, connection: ConnectionKey, lane: Lane, at: Instant) {
        self.changes.push(Change::Due(connection, lane, at));
    }

    /// The connection is due at this time, unless it has a date already.
    pub(crate) fn at_unless_due(&mut self, connection: ConnectionKey, lane: Lane, at: Instant) {
        self.changes.push(Change::IfNotDue(connection, lane, at));
    }

    /// Nothing is to be looked at there any more.
    pub(crate) fn forget(&mut self, connection: ConnectionKey) {
        self.changes.push(Change::Forget(connection));
    }

    /// What this says, and then what the other one says.
    pub(crate) fn append(&mut self, other: Self) {
        self.changes.extend(other.changes);
    }
}

/// The pause before try number `failures` (from 1), between half and all of a doubling step. `chance` is in 0..1.
pub(crate) fn backoff(failures: u32, chance: f64) -> Duration {
    let step = MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16))).min(MAX_BACKOFF);
    step.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// The time to the next routine look: the interval, less up to a tenth, so that looks spread.
pub(crate) fn jittered(interval: Duration, chance: f64) -> Duration {
    interval.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert_eq!(backoff(1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff(3, 0.0), Duration::from_secs(2));
        assert_eq!(backoff(40, 1.0), MAX_BACKOFF);
        assert_eq!(jittered(Duration::from_secs(100), 1.0), Duration::from_secs(90));
    }
}
