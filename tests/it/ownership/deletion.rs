//! The end of an object: what it owns goes, what it does not own stays, and nothing keeps it for ever.

use auth0_emulator::{Fault, RateLimited};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use test_support::manifest::{Params, edit, on, tenant, theirs, value};
use test_support::status::{has_finalizer, is, message, owned, states};
use test_support::{SCOPES, Scope, World};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

fn both() -> Params {
    theirs().value("blog", "ours")
}

/// Deletes `blog` and asserts that it is released at once, with its parameters left and a warning.
async fn assert_released(scope: &Scope<'_>) {
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.until_event("blog", "ParametersLeft").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
    assert_eq!(scope.auth0.writes().len(), 0);
}

/// Deletes `blog` and asserts that it waits, then that it is finished once the trouble is over.
async fn assert_waits(scope: &Scope<'_>) -> UpstreamParams {
    scope.delete("blog").await;
    let object = scope.until_condition("blog", "Ready", "False", "Deleting").await;
    assert!(has_finalizer(&object));
    assert!(is(&object, "Reconciling", "True", "Progressing"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
    object
}

async fn assert_finished(scope: &Scope<'_>) {
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());
}

#[tokio::test]
async fn deletion_removes_what_is_owned_and_leaves_what_somebody_changed() {
    let scope = World::shared().quiet_scope("delete").await;
    scope.connection_of("wordpress", "wordpress", theirs());
    let before = scope.auth0.connection("wordpress");
    scope.create("blog", on("wordpress").value("a", "1").value("b", "2").alias("c", "prompt")).await;
    scope.settle("blog").await;
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"]["b"] = json!({"value": "marker-changed"});
        options["upstream_params"].as_object_mut().unwrap().remove("c");
    });
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "wordpress", &theirs().value("b", "marker-changed"));
    let left = scope.until_event("blog", "ParametersLeft").await;
    assert!(left.contains(" b ") && !left.contains("marker-changed"), "{left}");
    let removed = scope.until_event("blog", "ParametersRemoved").await;
    assert!(removed.contains("removed a on the connection wordpress"), "{removed}");
}

#[tokio::test]
async fn retain_leaves_the_parameters_and_needs_no_finalizer() {
    let scope = World::shared().quiet_scope("retain").await;
    let id = scope.connection("wordpress", "wordpress");
    let spec = on("wordpress").value("blog", "ours").retain();

    scope.create("blog", spec).await;
    assert!(!has_finalizer(&scope.settle("blog").await));
    for (policy, finalizer) in [("Delete", true), ("Retain", false)] {
        scope.edit("blog", edit().with("deletionPolicy", json!(policy))).await;
        scope.until_finalizer("blog", finalizer).await;
    }
    scope.until_ready("blog").await;
    scope.delete("blog").await;
    assert!(scope.api().get_opt("blog").await.unwrap().is_none(), "nothing holds it");
    scope.create("other", on("wordpress").value("other", "1")).await;
    scope.until_ready("other").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "ours").value("other", "1"));
    assert_eq!(scope.patches(&id).len(), 2);
}

#[tokio::test]
async fn a_parameter_dropped_from_the_spec_goes_whatever_the_deletion_policy_says() {
    let scope = World::shared().quiet_scope("retain-drop").await;
    scope.connection("wordpress", "wordpress");
    let spec = on("wordpress").value("a", "1").value("b", "2").retain();

    scope.create("blog", spec).await;
    scope.settle("blog").await;
    scope.edit("blog", edit().without("a")).await;
    let object = scope.until_ready("blog").await;
    assert_eq!(states(&object).into_keys().collect::<Vec<_>>(), ["b"]);
    assert!(is(&object, "Synced", "True", "Applied"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("b", "2"));
    assert!(scope.until_event("blog", "ParametersRemoved").await.contains("removed a "));
}

#[tokio::test]
async fn a_parameter_dropped_from_the_spec_after_somebody_changed_it_is_left() {
    let scope = World::shared().quiet_scope("drop-changed").await;
    scope.settled_blog().await;
    scope.edit("blog", edit().value("more", "1")).await;
    scope.settle("blog").await;
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"]["more"] = json!({"value": "changed"});
    });
    scope.edit("blog", edit().without("more")).await;
    scope.until("blog", "one parameter", |object| states(object).len() == 1).await;
    scope.until_event("blog", "ParametersLeft").await;
    assert_eq!(scope.auth0.upstream_params("wordpress")["more"], json!({"value": "changed"}));
    scope.until_ready("blog").await;
}

#[tokio::test]
async fn a_connection_that_is_gone_does_not_keep_the_object() {
    let scope = World::shared().quiet_scope("delete-gone").await;
    scope.settled_blog().await;
    assert!(scope.auth0.delete_connection("wordpress"));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn a_connection_made_anew_under_the_name_is_left_alone_by_the_deletion() {
    let scope = World::shared().quiet_scope("delete-anew").await;
    scope.settled_blog().await;
    assert!(scope.auth0.delete_connection("wordpress"));
    scope.connection_of("wordpress", "wordpress", both());
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both(), "nothing there was ever ours");
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn an_object_whose_tenant_object_is_gone_is_released_with_a_warning() {
    let scope = World::shared().quiet_scope("delete-no-tenant").await;
    scope.settled_blog().await;
    scope.tenants().delete(&scope.name, &DeleteParams::default()).await.unwrap();
    let object = scope.until_condition("blog", "ResolvedRefs", "False", "TenantNotFound").await;
    assert!(has_finalizer(&object));
    assert_eq!(owned(&object, "blog").len(), 1);
    assert_released(&scope).await;
}

#[tokio::test]
async fn an_object_whose_namespace_is_not_admitted_any_more_is_released_with_a_warning() {
    let scope = World::shared().quiet_scope("delete-no-access").await;
    scope.settled_blog().await;
    scope.patch_tenant(tenant().admit(("scope", "another"), ["*"])).await;
    let object = scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    assert_eq!(owned(&object, "blog").len(), 1);
    assert_released(&scope).await;
}

#[tokio::test]
async fn an_object_whose_connection_is_not_admitted_any_more_is_released_with_a_warning() {
    let scope = World::shared().quiet_scope("delete-no-conn").await;
    scope.settled_blog().await;
    scope.patch_tenant(tenant().admit(("scope", &scope.name), ["shop-*"])).await;
    scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    assert_released(&scope).await;
}

#[tokio::test]
async fn access_that_comes_back_before_the_deletion_makes_it_clean_up() {
    let scope = World::shared().quiet_scope("delete-access-back").await;
    scope.settled_blog().await;
    let access = |name: &str| json!({"access": [{"namespaceSelector": {"matchLabels": {"scope": name}}, "connections": ["*"]}]});
    scope.patch_tenant(access("another")).await;
    scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    scope.patch_tenant(access(&scope.name)).await;
    scope.until_ready("blog").await;
    scope.delete("blog").await;
    assert_finished(&scope).await;
}

#[tokio::test]
async fn an_object_of_an_observing_tenant_is_released_with_a_warning() {
    let scope = World::shared().quiet_scope("delete-observing").await;
    scope.settled_blog().await;
    scope.patch_tenant(tenant().observe()).await;
    let object = scope.until_condition("blog", "Ready", "True", "Observing").await;
    assert_eq!(owned(&object, "blog").len(), 1);
    assert_released(&scope).await;
}

#[tokio::test]
async fn an_observing_object_goes_at_once_and_leaves_its_parameters() {
    let scope = World::shared().quiet_scope("delete-observer").await;
    scope.settled_blog().await;
    scope.edit("blog", edit().observe()).await;
    scope.until_condition("blog", "Ready", "True", "Observing").await;
    scope.until_finalizer("blog", false).await;
    scope.delete("blog").await;
    assert!(scope.api().get_opt("blog").await.unwrap().is_none(), "nothing holds it");
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn a_missing_secret_makes_deletion_wait_until_it_is_back() {
    let scope = World::shared().quiet_scope("delete-no-secret").await;
    scope.settled_blog().await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    let object = assert_waits(&scope).await;
    assert!(message(&object, "Ready").contains("there is no Secret"), "{}", message(&object, "Ready"));
    assert!(message(&object, "Ready").contains("deletionPolicy: Retain"));
    scope.create_secret().await;
    assert_finished(&scope).await;
}

#[tokio::test]
async fn a_lost_record_does_not_keep_a_waiting_deletion_from_removing_what_equals_the_spec() {
    let scope = World::shared().quiet_scope("delete-lost").await;
    scope.settled_blog().await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    assert_waits(&scope).await;
    scope.lose_status("blog").await;
    let object = scope.until_condition("blog", "Ready", "False", "Deleting").await;
    assert!(has_finalizer(&object));
    scope.create_secret().await;
    assert_finished(&scope).await;
}

#[tokio::test]
async fn retain_releases_an_object_that_waits_for_its_tenant() {
    let scope = World::shared().quiet_scope("delete-retain").await;
    scope.settled_blog().await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    assert_waits(&scope).await;
    scope.edit("blog", edit().retain()).await;
    scope.until_gone("blog").await;
    assert!(scope.until_event("blog", "ParametersLeft").await.contains("Retain"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

#[tokio::test]
async fn observe_releases_an_object_that_waits_for_its_tenant() {
    let scope = World::shared().quiet_scope("delete-observe").await;
    scope.settled_blog().await;
    scope.delete_secret().await;
    scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
    assert_waits(&scope).await;
    scope.edit("blog", edit().observe()).await;
    scope.until_gone("blog").await;
    scope.until_event("blog", "ParametersLeft").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), both());
}

#[tokio::test]
async fn refused_credentials_make_deletion_wait_until_they_are_right() {
    let scope = World::shared().quiet_scope("delete-401").await;
    scope.settled_blog().await;
    scope.auth0.rotate_secret("operator", "marker-rotated");
    scope.auth0.revoke_tokens();
    let object = assert_waits(&scope).await;
    assert!(!message(&object, "Ready").contains("marker"), "{}", message(&object, "Ready"));
    scope.until_tenant("Authenticated", "False", "AuthenticationFailed").await;
    scope.put_secret(&[("clientId", b"operator"), ("clientSecret", b"marker-rotated")]).await;
    assert_finished(&scope).await;
}

#[tokio::test]
async fn scopes_taken_away_make_deletion_wait_until_they_are_granted() {
    let scope = World::shared().quiet_scope("delete-scopes").await;
    scope.settled_blog().await;
    scope.auth0.set_scopes("operator", ["read:connections", "update:connections"]);
    scope.auth0.expire_tokens();
    assert_waits(&scope).await;
    scope.auth0.set_scopes("operator", SCOPES);
    assert_finished(&scope).await;
}

#[tokio::test]
async fn a_reached_limit_makes_deletion_come_back_later() {
    let scope = World::shared().quiet_scope("delete-429").await;
    let id = scope.settled_blog().await;
    let limited = RateLimited { reset: Some(2), ..RateLimited::default() };
    scope.auth0.inject(Fault::rate_limited(limited).path(&format!("/api/v2/connections/{id}")).times(1));
    scope.delete("blog").await;
    assert_finished(&scope).await;
    assert_eq!(scope.auth0.pending_faults(), 0);
    assert_eq!(scope.auth0.writes().len(), 1);
}

#[tokio::test]
async fn server_errors_on_the_read_and_on_the_write_make_deletion_try_again() {
    let scope = World::shared().quiet_scope("delete-5xx").await;
    scope.settled_blog().await;
    scope.auth0.inject(Fault::status(503).method("GET").times(1));
    scope.auth0.inject(Fault::status(502).method("PATCH").times(1));
    scope.delete("blog").await;
    assert_finished(&scope).await;
    assert_eq!(scope.auth0.pending_faults(), 0);
}

#[tokio::test]
async fn a_deleted_namespace_goes_away_and_takes_the_parameters_along() {
    let scope = World::shared().quiet_scope("delete-namespace").await;
    scope.settled_blog().await;
    scope.create("more", on("wordpress").value("more", "ours")).await;
    scope.until_ready("more").await;
    scope.delete_namespace().await;
    scope.until_auth0("both parameters gone", |auth0| auth0.upstream_params("wordpress") == theirs()).await;
    scope.until_namespace_gone().await;
}

#[tokio::test]
async fn finalizers_of_others_are_left_on_the_object() {
    let scope = World::shared().quiet_scope("delete-others").await;
    scope.settled_blog().await;
    let other = "example.com/other".to_owned();
    let finalizers = [scope.get("blog").await.finalizers(), std::slice::from_ref(&other)].concat();
    let patch = |finalizers: &[String]| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    scope.api().patch("blog", &PatchParams::default(), &patch(&finalizers)).await.unwrap();
    scope.delete("blog").await;
    let object = scope.until_finalizer("blog", false).await;
    assert_eq!(object.finalizers(), [other]);
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());
    scope.api().patch("blog", &PatchParams::default(), &patch(&[])).await.unwrap();
    scope.until_gone("blog").await;
}

#[tokio::test]
async fn an_object_recreated_under_its_name_is_another_one() {
    let scope = World::shared().quiet_scope("recreate").await;
    let id = scope.settled_blog().await;
    let old = scope.get("blog").await.uid();
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.create("blog", on("wordpress").value("blog", "second")).await;
    let object = scope.until_ready("blog").await;
    assert_ne!(object.uid(), old);
    assert_eq!(states(&object)["blog"], ParamState::Applied);
    let both = theirs().value("blog", "second");
    assert_eq!(scope.patches(&id), [theirs(), both]);
}
