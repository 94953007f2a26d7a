//! Several objects on one connection: who has a parameter, who is told that another has it, and how it changes hands.

use serde_json::{Value, json};
use test_support::manifest::{edit, on, on_id, theirs, value};
use test_support::status::{has_finalizer, is, message, owned, states};
use test_support::wait::until;
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::ParamState;

/// Every PATCH since the journal was cleared, each of which must have set this parameter.
fn assert_never_without(scope: &Scope<'_>, connection_id: &str, param: &str) -> Vec<Value> {
    let patches = scope.patches(connection_id);
    assert!(patches.iter().all(|params| params[param].is_object()), "{param} was missing for a moment: {patches:#?}");
    patches
}

/// Waits until the API server's clock shows a later second than an object was created in: creation times have no fractions.
async fn until_a_later_second(scope: &Scope<'_>, name: &str) {
    let created = scope.get(name).await.metadata.creation_timestamp.unwrap().0.as_second();
    until("a later second", async || jiff::Timestamp::now().as_second() > created).await;
}

#[tokio::test]
async fn objects_that_name_one_connection_by_name_and_by_id_all_have_their_parameters() {
    let scope = World::shared().scope("owners").await;
    let id = scope.connection_of("wordpress", "wordpress", theirs());
    let before = scope.auth0.connection("wordpress");
    tokio::join!(
        scope.create("one", on("wordpress").value("a", "1").alias("b", "prompt")),
        scope.create("two", on_id(&id).value("c", "3")),
        scope.create("three", on("wordpress").value("d", "4")),
    );
    for name in ["one", "two", "three"] {
        scope.until_ready(name).await;
    }
    let all = theirs().value("a", "1").alias("b", "prompt").value("c", "3").value("d", "4");
    scope.assert_connection(&before, "wordpress", &all);
    assert!(scope.auth0.writes().len() <= 3, "at most one PATCH for each object");
    for name in ["one", "two", "three"] {
        scope.settle(name).await;
    }
    scope.assert_still(&id, &["one", "two", "three"], 2).await;

    scope.delete("one").await;
    scope.until_gone("one").await;
    let rest = theirs().value("c", "3").value("d", "4");
    scope.assert_connection(&before, "wordpress", &rest);
    tokio::join!(scope.delete("two"), scope.delete("three"));
    scope.until_gone("two").await;
    scope.until_gone("three").await;
    scope.assert_connection(&before, "wordpress", &theirs());
}

#[tokio::test]
async fn whoever_comes_second_is_refused_the_parameter_even_if_it_is_equal_and_gets_its_others() {
    let scope = World::shared().scope("second").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("first", on("wordpress").value("shared", "same")).await;
    scope.settle("first").await;

    let second = on("wordpress").value("shared", "same").value("own", "2").overwrite();

    scope.create("second", second).await;
    let object = scope.until_condition("second", "Accepted", "False", "Conflicted").await;
    assert!(message(&object, "Accepted").contains("UpstreamParams first owns shared"), "{}", message(&object, "Accepted"));
    assert!(!message(&object, "Accepted").contains("own "));
    assert!(is(&object, "Ready", "False", "Conflicted"));
    assert_eq!(message(&object, "Ready"), message(&object, "Accepted"));
    assert!(is(&object, "Synced", "True", "Applied"));
    assert!(is(&object, "Reconciling", "True", "ProgressingWithRetry"), "another object may heal it, so it is not stalled");
    assert_eq!(states(&object)["shared"], ParamState::Conflicted);
    assert_eq!(owned(&object, "shared"), Vec::<String>::new());
    assert_eq!(states(&object)["own"], ParamState::Applied);
    assert!(scope.until_event("second", "Conflicted").await.contains("first"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "same").value("own", "2"));

    // Another value, forced, does not beat the holder either.
    scope.edit("second", edit().value("shared", "mine")).await;
    scope.until_condition("second", "Accepted", "False", "Conflicted").await;
    scope.until_state("second", "own", ParamState::InSync).await;
    assert_eq!(scope.auth0.upstream_params("wordpress")["shared"], json!({"value": "same"}));
    scope.assert_still(&id, &["first", "second"], 2).await;
    assert!(is(&scope.get("first").await, "Ready", "True", "Ready"));
    assert_eq!(scope.event_counts("second").await["Conflicted"], 1, "the conflict is news once");

    // Its end takes nothing from the holder.
    scope.delete("second").await;
    scope.until_gone("second").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "same"));
}

#[tokio::test]
async fn an_object_of_another_namespace_is_not_named() {
    let scope = World::shared().scope("stranger").await;
    scope.connection("wordpress", "wordpress");
    let other = scope.other_namespace().await;
    other.create("secret-project", on("wordpress").value("shared", "1")).await;
    scope.until_auth0("the first object's parameter", |auth0| auth0.upstream_params("wordpress")["shared"].is_object()).await;
    scope.create("blog", on("wordpress").value("shared", "2")).await;
    let object = scope.until_condition("blog", "Accepted", "False", "Conflicted").await;
    let said = format!("{}{}", serde_json::to_string(&object.status).unwrap(), scope.until_event("blog", "Conflicted").await);
    assert!(said.contains("another namespace"), "{said}");
    assert!(!said.contains("secret-project") && !said.contains(&other.namespace), "{said}");
    assert!(is(&object, "Synced", "Unknown", "Pending"), "it has nothing to write");
    assert!(!has_finalizer(&object), "what owns nothing has nothing to clean up");
}

#[tokio::test]
async fn where_nobody_holds_a_parameter_the_older_object_gets_it() {
    let scope = World::shared().scope("older").await;
    scope.create("z-older", on("later").value("shared", "older")).await;
    until_a_later_second(&scope, "z-older").await;
    scope.create("a-younger", on("later").value("shared", "younger")).await;
    scope.until_condition("z-older", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.until_condition("a-younger", "ResolvedRefs", "False", "ConnectionNotFound").await;
    scope.connection("later", "oidc");
    scope.prod().await;
    scope.until_ready("z-older").await;
    scope.until_condition("a-younger", "Accepted", "False", "Conflicted").await;
    assert_eq!(scope.auth0.upstream_params("later"), value("shared", "older"));
    assert_eq!(scope.auth0.writes().len(), 1);
}

#[tokio::test]
async fn a_parameter_that_its_holder_drops_changes_hands_in_one_patch() {
    let scope = World::shared().scope("hand-over").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("holder", on("wordpress").value("shared", "1").value("rest", "r")).await;
    scope.settle("holder").await;
    scope.create("heir", on("wordpress").value("shared", "2")).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();

    scope.edit("holder", edit().without("shared")).await;
    let heir = scope.until_ready("heir").await;
    assert!(has_finalizer(&heir));
    assert!(is(&heir, "Accepted", "True", "Accepted"));
    let holder = scope.settle("holder").await;
    assert_eq!(states(&holder).into_keys().collect::<Vec<_>>(), ["rest"]);
    assert_eq!(assert_never_without(&scope, &id, "shared"), [value("shared", "2").value("rest", "r")]);

    // The new holder keeps it when the old one wants it back.
    scope.edit("holder", edit().value("shared", "1")).await;
    let refused = scope.until_condition("holder", "Accepted", "False", "Conflicted").await;
    assert!(message(&refused, "Accepted").contains("heir"));
    assert_eq!(scope.auth0.upstream_params("wordpress")["shared"], json!({"value": "2"}));
}

#[tokio::test]
async fn a_parameter_of_equal_value_changes_hands_without_a_write() {
    let scope = World::shared().scope("hand-equal").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("holder", on("wordpress").value("shared", "same").value("rest", "r")).await;
    scope.settle("holder").await;
    scope.create("heir", on("wordpress").value("shared", "same")).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();
    scope.edit("holder", edit().without("shared")).await;
    scope.until_ready("heir").await;
    scope.until_ready("holder").await;
    assert_eq!(scope.patches(&id), Vec::<Value>::new());
    scope.delete("holder").await;
    scope.until_gone("holder").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "same"));
    scope.delete("heir").await;
    scope.until_gone("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}

#[tokio::test]
async fn a_parameter_of_a_deleted_holder_changes_hands_in_one_patch() {
    let scope = World::shared().scope("heir").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("holder", on("wordpress").value("shared", "1").value("only", "o")).await;
    scope.settle("holder").await;
    scope.create("heir", on("wordpress").value("shared", "2")).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.auth0.clear_journal();

    scope.delete("holder").await;
    scope.until_gone("holder").await;
    scope.until_ready("heir").await;
    assert_eq!(assert_never_without(&scope, &id, "shared"), [value("shared", "2")]);
}

#[tokio::test]
async fn a_parameter_of_a_holder_that_retains_is_free_once_the_holder_is_gone_but_its_value_is_not() {
    let scope = World::shared().scope("retained").await;
    scope.connection("wordpress", "wordpress");
    let holder = on("wordpress").value("shared", "1").retain();

    scope.create("holder", holder).await;
    scope.settle("holder").await;
    scope.create("heir", on("wordpress").value("shared", "2")).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.delete("holder").await;
    scope.until_gone("holder").await;
    // What was retained is somebody else's value now.
    scope.until_condition("heir", "Synced", "False", "ExistingValue").await;
    scope.edit("heir", edit().overwrite()).await;
    scope.until_ready("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "2"));
}

#[tokio::test]
async fn a_holder_that_only_observes_gives_way_and_does_not_take_the_parameter_back() {
    let scope = World::shared().scope("gives-way").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("holder", on("wordpress").value("shared", "1")).await;
    scope.settle("holder").await;
    scope.create("heir", on("wordpress").value("shared", "2")).await;
    scope.until_condition("heir", "Accepted", "False", "Conflicted").await;
    scope.edit("holder", edit().observe()).await;
    scope.until_finalizer("holder", false).await;
    // What the observer left is not the other's to replace, unless it says so.
    scope.until_condition("heir", "Synced", "False", "ExistingValue").await;
    scope.edit("heir", edit().overwrite()).await;
    scope.settle("heir").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "2"));

    scope.edit("holder", edit().enforce()).await;
    let holder = scope.until_condition("holder", "Accepted", "False", "Conflicted").await;
    assert!(message(&holder, "Accepted").contains("heir"));
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("shared", "2"));
    scope.assert_still(&id, &["heir"], 2).await;
    assert!(is(&scope.get("heir").await, "Ready", "True", "Ready"));
}
