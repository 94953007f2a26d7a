//! `connections`: what a tenant has, who owns it, and one line for whatever is missing.

use auth0_emulator::{Fault, RateLimited};
use serde_json::json;
use test_support::manifest::{on, tenant, value};
use test_support::{Scope, World};

use super::Run;

const READ_ONLY: [&str; 2] = ["read:connections", "read:connections_options"];

async fn tenant_of_all_sorts(name: &str) -> Scope<'static> {
    let scope = World::shared().scope_with(name, tenant().admit(("scope", "nobody"), ["shop-*"]).admit(("kind", "team"), ["shop-*"])).await;
    scope.auth0.add_client("reader", "marker-reader", READ_ONLY);
    scope.connection_of("shop-oidc", "oidc", value("blog", "1").alias("hint", "login_hint"));
    scope.connection("plain", "okta");
    scope.connection("legacy", "samlp");
    scope.odd_connection("broken", "oidc", &json!({"upstream_params": 7}));
    scope
}

#[tokio::test]
async fn without_a_cluster_read_scopes_are_enough_and_owners_are_not_known() {
    let scope = tenant_of_all_sorts("list").await;
    scope.auth0.clear_journal();
    let run = |words: &[&str]| Run::of(&scope, words).with("KUBECONFIG", "/nowhere").by_application(&scope, "reader", "marker-reader");
    let ended = run(&["connections"]).end().await;
    assert!(ended.err.contains("broken: options.upstream_params of the connection is not a JSON object"), "{}", ended.err);
    let table = ended.well();
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "ID", "TYPE", "SUPPORTED", "PARAMS", "OWNERS"]);
    let columns: Vec<(&str, &str)> = words[1..].iter().map(|row| (row[0], row[row.len() - 2])).collect();
    assert_eq!(columns, [("broken", "?"), ("legacy", "0"), ("plain", "0"), ("shop-oidc", "2")]);
    assert!(table.contains("no (SAML)"), "{table}");
    let found = run(&["connections", "-o", "json", "--with-parameters", "--name", "shop-*"]).end().await.json();
    assert_eq!(found["connections"].as_array().unwrap().len(), 1);
    assert_eq!(found["connections"][0]["parameters"], json!([{"name": "blog", "value": "1"}, {"name": "hint", "alias": "login_hint"}]));
    assert_eq!((&found["connections"][0]["supported"], &found["connections"][0]["owners"]), (&json!(true), &json!(null)));
    assert!(scope.auth0.journal().iter().all(|call| call.method == "GET" || call.path == "/oauth/token"));
}

#[tokio::test]
async fn the_cluster_says_who_owns_what_and_what_a_namespace_may_see() {
    let scope = World::shared().scope("owners").await;
    scope.connection_of("shop", "oidc", value("blog", "1"));
    scope.connection("other", "oidc");
    scope.create("blog", on("shop").value("blog", "1").value("new", "2")).await;
    scope.until_ready("blog").await;
    scope.create("wants", on("shop").value("blog", "else").observe()).await;
    let run = |words: &[&str]| Run::of(&scope, &[&["connections", "--tenant", &scope.name], words].concat());
    let table = run(&[]).end().await.well();
    let row = table.lines().find(|line| line.starts_with("shop ")).unwrap();
    assert!(row.ends_with(&format!("2       {0}/blog (owns 2), {0}/wants (owns none)", scope.namespace)), "{table}");
    let found = run(&["-o", "json"]).end().await.json();
    let owners = json!([
        {"namespace": scope.namespace, "name": "blog", "owns": ["blog", "new"], "declares": ["blog", "new"]},
        {"namespace": scope.namespace, "name": "wants", "owns": [], "declares": ["blog"]},
    ]);
    assert_eq!(found["connections"][1]["owners"], owners);
    assert_eq!(found["connections"][0]["owners"], json!([]));
    assert_eq!(run(&["--as-namespace", "default", "-o", "json"]).end().await.json()["connections"], json!([]));
    assert_eq!(run(&["--as-namespace", &scope.namespace, "-o", "json"]).end().await.json()["connections"].as_array().unwrap().len(), 2);
    assert!(run(&["--as-namespace", "nowhere"]).end().await.refused(1).contains("there is no namespace nowhere"));
}

#[tokio::test]
async fn what_is_missing_is_one_line_that_says_what_to_do() {
    let scope = tenant_of_all_sorts("wrong").await;
    scope.auth0.add_client("blind", "marker-blind", ["read:connections"]);
    scope.auth0.add_client("writer", "marker-writer", ["update:connections"]);
    let run = || Run::of(&scope, &["connections"]);
    let one_line = |text: String, expected: &str| {
        assert!(text.starts_with("error: ") && text.lines().count() == 1 && text.contains(expected), "{expected}\n{text}");
        assert!(!text.contains("marker-"), "{text}");
    };
    let missing = "set AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, of an application with the scopes read:connections and read:connections_options";
    one_line(run().end().await.refused(1), missing);
    one_line(
        run().by_application(&scope, "reader", "marker-wrong").end().await.refused(1),
        "Auth0 refused the credentials of the application reader",
    );
    one_line(
        run().by_application(&scope, "nobody", "marker-wrong").end().await.refused(1),
        "check AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET",
    );
    one_line(
        run().by_application(&scope, "blind", "marker-blind").end().await.refused(1),
        "the application blind lacks a scope; grant it read:connections_options",
    );
    one_line(
        run().by_application(&scope, "writer", "marker-writer").end().await.refused(1),
        "grant it read:connections and read:connections_options",
    );
    one_line(
        run().by_application(&scope, "reader", "marker-reader").with("AUTH0_DOMAIN", "https://x.auth0.com").end().await.refused(1),
        "leave out `https://`",
    );
    one_line(
        run().by_application(&scope, "reader", "marker-reader").with("AUTH0_DOMAIN", "unknown.auth0.com").end().await.refused(1),
        "unknown.auth0.com has no token endpoint (404)",
    );
    let run = |words: &[&str]| Run::of(&scope, &[&["connections"], words].concat());
    one_line(run(&["--tenant", "nobody"]).end().await.refused(1), "there is no ClusterAuth0Tenant nobody");
    let other = World::shared().scope("wrong-other").await;
    let mixed = run(&["--tenant", &other.name]).by_application(&scope, "reader", "marker-reader");
    one_line(mixed.end().await.refused(1), "and the credentials in the environment are for");
    assert_eq!(run(&["--as-namespace", "x"]).end().await.code, Some(2));
}

#[tokio::test]
async fn a_limit_is_waited_out_and_what_passes_is_tried_again_and_neither_for_ever() {
    let scope = tenant_of_all_sorts("limits").await;
    let run = |words: &[&str]| Run::of(&scope, &[&["connections"], words].concat()).by_application(&scope, "reader", "marker-reader");
    let limited = || Fault::rate_limited(RateLimited { reset: Some(1), ..RateLimited::default() }).path("/api/v2/connections");
    scope.auth0.inject(limited().times(1));
    scope.auth0.inject(Fault::status(503).path("/api/v2/connections").times(1));
    assert_eq!(run(&[]).end().await.well().lines().count(), 5);
    scope.auth0.clear_faults();
    scope.auth0.inject(limited());
    let text = run(&["--timeout", "2s"]).end().await.refused(1);
    assert!(text.contains("not read within 2s (--timeout)"), "{text}");
    scope.auth0.clear_faults();
}

#[tokio::test]
async fn a_tenant_of_several_pages_is_read_whole_with_a_request_for_each_page() {
    let scope = World::shared().bare_scope("pages").await;
    for number in 0..130 {
        scope.connection(&format!("c-{number:03}"), "oidc");
    }
    scope.auth0.clear_journal();
    let run = Run::of(&scope, &["connections", "-o", "json"]).by_application(&scope, "operator", &scope.client_secret());
    let found = run.end().await.json();
    let names: Vec<&str> = found["connections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0], names[129]), (130, "c-000", "c-129"));
    assert_eq!(scope.auth0.journal().iter().filter(|call| call.method == "GET").count(), 3);
}
