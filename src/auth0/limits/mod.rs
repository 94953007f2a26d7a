//! How often a tenant may be asked, as far as this process can know: pure arithmetic on times that are handed in.
//!
//! Guarantees: a bucket never gives more than its burst at once nor more than its rate over time; what the server says
//! of its own limit can make it stricter, never laxer; a refusal (429) closes it for the time the server gives (for longer
//! and longer, when it gives none) and lets exactly one request through then; it never stays closed longer than
//! [`LONGEST_PAUSE`], whatever a server says.
//!
//! Assumes: the caller asks when the budget opens, pays for each request it sends, and reports each answer. The token endpoint
//! has limits of its own that neither bucket stands for. Fails: never; times that run backwards count as no time.
//!
//! Source: "Auth0 Management API v2, rate limit policy" (token buckets; `x-ratelimit-reset` is the time at which one
//! more request is added, not all of them).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::call::{Call, RateHeaders, Route};

/// The longest time that a bucket stays closed. After a wrong `x-ratelimit-reset` there is one request every five minutes,
/// which is within every limit.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_mins(5);

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
        let (left, closed, unasked) = (self.left(now), self.closed(now), self.unasked);
        *self = Self::new(rate, now);
        self.unasked = unasked;
        match closed {
            // It opens when it would have, and with one request.
            Some(until) => self.close(until.saturating_duration_since(now), now),
            None => self.credit = self.full.min(self.interval * left),
        }
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
        self.set_credit(now, self.credit(now).saturating_sub(self.interval));
        true
    }

    /// Takes one request that was sent already. Where none was left, the next one waits for as long as two take.
    fn pay(&mut self, now: Instant) {
        if !self.take(now) {
            let owed = self.opens_at(now) + self.interval;
            self.close(owed.saturating_duration_since(now), now);
        }
    }

    fn set_credit(&mut self, now: Instant, credit: Duration) {
        self.credit = credit;
        self.at = self.at.max(now);
    }

    /// The server says that `remaining` requests are left: fewer than ours count, more don't.
    fn lower(&mut self, remaining: u32, now: Instant) {
        if self.closed(now).is_none() && remaining < self.left(now) {
            self.set_credit(now, self.interval * remaining);
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
            Route::Token | Route::Authorize => None,
            Route::ListConnections | Route::FindConnection | Route::ReadConnection => Some(&mut self.reads),
            Route::WriteConnection => Some(&mut self.requests),
        }
    }

    /// When the next pass may start: `now` or later.
    pub fn opens_at(&self, now: Instant) -> Instant {
        self.reads.opens_at(now).max(self.requests.opens_at(now))
    }

    /// Takes one request of this route that was sent: what was not left is waited for before the next one. Token requests are free.
    pub fn pay(&mut self, route: Route, now: Instant) {
        if let Some(bucket) = self.bucket(route) {
            bucket.pay(now);
        }
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
mod tests;
