//! Ways in which somebody meaning well or ill gets more out of the operator than is his, or less than was promised.

use std::time::{Duration, Instant};

use auth0_emulator::{Fault, RateLimited, TenantHandle};
use serde_json::{Value, json};
use test_support::journal::{calls, patches, refusal_of, token_requests};
use test_support::manifest::{edit, on, tenant, value};
use test_support::status::condition;
use test_support::wait::throughout;
use test_support::{Scope, World};
use upstream_params_operator::api::FINALIZER;

/// So many connections with an object each, all written and looked at once more.
async fn many(scope: &Scope<'_>, count: usize) -> Vec<String> {
    let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
    for name in &names {
        scope.connection(name, "oidc");
        scope.create(name, on(name).value("blog", "x")).await;
    }
    for name in &names {
        scope.settle(name).await;
    }
    names
}

/// Creates an object that has the operator's finalizer from the start, as a copied manifest may.
async fn create_with_finalizer(scope: &Scope<'_>, name: &str, connection: &str, param: &str, value: &str) {
    let metadata = json!({"name": name, "finalizers": [FINALIZER]});
    scope.create_with(metadata, on(connection).value(param, value)).await;
}

#[tokio::test]
async fn a_finalizer_that_was_copied_removes_nothing_that_the_object_may_not_set() {
    let scope = World::shared().scope("copied").await;
    scope.connection_of("wordpress", "wordpress", value("state", "theirs"));
    scope.odd_connection("saml", "samlp", &json!({"upstream_params": {"blog": {"value": "theirs"}}}));
    for (connection, param) in [("wordpress", "state"), ("saml", "blog")] {
        let before = scope.auth0.connection(connection);
        // Deleted before the first look has ended, so that nobody has taken the finalizer off.
        scope.auth0.inject(Fault::delay(Duration::from_secs(1)).method("GET").times(1));
        create_with_finalizer(&scope, connection, connection, param, "theirs").await;
        scope.delete(connection).await;
        scope.until_gone(connection).await;
        assert_eq!(scope.auth0.connection(connection), before);
    }
    assert_eq!(patches(&scope.auth0), 0);
}

#[tokio::test]
async fn removals_that_are_refused_for_the_sake_of_a_foreign_entry_are_tried_more_and_more_slowly() {
    let scope = World::shared().quiet_scope("refused-removals").await;
    scope.connection("wordpress", "wordpress");
    for name in ["one", "two"] {
        scope.create(name, on("wordpress").value(name, "x")).await;
        scope.until_ready(name).await;
    }
    scope.auth0.edit("wordpress", |options| options["upstream_params"]["android_client_id"] = json!("theirs"));
    scope.auth0.clear_journal();
    for name in ["one", "two"] {
        scope.delete(name).await;
    }
    tokio::time::sleep(Duration::from_secs(15)).await;
    let tries = patches(&scope.auth0);
    assert!((1..=10).contains(&tries), "{tries} writes in 15 seconds\n{}", scope.describe("").await);
    // Who may correct the entry is not kept waiting by who can't go.
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"].as_object_mut().unwrap().remove("android_client_id");
    });
    scope.prod().await;
    for name in ["one", "two"] {
        scope.until_gone(name).await;
    }
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}

#[tokio::test]
async fn a_forged_or_erased_status_of_an_object_that_auth0_refused_comes_back() {
    let scope = World::shared().scope("refused-forged").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.auth0.inject(refusal_of("bad"));
    scope.create("blog", on("wordpress").value("bad", "x")).await;
    scope.until_condition("blog", "Ready", "False", "Rejected").await;
    let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "forged", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    for forged in [json!({"conditions": null}), json!({"conditions": [ready]})] {
        scope.forge_status("blog", forged).await;
        scope.looks(&id, 2).await;
        assert_eq!(condition(&scope.get("blog").await, "Ready"), ("False".to_owned(), "Rejected".to_owned()));
        assert_eq!(condition(&scope.get("blog").await, "Stalled").0, "True");
    }
    assert_eq!(patches(&scope.auth0), 1, "what was refused is known to be refused");
}

#[tokio::test]
async fn a_limit_that_auth0_set_outlasts_a_secret_that_is_made_anew() {
    let scope = World::shared().quiet_scope("limit-and-secret").await;
    many(&scope, 2).await;
    scope.auth0.inject(Fault::rate_limited(RateLimited { retry_after: Some(30), global: true, reset: None }).method("GET").times(1));
    scope.edit("c0", edit().value("blog", "y")).await;
    scope.until_auth0("a refusal", |auth0| auth0.pending_faults() == 0).await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    scope.create_secret().await;
    scope.until_auth0("the edit", |auth0| auth0.upstream_params("c0") == value("blog", "y")).await;
    let journal = scope.auth0.journal();
    let refused = journal.iter().find(|call| call.status == Some(429)).unwrap();
    let next = journal.iter().find(|call| call.seq > refused.seq && call.path.starts_with("/api/v2/")).unwrap();
    assert!(next.time_ms - refused.time_ms >= 29_000, "asked again after {} ms", next.time_ms - refused.time_ms);
}

#[tokio::test]
async fn no_write_begins_after_the_tenant_was_seen_to_observe_or_to_admit_nobody() {
    let scope = World::shared().quiet_scope("fenced").await;
    many(&scope, 1).await;
    scope.auth0.clear_journal();
    // The first try of the write is answered with 401; the token for the second takes its time.
    scope.auth0.inject(Fault::status(401).method("PATCH").times(1));
    scope.auth0.inject(Fault::delay(Duration::from_millis(1500)).path("/oauth/token").times(1));
    scope.edit("c0", edit().value("blog", "y")).await;
    scope.until_auth0("a request for a token", |auth0| token_requests(auth0) == 1).await;
    let selector = json!({"matchLabels": {"nobody": "has"}});
    let access = json!([{"namespaceSelector": selector, "connections": ["*"]}]);
    scope.patch_tenant(tenant().observe().with("access", json!(access))).await;
    scope.until_condition("c0", "Accepted", "False", "NotPermitted").await;
    assert_eq!(scope.auth0.upstream_params("c0"), value("blog", "x"), "{}", scope.describe("c0").await);
    assert_eq!(patches(&scope.auth0), 1);
}

/// How long it took until the tenant had this.
async fn seconds_until(scope: &Scope<'_>, what: &str, test: impl Fn(&TenantHandle) -> bool) -> u64 {
    let started = Instant::now();
    scope.until_auth0(what, test).await;
    started.elapsed().as_secs()
}

#[tokio::test]
async fn an_edit_does_not_wait_behind_looks_that_nobody_asked_for() {
    let scope = World::shared().quiet_scope("overtaken").await;
    many(&scope, 40).await;
    let one_a_second = json!({"rateLimit": {"readsPerMinute": 60, "requestsPerMinute": 60, "burst": 1}});
    scope.patch_tenant(one_a_second).await;
    scope.until_auth0("all were looked at", |auth0| calls(auth0, "GET").len() >= 120).await;
    // The owner of the tenant changes something about it, or the operator starts anew: every connection is due.
    scope.patch_tenant(tenant().resync(3000)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    scope.edit("c0", edit().value("blog", "edited")).await;
    let waited = seconds_until(&scope, "the edit", |auth0| auth0.upstream_params("c0") == value("blog", "edited")).await;
    assert!(waited < 15, "the edit waited {waited} seconds behind 40 looks");

    // A try that failed keeps its place before what is only due.
    scope.patch_tenant(tenant().resync(5)).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    scope.auth0.inject(Fault::status(503).method("PATCH").times(1));
    scope.edit("c0", edit().value("blog", "again")).await;
    let waited = seconds_until(&scope, "the edit", |auth0| auth0.upstream_params("c0") == value("blog", "again")).await;
    assert!(waited < 15, "the second try waited {waited} seconds behind looks that are overdue");
}

#[tokio::test]
async fn an_object_that_moves_onto_a_value_of_somebody_else_stays_where_it_was() {
    let scope = World::shared().scope("move-existing").await;
    let old = scope.connection("old", "oidc");
    scope.connection_of("new", "oidc", value("blog", "theirs"));
    scope.create("mover", on("old").value("blog", "ours")).await;
    scope.settle("mover").await;
    scope.edit("mover", on("new")).await;
    scope.until_condition("mover", "Synced", "False", "ExistingValue").await;
    scope.prodded_looks(&old, 1).await;
    assert_eq!(scope.auth0.upstream_params("old"), value("blog", "ours"), "no login loses its parameter meanwhile");
    scope.edit("mover", edit().overwrite()).await;
    scope.settle("mover").await;
    assert_eq!((scope.auth0.upstream_params("old"), scope.auth0.upstream_params("new")), (Value::Null, value("blog", "ours").into()));
}

#[tokio::test]
async fn a_status_that_somebody_keeps_writing_does_not_use_up_the_reads_of_the_tenant() {
    let scope = World::shared().quiet_scope("status-fight").await;
    many(&scope, 1).await;
    scope.auth0.clear_journal();
    let mut additions = 0;
    throughout(Duration::from_secs(10), async || {
        let mut conditions = serde_json::to_value(scope.get("c0").await.status.unwrap().conditions).unwrap();
        let all = conditions.as_array_mut().unwrap();
        if all.iter().all(|condition| condition["type"] != "Other") {
            all.push(
                json!({"type": "Other", "status": "True", "reason": "X", "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}),
            );
            scope.forge_status("c0", json!({"conditions": conditions})).await;
            additions += 1;
        }
    })
    .await;
    let reads = calls(&scope.auth0, "GET").len();
    assert!(reads <= 10, "{reads} reads for {additions} additions in ten seconds");
}
