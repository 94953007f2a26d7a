//! How often a tenant may be asked, as far as this process can know: pure arithmetic on times that are handed in.
//!
//! Guarantees: a bucket never gives more than its burst at once nor more than its rate over time; what the server says
//! of its own limit can make it stricter, never laxer; a refusal (429) closes it for the time the server gives (for longer
//! and longer, when it gives none) and lets exactly one request through then; it never stays closed longer than
//! [`LONGEST_PAUSE`], whatever a server says.
//!
//! Assumes: the caller takes before it sends, and reports each answer. The token endpoint has limits of its own
//! that neither bucket stands for. Fails: never; times that run backwards count as no time.
//!
//! Source: "Auth0 Management API v2, rate limit policy" (token buckets; `x-ratelimit-reset` is the time at which one
//! more request is added, not all of them).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::call::{Call, RateHeaders, Route};

/// The longest time that a bucket stays closed. After a wrong `x-ratelimit-reset` one request every five minutes asks
/// again, which no limit minds.
pub const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The shortest time that a 429 closes a bucket for.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest time that a 429 which doesn't say when to come back closes a bucket for.
const LONGEST_UNASKED: Duration = Duration::from_mins(1);

/// When to come back, as the answer has it: `Retry-After` before `x-ratelimit-reset`, because it is a span by itself. A time
/// that has passed already says nothing.
pub(super) fn asked_pause(retry_after: Option<Duration>, limit: Option<RateHeaders>) -> Option<Duration> {
    let reset = limit.and_then(|limit| limit.reset);
    retry_after.or(reset).filter(|pause| !pause.is_zero()).map(|pause| pause.min(LONGEST_PAUSE))
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per minute, over time.
    pub per_minute: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// A rate of `per_minute` requests a minute and `burst` at once; zero counts as one, because a tenant that may
    /// never be asked is switched off elsewhere.
    pub fn new(per_minute: u32, burst: u32) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self { per_minute: at_least_one(per_minute), burst: at_least_one(burst) }
    }
}

/// A token bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The time in which one request is added.
    interval: Duration,
    /// The credit at `at`, as the time it took to earn: a request costs one interval. Whole nanoseconds, so that
    /// `opens_at` is exact.
    credit: Duration,
    full: Duration,
    at: Instant,
    closed_until: Option<Instant>,
    /// How many answers in a row were a 429 that did not say when to come back.
    unasked: u32,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let interval = Duration::from_mins(1) / rate.per_minute.get();
        let full = interval * rate.burst.get();
        Self { interval, credit: full, full, at: now, closed_until: None, unasked: 0 }
    }

    /// Brings the rate up to date without giving anything away: what is used up stays used up.
    pub fn set_rate(&mut self, rate: Rate, now: Instant) {
        let left = self.left(now);
        let (closed_until, unasked) = (self.closed_until, self.unasked);
        *self = Self::new(rate, now);
        self.credit = self.full.min(self.interval * left);
        self.closed_until = closed_until;
        self.unasked = unasked;
    }

    fn closed(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| now < *until)
    }

    fn credit(&self, now: Instant) -> Duration {
        self.credit.saturating_add(now.saturating_duration_since(self.at)).min(self.full)
    }

    /// How many requests may be sent now.
    pub fn left(&self, now: Instant) -> u32 {
        if self.closed(now).is_some() {
            return 0;
        }
        u32::try_from(self.credit(now).as_nanos() / self.interval.as_nanos().max(1)).unwrap_or(u32::MAX)
    }

    /// When the next request may be sent: `now` or later.
    pub fn opens_at(&self, now: Instant) -> Instant {
        // The credit counts from the reopening on, when there is one: it is set to exactly one request for then.
        self.closed(now).unwrap_or_else(|| now + self.interval.saturating_sub(self.credit(now)))
    }

    /// Takes one request; `false`, and nothing taken, when none is left.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> bool {
        if self.left(now) == 0 {
            return false;
        }
        self.settle(now, self.credit(now).saturating_sub(self.interval));
        true
    }

    fn settle(&mut self, now: Instant, credit: Duration) {
        self.credit = credit;
        self.at = self.at.max(now);
    }

    /// The server says that `remaining` requests are left: fewer than ours count, more don't.
    fn lower(&mut self, remaining: u32, now: Instant) {
        if self.closed(now).is_none() && remaining < self.left(now) {
            self.settle(now, self.interval * remaining);
        }
    }

    /// Closes for `pause`; exactly one request is left afterwards.
    fn close(&mut self, pause: Duration, now: Instant) {
        // Not before our own rate allows one either, and not before an earlier refusal ends.
        let until = self.opens_at(now).max(now + pause.min(LONGEST_PAUSE));
        self.closed_until = Some(until);
        self.credit = self.interval;
        self.at = until;
    }

    /// Learns from an answer of the endpoint that this bucket stands for.
    fn observe(&mut self, call: &Call, now: Instant) {
        let limit = call.limit.unwrap_or_default();
        match call.status {
            Some(429) => {
                let asked = asked_pause(call.retry_after, call.limit);
                self.unasked = if asked.is_none() { self.unasked.saturating_add(1) } else { 0 };
                let unasked = SHORTEST_PAUSE.saturating_mul(2_u32.saturating_pow(self.unasked.saturating_sub(1)));
                return self.close(asked.unwrap_or(unasked.min(LONGEST_UNASKED)).max(SHORTEST_PAUSE), now);
            }
            Some(_) => self.unasked = 0,
            None => {}
        }
        match (limit.remaining, limit.reset) {
            (Some(0), Some(pause)) if !pause.is_zero() => self.close(pause, now),
            (Some(remaining), _) => self.lower(remaining, now),
            (None, _) => {}
        }
    }
}

/// The two limits of a tenant: reads of connections, which are scarce on most plans, and all other requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// `GET /connections` and `GET /connections/{id}`.
    pub reads: Bucket,
    /// Everything else of the Management API.
    pub requests: Bucket,
}

impl Budget {
    /// Two full buckets.
    pub fn new(reads: Rate, requests: Rate, now: Instant) -> Self {
        Self { reads: Bucket::new(reads, now), requests: Bucket::new(requests, now) }
    }

    fn bucket(&mut self, route: Route) -> Option<&mut Bucket> {
        match route {
            Route::Token => None,
            Route::FindConnection | Route::ReadConnection => Some(&mut self.reads),
            Route::WriteConnection => Some(&mut self.requests),
        }
    }

    /// Whether a pass may start: it needs a read and the write that may follow it within two seconds.
    pub fn permits_pass(&self, now: Instant) -> bool {
        self.reads.left(now) > 0 && self.requests.left(now) > 0
    }

    /// When the next pass may start: `now` or later.
    pub fn opens_at(&self, now: Instant) -> Instant {
        self.reads.opens_at(now).max(self.requests.opens_at(now))
    }

    /// Takes one request of this route; `false`, and nothing taken, when none is left. Token requests are free.
    #[must_use]
    pub fn take(&mut self, route: Route, now: Instant) -> bool {
        self.bucket(route).is_none_or(|bucket| bucket.take(now))
    }

    /// Learns from a call.
    pub fn observe(&mut self, call: &Call, now: Instant) {
        let global = call.global && call.status == Some(429);
        if global {
            self.reads.observe(call, now);
            self.requests.observe(call, now);
        } else if let Some(bucket) = self.bucket(call.route) {
            bucket.observe(call, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    fn answer(route: Route, status: u16) -> Call {
        Call { route, status: Some(status), limit: None, retry_after: None, global: false, took: Duration::ZERO }
    }

    fn headers(remaining: u32, reset: u64) -> RateHeaders {
        RateHeaders { limit: Some(50), remaining: Some(remaining), reset: Some(Duration::from_secs(reset)) }
    }

    fn budget(now: Instant) -> Budget {
        Budget::new(Rate::new(30, 5), Rate::new(60, 5), now)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::new(30, 5), now);
        assert!((0..5).all(|_| bucket.take(now)) && !bucket.take(now));
        assert_eq!(bucket.opens_at(now), now + 2 * second());
        assert!(!bucket.take(now + second()) && bucket.take(now + 2 * second()));
    }

    #[test]
    fn the_server_lowers_a_bucket_and_never_raises_it() {
        let now = Instant::now();
        let mut budget = budget(now);
        budget.observe(&Call { limit: Some(headers(2, 2)), ..answer(Route::ReadConnection, 200) }, now);
        assert_eq!((budget.reads.left(now), budget.requests.left(now)), (2, 5));
        budget.observe(&Call { limit: Some(headers(40, 2)), ..answer(Route::FindConnection, 200) }, now);
        assert_eq!(budget.reads.left(now), 2);
    }

    #[test]
    fn nothing_remaining_closes_until_the_reset() {
        let now = Instant::now();
        let mut budget = budget(now);
        budget.observe(&Call { limit: Some(headers(0, 7)), ..answer(Route::WriteConnection, 200) }, now);
        assert_eq!(budget.requests.opens_at(now), now + 7 * second());
        assert!(!budget.permits_pass(now) && budget.permits_pass(now + 7 * second()));
        assert_eq!(budget.requests.left(now + 7 * second()), 1);
    }

    #[test]
    fn a_refusal_closes_for_what_is_asked_and_reopens_with_one() {
        for (retry_after, reset, pause) in
            [(None, None, 1), (Some(9), None, 9), (Some(3), Some(8), 3), (None, Some(4), 4), (Some(0), None, 1), (Some(1), Some(600), 1)]
        {
            let now = Instant::now();
            let mut budget = budget(now);
            let call = Call {
                retry_after: retry_after.map(Duration::from_secs),
                limit: reset.map(|seconds| headers(3, seconds)),
                ..answer(Route::ReadConnection, 429)
            };
            budget.observe(&call, now);
            let opens = now + Duration::from_secs(pause);
            assert_eq!(budget.reads.opens_at(now), opens);
            assert_eq!((budget.reads.left(now), budget.reads.left(opens)), (0, 1));
            assert!(budget.take(Route::ReadConnection, opens) && !budget.take(Route::ReadConnection, opens));
            assert_eq!(budget.requests.left(now), 5);
        }
    }

    #[test]
    fn refusals_that_do_not_say_when_to_come_back_close_for_longer_and_longer() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(Rate::new(60_000, 1000), now);
        let mut refused = |bucket: &mut Bucket, limit: Option<RateHeaders>| {
            bucket.observe(&Call { limit, ..answer(Route::ReadConnection, 429) }, now);
            let opens = bucket.opens_at(now);
            let pause = opens - now;
            now = opens;
            pause.as_secs()
        };
        // A reset that has passed, as on a clock that is fast, says no more than none.
        let passed = Some(headers(0, 0));
        let pauses = [None, passed, None, passed, None, None, None, None].map(|limit| refused(&mut bucket, limit));
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(refused(&mut bucket, Some(headers(0, 5))), 5);
        assert_eq!(refused(&mut bucket, None), 1);
        bucket.observe(&answer(Route::ReadConnection, 200), Instant::now());
        assert_eq!(refused(&mut bucket, None), 1);
    }

    #[test]
    fn a_global_refusal_closes_both_whichever_endpoint_it_came_from() {
        for route in [Route::Token, Route::FindConnection, Route::ReadConnection, Route::WriteConnection] {
            let now = Instant::now();
            let mut budget = budget(now);
            budget.observe(&Call { global: true, ..answer(route, 429) }, now);
            assert_eq!((budget.reads.left(now), budget.requests.left(now)), (0, 0));
            assert_eq!(budget.opens_at(now), now + second());
        }
    }

    #[test]
    fn an_answer_that_was_under_way_does_not_reopen_a_closed_bucket() {
        let now = Instant::now();
        let mut budget = budget(now);
        budget.observe(&Call { retry_after: Some(10 * second()), ..answer(Route::ReadConnection, 429) }, now);
        budget.observe(&Call { limit: Some(headers(4, 0)), ..answer(Route::ReadConnection, 200) }, now);
        budget.observe(&Call { retry_after: Some(2 * second()), ..answer(Route::ReadConnection, 429) }, now);
        assert_eq!(budget.reads.opens_at(now), now + 10 * second());
    }

    #[test]
    fn the_token_endpoint_is_counted_nowhere() {
        let now = Instant::now();
        let mut budget = budget(now);
        assert!((0..100).all(|_| budget.take(Route::Token, now)));
        budget.observe(&Call { limit: Some(headers(0, 60)), ..answer(Route::Token, 429) }, now);
        assert_eq!((budget.reads.left(now), budget.requests.left(now)), (5, 5));
    }

    #[test]
    fn a_new_rate_gives_nothing_away() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::new(30, 5), now);
        assert!((0..4).all(|_| bucket.take(now)));
        bucket.set_rate(Rate::new(600, 100), now);
        assert_eq!(bucket.left(now), 1);
        bucket.set_rate(Rate::new(0, 0), now);
        assert_eq!(bucket.left(now), 1);
    }

    fn calls() -> impl Strategy<Value = Call> {
        let route = prop::sample::select(vec![Route::Token, Route::FindConnection, Route::ReadConnection, Route::WriteConnection]);
        let status = prop::sample::select(vec![None, Some(200), Some(429), Some(503)]);
        let limit = prop::option::of((any::<Option<u32>>(), any::<Option<u64>>()).prop_map(|(remaining, reset)| RateHeaders {
            limit: None,
            remaining: remaining.map(|count| count % 9),
            reset: reset.map(Duration::from_secs),
        }));
        (route, status, limit, any::<Option<u32>>(), any::<bool>()).prop_map(|(route, status, limit, retry_after, global)| Call {
            route,
            status,
            limit,
            retry_after: retry_after.map(|seconds| Duration::from_secs(seconds.into())),
            global,
            took: Duration::ZERO,
        })
    }

    proptest! {
        #![proptest_config(crate::testing::seeds::cases(256))]

        #[test]
        fn whatever_is_answered_a_bucket_opens_when_it_says_and_within_five_minutes(
            steps in prop::collection::vec((0u64..200_000, calls()), 1..40),
            per_minute in 1u32..5000, burst in 1u32..100,
        ) {
            let mut now = Instant::now();
            let mut budget = Budget::new(Rate::new(per_minute, burst), Rate::new(per_minute, burst), now);
            for (millis, call) in steps {
                now += Duration::from_millis(millis);
                let before = (budget.reads.left(now), budget.requests.left(now));
                budget.observe(&call, now);
                prop_assert!(budget.reads.left(now) <= before.0 && budget.requests.left(now) <= before.1);
                let opens = budget.opens_at(now);
                prop_assert!(opens >= now && opens <= now + LONGEST_PAUSE);
                prop_assert!(budget.permits_pass(opens));
                prop_assert_eq!(budget.permits_pass(now), opens == now);
                let _ = budget.take(call.route, now);
            }
        }

        #[test]
        fn no_window_of_time_sees_more_than_burst_and_rate(
            waits in prop::collection::vec(0u64..3000, 1..200), per_minute in 1u32..600, burst in 1u32..20,
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(Rate::new(per_minute, burst), start);
            let (mut now, mut taken) = (start, 0u128);
            for wait in waits {
                now += Duration::from_millis(wait);
                taken += u128::from(bucket.take(now));
                let earned = (now - start).as_nanos() / (60_000_000_000 / u128::from(per_minute));
                prop_assert!(taken <= u128::from(burst) + earned);
            }
        }
    }
}
