//! Whose trouble a trouble is: that of the tenant, of one connection, of an entry that nobody here declared.

use std::time::Duration;

use auth0_emulator::{Fault, TenantHandle};
use kube::Api;
use serde_json::{Value, json};
use upstream_params_operator::api::upstream_params::UpstreamParams;

use crate::steps::{assert_stalled, calls, condition, one, patches};
use crate::support::{self, SCOPES, SOON, Scope, message};

/// What a tenant says that is in no trouble.
const USABLE: &str = "the tenant can be used";

fn by_id(id: &str) -> Value {
    json!({"connection": {"id": id}, "params": {"blog": {"value": "x"}}})
}

/// Shows this text in place of a connection, whoever asks for it by id.
fn shows(scope: &Scope<'_>, id: &str, members: &str) {
    let document = format!(r#"{{"id":"{id}","name":"odd","strategy":"oauth2"{members}}}"#);
    scope.auth0.inject(Fault::status_with(200, document).method("GET").connection(id));
}

fn reads(auth0: &TenantHandle, id: &str) -> usize {
    calls(auth0, "GET").iter().filter(|call| call.path.ends_with(id)).count()
}

/// Asserts that the tenant is in no trouble, and never was since its conditions began.
async fn assert_tenant_untroubled(scope: &Scope<'_>) {
    for kind in ["Ready", "Authenticated"] {
        let message = scope.tenant_message(kind).await;
        assert!(message == USABLE || message == "the tenant accepted the credentials", "{kind}: {message}");
    }
    let log = scope.bench.log_text();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("MissingScope") && line.contains(&scope.name)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn options_that_one_connection_does_not_show_are_its_own_trouble() {
    let scope = support::shared().scope("odd-options").await;
    let odd: Vec<(&str, String)> =
        [("absent", ""), ("null", r#","options":null"#), ("a-list", r#","options":[]"#), ("a-text", r#","options":"{}""#)]
            .map(|(name, members)| {
                let id = scope.connection(name, "oauth2", json!({}));
                shows(&scope, &id, members);
                (name, id)
            })
            .into();
    for (name, id) in &odd {
        scope.create(name, by_id(id)).await;
    }
    for (name, _) in &odd {
        let object = scope.until_condition(name, "Synced", "False", "OptionsHidden").await;
        assert!(support::is(&object, "Ready", "False", "OptionsHidden"), "{:#?}", object.status);
        assert!(message(&object, "Synced").contains("no options that can be read"), "{}", message(&object, "Synced"));
        assert_stalled(&object, false);
    }
    // Meanwhile another connection of the tenant is written as ever.
    scope.connection("fine", "oauth2", json!({}));
    scope.create("fine", one("fine", "blog", "x")).await;
    scope.until_in_sync("fine").await;
    scope.edit("fine", json!({"params": {"blog": {"value": "y"}}})).await;
    scope.until_in_sync("fine").await;
    assert_tenant_untroubled(&scope).await;
    assert_eq!(patches(&scope.auth0), 2);
    let before: usize = odd.iter().map(|(_, id)| reads(&scope.auth0, id)).sum();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let hot = odd.iter().map(|(_, id)| reads(&scope.auth0, id)).sum::<usize>() - before;
    assert!(hot <= odd.len() * 4, "{hot} reads within five seconds are no back-off");

    scope.auth0.clear_faults();
    for (name, _) in &odd {
        scope.until_in_sync(name).await;
    }
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn where_the_token_names_no_scopes_the_other_connections_tell_whose_trouble_it_is() {
    let scope = support::shared().scope("silent-token").await;
    scope.auth0.configure(|settings| settings.token_names_scopes = false);
    for name in ["first", "second"] {
        scope.connection(name, "oauth2", json!({}));
        scope.create(name, one(name, "blog", "x")).await;
        scope.until_in_sync(name).await;
    }
    let id = scope.connection("odd", "oauth2", json!({}));
    shows(&scope, &id, "");
    scope.create("odd", by_id(&id)).await;
    scope.until_condition("odd", "Synced", "False", "OptionsHidden").await;
    scope.edit("first", json!({"params": {"blog": {"value": "y"}}})).await;
    scope.until_in_sync("first").await;
    assert_tenant_untroubled(&scope).await;

    // All of them hide their options: that is the tenant's.
    scope.auth0.set_scopes("operator", ["read:connections", "update:connections", "update:connections_options"]);
    scope.auth0.revoke_tokens();
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    scope.auth0.set_scopes("operator", SCOPES);
    scope.edit("second", json!({"params": {"blog": {"value": "y"}}})).await;
    scope.until_in_sync("second").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.auth0.clear_faults();
    scope.until_in_sync("odd").await;
}

#[tokio::test]
async fn a_name_in_the_options_that_is_no_text_is_nobodys_trouble() {
    let scope = support::shared().scope("surrogate").await;
    let id = scope.connection("odd", "oauth2", json!({"upstream_params": {"blog": {"value": "x"}}}));
    let options = r#","options":{"a\ud800":1,"upstream_params":{"\udfff":{"value":"theirs"},"blog":{"value":"x"}}}"#;
    shows(&scope, &id, options);
    scope.create("odd", by_id(&id)).await;
    scope.until_in_sync("odd").await;
    assert_eq!(patches(&scope.auth0), 0);
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn an_answer_to_a_write_that_cannot_be_read_is_no_missing_scope() {
    let scope = support::shared().scope("odd-answer").await;
    for (name, members) in [("hidden", ""), ("null", r#","options":null"#), ("nameless", r#","name":null,"options":{}"#)] {
        let id = scope.connection(name, "oauth2", json!({}));
        let answer = format!(r#"{{"id":"{id}","name":"{name}","strategy":"oauth2"{members}}}"#);
        scope.auth0.inject(Fault::status_with(200, answer).method("PATCH").connection(&id).times(1));
        scope.create(name, one(name, "blog", "x")).await;
        let object = scope.until_condition(name, "Synced", "Unknown", "RemoteUnavailable").await;
        assert!(message(&object, "Synced").contains("unusable answer"), "{}", message(&object, "Synced"));
        scope.until_in_sync(name).await;
    }
    assert_eq!(patches(&scope.auth0), 6, "each write is made again, as a read shows that it is not there");
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn a_scope_that_the_token_has_is_not_what_one_connection_lacks() {
    let scope = support::shared().scope("odd-scope").await;
    let refusal = json!({
        "statusCode": 403, "error": "Forbidden", "errorCode": "insufficient_scope",
        "message": "Insufficient scope, expected any of: update:connections",
    });
    for name in ["odd", "fine"] {
        scope.connection(name, "oauth2", json!({}));
    }
    scope.auth0.inject(Fault::status_with(403, refusal.to_string()).method("PATCH").connection("odd"));
    scope.create("odd", one("odd", "blog", "x")).await;
    let object = scope.until_condition("odd", "Synced", "False", "ApplyFailed").await;
    assert!(message(&object, "Synced").contains("update:connections"), "{}", message(&object, "Synced"));
    scope.create("fine", one("fine", "blog", "x")).await;
    scope.until_in_sync("fine").await;
    assert_tenant_untroubled(&scope).await;
    scope.auth0.clear_faults();
    scope.until_in_sync("odd").await;
}

/// Three objects of two namespaces on one connection.
struct Three<'a> {
    scope: Scope<'a>,
    other: String,
}

impl Three<'_> {
    async fn on_connection(name: &str) -> Three<'static> {
        let scope = support::shared().scope(name).await;
        let other = format!("{}-other", scope.name);
        scope.create_namespace(&other).await;
        Three { scope, other }
    }

    async fn create(&self) {
        self.scope.create("one", one("shared", "one", "marker-value-one")).await;
        self.scope.create("two", one("shared", "two", "marker-value-two")).await;
        self.scope.create_in(&self.other, "three", one("shared", "three", "marker-value-three")).await;
    }

    async fn all(&self) -> Vec<UpstreamParams> {
        let third = Api::<UpstreamParams>::namespaced(self.scope.client.clone(), &self.other).get("three").await.unwrap();
        vec![self.scope.get("one").await, self.scope.get("two").await, third]
    }

    async fn until_all(&self, kind: &str, status: &str, reason: &str) -> Vec<UpstreamParams> {
        let give_up = std::time::Instant::now() + 2 * SOON;
        loop {
            let all = self.all().await;
            if all.iter().all(|object| support::is(object, kind, status, reason)) {
                return all;
            }
            assert!(std::time::Instant::now() < give_up, "not all came to {reason}\n{}", self.scope.describe("").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All three are told of a trouble that is none of theirs, the tries grow rare, and nobody's values are shown.
    async fn assert_patient(&self, says: &[&str]) {
        for object in self.until_all("Synced", "False", "ApplyFailed").await {
            assert_stalled(&object, false);
            assert_eq!(condition(&object, "Ready"), ("False".to_owned(), "ApplyFailed".to_owned()));
            for text in says {
                assert!(message(&object, "Synced").contains(text), "{text} is not in: {}", message(&object, "Synced"));
            }
            assert!(!serde_json::to_string(&object.status).unwrap().contains("marker-"), "{:#?}", object.status);
        }
        self.scope.until_auth0("five tries", |auth0| patches(auth0) >= 5).await;
        let times: Vec<u64> = calls(&self.scope.auth0, "PATCH").iter().map(|call| call.time_ms).collect();
        let pauses: Vec<u64> = times.windows(2).map(|two| two[1] - two[0]).collect();
        // Each pause is at least half of a step that doubles: 1, 2, 4, 8 s. The first objects may have come one by one.
        let last = pauses.last().unwrap();
        assert!(*last >= 2000, "one write a try, more and more slowly: {pauses:?}");
        for object in self.all().await {
            assert!(!support::is(&object, "Synced", "False", "Rejected"));
        }
    }
}

#[tokio::test]
async fn a_foreign_entry_that_auth0_refuses_is_no_fault_of_our_objects() {
    let three = Three::on_connection("foreign-entry").await;
    let scope = &three.scope;
    // A shape that is found in the wild. The tenant holds it from earlier days, and refuses to take it back.
    let params = json!({"android_client_id": "marker-of-another-team"});
    scope.odd_connection("shared", "oauth2", &json!({"client_secret": "marker-idp", "upstream_params": params}));
    let before = scope.auth0.connection("shared");
    three.create().await;
    three.assert_patient(&["android_client_id", "not this object's", "corrected or removed at Auth0"]).await;
    assert_eq!(scope.auth0.connection("shared"), before);

    scope.auth0.edit("shared", |options| drop(options["upstream_params"].as_object_mut().unwrap().remove("android_client_id")));
    three.until_all("Synced", "True", "InSync").await;
    let ours = json!({
        "one": {"value": "marker-value-one"}, "two": {"value": "marker-value-two"}, "three": {"value": "marker-value-three"}
    });
    assert_eq!(scope.auth0.upstream_params("shared"), ours);
    assert_tenant_untroubled(scope).await;
}

#[tokio::test]
async fn an_option_that_auth0_will_not_take_back_is_waited_out() {
    let three = Three::on_connection("echo").await;
    let scope = &three.scope;
    scope.connection("shared", "oauth2", json!({"icon_url": "marker-icon"}));
    let refusal = json!({
        "statusCode": 400, "error": "Bad Request", "errorCode": "invalid_body",
        "message": "Payload validation error: 'Object didn't pass validation for format absolute-https-uri: marker-icon' on property options.icon_url (marker-nested-\u{e9}).",
    });
    scope.auth0.inject(Fault::status_with(400, refusal.to_string()).method("PATCH"));
    three.create().await;
    three.assert_patient(&["options.icon_url", "the other options of the connection"]).await;
    scope.auth0.clear_faults();
    three.until_all("Synced", "True", "InSync").await;
    crate::leaks::assert_nothing_leaked(scope.bench).await;
}
