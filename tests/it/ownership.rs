//! Several objects on one connection: who has a parameter, who is told that another has it, and how it changes hands.

use std::time::Duration;

use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::ParamState;

use crate::facts::owned;
use crate::support::{self, Scope, has_finalizer, message, states};

fn spec(connection: &str, params: &Value) -> Value {
    json!({"connection": {"name": connection}, "params": params})
}

/// Every PATCH since the journal was cleared, each of which must have set this parameter.
fn assert_never_without(scope: &Scope<'_>, connection_id: &str, param: &str) -> Vec<Value> {
    let patches = scope.patches(connection_id);
    assert!(patches.iter().all(|params| params[param].is_object()), "{param} was missing for a moment: {patches:#?}");
    patches
}

/// Waits until the API server's clock shows a later second than an object was created in: creation times have no fractions.
async fn until_a_later_second(scope: &Scope<'_>, name: &str) {
    let created = scope.get(name).await.metadata.creation_timestamp.unwrap().0.as_second();
    while jiff::Timestamp::now().as_second() <= created {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn objects_that_name_one_connection_by_name_and_by_id_all_have_their_parameters() {
    let scope = support::shared().scope("owners").await;
    let id = scope.connection("wordpress", "wordpress", json!({"upstream_params": {"theirs": {"value": "kept"}}}));
    let before = scope.auth0.connection("wordpress");
    tokio::join!(
        scope.create("one", spec("wordpress", &json!({"a": {"value": "1"}, "b": {"alias": "prompt"}}))),
        scope.create("two", json!({"connection": {"id": id}, "params": {"c": {"value": "3"}}})),
        scope.create("three", spec("wordpress", &json!({"d": {"value": "4"}}))),
    );
    for name in ["one", "two", "three"] {
        scope.until_ready(name).await;
    }
    let all = json!({"theirs": {"value": "kept"}, "a": {"value": "1"}, "b": {"alias": "prompt"}, "c": {"value": "3"}, "d": {"value": "4"}});
    scope.assert_connection(&before, "wordpress", &all);
    assert!(scope.auth0.writes().len() <= 3, "at most one PATCH for each object");
    for name in ["one", "two", "three"] {
        scope.settle(name).await;
    }
    scope.assert_still(&id, &["one", "two", "three"], 2).await;

    scope.delete("one").await;
    scope.until_gone("one").await;
    let rest = json!({"theirs": {"value": "kept"}, "c": {"value": "3"}, "d": {"value": "4"}});
    scope.assert_connection(&before, "wordpress", &rest);
    tokio::join!(scope.delete("two"), scope.delete("three"));
    scope.until_gone("two").await;
    scope.until_gone("three").await;
    scope.assert_connection(&before, "wordpress", &json!({"theirs": {"value": "kept"}}));
}

#[tokio::test]
async fn whoever_comes_second_is_refused_the_parameter_even_if_it_is_equal_and_gets_its_others() {
    let scope = support::shared().scope("second").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("first", spec("wordpress", &json!({"shared": {"value": "same"}}))).await;
    scope.settle("first").await;

    let mut second = spec("wordpress", &json!({"shared": {"value": "same"}, "own": {"value": "2"}}));
    second["adoptionPolicy"] = json!("Overwrite");
    scope.create("second", second).await;
    let object = scope.until_condition("second", "Accepted", "False", "Conflicted").await;
    assert!(message(&object, "Accepted").contains("shared belongs to UpstreamParams first"), "{}", message(&object, "Accepted"));
    assert!(!message(&object, "Accepted").contains("own "));
    assert!(support::is(&object, "Ready", "False", "Conflicted"));
    assert_eq!(message(&object, "Ready"), message(&object, "Accepted"));
    assert!(support::is(&object, "Synced", "True", "Applied"));
    assert!(support::is(&object, "Reconciling", "True", "ProgressingWithRetry"), "another object may heal it, so it is not stalled");
    assert_eq!(states(&object)["shared"], ParamState::Conflicted);
    assert_eq!(owned(&object, "shared"), Vec::<String>::new());
    assert_eq!(states(&object)["own"], ParamState::Applied);
    assert!(scope.until_event("second", "Conflicted").await.contains("first"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "same"}, "own": {"value": "2"}}));

    // Another value, forced, does not beat the holder either.
    scope.edit("second", json!({"params": {"shared": {"value": "mine"}}})).await;
    scope.until_condition("second", "Accepted", "False", "Conflicted").await;
    scope.until_state("second", "own", ParamState::InSync).await;
    assert_eq!(scope.auth0.upstream_params("wordpress")["shared"], json!({"value": "same"}));
    scope.assert_still(&id, &["first", "second"], 2).await;
    assert!(support::is(&scope.get("first").await, "Ready", "True", "Ready"));
    assert_eq!(scope.event_counts("second").await["Conflicted"], 1, "the conflict is news once");

    // Its end takes nothing from the holder.
    scope.delete("second").await;
    scope.until_gone("second").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "same"}}));
}

#[tokio::test]
async fn an_object_of_another_namespace_is_not_named() {
    let scope = support::shared().scope("stranger").await;
    scope.connection("wordpress", "wordpress", json!({}));
    let other = format!("{}-other", scope.name);
    scope.create_namespace(&other).await;
    scope.create_in(&other, "secret-project", spec("wordpress", &json!({"shared": {"value": "1"}}))).await;
    scope.until_auth0("the first object's parameter", |auth0| auth0.upstream_params("wordpress")["shared"].is_object()).await;
    scope.create("blog", spec("wordpress", &json!({"shared": {"value": "2"}}))).await;
    let object = scope.until_condition("blog", "Accepted", "False", "Conflicted").await;
    let said = format!("{}{}", serde_json::to_string(&object.status).unwrap(), scope.until_event("blog", "Conflicted").await);
    assert!(said.contains("another namespace"), "{said}");
    assert!(!said.contains("secret-project") && !said.contains(&other), "{said}");
    assert!(support::is(&object, "Synced", "Unknown", "Pending"), "it has nothing to write");
    assert!(!has_finalizer(&object), "what owns nothing has nothing to clean up");
}

#[tokio::test]
async fn where_nobody_holds_a_parameter_the_older_object_gets_it() {
    let scope = support::shared().scope("older").await;
    scope.create("z-older", spec("later", &json!({"shared": {"value": "older"}}))).await;
    until_a_later_second(&scope, "z-older").await;
    scope.create("a-younger", spec("later", &json!({"shared": {"value": "younger"}}))).await;
    scope.until_condition("z-older", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.until_condition("a-younger", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.connection("later", "oidc", json!({}));
    scope.prod().await;
    scope.until_ready("z-older").await;
    scope.until_condition("a-younger", "Accepted", "False", "Conflicted").await;
    assert_eq!(scope.auth0.upstream_params("later"), json!({"shared": {"value": "older"}}));
    assert_eq!(scope.auth0.writes().len(), 1);
}

#[tokio::test]
async fn a_parameter_that_its_holder_drops_changes_hands_in_one_patch() {
    let scope = support::shared().scope("hand-over").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("holder", spec("wordpress", &json!({"shared": {"value": "1"}, "rest": {"value": "r"}}))).await;
    scope.settle("holder").await;
    scope.create("heir", spec("wordpress", &json!({"shared": {"value": "2"}}))).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();

    scope.edit("holder", json!({"params": {"shared": null}})).await;
    let heir = scope.until_ready("heir").await;
    assert!(has_finalizer(&heir));
    assert!(support::is(&heir, "Accepted", "True", "Accepted"));
    let holder = scope.settle("holder").await;
    assert_eq!(states(&holder).into_keys().collect::<Vec<_>>(), ["rest"]);
    assert_eq!(assert_never_without(&scope, &id, "shared"), [json!({"shared": {"value": "2"}, "rest": {"value": "r"}})]);

    // The new holder keeps it when the old one wants it back.
    scope.edit("holder", json!({"params": {"shared": {"value": "1"}}})).await;
    let refused = scope.until_condition("holder", "Accepted", "False", "Conflicted").await;
    assert!(message(&refused, "Accepted").contains("heir"));
    assert_eq!(scope.auth0.upstream_params("wordpress")["shared"], json!({"value": "2"}));
}

#[tokio::test]
async fn a_parameter_of_equal_value_changes_hands_without_a_write() {
    let scope = support::shared().scope("hand-equal").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("holder", spec("wordpress", &json!({"shared": {"value": "same"}, "rest": {"value": "r"}}))).await;
    scope.settle("holder").await;
    scope.create("heir", spec("wordpress", &json!({"shared": {"value": "same"}}))).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();
    scope.edit("holder", json!({"params": {"shared": null}})).await;
    scope.until_ready("heir").await;
    scope.until_ready("holder").await;
    assert_eq!(scope.patches(&id), Vec::<Value>::new());
    scope.delete("holder").await;
    scope.until_gone("holder").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "same"}}));
    scope.delete("heir").await;
    scope.until_gone("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!(null));
}

#[tokio::test]
async fn a_parameter_of_a_deleted_holder_changes_hands_in_one_patch() {
    let scope = support::shared().scope("heir").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("holder", spec("wordpress", &json!({"shared": {"value": "1"}, "only": {"value": "o"}}))).await;
    scope.settle("holder").await;
    scope.create("heir", spec("wordpress", &json!({"shared": {"value": "2"}}))).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();

    scope.delete("holder").await;
    scope.until_gone("holder").await;
    scope.until_ready("heir").await;
    assert_eq!(assert_never_without(&scope, &id, "shared"), [json!({"shared": {"value": "2"}})]);
}

#[tokio::test]
async fn a_parameter_of_a_holder_that_retains_is_free_once_the_holder_is_gone_but_its_value_is_not() {
    let scope = support::shared().scope("retained").await;
    scope.connection("wordpress", "wordpress", json!({}));
    let mut holder = spec("wordpress", &json!({"shared": {"value": "1"}}));
    holder["deletionPolicy"] = json!("Retain");
    scope.create("holder", holder).await;
    scope.settle("holder").await;
    scope.create("heir", spec("wordpress", &json!({"shared": {"value": "2"}}))).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.delete("holder").await;
    scope.until_gone("holder").await;
    // What was retained is somebody else's value now.
    scope.until_condition("heir", "Synced", "False", "ExistingValue").await;
    scope.edit("heir", json!({"adoptionPolicy": "Overwrite"})).await;
    scope.until_ready("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "2"}}));
}

#[tokio::test]
async fn a_holder_that_only_observes_gives_way_and_does_not_take_the_parameter_back() {
    let scope = support::shared().scope("gives-way").await;
    let id = scope.connection("wordpress", "wordpress", json!({}));
    scope.create("holder", spec("wordpress", &json!({"shared": {"value": "1"}}))).await;
    scope.settle("holder").await;
    scope.create("heir", spec("wordpress", &json!({"shared": {"value": "2"}}))).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.edit("holder", json!({"managementPolicy": "Observe"})).await;
    scope.until_finalizer("holder", false).await;
    // What the observer left is not the other's to replace, unless it says so.
    scope.until_condition("heir", "Synced", "False", "ExistingValue").await;
    scope.edit("heir", json!({"adoptionPolicy": "Overwrite"})).await;
    scope.settle("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "2"}}));

    scope.edit("holder", json!({"managementPolicy": "Enforce"})).await;
    let holder = scope.until_condition("holder", "Accepted", "False", "Conflicted").await;
    assert!(message(&holder, "Accepted").contains("heir"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), json!({"shared": {"value": "2"}}));
    scope.assert_still(&id, &["heir"], 2).await;
    assert!(support::is(&scope.get("heir").await, "Ready", "True", "Ready"));
}
