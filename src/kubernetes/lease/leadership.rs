//! Whether this process leads, for whoever is about to write.
//!
//! Guarantees: it is judged at the moment it is asked, by the time since the last renewal was sent, so a process that was
//! asleep does not hold what it held before; who was given it for one term does not hold it in the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::{self, Stopwatch, WallClock};
use crate::core::lease::{GIVE_UP, LENGTH};

/// Whether this process leads. The elector keeps it up to date.
#[derive(Debug)]
pub(super) struct Seat {
    wall: WallClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the times that this process led.
    term: u64,
    held: Option<Held>,
    /// When the last write without an answer must have ended.
    landed: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    since_renewal: Stopwatch,
    /// From when a write of whoever led before must have ended.
    settled: Instant,
}

impl Seat {
    pub(super) fn new(wall: WallClock) -> Arc<Self> {
        Arc::new(Self { wall, state: Mutex::default() })
    }

    /// Measures from now on: started before a request is sent.
    pub(super) fn stopwatch(&self) -> Stopwatch {
        self.wall.stopwatch()
    }

    /// It leads, by a request that was sent when the stopwatch was started.
    pub(super) fn take(self: &Arc<Self>, since_renewal: Stopwatch, settled: Instant) -> Leadership {
        let mut state = self.state.lock();
        state.term += 1;
        state.held = Some(Held { since_renewal, settled });
        Leadership { seat: self.clone(), term: state.term }
    }

    /// The Lease was renewed.
    pub(super) fn renewed(&self, since_renewal: Stopwatch) {
        if let Some(held) = &mut self.state.lock().held {
            held.since_renewal = since_renewal;
        }
    }

    /// It leads no more.
    pub(super) fn leave(&self) {
        self.state.lock().held = None;
    }

    /// How long it is since the last renewal was sent; nothing where it does not lead.
    pub(super) fn since_renewal(&self) -> Option<Duration> {
        self.since_renewal_of(&mut self.state.lock())
    }

    fn since_renewal_of(&self, state: &mut State) -> Option<Duration> {
        // Read under the lock, so that no look goes back behind another.
        state.held.as_mut().map(|held| self.wall.passed(&mut held.since_renewal))
    }

    /// Whether all writes that were begun have ended, as far as can be known.
    pub(super) fn is_settled(&self) -> bool {
        self.state.lock().landed.is_none_or(|landed| landed <= clock::now())
    }

    fn left(&self, term: u64) -> Duration {
        let mut state = self.state.lock();
        if state.term != term {
            return Duration::ZERO;
        }
        let since = self.since_renewal_of(&mut state).filter(|since| *since < GIVE_UP);
        since.map_or(Duration::ZERO, |since| LENGTH.saturating_sub(since))
    }
}

/// The right to write, for one term.
#[derive(Clone, Debug)]
pub(crate) struct Leadership {
    seat: Arc<Seat>,
    term: u64,
}

impl Leadership {
    /// That of nobody.
    pub(crate) fn none() -> Self {
        Self { seat: Seat::new(WallClock::system()), term: 0 }
    }

    /// For how long whatever is begun now may last: until the Lease ends. Nought where it does not hold.
    pub(crate) fn left(&self) -> Duration {
        self.seat.left(self.term)
    }

    /// How long it is since the last renewal was sent; nothing where it does not hold any more.
    pub(crate) fn since_renewal(&self) -> Option<Duration> {
        let mut state = self.seat.state.lock();
        if state.term == self.term { self.seat.since_renewal_of(&mut state) } else { None }
    }

    /// How long a write of whoever led before may still be under way.
    pub(crate) fn settles_in(&self) -> Option<Duration> {
        let settled = self.seat.state.lock().held.as_ref().map(|held| held.settled)?;
        Some(settled.saturating_duration_since(clock::now())).filter(|left| !left.is_zero())
    }

    /// A write of this process may be under way until then: the Lease is not given back before.
    pub(crate) fn may_still_land(&self, until: Instant) {
        let landed = &mut self.seat.state.lock().landed;
        *landed = Some(landed.map_or(until, |known| known.max(until)));
    }
}

#[cfg(test)]
impl Leadership {
    /// Whether it holds at this moment.
    pub(crate) fn holds(&self) -> bool {
        !self.left().is_zero()
    }

    /// One that lasts for as long as a test.
    pub(crate) fn of_a_test() -> Self {
        Self::taken_over(Duration::ZERO)
    }

    /// The same, taken over from one whose writes may last that long.
    pub(crate) fn taken_over(settles_in: Duration) -> Self {
        let seat = Seat::new(WallClock::new(|| jiff::Timestamp::UNIX_EPOCH));
        let long = clock::now() + Duration::from_hours(1000);
        seat.take(Stopwatch::start(long, jiff::Timestamp::UNIX_EPOCH), clock::now() + settles_in)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;

    use super::*;

    const HTTP: Duration = Duration::from_secs(10);

    /// A seat, and what its wall clock is ahead of the other one, in seconds.
    fn seat() -> (Arc<Seat>, Arc<AtomicI64>) {
        let (start, ahead) = (clock::now(), Arc::new(AtomicI64::new(0)));
        let read = ahead.clone();
        let wall = move || {
            let passed = i64::try_from(clock::since(start).as_millis()).unwrap() + 1000 * read.load(Ordering::Relaxed);
            Timestamp::from_millisecond(1_800_000_000_000 + passed).unwrap()
        };
        (Seat::new(WallClock::new(wall)), ahead)
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_may_begin_while_it_must_end_before_the_lease() {
        let (seat, _) = seat();
        let leadership = seat.take(seat.stopwatch(), clock::now());
        for (second, may_write, holds) in
            [(1, true, true), (9, true, true), (11, false, true), (14, false, true), (16, false, false), (30, false, false)]
        {
            tokio::time::sleep(Duration::from_secs(second).saturating_sub(seat.since_renewal().unwrap())).await;
            assert_eq!((leadership.left() >= HTTP, leadership.holds()), (may_write, holds), "after {second} s");
        }
        seat.renewed(seat.stopwatch());
        assert!(leadership.left() >= HTTP, "renewed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_asleep_holds_nothing_when_it_wakes_whichever_clock_shows_it() {
        let (seat, ahead) = seat();
        let leadership = seat.take(seat.stopwatch(), clock::now());
        ahead.store(60, Ordering::Relaxed);
        assert!(!leadership.holds(), "its monotonic clock stood still");
        ahead.store(0, Ordering::Relaxed);
        assert!(!leadership.holds(), "and that the wall clock is set back afterwards gives nothing back");

        seat.renewed(seat.stopwatch());
        ahead.store(-3600, Ordering::Relaxed);
        assert!(leadership.holds(), "a wall clock that is set back says nothing");
        tokio::time::sleep(Duration::from_secs(16)).await;
        assert!(!leadership.holds(), "time passed all the same");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_in_one_term_is_not_gone_on_with_in_the_next() {
        let (seat, _) = seat();
        let first = seat.take(seat.stopwatch(), clock::now());
        seat.leave();
        assert!(!first.holds());
        let second = seat.take(seat.stopwatch(), clock::now() + HTTP);
        assert_eq!((first.holds(), second.holds()), (false, true));
        assert_eq!(second.settles_in(), Some(HTTP));
        tokio::time::sleep(HTTP).await;
        assert_eq!(second.settles_in(), None);
        assert!(!Leadership::none().holds());
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_is_not_given_back_while_a_write_may_land() {
        let (seat, _) = seat();
        let leadership = seat.take(seat.stopwatch(), clock::now());
        assert!(seat.is_settled());
        leadership.may_still_land(clock::now() + HTTP);
        leadership.may_still_land(clock::now() + Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!seat.is_settled());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(seat.is_settled());
    }
}
