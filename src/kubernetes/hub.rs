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

    /// Notes that the first list of a kind is complete.
    pub fn listed(&self, kind: Kind) {
        let complete = {
            let mut world = self.world.write();
            world.listed(kind);
            world.is_complete()
        };
        // Of two that list at the same time the one that was not the last may come last here.
        self.complete.send_modify(|known| *known |= complete);
    }

    /// Has the watches of a kind begin with a new list: what they show is not what there is.
    pub(crate) fn doubt(&self, kind: Kind) {
        if let Some(doubts) = self.doubts.get(kind as usize) {
            doubts.send_modify(|count| *count += 1);
        }
    }

    /// Tells when the watches of a kind are doubted.
    pub(crate) fn doubts(&self, kind: Kind) -> watch::Receiver<u64> {
        self.doubts.get(kind as usize).map_or_else(|| watch::channel(0).1, watch::Sender::subscribe)
    }

    /// Looks at the world.
    pub fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&self.world.read())
    }

    /// Whether every watch has listed once.
    pub fn is_complete(&self) -> bool {
        *self.complete.borrow()
    }

    /// Waits until every watch has listed once.
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
                        hub.listed(kind);
                    });
                }
            });
            assert!(hub.is_complete());
        }
    }
}
