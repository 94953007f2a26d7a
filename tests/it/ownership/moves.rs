//! Objects that move to another connection, and connections that come, go and come back.

use auth0_emulator::{Fault, TenantHandle};
use serde_json::{Value, json};
use test_support::manifest::{Params, on, on_id, theirs, to, value};
use test_support::status::{connection_ids, has_finalizer, is, message, owned, states};
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

async fn create_on(scope: &Scope<'_>, connection: &str) {
    scope.create("blog", on(connection).value("blog", "ours")).await;
    scope.settle("blog").await;
    scope.auth0.clear_journal();
}

/// The connections that were written to, in order.
fn written(auth0: &TenantHandle) -> Vec<String> {
    auth0.writes().iter().map(|call| call.path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn parameters_join_the_new_connection_before_they_leave_the_old_one() {
    let scope = World::shared().scope("move").await;
    let old = scope.connection_of("old", "oidc", theirs());
    let new = scope.connection("new", "oauth2");
    let (old_before, new_before) = (scope.auth0.connection("old"), scope.auth0.connection("new"));
    create_on(&scope, "old").await;
    scope.edit("blog", to("new")).await;
    let object = scope.until_ready("blog").await;
    assert_eq!(object.status.as_ref().unwrap().target.as_deref(), Some("new"));
    assert_eq!(connection_ids(&object), std::slice::from_ref(&new), "nothing is left of the old one when it is ready");
    assert_eq!(written(&scope.auth0), [new.clone(), old]);
    scope.assert_connection(&old_before, "old", &theirs());
    scope.assert_connection(&new_before, "new", &value("blog", "ours"));
    scope.settle("blog").await;
    scope.assert_still(&new, &["blog"], 2).await;

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&new_before, "new", &Params::default());
}

#[tokio::test]
async fn the_old_connection_keeps_the_parameters_until_the_new_one_exists() {
    let scope = World::shared().scope("move-missing").await;
    let old = scope.connection("old", "oidc");
    create_on(&scope, "old").await;
    scope.edit("blog", to("missing")).await;
    let object = scope.until_condition("blog", "ResolvedRefs", "False", "ConnectionNotFound").await;
    assert!(is(&object, "Ready", "False", "ConnectionNotFound"));
    assert!(is(&object, "Reconciling", "True", "ProgressingWithRetry"));
    assert!(message(&object, "ResolvedRefs").contains("missing"));
    assert_eq!(object.status.as_ref().unwrap().target.as_deref(), Some("missing"));
    assert_eq!(connection_ids(&object), std::slice::from_ref(&old));
    scope.assert_still(&old, &["blog"], 2).await;
    assert_eq!(scope.auth0.upstream_params("old"), value("blog", "ours"));

    let new = scope.connection("missing", "oidc");
    scope.prod().await;
    let object = scope.until_ready("blog").await;
    assert_eq!(connection_ids(&object), std::slice::from_ref(&new));
    assert_eq!(written(&scope.auth0), [new, old]);
    assert_eq!(scope.auth0.upstream_params("old"), Value::Null);
}

#[tokio::test]
async fn an_object_on_its_way_to_a_missing_connection_cleans_up_where_it_was() {
    let scope = World::shared().scope("move-deleted").await;
    scope.connection("old", "oidc");
    create_on(&scope, "old").await;
    scope.edit("blog", to("missing")).await;
    scope.until_condition("blog", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("old"), Value::Null);
}

#[tokio::test]
async fn the_old_connection_keeps_the_parameters_when_the_new_one_is_refused() {
    let scope = World::shared().scope("move-refused").await;
    let old = scope.connection("old", "oidc");
    let saml = scope.connection_with("saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));
    let good = scope.connection("good", "oidc");
    create_on(&scope, "old").await;
    scope.edit("blog", to("saml")).await;
    let object = scope.until_condition("blog", "Accepted", "False", "UnsupportedStrategy").await;
    assert!(is(&object, "Ready", "False", "UnsupportedStrategy"));
    assert!(is(&object, "Stalled", "True", "UnsupportedStrategy"));
    assert!(message(&object, "Accepted").contains("SAML"));
    assert_eq!(owned(&object, "blog").len(), 1);
    assert!(has_finalizer(&object));
    scope.assert_still(&saml, &["blog"], 2).await;
    scope.assert_still(&old, &["blog"], 1).await;
    assert_eq!(scope.auth0.upstream_params("old"), value("blog", "ours"));

    scope.edit("blog", to("good")).await;
    let object = scope.until_ready("blog").await;
    assert_eq!(connection_ids(&object), std::slice::from_ref(&good));
    assert_eq!(written(&scope.auth0), [good, old]);
    assert_eq!(scope.auth0.upstream_params("old"), Value::Null);
    assert_eq!(scope.auth0.upstream_params("saml"), Value::Null);
}

#[tokio::test]
async fn the_old_connection_is_left_only_after_the_new_one_was_written() {
    let scope = World::shared().scope("move-5xx").await;
    let old = scope.connection("old", "oidc");
    let new = scope.connection("new", "oidc");
    create_on(&scope, "old").await;
    scope.auth0.inject(Fault::status(503).method("PATCH").connection("new").times(2));
    scope.edit("blog", to("new")).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.pending_faults(), 0);
    assert_eq!(written(&scope.auth0), [new.clone(), new.clone(), new, old]);
    assert_eq!(scope.auth0.upstream_params("old"), Value::Null);
}

#[tokio::test]
async fn the_old_connection_keeps_the_parameters_when_the_api_refuses_them_on_the_new_one() {
    let scope = World::shared().scope("move-400").await;
    let old = scope.connection("old", "oidc");
    let new = scope.connection("new", "oidc");
    create_on(&scope, "old").await;
    let refusal = json!({
        "statusCode": 400,
        "error": "Bad Request",
        "message": "Payload validation error: 'Too odd' on property options.upstream_params.blog",
        "errorCode": "invalid_body",
    });
    scope.auth0.inject(Fault::status_with(400, refusal.to_string()).method("PATCH").connection("new"));
    scope.edit("blog", to("new")).await;
    let object = scope.until_condition("blog", "Synced", "False", "Rejected").await;
    assert!(is(&object, "Stalled", "True", "Rejected"));
    scope.assert_still(&new, &["blog"], 2).await;
    scope.assert_still(&old, &["blog"], 1).await;
    assert_eq!(written(&scope.auth0), [new]);
    assert_eq!(scope.auth0.upstream_params("old"), value("blog", "ours"));

    scope.edit("blog", to("old")).await;
    let object = scope.settle("blog").await;
    assert_eq!(connection_ids(&object), [old]);
    assert_eq!(scope.auth0.writes().len(), 1, "it had never left");
}

#[tokio::test]
async fn an_object_deleted_on_its_way_cleans_up_on_both_connections() {
    let scope = World::shared().scope("move-halfway").await;
    scope.connection("old", "oidc");
    scope.connection("new", "oidc");
    create_on(&scope, "old").await;
    // The write takes effect, and nobody hears of it.
    scope.auth0.inject(Fault::lose_answer().method("PATCH").connection("new").times(1));
    scope.auth0.inject(Fault::status(503).method("GET").connection("new").times(3));
    scope.edit("blog", to("new")).await;
    scope.until_auth0("the write", |auth0| auth0.upstream_params("new").is_object()).await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!((scope.auth0.upstream_params("old"), scope.auth0.upstream_params("new")), (Value::Null, Value::Null));
}

#[tokio::test]
async fn there_and_back_ends_where_it_began() {
    let scope = World::shared().scope("move-back").await;
    let a = scope.connection("a", "oidc");
    scope.connection("b", "oidc");
    create_on(&scope, "a").await;
    let there = value("blog", "ours");
    // Slowly, waiting for each end.
    for (from, name) in [("a", "b"), ("b", "a")] {
        scope.edit("blog", to(name)).await;
        scope.until_ready("blog").await;
        assert_eq!((scope.auth0.upstream_params(name), scope.auth0.upstream_params(from)), (there.clone().into(), Value::Null));
    }
    // In haste: where the operator was in between is its affair, the end is not.
    for name in ["b", "a", "b", "a", "b", "a"] {
        scope.edit("blog", to(name)).await;
    }
    let object = scope.settle("blog").await;
    assert_eq!((scope.auth0.upstream_params("a"), scope.auth0.upstream_params("b")), (there.into(), Value::Null));
    assert_eq!(connection_ids(&object), std::slice::from_ref(&a));
    scope.assert_still(&a, &["blog"], 2).await;
}

#[tokio::test]
async fn a_move_that_also_changes_the_parameters_takes_only_the_new_ones_along() {
    let scope = World::shared().scope("move-change").await;
    scope.connection("old", "oidc");
    scope.connection("new", "oidc");
    scope.create("blog", on("old").value("a", "1").value("b", "1")).await;
    scope.settle("blog").await;
    scope.edit("blog", on("new").without("a").value("b", "2").value("c", "2")).await;
    let object = scope.until_ready("blog").await;
    assert_eq!(states(&object).into_keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(scope.auth0.upstream_params("old"), Value::Null);
    assert_eq!(scope.auth0.upstream_params("new"), value("b", "2").value("c", "2"));
}

#[tokio::test]
async fn naming_the_same_connection_by_its_id_and_by_its_name_again_writes_nothing() {
    let scope = World::shared().scope("move-same").await;
    let id = scope.connection("same", "oidc");
    create_on(&scope, "same").await;
    let record = owned(&scope.get("blog").await, "blog");
    for (connection, target) in [(json!({"name": null, "id": id}), id.as_str()), (json!({"name": "same", "id": null}), "same")] {
        scope.edit("blog", json!({"connection": connection})).await;
        let object = scope.until_ready("blog").await;
        assert_eq!(object.status.as_ref().unwrap().target.as_deref(), Some(target));
        assert!(is(&object, "Synced", "True", "InSync"));
        assert_eq!(owned(&object, "blog"), record);
    }
    assert_eq!(written(&scope.auth0), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_that_was_made_anew_under_its_name_gets_the_parameters_and_the_old_record_is_dropped() {
    let scope = World::shared().scope("anew").await;
    let old = scope.connection("phoenix", "oidc");
    create_on(&scope, "phoenix").await;
    assert!(scope.auth0.delete_connection("phoenix"));
    let new = scope.connection_of("phoenix", "oidc", value("theirs", "1"));
    assert_ne!(old, new);
    scope.prod().await;
    // The claim moves to the new id before the write, so the id alone does not tell.
    let made_anew = |object: &UpstreamParams| {
        connection_ids(object) == [new.clone()] && states(object)["blog"] != ParamState::Pending && is(object, "Ready", "True", "Ready")
    };
    let object = scope.until("blog", "written on the new id", made_anew).await;
    assert_eq!(owned(&object, "blog").len(), 1);
    assert_eq!(scope.patches(&new), [value("theirs", "1").value("blog", "ours")]);
    scope.settle("blog").await;
    scope.assert_still(&new, &["blog"], 2).await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("phoenix"), value("theirs", "1"));
}

#[tokio::test]
async fn a_value_that_was_set_on_the_connection_made_anew_is_not_taken_for_drift() {
    let scope = World::shared().scope("anew-other").await;
    scope.connection("phoenix", "oidc");
    create_on(&scope, "phoenix").await;
    assert!(scope.auth0.delete_connection("phoenix"));
    scope.connection_of("phoenix", "oidc", value("blog", "theirs"));
    scope.prod().await;
    let object = scope.until_condition("blog", "Synced", "False", "ExistingValue").await;
    assert_eq!(states(&object)["blog"], ParamState::ExistingValue);
    scope.until_finalizer("blog", false).await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn the_record_on_a_connection_made_anew_is_dropped_also_by_an_object_that_left_it() {
    let scope = World::shared().scope("anew-left").await;
    scope.connection("phoenix", "oidc");
    create_on(&scope, "phoenix").await;
    scope.create("stays", on("phoenix").value("more", "1")).await;
    scope.settle("stays").await;
    scope.edit("blog", to("missing")).await;
    scope.until_condition("blog", "ResolvedRefs", "False", "ConnectionNotFound").await;
    assert!(scope.auth0.delete_connection("phoenix"));
    scope.connection("phoenix", "oidc");
    scope.prod().await;
    let object = scope.until_finalizer("blog", false).await;
    assert_eq!(connection_ids(&object), Vec::<String>::new());
    scope.settle("stays").await;
    assert_eq!(scope.auth0.upstream_params("phoenix"), value("more", "1"));
}

#[tokio::test]
async fn an_object_waits_for_a_deleted_connection_and_goes_on_when_it_is_back() {
    let scope = World::shared().scope("gone-back").await;
    scope.connection("phoenix", "oidc");
    create_on(&scope, "phoenix").await;
    assert!(scope.auth0.delete_connection("phoenix"));
    scope.prod().await;
    scope.until_condition("blog", "ResolvedRefs", "False", "ConnectionNotFound").await;
    let object = scope.until_finalizer("blog", false).await;
    assert_eq!(owned(&object, "blog"), Vec::<String>::new(), "what was recorded is gone with the connection");
    // Found at the pace of ordinary looks, without any edit.
    scope.connection("phoenix", "oidc");
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    assert_eq!(scope.auth0.upstream_params("phoenix"), value("blog", "ours"));
}

#[tokio::test]
async fn an_object_may_come_before_its_connection() {
    let scope = World::shared().scope("before").await;
    scope.create("blog", on("later").value("blog", "ours")).await;
    let object = scope.until_condition("blog", "Ready", "False", "ConnectionNotFound").await;
    assert!(is(&object, "Synced", "Unknown", "Pending"));
    assert!(!has_finalizer(&object));
    scope.connection("later", "oidc");
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.upstream_params("later"), value("blog", "ours"));
    assert_eq!(scope.event_counts("blog").await["ConnectionNotFound"], 1);
}

#[tokio::test]
async fn an_id_that_no_connection_has_is_said_so() {
    let scope = World::shared().scope("no-id").await;
    scope.create("blog", on_id("con_0000000000000000").value("blog", "ours")).await;
    let object = scope.until_condition("blog", "Ready", "False", "ConnectionNotFound").await;
    assert!(message(&object, "Ready").contains("con_0000000000000000"));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
}

#[tokio::test]
async fn who_names_a_connection_that_is_called_something_else_now_is_told_that_there_is_none() {
    let scope = World::shared().scope("called-else").await;
    scope.connection("shop", "oidc");
    scope.create("shop", on("shop").value("audience", "x")).await;
    scope.until_ready("shop").await;
    // Auth0 lets nobody do that, but a tenant that is restored from a backup may look like it.
    let mut document = scope.auth0.connection("shop");
    document["name"] = json!("store");
    scope.auth0.delete_connection("shop");
    scope.auth0.restore_connection(&document.to_string()).unwrap();
    scope.until_condition("shop", "ResolvedRefs", "False", "ConnectionNotFound").await;
}
