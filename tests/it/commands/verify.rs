//! `verify`: what arrives at the identity provider, and why the walk there ends early.

use auth0_emulator::Fault;
use serde_json::json;
use test_support::manifest::{alias, on, on_id, value};
use test_support::{Scope, World};

use super::Run;

const CALLBACK: &str = "https://app.example.com/callback";

fn verify(scope: &Scope<'_>, words: &[&str]) -> Run {
    let app = ["--client-id", "marker-app", "--redirect-uri", CALLBACK];
    Run::of(scope, &[&["verify"], words, &app].concat())
}

#[tokio::test]
async fn what_objects_declare_is_looked_for_and_the_provider_is_never_asked() {
    let scope = World::shared().scope("verify").await;
    let id = scope.connection_with(
        "shop",
        "oidc",
        json!({"type": "back_channel", "authorization_endpoint": "https://idp.example.com/authorize"}),
    );
    scope.create("blog", on("shop").value("blog", "a b&c=d").alias("hint", "login_hint")).await;
    scope.create("by-id", on_id(&id).alias("lang", "ui_locales").alias("api", "audience")).await;
    scope.until_ready("blog").await;
    scope.until_ready("by-id").await;
    scope.auth0.clear_journal();
    let words = ["shop", "--tenant", &scope.name, "--set", "audience=https://api.example.com", "--set", "login_hint=me@example.com"];
    let text = verify(&scope, &words).end().await.well();
    for row in [
        "identity provider: idp.example.com",
        r#"api        as declared  "https://api.example.com" (audience)"#,
        r#"blog       as declared  "a b&c=d""#,
        r#"hint       as declared  "me@example.com" (login_hint)"#,
        r#"lang       as declared  "en" (ui_locales)"#,
        "also sent: client_id, nonce, redirect_uri, response_type, scope, state",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
    let journal = scope.auth0.journal();
    let visited: Vec<&str> = journal.iter().map(|call| call.path.as_str()).filter(|path| !path.starts_with("/api/")).collect();
    assert_eq!(visited, ["/authorize"]);

    // Without the audience nothing can be said of it, and what somebody changes is another value.
    let found = verify(&scope, &["shop", "--tenant", &scope.name, "-o", "json"]).end().await;
    assert_eq!(found.code, Some(1), "{found:?}");
    let found: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let verdicts: Vec<&str> = found["parameters"].as_array().unwrap().iter().map(|one| one["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["NotSent", "AsDeclared", "AsDeclared", "AsDeclared"]);
    assert!(found["notes"][0].as_str().unwrap().contains("--set audience="));
}

#[tokio::test]
async fn a_file_or_the_command_line_says_what_is_expected_without_any_cluster() {
    let scope = World::shared().bare_scope("verify-file").await;
    scope.connection_of("shop", "google-oauth2", value("blog", "1").alias("hint", "login_hint").value("more", "x"));
    let manifests = "kind: UpstreamParams\napiVersion: upstreamparams.dev/v1alpha1\nmetadata: {name: a}\nspec: {connection: {name: shop}, params: {blog: {value: '2'}, gone: {value: x}}}\n---\nkind: UpstreamParams\napiVersion: upstreamparams.dev/v1alpha1\nmetadata: {name: b}\nspec: {connection: {name: other}, params: {else: {value: x}}}\n";
    let file = scope.world.control_plane.folder().join("verify.yaml");
    std::fs::write(&file, manifests).unwrap();
    let run = |words: &[&str]| verify(&scope, &[words, &["--domain", &scope.domain]].concat()).with("KUBECONFIG", "/nowhere");
    let ended = run(&["shop", "--from", file.to_str().unwrap(), "--expect", "more=x"]).end().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let rows: Vec<Vec<&str>> = ended.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["identity", "provider:", "accounts.google.com"]);
    assert_eq!(rows[2], ["blog", "other", "value", "\"2\"", "\"1\"", "a"]);
    assert_eq!(rows[3], ["gone", "missing", "\"x\"", "-", "a"]);
    assert_eq!(rows[4], ["more", "as", "declared", "\"x\"", "\"x\"", "--expect"]);
    assert!(run(&["shop", "--expect", "blog=1"]).end().await.well().contains("also sent: client_id"));
    assert!(run(&["other", "--from", "/nowhere.yaml"]).end().await.refused(1).contains("/nowhere.yaml"));
    assert!(
        run(&["third", "--from", file.to_str().unwrap()])
            .end()
            .await
            .refused(1)
            .contains("nothing declares a parameter of the connection third")
    );
}

#[tokio::test]
async fn a_walk_that_ends_early_says_why() {
    let scope = World::shared().bare_scope("verify-ends").await;
    scope.connection_of("shop", "oidc", alias("hint", "login_hint"));
    scope.connection("users", "auth0");
    let run = |words: &[&str]| verify(&scope, &[words, &["--domain", &scope.domain, "--expect", "a=b"]].concat());
    let one_line = |text: String, expected: &str| {
        assert!(text.starts_with("error: ") && text.lines().count() == 1 && text.contains(expected), "{expected}\n{text}");
        assert!(!text.contains("state="), "{text}");
    };
    one_line(
        run(&["nobody"]).end().await.refused(1),
        "invalid_request (the connection was not found); check that the tenant has the connection nobody",
    );
    one_line(run(&["users"]).end().await.refused(1), "and no redirect to an identity provider");
    scope.auth0.inject(Fault::status_with(403, "<html>Callback URL mismatch. marker-page</html>".to_owned()).path("/authorize").times(1));
    let text = run(&["shop"]).end().await.refused(1);
    assert!(!text.contains("marker-page"), "{text}");
    one_line(text, "use one of its Allowed Callback URLs as --redirect-uri");
    let run = |words: &[&str]| Run::of(&scope, &[&["verify", "shop", "--client-id", "app"], words].concat());
    assert_eq!(run(&["--redirect-uri", CALLBACK]).end().await.code, Some(2), "nothing is expected");
    one_line(run(&["--redirect-uri", "callback", "--expect", "a=b"]).end().await.refused(1), "--redirect-uri: write a whole address");
    one_line(run(&["--redirect-uri", CALLBACK, "--expect", "a=b"]).end().await.refused(1), "no tenant: give --domain");
}

#[tokio::test]
async fn nothing_of_the_login_is_shown_at_any_level() {
    let scope = World::shared().bare_scope("verify-shown").await;
    scope.connection_of("shop", "oidc", value("state", "fixed"));
    scope.auth0.edit("shop", |options| options["upstream_params"]["nonce"] = json!({"value": "marker-nonce"}));
    for log in ["error", "debug", "trace"] {
        for format in ["human", "json", "yaml"] {
            let words = ["shop", "--domain", &scope.domain, "--expect", "state=other", "--expect", "blog=1", "-o", format, "--log", log];
            let ended =
                Run::of(&scope, &[&["verify"], &words[..], &["--client-id", "app", "--redirect-uri", CALLBACK]].concat()).end().await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            let all = format!("{}{}", ended.out, ended.err);
            let shown: Vec<&str> =
                all.lines().filter(|line| ["marker-", "fixed", "code_challenge="].iter().any(|secret| line.contains(secret))).collect();
            assert!(shown.is_empty(), "--log {log} -o {format}: {shown:?}");
        }
    }
}
