//! What a bucket and a budget guarantee.

use proptest::prelude::*;

use super::*;

/// A pass needs a read and the write that may follow it within two seconds.
fn permits_pass(budget: &Budget, now: Instant) -> bool {
    budget.reads.left(now) > 0 && budget.requests.left(now) > 0
}

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
fn what_was_sent_although_nothing_was_left_is_waited_for_before_the_next() {
    let now = Instant::now();
    let mut budget = budget(now);
    (0..7).for_each(|_| budget.pay(Route::ReadConnection, now));
    assert_eq!(budget.opens_at(now), now + 6 * second(), "five at once, two that were not left, and the next");
    let then = now + 6 * second();
    assert_eq!((budget.reads.left(then), budget.reads.left(then + 2 * second())), (1, 2));
    (0..1000).for_each(|_| budget.pay(Route::ReadConnection, now));
    assert_eq!(budget.opens_at(now), now + LONGEST_PAUSE);
    budget.pay(Route::Token, now);
    assert_eq!(budget.requests.left(now), 5);
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
    assert!(!permits_pass(&budget, now) && permits_pass(&budget, now + 7 * second()));
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
        budget.pay(Route::ReadConnection, opens);
        assert_eq!(budget.reads.left(opens), 0);
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
    for route in [Route::Token, Route::ListConnections, Route::FindConnection, Route::ReadConnection, Route::WriteConnection] {
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
    (0..100).for_each(|_| budget.pay(Route::Token, now));
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

#[test]
fn a_closed_bucket_opens_with_one_request_also_at_a_new_rate() {
    let now = Instant::now();
    for rate in [Rate::new(6, 2), Rate::new(600, 100)] {
        let mut bucket = Bucket::new(Rate::new(60, 5), now);
        bucket.close(Duration::from_secs(30), now);
        bucket.set_rate(rate, now + Duration::from_secs(10));
        let open = now + Duration::from_secs(30);
        assert_eq!(bucket.opens_at(now), open, "{rate:?}");
        assert_eq!(bucket.left(open), 1, "{rate:?}");
    }
}

fn calls() -> impl Strategy<Value = Call> {
    let route = prop::sample::select(vec![
        Route::Token,
        Route::ListConnections,
        Route::FindConnection,
        Route::ReadConnection,
        Route::WriteConnection,
    ]);
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
    #![proptest_config(crate::tests::seeds::cases(256))]

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
            prop_assert!(permits_pass(&budget, opens));
            prop_assert_eq!(permits_pass(&budget, now), opens == now);
            budget.pay(call.route, now);
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
