//! No command shows a secret, whatever it prints, however much it logs, and whatever goes wrong.

use auth0_emulator::{Fault, RateLimited};
use serde_json::json;
use test_support::manifest::{on, value};
use test_support::{Scope, World};

use super::Run;

/// What begins every secret and every foreign option of the emulated tenants, and every token that they give.
const MARKERS: [&str; 2] = ["marker-", "eyJhbGciOi"];

/// Commands that read a tenant, in each format that shows something else.
const COMMANDS: [&[&str]; 5] = [
    &["connections"],
    &["connections", "-o", "json"],
    &["connections", "-o", "yaml"],
    &["export"],
    &["export", "--management-policy", "Enforce"],
];

async fn assert_none_shown(scope: &Scope<'_>, what: &str, codes: &[i32]) {
    for words in COMMANDS {
        for log in ["error", "debug", "trace"] {
            let with_log = [words, &["--log", log]].concat();
            let from_cluster = Run::of(scope, &[&with_log[..], &["--tenant", &scope.name]].concat());
            let from_environment = Run::of(scope, &with_log).by_application(scope, "operator", &scope.client_secret());
            for run in [from_cluster, from_environment] {
                let ended = run.end().await;
                assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{what}: {words:?}: {ended:?}");
                let all = format!("{}\n{}", ended.out, ended.err);
                let shown: Vec<&str> = all.lines().filter(|line| MARKERS.iter().any(|marker| line.contains(marker))).collect();
                assert!(shown.is_empty(), "{what}: {words:?} --log {log}: {shown:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_command_shows_a_secret_in_any_format_at_any_level_whatever_goes_wrong() {
    let scope = World::shared().scope("shown").await;
    scope.connection_of("shop", "oidc", value("blog", "1"));
    scope.odd_connection("odd", "oidc", &json!({"client_secret": "marker-odd", "upstream_params": "marker-params"}));
    scope.odd_connection("broken", "oidc", &json!("marker-options"));
    scope.create("shop", on("shop").value("blog", "1")).await;
    scope.until_ready("shop").await;
    assert_none_shown(&scope, "all well", &[0]).await;
    let quoting = json!({"statusCode": 400, "error": "Bad", "message": format!("the client {} may not", scope.client_secret()), "errorCode": "invalid_body"});
    let faults: [(&str, Fault); 5] = [
        (
            "refused",
            Fault::status_with(401, json!({"error": "access_denied", "error_description": scope.client_secret()}).to_string())
                .path("/oauth/token"),
        ),
        ("quoted", Fault::status_with(400, quoting.to_string()).path("/api/v2/connections")),
        (
            "forbidden",
            Fault::status_with(
                403,
                json!({"statusCode": 403, "error": "Forbidden", "message": format!("{} may not", scope.client_secret()), "errorCode": "x"})
                    .to_string(),
            )
            .path("/api/v2/connections"),
        ),
        ("no JSON", Fault::not_json().path("/api/v2/connections").times(1)),
        ("limited", Fault::rate_limited(RateLimited { reset: Some(1), ..RateLimited::default() }).path("/api/v2/connections").times(1)),
    ];
    for (what, fault) in faults {
        scope.auth0.inject(fault);
        assert_none_shown(&scope, what, &[0, 1]).await;
        scope.auth0.clear_faults();
    }
}
