//! The simulated API server: what the operator can notice of a real one, in this process and in the runtime's time.
//!
//! There are two sides. [`Cluster::client`] is the HTTP side, for one process of the operator each, through a [`Network`]. The
//! other methods are the side of people and of controllers that are not ours; they take effect at once.
//!
//! Guarantees: the same calls at the same times yield the same answers. What is refused, and with which status, was compared
//! with kube-apiserver 1.36; where this one differs, it says so below.
//!
//! Left out: admission by CEL rules; the checks of a CRD's schema, but for defaults, unknown fields and the status that the
//! operator writes (there without patterns); rights; `managedFields`;
//! server-side apply, JSON and strategic patches; label selectors; streaming lists; everything the operator never asks for.

mod chronicle;
mod handle;
mod journal;
mod kind;
mod object;
mod people;
mod refusal;
mod route;
mod schema;
mod selector;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;

pub use chronicle::{Mark, Version};
pub use journal::{Entry, Verb, Who, Writes};
pub use kind::{Key, Kind};
pub use people::Snapshot;
pub use refusal::Refusal;
pub use watch::Break;

use crate::network::{Network, ProcessId};
use service::ApiServer;
use store::State;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

/// A cluster. Clones are the same one.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
}

impl Cluster {
    /// A cluster with nothing but the namespace `default`. Its clock is the runtime's, in which this has to be called.
    pub fn new() -> Self {
        let begin = Timestamp::from_second(BEGIN).unwrap_or_default();
        let cluster = Self { state: Arc::new(Mutex::new(State::new(begin))) };
        // Nothing can refuse it: there is nothing yet.
        drop(cluster.create(&Key::namespace("default"), serde_json::json!({})));
        cluster
    }

    /// What time it is there.
    pub fn now(&self) -> Timestamp {
        self.state.lock().wall()
    }

    /// How a process of the operator reaches it.
    pub fn client(&self, process: ProcessId, network: Arc<dyn Network>) -> kube::Client {
        kube::Client::new(ApiServer { state: self.state.clone(), process, network }, "default")
    }

    /// How late the watches of a process see events of a kind. Lists that may be served from a cache are as late.
    pub fn set_lag(&self, process: ProcessId, kind: Kind, lag: Duration) {
        let mut state = self.state.lock();
        if lag.is_zero() {
            state.lags.remove(&(process, kind));
        } else {
            state.lags.insert((process, kind), lag);
        }
        state.wake(|watcher| (watcher.process, watcher.kind) == (process, kind));
    }

    /// Cuts all watches of a process.
    pub fn break_watches(&self, process: ProcessId, how: Break) {
        self.state.lock().cut(how, |watcher| watcher.process == process);
    }

    /// Cuts the watches of a process of one kind.
    pub fn break_watch(&self, process: ProcessId, kind: Kind, how: Break) {
        self.state.lock().cut(how, |watcher| (watcher.process, watcher.kind) == (process, kind));
    }

    /// How many watches of a process run.
    pub fn watches(&self, process: ProcessId) -> usize {
        self.state.lock().watchers.values().filter(|watcher| watcher.process == process && watcher.cut.is_none()).count()
    }

    /// Forgets all history: a watch or a continued list from before is refused as expired. Running watches go on.
    pub fn compact(&self) {
        self.state.lock().compact();
    }

    /// Stops the API server: running watches break, answers on their way are lost, and nobody answers.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.down = true;
        state.stops += 1;
        state.cut(Break::Error, |_| true);
    }

    /// Starts it again. Its watch cache begins anew, so that no watch can go on from before it.
    pub fn start(&self) {
        let mut state = self.state.lock();
        state.down = false;
        state.watchable = [state.version; 6];
    }

    /// Installs or removes the CRD of a kind. With it all objects of the kind go, whatever their finalizers, and its watches.
    pub fn serve(&self, kind: Kind, served: bool) {
        let mut state = self.state.lock();
        if served {
            state.unserved.remove(&kind);
            return;
        }
        let keys: Vec<Key> = state.objects[kind.index()].values().map(|object| object.key.clone()).collect();
        for key in keys {
            state.remove(&key);
        }
        state.unserved.insert(kind);
        state.cut(Break::Eof, |watcher| watcher.kind == kind);
    }

    /// Whether what is done from here on is written down, beside the count of writes.
    pub fn keep_journal(&self, is_kept: bool) {
        self.state.lock().journal.is_kept = is_kept;
    }

    /// Takes what is in the journal.
    pub fn take_journal(&self) -> Vec<Entry> {
        std::mem::take(&mut self.state.lock().journal.entries)
    }

    /// What a process knew of these kinds so long ago. What it was shown in this very moment it may not have taken in yet.
    pub fn marks<const N: usize>(&self, process: ProcessId, kinds: [Kind; N], before: Duration) -> [Mark; N] {
        let state = self.state.lock();
        kinds.map(|kind| state.chronicle.mark(process, kind, before))
    }

    /// Of each object of a kind the version that a process had been shown last, and all that came after: what the process may
    /// know.
    pub fn known(&self, kind: Kind, mark: Mark) -> Vec<Version> {
        self.state.lock().chronicle.known(kind, mark)
    }

    /// The newest version of each object of a kind; of one that is gone that it is.
    pub fn newest(&self, kind: Kind) -> Vec<Version> {
        self.state.lock().chronicle.newest(kind)
    }

    /// How many versions of a kind there ever were.
    pub fn count(&self, kind: Kind) -> usize {
        self.state.lock().chronicle.count(kind)
    }

    /// When any process was shown anything new last: before that it may not have known of what there is.
    pub fn last_shown(&self) -> Option<tokio::time::Instant> {
        self.state.lock().chronicle.last_shown()
    }

    /// A process begins: whatever is there, it lists it before it acts.
    pub fn begins(&self, process: ProcessId) {
        self.state.lock().chronicle.begins(process);
    }

    /// The text of each object of a kind, by namespace and name.
    pub fn texts(&self, kind: Kind) -> Vec<(String, Bytes)> {
        self.state.lock().objects[kind.index()].iter().map(|(path, object)| (path.clone(), object.text.clone())).collect()
    }

    /// The writes of a process to a kind that arrived.
    pub fn writes(&self, process: ProcessId, kind: Kind) -> Writes {
        self.state.lock().journal.writes.get(&(process, kind)).copied().unwrap_or_default()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}
