//! What other tools and people change at Auth0: what is ours is set back, a fight is given up, the rest is let be.

use auth0_emulator::TenantHandle;
use serde_json::{Value, json};
use test_support::manifest::{edit, on, value};
use test_support::status::{is, message, owned, states, transition_times};
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::ParamState;

fn set(scope: &Scope<'_>, connection: &str, name: &str, entry: Value) {
    assert!(scope.auth0.edit(connection, |options| {
        options["upstream_params"][name] = entry;
    }));
}

fn remove(scope: &Scope<'_>, connection: &str, name: &str) {
    assert!(scope.auth0.edit(connection, |options| {
        options["upstream_params"].as_object_mut().unwrap().remove(name);
    }));
}

#[tokio::test]
async fn a_changed_and_a_removed_parameter_are_set_back_at_the_next_ordinary_look() {
    let scope = World::shared().scope("drift").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours").alias("hint", "login_hint")).await;
    scope.settle("blog").await;
    let before = scope.auth0.connection("wordpress");
    scope.auth0.clear_journal();

    scope.auth0.edit("wordpress", |options| options["upstream_params"] = value("blog", "theirs").into());
    let event = scope.until_event("blog", "DriftCorrected").await;
    assert!(event.contains("blog") && event.contains("hint") && !event.contains("theirs") && !event.contains("ours"), "{event}");
    scope.assert_connection(&before, "wordpress", &value("blog", "ours").alias("hint", "login_hint"));

    // One look saw it, and one PATCH corrected both.
    let journal = scope.auth0.journal();
    let edit = journal.iter().position(|call| call.method == "PATCH").unwrap();
    let correction = journal.iter().rposition(|call| call.method == "PATCH").unwrap();
    assert!(edit < correction);
    let looks = journal[edit..correction].iter().filter(|call| call.method == "GET" && call.path.ends_with(&id)).count();
    assert_eq!((looks, scope.auth0.writes().len()), (1, 1), "{journal:#?}");

    let tenant = [("tenant", scope.name.as_str())];
    assert!((scope.world.metric("upstream_params_drift_seen_total", &tenant).await - 2.0).abs() < f64::EPSILON);
    assert!((scope.world.metric("upstream_params_drift_corrected_total", &tenant).await - 2.0).abs() < f64::EPSILON);
    scope.settle("blog").await;
    assert_eq!(scope.event_counts("blog").await["DriftCorrected"], 1);
}

#[tokio::test]
async fn what_others_change_elsewhere_in_the_connection_is_never_set_back() {
    let scope = World::shared().scope("drift-else").await;
    let id = scope.connection_of("wordpress", "wordpress", value("theirs", "1"));
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.settle("blog").await;

    scope.auth0.edit("wordpress", |options| {
        options.insert("client_id".to_owned(), json!("another"));
        options.insert("client_secret".to_owned(), json!("marker-rotated-by-them"));
        options.remove("nested");
        options["upstream_params"]["theirs"] = json!({"value": "2"});
        options["upstream_params"]["more"] = json!({"alias": "prompt"});
    });
    let edited = scope.auth0.connection("wordpress");
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.auth0.connection("wordpress"), edited);

    scope.edit("blog", edit().value("blog", "anew")).await;
    scope.until_ready("blog").await;
    scope.assert_connection(&edited, "wordpress", &value("theirs", "2").alias("more", "prompt").value("blog", "anew"));
    let tenant = [("tenant", scope.name.as_str())];
    assert!(scope.world.metric("upstream_params_drift_seen_total", &tenant).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn ordinary_looks_confirm_once_what_was_written_and_then_write_nothing_anywhere() {
    let scope = World::shared().scope("still").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    let applied = scope.until_condition("blog", "Synced", "True", "Applied").await;
    assert!(is(&applied, "Ready", "True", "Ready"));
    assert_eq!(states(&applied)["blog"], ParamState::Applied);
    let synced_at = applied.status.as_ref().unwrap().last_synced_time.clone();
    assert!(synced_at.is_some());

    let in_sync = scope.until_condition("blog", "Synced", "True", "InSync").await;
    assert_eq!(states(&in_sync)["blog"], ParamState::InSync);
    assert_eq!(transition_times(&in_sync), transition_times(&applied));
    assert_eq!(in_sync.status.as_ref().unwrap().last_synced_time, synced_at);
    assert_eq!(owned(&in_sync, "blog"), owned(&applied, "blog"));

    let before = scope.versions(&["blog"]).await;
    let events = scope.event_counts("blog").await;
    scope.looks(&id, 2).await;
    scope.assert_still(&id, &["blog"], 2).await;
    assert_eq!(scope.versions(&["blog"]).await, before);
    assert_eq!(scope.auth0.writes().len(), 1);
    assert_eq!(scope.event_counts("blog").await, events, "a look that finds nothing is no event");
}

#[tokio::test]
async fn a_rotated_secret_that_works_is_no_news_of_any_object() {
    let scope = World::shared().scope("rotated").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.settle("blog").await;
    let before = (scope.versions(&["blog"]).await, scope.event_counts("blog").await);
    let tokens = |auth0: &TenantHandle| auth0.journal().iter().filter(|call| call.is_token() && call.status == Some(200)).count();
    let had = tokens(&scope.auth0);
    scope.auth0.rotate_secret("operator", "marker-rotated");
    scope.change_secret(json!({"clientSecret": "marker-rotated"})).await;
    scope.until_auth0("a token for the new secret", |auth0| tokens(auth0) > had).await;
    scope.prodded_looks(&id, 1).await;
    let after = scope.versions(&["blog"]).await;
    assert_eq!(after[1], before.0[1], "the object was written to\n{}", scope.describe("blog").await);
    assert_eq!(scope.event_counts("blog").await, before.1);
}

#[tokio::test]
async fn every_event_says_what_happened_that_time() {
    let scope = World::shared().scope("events").await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("first", "1")).await;
    scope.until_ready("blog").await;
    scope.edit("blog", edit().value("second", "2")).await;
    scope.until_ready("blog").await;
    scope.edit("blog", edit().without("second")).await;
    scope.until_ready("blog").await;
    scope.until_event("blog", "ParametersRemoved").await;
    let mut events = scope.events("blog").await;
    events.retain(|event| event.starts_with("Applied: ") || event.starts_with("ParametersRemoved: "));
    events.sort();
    let on = "on the connection wordpress";
    assert_eq!(
        events,
        [format!("Applied: wrote first {on}"), format!("Applied: wrote second {on}"), format!("ParametersRemoved: removed second {on}")]
    );
}

#[tokio::test]
async fn the_third_correction_within_an_hour_waits_and_the_other_parameters_are_still_written() {
    let scope = World::shared().scope("fight").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("fought", "ours").value("calm", "1")).await;
    scope.settle("blog").await;
    for round in 1..=2 {
        set(&scope, "wordpress", "fought", json!({"value": format!("marker-theirs-{round}")}));
        scope.prod().await;
        scope.until_auth0("the correction", |auth0| auth0.upstream_params("wordpress")["fought"] == json!({"value": "ours"})).await;
        scope.settle("blog").await;
    }
    let theirs = json!({"value": "marker-theirs-3"});
    set(&scope, "wordpress", "fought", theirs.clone());
    scope.prod().await;
    let object = scope.until_condition("blog", "Synced", "False", "Contended").await;
    assert!(is(&object, "Ready", "False", "Contended"));
    assert!(is(&object, "Accepted", "True", "Accepted"));
    assert!(is(&object, "Reconciling", "True", "ProgressingWithRetry"));
    assert!(message(&object, "Synced").contains("fought") && !message(&object, "Synced").contains("calm"));
    assert_eq!(states(&object)["fought"], ParamState::Contended);
    assert_eq!(states(&object)["calm"], ParamState::InSync);
    assert!(!serde_json::to_string(&object).unwrap().contains("marker-theirs"));
    assert!(scope.until_event("blog", "Contended").await.contains("fought"));
    assert_eq!(scope.auth0.upstream_params("wordpress")["fought"], theirs);
    scope.assert_still(&id, &["blog"], 2).await;
    let tenant = [("tenant", scope.name.as_str())];
    scope.world.until_metric("upstream_params_contended_parameters", &tenant, 1.0).await;

    // The other parameter is set back meanwhile.
    remove(&scope, "wordpress", "calm");
    scope.prod().await;
    scope.until_auth0("the correction", |auth0| auth0.upstream_params("wordpress")["calm"] == json!({"value": "1"})).await;
    assert_eq!(scope.auth0.upstream_params("wordpress")["fought"], theirs);
    assert_eq!(scope.event_counts("blog").await["Contended"], 1, "the fight is news once");

    // An edit of the object ends it at once.
    scope.edit("blog", edit().value("calm", "2")).await;
    scope
        .until_auth0("both", |auth0| {
            let params = auth0.upstream_params("wordpress");
            (&params["calm"], &params["fought"]) == (&json!({"value": "2"}), &json!({"value": "ours"}))
        })
        .await;
    scope.settle("blog").await;
}

#[tokio::test]
async fn numbers_of_any_size_nulls_and_the_order_of_members_go_back_as_they_came() {
    let scope = World::shared().scope("text").await;
    let options = r#"{"zeta":null,"big":12345678901234567890123456789,"float":1.50e+400,"alpha":{"b":[null,{"y":1,"x":-0.0}],"a":""},"upstream_params":{"z":{"value":"1"},"a":{"alias":"prompt"}},"last":"é\n\u2028"}"#;
    let id = scope
        .auth0
        .restore_connection(&format!(r#"{{"name":"exact","display_name":"Exact","strategy":"oauth2","options":{options}}}"#))
        .unwrap();
    let before = scope.auth0.connection_text(&id).unwrap();

    scope.create("blog", on("exact").value("m", "ours")).await;
    scope.until_ready("blog").await;
    let entry = r#""a":{"alias":"prompt"}"#;
    assert!(before.contains(entry));
    assert_eq!(scope.auth0.connection_text(&id).unwrap(), before.replace(entry, &format!(r#"{entry},"m":{{"value":"ours"}}"#)));

    scope.edit("blog", edit().value("m", "anew")).await;
    scope.until_ready("blog").await;
    assert_eq!(scope.auth0.connection_text(&id).unwrap(), before.replace(entry, &format!(r#"{entry},"m":{{"value":"anew"}}"#)));

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.connection_text(&id).unwrap(), before);
    for call in scope.auth0.writes() {
        let body = call.body_text.unwrap();
        for fragment in ["12345678901234567890123456789", "1.50e+400", r#""zeta":null"#, "-0.0"] {
            assert!(body.contains(fragment), "{fragment} in {body}");
        }
    }
}
