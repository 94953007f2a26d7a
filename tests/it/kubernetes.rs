//! What Kubernetes does to the operator: writes that fail or are slow, others who take what is ours from an object,
//! news that comes in another order than it happened, and things that are not known yet.

use std::time::{Duration, Instant};

use auth0_emulator::{Fault, TenantHandle};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::front::{Act, Front, Rule, fronted};
use crate::restarts::until;
use crate::steps::{calls, one, patches, refusal_of_params, says};
use crate::support::{self, Bench, SOON, Scope, from, has_finalizer};

fn theirs() -> Value {
    json!({"theirs": {"value": "kept"}})
}

fn both() -> Value {
    json!({"theirs": {"value": "kept"}, "blog": {"value": "ours"}})
}

/// A scope whose tenant is looked at every ten minutes only.
async fn slow_scope(name: &str) -> Scope<'static> {
    let scope = support::shared().bare_scope(name).await;
    scope.create_secret().await;
    scope.create_tenant(json!({"resyncIntervalSeconds": 600})).await;
    scope
}

/// A settled object `blog` with the parameter `blog` on the connection `wordpress`.
async fn settled(scope: &Scope<'_>) {
    scope.connection("wordpress", "wordpress", json!({"upstream_params": theirs()}));
    scope.create("blog", one("wordpress", "blog", "ours")).await;
    scope.settle("blog").await;
    scope.auth0.clear_journal();
}

// ---- what was left behind ----

#[tokio::test]
async fn an_object_that_is_gone_before_it_could_clean_up_is_told_of_on_the_tenant_and_in_the_log() {
    let scope = slow_scope("went").await;
    settled(&scope).await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    scope.delete("blog").await;
    assert!(has_finalizer(&scope.until_condition("blog", "Ready", "False", "Deleting").await));
    scope.strip_finalizers("blog").await;
    scope.until_gone("blog").await;
    let told = scope.until_tenant_event("ParametersLeft").await;
    let object = format!("UpstreamParams {}/blog", scope.name);
    assert!(told.contains(&object) && told.contains("left blog on the connection wordpress"), "{told}");
    assert!(!told.contains("ours"), "{told}");
    let log = scope.bench.log_text();
    let line = log.lines().find(|line| line.contains("parameters were left at Auth0") && line.contains(&scope.name)).unwrap();
    assert!(line.contains("WARN") && line.contains("blog on the connection wordpress"), "{line}");
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

#[tokio::test]
async fn what_a_namespace_that_takes_no_events_any_more_left_behind_is_told_on_the_tenant_and_in_the_log() {
    let scope = slow_scope("refused-event").await;
    settled(&scope).await;
    scope.patch_tenant(json!({"managementPolicy": "Observe"})).await;
    scope.until_condition("blog", "Ready", "True", "Observing").await;
    let namespaces = Api::<Namespace>::all(scope.client.clone());
    namespaces.delete(&scope.name, &DeleteParams::default()).await.unwrap();
    let told = scope.until_tenant_event("ParametersLeft").await;
    assert!(told.contains(&format!("UpstreamParams {}/blog", scope.name)) && told.contains("only observes"), "{told}");
    scope.until_logged("its namespace takes no events any more").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

// ---- what others take ----

#[tokio::test]
async fn a_finalizer_that_is_taken_is_put_back_without_a_call_to_the_tenant() {
    let scope = slow_scope("strip").await;
    settled(&scope).await;
    for _ in 0..2 {
        // What `kubectl replace -f` and Argo CD with Replace=true do with a manifest that knows of no finalizer.
        let mut object = scope.get("blog").await;
        object.metadata.finalizers = None;
        object.metadata.managed_fields = None;
        let replaced = scope.api().replace("blog", &PostParams::default(), &object).await.unwrap();
        assert!(!has_finalizer(&replaced));
        scope.until_finalizer("blog", true).await;
    }
    assert_eq!(scope.auth0.journal().len(), 0, "Auth0 was not asked");
    scope.until_logged("somebody took the finalizer from an object").await;

    // With an edit in the same write.
    let mut object = scope.get("blog").await;
    object.metadata.finalizers = None;
    object.metadata.managed_fields = None;
    object.spec.params.insert("more".into(), from(json!({"value": "ours"})));
    scope.api().replace("blog", &PostParams::default(), &object).await.unwrap();
    scope.until_state("blog", "more", ParamState::Applied).await;
    scope.until_finalizer("blog", true).await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());
}

#[tokio::test]
async fn a_finalizer_is_not_put_back_on_what_leaves_its_parameters_and_one_that_is_not_ours_to_keep_goes() {
    let scope = slow_scope("strip-retain").await;
    settled(&scope).await;
    scope.edit("blog", json!({"deletionPolicy": "Retain"})).await;
    scope.until_finalizer("blog", false).await;
    scope.settle("blog").await;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": [upstream_params_operator::api::FINALIZER]}}));
    scope.api().patch("blog", &PatchParams::default(), &patch).await.unwrap();
    scope.until_finalizer("blog", false).await;
}

#[tokio::test]
async fn a_status_that_is_erased_or_forged_is_looked_at_and_written_anew() {
    let scope = slow_scope("forged").await;
    settled(&scope).await;
    let before = scope.get("blog").await.status.unwrap();
    let same = |object: &UpstreamParams| {
        let status = object.status.as_ref().unwrap();
        status.connections == before.connections && status.conditions.len() == before.conditions.len()
    };
    scope.lose_status("blog").await;
    scope.until("blog", "its status again", |object| same(object) && support::is(object, "Ready", "True", "Ready")).await;
    scope.forge_status("blog", json!({"observedGeneration": 0, "conditions": [], "connections": [], "target": "elsewhere"})).await;
    scope.until("blog", "its status again", |object| same(object) && support::is(object, "Ready", "True", "Ready")).await;
    assert_eq!(patches(&scope.auth0), 0);

    // Also where nothing is looked at: what is invalid for this connection, and what has no tenant.
    scope
        .create("elsewhere", json!({"tenantRef": {"name": "none"}, "connection": {"name": "wordpress"}, "params": {"a": {"value": "1"}}}))
        .await;
    scope.until_condition("elsewhere", "ResolvedRefs", "False", "TenantNotFound").await;
    scope.lose_status("elsewhere").await;
    scope.until_condition("elsewhere", "ResolvedRefs", "False", "TenantNotFound").await;
}

#[tokio::test]
async fn the_erased_status_of_a_refused_object_comes_back() {
    let scope = slow_scope("forged-refused").await;
    scope.connection("wordpress", "wordpress", json!({}));
    scope.auth0.inject(Fault::status_with(400, refusal_of_params()).method("PATCH"));
    scope.create("blog", one("wordpress", "bad", "x")).await;
    scope.until_condition("blog", "Synced", "False", "Rejected").await;
    scope.lose_status("blog").await;
    scope.until_condition("blog", "Synced", "False", "Rejected").await;
}

#[tokio::test]
async fn the_forged_status_of_a_tenant_is_written_anew() {
    let scope = slow_scope("forged-tenant").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    let patch = Patch::Merge(json!({"status": {"conditions": []}}));
    scope.tenants().patch_status(&scope.name, &PatchParams::default(), &patch).await.unwrap();
    scope.until_tenant("Ready", "True", "Ready").await;
}

// ---- what is nobody's business ----

/// What a status and the events say, but for times and the name of what is meant.
async fn said(scope: &Scope<'_>, name: &str, id: &str) -> Vec<String> {
    let object = scope.get(name).await;
    let status = object.status.unwrap();
    let mut said: Vec<String> = status
        .conditions
        .iter()
        .map(|one| format!("{} {} {} {:?} {}", one.type_, one.status, one.reason, one.observed_generation, one.message))
        .collect();
    said.push(format!("{:?} {:?} {:?} {:?}", status.observed_generation, status.target, status.connections, status.last_synced_time));
    said.extend(scope.events(name).await);
    said.iter().map(|text| text.replace(id, "THE-ID")).collect()
}

#[tokio::test]
async fn whether_a_connection_exists_is_not_told_to_whom_it_is_not_admitted() {
    let scope = support::shared().bare_scope("business").await;
    scope.create_secret().await;
    scope
        .create_tenant(json!({"access": [{"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": ["shop-*"]}]}))
        .await;
    scope.connection("shop-one", "oidc", json!({}));
    let secret = scope.connection("secret", "oidc", json!({}));
    let saml = scope.connection("secret-saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));

    // By id: the same of one that is there, one of another type, and one that is not there.
    let by_id = |id: &str| json!({"connection": {"id": id}, "params": {"blog": {"value": "x"}}});
    let ids = [("there", secret.as_str()), ("saml", saml.as_str()), ("not-there", "con_nothing0000000")];
    let mut all = Vec::new();
    for (name, id) in ids {
        scope.create(name, by_id(id)).await;
        scope.until_condition(name, "ResolvedRefs", "False", "ConnectionNotFound").await;
        scope.until_event(name, "ConnectionNotFound").await;
        all.push(said(&scope, name, id).await);
    }
    assert_eq!(all[0], all[2]);
    assert_eq!(all[1], all[2]);
    assert!(!all[0].iter().any(|text| text.contains("secret")), "{:#?}", all[0]);

    // By name: not admitted comes before not there, also for an object that has a record elsewhere.
    scope.create("mover", one("shop-one", "blog", "ours")).await;
    scope.until_ready("mover").await;
    for target in ["secret", "secret-saml", "nothing"] {
        scope.edit("mover", json!({"connection": {"name": target}})).await;
        let object = scope.until_condition("mover", "Accepted", "False", "NotPermitted").await;
        assert!(!says(&object, "ResolvedRefs", "False", "ConnectionNotFound"), "{:#?}", object.status);
        assert!(support::is(&object, "Ready", "False", "NotPermitted"));
        assert_eq!(scope.auth0.upstream_params("shop-one"), json!({"blog": {"value": "ours"}}), "it has not arrived anywhere");
    }
    // Somebody who may and waits for a connection of that name draws nobody else's attention to its absence.
    scope.delete("mover").await;
    scope.until_gone("mover").await;
    assert_eq!(scope.auth0.upstream_params("shop-one"), Value::Null);
}

#[tokio::test]
async fn an_object_that_is_not_admitted_is_not_told_what_others_wait_for() {
    let scope = support::shared().bare_scope("waiting").await;
    scope.create_secret().await;
    let other = format!("{}-other", scope.name);
    let namespace: Namespace = from(json!({"metadata": {"name": other, "labels": {"other": scope.name}}}));
    Api::<Namespace>::all(scope.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    scope
        .create_tenant(json!({"access": [
            {"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": ["*"]},
            {"namespaceSelector": {"matchLabels": {"other": scope.name}}, "connections": ["shop-*"]},
        ]}))
        .await;
    scope.connection("shop-one", "oidc", json!({}));
    // This one has a record elsewhere, so its connections are looked at.
    let there: Api<UpstreamParams> = Api::namespaced(scope.client.clone(), &other);
    scope.create_in(&other, "mover", one("shop-one", "blog", "ours")).await;
    until("the other is ready", async || support::is(&there.get("mover").await.unwrap(), "Ready", "True", "Ready")).await;
    scope.create("waits", one("missing", "blog", "x")).await;
    scope.until_condition("waits", "ResolvedRefs", "False", "ConnectionNotFound").await;
    let patch = Patch::Merge(json!({"spec": {"connection": {"name": "missing"}}}));
    there.patch("mover", &PatchParams::default(), &patch).await.unwrap();
    until("NotPermitted", async || support::is(&there.get("mover").await.unwrap(), "Accepted", "False", "NotPermitted")).await;
    let finds = |auth0: &TenantHandle| calls(auth0, "GET").iter().filter(|call| call.path == "/api/v2/connections").count();
    let before = finds(&scope.auth0);
    scope.until_auth0("two more looks for the missing one", |auth0| finds(auth0) >= before + 2).await;
    let object = there.get("mover").await.unwrap();
    assert!(support::is(&object, "Ready", "False", "NotPermitted"), "{:#?}", object.status);
    assert!(!says(&object, "ResolvedRefs", "False", "ConnectionNotFound"), "{:#?}", object.status);
}

#[tokio::test]
async fn an_answer_that_lags_does_not_take_the_record_of_a_living_connection() {
    let scope = slow_scope("lags").await;
    settled(&scope).await;
    let id = scope.auth0.connection("wordpress")["id"].as_str().unwrap().to_owned();
    let before = scope.get("blog").await.resource_version();
    let not_found =
        json!({"statusCode": 404, "error": "Not Found", "message": "The connection does not exist", "errorCode": "inexistent_connection"});
    for _ in 0..2 {
        let path = format!("/api/v2/connections/{id}");
        scope.auth0.inject(Fault::status_with(404, not_found.to_string()).method("GET").path(&path).times(1));
        scope.prod().await;
        scope.until_auth0("the look that failed", |auth0| auth0.pending_faults() == 0).await;
        scope.prodded_looks(&id, 1).await;
    }
    assert_eq!(scope.get("blog").await.resource_version(), before, "{}", scope.describe("blog").await);
    assert!(!scope.events("blog").await.iter().any(|event| event.starts_with("Adopted")));
}

// ---- writes that fail ----

/// A scope behind a proxy that the test rules.
async fn fronted_scope(name: &str) -> (Scope<'static>, &'static Front) {
    let (bench, front) = fronted();
    let scope = bench.bare_scope(name).await;
    scope.create_secret().await;
    scope.create_tenant(json!({"resyncIntervalSeconds": 600})).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    (scope, front)
}

/// The path of an object, or of what is below it.
fn path_of(scope: &Scope<'_>, name: &str) -> String {
    format!("/namespaces/{}/upstreamparams/{name}", scope.name)
}

/// An object from its creation to its end, while one write of the operator to it fails.
async fn lives_and_dies(scope: &Scope<'_>, front: &Front, name: &str, rule: Option<Rule>) -> usize {
    let id = scope.connection(name, "oauth2", json!({"upstream_params": theirs()}));
    if let Some(rule) = rule {
        front.rule(rule);
    }
    scope.create(name, one(name, "blog", "one")).await;
    scope.until_ready(name).await;
    scope.edit(name, json!({"params": {"blog": {"value": "two"}}})).await;
    scope.until_ready(name).await;
    assert_eq!(scope.auth0.upstream_params(name)["blog"], json!({"value": "two"}));
    scope.delete(name).await;
    scope.until_gone(name).await;
    assert_eq!(scope.auth0.upstream_params(name), theirs(), "{name}");
    assert_eq!(scope.patches(&id).len(), 3, "{name}\n{}", scope.describe(name).await);
    scope.until_event(name, "ParametersRemoved").await;
    front.calls("*", &path_of(scope, name)).len()
}

#[tokio::test]
async fn whichever_write_to_an_object_fails_once_it_ends_as_if_none_had() {
    let (scope, front) = fronted_scope("once").await;
    let writes = lives_and_dies(&scope, front, "reference", None).await;
    assert!((7..=9).contains(&writes), "{writes} writes");
    let acts = [("refuse", Act::Refuse(500)), ("conflict", Act::Refuse(409)), ("belie", Act::Belie(500))];
    let cases = acts.into_iter().flat_map(|(what, act)| (0..writes).map(move |nth| (format!("{what}-{nth}"), act, nth)));
    let lives = cases.map(|(name, act, nth)| {
        let scope = &scope;
        async move {
            let rule = Rule::new("*", path_of(scope, &name), act).after(nth).times(1);
            lives_and_dies(scope, front, &name, Some(rule)).await;
            assert_eq!(front.met("*", &path_of(scope, &name)), 1, "{name}");
        }
    });
    futures::future::join_all(lives).await;
}

#[tokio::test]
async fn the_status_of_an_object_that_is_concluded_at_once_is_written_though_the_write_failed_once() {
    let (scope, front) = fronted_scope("once-at-once").await;
    let cases = [
        (
            "no-tenant",
            json!({"tenantRef": {"name": "none"}, "connection": {"name": "x"}, "params": {"a": {"value": "1"}}}),
            "TenantNotFound",
        ),
        ("missing", one("missing", "a", "1"), "ConnectionNotFound"),
        ("saml", one("saml", "a", "1"), "UnsupportedStrategy"),
        ("refused", one("CODE", "bad", "1"), "Rejected"),
    ];
    scope.connection("saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));
    for connection in ["c500", "c409"] {
        scope.connection(connection, "oidc", json!({}));
    }
    scope.auth0.inject(Fault::status_with(400, refusal_of_params()).method("PATCH"));
    for code in [500, 409] {
        for (name, spec, reason) in &cases {
            let name = format!("{name}-{code}");
            // A claim is no verdict: of what is refused it is the second status that tells.
            let rule = Rule::new("PUT", path_of(&scope, &name), Act::Refuse(code)).body(*reason).times(1);
            front.rule(rule);
            scope.create(&name, from(serde_json::from_str(&spec.to_string().replace("CODE", &format!("c{code}"))).unwrap())).await;
            scope.until(&name, reason, |object| support::is(object, "Ready", "False", reason)).await;
            assert_eq!(front.met("PUT", &path_of(&scope, &name)), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_released_goes_and_is_told_of_though_the_write_failed_once() {
    let (scope, front) = fronted_scope("once-released").await;
    let acts = [("refused", Act::Refuse(500)), ("conflict", Act::Refuse(409)), ("belied", Act::Belie(500))];
    for (name, _) in acts {
        scope.connection(name, "oidc", json!({}));
        scope.create(name, one(name, "blog", "ours")).await;
        scope.until_ready(name).await;
    }
    scope.patch_tenant(json!({"managementPolicy": "Observe"})).await;
    for (name, act) in acts {
        scope.until_condition(name, "Ready", "True", "Observing").await;
        front.rule(Rule::new("PATCH", path_of(&scope, name), act).times(1));
        scope.delete(name).await;
        scope.until_gone(name).await;
        scope.until_event(name, "ParametersLeft").await;
        assert_eq!(front.met("PATCH", &path_of(&scope, name)), 1);
        assert_eq!(scope.event_counts(name).await["ParametersLeft"], 1, "told once");
        assert_eq!(scope.auth0.upstream_params(name), json!({"blog": {"value": "ours"}}));
    }
}

#[tokio::test]
async fn a_finalizer_that_could_not_be_put_back_at_once_is_put_back_later() {
    let (scope, front) = fronted_scope("once-strip").await;
    settled(&scope).await;
    for code in [500, 409] {
        let met = front.met("PATCH", &path_of(&scope, "blog"));
        front.rule(Rule::new("PATCH", path_of(&scope, "blog"), Act::Refuse(code)).times(1));
        scope.strip_finalizers("blog").await;
        scope.until_finalizer("blog", true).await;
        assert_eq!(front.met("PATCH", &path_of(&scope, "blog")), met + 1);
    }
}

#[tokio::test]
async fn an_event_that_could_not_be_stored_at_once_is_stored_later() {
    let (scope, front) = fronted_scope("once-event").await;
    let events = format!("/namespaces/{}/events", scope.name);
    front.rule(Rule::new("POST", events.clone(), Act::Refuse(500)).times(1));
    scope.connection("wordpress", "oidc", json!({}));
    scope.create("blog", one("wordpress", "blog", "ours")).await;
    scope.until_event("blog", "Applied").await;
    assert_eq!(front.met("POST", &events), 1);
}

#[tokio::test]
async fn the_status_of_a_tenant_is_written_though_the_write_failed_once() {
    let (bench, front) = fronted();
    for code in [500, 409] {
        let scope = bench.bare_scope(&format!("once-tenant-{code}")).await;
        let path = format!("/clusterauth0tenants/{}/status", scope.name);
        front.rule(Rule::new("PUT", path.clone(), Act::Refuse(code)).times(1));
        // Without a Secret nothing else comes that could write it.
        scope.create_tenant(json!({})).await;
        scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
        assert_eq!(front.met("PUT", &path), 1);
        front.rule(Rule::new("PUT", path.clone(), Act::Refuse(code)).times(1));
        scope.create_secret().await;
        scope.until_tenant("Ready", "True", "Ready").await;
    }
}

#[tokio::test]
async fn writes_that_are_refused_again_and_again_come_less_and_less_often() {
    let (scope, front) = fronted_scope("storm").await;
    settled(&scope).await;
    let (object, tenant) = (path_of(&scope, "blog"), format!("/clusterauth0tenants/{}/status", scope.name));
    for code in [409, 500] {
        let before = (front.met("PUT", &object), front.met("PUT", &tenant));
        scope.auth0.clear_journal();
        front.rule(Rule::new("PUT", object.clone(), Act::Refuse(code)));
        front.rule(Rule::new("PUT", tenant.clone(), Act::Refuse(code)));
        scope.lose_status("blog").await;
        let patch = Patch::Merge(json!({"status": {"conditions": []}}));
        scope.tenants().patch_status(&scope.name, &PatchParams::default(), &patch).await.unwrap();
        tokio::time::sleep(Duration::from_secs(8)).await;
        let met = (front.met("PUT", &object) - before.0, front.met("PUT", &tenant) - before.1);
        assert!((1..=8).contains(&met.0) && (1..=8).contains(&met.1), "{met:?} tries within eight seconds");
        let looks = calls(&scope.auth0, "GET").len();
        assert!(looks <= 10, "{looks} looks within eight seconds");
        front.clear(&object);
        front.clear(&tenant);
        scope.until_ready("blog").await;
        scope.until_tenant("Ready", "True", "Ready").await;
    }
}

// ---- claims ----

/// So many objects on one connection, with one parameter each.
async fn crowd(scope: &Scope<'_>, count: usize) -> Vec<String> {
    scope.connection("crowded", "oauth2", json!({"upstream_params": theirs()}));
    let names: Vec<String> = (0..count).map(|nth| format!("one-of-{nth:03}")).collect();
    futures::future::join_all(names.iter().map(|name| scope.create(name, one("crowded", name, "x")))).await;
    names
}

async fn all_are_written(scope: &Scope<'_>, names: &[String]) {
    for name in names {
        scope.until_ready(name).await;
    }
    let live = scope.auth0.upstream_params("crowded");
    assert_eq!(live.as_object().unwrap().len(), names.len() + 1);
}

#[tokio::test]
async fn twenty_objects_on_one_connection_are_written_though_each_status_takes_a_tenth_of_a_second() {
    let (scope, front) = fronted_scope("crowd-20").await;
    front.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(100))));
    let names = crowd(&scope, 20).await;
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn a_hundred_objects_on_one_connection_are_written_though_each_status_takes_a_fiftieth_of_a_second() {
    let (scope, front) = fronted_scope("crowd-100").await;
    front.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(20))));
    let names = crowd(&scope, 100).await;
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn claims_that_take_longer_than_there_is_time_are_written_in_parts() {
    let (scope, front) = fronted_scope("crowd-slow").await;
    front.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(900))));
    // Only one round of claims fits into the time, and that is not enough for all.
    let names = crowd(&scope, 40).await;
    scope.until_auth0("two writes", |auth0| patches(auth0) >= 2).await;
    front.clear(&path_of(&scope, "one-of"));
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn a_claim_that_can_never_be_stored_keeps_nobody_else_from_being_written() {
    let (scope, front) = fronted_scope("crowd-one").await;
    front.rule(Rule::new("PUT", path_of(&scope, "one-of-001"), Act::Refuse(500)));
    let names = crowd(&scope, 3).await;
    for name in [&names[0], &names[2]] {
        scope.until_ready(name).await;
    }
    assert_eq!(scope.auth0.upstream_params("crowded").get("one-of-001"), None, "what is not claimed is not written");
    front.clear("one-of-001");
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn passes_that_come_to_no_result_say_so() {
    let (scope, front) = fronted_scope("crowd-never").await;
    let rule = Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(2500)));
    front.rule(rule);
    let names = crowd(&scope, 2).await;
    for name in &names {
        let told = |object: &UpstreamParams| {
            says(object, "Synced", "Unknown", "Pending") && support::message(object, "Synced").contains("could not be stored in time")
        };
        let object = scope.until(name, "Pending, and why", told).await;
        assert!(support::is(&object, "Ready", "Unknown", "Pending"), "{:#?}", object.status);
        assert!(support::is(&object, "Reconciling", "True", "Progressing"), "{:#?}", object.status);
    }
    scope.until_logged("passes come to no result").await;
    assert_eq!(patches(&scope.auth0), 0);
    front.clear(&path_of(&scope, "one-of"));
    all_are_written(&scope, &names).await;
}

// ---- what is not known yet ----

/// A namespace with these labels.
async fn namespace(client: &Client, name: &str, labels: Value) {
    let namespace: Namespace = from(json!({"metadata": {"name": name, "labels": labels}}));
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

#[tokio::test]
async fn a_namespace_that_is_not_known_yet_has_not_no_labels() {
    let mut bench = Bench::without_operator().await;
    let front = Front::before(&bench);
    bench.operator_kubeconfig(front.kubeconfig.clone());
    bench.start_operator();
    bench.ready().await;
    let scope = bench.bare_scope("unknown").await;
    scope.create_secret().await;
    let forbidden = json!([{"key": "forbidden", "operator": "DoesNotExist"}]);
    let trusted = json!([{"key": "trusted", "operator": "In", "values": ["yes"]}]);
    scope
        .create_tenant(json!({"resyncIntervalSeconds": 600, "access": [
            {"namespaceSelector": {"matchExpressions": forbidden}, "connections": ["open", "fence"]},
            {"namespaceSelector": {"matchExpressions": trusted}, "connections": ["trusted"]},
        ]}))
        .await;
    for connection in ["open", "fence"] {
        scope.connection(connection, "oidc", json!({"upstream_params": theirs()}));
    }
    scope.connection("trusted", "oidc", json!({"upstream_params": both()}));
    scope.create("first", one("fence", "first", "x")).await;
    scope.until_ready("first").await;

    // From now on the watch of objects is ahead of that of namespaces.
    front.hold("/api/v1/namespaces");
    let (out, inside) = (format!("{}-out", scope.name), format!("{}-in", scope.name));
    namespace(&scope.client, &out, json!({"forbidden": "yes", "trusted": "no"})).await;
    namespace(&scope.client, &inside, json!({"trusted": "yes", "forbidden": "yes"})).await;
    let outside: Api<UpstreamParams> = Api::namespaced(scope.client.clone(), &out);
    let within: Api<UpstreamParams> = Api::namespaced(scope.client.clone(), &inside);
    scope.create_in(&out, "blog", one("open", "blog", "x")).await;
    scope.create_in(&inside, "blog", one("trusted", "hint", "x")).await;
    // One that lost its record, as in a restored backup, and is deleted.
    scope.create_in(&inside, "dying", one("trusted", "blog", "ours")).await;
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": [upstream_params_operator::api::FINALIZER]}}));
    within.patch("dying", &PatchParams::default(), &finalizers).await.unwrap();
    within.delete("dying", &DeleteParams::default()).await.unwrap();
    // What comes after all of that in the watch of objects is through.
    scope.create("second", one("fence", "second", "x")).await;
    scope.until_ready("second").await;
    for (api, name) in [(&outside, "blog"), (&within, "blog"), (&within, "dying")] {
        let object = api.get(name).await.unwrap();
        assert_eq!(object.status.unwrap_or_default().conditions, [], "{name}: no verdict");
    }
    assert_eq!((scope.auth0.upstream_params("open"), scope.auth0.upstream_params("trusted")), (theirs(), both()));

    front.let_go();
    until("NotPermitted", async || support::is(&outside.get("blog").await.unwrap(), "Accepted", "False", "NotPermitted")).await;
    until("Ready", async || support::is(&within.get("blog").await.unwrap(), "Ready", "True", "Ready")).await;
    until("the end", async || within.get_opt("dying").await.unwrap().is_none()).await;
    assert_eq!(scope.auth0.upstream_params("open"), theirs());
    assert_eq!(scope.auth0.upstream_params("trusted"), json!({"theirs": {"value": "kept"}, "hint": {"value": "x"}}));
    bench.stop_operator().await;
}

#[tokio::test]
async fn a_deletion_in_a_namespace_that_stays_unknown_goes_after_a_while_and_is_told_of() {
    let mut bench = Bench::without_operator().await;
    let front = Front::before(&bench);
    bench.operator_kubeconfig(front.kubeconfig.clone());
    bench.start_operator();
    bench.ready().await;
    let scope = bench.scope("never-known").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    front.hold("/api/v1/namespaces");
    let name = format!("{}-other", scope.name);
    namespace(&scope.client, &name, json!({"scope": scope.name})).await;
    let api: Api<UpstreamParams> = Api::namespaced(scope.client.clone(), &name);
    scope.create_in(&name, "dying", one("wordpress", "blog", "ours")).await;
    let finalizers = Patch::Merge(json!({"metadata": {"finalizers": [upstream_params_operator::api::FINALIZER]}}));
    api.patch("dying", &PatchParams::default(), &finalizers).await.unwrap();
    api.delete("dying", &DeleteParams::default()).await.unwrap();
    let give_up = Instant::now() + 2 * SOON;
    while api.get_opt("dying").await.unwrap().is_some() {
        assert!(Instant::now() < give_up, "it is kept for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.stop_operator().await;
}

#[tokio::test]
async fn a_namespace_that_loses_its_label_and_gets_it_back_when_it_is_deleted_does_not_stay() {
    let scope = slow_scope("relabelled").await;
    settled(&scope).await;
    let other = format!("{}-other", scope.name);
    scope.create_namespace(&other).await;
    let there: Api<UpstreamParams> = Api::namespaced(scope.client.clone(), &other);
    scope.label_namespace(json!({"scope": null})).await;
    scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    // Another takes the name, with the value that is there.
    scope.create_in(&other, "taker", one("wordpress", "blog", "ours")).await;
    until("taken over", async || support::is(&there.get("taker").await.unwrap(), "Ready", "True", "Ready")).await;

    scope.label_namespace(json!({"scope": scope.name})).await;
    let namespaces = Api::<Namespace>::all(scope.client.clone());
    namespaces.delete(&scope.name, &DeleteParams::default()).await.unwrap();
    // The namespace controller comes back to a namespace that was not empty only after a while.
    let give_up = Instant::now() + 2 * SOON;
    while namespaces.get_opt(&scope.name).await.unwrap().is_some() {
        assert!(Instant::now() < give_up, "the namespace stays\n{}", scope.describe("").await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(scope.auth0.upstream_params("wordpress"), both(), "it is the other's now");
    assert!(support::is(&there.get("taker").await.unwrap(), "Ready", "True", "Ready"));
}

// ---- kinds that come and go ----

#[tokio::test]
async fn kinds_that_are_deleted_and_installed_again_are_served_without_a_restart_and_nothing_is_removed_for_want_of_tenants() {
    let mut bench = Bench::without_operator().await;
    bench.start_operator();
    bench.ready().await;
    let scope = bench.scope("kinds").await;
    settled(&scope).await;
    let definitions = Api::<CustomResourceDefinition>::all(scope.client.clone());
    let gone = async |name: &str| {
        definitions.delete(name, &DeleteParams::default()).await.unwrap();
        until("the kind is gone", async || definitions.get_opt(name).await.unwrap().is_none()).await;
    };

    // The tenants' kind alone.
    gone("clusterauth0tenants.upstreamparams.dev").await;
    let object = scope.until_condition("blog", "ResolvedRefs", "False", "TenantNotFound").await;
    assert!(has_finalizer(&object));
    scope.until_logged("the API server does not know this kind").await;
    scope.delete("blog").await;
    bench.install_definitions().await;
    scope.create_tenant(json!({"resyncIntervalSeconds": 600})).await;
    // A deletion of that time is not taken for one without a tenant: it waits until the tenant can be seen again.
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());

    // Both.
    scope.create("again", one("wordpress", "blog", "ours")).await;
    scope.settle("again").await;
    gone("upstreamparams.upstreamparams.dev").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs(), "its objects were deleted with it");
    gone("clusterauth0tenants.upstreamparams.dev").await;
    bench.install_definitions().await;
    scope.create_tenant(json!({"resyncIntervalSeconds": 600})).await;
    scope.create("anew", one("wordpress", "blog", "ours")).await;
    scope.until_ready("anew").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
    bench.stop_operator().await;
}
