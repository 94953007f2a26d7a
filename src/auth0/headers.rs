//! What the headers of an answer say of time: how long to wait, and what is left of a limit.
//!
//! Guarantees: every time in an answer becomes a span, counted by the clock of whoever sent it where that is known, and is
//! bounded. A header that can't be read says nothing.

use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderValue};

use super::call::RateHeaders;
use crate::clock::WallClock;

/// The longest time that `Retry-After` is believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);
/// The longest time to `x-ratelimit-reset` that is believed where only our own clock can tell it: it is when *one* request
/// is added, and no limit adds fewer than one a minute.
const LONGEST_GUESS: Duration = Duration::from_mins(1);

/// The clock that the times in an answer are read by. What counts is the span from the answer to a time in it, so it is the
/// server's own where the answer says what time it is there (`Date`, RFC 9110, section 6.6.1): ours may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The answer says what time it is there.
    Theirs(i64),
    /// It does not.
    Ours(i64),
}

impl Clock {
    pub(super) fn of(headers: &HeaderMap, wall: &WallClock) -> Self {
        let theirs = headers.get(header::DATE).and_then(http_date);
        theirs.map_or_else(|| Self::Ours(wall.now().as_second()), Self::Theirs)
    }

    /// How long it is to a time in seconds since 1970; nothing when it has passed.
    fn until(self, seconds: i64) -> Duration {
        let span = |now: i64| Duration::from_secs(u64::try_from(seconds.saturating_sub(now)).unwrap_or(0));
        match self {
            Self::Theirs(now) => span(now),
            Self::Ours(now) => span(now).min(LONGEST_GUESS),
        }
    }
}

fn http_date(value: &HeaderValue) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(value.to_str().ok()?.trim()).ok()?.timestamp().as_second())
}

/// The three `x-ratelimit` headers, as far as they are there.
pub(super) fn rate_headers(headers: &HeaderMap, clock: Clock) -> Option<RateHeaders> {
    fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Option<T> {
        headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }
    let reset = number::<u64>(headers, "x-ratelimit-reset").map(|reset| clock.until(i64::try_from(reset).unwrap_or(i64::MAX)));
    let read = RateHeaders { limit: number(headers, "x-ratelimit-limit"), remaining: number(headers, "x-ratelimit-remaining"), reset };
    (read != RateHeaders::default()).then_some(read)
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, clock: Clock) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?;
    let after = match value.to_str().ok()?.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => clock.until(http_date(value)?),
    };
    Some(after.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_an_answer_is_read_by_the_clock_of_the_answer() {
        let ours = jiff::Timestamp::now().as_second();
        let read = |now: Option<i64>, reset: i64, after: &str| {
            let mut headers = HeaderMap::new();
            let date = |seconds: i64| {
                let time = jiff::Timestamp::from_second(seconds).expect("a time");
                jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("a date")
            };
            if let Some(now) = now {
                headers.insert(header::DATE, date(now).parse().expect("a header"));
            }
            headers.insert("x-ratelimit-reset", reset.to_string().parse().expect("a header"));
            let after = after.parse::<i64>().map_or_else(|_| after.to_owned(), date);
            headers.insert(header::RETRY_AFTER, after.parse().expect("a header"));
            let clock = Clock::of(&headers, &WallClock::system());
            (rate_headers(&headers, clock).and_then(|limit| limit.reset), retry_after(&headers, clock))
        };
        let seconds = |count: u64| Some(Duration::from_secs(count));
        // Ten minutes slow, ten minutes fast: the same spans.
        for wrong in [-600, 0, 600] {
            let theirs = ours + wrong;
            assert_eq!(read(Some(theirs), theirs + 7, &(theirs + 3).to_string()), (seconds(7), seconds(3)), "{wrong}");
            assert_eq!(read(Some(theirs), theirs - 7, "soon"), (seconds(0), None), "{wrong}");
        }
        // Without a date there is only our clock, which is believed for a minute.
        assert_eq!(read(None, ours + 600, "soon").0, seconds(60));
        assert_eq!(read(None, ours - 600, "soon").0, seconds(0));
        assert!(read(None, ours + 30, "soon").0 <= seconds(30));
        assert_eq!(read(Some(ours), i64::MAX, "soon").0.map(|span| span > Duration::from_hours(24)), Some(true));
    }
}
