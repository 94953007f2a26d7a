//! What was asked and written, for whoever checks laws.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;

use super::kind::{Key, Kind};
use crate::network::ProcessId;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A process of the operator.
    Process(ProcessId),
    /// People, and controllers that are not ours.
    People,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// A read of one object.
    Get,
    /// A page of a list.
    List,
    /// A watch began.
    Watch,
    /// A POST.
    Create,
    /// A PUT.
    Update,
    /// A PUT of the status.
    UpdateStatus,
    /// A PATCH.
    Patch,
    /// A DELETE.
    Delete,
}

impl Verb {
    /// Whether it may change something.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// One line of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How old the cluster was.
    pub at: Duration,
    /// Who.
    pub who: Who,
    /// What.
    pub verb: Verb,
    /// Of which object; without a name where it is all of a kind.
    pub key: Key,
    /// The HTTP status.
    pub code: u16,
    /// Of a write that took effect: whether it changed anything.
    pub changed: bool,
    /// Of a write that took effect: the JSON text of the object as it was answered.
    pub object: Option<Bytes>,
}

impl Entry {
    /// The status that the object had then.
    pub fn status<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        let mut object: serde_json::Value = serde_json::from_slice(self.object.as_ref()?).ok()?;
        serde_json::from_value(object.get_mut("status")?.take()).ok()
    }
}

/// Writes of one process to one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// How many were sent and arrived.
    pub sent: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// How many of them changed something.
    pub changed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) is_kept: bool,
    pub(super) entries: Vec<Entry>,
    pub(super) writes: BTreeMap<(ProcessId, Kind), Writes>,
}

impl Journal {
    pub(super) fn note(&mut self, entry: Entry) {
        if let (Who::Process(process), true) = (entry.who, entry.verb.is_write()) {
            let writes = self.writes.entry((process, entry.key.kind)).or_default();
            writes.sent += 1;
            writes.refused += u64::from(entry.code >= 300);
            writes.changed += u64::from(entry.changed);
        }
        if self.is_kept {
            self.entries.push(entry);
        }
    }
}
