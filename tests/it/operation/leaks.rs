//! No secret and no value of anybody's parameter is shown anywhere, whatever goes wrong.

use auth0_emulator::{Fault, RateLimited};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use test_support::manifest::on;
use test_support::{Scope, World};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

/// What begins every secret, every foreign option and every value of a parameter in these tests; and every token that an
/// emulated tenant gives.
const MARKERS: [&str; 2] = ["marker-", "eyJhbGciOi"];

/// Where a text holds a marker.
fn leaks(place: &str, text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| MARKERS.iter().any(|marker| line.contains(marker)));
    lines.map(|line| format!("{place}: {line}")).collect()
}

/// Asserts that no marker is shown in anything that the operator writes.
pub(crate) async fn assert_nothing_leaked(world: &World) {
    let client = world.client().await;
    let mut found = leaks("log", &world.log_text());
    found.extend(leaks("metrics", &world.http("/metrics").await.unwrap().1));
    for event in Api::<Event>::all(client.clone()).list(&ListParams::default()).await.unwrap() {
        found.extend(leaks("event", &serde_json::to_string(&event).unwrap()));
    }
    for object in Api::<UpstreamParams>::all(client.clone()).list(&ListParams::default()).await.unwrap() {
        found.extend(leaks("status", &serde_json::to_string(&object.status).unwrap()));
    }
    for tenant in Api::<ClusterAuth0Tenant>::all(client).list(&ListParams::default()).await.unwrap() {
        found.extend(leaks("tenant status", &serde_json::to_string(&tenant.status).unwrap()));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Goes through failures whose answers quote what was sent, as a careless server does.
pub(crate) async fn provoke(scope: &Scope<'_>) {
    scope.connection_with(
        "quoted",
        "oauth2",
        json!({
            "upstream_params": {"theirs": {"value": "marker-foreign-value"}, "odd": {"value": "marker-odd-value"}},
            "authParams": {"blog": "marker-auth-param"},
        }),
    );
    let quoting = |status: u16, code: &str, property: &str| {
        let message = format!(
            "Payload validation error: 'marker-own-value, marker-foreign-value, marker-idp-secret-of-quoted' on property {property} \
             (marker-nested-\u{e9}, marker-auth-param)"
        );
        Fault::status_with(status, json!({"statusCode": status, "error": "Bad", "message": message, "errorCode": code}).to_string())
    };
    let spec = |value: &str| on("quoted").value("blog", value);
    let write = |fault: Fault| fault.method("PATCH").times(1);
    scope.auth0.inject(write(quoting(400, "invalid_body", "options.client_secret")));
    scope.create("quoted", spec("marker-own-value")).await;
    scope.until_ready("quoted").await;
    let faults: [Fault; 7] = [
        quoting(403, "operation_not_supported", "options"),
        quoting(409, "conflict", "options"),
        quoting(500, "internal_error", "options"),
        Fault::lose_answer(),
        Fault::cut_body(),
        Fault::not_json(),
        Fault::rate_limited(RateLimited { global: true, reset: Some(1), ..RateLimited::default() }),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        scope.auth0.inject(write(fault));
        scope.edit("quoted", spec(&format!("marker-own-value-{number}"))).await;
        scope.until_ready("quoted").await;
    }
    // Somebody else's value, a refusal for good, hidden options, refused credentials.
    let existing = on("quoted").value("odd", "marker-other-value");
    scope.create("existing", existing).await;
    scope.until_condition("existing", "Ready", "False", "ExistingValue").await;
    scope.auth0.edit("quoted", |options| options["upstream_params"]["blog"] = json!({"value": "marker-drift"}));
    scope.until_event("quoted", "DriftCorrected").await;
    scope.auth0.inject(quoting(400, "invalid_body", "options.upstream_params.blog").method("PATCH"));
    scope.edit("quoted", spec("marker-own-value-refused")).await;
    scope.until_condition("quoted", "Ready", "False", "Rejected").await;
    scope.auth0.clear_faults();
    scope.auth0.inject(Fault::status_with(401, refused().to_string()).path("/oauth/token"));
    scope.auth0.revoke_tokens();
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    scope.auth0.clear_faults();
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.delete("quoted").await;
    scope.until_gone("quoted").await;
}

/// A token endpoint that repeats the credentials it was sent.
fn refused() -> Value {
    json!({"error": "access_denied", "error_description": "client operator with secret marker-client-secret-of is unknown"})
}

#[tokio::test]
async fn no_secret_and_no_value_is_shown_whatever_goes_wrong() {
    let scope = World::shared().scope("leaks").await;
    provoke(&scope).await;
    scope.until_logged("[redacted]").await;
    assert_nothing_leaked(scope.world).await;
}
