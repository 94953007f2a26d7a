//! Somebody asks for a look by the annotation: it comes at once, once, and status says when it was done.

use std::time::{Duration, Instant};

use auth0_emulator::Fault;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use test_support::journal::{error, id_of, reads, token_requests};
use test_support::manifest::{asking, on, value};
use test_support::status::{assert_complete, handled, message};
use test_support::wait::throughout;
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::UpstreamParams;

async fn ask(scope: &Scope<'_>, name: &str, by: &str) {
    scope.patch(name, asking(by)).await;
}

async fn ask_tenant(scope: &Scope<'_>, by: impl Into<Value>) {
    scope.tenants().patch(&scope.name, &PatchParams::default(), &Patch::Merge(asking(by))).await.unwrap();
}

async fn until_handled(scope: &Scope<'_>, name: &str, by: &str) -> UpstreamParams {
    scope.until(name, &format!("{by} carried out"), |object| handled(object) == Some(by)).await
}

async fn until_tenant_handled(scope: &Scope<'_>, by: &str) {
    let done = |tenant: &upstream_params_operator::api::tenant::ClusterAuth0Tenant| {
        tenant.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref()) == Some(by)
    };
    scope.until_tenant_passes(&format!("{by} carried out"), done).await;
}

/// Objects at rest, each on the connection of its name, of a tenant that looks at nothing by itself.
async fn at_rest(scope: &Scope<'_>, names: &[&str]) {
    for name in names {
        scope.connection(name, "oidc");
        scope.create(name, on(name).value("blog", "ours")).await;
    }
    for name in names {
        scope.settle(name).await;
    }
}

fn drift(scope: &Scope<'_>, connection: &str) {
    scope.auth0.edit_exact(connection, |options| {
        options.insert("upstream_params", auth0_emulator::Json::parse(r#"{"blog":{"value":"theirs"}}"#).unwrap());
    });
}

#[tokio::test]
async fn who_asks_has_that_object_looked_at_at_once_and_no_other() {
    let scope = World::shared().quiet_scope("asks").await;
    at_rest(&scope, &["asked", "other"]).await;
    let [asked, other] = ["asked", "other"].map(|name| id_of(&scope.auth0, name));
    let before = (reads(&scope.auth0, &asked), reads(&scope.auth0, &other));
    drift(&scope, "asked");
    drift(&scope, "other");
    ask(&scope, "asked", "1").await;
    until_handled(&scope, "asked", "1").await;
    assert_eq!(scope.auth0.upstream_params("asked"), value("blog", "ours"), "said only after the look");
    assert_eq!(scope.auth0.upstream_params("other"), value("blog", "theirs"));
    assert_eq!((reads(&scope.auth0, &asked), reads(&scope.auth0, &other)), (before.0 + 1, before.1));

    // The same value again, another annotation, and none: nobody asks.
    let version = scope.get("other").await.metadata.resource_version;
    ask(&scope, "asked", "1").await;
    scope.patch("asked", json!({"metadata": {"annotations": {"note": "x"}}})).await;
    scope.patch("asked", asking(Value::Null)).await;
    throughout(Duration::from_secs(3), async || assert_eq!(reads(&scope.auth0, &asked), before.0 + 1)).await;
    assert_eq!(handled(&scope.get("asked").await), Some("1"), "it stays recorded");
    assert_eq!(scope.get("other").await.metadata.resource_version, version);

    // Whoever forges that it was done is put right.
    ask(&scope, "asked", "2").await;
    until_handled(&scope, "asked", "2").await;
    scope.forge_status("asked", json!({"lastHandledReconcileAt": "forged"})).await;
    until_handled(&scope, "asked", "2").await;
    scope.lose_status("asked").await;
    assert_complete(&until_handled(&scope, "asked", "2").await);
}

#[tokio::test]
async fn who_asks_for_everything_has_every_object_looked_at_and_refused_credentials_tried_once() {
    let scope = World::shared().quiet_scope("asks-for-all").await;
    at_rest(&scope, &["one", "two"]).await;
    for name in ["one", "two"] {
        drift(&scope, name);
    }
    let tokens = token_requests(&scope.auth0);
    ask_tenant(&scope, "1").await;
    until_tenant_handled(&scope, "1").await;
    for name in ["one", "two"] {
        assert_eq!(scope.auth0.upstream_params(name), value("blog", "ours"), "said only after every look");
    }
    assert_eq!(token_requests(&scope.auth0), tokens, "credentials that are accepted are not tried");

    // Refused for so long that the pause is longer than the test would wait.
    scope.auth0.inject(error(401, "", "Invalid token").path("/api/v2/*"));
    ask_tenant(&scope, "2").await;
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    until_tenant_handled(&scope, "2").await;
    let tokens = token_requests(&scope.auth0);
    scope.until_auth0("four more tries", |auth0| token_requests(auth0) >= tokens + 4).await;
    scope.auth0.clear_faults();
    let since = Instant::now();
    ask_tenant(&scope, "3").await;
    scope.until_tenant("Authenticated", "True", "Authenticated").await;
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    until_tenant_handled(&scope, "3").await;
}

#[tokio::test]
async fn whatever_becomes_of_the_look_it_is_said_that_it_was_carried_out() {
    let scope = World::shared().quiet_scope("asks-in-vain").await;
    at_rest(&scope, &["down", "deleted-at-auth0", "observes"]).await;
    scope.edit("observes", json!({"managementPolicy": "Observe"})).await;
    scope.create("no-connection", on("nowhere").value("blog", "x")).await;
    scope.create("no-tenant", on("down").value("blog", "x").tenant("asks-in-vain-nobody")).await;
    scope.until_condition("no-connection", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.until_condition("no-tenant", "ResolvedRefs", "False", "TenantNotFound").await;
    scope.until_condition("observes", "Ready", "True", "Observing").await;
    scope.auth0.delete_connection("deleted-at-auth0");
    scope.auth0.inject(Fault::status(503).path(&format!("/api/v2/connections/{}", id_of(&scope.auth0, "down"))));
    let long = "x".repeat(300);
    for name in ["down", "deleted-at-auth0", "observes", "no-connection", "no-tenant"] {
        ask(&scope, name, &long).await;
    }
    let cut = format!("{}~", "x".repeat(47));
    for name in ["down", "deleted-at-auth0", "observes", "no-connection", "no-tenant"] {
        let done = |object: &UpstreamParams| handled(object).is_some_and(|text| text.len() == 64 && text.starts_with(&cut));
        assert_complete(&scope.until(name, "carried out, and recorded cut", done).await);
    }
    assert!(message(&scope.get("down").await, "Synced").contains("503"), "{}", message(&scope.get("down").await, "Synced"));
    scope.until_condition("deleted-at-auth0", "ResolvedRefs", "False", "ConnectionNotFound").await;
    // And where the tenant can't be used at all.
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    ask_tenant(&scope, "no Secret").await;
    until_tenant_handled(&scope, "no Secret").await;
    ask(&scope, "observes", "no Secret").await;
    until_handled(&scope, "observes", "no Secret").await;
}

#[tokio::test]
async fn who_asks_all_the_time_gets_a_look_in_five_seconds_and_the_last_one_is_not_lost() {
    let scope = World::shared().quiet_scope("asks-all-the-time").await;
    at_rest(&scope, &["asked"]).await;
    let id = id_of(&scope.auth0, "asked");
    let before = reads(&scope.auth0, &id);
    let since = Instant::now();
    let mut last = 0;
    while since.elapsed() < Duration::from_secs(8) {
        last += 1;
        ask(&scope, "asked", &last.to_string()).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_handled(&scope, "asked", &last.to_string()).await;
    let (looks, most) = (reads(&scope.auth0, &id) - before, 2 + usize::try_from(since.elapsed().as_secs() / 5).unwrap());
    assert!(last > 10 && (2..=most).contains(&looks), "{looks} looks for {last} values");
    // Nothing is left of it.
    scope.auth0.clear_journal();
    throughout(Duration::from_secs(7), async || assert_eq!(reads(&scope.auth0, &id), 0)).await;
}
