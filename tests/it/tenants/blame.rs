//! Whose trouble a trouble is: that of the tenant, of one connection, of an entry that nobody here declared.

use std::time::Duration;

use auth0_emulator::Fault;
use serde_json::json;
use test_support::journal::{calls, error, patches, reads};
use test_support::manifest::{Spec, edit, on, on_id, value};
use test_support::status::{assert_stalled, condition, is, message};
use test_support::wait::{SOON, growth};
use test_support::{SCOPES, Scope, World};
use upstream_params_operator::api::upstream_params::UpstreamParams;

/// What a tenant says that is in no trouble.
const USABLE: &str = "the operator can use the tenant";

fn by_id(id: &str) -> Spec {
    on_id(id).value("blog", "x")
}

/// Shows this text in place of a connection, whoever asks for it by id.
fn shows(scope: &Scope<'_>, id: &str, members: &str) {
    let document = format!(r#"{{"id":"{id}","name":"odd","strategy":"oauth2"{members}}}"#);
    scope.auth0.inject(Fault::status_with(200, document).method("GET").connection(id));
}

/// Asserts that the tenant is in no trouble, and never was since its conditions began.
async fn assert_tenant_untroubled(scope: &Scope<'_>) {
    for kind in ["Ready", "Authenticated"] {
        let message = scope.tenant_message(kind).await;
        assert!(message == USABLE || message == "Auth0 accepted the credentials", "{kind}: {message}");
    }
    let log = scope.world.log_text();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("MissingScope") && line.contains(&scope.name)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[tokio::test]
async fn options_that_one_connection_does_not_show_are_its_own_trouble() {
    let scope = World::shared().scope("odd-options").await;
    let odd: Vec<(&str, String)> =
        [("absent", ""), ("null", r#","options":null"#), ("a-list", r#","options":[]"#), ("a-text", r#","options":"{}""#)]
            .map(|(name, members)| {
                let id = scope.connection(name, "oauth2");
                shows(&scope, &id, members);
                (name, id)
            })
            .into();
    for (name, id) in &odd {
        scope.create(name, by_id(id)).await;
    }
    for (name, _) in &odd {
        let object = scope.until_condition(name, "Synced", "False", "OptionsHidden").await;
        assert!(is(&object, "Ready", "False", "OptionsHidden"), "{:#?}", object.status);
        assert!(message(&object, "Synced").contains("shows no options of this connection"), "{}", message(&object, "Synced"));
        assert_stalled(&object, false);
    }
    // Meanwhile another connection of the tenant is written as ever.
    scope.connection("fine", "oauth2");
    scope.create("fine", on("fine").value("blog", "x")).await;
    scope.until_in_sync("fine").await;
    scope.edit("fine", edit().value("blog", "y")).await;
    scope.until_in_sync("fine").await;
    assert_tenant_untroubled(&scope).await;
    assert_eq!(patches(&scope.auth0), 2);
    let hot = growth(Duration::from_secs(5), || odd.iter().map(|(_, id)| reads(&scope.auth0, id)).sum()).await;
    assert!(hot <= odd.len() * 4, "{hot} reads within five seconds are no back-off");

    scope.auth0.clear_faults();
    for (name, _) in &odd {
        scope.until_in_sync(name).await;
    }
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn where_the_token_names_no_scopes_the_other_connections_tell_whose_trouble_it_is() {
    let scope = World::shared().scope("silent-token").await;
    scope.auth0.configure(|settings| settings.token_names_scopes = false);
    for name in ["first", "second"] {
        scope.connection(name, "oauth2");
        scope.create(name, on(name).value("blog", "x")).await;
        scope.until_in_sync(name).await;
    }
    let id = scope.connection("odd", "oauth2");
    shows(&scope, &id, "");
    scope.create("odd", by_id(&id)).await;
    scope.until_condition("odd", "Synced", "False", "OptionsHidden").await;
    scope.edit("first", edit().value("blog", "y")).await;
    scope.until_in_sync("first").await;
    assert_tenant_untroubled(&scope).await;

    // All of them hide their options: that is the tenant's.
    scope.auth0.set_scopes("operator", ["read:connections", "update:connections", "update:connections_options"]);
    scope.auth0.revoke_tokens();
    scope.until_tenant("Authenticated", "False", "MissingScope").await;
    scope.auth0.set_scopes("operator", SCOPES);
    scope.edit("second", edit().value("blog", "y")).await;
    scope.until_in_sync("second").await;
    scope.until_tenant("Ready", "True", "Ready").await;
    scope.auth0.clear_faults();
    scope.until_in_sync("odd").await;
}

#[tokio::test]
async fn a_name_in_the_options_that_is_no_text_is_nobodys_trouble() {
    let scope = World::shared().scope("surrogate").await;
    let id = scope.connection_of("odd", "oauth2", value("blog", "x"));
    let options = r#","options":{"a\ud800":1,"upstream_params":{"\udfff":{"value":"theirs"},"blog":{"value":"x"}}}"#;
    shows(&scope, &id, options);
    scope.create("odd", by_id(&id)).await;
    scope.until_in_sync("odd").await;
    assert_eq!(patches(&scope.auth0), 0);
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn an_answer_to_a_write_that_cannot_be_read_is_no_missing_scope() {
    let scope = World::shared().scope("odd-answer").await;
    for (name, members) in [("hidden", ""), ("null", r#","options":null"#), ("nameless", r#","name":null,"options":{}"#)] {
        let id = scope.connection(name, "oauth2");
        let answer = format!(r#"{{"id":"{id}","name":"{name}","strategy":"oauth2"{members}}}"#);
        scope.auth0.inject(Fault::status_with(200, answer).method("PATCH").connection(&id).times(1));
        scope.create(name, on(name).value("blog", "x")).await;
        let object = scope.until_condition(name, "Synced", "Unknown", "RemoteUnavailable").await;
        assert!(message(&object, "Synced").contains("answer was not usable"), "{}", message(&object, "Synced"));
        scope.until_in_sync(name).await;
    }
    assert_eq!(patches(&scope.auth0), 6, "each write is made again, as a read shows that it is not there");
    assert_tenant_untroubled(&scope).await;
}

#[tokio::test]
async fn a_scope_that_the_token_has_is_not_what_one_connection_lacks() {
    let scope = World::shared().scope("odd-scope").await;
    let refusal = error(403, "insufficient_scope", "Insufficient scope, expected any of: update:connections");
    for name in ["odd", "fine"] {
        scope.connection(name, "oauth2");
    }
    scope.auth0.inject(refusal.method("PATCH").connection("odd"));
    scope.create("odd", on("odd").value("blog", "x")).await;
    let object = scope.until_condition("odd", "Synced", "False", "ApplyFailed").await;
    assert!(message(&object, "Synced").contains("update:connections"), "{}", message(&object, "Synced"));
    scope.create("fine", on("fine").value("blog", "x")).await;
    scope.until_in_sync("fine").await;
    assert_tenant_untroubled(&scope).await;
    scope.auth0.clear_faults();
    scope.until_in_sync("odd").await;
}

/// Three objects of two namespaces on one connection.
struct Three<'a> {
    scope: Scope<'a>,
    other: Scope<'a>,
}

impl Three<'_> {
    async fn on_connection(name: &str) -> Three<'static> {
        let scope = World::shared().scope(name).await;
        let other = scope.other_namespace().await;
        Three { scope, other }
    }

    fn places(&self) -> [(&Scope<'_>, &'static str); 3] {
        [(&self.scope, "one"), (&self.scope, "two"), (&self.other, "three")]
    }

    async fn create(&self) {
        for (scope, name) in self.places() {
            scope.create(name, on("shared").value(name, format!("marker-value-{name}"))).await;
        }
    }

    async fn all(&self) -> Vec<UpstreamParams> {
        let mut all = Vec::new();
        for (scope, name) in self.places() {
            all.push(scope.get(name).await);
        }
        all
    }

    async fn until_all(&self, kind: &str, status: &str, reason: &str) -> Vec<UpstreamParams> {
        let come = async || {
            let all = self.all().await;
            all.iter().all(|object| is(object, kind, status, reason)).then_some(all)
        };
        self.scope.eventually_within(2 * SOON, &format!("all at {kind}={status}/{reason}"), come).await
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
            assert!(!is(&object, "Synced", "False", "Rejected"));
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
    three.assert_patient(&["android_client_id", "this object does not own", "correct or remove it at Auth0"]).await;
    assert_eq!(scope.auth0.connection("shared"), before);

    scope.auth0.edit("shared", |options| drop(options["upstream_params"].as_object_mut().unwrap().remove("android_client_id")));
    three.until_all("Synced", "True", "InSync").await;
    let ours = value("one", "marker-value-one").value("two", "marker-value-two").value("three", "marker-value-three");
    assert_eq!(scope.auth0.upstream_params("shared"), ours);
    assert_tenant_untroubled(scope).await;
}

#[tokio::test]
async fn an_option_that_auth0_will_not_take_back_is_waited_out() {
    let three = Three::on_connection("echo").await;
    let scope = &three.scope;
    scope.connection_with("shared", "oauth2", json!({"icon_url": "marker-icon"}));
    let refusal = "Payload validation error: 'Object didn't pass validation for format absolute-https-uri: marker-icon' on property options.icon_url (marker-nested-\u{e9}).";
    scope.auth0.inject(error(400, "invalid_body", refusal).method("PATCH"));
    three.create().await;
    three.assert_patient(&["options.icon_url", "the other options of the connection"]).await;
    scope.auth0.clear_faults();
    three.until_all("Synced", "True", "InSync").await;
    crate::operation::leaks::assert_nothing_leaked(scope.world).await;
}
