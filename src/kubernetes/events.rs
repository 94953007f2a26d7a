//! Events: stored once, and counted when they come again.
//!
//! Guarantees: an event that says the same of the same object within [`WINDOW`] is a count of the first (`series`), not
//! another object; of one reason no more than [`MOST_NOTES`] different notes are stored for an object within the
//! window, what is beyond them is one count. (`kube`'s own recorder counts by reason and keeps the first note, whatever
//! the next one says.)
//!
//! Assumes: whoever publishes about one object has its turn ([`Events::turn`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::clock::{self, WallClock};
use crate::core::status::Notice;

/// How long an event is counted on. The API server forgets events after an hour, and begins that hour anew with each count.
const WINDOW: Duration = Duration::from_hours(1);

/// How many different notes of one reason are stored for one object within the window.
const MOST_NOTES: usize = 5;

/// How often events that are out of the window are forgotten: not at each, as thousands of objects may have some.
const SWEEP: Duration = Duration::from_mins(1);

/// How many events may be under way or wait to be tried again, but for what is left at Auth0, and how many are published at a time.
const PLACES: usize = 256;
const AT_ONCE: usize = 16;

/// The note of what is beyond that.
const MORE: &str = "more events like this with other details; see the object's conditions and the operator's log";

/// Where events about an object without a namespace are: nowhere else does the API server take them.
const DEFAULT_NAMESPACE: &str = "default";

/// An event's name is that of its object with a suffix, and no longer than a name may be.
const MOST_OF_NAME: usize = 220;

/// Who says it.
const CONTROLLER: &str = "upstream-params-operator";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    uid: String,
    reason: &'static str,
    note: String,
}

#[derive(Clone, Debug)]
struct Told {
    name: String,
    count: i32,
    at: Instant,
}

impl Told {
    fn is_within_window(&self, now: Instant) -> bool {
        now.duration_since(self.at) < WINDOW
    }
}

/// What was told of all objects.
#[derive(Debug, Default)]
struct History {
    told: BTreeMap<Key, Told>,
    swept: Option<Instant>,
}

impl History {
    /// What was told under this key within the window.
    fn get(&self, key: &Key, now: Instant) -> Option<&Told> {
        self.told.get(key).filter(|told| told.is_within_window(now))
    }

    /// How many different notes there are of the reason and the object of this key.
    fn notes_beside(&self, key: &Key, now: Instant) -> usize {
        let first = Key { note: String::new(), ..key.clone() };
        let beside = self.told.range(first..).take_while(|(other, _)| (&other.uid, other.reason) == (&key.uid, key.reason));
        beside.filter(|(_, told)| told.is_within_window(now)).count()
    }

    fn insert(&mut self, key: Key, told: Told) {
        let now = told.at;
        if self.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP) {
            self.told.retain(|_, told| told.is_within_window(now));
            self.swept = Some(now);
        }
        self.told.insert(key, told);
    }
}

/// Publishes events.
#[derive(Debug)]
pub(super) struct Events {
    instance: String,
    wall: WallClock,
    history: Mutex<History>,
    serial: AtomicU32,
    /// Until when nobody waits for an answer, as the last came too late.
    silent_until: Mutex<Option<Instant>>,
    places: Arc<Semaphore>,
    turns: [AsyncMutex<()>; AT_ONCE],
}

/// A place among the events that are under way, or wait to be tried again.
pub(super) type Place = OwnedSemaphorePermit;

impl Events {
    /// Events of this instance of the operator, by default of one that has no name.
    pub(super) fn new(instance: Option<String>, wall: WallClock) -> Self {
        let instance = instance.filter(|name| !name.is_empty()).unwrap_or_else(|| CONTROLLER.to_owned());
        Self {
            instance,
            wall,
            history: Mutex::default(),
            serial: AtomicU32::default(),
            silent_until: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES)),
            turns: Default::default(),
        }
    }

    /// A place for one more event, unless too many are under way: an event store that hangs must not fill the memory.
    pub(super) fn place(&self) -> Option<Place> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// The turn of an object: one event about it is published at a time, and of all objects a few.
    pub(super) async fn turn(&self, of: &ObjectReference) -> MutexGuard<'_, ()> {
        let uid = of.uid.as_deref().unwrap_or_default();
        let sum = uid.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.turns[sum % AT_ONCE].lock().await
    }

    /// Whether nobody is to wait for an answer now.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.silent_until.lock().is_some_and(|until| now < until)
    }

    /// No answer came in time: until then nobody waits for one.
    pub(super) fn note_silence(&self, until: Instant) {
        *self.silent_until.lock() = Some(until);
    }

    /// An answer came.
    pub(super) fn note_answer(&self) {
        *self.silent_until.lock() = None;
    }

    /// Stores an event, or counts it.
    pub(super) async fn publish(&self, client: Client, regarding: ObjectReference, notice: &Notice) -> Result<(), kube::Error> {
        let namespace = regarding.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let api: Api<Event> = Api::namespaced(client, &namespace);
        let (key, known) = self.look_up(&regarding, notice);
        if let Some(told) = known {
            let count = told.count.saturating_add(1);
            let series = EventSeries { count, last_observed_time: MicroTime(self.wall.now()) };
            match api.patch(&told.name, &PatchParams::default(), &Patch::Merge(json!({ "series": series }))).await {
                Ok(_) => {
                    self.remember(key, told.name, count);
                    return Ok(());
                }
                // It is forgotten already: this one is the first again.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let event = self.first(regarding, namespace, &key, notice.warning);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.remember(key, name, 1);
        Ok(())
    }

    /// Under which key an event is counted, and the one it is counted on.
    fn look_up(&self, regarding: &ObjectReference, notice: &Notice) -> (Key, Option<Told>) {
        let (history, now) = (self.history.lock(), clock::now());
        let uid = regarding.uid.clone().unwrap_or_default();
        let mut key = Key { uid, reason: notice.reason, note: notice.note.clone() };
        if history.get(&key, now).is_none() && history.notes_beside(&key, now) >= MOST_NOTES {
            MORE.clone_into(&mut key.note);
        }
        let known = history.get(&key, now).cloned();
        (key, known)
    }

    fn remember(&self, key: Key, name: String, count: i32) {
        self.history.lock().insert(key, Told { name, count, at: clock::now() });
    }

    fn first(&self, regarding: ObjectReference, namespace: String, key: &Key, warning: bool) -> Event {
        let now = self.wall.now();
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name: String = regarding.name.as_deref().unwrap_or(CONTROLLER).chars().take(MOST_OF_NAME).collect();
        // A part of a name between dots ends with a letter or a digit.
        let name = format!("{}.{:x}.{serial:x}", name.trim_end_matches(['-', '.']), now.as_nanosecond());
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace), ..ObjectMeta::default() },
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(key.note.clone()),
            reason: Some(key.reason.to_owned()),
            regarding: Some(regarding),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}
