//! The store and its history: what etcd and the watch cache of the API server are together.
//!
//! Guarantees: one resourceVersion for all kinds, raised by every change and by nothing else. What is forgotten is what the
//! real one forgets: of a kind the events beyond the last [`WATCH_WINDOW`] that are older than [`WATCH_FRESH`] can't be watched
//! from, and what is older than five to ten minutes can't be listed.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::chronicle::Chronicle;
use super::journal::Journal;
use super::kind::{Key, Kind};
use super::object::{Content, Meta, Object};
use super::watch::Break;
use crate::network::ProcessId;

/// How many events of a kind the watch cache keeps whatever their age.
const WATCH_WINDOW: usize = 100;
/// How long it keeps events at least.
const WATCH_FRESH: Duration = Duration::from_secs(75);
/// How often the API server compacts etcd, to where it was that long ago.
const COMPACTION: Duration = Duration::from_mins(5);
/// How long an Event is kept after its last change.
const EVENT_LIFE: Duration = Duration::from_hours(1);

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One event of a kind.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) at: Instant,
    pub(super) change: Change,
    /// The object as it is then; one that was deleted as it was, with the version of the deletion.
    pub(super) object: Arc<Object>,
    before: Option<Arc<Object>>,
    line: OnceCell<Bytes>,
    partial_line: OnceCell<Bytes>,
}

impl Happened {
    pub(super) fn version(&self) -> u64 {
        self.object.meta.resource_version
    }

    /// The line of a watch that says it.
    pub(super) fn line(&self, partial: bool) -> Bytes {
        let line = if partial { &self.partial_line } else { &self.line };
        line.get_or_init(|| line_of(self.change, if partial { self.object.partial() } else { &self.object.text })).clone()
    }
}

/// The line of a watch about an object.
pub(super) fn line_of(change: Change, object: &[u8]) -> Bytes {
    let head: &[u8] = match change {
        Change::Added => br#"{"type":"ADDED","object":"#,
        Change::Modified => br#"{"type":"MODIFIED","object":"#,
        Change::Deleted => br#"{"type":"DELETED","object":"#,
    };
    [head, object, b"}\n"].concat().into()
}

/// A watch that runs.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) process: ProcessId,
    pub(super) kind: Kind,
    /// Up to where it has been sent everything.
    pub(super) cursor: u64,
    pub(super) cut: Option<Break>,
    pub(super) waker: Option<Waker>,
}

/// All objects of a kind, by the part of etcd's key behind the kind.
pub(super) type Objects = BTreeMap<String, Arc<Object>>;

/// Everything.
pub(super) struct State {
    begin: Instant,
    begin_wall: Timestamp,
    pub(super) version: u64,
    uids: u64,
    pub(super) objects: [Objects; 6],
    pub(super) history: [VecDeque<Happened>; 6],
    /// From before this no watch of the kind can begin.
    pub(super) watchable: [u64; 6],
    /// From before this nothing can be listed.
    pub(super) listable: u64,
    /// The version at the last compaction, and when that was.
    compaction: (Instant, u64),
    /// When which Event was changed last, and its version then.
    event_lives: VecDeque<(Instant, Key, u64)>,
    pub(super) lags: BTreeMap<(ProcessId, Kind), Duration>,
    pub(super) watchers: BTreeMap<u64, Watcher>,
    watcher_ids: u64,
    /// Whether nobody answers at its address.
    pub(super) down: bool,
    /// How often it was stopped.
    pub(super) stops: u64,
    /// Kinds that the API server does not know.
    pub(super) unserved: BTreeSet<Kind>,
    pub(super) journal: Journal,
    pub(super) chronicle: Chronicle,
}

impl State {
    pub(super) fn new(begin_wall: Timestamp) -> Self {
        let begin = Instant::now();
        Self {
            begin,
            begin_wall,
            version: 1,
            uids: 0,
            objects: Default::default(),
            history: Default::default(),
            watchable: [1; 6],
            listable: 0,
            compaction: (begin, 0),
            event_lives: VecDeque::new(),
            lags: BTreeMap::new(),
            watchers: BTreeMap::new(),
            watcher_ids: 0,
            down: false,
            stops: 0,
            unserved: BTreeSet::new(),
            journal: Journal::default(),
            chronicle: Chronicle::default(),
        }
    }

    /// How long it has been there.
    pub(super) fn age(&self) -> Duration {
        Instant::now().duration_since(self.begin)
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.begin_wall.checked_add(self.age()).unwrap_or(self.begin_wall)
    }

    pub(super) fn seconds(&self) -> i64 {
        self.wall().as_second()
    }

    pub(super) fn new_uid(&mut self) -> String {
        self.uids += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.uids)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects[key.kind.index()].get(&key.path())
    }

    /// Stores a version of an object: a new one where there is none yet.
    pub(super) fn put(&mut self, key: Key, mut meta: Meta, content: Content, status_is_stored: bool) -> Arc<Object> {
        self.version += 1;
        meta.resource_version = self.version;
        let object = Arc::new(Object::new(key, meta, content, status_is_stored));
        let before = self.objects[object.key.kind.index()].insert(object.key.path(), object.clone());
        let change = if before.is_some() { Change::Modified } else { Change::Added };
        if object.key.kind == Kind::Event {
            self.event_lives.push_back((Instant::now(), object.key.clone(), object.meta.resource_version));
        }
        self.happened(change, object.clone(), before);
        object
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let before = self.objects[key.kind.index()].remove(&key.path())?;
        self.version += 1;
        let meta = Meta { resource_version: self.version, ..before.meta.clone() };
        let object = Arc::new(Object::new(key.clone(), meta, before.content.clone(), before.status_is_stored));
        self.happened(Change::Deleted, object.clone(), Some(before));
        Some(object)
    }

    fn happened(&mut self, change: Change, object: Arc<Object>, before: Option<Arc<Object>>) {
        let (at, kind) = (Instant::now(), object.key.kind);
        self.chronicle_of(change, &object);
        let event = Happened { at, change, object, before, line: OnceCell::new(), partial_line: OnceCell::new() };
        self.history[kind.index()].push_back(event);
        self.wake(|watcher| watcher.kind == kind);
        self.forget(at, kind);
    }

    fn chronicle_of(&mut self, change: Change, object: &Object) {
        // Events and Leases are no business of the laws.
        if object.key.kind.index() < 4 {
            let text = (change != Change::Deleted).then(|| object.text.clone());
            self.chronicle.note(object.key.kind, object.key.path(), object.meta.resource_version, text);
        }
    }

    /// Lets the watches look again.
    pub(super) fn wake(&mut self, which: impl Fn(&Watcher) -> bool) {
        for watcher in self.watchers.values_mut().filter(|watcher| which(watcher)) {
            if let Some(waker) = watcher.waker.take() {
                waker.wake();
            }
        }
    }

    /// Forgets what is too old.
    fn forget(&mut self, now: Instant, kind: Kind) {
        if now.duration_since(self.compaction.0) >= COMPACTION {
            self.listable = self.listable.max(self.compaction.1);
            self.compaction = (now, self.version);
        }
        let (history, watchable) = (&mut self.history[kind.index()], &mut self.watchable[kind.index()]);
        if let Some(beyond) = history.len().checked_sub(WATCH_WINDOW + 1).and_then(|last| history.get(last))
            && now.duration_since(beyond.at) > WATCH_FRESH
        {
            *watchable = (*watchable).max(beyond.version());
        }
        let needed = self.watchers.values().filter(|watcher| watcher.kind == kind && watcher.cut.is_none()).map(|watcher| watcher.cursor);
        let unneeded = needed.chain([*watchable, self.listable]).min().unwrap_or_default();
        while history.front().is_some_and(|event| event.version() <= unneeded) {
            history.pop_front();
        }
    }

    /// Ends Events that nobody has counted for an hour.
    pub(super) fn expire_events(&mut self) {
        let now = Instant::now();
        while let Some((touched, key, version)) = self.event_lives.pop_front() {
            if now.duration_since(touched) < EVENT_LIFE {
                self.event_lives.push_front((touched, key, version));
                return;
            }
            if self.get(&key).is_some_and(|event| event.meta.resource_version == version) {
                self.remove(&key);
            }
        }
    }

    /// All objects of a kind as they were at a version.
    pub(super) fn objects_at(&self, kind: Kind, version: u64) -> Objects {
        let mut objects = self.objects[kind.index()].clone();
        for event in self.history[kind.index()].iter().rev().take_while(|event| event.version() > version) {
            let path = event.object.key.path();
            match &event.before {
                Some(before) => objects.insert(path, before.clone()),
                None => objects.remove(&path),
            };
        }
        objects
    }

    pub(super) fn lag(&self, process: ProcessId, kind: Kind) -> Duration {
        self.lags.get(&(process, kind)).copied().unwrap_or_default()
    }

    /// The version up to which a process has all events of a kind.
    pub(super) fn seen_version(&self, process: ProcessId, kind: Kind) -> u64 {
        let (now, lag) = (Instant::now(), self.lag(process, kind));
        let unseen = self.history[kind.index()].iter().rev().take_while(|event| event.at + lag > now).last();
        unseen.map_or(self.version, |event| event.version() - 1)
    }

    pub(super) fn register(&mut self, watcher: Watcher) -> u64 {
        self.watcher_ids += 1;
        self.watchers.insert(self.watcher_ids, watcher);
        self.watcher_ids
    }

    /// Ends running watches.
    pub(super) fn cut(&mut self, how: Break, which: impl Fn(&Watcher) -> bool) {
        for watcher in self.watchers.values_mut().filter(|watcher| which(watcher)) {
            watcher.cut = Some(how);
        }
        self.wake(which);
    }

    /// Forgets all history: no watch and no list can go on from before.
    pub(super) fn compact(&mut self) {
        self.listable = self.version;
        self.watchable = [self.version; 6];
    }

    /// What is there, to be put back later.
    pub(super) fn contents(&self) -> (u64, [Objects; 6]) {
        (self.version, self.objects.clone())
    }

    /// Puts back what was there, and its version.
    pub(super) fn put_back(&mut self, version: u64, objects: [Objects; 6]) {
        self.version = version;
        let gone = std::mem::replace(&mut self.objects, objects);
        for object in gone.iter().flat_map(BTreeMap::values) {
            self.chronicle_of(Change::Deleted, object);
        }
        for object in self.objects.clone().iter().flat_map(BTreeMap::values) {
            self.chronicle_of(Change::Modified, object);
        }
        self.history = Default::default();
        self.compact();
        let now = Instant::now();
        self.compaction = (now, version);
        let events = self.objects[Kind::Event.index()].values();
        self.event_lives = events.map(|event| (now, event.key.clone(), event.meta.resource_version)).collect();
    }
}
