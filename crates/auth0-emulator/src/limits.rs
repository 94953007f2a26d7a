//! Rate limits: token buckets, as Auth0's rate limit policy describes them.
//!
//! `x-ratelimit-reset` is the UNIX second at which ONE more request is added to the bucket, not the second of a full refill.

use super::answer::Answer;

/// One bucket: `burst` requests at once, refilled at `per_minute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests the full bucket holds; also `x-ratelimit-limit`.
    pub burst: u32,
    /// Requests added per minute.
    pub per_minute: u32,
}

/// The limits of a tenant; `None` is unlimited. Applied to `/api/v2/` only.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// `GET` of connections ("Read Connections": burst 5, 50 per minute on Essentials and Professional).
    pub read_connections: Option<Rate>,
    /// All other endpoints combined (burst 10, 150 per minute there).
    pub other: Option<Rate>,
    /// Every call of the Management API together (burst 2, 2 per second on Free).
    pub global: Option<Rate>,
}

impl Limits {
    /// The documented limits of a free tenant.
    pub fn free() -> Self {
        Self { global: Some(Rate { burst: 2, per_minute: 120 }), ..Self::default() }
    }

    /// The documented limits of an Essentials or Professional tenant.
    pub fn essentials() -> Self {
        Self { read_connections: Some(Rate { burst: 5, per_minute: 50 }), other: Some(Rate { burst: 10, per_minute: 150 }), global: None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    level: f64,
    at: f64,
}

impl Bucket {
    fn new(rate: Rate, now: f64) -> Self {
        Self { rate, level: f64::from(rate.burst), at: now }
    }

    fn refill(&mut self, now: f64) {
        let added = (now - self.at).max(0.0) * f64::from(self.rate.per_minute) / 60.0;
        self.level = (self.level + added).min(f64::from(self.rate.burst));
        self.at = now;
    }

    /// The moment the bucket's level next reaches a whole number above the present one.
    fn next_token(&self) -> f64 {
        if self.level >= f64::from(self.rate.burst) || self.rate.per_minute == 0 {
            return self.at;
        }
        self.at + (self.level.floor() + 1.0 - self.level) * 60.0 / f64::from(self.rate.per_minute)
    }
}

/// The state of a tenant's buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    read_connections: Option<Bucket>,
    other: Option<Bucket>,
    global: Option<Bucket>,
}

/// The three headers of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset: u64,
}

impl Headers {
    pub(crate) fn on(self, answer: Answer) -> Answer {
        answer
            .with("x-ratelimit-limit", self.limit.to_string())
            .with("x-ratelimit-remaining", self.remaining.to_string())
            .with("x-ratelimit-reset", self.reset.to_string())
    }
}

/// What the buckets say to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unlimited,
    Passed(Headers),
    Refused { message: &'static str, headers: Headers },
}

impl Buckets {
    pub(crate) fn new(limits: Limits, now: f64) -> Self {
        let bucket = |rate: Option<Rate>| rate.map(|rate| Bucket::new(rate, now));
        Self { read_connections: bucket(limits.read_connections), other: bucket(limits.other), global: bucket(limits.global) }
    }

    /// Takes one token from the buckets of this call's class, or none when one of them is empty. `now` is in UNIX seconds.
    pub(crate) fn take(&mut self, reads_connections: bool, now: f64) -> Verdict {
        let endpoint = if reads_connections { &mut self.read_connections } else { &mut self.other };
        let mut parts = [(endpoint, "Endpoint limit has been reached"), (&mut self.global, "Global limit has been reached")];
        for (bucket, message) in &mut parts {
            if let Some(bucket) = bucket {
                bucket.refill(now);
                if bucket.level < 1.0 {
                    return Verdict::Refused { message, headers: headers(bucket) };
                }
            }
        }
        let mut tightest: Option<Bucket> = None;
        for (bucket, _) in &mut parts {
            if let Some(bucket) = bucket {
                bucket.level -= 1.0;
                if tightest.is_none_or(|other| bucket.level < other.level) {
                    tightest = Some(*bucket);
                }
            }
        }
        tightest.map_or(Verdict::Unlimited, |bucket| Verdict::Passed(headers(&bucket)))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "levels and UNIX seconds are small and not negative")]
fn headers(bucket: &Bucket) -> Headers {
    Headers { limit: bucket.rate.burst, remaining: bucket.level.max(0.0).floor() as u32, reset: bucket.next_token().max(0.0).ceil() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reset_is_when_one_token_is_added() {
        let limits = Limits { global: Some(Rate { burst: 2, per_minute: 6 }), ..Limits::default() };
        let mut buckets = Buckets::new(limits, 1000.0);
        assert_eq!(buckets.take(true, 1000.0), Verdict::Passed(Headers { limit: 2, remaining: 1, reset: 1010 }));
        assert_eq!(buckets.take(false, 1001.0), Verdict::Passed(Headers { limit: 2, remaining: 0, reset: 1010 }));
        let Verdict::Refused { message, headers } = buckets.take(true, 1002.0) else { panic!("expected a refusal") };
        assert_eq!((message, headers.reset), ("Global limit has been reached", 1010));
        assert!(matches!(buckets.take(true, 1010.1), Verdict::Passed(_)));
        assert!(matches!(buckets.take(true, 1010.2), Verdict::Refused { .. }));
    }

    #[test]
    fn the_classes_are_apart() {
        let mut buckets = Buckets::new(Limits::essentials(), 0.0);
        for _ in 0..5 {
            assert!(matches!(buckets.take(true, 0.0), Verdict::Passed(_)));
        }
        assert!(matches!(buckets.take(true, 0.0), Verdict::Refused { message: "Endpoint limit has been reached", .. }));
        assert!(matches!(buckets.take(false, 0.0), Verdict::Passed(_)));
    }

    #[test]
    fn no_limits_mean_no_headers() {
        assert_eq!(Buckets::new(Limits::default(), 0.0).take(true, 0.0), Verdict::Unlimited);
    }
}
