//! What could be lost, or tried without end, where a write or a claim does not come to its end.

use std::time::Duration;

use auth0_emulator::Fault;
use serde_json::{Value, json};
use test_support::World;
use test_support::journal::{error, patches};
use test_support::manifest::{edit, on, tenant, value};

#[tokio::test]
async fn a_deletion_waits_for_a_write_without_an_answer_that_may_still_arrive() {
    let scope = World::shared().scope("arrives-late").await;
    scope.connection("slow", "oidc");
    scope.auth0.inject(Fault::hang().method("PATCH").times(1));
    scope.create("blog", on("slow").value("blog", "ours")).await;
    scope.until_says("blog", "Synced", "Unknown", "RemoteUnavailable").await;
    scope.delete("blog").await;
    scope.until_condition("blog", "Ready", "False", "Deleting").await;
    // Here it arrives.
    scope.auth0.edit("slow", |options| drop(options.insert("upstream_params".into(), value("blog", "ours").into())));
    scope.until_gone("blog").await;
    assert_eq!(scope.auth0.upstream_params("slow"), Value::Null);
}

#[tokio::test]
async fn removals_that_auth0_refuses_are_not_tried_again_and_again() {
    let scope = World::shared().scope_with("refused-removal", tenant().resync(3600)).await;
    scope.connection("wordpress", "wordpress");
    for name in ["one", "two", "three"] {
        scope.create(name, on("wordpress").value(name, "x")).await;
        scope.until_ready(name).await;
    }
    scope.auth0.clear_journal();
    let refusal = "Payload validation error: 'String is too long' on property options.upstream_params.";
    scope.auth0.inject(error(400, "invalid_body", refusal).method("PATCH"));
    for name in ["one", "two"] {
        scope.delete(name).await;
    }
    scope.edit("three", edit().value("three", "y")).await;
    scope.until_condition("three", "Synced", "False", "Rejected").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let tries = patches(&scope.auth0);
    assert!((1..=10).contains(&tries), "{tries} writes\n{}", scope.describe("").await);
    scope.auth0.clear_faults();
    scope.auth0.edit("wordpress", |options| drop(options.insert("other".into(), json!(1))));
    scope.prod().await;
    for name in ["one", "two"] {
        scope.until_gone(name).await;
    }
    scope.until_auth0("the edit alone", |auth0| auth0.upstream_params("wordpress") == value("three", "y")).await;
}
