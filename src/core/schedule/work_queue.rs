//! What is to be done at Kubernetes alone, and so waits for none of Auth0's limits: a queue with dates, as controllers have it.
//!
//! Guarantees: of two dates of one item the earlier counts; what fails is tried again after a longer pause each time, until
//! it is done. Adding, taking and finding the first date take a time that grows with the logarithm of the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::core::schedule::backoff;
use crate::model::identity::{ConnectionId, ObjectKey};

/// What is to be reconciled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Item {
    /// The status of the tenant object.
    Tenant,
    /// This object: what was to be written to it was not, or it waits for something to be known.
    Object(ObjectKey),
    /// What this object has on a connection that it does not name, or that it leaves as it is deleted: that it goes could not be
    /// written. Or what it takes over there, while another still has a record of that. It has pauses of its own, which do not end as
    /// something else can be written to the object, or need not.
    Record(ObjectKey, ConnectionId),
    /// Everything of the tenant, as somebody asked for that.
    Everything,
}

/// The items that have a date.
#[derive(Debug, Default)]
pub(crate) struct WorkQueue {
    due: BTreeMap<Item, Instant>,
    /// The same items by date.
    dates: BTreeSet<(Instant, Item)>,
    failures: BTreeMap<Item, u32>,
}

impl WorkQueue {
    /// It is to be done at this time, or earlier where it was to be done earlier.
    pub(crate) fn add(&mut self, item: Item, at: Instant) {
        let at = self.due.get(&item).map_or(at, |known| at.min(*known));
        self.set(item, at);
    }

    /// It failed: it is tried again, after a longer pause each time.
    pub(crate) fn add_after_failure(&mut self, item: Item, now: Instant, chance: f64) {
        let at = now + backoff(self.count_failure(&item), chance);
        self.set(item, at);
    }

    /// It was planned from what is not the latest: it is planned again at once, and where that goes on, as after any failure.
    pub(crate) fn add_again(&mut self, item: Item, now: Instant, chance: f64) {
        let pause = match self.count_failure(&item) {
            1 => Duration::ZERO,
            failures => backoff(failures - 1, chance),
        };
        self.set(item, now + pause);
    }

    fn count_failure(&mut self, item: &Item) -> u32 {
        let failures = self.failures.entry(item.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    fn set(&mut self, item: Item, at: Instant) {
        self.remove(&item);
        self.dates.insert((at, item.clone()));
        self.due.insert(item, at);
    }

    fn remove(&mut self, item: &Item) {
        if let Some((item, at)) = self.due.remove_entry(item) {
            self.dates.remove(&(at, item));
        }
    }

    /// It is done: it has no date any more, and the next failure is the first.
    pub(crate) fn finish(&mut self, item: &Item) {
        self.failures.remove(item);
        self.remove(item);
    }

    /// When the first is due.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.dates.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Item> {
        self.first().filter(|at| *at <= now)?;
        let (_, item) = self.dates.pop_first()?;
        self.due.remove(&item);
        Some(item)
    }

    /// Forgets the objects for which this does not hold.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&ObjectKey) -> bool) {
        let keeps = |item: &Item| match item {
            Item::Tenant | Item::Everything => true,
            Item::Object(key) | Item::Record(key, _) => is_there(key),
        };
        self.failures.retain(|item, _| keeps(item));
        self.due.retain(|item, _| keeps(item));
        self.dates.retain(|(_, item)| keeps(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_later_each_time_until_it_is_done() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        let after = |queue: &mut WorkQueue, now: Instant| {
            queue.add_after_failure(Item::Tenant, now, 1.0);
            queue.first().unwrap() - now
        };
        assert_eq!([after(&mut queue, now), after(&mut queue, now)], [Duration::from_secs(1), Duration::from_secs(2)]);
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.take(now + Duration::from_secs(2)), Some(Item::Tenant));
        assert_eq!(queue.first(), None, "taken, so not twice");
        queue.finish(&Item::Tenant);
        assert_eq!(after(&mut queue, now), Duration::from_secs(1));
    }

    #[test]
    fn what_was_planned_from_what_is_not_the_latest_is_planned_again_at_once_but_not_each_time() {
        let now = Instant::now();
        let mut queue = WorkQueue::default();
        let mut after = |outdated: bool| {
            if outdated {
                queue.add_again(Item::Tenant, now, 1.0);
            } else {
                queue.add_after_failure(Item::Tenant, now, 1.0);
            }
            queue.first().unwrap() - now
        };
        assert_eq!([after(true), after(true), after(true)], [0, 1, 2].map(Duration::from_secs));
        assert_eq!(after(false), Duration::from_secs(8), "it is one count");
        queue.finish(&Item::Tenant);
        queue.add_after_failure(Item::Tenant, now, 1.0);
        queue.add_again(Item::Tenant, now, 1.0);
        assert_eq!(queue.first().unwrap() - now, Duration::from_secs(1));
    }

    #[test]
    fn of_two_dates_the_earlier_counts_and_the_first_due_goes_first() {
        let now = Instant::now();
        let object = |name: &str| Item::Object(ObjectKey { namespace: "team".into(), name: name.into() });
        let mut queue = WorkQueue::default();
        queue.add(object("a"), now + Duration::from_secs(3));
        queue.add(object("b"), now + Duration::from_secs(5));
        queue.add(object("b"), now + Duration::from_secs(2));
        queue.add(object("b"), now + Duration::from_secs(9));
        let late = now + Duration::from_secs(10);
        assert_eq!((queue.take(late), queue.take(late), queue.take(late)), (Some(object("b")), Some(object("a")), None));
        queue.add_after_failure(object("a"), now, 1.0);
        queue.retain(|key| key.name == "b");
        assert_eq!(queue.first(), None);
    }
}
