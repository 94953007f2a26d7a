//! The operator is stopped, killed, cut off from its API server, and started too early.
//!
//! Each bench takes seconds to start, so a test goes through several cases one after the other.

use std::time::{Duration, Instant};

use auth0_emulator::Fault;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::leaks;
use crate::steps::{calls, one, patches};
use crate::support::{self, Bench, SOON, Scope, from, has_finalizer};

/// A scope on a bench that will be changed: everything of it that does not borrow the bench.
pub(crate) struct Detached {
    name: String,
    domain: String,
    client: kube::Client,
    auth0: auth0_emulator::TenantHandle,
}

impl Detached {
    pub(crate) fn of(scope: Scope<'_>) -> Self {
        Self { name: scope.name, domain: scope.domain, client: scope.client, auth0: scope.auth0 }
    }

    pub(crate) fn on<'a>(&self, bench: &'a Bench) -> Scope<'a> {
        Scope { bench, name: self.name.clone(), domain: self.domain.clone(), client: self.client.clone(), auth0: self.auth0.clone() }
    }
}

fn theirs() -> Value {
    json!({"theirs": {"value": "kept"}})
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut test: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + SOON;
    while !test().await {
        assert!(Instant::now() < give_up, "it did not come to: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_runs_and_stops_whatever_proxy_the_shell_has_and_although_nobody_reads_its_log() {
    let mut bench = Bench::without_operator().await;
    // Standard error is a pipe whose reader is gone; nothing listens at the proxy.
    let script = r#"export HTTPS_PROXY=http://127.0.0.1:9; exec "$@" 2> >(exec true)"#;
    bench.runner = ["bash", "-c", script, "bash"].map(str::to_owned).to_vec();
    bench.start_operator();
    bench.ready().await;
    tokio::time::timeout(Duration::from_secs(20), bench.stop_operator()).await.expect("SIGTERM ends it");
}

#[tokio::test]
async fn stopped_killed_or_cut_off_at_any_moment_it_ends_as_if_nothing_had_happened() {
    let mut bench = Bench::without_operator().await;
    bench.start_operator();
    bench.ready().await;
    let scope = Detached::of(bench.scope("restart").await);
    scope.on(&bench).connection("blog", "oauth2", json!({"upstream_params": theirs()}));
    scope.on(&bench).connection("other", "wordpress", json!({"upstream_params": theirs()}));
    let before = scope.auth0.connection("blog");

    a_restart_in_sync_writes_nothing(&mut bench, &scope).await;
    a_write_in_flight_is_finished_before_the_end(&mut bench, &scope, &before).await;
    // Killed while the PATCH has not arrived, and while its answer is still on its way.
    for fault in [Fault::hang(), Fault::hang_after()] {
        a_kill_leaks_nothing(&mut bench, &scope, &before, fault).await;
    }
    an_outage_of_the_api_server_stops_writes_and_is_recovered_from(&mut bench, &scope, &before).await;
    bench.stop_operator().await;
}

async fn a_restart_in_sync_writes_nothing(bench: &mut Bench, scope: &Detached) {
    let names = ["one", "two", "three"];
    let here = scope.on(bench);
    for (name, connection) in names.iter().zip(["blog", "blog", "other"]) {
        here.create(name, one(connection, name, "x")).await;
    }
    here.until_all_in_sync(&names, SOON).await;
    let versions = here.versions(&names).await;
    bench.stop_operator().await;
    scope.auth0.clear_journal();
    bench.start_operator();
    bench.ready().await;
    let here = scope.on(bench);
    for connection in ["blog", "other"] {
        let id = scope.auth0.connection(connection)["id"].as_str().unwrap().to_owned();
        here.looks(&id, 1).await;
    }
    assert_eq!(patches(&scope.auth0), 0);
    assert_eq!(here.versions(&names).await, versions, "a status was written");
    for name in names {
        here.delete(name).await;
        here.until_gone(name).await;
    }
}

async fn a_write_in_flight_is_finished_before_the_end(bench: &mut Bench, scope: &Detached, before: &Value) {
    scope.auth0.clear_journal();
    scope.auth0.inject(Fault::delay(Duration::from_secs(2)).method("PATCH").times(1));
    let here = scope.on(bench);
    here.create("blog", one("blog", "blog", "x")).await;
    here.until_auth0("a write in flight", |auth0| patches(auth0) == 1).await;
    bench.stop_operator().await;
    let here = scope.on(bench);
    here.assert_connection(before, "blog", &json!({"theirs": {"value": "kept"}, "blog": {"value": "x"}}));
    let object = here.get("blog").await;
    assert!(support::is(&object, "Ready", "True", "Ready"), "{:#?}", object.status);
    assert_eq!(support::states(&object)["blog"], ParamState::Applied);
    bench.start_operator();
    let here = scope.on(bench);
    here.until_in_sync("blog").await;
    assert_eq!(patches(&scope.auth0), 1);
    here.delete("blog").await;
    here.until_gone("blog").await;
    here.assert_connection(before, "blog", &theirs());
}

async fn a_kill_leaks_nothing(bench: &mut Bench, scope: &Detached, before: &Value, fault: Fault) {
    scope.auth0.clear_journal();
    scope.auth0.inject(fault.method("PATCH").times(1));
    let here = scope.on(bench);
    here.create("blog", one("blog", "blog", "x")).await;
    here.until_auth0("a write in flight", |auth0| patches(auth0) == 1).await;
    bench.kill_operator().await;
    let here = scope.on(bench);
    let object = here.get("blog").await;
    assert!(has_finalizer(&object), "the finalizer comes before the first write");
    assert_eq!(support::states(&object)["blog"], ParamState::Pending, "the claim comes before the write");
    let arrived = scope.auth0.upstream_params("blog") != theirs();
    bench.start_operator();
    let here = scope.on(bench);
    here.until_in_sync("blog").await;
    here.assert_connection(before, "blog", &json!({"theirs": {"value": "kept"}, "blog": {"value": "x"}}));
    assert_eq!(patches(&scope.auth0), if arrived { 1 } else { 2 });
    here.delete("blog").await;
    here.until_gone("blog").await;
    here.assert_connection(before, "blog", &theirs());
}

async fn an_outage_of_the_api_server_stops_writes_and_is_recovered_from(bench: &mut Bench, scope: &Detached, before: &Value) {
    let here = scope.on(bench);
    here.create("blog", one("blog", "blog", "x")).await;
    here.until_in_sync("blog").await;
    scope.auth0.clear_journal();
    bench.control_plane.pause_api_server().await.unwrap();
    scope.auth0.edit("blog", |options| options["upstream_params"]["blog"] = json!({"value": "drift"}));
    let here = scope.on(bench);
    here.until_auth0("looks during the outage", |auth0| calls(auth0, "GET").len() >= 2).await;
    assert_eq!(patches(&scope.auth0), 0, "what can't be claimed is not written");
    assert!(bench.operator().is_running());
    assert!(matches!(bench.http("/healthz").await, Ok((200, _))));
    bench.control_plane.resume_api_server().await.unwrap();
    let here = scope.on(bench);
    here.until_auth0("the drift is corrected", |auth0| auth0.upstream_params("blog")["blog"] == json!({"value": "x"})).await;
    here.until_in_sync("blog").await;
    here.create("later", one("other", "later", "x")).await;
    here.until_ready("later").await;
    for name in ["blog", "later"] {
        here.delete(name).await;
        here.until_gone(name).await;
    }
    here.assert_connection(before, "blog", &theirs());
}

#[tokio::test]
async fn started_before_its_kinds_it_says_what_is_missing_and_its_json_log_can_be_read_and_holds_no_secret() {
    let mut bench = Bench::without_definitions().await;
    bench.operator_arguments(&["--log-format", "json", "--log", "debug"]);
    bench.start_operator();
    until("the command that installs the kinds in the log", async || {
        bench.log_text().contains("upstream-params-operator crds | kubectl apply --server-side -f -")
    })
    .await;
    let (status, text) = bench.http("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(text.contains("see the log"), "{text}");
    assert_eq!(bench.http("/healthz").await.unwrap().0, 200);
    assert_eq!(bench.http("/metrics").await.unwrap().0, 200);
    bench.install_definitions().await;
    bench.ready().await;

    let scope = bench.scope("early").await;
    scope.connection("blog", "oauth2", json!({"upstream_params": theirs()}));
    scope.create("blog", one("blog", "blog", "marker-value")).await;
    scope.until_in_sync("blog").await;
    let metrics = bench.http("/metrics").await.unwrap().1;
    assert!(metrics.contains("upstream_params_passes_total{") && metrics.ends_with("# EOF\n"), "{metrics}");

    an_object_of_a_future_version_is_refused_and_stops_nobody(&scope).await;
    leaks::provoke(&scope).await;
    leaks::assert_nothing_leaked(&bench).await;

    let log = bench.log_text();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let pass =
        lines.iter().find(|line| line["message"] == "pass" && line["object"] == format!("{}/blog", scope.name) && line["ready"] == true);
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
    bench.stop_operator().await;
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
    let mut spec = one("blog", "future", "x");
    spec["deletionPolicy"] = json!("FromTheFuture");
    spec["tenantRef"] = json!({"name": scope.name});
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
    let edit = json!({"spec": {"params": {"blog": {"value": edited}}}});
    objects.patch("blog", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(edit)).await.unwrap();
    scope.until_auth0("the other object goes on", |auth0| auth0.upstream_params("blog")["blog"] == json!({"value": edited})).await;
    objects.delete("future", &kube::api::DeleteParams::default()).await.unwrap();
    until("the object is gone", async || objects.get_opt("future").await.unwrap().is_none()).await;
}
