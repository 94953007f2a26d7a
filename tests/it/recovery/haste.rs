//! What goes on and on at once that should pause: looks that call for each other.

use std::time::Duration;

use auth0_emulator::{Fault, TenantHandle};
use test_support::journal::{calls, patches, refusal_of};
use test_support::manifest::{on, tenant, value};
use test_support::wait::growth;
use test_support::{SCOPES, Scope, World};

/// Calls within five seconds that are no back-off: a few tries, and a look at each of two connections every five seconds.
const HOT: usize = 16;

/// The calls that are made within five seconds from now.
async fn calls_from_now(auth0: &TenantHandle) -> usize {
    growth(Duration::from_secs(5), || calls(auth0, "GET").len() + patches(auth0)).await
}

async fn moving(scope: &Scope<'_>) {
    scope.connection("old", "oidc");
    scope.connection("new", "oauth2");
    scope.create("blog", on("old").value("blog", "ours")).await;
    scope.until_in_sync("blog").await;
}

#[tokio::test]
async fn a_connection_that_can_not_be_left_is_tried_more_and_more_slowly_and_so_is_the_one_that_was_moved_to() {
    let scope = World::shared().scope("no-leaving").await;
    moving(&scope).await;
    scope.auth0.inject(Fault::status(500).method("PATCH").connection("old"));
    scope.edit("blog", on("new").value("blog", "ours")).await;
    scope.until_auth0("the new one has it", |auth0| auth0.upstream_params("new") == value("blog", "ours")).await;
    scope.until_auth0("the old one was tried", |auth0| patches(auth0) >= 3).await;
    let hot = calls_from_now(&scope.auth0).await;
    assert!(hot <= HOT, "{hot} calls within five seconds are no back-off");

    scope.auth0.clear_faults();
    scope.until_auth0("the old one is left", |auth0| auth0.upstream_params("old").is_null()).await;
    scope.until_in_sync("blog").await;
}

#[tokio::test]
async fn changes_that_wait_for_their_turn_wait_for_a_missing_scope_too() {
    let scope = World::shared().bare_scope("turn-and-scope").await;
    scope.create_secret().await;
    scope.connection("old", "oidc");
    scope.auth0.set_scopes("operator", ["read:connections", "read:connections_options"]);
    // The two go one by one from the first refusal on; the next try finds that nothing may be written at all.
    scope.auth0.inject(refusal_of("one").times(1));
    scope.create("one", on("old").value("one", "x")).await;
    scope.create("two", on("old").value("two", "x")).await;
    scope.create_tenant(tenant()).await;
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    scope.until_says("one", "Synced", "Unknown", "TenantNotReady").await;
    let hot = calls_from_now(&scope.auth0).await;
    assert!(hot <= HOT, "{hot} calls within five seconds are no back-off");

    scope.auth0.set_scopes("operator", SCOPES);
    scope.until_in_sync("one").await;
    scope.until_in_sync("two").await;
}

/// Waits until the tenant's status speaks of a trouble, or of none.
async fn until_troubled(scope: &Scope<'_>, troubled: bool) {
    let what = if troubled { "a trouble" } else { "no trouble" };
    scope.until_tenant_message("Authenticated", what, |message| message.contains("; now: ") == troubled).await;
}

#[tokio::test]
async fn a_tenant_that_nobody_asks_any_more_does_not_stay_one_that_gives_no_answer() {
    let scope = World::shared().scope("nobody-left").await;
    scope.connection("old", "oidc");
    scope.create("blog", on("old").value("blog", "x").retain()).await;
    scope.until_in_sync("blog").await;
    scope.auth0.inject(Fault::drop().method("GET"));
    until_troubled(&scope, true).await;
    scope.delete("blog").await;
    scope.until_gone("blog").await;
    scope.auth0.clear_faults();
    until_troubled(&scope, false).await;
}
