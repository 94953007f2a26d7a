//! What Kubernetes does to the operator: writes that fail or are slow, others who take what is ours from an object,
//! news that comes in another order than it happened, and things that are not known yet.

use std::time::Duration;

use auth0_emulator::TenantHandle;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use test_support::journal::{calls, error, id_of, patches, refusal_of};
use test_support::manifest::{Params, edit, on, on_id, tenant, theirs, value};
use test_support::status::{has_finalizer, is, message, says};
use test_support::wait::{SOON, until};
use test_support::{Act, ApiProxy, Rule, Scope, World, from};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

fn both() -> Params {
    theirs().value("blog", "ours")
}

// ---- what was left behind ----

#[tokio::test]
async fn an_object_that_is_gone_before_it_could_clean_up_is_told_of_on_the_tenant_and_in_the_log() {
    let scope = World::shared().quiet_scope("went").await;
    scope.settled_blog().await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    scope.delete("blog").await;
    assert!(has_finalizer(&scope.until_condition("blog", "Ready", "False", "Deleting").await));
    scope.strip_finalizers("blog").await;
    scope.until_gone("blog").await;
    let told = scope.until_tenant_event("ParametersLeft").await;
    let object = format!("UpstreamParams {}/blog", scope.name);
    assert!(told.contains(&object) && told.contains("left at Auth0: blog on the connection wordpress"), "{told}");
    assert!(!told.contains("ours"), "{told}");
    let log = scope.world.log_text();
    let line = log.lines().find(|line| line.contains("parameters were left at Auth0") && line.contains(&scope.name)).unwrap();
    assert!(line.contains("WARN") && line.contains("blog on the connection wordpress"), "{line}");
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

#[tokio::test]
async fn what_a_namespace_that_takes_no_events_any_more_left_behind_is_told_on_the_tenant_and_in_the_log() {
    let scope = World::shared().quiet_scope("refused-event").await;
    scope.settled_blog().await;
    scope.patch_tenant(tenant().observe()).await;
    scope.until_condition("blog", "Ready", "True", "Observing").await;
    scope.delete_namespace().await;
    let told = scope.until_tenant_event("ParametersLeft").await;
    assert!(told.contains(&format!("UpstreamParams {}/blog", scope.name)) && told.contains("has managementPolicy: Observe"), "{told}");
    scope.until_logged("its namespace takes no more events").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

// ---- what others take ----

#[tokio::test]
async fn a_finalizer_that_is_taken_is_put_back_without_a_call_to_the_tenant() {
    let scope = World::shared().quiet_scope("strip").await;
    scope.settled_blog().await;
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
    scope.until_logged("somebody removed the finalizer of an object").await;

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
    let scope = World::shared().quiet_scope("strip-retain").await;
    scope.settled_blog().await;
    scope.edit("blog", edit().retain()).await;
    scope.until_finalizer("blog", false).await;
    scope.settle("blog").await;
    scope.copy_finalizer("blog").await;
    scope.until_finalizer("blog", false).await;
}

#[tokio::test]
async fn a_status_that_is_erased_or_forged_is_looked_at_and_written_anew() {
    let scope = World::shared().quiet_scope("forged").await;
    scope.settled_blog().await;
    let before = scope.get("blog").await.status.unwrap();
    let same = |object: &UpstreamParams| {
        let status = object.status.as_ref().unwrap();
        status.connections == before.connections && status.conditions.len() == before.conditions.len()
    };
    scope.lose_status("blog").await;
    scope.until("blog", "its status again", |object| same(object) && is(object, "Ready", "True", "Ready")).await;
    scope.forge_status("blog", json!({"observedGeneration": 0, "conditions": [], "connections": [], "target": "elsewhere"})).await;
    scope.until("blog", "its status again", |object| same(object) && is(object, "Ready", "True", "Ready")).await;
    assert_eq!(patches(&scope.auth0), 0);

    // Also where nothing is looked at: what is invalid for this connection, and what has no tenant.
    scope.create("elsewhere", on("wordpress").tenant("none").value("a", "1")).await;
    scope.until_condition("elsewhere", "ResolvedRefs", "False", "TenantNotFound").await;
    scope.lose_status("elsewhere").await;
    scope.until_condition("elsewhere", "ResolvedRefs", "False", "TenantNotFound").await;
}

#[tokio::test]
async fn the_erased_status_of_a_refused_object_comes_back() {
    let scope = World::shared().quiet_scope("forged-refused").await;
    scope.connection("wordpress", "wordpress");
    scope.auth0.inject(refusal_of("bad"));
    scope.create("blog", on("wordpress").value("bad", "x")).await;
    scope.until_condition("blog", "Synced", "False", "Rejected").await;
    scope.lose_status("blog").await;
    scope.until_condition("blog", "Synced", "False", "Rejected").await;
}

#[tokio::test]
async fn the_forged_status_of_a_tenant_is_written_anew() {
    let scope = World::shared().quiet_scope("forged-tenant").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.forge_tenant_status().await;
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
    let scope = World::shared().bare_scope("business").await;
    scope.create_secret().await;
    scope.create_tenant(tenant().admit(("scope", &scope.name), ["shop-*"])).await;
    // The watch of objects may be ahead of that of tenants, and then the first object is told that there is no tenant.
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.connection("shop-one", "oidc");
    let secret = scope.connection("secret", "oidc");
    let saml = scope.connection_with("secret-saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));

    // By id: the same of one that is there, one of another type, and one that is not there.
    let by_id = |id: &str| on_id(id).value("blog", "x");
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
    scope.create("mover", on("shop-one").value("blog", "ours")).await;
    scope.until_ready("mover").await;
    for target in ["secret", "secret-saml", "nothing"] {
        scope.edit("mover", on(target)).await;
        let object = scope.until_condition("mover", "Accepted", "False", "NotPermitted").await;
        assert!(!says(&object, "ResolvedRefs", "False", "ConnectionNotFound"), "{:#?}", object.status);
        assert!(is(&object, "Ready", "False", "NotPermitted"));
        assert_eq!(scope.auth0.upstream_params("shop-one"), value("blog", "ours"), "it has not arrived anywhere");
    }
    // Somebody who may and waits for a connection of that name draws nobody else's attention to its absence.
    scope.delete("mover").await;
    scope.until_gone("mover").await;
    assert_eq!(scope.auth0.upstream_params("shop-one"), Value::Null);
}

#[tokio::test]
async fn an_object_that_is_not_admitted_is_not_told_what_others_wait_for() {
    let scope = World::shared().bare_scope("waiting").await;
    scope.create_secret().await;
    let there = scope.namespaced(format!("{}-other", scope.name));
    scope.create_labelled_namespace(&there.namespace, json!({"other": scope.name})).await;
    scope.create_tenant(tenant().admit(("scope", &scope.name), ["*"]).admit(("other", &scope.name), ["shop-*"])).await;
    scope.connection("shop-one", "oidc");
    // This one has a record elsewhere, so its connections are looked at.
    there.create("mover", on("shop-one").value("blog", "ours")).await;
    there.until_ready("mover").await;
    scope.create("waits", on("missing").value("blog", "x")).await;
    scope.until_condition("waits", "ResolvedRefs", "False", "ConnectionNotFound").await;
    there.edit("mover", on("missing")).await;
    there.until_condition("mover", "Accepted", "False", "NotPermitted").await;
    let finds = |auth0: &TenantHandle| calls(auth0, "GET").iter().filter(|call| call.path == "/api/v2/connections").count();
    let before = finds(&scope.auth0);
    scope.until_auth0("two more looks for the missing one", |auth0| finds(auth0) >= before + 2).await;
    let object = there.get("mover").await;
    assert!(is(&object, "Ready", "False", "NotPermitted"), "{:#?}", object.status);
    assert!(!says(&object, "ResolvedRefs", "False", "ConnectionNotFound"), "{:#?}", object.status);
}

#[tokio::test]
async fn an_answer_that_lags_does_not_take_the_record_of_a_living_connection() {
    let scope = World::shared().quiet_scope("lags").await;
    scope.settled_blog().await;
    let id = id_of(&scope.auth0, "wordpress");
    let before = scope.get("blog").await.resource_version();
    for _ in 0..2 {
        let path = format!("/api/v2/connections/{id}");
        scope.auth0.inject(error(404, "inexistent_connection", "The connection does not exist").method("GET").path(&path).times(1));
        scope.prod().await;
        scope.until_auth0("the look that failed", |auth0| auth0.pending_faults() == 0).await;
        scope.prodded_looks(&id, 1).await;
    }
    assert_eq!(scope.get("blog").await.resource_version(), before, "{}", scope.describe("blog").await);
    assert!(!scope.events("blog").await.iter().any(|event| event.starts_with("Adopted")));
}

// ---- writes that fail ----

/// A scope behind a proxy that the test rules.
async fn proxied_scope(name: &str) -> (Scope<'static>, &'static ApiProxy) {
    let world = World::shared_behind_a_proxy();
    let scope = world.scope_with(name, tenant().resync(600)).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    (scope, world.proxy())
}

/// The path of an object, or of what is below it.
fn path_of(scope: &Scope<'_>, name: &str) -> String {
    format!("/namespaces/{}/upstreamparams/{name}", scope.name)
}

/// An object from its creation to its end, while one write of the operator to it fails.
async fn lives_and_dies(scope: &Scope<'_>, proxy: &ApiProxy, name: &str, rule: Option<Rule>) -> usize {
    let id = scope.connection_of(name, "oauth2", theirs());
    if let Some(rule) = rule {
        proxy.rule(rule);
    }
    scope.create(name, on(name).value("blog", "one")).await;
    scope.until_ready(name).await;
    scope.edit(name, edit().value("blog", "two")).await;
    scope.until_ready(name).await;
    assert_eq!(scope.auth0.upstream_params(name)["blog"], json!({"value": "two"}));
    scope.delete(name).await;
    scope.until_gone(name).await;
    assert_eq!(scope.auth0.upstream_params(name), theirs(), "{name}");
    assert_eq!(scope.patches(&id).len(), 3, "{name}\n{}", scope.describe(name).await);
    scope.until_event(name, "ParametersRemoved").await;
    proxy.calls("*", &path_of(scope, name)).len()
}

#[tokio::test]
async fn whichever_write_to_an_object_fails_once_it_ends_as_if_none_had() {
    let (scope, proxy) = proxied_scope("once").await;
    let writes = lives_and_dies(&scope, proxy, "reference", None).await;
    assert!((7..=9).contains(&writes), "{writes} writes");
    let acts = [("refuse", Act::Refuse(500)), ("conflict", Act::Refuse(409)), ("belie", Act::Belie(500))];
    let cases = acts.into_iter().flat_map(|(what, act)| (0..writes).map(move |nth| (format!("{what}-{nth}"), act, nth)));
    let lives = cases.map(|(name, act, nth)| {
        let scope = &scope;
        async move {
            let rule = Rule::new("*", path_of(scope, &name), act).after(nth).times(1);
            lives_and_dies(scope, proxy, &name, Some(rule)).await;
            assert_eq!(proxy.met("*", &path_of(scope, &name)), 1, "{name}");
        }
    });
    futures::future::join_all(lives).await;
}

#[tokio::test]
async fn the_status_of_an_object_that_is_concluded_at_once_is_written_though_the_write_failed_once() {
    let (scope, proxy) = proxied_scope("once-at-once").await;
    scope.connection_with("saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));
    for connection in ["c500", "c409"] {
        scope.connection(connection, "oidc");
    }
    scope.auth0.inject(refusal_of("bad"));
    for code in [500, 409] {
        let cases = [
            ("no-tenant", on("x").tenant("none").value("a", "1"), "TenantNotFound"),
            ("missing", on("missing").value("a", "1"), "ConnectionNotFound"),
            ("saml", on("saml").value("a", "1"), "UnsupportedStrategy"),
            ("refused", on(&format!("c{code}")).value("bad", "1"), "Rejected"),
        ];
        for (name, spec, reason) in cases {
            let name = format!("{name}-{code}");
            // A claim is no verdict: of what is refused it is the second status that tells.
            let rule = Rule::new("PUT", path_of(&scope, &name), Act::Refuse(code)).body(reason).times(1);
            proxy.rule(rule);
            scope.create(&name, spec).await;
            scope.until(&name, reason, |object| is(object, "Ready", "False", reason)).await;
            assert_eq!(proxy.met("PUT", &path_of(&scope, &name)), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_released_goes_and_is_told_of_though_the_write_failed_once() {
    let (scope, proxy) = proxied_scope("once-released").await;
    let acts = [("refused", Act::Refuse(500)), ("conflict", Act::Refuse(409)), ("belied", Act::Belie(500))];
    for (name, _) in acts {
        scope.connection(name, "oidc");
        scope.create(name, on(name).value("blog", "ours")).await;
        scope.until_ready(name).await;
    }
    scope.patch_tenant(tenant().observe()).await;
    for (name, act) in acts {
        scope.until_condition(name, "Ready", "True", "Observing").await;
        proxy.rule(Rule::new("PATCH", path_of(&scope, name), act).times(1));
        scope.delete(name).await;
        scope.until_gone(name).await;
        scope.until_event(name, "ParametersLeft").await;
        assert_eq!(proxy.met("PATCH", &path_of(&scope, name)), 1);
        assert_eq!(scope.event_counts(name).await["ParametersLeft"], 1, "told once");
        assert_eq!(scope.auth0.upstream_params(name), value("blog", "ours"));
    }
}

#[tokio::test]
async fn a_finalizer_that_could_not_be_put_back_at_once_is_put_back_later() {
    let (scope, proxy) = proxied_scope("once-strip").await;
    scope.settled_blog().await;
    for code in [500, 409] {
        let met = proxy.met("PATCH", &path_of(&scope, "blog"));
        proxy.rule(Rule::new("PATCH", path_of(&scope, "blog"), Act::Refuse(code)).times(1));
        scope.strip_finalizers("blog").await;
        scope.until_finalizer("blog", true).await;
        assert_eq!(proxy.met("PATCH", &path_of(&scope, "blog")), met + 1);
    }
}

#[tokio::test]
async fn an_event_that_could_not_be_stored_at_once_is_stored_later() {
    let (scope, proxy) = proxied_scope("once-event").await;
    let events = format!("/namespaces/{}/events", scope.name);
    proxy.rule(Rule::new("POST", events.clone(), Act::Refuse(500)).times(1));
    scope.connection("wordpress", "oidc");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.until_event("blog", "Applied").await;
    assert_eq!(proxy.met("POST", &events), 1);
}

#[tokio::test]
async fn the_status_of_a_tenant_is_written_though_the_write_failed_once() {
    let world = World::shared_behind_a_proxy();
    let proxy = world.proxy();
    for code in [500, 409] {
        let scope = world.bare_scope(&format!("once-tenant-{code}")).await;
        let path = format!("/clusterauth0tenants/{}/status", scope.name);
        proxy.rule(Rule::new("PUT", path.clone(), Act::Refuse(code)).times(1));
        // Without a Secret nothing else comes that could write it.
        scope.create_tenant(tenant()).await;
        scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
        assert_eq!(proxy.met("PUT", &path), 1);
        proxy.rule(Rule::new("PUT", path.clone(), Act::Refuse(code)).times(1));
        scope.create_secret().await;
        scope.until_tenant("Ready", "True", "Ready").await;
    }
}

#[tokio::test]
async fn writes_that_are_refused_again_and_again_come_less_and_less_often() {
    let (scope, proxy) = proxied_scope("storm").await;
    scope.settled_blog().await;
    let (object, tenant) = (path_of(&scope, "blog"), format!("/clusterauth0tenants/{}/status", scope.name));
    for code in [409, 500] {
        let before = (proxy.met("PUT", &object), proxy.met("PUT", &tenant));
        scope.auth0.clear_journal();
        proxy.rule(Rule::new("PUT", object.clone(), Act::Refuse(code)));
        proxy.rule(Rule::new("PUT", tenant.clone(), Act::Refuse(code)));
        scope.lose_status("blog").await;
        scope.forge_tenant_status().await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        let met = (proxy.met("PUT", &object) - before.0, proxy.met("PUT", &tenant) - before.1);
        assert!((1..=8).contains(&met.0) && (1..=8).contains(&met.1), "{met:?} tries within eight seconds");
        let looks = calls(&scope.auth0, "GET").len();
        assert!(looks <= 10, "{looks} looks within eight seconds");
        proxy.clear(&object);
        proxy.clear(&tenant);
        scope.until_ready("blog").await;
        scope.until_tenant("Ready", "True", "Ready").await;
    }
}

// ---- claims ----

/// So many objects on one connection, with one parameter each.
async fn crowd(scope: &Scope<'_>, count: usize) -> Vec<String> {
    scope.connection_of("crowded", "oauth2", theirs());
    let names: Vec<String> = (0..count).map(|nth| format!("one-of-{nth:03}")).collect();
    futures::future::join_all(names.iter().map(|name| scope.create(name, on("crowded").value(name, "x")))).await;
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
    let (scope, proxy) = proxied_scope("crowd-20").await;
    proxy.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(100))));
    let names = crowd(&scope, 20).await;
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn a_hundred_objects_on_one_connection_are_written_though_each_status_takes_a_fiftieth_of_a_second() {
    let (scope, proxy) = proxied_scope("crowd-100").await;
    proxy.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(20))));
    let names = crowd(&scope, 100).await;
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn claims_that_take_longer_than_there_is_time_are_written_in_parts() {
    let (scope, proxy) = proxied_scope("crowd-slow").await;
    proxy.rule(Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(900))));
    // Only one round of claims fits into the time, and that is not enough for all.
    let names = crowd(&scope, 40).await;
    scope.until_auth0("two writes", |auth0| patches(auth0) >= 2).await;
    proxy.clear(&path_of(&scope, "one-of"));
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn a_claim_that_can_never_be_stored_keeps_nobody_else_from_being_written() {
    let (scope, proxy) = proxied_scope("crowd-one").await;
    proxy.rule(Rule::new("PUT", path_of(&scope, "one-of-001"), Act::Refuse(500)));
    let names = crowd(&scope, 3).await;
    for name in [&names[0], &names[2]] {
        scope.until_ready(name).await;
    }
    assert_eq!(scope.auth0.upstream_params("crowded").get("one-of-001"), None, "what is not claimed is not written");
    proxy.clear("one-of-001");
    all_are_written(&scope, &names).await;
}

#[tokio::test]
async fn passes_that_come_to_no_result_say_so() {
    let (scope, proxy) = proxied_scope("crowd-never").await;
    let rule = Rule::new("PUT", path_of(&scope, "one-of"), Act::Delay(Duration::from_millis(2500)));
    proxy.rule(rule);
    let names = crowd(&scope, 2).await;
    for name in &names {
        let told = |object: &UpstreamParams| {
            says(object, "Synced", "Unknown", "Pending") && message(object, "Synced").contains("cannot store the ownership record in time")
        };
        let object = scope.until(name, "Pending, and why", told).await;
        assert!(is(&object, "Ready", "Unknown", "Pending"), "{:#?}", object.status);
        assert!(is(&object, "Reconciling", "True", "Progressing"), "{:#?}", object.status);
    }
    scope.until_logged("checks have no result").await;
    assert_eq!(patches(&scope.auth0), 0);
    proxy.clear(&path_of(&scope, "one-of"));
    all_are_written(&scope, &names).await;
}

// ---- what is not known yet ----

#[tokio::test]
async fn a_namespace_that_is_not_known_yet_has_not_no_labels() {
    let world = World::setup().behind_a_proxy().start().await;
    let proxy = world.proxy();
    let scope = world.bare_scope("unknown").await;
    scope.create_secret().await;
    let forbidden = json!([{"key": "forbidden", "operator": "DoesNotExist"}]);
    let trusted = json!([{"key": "trusted", "operator": "In", "values": ["yes"]}]);
    scope
        .create_tenant(tenant().resync(600).with(
            "access",
            json!([
                {"namespaceSelector": {"matchExpressions": forbidden}, "connections": ["open", "fence"]},
                {"namespaceSelector": {"matchExpressions": trusted}, "connections": ["trusted"]},
            ]),
        ))
        .await;
    for connection in ["open", "fence"] {
        scope.connection_of(connection, "oidc", theirs());
    }
    scope.connection_of("trusted", "oidc", both());
    scope.create("first", on("fence").value("first", "x")).await;
    scope.until_ready("first").await;

    // From now on the watch of objects is ahead of that of namespaces.
    proxy.hold("/api/v1/namespaces");
    let outside = scope.namespaced(format!("{}-out", scope.name));
    let within = scope.namespaced(format!("{}-in", scope.name));
    scope.create_labelled_namespace(&outside.namespace, json!({"forbidden": "yes", "trusted": "no"})).await;
    scope.create_labelled_namespace(&within.namespace, json!({"trusted": "yes", "forbidden": "yes"})).await;
    outside.create("blog", on("open").value("blog", "x")).await;
    within.create("blog", on("trusted").value("hint", "x")).await;
    // One that lost its record, as in a restored backup, and is deleted.
    within.create("dying", on("trusted").value("blog", "ours")).await;
    within.copy_finalizer("dying").await;
    within.delete("dying").await;
    // What comes after all of that in the watch of objects is through.
    scope.create("second", on("fence").value("second", "x")).await;
    scope.until_ready("second").await;
    for (namespace, name) in [(&outside, "blog"), (&within, "blog"), (&within, "dying")] {
        let object = namespace.get(name).await;
        assert_eq!(object.status.unwrap_or_default().conditions, [], "{name}: no verdict");
    }
    assert_eq!((scope.auth0.upstream_params("open"), scope.auth0.upstream_params("trusted")), (theirs().into(), both().into()));

    proxy.let_go();
    outside.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    within.until_ready("blog").await;
    within.until_gone("dying").await;
    assert_eq!(scope.auth0.upstream_params("open"), theirs());
    assert_eq!(scope.auth0.upstream_params("trusted"), theirs().value("hint", "x"));
    world.stop_operator().await;
}

#[tokio::test]
async fn a_deletion_in_a_namespace_that_stays_unknown_goes_after_a_while_and_is_told_of() {
    let world = World::setup().behind_a_proxy().start().await;
    let proxy = world.proxy();
    let scope = world.scope("never-known").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    proxy.hold("/api/v1/namespaces");
    let other = scope.other_namespace().await;
    other.create("dying", on("wordpress").value("blog", "ours")).await;
    other.copy_finalizer("dying").await;
    other.delete("dying").await;
    other.until_gone_within(2 * SOON, "dying").await;
    world.stop_operator().await;
}

#[tokio::test]
async fn a_namespace_that_loses_its_label_and_gets_it_back_when_it_is_deleted_does_not_stay() {
    let scope = World::shared().quiet_scope("relabelled").await;
    scope.settled_blog().await;
    let there = scope.other_namespace().await;
    scope.label_namespace(json!({"scope": null})).await;
    scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    // Another takes the name, with the value that is there.
    there.create("taker", on("wordpress").value("blog", "ours")).await;
    there.until_ready("taker").await;

    scope.label_namespace(json!({"scope": scope.name})).await;
    scope.delete_namespace().await;
    scope.until_namespace_gone().await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both(), "it is the other's now");
    assert!(is(&there.get("taker").await, "Ready", "True", "Ready"));
}

// ---- kinds that come and go ----

#[tokio::test]
async fn kinds_that_are_deleted_and_installed_again_are_served_without_a_restart_and_nothing_is_removed_for_want_of_tenants() {
    let world = World::setup().start().await;
    let scope = world.scope("kinds").await;
    scope.settled_blog().await;
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
    world.install_definitions().await;
    scope.create_tenant(tenant().resync(600)).await;
    // A deletion of that time is not taken for one without a tenant: it waits until the tenant can be seen again.
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());

    // Both.
    scope.create("again", on("wordpress").value("blog", "ours")).await;
    scope.settle("again").await;
    gone("upstreamparams.upstreamparams.dev").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs(), "its objects were deleted with it");
    gone("clusterauth0tenants.upstreamparams.dev").await;
    world.install_definitions().await;
    scope.create_tenant(tenant().resync(600)).await;
    scope.create("anew", on("wordpress").value("blog", "ours")).await;
    scope.until_ready("anew").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
    world.stop_operator().await;
}
