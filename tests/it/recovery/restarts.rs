//! The operator is stopped, killed, cut off from its API server, and started too early.
//!
//! Each world takes seconds to start, so a test goes through several cases one after the other.

use std::time::Duration;

use auth0_emulator::Fault;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_support::journal::{calls, id_of, patches};
use test_support::manifest::{asking, edit, on, theirs};
use test_support::status::{handled, has_finalizer, is, states};
use test_support::wait::until;
use test_support::{Scope, World, from};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::operation::leaks;

#[tokio::test]
async fn it_runs_and_stops_whatever_proxy_the_shell_has_and_although_nobody_reads_its_log() {
    // Standard error is a pipe whose reader is gone; nothing listens at the proxy.
    let script = r#"export HTTPS_PROXY=http://127.0.0.1:9; exec "$@" 2> >(exec true)"#;
    let world = World::setup().runner(["bash", "-c", script, "bash"]).start().await;
    tokio::time::timeout(Duration::from_secs(20), world.stop_operator()).await.expect("SIGTERM ends it");
}

#[tokio::test]
async fn stopped_killed_or_cut_off_at_any_moment_it_ends_as_if_nothing_had_happened() {
    let world = World::setup().start().await;
    let scope = world.scope("restart").await;
    scope.connection_of("blog", "oauth2", theirs());
    scope.connection_of("other", "wordpress", theirs());
    let before = scope.auth0.connection("blog");

    a_restart_in_sync_writes_nothing(&scope).await;
    what_is_asked_for_while_nobody_runs_is_not_lost(&scope).await;
    a_write_in_flight_is_finished_before_the_end(&scope, &before).await;
    // Killed while the PATCH has not arrived, and while its answer is still on its way.
    for fault in [Fault::hang(), Fault::hang_after()] {
        a_kill_leaks_nothing(&scope, &before, fault).await;
    }
    an_outage_of_the_api_server_stops_writes_and_is_recovered_from(&scope, &before).await;
    world.stop_operator().await;
}

async fn a_restart_in_sync_writes_nothing(scope: &Scope<'_>) {
    let names = ["one", "two", "three"];
    for (name, connection) in names.iter().zip(["blog", "blog", "other"]) {
        scope.create(name, on(connection).value(name, "x")).await;
    }
    scope.until_all_in_sync(&names).await;
    let versions = scope.versions(&names).await;
    scope.world.stop_operator().await;
    scope.auth0.clear_journal();
    scope.world.start_operator_until_ready().await;
    for connection in ["blog", "other"] {
        scope.looks(&id_of(&scope.auth0, connection), 1).await;
    }
    assert_eq!(patches(&scope.auth0), 0);
    assert_eq!(scope.versions(&names).await, versions, "a status was written");
    for name in names {
        scope.delete(name).await;
        scope.until_gone(name).await;
    }
}

async fn what_is_asked_for_while_nobody_runs_is_not_lost(scope: &Scope<'_>) {
    scope.create("asked", on("blog").value("asked", "x")).await;
    scope.until_in_sync("asked").await;
    scope.world.kill_operator().await;
    scope.patch("asked", asking("while it is away")).await;
    let as_anybody = PatchParams::default();
    scope.tenants().patch(&scope.name, &as_anybody, &Patch::Merge(asking("while it is away"))).await.unwrap();
    scope.world.start_operator();
    let object = |object: &UpstreamParams| handled(object) == Some("while it is away");
    // The Lease of one that was killed has to run out first.
    scope.until_within(Duration::from_mins(1), "asked", "carried out", object).await;
    let tenant = |tenant: &ClusterAuth0Tenant| {
        let handled = tenant.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
        handled == Some("while it is away")
    };
    scope.until_tenant_passes("carried out", tenant).await;
    scope.delete("asked").await;
    scope.until_gone("asked").await;
}

async fn a_write_in_flight_is_finished_before_the_end(scope: &Scope<'_>, before: &Value) {
    scope.auth0.clear_journal();
    scope.auth0.inject(Fault::delay(Duration::from_secs(2)).method("PATCH").times(1));
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_auth0("a write in flight", |auth0| patches(auth0) == 1).await;
    scope.world.stop_operator().await;
    scope.assert_connection(before, "blog", &theirs().value("blog", "x"));
    let object = scope.get("blog").await;
    assert!(is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    assert_eq!(states(&object)["blog"], ParamState::Applied);
    scope.world.start_operator();
    scope.until_in_sync("blog").await;
    assert_eq!(patches(&scope.auth0), 1);
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(before, "blog", &theirs());
}

async fn a_kill_leaks_nothing(scope: &Scope<'_>, before: &Value, fault: Fault) {
    scope.auth0.clear_journal();
    scope.auth0.inject(fault.method("PATCH").times(1));
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_auth0("a write in flight", |auth0| patches(auth0) == 1).await;
    scope.world.kill_operator().await;
    let object = scope.get("blog").await;
    assert!(has_finalizer(&object), "the finalizer comes before the first write");
    assert_eq!(states(&object)["blog"], ParamState::Pending, "the claim comes before the write");
    let arrived = scope.auth0.upstream_params("blog") != theirs();
    scope.world.start_operator();
    scope.until_in_sync("blog").await;
    scope.assert_connection(before, "blog", &theirs().value("blog", "x"));
    assert_eq!(patches(&scope.auth0), if arrived { 1 } else { 2 });
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(before, "blog", &theirs());
}

async fn an_outage_of_the_api_server_stops_writes_and_is_recovered_from(scope: &Scope<'_>, before: &Value) {
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_in_sync("blog").await;
    scope.auth0.clear_journal();
    scope.world.control_plane.pause_api_server().await.unwrap();
    scope.auth0.edit("blog", |options| options["upstream_params"]["blog"] = json!({"value": "drift"}));
    scope.until_auth0("looks during the outage", |auth0| calls(auth0, "GET").len() >= 2).await;
    assert_eq!(patches(&scope.auth0), 0, "what can't be claimed is not written");
    assert!(scope.world.operator_pid() > 0, "it runs on");
    assert!(matches!(scope.world.http("/healthz").await, Ok((200, _))));
    scope.world.control_plane.resume_api_server().await.unwrap();
    scope.until_auth0("the drift is corrected", |auth0| auth0.upstream_params("blog")["blog"] == json!({"value": "x"})).await;
    scope.until_in_sync("blog").await;
    scope.create("later", on("other").value("later", "x")).await;
    scope.until_ready("later").await;
    for name in ["blog", "later"] {
        scope.delete(name).await;
        scope.until_gone(name).await;
    }
    scope.assert_connection(before, "blog", &theirs());
}

#[tokio::test]
async fn started_before_its_kinds_it_says_what_is_missing_and_its_json_log_can_be_read_and_holds_no_secret() {
    let world = World::setup().without_definitions().arguments(&["--log-format", "json", "--log", "debug"]).start().await;
    world.until_logged("upstream-params-operator crds | kubectl apply --server-side -f -").await;
    let (status, text) = world.http("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(text.contains("see the log"), "{text}");
    assert_eq!(world.http("/healthz").await.unwrap().0, 200);
    assert_eq!(world.http("/metrics").await.unwrap().0, 200);
    world.install_definitions().await;
    world.ready().await;

    let scope = world.scope("early").await;
    scope.connection_of("blog", "oauth2", theirs());
    scope.create("blog", on("blog").value("blog", "marker-value")).await;
    scope.until_in_sync("blog").await;
    let metrics = world.http("/metrics").await.unwrap().1;
    assert!(metrics.contains("upstream_params_checks_total{") && metrics.ends_with("# EOF\n"), "{metrics}");

    an_object_of_a_future_version_is_refused_and_stops_nobody(&scope).await;
    leaks::provoke(&scope).await;
    leaks::assert_nothing_leaked(&world).await;

    let log = world.log_text();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let pass =
        lines.iter().find(|line| line["message"] == "check" && line["object"] == format!("{}/blog", scope.name) && line["ready"] == true);
    let pass = pass.unwrap();
    assert_eq!(pass["level"], "DEBUG", "at rest there is nothing to read");
    let call = |method: &str, route: &str| {
        let of_route = |line: &&Value| line["message"] == "call" && line["method"] == method && line["route"] == route;
        lines.iter().find(of_route).unwrap_or_else(|| panic!("no call {method} {route}"))
    };
    for (method, route) in [("POST", "token"), ("GET", "find_connection"), ("GET", "read_connection"), ("PATCH", "write_connection")] {
        let call = call(method, route);
        assert!(call["status"].is_u64() && call["milliseconds"].is_u64() && call["level"] == "DEBUG", "{call}");
        assert_eq!(call["span"]["tenant"], scope.name, "{call}");
    }
    assert_eq!((&pass["connection"], &pass["reason"], &pass["tenant"]), (&json!("blog"), &json!("Ready"), &json!(scope.name)));
    world.stop_operator().await;
}

/// Stores an object that the types of this version can't hold: under a relaxed definition, which is then restored.
async fn an_object_of_a_future_version_is_refused_and_stops_nobody(scope: &Scope<'_>) {
    let definitions = Api::<CustomResourceDefinition>::all(scope.client.clone());
    let name = "upstreamparams.upstreamparams.dev";
    let original = definitions.get(name).await.unwrap();
    let mut relaxed = serde_json::to_value(&original).unwrap();
    relaxed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["deletionPolicy"] =
        json!({"type": "string"});
    definitions.replace(name, &PostParams::default(), &from(relaxed)).await.unwrap();

    let resource = ApiResource::erase::<UpstreamParams>(&());
    let objects = Api::<DynamicObject>::namespaced_with(scope.client.clone(), &scope.name, &resource);
    let spec = on("blog").value("future", "x").with("deletionPolicy", json!("FromTheFuture")).tenant(&scope.name);
    let future = DynamicObject::new("future", &resource).data(json!({"spec": spec}));
    // The relaxed definition takes a moment to be served.
    until("the object is stored", async || objects.create(&PostParams::default(), &future).await.is_ok()).await;
    let mut restored = definitions.get(name).await.unwrap();
    restored.spec = original.spec;
    definitions.replace(name, &PostParams::default(), &restored).await.unwrap();

    until("InvalidSpec", async || {
        let status = objects.get("future").await.unwrap().data["status"].clone();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let has = |kind: &str, reason: &str| conditions.iter().any(|one| one["type"] == kind && one["reason"] == reason);
        has("Ready", "InvalidSpec") && has("Stalled", "InvalidSpec") && status["observedGeneration"] == 1
    })
    .await;
    assert_eq!(scope.auth0.upstream_params("blog").get("future"), None);

    let edited = format!("marker-{}", "edited");
    scope.edit("blog", edit().value("blog", &edited)).await;
    scope.until_auth0("the other object goes on", |auth0| auth0.upstream_params("blog")["blog"] == json!({"value": edited})).await;
    objects.delete("future", &kube::api::DeleteParams::default()).await.unwrap();
    until("the object is gone", async || objects.get_opt("future").await.unwrap().is_none()).await;
}
