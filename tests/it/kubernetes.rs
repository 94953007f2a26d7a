//! What Kubernetes does to the operator: writes that fail or are slow, others who take what is ours from an object,
//! news that comes in another order than it happened, and things that are not known yet.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::steps::one;
use crate::support::{self, Scope, has_finalizer};

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
