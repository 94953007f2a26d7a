//! Observe, on an object and on its tenant: nothing is ever written, and the status shows what Enforce would do.

use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

use crate::facts::owned;
use crate::support::{self, has_finalizer, message, states};

fn spec(params: &Value) -> Value {
    json!({"connection": {"name": "wordpress"}, "params": params})
}

fn observing(params: &Value) -> Value {
    let mut spec = spec(params);
    spec["managementPolicy"] = json!("Observe");
    spec
}

#[tokio::test]
async fn an_observing_object_shows_what_would_be_added_and_changed_and_touches_nothing() {
    let scope = support::shared().scope("observe").await;
    let existing = json!({"equal": {"value": "same"}, "other": {"value": "marker-theirs"}});
    let id = scope.connection("wordpress", "wordpress", json!({"upstream_params": existing}));
    let mut spec = observing(&json!({"equal": {"value": "same"}, "other": {"value": "ours"}, "new": {"alias": "prompt"}}));
    spec["adoptionPolicy"] = json!("Overwrite");
    scope.create("blog", spec).await;
    let object = scope.until_condition("blog", "Ready", "True", "Observing").await;
    assert!(support::is(&object, "Accepted", "True", "Accepted"));
    assert!(support::is(&object, "ResolvedRefs", "True", "ResolvedRefs"));
    assert!(support::is(&object, "Synced", "False", "DriftDetected"));
    assert!(message(&object, "Synced").contains("new, other"), "{}", message(&object, "Synced"));
    let expected = [("equal", ParamState::InSync), ("new", ParamState::WouldAdd), ("other", ParamState::WouldChange)];
    assert_eq!(states(&object), expected.map(|(name, state)| (name.to_owned(), state)).into());
    for param in ["equal", "new", "other"] {
        assert_eq!(owned(&object, param), Vec::<String>::new(), "observing makes nothing ours");
    }
    assert!(!has_finalizer(&object));
    scope.until_event("blog", "DriftDetected").await;
    let said = format!("{}{:?}", serde_json::to_string(&object).unwrap(), scope.events("blog").await);
    assert!(!said.contains("marker-theirs"), "{said}");
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.auth0.writes().len(), 0);

    // Somebody does what Enforce would have done: seen, and nothing becomes ours by it.
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"]["other"] = json!({"value": "ours"});
        options["upstream_params"]["new"] = json!({"alias": "prompt"});
    });
    scope.prod().await;
    let object = scope.until_condition("blog", "Synced", "True", "InSync").await;
    assert!(support::is(&object, "Ready", "True", "Observing"));
    assert_eq!(owned(&object, "new"), Vec::<String>::new());
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn enforce_after_observe_carries_out_what_was_shown() {
    let scope = support::shared().scope("observe-enforce").await;
    scope.connection("wordpress", "wordpress", json!({"upstream_params": {"equal": {"value": "same"}}}));
    scope.create("blog", observing(&json!({"equal": {"value": "same"}, "new": {"value": "1"}}))).await;
    scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    scope.edit("blog", json!({"managementPolicy": "Enforce"})).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"equal": {"value": "same"}, "new": {"value": "1"}}));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}

#[tokio::test]
async fn an_object_that_observes_for_a_while_keeps_its_record_and_gives_up_its_finalizer_meanwhile() {
    let scope = support::shared().scope("observe-while").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("blog", spec(&json!({"kept": {"value": "1"}, "dropped": {"value": "1"}, "drifted": {"value": "1"}}))).await;
    let record = owned(&scope.settle("blog").await, "kept");
    scope.auth0.clear_journal();

    scope.edit("blog", json!({"managementPolicy": "Observe", "params": {"dropped": null, "kept": {"value": "2"}}})).await;
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"]["drifted"] = json!({"value": "theirs"});
    });
    scope.until_condition("blog", "Ready", "True", "Observing").await;
    scope.prod().await;
    scope.until_state("blog", "drifted", ParamState::WouldChange).await;
    let object = scope.until_finalizer("blog", false).await;
    let expected = [("drifted", ParamState::WouldChange), ("dropped", ParamState::WouldRemove), ("kept", ParamState::WouldChange)];
    assert_eq!(states(&object), expected.map(|(name, state)| (name.to_owned(), state)).into());
    assert_eq!(owned(&object, "kept"), record);
    assert!(support::is(&object, "Synced", "False", "DriftDetected"));
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.patches(&id), Vec::<Value>::new());

    scope.edit("blog", json!({"managementPolicy": "Enforce"})).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    assert_eq!(scope.patches(&id), [json!({"kept": {"value": "2"}, "drifted": {"value": "1"}})]);
    scope.until_event("blog", "DriftCorrected").await;
}

#[tokio::test]
async fn an_observing_tenant_overrides_every_object_until_it_enforces() {
    let scope = support::shared().bare_scope("observe-tenant").await;
    scope.create_secret().await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create_tenant(json!({"managementPolicy": "Observe"})).await;
    scope.create("blog", spec(&json!({"blog": {"value": "ours"}}))).await;
    scope.create("more", spec(&json!({"more": {"value": "ours"}}))).await;
    for name in ["blog", "more"] {
        let object = scope.until_condition(name, "Ready", "True", "Observing").await;
        assert!(support::is(&object, "Synced", "False", "DriftDetected"));
        assert_eq!(states(&object)[name], ParamState::WouldAdd);
        assert!(!has_finalizer(&object));
    }
    scope.assert_still(&id, &["blog", "more"], 2).await;
    assert_eq!(scope.auth0.writes().len(), 0);

    scope.patch_tenant(json!({"managementPolicy": "Enforce"})).await;
    for name in ["blog", "more"] {
        assert!(has_finalizer(&scope.until_ready(name).await));
    }
    assert_eq!(scope.patches(&id), [json!({"blog": {"value": "ours"}, "more": {"value": "ours"}})]);
}

#[tokio::test]
async fn a_tenant_that_comes_to_observe_leaves_drift_and_keeps_records() {
    let scope = support::shared().scope("observe-later").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("blog", spec(&json!({"blog": {"value": "ours"}}))).await;
    let record = owned(&scope.settle("blog").await, "blog");
    scope.auth0.clear_journal();
    scope.patch_tenant(json!({"managementPolicy": "Observe"})).await;
    let object = scope.until_condition("blog", "Ready", "True", "Observing").await;
    assert!(support::is(&object, "Synced", "True", "InSync"));
    scope.auth0.edit("wordpress", |options| {
        options.remove("upstream_params");
    });
    scope.prod().await;
    let object = scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    assert!(support::is(&object, "Ready", "True", "Observing"));
    assert_eq!(states(&object)["blog"], ParamState::WouldAdd);
    assert_eq!(owned(&object, "blog"), record);
    scope.assert_still(&id, &["blog"], 2).await;
    scope.patch_tenant(json!({"managementPolicy": "Enforce"})).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.patches(&id), [json!({"blog": {"value": "ours"}})]);
}

#[tokio::test]
async fn refusals_stand_while_observing() {
    let scope = support::shared().scope("observe-refused").await;
    scope.connection("saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));
    scope.connection("wordpress", "wordpress", json!({}));
    scope.create("saml", json!({"connection": {"name": "saml"}, "managementPolicy": "Observe", "params": {"a": {"value": "1"}}})).await;
    let object = scope.until_condition("saml", "Accepted", "False", "UnsupportedStrategy").await;
    assert!(support::is(&object, "Ready", "False", "UnsupportedStrategy"));
    scope.create("state", observing(&json!({"state": {"value": "1"}}))).await;
    scope.until_condition("state", "Accepted", "False", "ReservedParam").await;
    scope
        .create("missing", json!({"connection": {"name": "missing"}, "managementPolicy": "Observe", "params": {"a": {"value": "1"}}}))
        .await;
    scope.until_condition("missing", "Ready", "False", "ConnectionNotFound").await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn an_observer_of_a_value_that_it_would_leave_alone_is_ready_and_says_so() {
    let scope = support::shared().scope("observe-theirs").await;
    scope.connection("wordpress", "wordpress", json!({"upstream_params": {"blog": {"value": "theirs"}}}));
    scope.create("watcher", observing(&json!({"blog": {"value": "ours"}}))).await;
    let watcher = scope.until_condition("watcher", "Synced", "False", "ExistingValue").await;
    assert!(support::is(&watcher, "Ready", "True", "Observing"));
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn an_observer_neither_holds_a_parameter_nor_is_in_the_way() {
    let scope = support::shared().scope("observe-beside").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("watcher", observing(&json!({"blog": {"value": "would"}}))).await;
    scope.until_state("watcher", "blog", ParamState::WouldAdd).await;
    scope.create("doer", spec(&json!({"blog": {"value": "does"}}))).await;
    scope.until_ready("doer").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"blog": {"value": "does"}}));
    let watcher = scope.until_state("watcher", "blog", ParamState::Conflicted).await;
    assert!(message(&watcher, "Accepted").contains("doer"));
    scope.settle("doer").await;
    scope.assert_still(&id, &["watcher", "doer"], 2).await;
}

#[tokio::test]
async fn objects_of_an_observing_tenant_are_told_what_all_of_them_would_do_together() {
    let scope = support::shared().bare_scope("observe-all").await;
    scope.create_secret().await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create_tenant(json!({"managementPolicy": "Observe"})).await;
    scope.create("one", spec(&json!({"shared": {"value": "1"}, "one": {"value": "1"}}))).await;
    scope.create("two", spec(&json!({"shared": {"value": "2"}, "two": {"value": "2"}}))).await;
    // Whichever is older, or comes first by name: exactly one of them would have it.
    let would_have = |object: &UpstreamParams| states(object).get("shared") == Some(&ParamState::WouldAdd);
    let told = |object: &UpstreamParams| states(object).len() == 2;
    scope.until("one", "two states", told).await;
    scope.until("two", "two states", told).await;
    scope.prodded_looks(&id, 1).await;
    let (one, two) = (scope.get("one").await, scope.get("two").await);
    assert!(would_have(&one) && !would_have(&two), "{:?} {:?}", states(&one), states(&two));
    assert!(support::is(&one, "Ready", "True", "Observing"));
    assert!(support::is(&two, "Accepted", "False", "Conflicted"), "refusals stand");
    assert_eq!(states(&two)["two"], ParamState::WouldAdd);
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn a_move_is_only_shown_while_observing_and_made_by_enforce() {
    let scope = support::shared().scope("observe-move").await;
    let old = scope.connection("wordpress", "wordpress", json!({}));
    let new = scope.connection("new", "oidc", json!({}));
    scope.create("blog", spec(&json!({"blog": {"value": "ours"}}))).await;
    scope.settle("blog").await;
    scope.auth0.clear_journal();
    scope.edit("blog", json!({"managementPolicy": "Observe", "connection": {"name": "new"}})).await;
    let object = scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    assert!(support::is(&object, "Ready", "True", "Observing"));
    assert_eq!(owned(&object, "blog").len(), 1, "the record of where it is stays");
    // The finalizer goes after the status that was waited for.
    scope.until("blog", "it has no finalizer", |object| !has_finalizer(object)).await;
    scope.assert_still(&new, &["blog"], 2).await;
    scope.assert_still(&old, &["blog"], 1).await;
    assert_eq!(scope.auth0.writes().len(), 0);

    scope.edit("blog", json!({"managementPolicy": "Enforce"})).await;
    scope.settle("blog").await;
    assert_eq!(scope.auth0.upstream_params("new"), json!({"blog": {"value": "ours"}}));
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}
