//! The Secret of a tenant: away for a moment, rotated in either order, nearly right.

use std::time::{Duration, Instant};

use auth0_emulator::{Fault, TenantHandle};
use serde_json::{Value, json};
use test_support::journal::{answered, calls, token_requests};
use test_support::manifest::{edit, on, tenant, value};
use test_support::status::{is, says};
use test_support::{SCOPES, Scope, World};

/// Puts objects in sync that nobody looks at again soon.
async fn settled(scope: &Scope<'_>, names: &[&str]) {
    for name in names {
        scope.connection(name, "wordpress");
        scope.create(name, on(name).value("blog", "x")).await;
    }
    scope.until_all_in_sync(names).await;
    scope.patch_tenant(tenant().resync(3600)).await;
    // Longer than the interval before, so that nothing of it is left.
    let (mut calls, mut since) = (all_calls(&scope.auth0), Instant::now());
    let quiet = async || {
        let now = all_calls(&scope.auth0);
        if now != std::mem::replace(&mut calls, now) {
            since = Instant::now();
        }
        (since.elapsed() >= Duration::from_secs(7)).then_some(())
    };
    scope.eventually("seven seconds without a call", quiet).await;
}

/// How many calls of any kind the operator made.
fn all_calls(auth0: &TenantHandle) -> usize {
    calls(auth0, "GET").len() + calls(auth0, "PATCH").len() + token_requests(auth0)
}

#[tokio::test]
async fn a_secret_that_is_made_anew_with_the_same_content_costs_nothing() {
    let scope = World::shared().scope("blinks").await;
    let names = ["a", "b", "c"];
    settled(&scope, &names).await;
    let (calls, before) = (all_calls(&scope.auth0), scope.versions(&names).await);
    for pause in [0, 2000] {
        scope.delete_secret().await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        scope.create_secret().await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(all_calls(&scope.auth0), calls, "{}", scope.describe("").await);
    assert_eq!(scope.versions(&names).await, before);
}

#[tokio::test]
async fn a_secret_that_stays_away_is_missed_after_a_moment_in_which_its_tenant_still_serves() {
    let scope = World::shared().scope("gone-secret").await;
    settled(&scope, &["a"]).await;
    scope.delete_secret().await;
    let gone = Instant::now();
    scope.edit("a", edit().value("blog", "y")).await;
    scope.until_auth0("a write while the Secret is away", |auth0| auth0.upstream_params("a") == value("blog", "y")).await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    assert!(gone.elapsed() >= Duration::from_secs(14), "{:?}", gone.elapsed());
    let object = scope.until_says("a", "Synced", "Unknown", "TenantNotReady").await;
    assert!(says(&object, "Ready", "True", "Ready"), "{:#?}", object.status);

    scope.create_secret().await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.until_in_sync("a").await;
}

#[tokio::test]
async fn another_content_after_a_blink_is_taken_at_once() {
    let scope = World::shared().scope("blinks-new").await;
    settled(&scope, &["a"]).await;
    scope.auth0.add_client("another", "marker-another", SCOPES);
    scope.put_secret(&[("clientId", b"another"), ("clientSecret", b"marker-another")]).await;
    let asked = |auth0: &TenantHandle| auth0.journal().iter().any(|call| call.is_token() && call.client_id.as_deref() == Some("another"));
    scope.until_auth0("a token for the other client", asked).await;
    scope.until_in_sync("a").await;
}

#[tokio::test]
async fn a_secret_that_is_rotated_at_auth0_first_turns_nothing_red_while_the_token_lives() {
    let scope = World::shared().bare_scope("rotated-first").await;
    // Tokens are renewed at the half of so short a life, which is when the old secret is refused.
    scope.auth0.configure(|settings| settings.token_lifetime = Duration::from_secs(80));
    scope.create_secret().await;
    scope.create_tenant(tenant()).await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_in_sync("blog").await;
    let events = scope.events("blog").await.len();
    scope.auth0.rotate_secret("operator", "marker-rotated");
    let told = async || {
        assert!(is(&scope.get("blog").await, "Synced", "True", "InSync"));
        scope.tenant_message("Ready").await.contains("now: Auth0 refused the operator's credentials").then_some(())
    };
    scope.eventually("a refusal that is told", told).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.until_tenant("Authenticated", "True", "Authenticated").await;
    assert!(is(&scope.get("blog").await, "Synced", "True", "InSync"), "the token at hand is used on");
    assert_eq!(answered(&scope.auth0, 401), 1, "and the endpoint is not asked again and again");

    scope.change_secret(json!({"clientSecret": "marker-rotated"})).await;
    scope.until_tenant_message("Ready", "no trouble", |message| message == "the operator can use the tenant").await;
    assert!(is(&scope.get("blog").await, "Ready", "True", "Ready"));
    assert_eq!(scope.events("blog").await.len(), events);
}

#[tokio::test]
async fn a_restart_between_the_two_halves_of_a_rotation_turns_no_object_red() {
    let world = World::setup().start().await;
    let scope = world.scope_with("rotated", tenant().resync(600)).await;
    scope.connection("blog", "wordpress");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_ready("blog").await;
    world.stop_operator().await;
    scope.auth0.rotate_secret("operator", "marker-rotated");
    world.start_operator_until_ready().await;
    let object = scope.until_says("blog", "Synced", "Unknown", "TenantNotReady").await;
    assert!(says(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    let since = object.status.unwrap().conditions[0].last_transition_time.clone();
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;

    scope.change_secret(json!({"clientSecret": "marker-rotated"})).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    let object = scope.until_in_sync("blog").await;
    assert_eq!(object.status.unwrap().conditions[0].last_transition_time, since, "Ready never moved");
}

/// Names and contents.
type Members<'a> = &'a [(&'a str, &'a [u8])];

#[tokio::test]
async fn credentials_that_are_nearly_right_are_told_what_is_wrong_with_them_and_never_shown() {
    let scope = World::shared().bare_scope("nearly").await;
    scope.create_tenant(tenant()).await;
    let good = scope.client_secret();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{good}");
    let (id, secret) = ("clientId", "clientSecret");
    let unusable: [(Members<'_>, &[&str]); 6] = [
        (
            &[("AUTH0_CLIENT_ID", b"operator"), ("AUTH0_CLIENT_SECRET", good.as_bytes())],
            &["it has AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET", "clientId is missing", "clientSecret is missing"],
        ),
        (&[(id, b"operator"), ("client_secret", good.as_bytes())], &["it has client_secret", "clientSecret is missing"]),
        (&[(id, b"operator"), (secret, b" ")], &["clientSecret is empty"]),
        (&[(id, b"operator"), (secret, &utf16)], &["clientSecret is in UTF-16"]),
        (&[(id, b"operator"), (secret, marked.as_bytes())], &["clientSecret begins with a byte order mark"]),
        (&[(id, b"\xfe\x00"), (secret, b"marker-\xff")], &["clientId is in UTF-16", "clientSecret is not text"]),
    ];
    for (members, texts) in unusable {
        scope.put_secret(members).await;
        scope.until_tenant_says("Ready", texts).await;
        scope.until_tenant("ResolvedRefs", "False", "SecretKeyMissing").await;
    }
    assert_eq!(token_requests(&scope.auth0), 0);

    // Base64 of "marker-" and letters.
    let encoded = b"bWFya2VyLWNsaWVudC1zZWNyZXQ=";
    let odd: [(&[u8], &str); 4] = [
        (&[b"\"", good.as_bytes(), b"\""].concat(), "clientSecret has quotes around it"),
        (&[good.as_bytes(), b"\t"].concat(), "clientSecret begins or ends with a space or a tab"),
        (encoded, "clientSecret looks like base64 that was encoded twice"),
        (b"${marker-secret}", "clientSecret looks like a placeholder"),
    ];
    for (bytes, text) in odd {
        scope.put_secret(&[(id, b"operator"), (secret, bytes)]).await;
        scope.until_tenant_says("Ready", &["Auth0 refused the operator's credentials", text]).await;
        scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    }
    scope.put_secret(&[(id, b"operator\n"), (secret, format!("{good}\r\n").as_bytes())]).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    crate::operation::leaks::assert_nothing_leaked(scope.world).await;
    let log = scope.world.log_text();
    assert!(!log.contains("bWFya2Vy"), "the encoded secret is in the log");
}

#[tokio::test]
async fn a_custom_domain_without_an_audience_is_told_which_to_set() {
    let scope = World::shared().bare_scope("custom").await;
    scope.create_secret().await;
    let refusal: Value = json!({
        "error": "access_denied",
        "error_description": format!("Service not enabled within domain: https://{}/api/v2/", scope.domain),
    });
    scope.auth0.inject(Fault::status_with(403, refusal.to_string()).path("/oauth/token"));
    scope.create_tenant(tenant()).await;
    let message = scope.until_tenant_says("Ready", &["Service not enabled within domain", "spec.audience"]).await;
    assert!(message.contains("https://<tenant>.<region>.auth0.com/api/v2/"), "{message}");
}
