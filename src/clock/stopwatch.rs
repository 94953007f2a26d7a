//! How long it is since something was certain, for a process that may have been asleep.
//!
//! Guarantees: what either clock saw pass counts as passed. While a machine sleeps, its monotonic clock may stand still, and
//! the wall clock is set right when it wakes; a wall clock that is set back counts as no time.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Measures the time since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    looked: (Instant, Timestamp),
    passed: Duration,
}

impl Stopwatch {
    /// Started now.
    pub(crate) const fn start(now: Instant, wall: Timestamp) -> Self {
        Self { started: now, looked: (now, wall), passed: Duration::ZERO }
    }

    /// When it was started, on the monotonic clock.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// How much time has passed. Of the two clocks the faster one counts, between every two looks.
    pub(crate) fn passed(&mut self, now: Instant, wall: Timestamp) -> Duration {
        let (before, wall_before) = self.looked;
        let monotonic = now.saturating_duration_since(before);
        let by_wall = Duration::try_from(wall.duration_since(wall_before)).unwrap_or_default();
        self.passed = self.passed.saturating_add(monotonic.max(by_wall));
        self.looked = (now.max(before), wall);
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at seconds since the start: of the monotonic clock, and of the wall clock.
    fn passed(looks: &[(u64, i64)]) -> u64 {
        let (start, wall) = (Instant::now(), Timestamp::from_second(1_800_000_000).unwrap());
        let mut stopwatch = Stopwatch::start(start, wall);
        let mut passed = Duration::ZERO;
        for (monotonic, by_wall) in looks {
            let then = Timestamp::from_second(1_800_000_000 + by_wall).unwrap();
            passed = stopwatch.passed(start + Duration::from_secs(*monotonic), then);
        }
        passed.as_secs()
    }

    #[test]
    fn the_faster_of_two_clocks_counts_and_a_clock_that_is_set_back_counts_as_none() {
        for (looks, expected, what) in [
            (&[(3, 3)][..], 3, "both agree"),
            (&[(1, 61)], 61, "asleep, and the wall clock was set right afterwards"),
            (&[(61, 1)], 61, "the wall clock stands still"),
            (&[(3, -3600)], 3, "the wall clock was set back"),
            (&[(1, -3600), (1, -3580)], 21, "set back, and then asleep for twenty seconds"),
            (&[(2, 2), (3, 30), (4, 31)], 31, "a jump among ordinary looks"),
            (&[(2, 2), (1, 2)], 2, "two looks that overtook each other"),
        ] {
            assert_eq!(passed(looks), expected, "{what}");
        }
    }
}
