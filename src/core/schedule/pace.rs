//! How soon a connection is looked at again.
//!
//! Guarantees: one rule for every way in which a look or a write may end; a pause after a failure is never longer than
//! [`MAX_BACKOFF`], and never ends before a write that may still take effect must have ended. Time and chance are arguments.

use std::time::{Duration, Instant};

use super::{MAX_BACKOFF, backoff, jittered};

/// How a look ended, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// With the ordinary look at the tenant: all is well, or somebody has to do something first.
    Routine,
    /// At once: there is more to write.
    AtOnce,
    /// It failed, and is worth another try after this time.
    After(Duration),
    /// It failed for this many times in a row and may pass by itself: soon, then more and more slowly.
    Backoff(u32),
    /// It came to no result for this many times in a row, as somebody edited an object or Kubernetes was slow: a tenth of that
    /// pause, as nothing failed at Auth0.
    Again(u32),
}

/// What decides when a connection is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextLook {
    /// How the look ended.
    pub pace: Pace,
    /// How long a write without an answer may still take effect.
    pub unsettled: Option<Duration>,
    /// When corrections that wait may be made.
    pub corrections: Vec<Instant>,
}

/// The time now, and what turns a pace into a pause.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The time now.
    pub now: Instant,
    /// The time between two ordinary looks.
    pub resync: Duration,
    /// Between 0 and 1: so that not everything is due at once.
    pub chance: f64,
}

impl NextLook {
    /// The next look after one that ended like this, where nothing else has a date.
    pub(crate) fn of(pace: Pace) -> Self {
        Self { pace, unsettled: None, corrections: Vec::new() }
    }

    /// When it is.
    pub(crate) fn at(&self, clock: Clock) -> Instant {
        let Clock { now, resync, chance } = clock;
        let unsettled = self.unsettled.map(|left| now + left);
        let at = match self.pace {
            // What a write without an answer may still set is recorded until then: it is looked for right after.
            Pace::Routine => (now + jittered(resync, chance)).min(unsettled.unwrap_or(now + resync)),
            Pace::AtOnce => now,
            // Nothing may be written in place of a write that may still take effect.
            Pace::After(after) => (now + after.min(MAX_BACKOFF)).max(unsettled.unwrap_or(now)),
            Pace::Backoff(failures) => (now + backoff(failures, chance)).max(unsettled.unwrap_or(now)),
            Pace::Again(passes) => now + backoff(passes, chance).mul_f64(0.1),
        };
        self.corrections.iter().copied().min().map_or(at, |correction| correction.min(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_is_as_soon_as_the_last_one_ended() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        for (pace, unsettled, corrections, expected) in [
            (Pace::Routine, None, &[][..], 600),
            (Pace::Routine, Some(10), &[], 10),
            (Pace::Routine, Some(900), &[], 600),
            (Pace::Routine, None, &[700, 60], 60),
            (Pace::Routine, None, &[700], 600),
            (Pace::AtOnce, None, &[], 0),
            (Pace::AtOnce, Some(10), &[60], 0),
            (Pace::After(seconds(7)), None, &[], 7),
            (Pace::After(seconds(7)), Some(10), &[], 10),
            (Pace::After(seconds(4000)), None, &[], 300),
            (Pace::Backoff(1), None, &[], 1),
            (Pace::Backoff(4), None, &[], 8),
            (Pace::Backoff(4), Some(10), &[], 10),
            (Pace::Backoff(4), Some(10), &[5], 5),
            (Pace::Backoff(99), None, &[], 300),
        ] {
            // At the ends of chance: the ordinary interval is the longest, a pause the longest.
            let chance = if pace == Pace::Routine { 0.0 } else { 1.0 };
            let corrections = corrections.iter().map(|after| now + seconds(*after)).collect();
            let next = NextLook { pace, unsettled: unsettled.map(seconds), corrections };
            let at = next.at(Clock { now, resync: seconds(600), chance });
            assert_eq!(at - now, seconds(expected), "{next:?}");
        }
        let again = NextLook::of(Pace::Again(3)).at(Clock { now, resync: seconds(600), chance: 1.0 });
        assert_eq!(again - now, Duration::from_millis(400));
    }

    #[test]
    fn chance_shortens_what_is_routine_and_what_is_a_pause() {
        let (now, resync) = (Instant::now(), Duration::from_mins(10));
        let after = |pace, chance| NextLook::of(pace).at(Clock { now, resync, chance }) - now;
        assert_eq!(after(Pace::Routine, 1.0), Duration::from_mins(9));
        assert_eq!(after(Pace::Backoff(4), 0.0), Duration::from_secs(4));
        assert_eq!(after(Pace::After(Duration::from_secs(7)), 0.5), Duration::from_secs(7));
    }
}
