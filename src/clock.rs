//! What time it is: the only reader of clocks.
//!
//! There are two. The monotonic one is the async runtime's: it measures spans, and every pause and time-out goes by it. The
//! wall clock is for what people and API servers read, and may jump; it is handed in, so that whoever runs the operator says
//! which one is read.

mod stopwatch;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub(crate) use stopwatch::Stopwatch;

/// Now, on the monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago that was.
pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// A wall clock.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that says what this function says.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Measures from now on, by both clocks.
    pub(crate) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(now(), self.now())
    }

    /// How long it is since a stopwatch was started, by whichever clock shows more.
    pub(crate) fn passed(&self, stopwatch: &mut Stopwatch) -> Duration {
        stopwatch.passed(now(), self.now())
    }

    /// The time as Kubernetes writes it: whole seconds.
    pub(crate) fn now_in_seconds(&self) -> Timestamp {
        let now = self.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}
