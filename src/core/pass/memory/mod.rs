//! What a process remembers of the objects and connections of one tenant, beyond what any status holds.
//!
//! All of it may be lost with the process: clocks start again, a rejected change is tried once more, a fight is counted
//! anew. Nothing here decides whether a value is ours; only statuses do.

pub(crate) mod attempts;
pub(crate) mod clocks;
pub(crate) mod disputes;
pub(crate) mod refusals;
pub(crate) mod requests;

use std::collections::BTreeSet;

use self::attempts::{Failures, Turns};
use self::clocks::{Clocks, StatusWrites};
use self::disputes::Disputes;
use self::refusals::Refusals;
use self::requests::Requests;
use crate::core::schedule::ConnectionKey;
use crate::model::identity::{ConnectionId, Uid};

/// What a process remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Since when objects have not been seen, or not been ready.
    pub clocks: Clocks,
    /// How often somebody else wrote the status of an object.
    pub status_writes: StatusWrites,
    /// What the API refused.
    pub refusals: Refusals,
    /// How often looks failed in a row.
    pub failures: Failures,
    /// Where changes do not go together.
    pub turns: Turns,
    /// Which parameters somebody keeps changing.
    pub disputes: Disputes,
    /// What somebody asked for a look by.
    pub requests: Requests,
}

impl Memory {
    /// Forgets the objects, and the connections, that are not among these.
    pub(crate) fn retain(&mut self, present: &BTreeSet<Uid>, connections: &BTreeSet<ConnectionKey>) {
        let Self { clocks, status_writes, refusals, failures, turns, disputes, requests } = self;
        let is_there = |connection: &ConnectionId| connections.contains(&ConnectionKey::Id(connection.clone()));
        clocks.retain(|object| present.contains(object));
        status_writes.retain(|object| present.contains(object));
        refusals.retain(|object| present.contains(object), is_there);
        requests.retain(|object| present.contains(object));
        failures.retain(|connection| connections.contains(connection));
        turns.retain(|object| present.contains(object), is_there);
        disputes.retain(is_there);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::core::pass::memory::disputes::{Moment, Parameter};

    #[test]
    fn nothing_is_remembered_of_objects_and_connections_that_nobody_names() {
        let now = Moment { at: Instant::now(), time: jiff::Timestamp::UNIX_EPOCH };
        let ids: [ConnectionId; 2] = ["con_1".into(), "con_2".into()];
        let [here, there] = ids.clone().map(ConnectionKey::Id);
        let mut memory = Memory::default();
        for connection in &ids {
            memory.disputes.note_correction(Parameter { connection, name: "blog" }, (&"uid".into(), 1), true, now);
            memory.turns.begin(connection, &[Uid::from("uid")]);
            memory.failures.count(&ConnectionKey::Id(connection.clone()));
        }
        memory.retain(&BTreeSet::new(), &BTreeSet::from([here.clone()]));
        assert_eq!(ids.each_ref().map(|id| memory.disputes.on(id, now.at).len()), [1, 0]);
        let [one, other] = &ids;
        let actors = [Uid::from("uid")];
        assert!(memory.turns.waits(one, actors.iter()), "it is a new one of its uid");
        assert_eq!([one, other].map(|connection| memory.turns.take(connection, &actors).is_some()), [true, false]);
        assert_eq!([memory.failures.count(&here), memory.failures.count(&there)], [2, 1]);
    }
}
