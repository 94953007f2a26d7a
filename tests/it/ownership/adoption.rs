//! Parameters that were there before: taken over when equal, refused or replaced when not, carried through when strange.

use serde_json::{Value, json};
use test_support::World;
use test_support::manifest::{edit, on, theirs, value};
use test_support::status::{has_finalizer, is, message, owned, states};
use upstream_params_operator::api::upstream_params::ParamState;

#[tokio::test]
async fn an_equal_value_is_adopted_at_no_write_and_owned_from_then_on() {
    let scope = World::shared().scope("adopt").await;
    let existing = value("blog", "same").alias("hint", "login_hint").value("theirs", "kept");
    let id = scope.connection_of("wordpress", "wordpress", existing);
    scope.create("blog", on("wordpress").value("blog", "same").alias("hint", "login_hint")).await;
    let object = scope.until_ready("blog").await;
    assert!(is(&object, "Synced", "True", "InSync"));
    assert!(has_finalizer(&object));
    assert_eq!(owned(&object, "blog").len(), 1);
    let event = scope.until_event("blog", "Adopted").await;
    assert!(event.contains("blog, hint"), "{event}");
    assert_eq!(scope.auth0.writes().len(), 0);
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.event_counts("blog").await["Adopted"], 1);

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), theirs());
    assert_eq!(scope.auth0.writes().len(), 1);
}

#[tokio::test]
async fn another_value_is_refused_for_that_parameter_only_until_it_is_gone() {
    let scope = World::shared().scope("existing").await;
    let existing = value("blog", "marker-theirs");
    let id = scope.connection_of("wordpress", "wordpress", existing);
    scope.create("blog", on("wordpress").value("blog", "ours").alias("hint", "login_hint")).await;
    let object = scope.until_condition("blog", "Synced", "False", "ExistingValue").await;
    assert!(is(&object, "Ready", "False", "ExistingValue"));
    assert!(is(&object, "Accepted", "True", "Accepted"));
    assert!(is(&object, "Reconciling", "True", "ProgressingWithRetry"));
    assert_eq!(states(&object)["blog"], ParamState::ExistingValue);
    assert_eq!(states(&object)["hint"], ParamState::Applied);
    assert_eq!(owned(&object, "blog"), Vec::<String>::new());
    assert!(message(&object, "Synced").starts_with("somebody else set another value for blog;"), "{}", message(&object, "Synced"));
    scope.until_event("blog", "ExistingValue").await;
    assert!(!serde_json::to_string(&object).unwrap().contains("marker-theirs"));
    let expected = value("blog", "marker-theirs").alias("hint", "login_hint");
    assert_eq!(scope.auth0.upstream_params("wordpress"), expected);
    scope.until_state("blog", "hint", ParamState::InSync).await;
    scope.assert_still(&id, &["blog"], 2).await;

    // Deletion would leave it. A look after somebody removed it sets ours.
    scope.auth0.edit("wordpress", |options| {
        options["upstream_params"].as_object_mut().unwrap().remove("blog");
    });
    scope.prod().await;
    scope.settle("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "ours").alias("hint", "login_hint"));
}

#[tokio::test]
async fn a_refused_value_survives_the_deletion_of_the_object() {
    let scope = World::shared().scope("refused-kept").await;
    scope.connection_of("wordpress", "wordpress", value("blog", "theirs"));
    scope.create("blog", on("wordpress").value("blog", "ours").value("own", "1")).await;
    scope.until_condition("blog", "Synced", "False", "ExistingValue").await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "theirs"));
}

#[tokio::test]
async fn declaring_the_value_that_is_there_adopts_it() {
    let scope = World::shared().scope("declare").await;
    scope.connection_of("wordpress", "wordpress", value("blog", "theirs"));
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    let object = scope.until_condition("blog", "Synced", "False", "ExistingValue").await;
    assert!(!has_finalizer(&object));
    scope.edit("blog", edit().value("blog", "theirs")).await;
    assert!(has_finalizer(&scope.until_ready("blog").await));
    assert_eq!(scope.auth0.writes().len(), 0);
}

#[tokio::test]
async fn overwrite_replaces_what_is_there_and_owns_it() {
    let scope = World::shared().scope("overwrite").await;
    scope.connection_of("wordpress", "wordpress", value("blog", "theirs").alias("hint", "prompt"));
    let spec = on("wordpress").value("blog", "ours").alias("hint", "login_hint").overwrite();

    scope.create("blog", spec).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "ours").alias("hint", "login_hint"));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::Null);
}

#[tokio::test]
async fn entries_of_a_strange_shape_equal_nothing_and_are_carried_through() {
    let scope = World::shared().scope("strange").await;
    let id = scope.connection("wordpress", "wordpress");
    let strange = json!({
        "both": {"value": "x", "alias": "login_hint"},
        "text": "x",
        "nothing": null,
        "number": {"value": 1},
        "unknown": {"alias": "invented"},
        "more": {"value": "x", "note": "y"},
    });
    scope.auth0.edit("wordpress", |options| {
        options.insert("upstream_params".to_owned(), strange.clone());
    });
    let declared = value("both", "x").value("text", "x").value("nothing", "x").value("number", "1").value("more", "x");
    scope.create("blog", on("wordpress").params(declared)).await;
    let object = scope.until_condition("blog", "Synced", "False", "ExistingValue").await;
    assert!(states(&object).values().all(|state| *state == ParamState::ExistingValue), "{:?}", states(&object));
    scope.assert_still(&id, &["blog"], 1).await;
    assert_eq!(scope.auth0.writes().len(), 0);
    assert_eq!(scope.auth0.upstream_params("wordpress"), strange);

    // A write for another parameter takes them along as they are, whatever the API then says of them.
    scope.create("other", on("wordpress").value("own", "1")).await;
    scope.until_auth0("a PATCH", |auth0| !auth0.writes().is_empty()).await;
    let mut expected = strange.clone();
    expected["own"] = json!({"value": "1"});
    assert_eq!(scope.patches(&id)[0], expected);
}

#[tokio::test]
async fn overwrite_replaces_an_entry_of_a_strange_shape() {
    let scope = World::shared().scope("strange-over").await;
    scope.connection("wordpress", "wordpress");
    scope.auth0.edit("wordpress", |options| {
        options.insert("upstream_params".to_owned(), json!({"both": {"value": "x", "alias": "login_hint"}}));
    });
    let spec = on("wordpress").value("both", "x").overwrite();

    scope.create("blog", spec).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("both", "x"));
}

#[tokio::test]
async fn upstream_params_of_null_are_empty() {
    let scope = World::shared().scope("null").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.auth0.edit("wordpress", |options| {
        options.insert("upstream_params".to_owned(), Value::Null);
    });
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.patches(&id), [value("blog", "ours")]);
}

#[tokio::test]
async fn upstream_params_that_are_no_object_are_never_written_over() {
    let scope = World::shared().scope("no-object").await;
    let id = scope.connection("wordpress", "wordpress");
    for shape in [json!([]), json!("text"), json!(7), json!(false)] {
        scope.auth0.edit("wordpress", |options| {
            options.insert("upstream_params".to_owned(), shape.clone());
        });
        let name = format!("blog-{}", scope.auth0.journal().len());
        scope.create(&name, on("wordpress").value("blog", "ours")).await;
        let object = scope.until_condition(&name, "Synced", "False", "ApplyFailed").await;
        assert!(message(&object, "Synced").contains("options.upstream_params"), "{}", message(&object, "Synced"));
        assert!(is(&object, "Ready", "False", "ApplyFailed"));
        assert!(is(&object, "Reconciling", "True", "ProgressingWithRetry"));
        assert!(!has_finalizer(&object));
        scope.delete(&name).await;
        scope.until_gone(&name).await;
        assert_eq!(scope.auth0.connection("wordpress")["options"]["upstream_params"], shape);
    }
    assert_eq!(scope.auth0.writes().len(), 0);

    // Once somebody corrects it, all goes on.
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.until_condition("blog", "Synced", "False", "ApplyFailed").await;
    scope.auth0.edit("wordpress", |options| {
        options.remove("upstream_params");
    });
    scope.until_ready("blog").await;
    assert_eq!(scope.patches(&id), [value("blog", "ours")]);
}

#[tokio::test]
async fn removing_the_last_entry_omits_the_field() {
    let scope = World::shared().scope("last").await;
    scope.connection("wordpress", "wordpress");
    let before = scope.auth0.connection_text("wordpress").unwrap();
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.until_ready("blog").await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    let last = scope.auth0.writes().pop().unwrap().body.unwrap();
    assert!(last["options"].is_object());
    assert_eq!(last["options"].get("upstream_params"), None);
    assert_eq!(scope.auth0.connection_text("wordpress").unwrap(), before);
}

#[tokio::test]
async fn a_lost_record_is_found_again_at_no_write() {
    let scope = World::shared().scope("lost-record").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    let record = owned(&scope.settle("blog").await, "blog");
    scope.auth0.clear_journal();
    scope.lose_status("blog").await;
    let object = scope.settle("blog").await;
    assert_eq!(owned(&object, "blog"), record);
    assert_eq!(scope.patches(&id), Vec::<Value>::new());
}
