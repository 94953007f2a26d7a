//! How often a tenant is asked that refuses, fails or is slow, and by whose clock.

use std::time::{Duration, Instant};

use auth0_emulator::{Call, Fault, RateLimited, TenantHandle};
use serde_json::json;
use test_support::journal::{calls, error, id_of, patches, token_requests};
use test_support::manifest::{edit, on, to, value};
use test_support::status::{condition, message};
use test_support::wait::{growth, throughout};
use test_support::{SCOPES, Scope, World};

/// A scope with objects in sync, each on a connection of its own.
async fn in_sync(name: &str, objects: usize) -> (Scope<'static>, Vec<String>) {
    let scope = World::shared().scope(name).await;
    let names: Vec<String> = (0..objects).map(|number| format!("c{number}")).collect();
    for name in &names {
        scope.connection(name, "oauth2");
        scope.create(name, on(name).value("blog", "x")).await;
    }
    scope.until_all_in_sync(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    (scope, names)
}

/// The status of a condition of the tenant object.
async fn tenant_status(scope: &Scope<'_>, kind: &str) -> String {
    let conditions = scope.tenant().await.status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.type_ == kind).map(|condition| condition.status).unwrap()
}

#[tokio::test]
async fn an_api_that_refuses_every_token_is_asked_more_and_more_slowly_and_said_so_once() {
    let (scope, names) = in_sync("refused-tokens", 3).await;
    let refusal = json!({"statusCode": 401, "error": "Unauthorized", "message": "Invalid token", "attributes": {"error": "Invalid token"}});
    scope.auth0.inject(Fault::status_with(401, refusal.to_string()).path("/api/v2/*"));
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    let object = scope.until_says(&names[0], "Synced", "Unknown", "TenantNotReady").await;
    assert_eq!(condition(&object, "Ready").0, "True", "it was in sync");
    let (tokens, reads) = (token_requests(&scope.auth0), calls(&scope.auth0, "GET").len());
    let mut seen = std::collections::BTreeSet::new();
    throughout(Duration::from_secs(15), async || {
        assert_eq!(tenant_status(&scope, "Authenticated").await, "False", "no token that is granted lifts what the API said");
        seen.insert(scope.tenant().await.metadata.resource_version);
    })
    .await;
    let (tokens, reads) = (token_requests(&scope.auth0) - tokens, calls(&scope.auth0, "GET").len() - reads);
    // Half a second at the least after the first, then doubling: within 15 s, six tries of one token and two reads.
    assert!(tokens <= 7 && reads <= 14, "{tokens} tokens and {reads} reads");
    assert!(seen.len() <= 2, "{} versions of the tenant", seen.len());

    scope.auth0.clear_faults();
    scope.until_tenant("Authenticated", "True", "Authenticated").await;
    for name in &names {
        scope.until_in_sync(name).await;
    }
}

#[tokio::test]
async fn new_credentials_are_tried_at_once_where_the_api_refused_the_old_ones() {
    let (scope, names) = in_sync("refused-once", 1).await;
    scope.auth0.inject(error(401, "", "Invalid token").path("/api/v2/*"));
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    // Some tries later the pause is long.
    let tokens = token_requests(&scope.auth0);
    scope.until_auth0("four more tries", |auth0| token_requests(auth0) >= tokens + 4).await;
    scope.auth0.clear_faults();
    scope.auth0.add_client("another", "marker-another", SCOPES);
    let changed = Instant::now();
    scope.change_secret(json!({"clientId": "another", "clientSecret": "marker-another"})).await;
    scope.until_tenant("Authenticated", "True", "Authenticated").await;
    assert!(changed.elapsed() < Duration::from_secs(5), "{:?}", changed.elapsed());
    scope.until_in_sync(&names[0]).await;
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_is_asked_once_for_all_who_wait() {
    let run = |name: &'static str, fault: Fault| async move {
        let (scope, names) = in_sync(name, 20).await;
        let before = token_requests(&scope.auth0);
        scope.auth0.inject(fault.path("/oauth/token"));
        scope.auth0.revoke_tokens();
        scope.until_auth0("a first request", |auth0| token_requests(auth0) > before).await;
        tokio::time::sleep(Duration::from_secs(12)).await;
        let asked = token_requests(&scope.auth0) - before;
        assert!(asked <= 6, "{name}: {asked} token requests within twelve seconds for {} objects", names.len());
        for name in &names {
            assert_ne!(condition(&scope.get(name).await, "Ready").0, "False", "{name} was in sync");
        }
        scope.auth0.clear_faults();
        for name in &names {
            scope.until_in_sync(name).await;
        }
    };
    let limited = RateLimited { retry_after: Some(4), ..RateLimited::default() };
    tokio::join!(run("tokens-503", Fault::status(503)), run("tokens-429", Fault::rate_limited(limited)), run("tokens-drop", Fault::drop()));
}

#[tokio::test]
async fn a_write_that_timed_out_is_not_followed_by_another_while_it_may_still_land() {
    let scope = World::shared().scope("late-write").await;
    scope.connection("blog", "oauth2");
    scope.auth0.inject(Fault::hang().method("PATCH").times(1));
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_condition("blog", "Synced", "Unknown", "RemoteUnavailable").await;
    // Not even an edit overtakes it.
    scope.edit("blog", edit().value("blog", "y")).await;
    let object = scope.until_condition("blog", "Synced", "Unknown", "RemoteUnavailable").await;
    assert!(message(&object, "Synced").contains("may still take effect"), "{}", message(&object, "Synced"));
    scope.until_in_sync("blog").await;
    let writes = calls(&scope.auth0, "PATCH");
    assert_eq!(writes.len(), 2);
    let pause = writes[1].time_ms - writes[0].time_ms;
    assert!(pause >= 19_900, "ten seconds until the first timed out, and ten more: {pause} ms");
    assert_eq!(scope.auth0.upstream_params("blog"), value("blog", "y"));
}

#[tokio::test]
async fn two_objects_that_change_places_while_no_write_succeeds_do_not_call_for_each_other_without_a_pause() {
    let scope = World::shared().scope("change-places").await;
    for place in ["one", "two"] {
        scope.connection(place, "oauth2");
        scope.create(place, on(place).value(place, "x")).await;
    }
    scope.until_all_in_sync(&["one", "two"]).await;
    scope.auth0.inject(Fault::status(503).method("PATCH"));
    scope.edit("one", to("two")).await;
    scope.edit("two", to("one")).await;
    for object in ["one", "two"] {
        scope.until_condition(object, "Synced", "Unknown", "RemoteUnavailable").await;
    }
    let asked = growth(Duration::from_secs(4), || calls(&scope.auth0, "GET").len() + patches(&scope.auth0)).await;
    assert!(asked <= 24, "{asked} calls in four seconds\n{}", scope.describe("one").await);
    scope.auth0.clear_faults();
    scope.until_all_in_sync(&["one", "two"]).await;
    assert_eq!(scope.auth0.upstream_params("one"), value("two", "x"));
    assert_eq!(scope.auth0.upstream_params("two"), value("one", "x"));
}

#[tokio::test]
async fn what_a_slow_read_shows_is_as_old_as_the_request() {
    let scope = World::shared().scope("slow-read").await;
    scope.connection("blog", "oauth2");
    scope.auth0.inject(Fault::delay(Duration::from_secs(3)).method("GET").times(2));
    scope.create("blog", on("blog").value("blog", "x")).await;
    let object = scope.until_condition("blog", "Synced", "Unknown", "RemoteUnavailable").await;
    assert!(message(&object, "Synced").contains("more than 2 s"), "{}", message(&object, "Synced"));
    scope.until_in_sync("blog").await;
    let journal = scope.auth0.journal();
    let write = journal.iter().position(|call| call.method == "PATCH").unwrap();
    let read = journal[..write].iter().rfind(|call| call.method == "GET").unwrap();
    let age = journal[write].time_ms - read.time_ms;
    // The journal lists a call as it arrives, before its delay.
    assert!(age <= 2_000, "a write {age} ms after the request whose answer it is made from");
    assert_eq!(patches(&scope.auth0), 1);

    // What is measured counts from the request as well.
    scope.auth0.inject(Fault::delay(Duration::from_secs(1)).method("GET").times(1));
    scope.edit("blog", edit().value("blog", "y")).await;
    scope.until_in_sync("blog").await;
    let spent = scope.world.metric("upstream_params_read_to_write_seconds_sum", &[("tenant", &scope.name)]).await;
    assert!(spent >= 1.0 || patches(&scope.auth0) > 2, "{spent} s");
}

/// The milliseconds from the 429 to the next read.
fn pause_after_429(auth0: &TenantHandle) -> u64 {
    let journal = auth0.journal();
    let first = journal.iter().find(|call| call.status == Some(429)).unwrap();
    let next = journal.iter().find(|call: &&Call| call.seq > first.seq && call.method == "GET").unwrap();
    next.time_ms - first.time_ms
}

#[tokio::test]
async fn what_auth0_says_of_when_to_come_back_holds_on_a_clock_that_is_wrong() {
    let run = |name: &'static str, clock: fn(&TenantHandle), limited: RateLimited, pause: std::ops::Range<u64>| async move {
        let scope = World::shared().scope(name).await;
        clock(&scope.auth0);
        scope.connection("blog", "oauth2");
        scope.auth0.inject(Fault::rate_limited(limited.clone()).method("GET").times(1));
        scope.create("blog", on("blog").value("blog", "x")).await;
        scope.until_in_sync("blog").await;
        let waited = pause_after_429(&scope.auth0);
        assert!(pause.contains(&waited), "{name}: {limited:?}, and the next read came after {waited} ms");
    };
    let ahead = |auth0: &TenantHandle| auth0.advance(Duration::from_mins(10));
    let behind = |auth0: &TenantHandle| auth0.set_back(Duration::from_mins(10));
    let reset = RateLimited { reset: Some(5), ..RateLimited::default() };
    // The span counts, and a span by itself before one that takes two times.
    let after = RateLimited { retry_after: Some(2), reset: Some(600), ..RateLimited::default() };
    tokio::join!(
        run("ahead-reset", ahead, reset.clone(), 4_000..40_000),
        run("behind-reset", behind, reset, 4_000..40_000),
        run("ahead-after", ahead, after.clone(), 1_900..40_000),
        run("behind-after", behind, after, 1_900..40_000),
    );
}

#[tokio::test]
async fn a_tenant_that_stops_answering_says_so_and_one_connection_is_not_the_tenant() {
    let (scope, names) = in_sync("speechless", 2).await;
    scope.auth0.inject(Fault::status(503).method("GET").connection(&names[0]));
    scope.until_condition(&names[0], "Synced", "Unknown", "RemoteUnavailable").await;
    scope.looks(&id_of(&scope.auth0, &names[1]), 3).await;
    assert_eq!(scope.tenant_message("Ready").await, "the operator can use the tenant", "the other connection is fine");

    scope.auth0.inject(Fault::status(503).path("/api/v2/*"));
    scope.until_tenant_says("Ready", &["now: Auth0 answered 503"]).await;
    scope.until_tenant_says("Authenticated", &["now: Auth0 answered 503"]).await;
    scope.until_tenant("Ready", "True", "Ready").await;

    scope.auth0.clear_faults();
    scope.until_tenant_says("Ready", &["the operator can use the tenant"]).await;
    scope.until_in_sync(&names[0]).await;
}
