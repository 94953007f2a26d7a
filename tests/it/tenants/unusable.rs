//! A tenant that can't be used, for every reason there is, and what its objects say meanwhile.

use std::time::{Duration, Instant};

use auth0_emulator::{Call, Fault, RateLimited};
use serde_json::{Value, json};
use test_support::journal::{answered, calls, patches, token_requests};
use test_support::manifest::{Params, edit, on, tenant, theirs, value};
use test_support::status::{assert_stalled, condition, is, message, says};
use test_support::{SCOPES, Scope, World};

/// A scope with one object in sync.
async fn in_sync(name: &str) -> Scope<'static> {
    let scope = World::shared().scope(name).await;
    scope.connection_of("blog", "wordpress", theirs());
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_in_sync("blog").await;
    scope
}

/// Asserts that the trouble told nobody that the object is not ready, and that nothing was said again and again.
async fn assert_ready_throughout(scope: &Scope<'_>, events_before: usize) {
    let object = scope.get("blog").await;
    assert!(is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    let events = scope.events("blog").await;
    assert!(events.len() <= events_before + 2, "too many events: {events:#?}");
}

#[tokio::test]
async fn a_tenant_that_works_says_so() {
    let scope = in_sync("works").await;
    for (kind, reason) in
        [("Ready", "Ready"), ("Accepted", "Accepted"), ("ResolvedRefs", "ResolvedRefs"), ("Authenticated", "Authenticated")]
    {
        scope.until_tenant(kind, "True", reason).await;
    }
    let tenant = scope.tenant().await;
    assert_eq!(tenant.status.unwrap().conditions.len(), 4, "neither Reconciling nor Stalled");
}

#[tokio::test]
async fn no_request_goes_to_a_domain_that_is_not_allowed() {
    let scope = World::shared().bare_scope("evil").await;
    scope.create_secret().await;
    let domain = format!("{}.example.com", scope.name);
    let elsewhere = scope.world.emulator.tenant(&domain);
    scope.create_tenant(tenant().with("domain", json!(domain))).await;
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_tenant("Accepted", "False", "DomainNotAllowed").await;
    scope.until_tenant("Ready", "False", "DomainNotAllowed").await;
    assert!(scope.tenant_message("Accepted").await.contains("--allowed-domains"));
    let object = scope.until_condition("blog", "Ready", "False", "TenantNotReady").await;
    assert!(message(&object, "Ready").contains(&domain));
    assert_stalled(&object, false);
    assert!(elsewhere.journal().is_empty() && scope.auth0.journal().is_empty());
}

#[tokio::test]
async fn of_two_tenants_with_one_identity_the_older_serves_and_the_other_takes_over_from_it() {
    let scope = World::shared().scope("twins").await;
    scope.connection("blog", "wordpress");
    // Of two that were created within one second the name decides, and this one is the later by both.
    let twin = format!("{}-twin", scope.name);
    let audience = format!("https://{}/api/v2/", scope.domain);
    scope.create_other_tenant(&twin, tenant().with("audience", json!(audience))).await;
    scope.create("first", on("blog").value("first", "x")).await;
    scope.create("second", on("blog").value("second", "y").tenant(&twin)).await;

    scope.until_ready("first").await;
    let object = scope.until_condition("second", "Ready", "False", "TenantNotReady").await;
    assert!(message(&object, "Ready").contains(&twin));
    let status = scope.tenants().get(&twin).await.unwrap().status.unwrap();
    let accepted = status.conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "DuplicateTenant"));
    assert!(accepted.message.contains(&scope.name));
    assert_eq!(scope.auth0.upstream_params("blog"), value("first", "x"));

    scope.delete_tenant().await;
    scope.until_ready("second").await;
    assert_eq!(scope.auth0.upstream_params("blog"), value("first", "x").value("second", "y"));
    let object = scope.until_condition("first", "ResolvedRefs", "False", "TenantNotFound").await;
    assert_stalled(&object, false);
}

#[tokio::test]
async fn a_secret_is_waited_for_and_has_to_hold_both_members() {
    let scope = World::shared().bare_scope("secret").await;
    scope.create_tenant(tenant()).await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    assert!(scope.tenant_message("Ready").await.contains(&scope.name));
    let object = scope.until_condition("blog", "Ready", "False", "TenantNotReady").await;
    assert!(is(&object, "Synced", "Unknown", "TenantNotReady"));
    assert_stalled(&object, false);

    scope.put_secret(&[("clientId", b"operator")]).await;
    scope.until_tenant("ResolvedRefs", "False", "SecretKeyMissing").await;
    assert!(scope.tenant_message("ResolvedRefs").await.contains("clientSecret"));
    scope.put_secret(&[("clientSecret", b"x")]).await;
    scope.until_tenant("ResolvedRefs", "False", "SecretKeyMissing").await;
    assert_eq!(token_requests(&scope.auth0), 0);

    scope.create_secret().await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.until_ready("blog").await;
}

#[tokio::test]
async fn a_rotated_secret_means_a_new_token_at_once() {
    let scope = in_sync("rotated").await;
    let tokens = token_requests(&scope.auth0);
    scope.auth0.rotate_secret("operator", "marker-rotated-secret");
    scope.change_secret(json!({"clientSecret": "marker-rotated-secret"})).await;
    let changed = Instant::now();
    scope.until_auth0("another token", |auth0| token_requests(auth0) > tokens).await;
    assert!(changed.elapsed() < Duration::from_secs(5), "{:?}", changed.elapsed());
    let last = scope.auth0.journal().into_iter().rfind(Call::is_token).unwrap();
    assert_eq!(last.body.unwrap()["client_id"], "operator");
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.edit("blog", edit().value("blog", "after")).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.upstream_params("blog")["blog"], json!({"value": "after"}));
}

#[tokio::test]
async fn wrong_credentials_fail_visibly_and_without_haste_until_they_are_corrected() {
    let scope = World::shared().bare_scope("wrong").await;
    scope.put_secret(&[("clientId", b"operator"), ("clientSecret", b"marker-wrong-secret")]).await;
    scope.create_tenant(tenant()).await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    scope.until_tenant("Ready", "False", "AuthenticationFailed").await;
    let object = scope.until_condition("blog", "Ready", "False", "TenantNotReady").await;
    assert!(is(&object, "Synced", "Unknown", "TenantNotReady"));
    assert_stalled(&object, false);
    // Tries follow each other more and more slowly: within six seconds, four at most.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(token_requests(&scope.auth0) <= 6, "{} token requests", token_requests(&scope.auth0));
    assert!(calls(&scope.auth0, "GET").is_empty());

    scope.create_secret().await;
    scope.until_ready("blog").await;
    scope.until_tenant("Ready", "True", "Ready").await;
}

#[tokio::test]
async fn an_object_may_come_before_its_tenant() {
    let scope = World::shared().bare_scope("early").await;
    scope.create_secret().await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    let object = scope.until_condition("blog", "ResolvedRefs", "False", "TenantNotFound").await;
    assert!(is(&object, "Ready", "False", "TenantNotFound"));
    assert!(message(&object, "Ready").contains(&scope.name));
    assert_stalled(&object, false);
    scope.create_tenant(tenant()).await;
    scope.until_ready("blog").await;
}

#[tokio::test]
async fn a_missing_scope_for_writing_pauses_writes_and_is_named_until_it_is_granted() {
    let scope = World::shared().scope("scope").await;
    scope.auth0.set_scopes("operator", ["read:connections", "read:connections_options", "update:connections"]);
    let id = scope.connection("blog", "wordpress");
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    assert!(scope.tenant_message("Authenticated").await.contains("update:connections_options"));
    let object = scope.until_condition("blog", "Ready", "False", "TenantNotReady").await;
    assert!(message(&object, "Ready").contains("update:connections_options"));
    scope.looks(&id, 2).await;
    assert!(patches(&scope.auth0) <= 2, "one, and one with a new token: {}", patches(&scope.auth0));
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    written_with_all_scopes(&scope, &before).await;
}

#[tokio::test]
async fn a_missing_scope_is_asked_for_again_also_after_the_api_refused_the_credentials() {
    let scope = World::shared().scope("scope-and-refusal").await;
    scope.auth0.set_scopes("operator", ["read:connections", "read:connections_options", "update:connections"]);
    scope.connection("blog", "wordpress");
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    scope.auth0.inject(Fault::status(401).method("GET"));
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    scope.auth0.clear_faults();
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    written_with_all_scopes(&scope, &before).await;
}

/// Nothing was written so far; once the application has every scope, the object is carried out.
async fn written_with_all_scopes(scope: &Scope<'_>, before: &Value) {
    scope.assert_connection(before, "blog", &Params::default());
    scope.auth0.set_scopes("operator", SCOPES);
    scope.until_ready("blog").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.assert_connection(before, "blog", &value("blog", "x"));
}

#[tokio::test]
async fn hidden_options_are_never_written_over() {
    let scope = World::shared().scope("hidden").await;
    scope.auth0.set_scopes("operator", ["read:connections", "update:connections", "update:connections_options"]);
    let id = scope.connection("blog", "wordpress");
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x")).await;
    let object = scope.until_condition("blog", "Synced", "False", "OptionsHidden").await;
    assert!(is(&object, "Ready", "False", "OptionsHidden"), "{:#?}", object.status);
    assert!(message(&object, "Synced").contains("read:connections_options"));
    assert_stalled(&object, false);
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    assert!(scope.tenant_message("Authenticated").await.contains("read:connections_options"));
    scope.looks(&id, 2).await;
    assert_eq!(patches(&scope.auth0), 0);
    written_with_all_scopes(&scope, &before).await;
}

#[tokio::test]
async fn credentials_that_break_turn_nothing_red_that_was_in_sync() {
    let scope = in_sync("broken").await;
    let (events, since) =
        (scope.events("blog").await.len(), scope.get("blog").await.status.unwrap().conditions[0].last_transition_time.clone());
    scope.auth0.rotate_secret("operator", "marker-unknown-to-us");
    scope.auth0.revoke_tokens();
    let object = scope.until_condition("blog", "Synced", "Unknown", "TenantNotReady").await;
    assert!(is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    assert_ready_throughout(&scope, events).await;

    scope.change_secret(json!({"clientSecret": "marker-unknown-to-us"})).await;
    let object = scope.until_in_sync("blog").await;
    assert_eq!(object.status.unwrap().conditions[0].last_transition_time, since, "Ready never moved");
    assert_ready_throughout(&scope, events).await;
    assert_eq!(patches(&scope.auth0), 1);
}

#[tokio::test]
async fn a_tenant_that_fails_for_a_while_turns_nothing_red_that_was_in_sync() {
    let scope = in_sync("flaky").await;
    let events = scope.events("blog").await.len();
    let limited = RateLimited { reset: Some(2), ..RateLimited::default() };
    for (fault, reason) in [(Fault::status(503), "RemoteUnavailable"), (Fault::rate_limited(limited), "RateLimited")] {
        scope.auth0.inject(fault.path("/api/v2/*"));
        let object = scope.until_condition("blog", "Synced", "Unknown", reason).await;
        assert!(is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
        scope.auth0.clear_faults();
        scope.until_in_sync("blog").await;
    }
    assert_ready_throughout(&scope, events + 2).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    assert!(answered(&scope.auth0, 503) + answered(&scope.auth0, 429) <= 6, "no hot retry");
    assert_eq!(patches(&scope.auth0), 1);
}

#[tokio::test]
async fn a_tenant_that_gives_no_token_for_a_while_stays_ready_and_says_why() {
    let scope = in_sync("tokenless").await;
    scope.auth0.add_client("operator", "marker-new-secret", SCOPES);
    scope.auth0.inject(Fault::status(503).path("/oauth/token"));
    // Another Secret has to be tried, as has every Secret after a restart.
    scope.change_secret(json!({"clientSecret": "marker-new-secret"})).await;
    let object = scope.until_condition("blog", "Synced", "Unknown", "TenantNotReady").await;
    assert!(is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    for kind in ["Ready", "Authenticated"] {
        let message = scope.tenant_message(kind).await;
        assert!(message.starts_with("Auth0 accepted the credentials before; now: ") && message.contains("503"), "{kind}: {message}");
    }
    scope.until_tenant("Ready", "True", "Ready").await;
    let (tenant, name) = ([("tenant", scope.name.as_str())], "upstream_params_tenant_authenticated");
    scope.world.until_metric(name, &tenant, 0.0).await;

    scope.auth0.clear_faults();
    scope.until_in_sync("blog").await;
    scope.world.until_metric(name, &tenant, 1.0).await;
    assert_eq!(scope.tenant_message("Ready").await, "the operator can use the tenant");
}

#[tokio::test]
async fn options_that_become_hidden_turn_nothing_red_and_are_not_written_over() {
    let scope = in_sync("veiled").await;
    scope.auth0.set_scopes("operator", ["read:connections", "update:connections", "update:connections_options"]);
    scope.auth0.revoke_tokens();
    let object = scope.until("blog", "Synced=Unknown", |object| condition(object, "Synced").0 == "Unknown").await;
    assert!(says(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    scope.edit("blog", edit().value("blog", "another")).await;
    scope.until_condition("blog", "Ready", "False", "OptionsHidden").await;
    assert_eq!(patches(&scope.auth0), 1);

    scope.auth0.set_scopes("operator", SCOPES);
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.upstream_params("blog"), theirs().value("blog", "another"));
}

#[tokio::test]
async fn an_observation_that_is_too_old_is_no_longer_called_ready() {
    let scope = in_sync("stale").await;
    scope.auth0.inject(Fault::status(500).method("GET"));
    let start = Instant::now();
    let object = scope.until_condition("blog", "Ready", "Unknown", "StaleObservation").await;
    assert!(start.elapsed() > Duration::from_secs(9), "three looks of five seconds have to fail first: {:?}", start.elapsed());
    assert!(is(&object, "Synced", "Unknown", "RemoteUnavailable"));
    assert_stalled(&object, false);
    scope.auth0.clear_faults();
    scope.until_ready("blog").await;
    assert_eq!(patches(&scope.auth0), 1);
}

#[tokio::test]
async fn credentials_that_stay_broken_make_an_observation_too_old() {
    let scope = in_sync("forgotten").await;
    scope.auth0.rotate_secret("operator", "marker-for-good");
    scope.auth0.revoke_tokens();
    scope.until_condition("blog", "Ready", "Unknown", "StaleObservation").await;
    scope.change_secret(json!({"clientSecret": "marker-for-good"})).await;
    scope.until_in_sync("blog").await;
    scope.until_ready("blog").await;
}
