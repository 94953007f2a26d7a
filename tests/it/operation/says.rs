//! What the operator says, and what it does not: the log of a login's changes, events, and statuses that claim nothing
//! that is not known any more.

use std::process::Command;
use std::time::Duration;

use auth0_emulator::Fault;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use serde_json::{Value, json};
use test_support::journal::calls;
use test_support::manifest::{edit, on, tenant, value};
use test_support::status::{is, message};
use test_support::wait::{eventually, throughout};
use test_support::{Scope, World, operator_binary};
use upstream_params_operator::api::upstream_params::ParamState;

/// The lines of a JSON log with this message.
fn lines(world: &World, message: &str) -> Vec<Value> {
    let all = world.log_text();
    let lines = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.filter(|line| line["message"] == message).collect()
}

/// Waits until there are so many lines with this message; yields the last.
async fn until_lines(world: &World, message: &str, count: usize) -> Value {
    let enough = async || Some(lines(world, message)).filter(|found| found.len() >= count);
    let mut found = eventually(&format!("{count} lines {message:?}"), enough, async || world.log_text()).await;
    assert_eq!(found.len(), count, "{found:#?}");
    found.pop().unwrap()
}

/// Waits until an event about the tenant of this reason was told so often, counted on one event.
async fn until_tenant_event(scope: &Scope<'_>, reason: &str, count: i32) -> String {
    let told = async || {
        let events = scope.tenant_events().await;
        let of_reason: Vec<&Event> = events.iter().filter(|event| event.reason.as_deref() == Some(reason)).collect();
        assert!(of_reason.len() <= 1, "one event of one note: {of_reason:#?}");
        let event = of_reason.first()?;
        let often = event.series.as_ref().map_or(1, |series| series.count);
        (often == count).then(|| event.note.clone().unwrap_or_default())
    };
    scope.eventually(&format!("an event {reason} told {count} times"), told).await
}

#[tokio::test]
async fn a_write_is_one_line_that_says_what_for_whom_and_why_and_at_rest_there_is_none() {
    const OBJECTS: usize = 20;
    let world = World::setup().arguments(&["--log-format", "json", "--log", "info"]).start().await;
    let scope = world.scope("log").await;
    let names: Vec<String> = (0..OBJECTS).map(|number| format!("c{number}")).collect();
    let ids: Vec<String> = names.iter().map(|name| scope.connection(name, "oauth2")).collect();
    for name in &names {
        scope.create(name, on(name).value("blog", "marker-value")).await;
    }
    scope.until_all_in_sync(&names).await;
    assert_eq!(lines(&world, "wrote").len(), OBJECTS);

    // Every connection is looked at several times, and nobody has to read of it.
    let before = world.log_text();
    let looks = |id: &String| calls(&scope.auth0, "GET").iter().filter(|call| call.path.ends_with(id)).count();
    let seen: Vec<usize> = ids.iter().map(looks).collect();
    scope.until_auth0("two more looks at each connection", |_| ids.iter().zip(&seen).all(|(id, seen)| looks(id) >= seen + 2)).await;
    // Passes come one after the other: when another begins, those before have ended.
    let all = calls(&scope.auth0, "GET").len();
    scope.until_auth0("another look", |auth0| calls(auth0, "GET").len() > all).await;
    assert_eq!(world.log_text().strip_prefix(&before), Some(""), "at rest nothing is logged");

    // An edit of two objects on one connection: one write, both named.
    scope.create("second", on("c0").alias("lang", "ui_locales")).await;
    let added = until_lines(&world, "wrote", OBJECTS + 1).await;
    assert_eq!((&added["added"], &added["changed"], &added["removed"]), (&json!("lang"), &Value::Null, &Value::Null), "{added}");
    scope.until_all_in_sync(&["second"]).await;
    scope.edit("c0", edit().value("blog", "marker-other").value("prompt", "login")).await;
    let changed = until_lines(&world, "wrote", OBJECTS + 2).await;
    assert_eq!(
        (&changed["added"], &changed["changed"], &changed["removed"]),
        (&json!("prompt"), &json!("blog"), &Value::Null),
        "{changed}"
    );
    assert_eq!((&changed["cause"], &changed["drift"]), (&json!("edit"), &Value::Null), "{changed}");
    assert_eq!((&changed["tenant"], &changed["connection"], &changed["id"]), (&json!(scope.name), &json!("c0"), &json!(ids[0])));
    assert_eq!(changed["objects"], json!(format!("{}/c0", scope.name)));
    assert!(changed["milliseconds"].is_u64(), "{changed}");
    let span = &changed["span"];
    assert_eq!((&span["name"], &span["tenant"], &span["connection"]), (&json!("check"), &json!(scope.name), &json!("c0")), "{changed}");
    let sent = calls(&scope.auth0, "PATCH").pop().unwrap();
    assert_eq!(changed["correlation"].as_str(), sent.correlation_id.as_deref(), "what the tenant's log calls it");

    // Somebody else's change, of a name of each object.
    scope.until_all_in_sync(&["c0"]).await;
    scope.auth0.edit("c0", |options| options["upstream_params"] = value("blog", "marker-theirs").into());
    let drift = until_lines(&world, "wrote", OBJECTS + 3).await;
    assert_eq!((&drift["cause"], &drift["drift"]), (&json!("drift"), &json!("blog, lang, prompt")), "{drift}");
    assert_eq!((&drift["added"], &drift["changed"]), (&json!("lang, prompt"), &json!("blog")), "{drift}");
    assert_eq!(drift["objects"], json!(format!("{0}/c0, {0}/second", scope.name)));
    let correlation = format!("uparams-{0}-c0_{0}-second", scope.name);
    assert_eq!(drift["correlation"], json!(correlation));
    assert_eq!(calls(&scope.auth0, "PATCH").pop().unwrap().correlation_id, Some(correlation));

    // One that fails is a line too, with why.
    scope.auth0.inject(Fault::status(500).method("PATCH").times(1));
    scope.delete("second").await;
    scope.until_gone("second").await;
    let failed = until_lines(&world, "a write failed", 1).await;
    assert_eq!((&failed["level"], &failed["removed"]), (&json!("WARN"), &json!("lang")), "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("500"), "{failed}");
    let removed = until_lines(&world, "wrote", OBJECTS + 4).await;
    assert_eq!(removed["removed"], "lang", "{removed}");
    assert!(!world.log_text().contains("marker-"), "no value is logged");
    world.stop_operator().await;
}

#[tokio::test]
async fn a_status_says_what_was_seen_as_of_when_and_what_is_wrong_now() {
    let scope = World::shared().scope_with("as-seen", tenant().resync(600)).await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "x")).await;
    scope.settle("blog").await;
    scope.delete_secret().await;
    let blind = scope.until_says("blog", "Synced", "Unknown", "TenantNotReady").await;
    assert!(is(&blind, "Ready", "True", "Ready"));
    let synced = blind.status.as_ref().unwrap().conditions.iter().find(|condition| condition.type_ == "Synced").unwrap();
    let expected = format!("the connection had the parameters as declared before {}; now: ", synced.last_transition_time.0);
    assert!(message(&blind, "Ready").starts_with(&expected), "{}", message(&blind, "Ready"));
    assert!(message(&blind, "Ready").contains("there is no Secret"), "{}", message(&blind, "Ready"));
    assert_eq!(message(&blind, "Accepted"), "at the last check: the operator can manage these parameters on this connection");

    // Looking again at what cannot be seen changes nothing.
    let version = blind.resource_version();
    for _ in 0..3 {
        scope.prod().await;
        throughout(Duration::from_millis(300), async || assert_eq!(scope.get("blog").await.resource_version(), version)).await;
    }
    scope.create_secret().await;
    let seen = scope.until_in_sync("blog").await;
    assert_eq!(message(&seen, "Ready"), "the connection has the parameters as declared");
    assert_eq!(message(&seen, "Accepted"), "the operator can manage these parameters on this connection");
}

#[tokio::test]
async fn an_object_that_observes_after_it_moved_shows_what_enforce_would_remove() {
    let scope = World::shared().scope("observed-move").await;
    let old = scope.connection("old", "oauth2");
    scope.connection_of("new", "oauth2", value("blog", "x"));
    scope.create("blog", on("old").value("blog", "x")).await;
    scope.settle("blog").await;
    scope.edit("blog", on("new").observe()).await;
    let moved = scope.until_condition("blog", "Ready", "True", "Observing").await;
    let state_at = |id: &str| {
        let entry = moved.status.as_ref().unwrap().connections.iter().find(|entry| entry.id == id).unwrap().clone();
        (entry.params[0].state, entry.params[0].owned.len())
    };
    assert_eq!(state_at(&old), (ParamState::WouldRemove, 1), "{:#?}", moved.status);
    scope.edit("blog", edit().enforce()).await;
    scope.settle("blog").await;
    assert_eq!((scope.auth0.upstream_params("old"), scope.auth0.upstream_params("new")), (Value::Null, value("blog", "x").into()));
}

#[tokio::test]
async fn a_tenant_tells_of_its_transitions_and_what_comes_again_is_counted() {
    let scope = World::shared().scope("tenant-events").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    assert_eq!(until_tenant_event(&scope, "Ready", 1).await, "the operator can use the tenant");
    for count in 1..3 {
        scope.delete_secret().await;
        scope.until_tenant("ResolvedRefs", "False", "SecretNotFound").await;
        let note = until_tenant_event(&scope, "SecretNotFound", count).await;
        assert!(note.starts_with(&format!("there is no Secret {}", scope.name)), "{note}");
        scope.create_secret().await;
        scope.until_tenant("Ready", "True", "Ready").await;
        until_tenant_event(&scope, "Ready", count + 1).await;
    }
}

#[tokio::test]
async fn a_storm_of_one_object_is_a_count_and_not_one_event_after_the_other() {
    let scope = World::shared().scope("storm").await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "0")).await;
    scope.settle("blog").await;
    for value in 1..8 {
        scope.edit("blog", edit().value("blog", value.to_string())).await;
        scope.until_ready("blog").await;
    }
    // Names differ each time, so each note is another one.
    for number in 0..8 {
        scope.edit("blog", edit().value(format!("p{number}"), "x")).await;
        scope.until_ready("blog").await;
    }
    let told = async || (scope.event_counts("blog").await["Applied"] >= 16).then_some(());
    scope.eventually("every write told", told).await;
    assert_eq!(scope.event_counts("blog").await["Applied"], 16);
    let stored = scope.events("blog").await;
    let applied: Vec<&String> = stored.iter().filter(|event| event.starts_with("Applied: ")).collect();
    assert_eq!(applied.len(), 6, "five notes, and one for the rest: {applied:#?}");
    assert!(applied.contains(&&"Applied: wrote blog on the connection wordpress".to_owned()), "{applied:#?}");
}

#[tokio::test]
async fn what_overwrite_replaced_and_what_retain_left_is_told() {
    let scope = World::shared().scope("told").await;
    scope.connection_of("wordpress", "wordpress", value("blog", "marker-theirs"));
    let spec = on("wordpress").value("blog", "ours").value("lang", "de").overwrite().retain();
    scope.create("blog", spec).await;
    let replaced = scope.until_event("blog", "Overwritten").await;
    assert!(replaced.contains("somebody else's value of blog on the connection wordpress"), "{replaced}");
    assert_eq!(scope.until_event("blog", "Applied").await, "Applied: wrote lang on the connection wordpress");
    scope.settle("blog").await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    let left = scope.until_event("blog", "ParametersLeft").await;
    assert_eq!(left, "ParametersLeft: left at Auth0: blog, lang on the connection wordpress, because deletionPolicy is Retain");
    scope.until_logged("an object was deleted and left its parameters").await;
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("blog", "ours").value("lang", "de"));
}

#[tokio::test]
async fn a_forgotten_placeholder_is_carried_out_with_a_warning() {
    let scope = World::shared().scope("placeholder").await;
    scope.connection("partner", "oidc");
    scope.create("org", on("partner").value("organization", "{idp_org_id}")).await;
    let object = scope.until_condition("org", "Accepted", "True", "AcceptedWithWarnings").await;
    assert!(message(&object, "Accepted").contains("value of organization looks like a placeholder"), "{}", message(&object, "Accepted"));
    assert!(!message(&object, "Accepted").contains("idp_org_id"));
    scope.until_ready("org").await;
    scope.until_event("org", "AcceptedWithWarnings").await;
}

#[test]
fn an_error_that_quotes_its_cause_says_it_once() {
    let binary = operator_binary();
    let output = Command::new(binary).args(["controller", "--extra-ca", "/nowhere/ca.pem"]).env("KUBECONFIG", "/nowhere").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert_eq!(said.matches("os error 2").count(), 1, "{said}");
}
