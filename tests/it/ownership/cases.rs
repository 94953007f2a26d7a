//! Cases from public bug reports of other tools that manage connections, each as its user met it.

use std::time::{Duration, Instant};

use auth0_emulator::{Fault, TenantHandle};
use serde_json::{Value, json};
use test_support::journal::{calls, patches};
use test_support::manifest::{Spec, alias, edit, on, tenant, value};
use test_support::status::{assert_stalled, has_finalizer, is, message, owned, states};
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::ParamState;

// ---- an object is given another name ----

/// The spec that both names have, one after the other.
fn renamed() -> Spec {
    on("wordpress").value("blog", "ours").alias("hint", "login_hint")
}

/// Creates the object under its new name while the old one is there, as a sync without pruning does.
async fn create_beside(scope: &Scope<'_>, old: &str, new: &str) {
    scope.create(new, renamed()).await;
    let object = scope.until_condition(new, "Accepted", "False", "Conflicted").await;
    assert!(is(&object, "Ready", "False", "Conflicted"));
    assert!(states(&object).values().all(|state| *state == ParamState::Conflicted), "{:?}", states(&object));
    assert!(message(&object, "Accepted").contains(old), "{}", message(&object, "Accepted"));
    assert!(!has_finalizer(&object), "it owns nothing yet");
    assert_stalled(&object, false);
}

/// What holds once only the new name is there: all of it is its own, and nobody at Auth0 ever noticed.
async fn assert_replaced(scope: &Scope<'_>, id: &str, old: &str, new: &str) {
    let object = scope.until_condition(new, "Synced", "True", "InSync").await;
    assert!(is(&object, "Ready", "True", "Ready"));
    assert_eq!((owned(&object, "blog").len(), owned(&object, "hint").len()), (1, 1));
    assert!(has_finalizer(&object));
    assert_eq!(patches(&scope.auth0), 0, "{}", scope.describe("").await);
    assert_eq!(scope.auth0.upstream_params("wordpress"), Value::from(renamed())["params"]);
    let events = scope.event_counts(old).await;
    assert!(!events.contains_key("ParametersRemoved") && !events.contains_key("ParametersLeft"), "{events:?}");
    scope.assert_still(id, &[new], 2).await;
}

#[tokio::test]
async fn an_object_replaced_by_one_of_another_name_changes_hands_without_a_write_at_auth0() {
    let scope = World::shared().scope("renamed").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("team-blog", renamed()).await;
    scope.settle("team-blog").await;
    scope.auth0.clear_journal();

    // Both are there for days, as with `Prune=confirm`: ordinary looks change nothing about it.
    create_beside(&scope, "team-blog", "blog").await;
    scope.assert_still(&id, &["team-blog", "blog"], 3).await;
    scope.looks(&id, 1).await;
    assert!(is(&scope.get("blog").await, "Accepted", "False", "Conflicted"));
    assert!(is(&scope.get("team-blog").await, "Ready", "True", "Ready"));

    scope.delete("team-blog").await;
    scope.until_gone("team-blog").await;
    assert_replaced(&scope, &id, "team-blog", "blog").await;

    // Back to the first name, pruned within the same sync, which is before anybody has looked.
    scope.create("team-blog", renamed()).await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_replaced(&scope, &id, "blog", "team-blog").await;

    scope.delete("team-blog").await;
    scope.until_gone("team-blog").await;
    assert_eq!((scope.auth0.upstream_params("wordpress"), patches(&scope.auth0)), (Value::Null, 1));
}

// ---- the example in the documentation of other tools ----

#[tokio::test]
async fn the_useless_entry_that_other_tools_document_for_databases_is_never_written_and_stays_for_ever() {
    let scope = World::shared().scope("documented").await;
    let documented = alias("screen_name", "login_hint");
    scope.odd_connection("Example-Connection", "auth0", &json!({"password_policy": "excellent", "upstream_params": documented}));
    let before = scope.auth0.connection_text("Example-Connection").unwrap();
    let declared = |entry: Value, adoption: &str, deletion: &str| {
        json!({
            "connection": {"name": "Example-Connection"},
            "params": {"screen_name": entry},
            "adoptionPolicy": adoption,
            "deletionPolicy": deletion,
        })
    };
    // As documented; with a value of its own, by force; left at deletion.
    scope.create("same", declared(json!({"alias": "login_hint"}), "IfEqual", "Delete")).await;
    scope.create("other", declared(json!({"value": "jane"}), "Overwrite", "Delete")).await;
    scope.create("left", declared(json!({"alias": "login_hint"}), "Overwrite", "Retain")).await;
    for name in ["same", "other", "left"] {
        let object = scope.until_condition(name, "Accepted", "False", "UnsupportedStrategy").await;
        assert!(is(&object, "Ready", "False", "UnsupportedStrategy"));
        assert_stalled(&object, true);
        assert!(message(&object, "Accepted").contains("a database"), "{}", message(&object, "Accepted"));
        assert_eq!(owned(&object, "screen_name"), Vec::<String>::new());
        assert!(!has_finalizer(&object));
    }
    // An edit is looked at, and it is the same.
    scope.edit("same", declared(json!({"value": "jane", "alias": null}), "Overwrite", "Delete")).await;
    scope.until_condition("same", "Accepted", "False", "UnsupportedStrategy").await;
    for name in ["same", "other", "left"] {
        scope.delete(name).await;
        scope.until_gone(name).await;
    }
    assert_eq!(patches(&scope.auth0), 0, "{}", scope.describe("").await);
    assert_eq!(scope.auth0.connection_text("Example-Connection").unwrap(), before);
}

// ---- many objects and few reads ----

/// The most calls of this method that arrived within any minute.
fn busiest_minute(auth0: &TenantHandle, method: &str) -> usize {
    let times: Vec<u64> = calls(auth0, method).iter().map(|call| call.time_ms).collect();
    let within_a_minute = |start: &u64| times.iter().filter(|time| (*start..*start + 60_000).contains(time)).count();
    times.iter().map(within_a_minute).max().unwrap_or_default()
}

/// It takes the two minutes, and no more of the machine than a test that waits.
#[tokio::test]
async fn sixty_objects_on_sixty_connections_are_ready_within_two_minutes_at_thirty_reads_a_minute() {
    const COUNT: usize = 60;
    let scope = World::shared().bare_scope("sixty").await;
    scope.create_secret().await;
    // What a tenant object says that names no limits and no interval.
    let limits = json!({"readsPerMinute": 30, "requestsPerMinute": 60, "burst": 5});
    scope.create_tenant(tenant().with("rateLimit", json!(limits)).resync(600)).await;
    scope.until_tenant("Ready", "True", "Ready").await;
    let names: Vec<String> = (0..COUNT).map(|number| format!("c{number}")).collect();
    for name in &names {
        scope.connection(name, "oauth2");
    }
    let started = Instant::now();
    for name in &names {
        scope.create(name, on(name).value("blog", "x")).await;
    }
    // 5 at once and one every two seconds are 110 seconds; the rest is for a machine that is busy with other tests.
    let within = Duration::from_secs(140);
    for name in &names {
        let left = within.saturating_sub(started.elapsed());
        scope.until_within(left, name, "Ready=True", |object| is(object, "Ready", "True", "Ready")).await;
    }
    // One look for each, used for its write as well; nothing waited, was refused or was done twice. On a machine that is too
    // busy to write within two seconds of a look, that one is for nothing, and said to be.
    let log = scope.world.log_text();
    let vain = log.lines().filter(|line| line.contains(&scope.name) && line.contains("a check had no result")).count();
    assert_eq!((calls(&scope.auth0, "GET").len(), patches(&scope.auth0)), (COUNT + vain, COUNT));
    assert!(busiest_minute(&scope.auth0, "GET") <= 35, "{} reads in a minute", busiest_minute(&scope.auth0, "GET"));
    for name in &names {
        assert_eq!(scope.auth0.upstream_params(name), value("blog", "x"));
    }
}

// ---- JSON that no two libraries write alike ----

/// Options as other tools store them: escapes that need not be, numbers that no machine type holds, a member twice.
const UNUSUAL: &str = concat!(
    r#"{"authorizationURL":"https:\/\/idp.example.com\/authorize?a=1\u0026b=2","text":"line\u2028separator, "#,
    "\u{2028}",
    r#" as it is","exponent":1E5,"big":12345678901234567890.0,"nothing":null,"twice":{"a":1},"deep":{"x\/y":[1E5, null ,{"k":1,"k":2}]},"#,
    r#""twice":{"a": 2},"caf\u00e9\/":"\ud83d\ude00","upstream_params":{"th\u0065irs":{"value":"a\/b\u0026c"},"hint":{"alias":"prompt"}},"client_secret":"marker-\u003cx\u003e"}"#
);

/// A document with these options, as a GET answers it.
fn unusual(id: &str, options: &str) -> String {
    format!(r#"{{"id":"{id}","options":{options},"strategy":"oauth2","name":"unusual","display_name":"A\/B \u0026 C"}}"#)
}

/// The body of the only PATCH, as it was sent.
fn only_body(scope: &Scope<'_>) -> String {
    let writes = calls(&scope.auth0, "PATCH");
    assert_eq!(writes.len(), 1, "{writes:#?}");
    writes[0].body_text.clone().unwrap()
}

#[tokio::test]
async fn whatever_way_options_are_spelled_one_patch_adds_ours_and_leaves_every_other_byte() {
    let scope = World::shared().bare_scope("bytes").await;
    scope.create_secret().await;
    // Ordinary looks would see the emulator's own spelling.
    scope.create_tenant(tenant().resync(600)).await;
    let id = scope.auth0.restore_connection(&unusual("con_Bytes00000000001", UNUSUAL)).unwrap();
    let body = |options: &str| format!(r#"{{"options":{options},"display_name":"A\/B \u0026 C"}}"#);
    let hint = r#""hint":{"alias":"prompt"}"#;
    assert!(UNUSUAL.contains(hint));

    // By name, which reads from a list.
    let list = format!("[{}]", unusual(&id, UNUSUAL));
    scope.auth0.inject(Fault::status_with(200, list).method("GET").path("/api/v2/connections").connection("unusual").times(1));
    scope.create("blog", on("unusual").value("blog", "ours & <yours>/")).await;
    scope.until_ready("blog").await;
    let entry = r#""blog":{"value":"ours & <yours>/"}"#;
    let with_ours = UNUSUAL.replace(hint, &format!("{hint},{entry}"));
    assert_eq!(only_body(&scope), body(&with_ours));

    // By id, when the parameter changes in its place.
    scope.auth0.clear_journal();
    scope.auth0.inject(Fault::status_with(200, unusual(&id, &with_ours)).method("GET").connection(&id).times(1));
    scope.edit("blog", edit().value("blog", "anew")).await;
    scope.until_auth0("the edit", |auth0| auth0.upstream_params("unusual")["blog"] == json!({"value": "anew"})).await;
    scope.until_ready("blog").await;
    assert_eq!(only_body(&scope), body(&with_ours.replace(entry, r#""blog":{"value":"anew"}"#)));

    // And when it goes.
    scope.auth0.clear_journal();
    let anew = with_ours.replace(entry, r#""blog":{"value":"anew"}"#);
    scope.auth0.inject(Fault::status_with(200, unusual(&id, &anew)).method("GET").connection(&id).times(1));
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    assert_eq!(only_body(&scope), body(UNUSUAL));
    assert_eq!(scope.auth0.pending_faults(), 0);
}
