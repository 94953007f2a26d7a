//! One value, object or status that is wrong, and that it harms nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth0_emulator::Fault;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use test_support::journal::{patches, refusal_of};
use test_support::manifest::{edit, on, theirs};
use test_support::status::{assert_stalled, has_finalizer, is, states};
use test_support::{Scope, World};
use upstream_params_operator::api::upstream_params::ParamState;

/// What a status records of a parameter of the first connection.
async fn record(scope: &Scope<'_>, name: &str, param: &str) -> Vec<String> {
    let status = scope.get(name).await.status.unwrap();
    let found = status.connections[0].params.iter().find(|one| one.name == param);
    found.map(|param| param.owned.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_value_that_the_api_refuses_blocks_its_owner_only() {
    let scope = World::shared().scope("poison").await;
    let id = scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.auth0.inject(refusal_of("bad").body_contains("poison"));
    // Held back until all three are there, so that one PATCH would carry all of them.
    scope.auth0.inject(Fault::delay(std::time::Duration::from_secs(1)).method("GET").times(1));
    scope.create("good", on("blog").value("good", "x")).await;
    scope.create("bad", on("blog").value("bad", "poison").value("worse", "y")).await;
    scope.create("fine", on("blog").value("fine", "z")).await;

    scope.until_in_sync("good").await;
    scope.until_in_sync("fine").await;
    let object = scope.until_condition("bad", "Ready", "False", "Rejected").await;
    assert_stalled(&object, true);
    let expected = theirs().value("good", "x").value("fine", "z");
    scope.assert_connection(&before, "blog", &expected);

    // Each change of the connection is worth one more try, and then it is quiet.
    scope.looks(&id, 1).await;
    let writes = patches(&scope.auth0);
    assert!(writes <= 8, "{writes} writes");
    scope.looks(&id, 2).await;
    assert_eq!(patches(&scope.auth0), writes);
    scope.edit("good", edit().value("good", "edited")).await;
    scope.until("good", "the edit is in sync", |object| is(object, "Synced", "True", "InSync")).await;

    scope.edit("bad", edit().value("bad", "remedy")).await;
    scope.until_in_sync("bad").await;
    let expected = theirs().value("good", "edited").value("fine", "z").value("bad", "remedy").value("worse", "y");
    scope.assert_connection(&before, "blog", &expected);
}

#[tokio::test]
async fn a_forged_status_is_gone_after_the_next_look_and_proves_nothing_about_a_value_it_does_not_name() {
    let scope = World::shared().scope("forged").await;
    let id = scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x")).await;
    scope.until_in_sync("blog").await;
    let true_status = serde_json::to_value(scope.get("blog").await.status.unwrap()).unwrap();

    let mut forged = true_status.clone();
    forged["conditions"][0]["status"] = json!("False");
    forged["conditions"][0]["reason"] = json!("Forged");
    forged["conditions"].as_array_mut().unwrap().push(json!({
        "type": "Forged", "status": "True", "reason": "Forged", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"
    }));
    forged["connections"][0]["params"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "theirs", "state": "InSync", "owned": ["0123456789abcdef"]}));
    forged["connections"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "con_nowhere", "params": [{"name": "x", "state": "InSync", "owned": ["0123456789abcdef"]}]}));
    forged["target"] = json!("elsewhere");
    scope.forge_status("blog", forged).await;

    // Not through the usual wait, which would object to what is forged.
    let seen = async || (scope.get("blog").await.status.unwrap().target.as_deref() != Some("elsewhere")).then_some(());
    scope.eventually("another target than the forged one", seen).await;
    scope.looks(&id, 1).await;
    let mut now = serde_json::to_value(scope.get("blog").await.status.unwrap()).unwrap();
    let mut then = true_status;
    for status in [&mut now, &mut then] {
        // The times of what the forgery changed move with it.
        status.as_object_mut().unwrap().remove("lastSyncedTime");
        status["conditions"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .for_each(|condition| drop(condition.as_object_mut().unwrap().remove("lastTransitionTime")));
    }
    assert_eq!(now, then);
    scope.assert_connection(&before, "blog", &theirs().value("blog", "x"));
    assert_eq!(patches(&scope.auth0), 1);

    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "blog", &theirs());
}

#[tokio::test]
async fn a_record_that_is_copied_from_another_object_takes_nothing_from_it() {
    let scope = World::shared().scope("copied").await;
    let id = scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.create("owner", on("blog").value("shared", "owned")).await;
    scope.until_in_sync("owner").await;
    scope.create("thief", on("blog").value("own", "x")).await;
    scope.until_in_sync("thief").await;

    // The thief's status now says that it wrote the owner's parameter, fingerprint and all.
    let mut forged = serde_json::to_value(scope.get("thief").await.status.unwrap()).unwrap();
    let owned = record(&scope, "owner", "shared").await;
    assert!(!owned.is_empty());
    forged["connections"][0]["params"].as_array_mut().unwrap().push(json!({"name": "shared", "state": "InSync", "owned": owned}));
    scope.forge_status("thief", forged).await;
    scope.until("thief", "one parameter", |object| states(object).len() == 1).await;
    scope.looks(&id, 1).await;
    let expected = theirs().value("shared", "owned").value("own", "x");
    scope.assert_connection(&before, "blog", &expected);
    assert!(is(&scope.get("owner").await, "Synced", "True", "InSync"));

    // Naming it does not help either.
    scope.edit("thief", edit().value("shared", "stolen").overwrite()).await;
    scope.until_condition("thief", "Accepted", "False", "Conflicted").await;
    scope.assert_connection(&before, "blog", &expected);
    scope.delete("thief").await;
    scope.until_gone("thief").await;
    scope.assert_connection(&before, "blog", &theirs().value("shared", "owned"));
}

#[tokio::test]
async fn an_erased_status_is_found_again_at_no_write_and_loses_no_foreign_parameter() {
    let scope = World::shared().scope("erased").await;
    let id = scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x").value("extra", "y")).await;
    scope.until_in_sync("blog").await;

    scope.lose_status("blog").await;
    scope.until_in_sync("blog").await;
    assert_eq!(patches(&scope.auth0), 1, "equal values are ours again at no write");
    assert!(!record(&scope, "blog", "blog").await.is_empty());

    // Lost together with an edit: what the spec no longer names is left behind, what it names with another value is not taken.
    scope.auth0.inject(Fault::delay(std::time::Duration::from_secs(1)).method("GET").times(1));
    scope.lose_status("blog").await;
    scope.edit("blog", edit().without("extra").value("blog", "edited")).await;
    let object = scope.until_state("blog", "blog", ParamState::ExistingValue).await;
    assert!(is(&object, "Ready", "False", "ExistingValue"));
    scope.looks(&id, 1).await;
    scope.assert_connection(&before, "blog", &theirs().value("blog", "x").value("extra", "y"));
    assert_eq!(patches(&scope.auth0), 1);
}

#[tokio::test]
async fn an_object_whose_record_is_lost_while_it_is_deleted_removes_only_what_equals_its_spec() {
    let scope = World::shared().scope("lost-record").await;
    scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x").value("other", "y")).await;
    let object = scope.until_in_sync("blog").await;
    assert!(has_finalizer(&object));
    // Removal has to wait, so that the record can be lost while the object is being deleted.
    scope.auth0.inject(Fault::status(500).method("PATCH"));
    scope.delete("blog").await;
    scope.until_condition("blog", "Ready", "False", "Deleting").await;
    scope.until_auth0("a try to remove", |auth0| patches(auth0) >= 2).await;
    scope.auth0.edit("blog", |options| options["upstream_params"]["other"] = json!({"value": "somebody else's"}));
    scope.lose_status("blog").await;
    scope.auth0.clear_faults();
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "blog", &theirs().value("other", "somebody else's"));
}

#[tokio::test]
async fn edits_of_the_object_while_it_is_worked_on_end_where_the_last_one_alone_would() {
    let scope = World::shared().scope("hasty").await;
    let id = scope.connection_of("blog", "oauth2", theirs());
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "v0")).await;
    let stop = Arc::new(AtomicBool::new(false));
    let annotate = {
        let (api, stop) = (scope.api(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                count += 1;
                let patch = Patch::Merge(json!({"metadata": {"annotations": {"count": count.to_string()}}}));
                api.patch("blog", &PatchParams::default(), &patch).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
    };
    for round in 1..=20 {
        scope
            .edit(
                "blog",
                edit().value("blog", format!("v{round}")).value(format!("k{}", round % 3), "x").without(&format!("k{}", (round + 1) % 3)),
            )
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    annotate.await.unwrap();
    scope.until_in_sync("blog").await;
    scope.assert_connection(&before, "blog", &theirs().value("blog", "v20").value("k1", "x").value("k2", "x"));
    let (writes, version) = (patches(&scope.auth0), scope.get("blog").await.metadata.resource_version);
    scope.looks(&id, 2).await;
    assert_eq!((patches(&scope.auth0), scope.get("blog").await.metadata.resource_version), (writes, version), "it has come to rest");
    assert!(!scope.event_counts("blog").await.contains_key("DriftCorrected"), "its own removals are nobody's drift");
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.assert_connection(&before, "blog", &theirs());
}
