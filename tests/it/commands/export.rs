//! `export`: what it writes can be applied as it stands, and nothing is written to the tenant for it.

use serde_json::{Value, json};
use test_support::manifest::{alias, on, value};
use test_support::status::is;
use test_support::{Scope, World};

use super::Run;

/// Connections of every kind: enough for three pages, with parameters, with odd entries, and with none.
fn every_kind(scope: &Scope<'_>) {
    for number in 0..110 {
        let strategy = ["oidc", "google-oauth2", "okta", "waad", "oauth2"][number % 5];
        let name = format!("bulk-{number:03}");
        if number % 4 == 0 {
            scope.connection_of(&name, strategy, value("prompt", "login").alias("hint", "login_hint"));
        } else {
            scope.connection(&name, strategy);
        }
    }
    scope.connection_of("Shop", "oidc", value("blog", "upper"));
    scope.connection_of("shop", "oidc", value("blog", "lower"));
    let texts =
        ["5", "true", "no", "on", "0o7", "1_000", "null", "~", "2020-01-01", "a: b # c", "\"quoted\" \\ 'text'", "\u{2028}é\u{1f600}"];
    let params = texts.iter().enumerate().fold(alias("ui", "ui_locales"), |params, (nth, text)| params.value(format!("p{nth}"), *text));
    scope.connection_of("texts", "oauth2", params.value("on", "x").value("5", "x").value("1e3", "x").value("null", "x"));
    scope.connection_of("samlp", "samlp", value("blog", "x"));
    scope.connection_of("facebook", "facebook", value("display", "page"));
    scope.connection_of("reserved", "oidc", value("state", "fixed").value("kept", "x"));
    let odd = json!({"upstream_params": {"text": "bare", "null": null, "both": {"value": "x", "alias": "prompt"}, "old": {"alias": "access_type"}, "empty": {"value": ""}, "good": {"value": "1"}, "a b": {"value": "1"}}});
    scope.odd_connection("odd", "oidc", &odd);
    scope.odd_connection("only-odd", "oidc", &json!({"upstream_params": {"text": "bare"}}));
    scope.odd_connection("no-object", "oidc", &json!({"upstream_params": "text"}));
    scope.odd_connection("old_name", "oidc", &json!({"upstream_params": {"blog": {"value": "1"}}}));
}

/// The names of the objects in a text of manifests.
fn names(text: &str) -> Vec<String> {
    let documents = text.split("---\n").skip(1).map(|document| serde_saphyr::from_str::<Value>(document).unwrap());
    documents.map(|document| document["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn apply(scope: &Scope<'_>, text: &str) {
    let file = scope.world.control_plane.folder().join(format!("export-{}.yaml", scope.name));
    std::fs::write(&file, text).unwrap();
    scope.world.control_plane.apply(&file).await.unwrap();
}

#[tokio::test]
async fn an_export_is_adopted_without_any_write_observed_first_and_enforced_then() {
    let scope = World::shared().scope("export").await;
    every_kind(&scope);
    let before: Vec<Value> = scope.auth0.connection_names().iter().map(|name| scope.auth0.connection(name)).collect();
    scope.auth0.clear_journal();
    let words = ["export", "--tenant", &scope.name, "-n", &scope.namespace];
    let ended = Run::of(&scope, &words).end().await;
    assert!(ended.err.contains("objects: 35; connections: 120, of which skipped: 3; requests to the tenant: 4, in"), "{}", ended.err);
    let text = ended.well();
    for skipped in [
        "# skipped: samlp: upstream parameters do nothing on a connection of type samlp (SAML)",
        "# skipped: no-object: options.upstream_params of the connection is not a JSON object",
        "# skipped: only-odd: text is left out: it has neither a value nor a known alias",
        "# both is left out",
        "# state is left out: it is reserved",
        "# a b is left out: a parameter name consists of",
        "# the connection old_name is named by its id",
    ] {
        assert!(text.contains(skipped), "{skipped}\n{text}");
    }
    apply(&scope, &text).await;
    let objects = names(&text);
    assert_eq!(objects.len(), 35);
    for name in &objects {
        let object = scope.until_condition(name, "Ready", "True", "Observing").await;
        assert!(is(&object, "Synced", "True", "InSync"), "{:?}", object.status);
    }
    assert_eq!(scope.auth0.writes().len(), 0, "observed");

    // Again, with the objects in place: the same bytes.
    assert_eq!(Run::of(&scope, &words).end().await.well(), text);

    let enforcing = Run::of(&scope, &[&words[..], &["--management-policy", "Enforce"]].concat()).end().await.well();
    assert_eq!(enforcing.replace("\"Enforce\"", "\"Observe\""), text);
    apply(&scope, &enforcing).await;
    for name in &objects {
        scope
            .until(name, "in sync in its generation, and owning", |object| {
                let status = object.status.clone().unwrap_or_default();
                let params: Vec<_> = status.connections.iter().flat_map(|connection| &connection.params).collect();
                status.observed_generation == object.metadata.generation
                    && is(object, "Synced", "True", "InSync")
                    && is(object, "Ready", "True", "Ready")
                    && !params.is_empty()
                    && params.iter().all(|param| !param.owned.is_empty())
            })
            .await;
    }
    let patches: Vec<_> = scope.auth0.journal().into_iter().filter(|call| call.method != "GET" && call.path != "/oauth/token").collect();
    assert!(patches.is_empty(), "{patches:?}");
    let after: Vec<Value> = scope.auth0.connection_names().iter().map(|name| scope.auth0.connection(name)).collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_others_have_is_left_to_them_and_what_is_there_by_that_name_is_not_replaced() {
    let scope = World::shared().scope("export-others").await;
    scope.connection_of("shop", "oidc", value("theirs", "1").value("free", "2"));
    scope.connection_of("store", "oidc", value("blog", "1"));
    scope.connection("elsewhere", "oidc");
    scope.create("by-hand", on("shop").value("theirs", "1")).await;
    scope.until_ready("by-hand").await;
    scope.create("store", on("elsewhere").value("x", "y")).await;
    let text = Run::of(&scope, &["export", "--tenant", &scope.name, "-n", &scope.namespace, "--connection", "s*"]).end().await.well();
    let note = format!("# theirs is left out: the UpstreamParams {}/by-hand declares or owns it", scope.namespace);
    assert!(text.contains(&note), "{text}");
    let names = names(&text);
    assert_eq!((names.len(), names[0].as_str()), (2, "shop"));
    assert!(names[1].starts_with("store-"), "{names:?}");
    assert!(text.contains("\"free\"") && !text.contains("\"theirs\""), "{text}");
}

#[tokio::test]
async fn access_says_which_reserved_parameters_are_exported_and_whom_it_does_not_admit() {
    let scope = World::shared().bare_scope("export-access").await;
    scope.create_secret().await;
    let entry = |connections: Value, reserved: Value| json!({"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": connections, "allowedReservedParams": reserved});
    scope.create_tenant(json!({"access": [entry(json!(["shop"]), json!(["state"]))]})).await;
    scope.connection_of("shop", "oidc", value("state", "1"));
    scope.connection_of("other", "oidc", value("blog", "1"));
    let text = Run::of(&scope, &["export", "--tenant", &scope.name, "-n", &scope.namespace]).end().await.well();
    assert!(text.contains("\"state\":\n      value: \"1\""), "{text}");
    assert!(text.contains(&format!(
        "# the ClusterAuth0Tenant {} does not permit the namespace {} to use this connection yet",
        scope.name, scope.namespace
    )));
}
