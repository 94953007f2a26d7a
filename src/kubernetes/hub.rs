//! The one owner of the [`World`], between the watches that fold events into it and the tenants that plan from it.
//!
//! Guarantees: the lock is held for the length of one fold or one look, never across an await; a wake is sent after
//! the fold that caused it, so whoever is woken sees the world that woke it.

use parking_lot::RwLock;
use tokio::sync::{mpsc, watch};

use crate::core::world::{Kind, Wake, World};

/// Owns the world.
#[derive(Debug)]
pub struct Hub {
    world: RwLock<World>,
    wakes: mpsc::UnboundedSender<Wake>,
    complete: watch::Sender<bool>,
    /// How often the watches of each kind were doubted, in the order of [`Kind::ALL`]. A channel for each, as of several that wait
    /// at one tokio wakes by chance, and a history has to be the same each time.
    doubts: [watch::Sender<u64>; Kind::ALL.len()],
}

impl Hub {
    /// A hub with an empty world, and the wakes that its folds cause.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Wake>) {
        let (wakes, woken) = mpsc::unbounded_channel();
        (
            Self { world: RwLock::default(), wakes, complete: watch::Sender::new(false), doubts: Kind::ALL.map(|_| watch::Sender::new(0)) },
            woken,
        )
    }

    /// Folds an event into the world and wakes whom it concerns.
    pub fn fold(&self, event: impl FnOnce(&mut World) -> Vec<Wake>) {
        let wakes = event(&mut self.world.write());
        for wake in wakes {
            // Nobody listens any more only when the process is about to end.
            drop(self.wakes.send(wake));
        }
    }

    /// Notes that all of a kind was listed, by watches that began when they had been doubted so often.
    pub fn listed(&self, kind: Kind, doubted: u64) {
        let mut world = self.world.write();
        if doubted == self.doubted(kind) {
            world.listed(kind);
            // Under the lock, so that of two at the same time the last to say it is the last to know it.
            self.complete.send_replace(world.is_complete());
        }
    }

    /// Has the watches of a kind begin with a new list: they may miss something of what there is.
    pub(crate) fn doubt(&self, kind: Kind) {
        self.doubts[kind as usize].send_modify(|count| *count += 1);
    }

    /// The same of all kinds, where what is known may not be what there is at all: nothing is complete until they have listed.
    pub(crate) fn doubt_everything(&self) {
        let mut world = self.world.write();
        for kind in Kind::ALL {
            self.doubt(kind);
            world.unlisted(kind);
        }
        self.complete.send_replace(false);
    }

    /// Tells when the watches of a kind are doubted.
    pub(crate) fn doubts(&self, kind: Kind) -> watch::Receiver<u64> {
        self.doubts[kind as usize].subscribe()
    }

    fn doubted(&self, kind: Kind) -> u64 {
        *self.doubts[kind as usize].borrow()
    }

    /// Looks at the world.
    pub fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&self.world.read())
    }

    /// Whether every watch has listed, since the store was set back last.
    pub fn is_complete(&self) -> bool {
        *self.complete.borrow()
    }

    /// Waits until every watch has listed, since the store was set back last.
    pub async fn completed(&self) {
        // The sender lives in `self`, so waiting can't fail.
        drop(self.complete.subscribe().wait_for(|complete| *complete).await);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn whoever_lists_last_at_the_same_time_as_others_the_world_is_complete_then() {
        for _ in 0..2000 {
            let (hub, start) = (Hub::new().0, Barrier::new(Kind::ALL.len()));
            std::thread::scope(|threads| {
                for kind in Kind::ALL {
                    let (hub, start) = (&hub, &start);
                    threads.spawn(move || {
                        start.wait();
                        hub.listed(kind, 0);
                    });
                }
            });
            assert!(hub.is_complete());
        }
    }

    #[test]
    fn what_was_doubted_is_complete_when_watches_that_began_after_that_have_listed() {
        let hub = Hub::new().0;
        let listed = |doubted| Kind::ALL.map(|kind| hub.listed(kind, doubted));
        listed(0);
        assert!(hub.is_complete());
        hub.doubt(Kind::Object);
        assert!(hub.is_complete(), "what is known is so, if not all");
        hub.doubt_everything();
        assert!(!hub.is_complete());
        listed(0);
        assert!(!hub.is_complete(), "those lists are from before");
        hub.listed(Kind::Object, 2);
        listed(1);
        assert!(hub.is_complete());
    }
}
