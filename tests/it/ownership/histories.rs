//! Histories that once ended wrongly: a restored cluster, another tenant under the old name, tools that import whole
//! connections, and who has a parameter when its holder stops holding it and comes back.

use std::time::Duration;

use auth0_emulator::{Fault, TenantHandle};
use serde_json::{Value, json};
use test_support::journal::{calls, error, id_of, patches};
use test_support::manifest::{edit, on, tenant, to, value};
use test_support::status::{connection_ids, has_finalizer, is, message, owned, states};
use test_support::wait::SOON;
use test_support::{SCOPES, Scope, World};
use upstream_params_operator::api::upstream_params::{ParamState, UpstreamParams};

/// Another tool changes one parameter; `null` removes it.
fn change(auth0: &TenantHandle, connection: &str, param: &str, entry: &Value) {
    assert!(auth0.edit(connection, |options| {
        let params = options["upstream_params"].as_object_mut().unwrap();
        if entry.is_null() {
            params.remove(param);
        } else {
            params.insert(param.to_owned(), entry.clone());
        }
    }));
}

/// Waits until exactly one of the objects has a record of the parameter, which stays so; yields which.
async fn until_one_owns<'n>(scope: &Scope<'_>, connection_id: &str, param: &str, names: [&'n str; 2]) -> &'n str {
    let owners = async || {
        let mut owners = Vec::new();
        for name in names {
            if !owned(&scope.get(name).await, param).is_empty() {
                owners.push(name);
            }
        }
        owners
    };
    let one_owns = async || {
        if let [one] = owners().await[..] {
            return Some(one);
        }
        scope.prodded_looks(connection_id, 1).await;
        None
    };
    let one = scope.eventually(&format!("{param} in one record"), one_owns).await;
    scope.assert_still(connection_id, &names, 2).await;
    assert_eq!(owners().await, [one]);
    one
}

// ---- who has a parameter when its holder stops holding ----

#[tokio::test]
async fn an_object_that_observed_on_its_way_to_where_it_may_not_go_does_not_keep_what_another_adopted() {
    let scope = World::shared().scope("history-a").await;
    let id = scope.connection("elsewhere", "oidc");
    scope.connection("here", "oidc");
    scope.create("first", on("elsewhere").value("blog", "same")).await;
    scope.settle("first").await;
    scope.patch_tenant(tenant().admit(("scope", &scope.name), ["elsewhere"])).await;
    scope.edit("first", edit().observe()).await;
    scope.until_condition("first", "Ready", "True", "Observing").await;
    scope.edit("first", on("here")).await;
    scope.until_condition("first", "Accepted", "False", "NotPermitted").await;
    scope.create("second", on("elsewhere").value("blog", "same")).await;
    scope.until_ready("second").await;
    scope.edit("first", edit().enforce()).await;
    scope.until_condition("first", "Accepted", "False", "NotPermitted").await;
    assert_eq!(until_one_owns(&scope, &id, "blog", ["first", "second"]).await, "second");

    // Admitted at last, it takes nothing away where it was.
    scope.patch_tenant(tenant().admit(("scope", &scope.name), ["*"])).await;
    scope.until_ready("first").await;
    scope.prodded_looks(&id, 1).await;
    assert_eq!(scope.auth0.upstream_params("elsewhere"), value("blog", "same"));
    assert_eq!(scope.auth0.upstream_params("here"), value("blog", "same"));
    assert_eq!(scope.patches(&id).len(), 1, "what is equal changes hands without a write");
}

#[tokio::test]
async fn an_object_that_became_invalid_and_observed_does_not_keep_what_another_adopted() {
    let scope = World::shared().scope("history-b").await;
    let id = scope.connection("elsewhere", "oidc");
    scope.create("first", on("elsewhere").value("hint", "same")).await;
    scope.settle("first").await;
    scope.create("second", on("elsewhere").value("hint", "same")).await;
    scope.until_condition("second", "Accepted", "False", "Conflicted").await;
    scope.edit("first", edit().without("hint").value("state", "fixed")).await;
    scope.until_condition("first", "Accepted", "False", "ReservedParam").await;
    scope.edit("first", edit().observe()).await;
    scope.until_ready("second").await;
    scope.edit("first", edit().enforce()).await;
    scope.until_condition("first", "Accepted", "False", "ReservedParam").await;
    assert_eq!(until_one_owns(&scope, &id, "hint", ["first", "second"]).await, "second");
    scope.delete("first").await;
    scope.until_gone("first").await;
    scope.prodded_looks(&id, 1).await;
    assert_eq!(scope.auth0.upstream_params("elsewhere"), value("hint", "same"));
    assert_eq!(patches(&scope.auth0), 1);
}

#[tokio::test]
async fn of_an_adopter_that_became_invalid_and_an_observer_that_came_back_one_has_the_record() {
    let scope = World::shared().scope("history-c").await;
    let id = scope.connection("elsewhere", "oidc");
    scope.create("first", on("elsewhere").value("hint", "same")).await;
    scope.settle("first").await;
    scope.edit("first", edit().observe()).await;
    scope.until_condition("first", "Ready", "True", "Observing").await;
    scope.create("second", on("elsewhere").value("hint", "same")).await;
    scope.until_ready("second").await;
    // All of it within one pause of the operator.
    scope.auth0.inject(Fault::status(503).method("GET"));
    scope.edit("second", edit().without("hint").value("more", "1")).await;
    scope.edit("first", edit().enforce()).await;
    scope.edit("second", edit().without("more").value("state", "fixed")).await;
    scope.auth0.clear_faults();
    scope.until_condition("second", "Accepted", "False", "ReservedParam").await;
    let first = scope.get("first").await;
    scope
        .until("first", "its latest generation", |object| object.status.as_ref().unwrap().observed_generation == first.metadata.generation)
        .await;
    until_one_owns(&scope, &id, "hint", ["first", "second"]).await;
    assert_eq!(scope.auth0.upstream_params("elsewhere"), value("hint", "same"));

    for name in ["first", "second"] {
        scope.delete(name).await;
        scope.until_gone(name).await;
    }
    assert_eq!(scope.auth0.upstream_params("elsewhere"), Value::Null, "somebody had a record of it");
}

// ---- a cluster that is restored from a backup ----

/// Makes the objects anew with nothing but their specs, all of one age, as a backup brings them back. The operator must be down.
async fn restore(scope: &Scope<'_>, names: &[&str]) {
    let mut saved = Vec::new();
    for name in names {
        saved.push((*name, serde_json::to_value(&scope.get(name).await.spec).unwrap()));
    }
    loop {
        for name in names {
            scope.strip_finalizers(name).await;
            scope.delete(name).await;
            scope.until_gone(name).await;
        }
        let mut ages = Vec::new();
        for (name, spec) in &saved {
            ages.push(scope.create(name, spec.clone()).await.metadata.creation_timestamp.unwrap().0);
        }
        if ages.iter().all(|age| *age == ages[0]) {
            return;
        }
    }
}

#[tokio::test]
async fn a_cluster_restored_from_a_backup_changes_no_login() {
    let world = World::setup().start().await;
    let scope = world.scope("restored").await;
    // The name of the owner is the last, and it was there first.
    let names = ["alpha-equal", "zeta-equal", "alpha-force", "zeta-force"];
    for (connection, adoption) in [("equal", "IfEqual"), ("force", "Overwrite")] {
        scope.connection(connection, "oidc");
        let (alpha, zeta) = (format!("alpha-{connection}"), format!("zeta-{connection}"));
        scope.create(&zeta, on(connection).value("hint", "a.example").with("adoptionPolicy", json!(adoption))).await;
        scope.settle(&zeta).await;
        scope.create(&alpha, on(connection).value("hint", "b.example").with("adoptionPolicy", json!(adoption))).await;
        scope.until_condition(&alpha, "Accepted", "False", "Conflicted").await;
    }
    world.stop_operator().await;
    restore(&scope, &names).await;
    scope.auth0.clear_journal();
    world.start_operator_until_ready().await;

    for connection in ["equal", "force"] {
        let (alpha, zeta) = (format!("alpha-{connection}"), format!("zeta-{connection}"));
        let id = id_of(&scope.auth0, connection);
        let object = scope.until_condition(&zeta, "Synced", "True", "InSync").await;
        assert!(is(&object, "Ready", "True", "Ready") && has_finalizer(&object));
        scope.until_condition(&alpha, "Accepted", "False", "Conflicted").await;
        scope.assert_still(&id, &[&alpha, &zeta], 2).await;
        assert_eq!(scope.auth0.upstream_params(connection), value("hint", "a.example"));
    }
    assert_eq!(patches(&scope.auth0), 0);
    // What nobody could remove any more goes with its owner, or to the other, as before.
    scope.delete("alpha-equal").await;
    scope.until_gone("alpha-equal").await;
    scope.delete("zeta-equal").await;
    scope.until_gone("zeta-equal").await;
    assert_eq!(scope.auth0.upstream_params("equal"), Value::Null);
    scope.delete("zeta-force").await;
    scope.until_gone("zeta-force").await;
    scope.until_ready("alpha-force").await;
    assert_eq!(scope.auth0.upstream_params("force"), value("hint", "b.example"));
}

// ---- a tenant object that stands for another tenant ----

#[tokio::test]
async fn a_tenant_object_made_anew_for_another_domain_says_once_what_is_left_at_the_old_one() {
    let scope = World::shared().scope("replaced").await;
    let places = ["taken", "absent", "free"];
    for place in places {
        scope.connection(place, "oidc");
        scope.create(place, on(place).value("blog", "ours")).await;
    }
    for place in places {
        scope.settle(place).await;
    }
    let domain = format!("{}-new.eu.auth0.com", scope.name);
    let auth0 = scope.world.emulator.tenant(&domain);
    auth0.add_client("operator", &scope.client_secret(), SCOPES);
    let there = Scope { domain, auth0, ..scope.clone() };
    let taken = there.connection_of("taken", "oidc", value("blog", "theirs"));
    there.connection("free", "oidc");

    scope.delete_tenant().await;
    for place in places {
        scope.until_condition(place, "Ready", "False", "TenantNotFound").await;
    }
    scope.auth0.clear_journal();
    there.create_tenant(tenant()).await;
    there.until_condition("taken", "Synced", "False", "ExistingValue").await;
    there.until_condition("absent", "ResolvedRefs", "False", "ConnectionNotFound").await;
    there.settle("free").await;
    for place in places {
        let event = there.until_event(place, "ParametersLeft").await;
        assert!(event.contains("blog"), "{event}");
    }
    there.prodded_looks(&taken, 1).await;
    there.prodded_looks(&taken, 1).await;
    for place in places {
        let events = there.event_counts(place).await;
        assert_eq!((events.get("ParametersLeft"), events.get("ParametersRemoved")), (Some(&1), None), "{place}: {events:?}");
        assert_eq!(owned(&there.get(place).await, "blog").len(), usize::from(place == "free"), "a record of the new tenant only");
        there.delete(place).await;
        there.until_gone(place).await;
    }
    assert_eq!((there.auth0.upstream_params("taken"), there.auth0.upstream_params("free")), (value("blog", "theirs").into(), Value::Null));
    assert_eq!(there.event_counts("free").await["ParametersLeft"], 1);
    for place in places {
        assert_eq!(scope.auth0.upstream_params(place), value("blog", "ours"));
    }
    assert_eq!(scope.auth0.writes(), [], "nobody has the right to the old tenant any more");
}

// ---- tools that import whole connections ----

#[tokio::test]
async fn a_parameter_that_an_import_removes_for_the_third_time_within_an_hour_is_set_again() {
    let scope = World::shared().scope("imports").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.settle("blog").await;
    for round in 1..=3 {
        change(&scope.auth0, "wordpress", "blog", &Value::Null);
        scope.prodded_looks(&id, 1).await;
        // From the third on not more often than once a minute.
        let ours = |auth0: &TenantHandle| auth0.upstream_params("wordpress") == value("blog", "ours");
        scope.until_auth0_within(2 * SOON, &format!("correction {round}"), ours).await;
    }
    let says = |object: &UpstreamParams| message(object, "Synced").contains("somebody else keeps changing");
    let object = scope.until("blog", "Synced says that somebody else keeps changing the connection", says).await;
    assert!(message(&object, "Synced").contains("keeps changing"), "{}", message(&object, "Synced"));
    assert!(is(&object, "Ready", "True", "Ready"), "a login that is as declared is no failure");
    let object = scope.settle("blog").await;
    assert!(says(&object), "a look that finds all well does not end it: {}", message(&object, "Synced"));
    let events = scope.event_counts("blog").await;
    assert_eq!((events.get("Contended"), events["DriftCorrected"]), (None, 3), "{events:?}");
    assert_eq!(patches(&scope.auth0), 4);
}

#[tokio::test]
async fn an_edit_of_the_object_is_written_at_once_whatever_another_tool_did_before() {
    // Only the edit wakes anybody.
    let scope = World::shared().scope_with("edit-in-a-fight", tenant().resync(3600)).await;
    for (name, entry) in [("removed", Value::Null), ("replaced", json!({"value": "marker-theirs"}))] {
        let id = scope.connection(name, "oidc");
        scope.create(name, on(name).value("blog", "ours")).await;
        scope.settle(name).await;
        for round in 1..=2 {
            change(&scope.auth0, name, "blog", &entry);
            scope.prod().await;
            let ours = |auth0: &TenantHandle| auth0.upstream_params(name)["blog"] == json!({"value": "ours"});
            scope.until_auth0(&format!("correction {round} of {name}"), ours).await;
            scope.settle(name).await;
        }
        change(&scope.auth0, name, "blog", &entry);
        scope.prodded_looks(&id, 1).await;
        if name == "replaced" {
            let object = scope.until_condition(name, "Synced", "False", "Contended").await;
            let said = message(&object, "Synced");
            assert!(said.contains("3 times since 20"), "how often and since when: {said}");
            assert_eq!(scope.auth0.upstream_params(name)["blog"], entry);
        }
        scope.edit(name, edit().value("blog", "edited")).await;
        scope.until_auth0("the edit", |auth0| auth0.upstream_params(name)["blog"] == json!({"value": "edited"})).await;
        let object = scope.until_ready(name).await;
        assert_ne!(states(&object)["blog"], ParamState::Contended);
        scope.settle(name).await;
    }
}

#[tokio::test]
async fn a_drift_is_counted_once_however_often_it_is_seen() {
    let scope = World::shared().scope("count-once").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    scope.settle("blog").await;
    let tenant = [("tenant", scope.name.as_str())];
    let seen = async || format!("{}", scope.world.metric("upstream_params_drift_seen_total", &tenant).await);
    // Three tries to correct the first; the second goes at once.
    scope.auth0.inject(Fault::status(503).method("PATCH").times(3));
    for (round, theirs) in ["one", "two"].iter().enumerate() {
        change(&scope.auth0, "wordpress", "blog", &json!({"value": theirs}));
        scope.prod().await;
        scope.until_auth0("a correction", |auth0| auth0.upstream_params("wordpress") == value("blog", "ours")).await;
        scope.settle("blog").await;
        assert_eq!(seen().await, format!("{}", round + 1));
    }
    change(&scope.auth0, "wordpress", "blog", &json!({"value": "three"}));
    scope.prod().await;
    scope.until_condition("blog", "Synced", "False", "Contended").await;
    scope.prodded_looks(&id, 3).await;
    assert_eq!(seen().await, "3");
}

// ---- a move ----

#[tokio::test]
async fn an_object_that_moves_onto_a_name_of_another_stays_where_it_was_until_the_name_is_free() {
    let scope = World::shared().scope("move-conflict").await;
    let old = scope.connection("old", "oidc");
    let new = scope.connection("new", "oidc");
    scope.create("holder", on("new").value("blog", "theirs")).await;
    scope.settle("holder").await;
    scope.create("mover", on("old").value("blog", "ours")).await;
    scope.settle("mover").await;
    scope.edit("mover", on("new")).await;
    let object = scope.until_condition("mover", "Accepted", "False", "Conflicted").await;
    assert!(has_finalizer(&object));
    scope.prodded_looks(&old, 1).await;
    scope.assert_still(&new, &["mover", "holder"], 2).await;
    assert_eq!(scope.auth0.upstream_params("old"), value("blog", "ours"), "no login loses its parameter meanwhile");
    assert_eq!(owned(&scope.get("mover").await, "blog").len(), 1);

    scope.delete("holder").await;
    scope.until_gone("holder").await;
    let object = scope.until("mover", "only on the new one", |object| connection_ids(object) == [new.clone()]).await;
    assert_eq!(owned(&object, "blog").len(), 1);
    scope.settle("mover").await;
    assert_eq!((scope.auth0.upstream_params("old"), scope.auth0.upstream_params("new")), (Value::Null, value("blog", "ours").into()));
}

// ---- what Auth0 answers ----

#[tokio::test]
async fn a_404_of_a_replica_that_lags_does_not_cost_the_record_of_a_living_connection() {
    let scope = World::shared().scope("lagging").await;
    let id = scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("blog", "ours")).await;
    let record = owned(&scope.settle("blog").await, "blog");
    let lagging = || {
        let gone = error(404, "inexistent_connection", "The connection does not exist");
        scope.auth0.inject(gone.method("GET").path(&format!("/api/v2/connections/{id}")).times(1));
    };
    let before = scope.versions(&["blog"]).await;
    lagging();
    scope.prodded_looks(&id, 1).await;
    scope.prodded_looks(&id, 1).await;
    assert_eq!(scope.auth0.pending_faults(), 0);
    assert_eq!(scope.versions(&["blog"]).await, before, "{}", scope.describe("blog").await);

    // What somebody changes meanwhile is drift, as the record says.
    lagging();
    change(&scope.auth0, "wordpress", "blog", &json!({"value": "theirs"}));
    scope.prod().await;
    scope.until_event("blog", "DriftCorrected").await;
    assert_eq!(owned(&scope.settle("blog").await, "blog"), record);
    let events = scope.event_counts("blog").await;
    assert!(!events.contains_key("Adopted") && !events.contains_key("ExistingValue"), "{events:?}");
}

#[tokio::test]
async fn whether_a_connection_exists_is_told_to_nobody_whom_the_tenant_does_not_admit_to_it() {
    let scope = World::shared().bare_scope("existence").await;
    scope.create_secret().await;
    scope.create_tenant(tenant().admit(("scope", &scope.name), ["shop-*"])).await;
    scope.connection("shop-a", "oidc");
    let hidden = scope.connection("hidden-a", "oidc");
    let missing = "con_0000000000000009";
    scope.create("holder", on("shop-a").value("blog", "ours")).await;
    scope.settle("holder").await;
    scope.create("newcomer", on("hidden-a").value("blog", "x")).await;
    // All that a reader of the object sees, but for times, generations and the name itself.
    let told = async |name: &str, connection: Value, shown: &str| {
        scope.edit(name, json!({"connection": connection})).await;
        let refused =
            |object: &UpstreamParams| ["NotPermitted", "ConnectionNotFound"].iter().any(|reason| is(object, "Ready", "False", reason));
        let object = scope.until(name, "refused", refused).await;
        let conditions = object.status.unwrap().conditions.into_iter();
        conditions.map(|one| (one.type_, one.status, one.reason, one.message.replace(shown, "it"))).collect::<Vec<_>>()
    };
    for name in ["holder", "newcomer"] {
        scope.auth0.clear_journal();
        let there = told(name, json!({"name": "hidden-a", "id": null}), "hidden-a").await;
        assert_eq!(told(name, json!({"name": "hidden-b", "id": null}), "hidden-b").await, there, "{name}, by name");
        let asked = calls(&scope.auth0, "GET").iter().filter(|call| call.query.contains("hidden")).count();
        assert_eq!(asked, 0, "access is asked before the tenant is");
        let there = told(name, json!({"name": null, "id": hidden}), &hidden).await;
        assert_eq!(told(name, json!({"name": null, "id": missing}), missing).await, there, "{name}, by id");
    }
    scope.edit("holder", to("shop-a")).await;
    scope.settle("holder").await;
    assert_eq!(scope.auth0.upstream_params("shop-a"), value("blog", "ours"));
    assert_eq!(patches(&scope.auth0), 0, "it had never left");
}

#[tokio::test]
async fn a_document_is_as_old_as_the_request_for_it() {
    let scope = World::shared().scope("slow-read").await;
    scope.connection("slow", "oidc");
    scope.auth0.inject(Fault::delay(Duration::from_secs(4)).method("GET").times(1));
    scope.create("blog", on("slow").value("blog", "ours")).await;
    scope.until_ready("blog").await;
    let journal = scope.auth0.journal();
    let write = journal.iter().find(|call| call.method == "PATCH").unwrap();
    let read = journal.iter().rfind(|call| call.method == "GET" && call.seq < write.seq).unwrap();
    assert!(write.time_ms - read.time_ms < 4000, "{} ms lie between the read and the write", write.time_ms - read.time_ms);
}

#[tokio::test]
async fn a_write_without_an_answer_is_not_repeated_while_it_may_still_arrive() {
    let scope = World::shared().scope("late-write").await;
    scope.connection("slow", "oidc");
    scope.auth0.inject(Fault::hang().method("PATCH").times(1));
    scope.create("blog", on("slow").value("blog", "ours")).await;
    scope.until_auth0("another write", |auth0| patches(auth0) == 2).await;
    let writes = calls(&scope.auth0, "PATCH");
    // Ten seconds until nobody waits for the first any more, and ten until it can't arrive any more.
    assert!(writes[1].time_ms - writes[0].time_ms >= 18_000, "{} ms", writes[1].time_ms - writes[0].time_ms);
    scope.until_ready("blog").await;
}

// ---- what others take from our objects ----

#[tokio::test]
async fn a_finalizer_that_somebody_takes_is_put_back_without_a_call_and_what_it_could_not_save_is_said() {
    let scope = World::shared().scope_with("stripped", tenant().resync(3600)).await;
    scope.connection("wordpress", "wordpress");
    scope.create("blog", on("wordpress").value("hint", "marker-ours")).await;
    scope.settle("blog").await;
    scope.auth0.clear_journal();
    for _ in 0..3 {
        scope.strip_finalizers("blog").await;
        scope.until_finalizer("blog", true).await;
    }
    assert_eq!(calls(&scope.auth0, "GET").len(), 0, "{}", scope.describe("blog").await);

    // It waits for the tenant, and somebody loses patience.
    scope.auth0.inject(Fault::status(503).method("GET"));
    scope.delete("blog").await;
    scope.until_condition("blog", "Ready", "False", "Deleting").await;
    scope.strip_finalizers("blog").await;
    scope.until_gone("blog").await;
    scope.until_tenant_event("ParametersLeft").await;
    let told = scope.tenant_events().await.into_iter().filter(|event| event.reason.as_deref() == Some("ParametersLeft"));
    let told: Vec<String> = told.filter_map(|event| event.note).collect();
    let [note] = &told[..] else { panic!("told once") };
    assert!(note.contains(&format!("{}/blog", scope.name)) && !note.contains("marker"), "{note}");
    let log = scope.world.log_text();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(&format!("{}/blog", scope.name))), "{log}");
    assert_eq!(scope.auth0.upstream_params("wordpress"), value("hint", "marker-ours"));
}
