//! Observe, on an object and on its tenant: nothing is ever written, and the status shows what Enforce would do.

use serde_json::{Value, json};
use test_support::World;
use test_support::manifest::{edit, on, tenant, value};
use test_support::status::{has_finalizer, is, message, owned, states};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

#[tokio::test]
async fn an_observing_object_shows_what_would_be_added_and_changed_and_touches_nothing() {
    let scope = World::shared().scope("observe").await;
    let existing = value("equal", "same").value("other", "marker-theirs");
    let id = scope.connection_of("wordpress", "wordpress", existing);
    let spec = on("wordpress").value("equal", "same").value("other", "ours").alias("new", "prompt").observe().overwrite();
    scope.create("blog", spec).await;
    let object = scope.until_condition("blog", "Ready", "True", "Observing").await;
    assert!(is(&object, "Accepted", "True", "Accepted"));
    assert!(is(&object, "ResolvedRefs", "True", "ResolvedRefs"));
    assert!(is(&object, "Synced", "False", "DriftDetected"));
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
    assert!(is(&object, "Ready", "True", "Observing"));
    assert_eq!(owned(&object, "new"), Vec::<String>::new());
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn enforce_after_observe_carries_out_what_was_shown() {
    let scope = World::shared().scope("observe-enforce").await;
    scope.connection_of("wordpress", "wordpress", value("equal", "same"));
    scope.create("blog", on("wordpress").value("equal", "same").value("new", "1").observe()).await;
    scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    scope.edit("blog", edit().enforce()).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("equal", "same").value("new", "1"));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}

#[tokio::test]
async fn an_object_that_observes_for_a_while_keeps_its_record_and_gives_up_its_finalizer_meanwhile() {
    let scope = World::shared().scope("observe-while").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("kept", "1").value("dropped", "1").value("drifted", "1")).await;
    let record = owned(&scope.settle("blog").await, "kept");
    scope.auth0.clear_journal();

    scope.edit("blog", edit().observe().without("dropped").value("kept", "2")).await;
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
    assert!(is(&object, "Synced", "False", "DriftDetected"));
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.patches(&id), Vec::<Value>::new());

    scope.edit("blog", edit().enforce()).await;
    let object = scope.until_ready("blog").await;
    assert!(has_finalizer(&object));
    assert_eq!(scope.patches(&id), [value("kept", "2").value("drifted", "1")]);
    scope.until_event("blog", "DriftCorrected").await;
}

#[tokio::test]
async fn an_observing_tenant_overrides_every_object_until_it_enforces() {
    let scope = World::shared().bare_scope("observe-tenant").await;
    scope.create_secret().await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create_tenant(tenant().observe()).await;
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.create("more", on("wordpress").value("more", "ours")).await;
    for name in ["blog", "more"] {
        let object = scope.until_condition(name, "Ready", "True", "Observing").await;
        assert!(is(&object, "Synced", "False", "DriftDetected"));
        assert_eq!(states(&object)[name], ParamState::WouldAdd);
        assert!(!has_finalizer(&object));
    }
    scope.assert_still(&id, &["blog", "more"], 2).await;
    assert_eq!(scope.auth0.writes().len(), 0);

    scope.patch_tenant(tenant().enforce()).await;
    for name in ["blog", "more"] {
        assert!(has_finalizer(&scope.until_ready(name).await));
    }
    assert_eq!(scope.patches(&id), [value("blog", "ours").value("more", "ours")]);
}

#[tokio::test]
async fn a_tenant_that_comes_to_observe_leaves_drift_and_keeps_records() {
    let scope = World::shared().scope("observe-later").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    let record = owned(&scope.settle("blog").await, "blog");
    scope.auth0.clear_journal();
    scope.patch_tenant(tenant().observe()).await;
    let object = scope.until_condition("blog", "Ready", "True", "Observing").await;
    assert!(is(&object, "Synced", "True", "InSync"));
    scope.auth0.edit("wordpress", |options| {
        options.remove("upstream_params");
    });
    scope.prod().await;
    let object = scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    assert!(is(&object, "Ready", "True", "Observing"));
    assert_eq!(states(&object)["blog"], ParamState::WouldAdd);
    assert_eq!(owned(&object, "blog"), record);
    scope.assert_still(&id, &["blog"], 2).await;
    scope.patch_tenant(tenant().enforce()).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.patches(&id), [value("blog", "ours")]);
}

#[tokio::test]
async fn refusals_stand_while_observing() {
    let scope = World::shared().scope("observe-refused").await;
    scope.connection_with("saml", "samlp", json!({"signInEndpoint": "https://idp.example/saml"}));
    scope.connection("wordpress", "wordpress");
    scope.create("saml", on("saml").observe().value("a", "1")).await;
    let object = scope.until_condition("saml", "Accepted", "False", "UnsupportedStrategy").await;
    assert!(is(&object, "Ready", "False", "UnsupportedStrategy"));
    scope.create("state", on("wordpress").value("state", "1").observe()).await;
    scope.until_condition("state", "Accepted", "False", "ReservedParam").await;
    scope.create("missing", on("missing").observe().value("a", "1")).await;
    scope.until_condition("missing", "Ready", "False", "ConnectionNotFound").await;
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn an_observer_of_a_value_that_it_would_leave_alone_is_ready_and_says_so() {
    let scope = World::shared().scope("observe-theirs").await;
    scope.connection_of("wordpress", "wordpress", value("blog", "theirs"));
    scope.create("watcher", on("wordpress").value("blog", "ours").observe()).await;
    let watcher = scope.until_condition("watcher", "Synced", "False", "ExistingValue").await;
    assert!(is(&watcher, "Ready", "True", "Observing"));
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn an_observer_neither_holds_a_parameter_nor_is_in_the_way() {
    let scope = World::shared().scope("observe-beside").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("watcher", on("wordpress").value("blog", "would").observe()).await;
    scope.until_state("watcher", "blog", ParamState::WouldAdd).await;
    scope.create("doer", on("wordpress").value("blog", "does")).await;
    scope.until_ready("doer").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "does"));
    let watcher = scope.until_state("watcher", "blog", ParamState::Conflicted).await;
    assert!(message(&watcher, "Accepted").contains("doer"));
    scope.settle("doer").await;
    scope.assert_still(&id, &["watcher", "doer"], 2).await;
}

#[tokio::test]
async fn objects_of_an_observing_tenant_are_told_what_all_of_them_would_do_together() {
    let scope = World::shared().bare_scope("observe-all").await;
    scope.create_secret().await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create_tenant(tenant().observe()).await;
    scope.create("one", on("wordpress").value("shared", "1").value("one", "1")).await;
    scope.create("two", on("wordpress").value("shared", "2").value("two", "2")).await;
    // Whichever is older, or comes first by name: exactly one of them would have it.
    let would_have = |object: &UpstreamParams| states(object).get("shared") == Some(&ParamState::WouldAdd);
    let told = |object: &UpstreamParams| states(object).len() == 2;
    scope.until("one", "two states", told).await;
    scope.until("two", "two states", told).await;
    scope.prodded_looks(&id, 1).await;
    let (one, two) = (scope.get("one").await, scope.get("two").await);
    assert!(would_have(&one) && !would_have(&two), "{:?} {:?}", states(&one), states(&two));
    assert!(is(&one, "Ready", "True", "Observing"));
    assert!(is(&two, "Accepted", "False", "Conflicted"), "refusals stand");
    assert_eq!(states(&two)["two"], ParamState::WouldAdd);
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn a_move_is_only_shown_while_observing_and_made_by_enforce() {
    let scope = World::shared().scope("observe-move").await;
    let old = scope.connection("wordpress", "wordpress");
    let new = scope.connection("new", "oidc");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.settle("blog").await;
    scope.auth0.clear_journal();
    scope.edit("blog", on("new").observe()).await;
    let object = scope.until_condition("blog", "Synced", "False", "DriftDetected").await;
    assert!(is(&object, "Ready", "True", "Observing"));
    assert_eq!(owned(&object, "blog").len(), 1, "the record of where it is stays");
    // The finalizer goes after the status that was waited for.
    scope.until("blog", "it has no finalizer", |object| !has_finalizer(object)).await;
    scope.assert_still(&new, &["blog"], 2).await;
    scope.assert_still(&old, &["blog"], 1).await;
    assert_eq!(scope.auth0.writes().len(), 0);

    scope.edit("blog", edit().enforce()).await;
    scope.settle("blog").await;
    assert_eq!(scope.auth0.upstream_params("new"), value("blog", "ours"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}
