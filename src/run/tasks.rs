//! The tasks of the process: each runs for as long as the process, or until it is dismissed. One that ends by itself has
//! left the process half alive, with a world that stands still or a tenant that nobody looks after.
//!
//! Guarantees: no end goes unnoticed, whether by a return or by a panic; [`Tasks::finish`] ends within the time it is given.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// One watch of the API server; the text says of what.
    Watch(String),
    /// The driver of the tenant of this name.
    Driver(String),
    /// The driver of the objects that name no tenant that exists.
    Orphans,
    /// The server of health and metrics.
    Server,
    /// What wants the Lease, and keeps it.
    Elector,
}

impl Task {
    /// Whether it writes to tenants.
    pub(super) fn is_driver(&self) -> bool {
        match self {
            Self::Driver(_) | Self::Orphans => true,
            Self::Watch(_) | Self::Server | Self::Elector => false,
        }
    }

    /// Whether the end of the process waits for it.
    fn has_work_to_finish(&self) -> bool {
        match self {
            Self::Driver(_) | Self::Orphans | Self::Server | Self::Elector => true,
            Self::Watch(_) => false,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch(what) => write!(f, "the watch of {what}"),
            Self::Driver(tenant) => write!(f, "the driver of the ClusterAuth0Tenant {tenant}"),
            Self::Orphans => f.write_str("the driver of objects without a tenant"),
            Self::Server => f.write_str("the server of health and metrics"),
            Self::Elector => f.write_str("the keeper of the Lease"),
        }
    }
}

/// A task that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) task: Task,
    pub(super) panicked: bool,
}

/// All tasks of the process.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    running: HashMap<Id, Task>,
}

impl Tasks {
    /// Starts one.
    pub(super) fn spawn(&mut self, task: Task, future: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(future).id();
        self.running.insert(id, task);
    }

    /// How many run.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    /// Waits until one has ended, whatever the reason; for ever when none runs.
    pub(super) async fn ended(&mut self) -> Ended {
        loop {
            let (id, panicked) = match self.set.join_next_with_id().await {
                Some(Ok((id, ()))) => (id, false),
                Some(Err(error)) => (error.id(), error.is_panic()),
                None => std::future::pending().await,
            };
            if let Some(task) = self.running.remove(&id) {
                return Ended { task, panicked };
            }
        }
    }

    /// Ends all of them at once, wherever they are, and waits until they have ended.
    pub(super) async fn cut(&mut self) {
        self.running.clear();
        self.set.shutdown().await;
    }

    /// Waits for those that were asked to end and have work to finish, at most so long, then ends all others. Yields those
    /// that panicked meanwhile and those that were cut short.
    pub(super) async fn finish(mut self, grace: Duration) -> (Vec<Task>, Vec<Task>) {
        let mut panicked = Vec::new();
        let finished = async {
            while self.running.values().any(Task::has_work_to_finish) {
                let ended = self.ended().await;
                if ended.panicked {
                    panicked.push(ended.task);
                }
            }
        };
        let in_time = tokio::time::timeout(grace, finished).await.is_ok();
        self.set.abort_all();
        let cut = self.running.into_values().filter(Task::has_work_to_finish).filter(|_| !in_time).collect();
        (panicked, cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENEROUS: Duration = Duration::from_mins(1);

    fn watch() -> Task {
        Task::Watch("namespaces".to_owned())
    }

    #[tokio::test]
    async fn a_task_that_panics_or_returns_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn(watch(), std::future::pending());
        tasks.spawn(Task::Driver("t".to_owned()), async { panic!("a test") });
        assert_eq!(tasks.ended().await, Ended { task: Task::Driver("t".to_owned()), panicked: true });
        tasks.spawn(Task::Server, async {});
        assert_eq!(tasks.ended().await, Ended { task: Task::Server, panicked: false });
    }

    #[tokio::test]
    async fn those_that_are_cut_have_ended_and_nobody_is_told_of_it() {
        let (mut tasks, alive) = (Tasks::default(), std::sync::Arc::new(()));
        let held = alive.clone();
        tasks.spawn(Task::Orphans, async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        tokio::task::yield_now().await;
        tasks.cut().await;
        assert_eq!((tasks.len(), std::sync::Arc::strong_count(&alive)), (0, 1));
        assert!(tokio::time::timeout(Duration::from_millis(50), tasks.ended()).await.is_err());
    }

    #[tokio::test]
    async fn the_end_waits_for_those_with_work_to_finish_and_for_no_longer_than_it_may() {
        let (done, finished) = tokio::sync::oneshot::channel();
        let mut tasks = Tasks::default();
        tasks.spawn(watch(), std::future::pending());
        tasks.spawn(Task::Server, async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            done.send(()).unwrap();
        });
        tasks.spawn(Task::Orphans, async { panic!("a test") });
        assert_eq!(tasks.finish(GENEROUS).await, (vec![Task::Orphans], Vec::new()));
        finished.await.expect("the server had its time");

        let mut tasks = Tasks::default();
        tasks.spawn(watch(), std::future::pending());
        tasks.spawn(Task::Driver("t".to_owned()), std::future::pending());
        let end = tasks.finish(Duration::from_millis(50));
        assert_eq!(tokio::time::timeout(GENEROUS, end).await.unwrap(), (Vec::new(), vec![Task::Driver("t".to_owned())]));
    }
}
