//! What the controller refuses or warns of, because it takes the tenant to tell, and what makes it think again.

use serde_json::{Value, json};
use test_support::journal::{calls, patches};
use test_support::manifest::{edit, on, on_id, tenant, value};
use test_support::status::{assert_stalled, has_finalizer, is, message, states};
use test_support::{Scope, World};

/// Waits until the object is refused with this reason and asserts what holds of every refusal.
async fn refused(scope: &Scope<'_>, name: &str, reason: &str, stalled: bool, says: &[&str]) {
    let object = scope.until_condition(name, "Accepted", "False", reason).await;
    assert!(is(&object, "Ready", "False", reason), "{:#?}", object.status);
    assert!(is(&object, "Synced", "Unknown", "Pending"), "{:#?}", object.status);
    assert_eq!(message(&object, "Ready"), message(&object, "Accepted"));
    for text in says {
        assert!(message(&object, "Accepted").contains(text), "{text} is not in: {}", message(&object, "Accepted"));
    }
    assert_stalled(&object, stalled);
    assert!(!has_finalizer(&object), "nothing is claimed, so nothing has to be cleaned up");
    assert!(scope.until_event(name, reason).await.contains(says[0]));
}

#[tokio::test]
async fn a_connection_without_an_authorization_request_is_refused_and_never_written() {
    let scope = World::shared().scope("strategies").await;
    let types: [(&str, &str, Value, &str); 10] = [
        ("saml", "samlp", json!({}), "SAML"),
        ("ping", "pingfederate", json!({}), "SAML"),
        ("adfs", "adfs", json!({}), "WS-Federation"),
        ("entra-old", "waad", json!({"waad_protocol": "ws-federation"}), "WS-Federation"),
        ("entra-older", "waad", json!({"use_wsfed": true}), "WS-Federation"),
        ("directory", "ad", json!({}), "LDAP"),
        ("database", "auth0", json!({}), "a database"),
        ("mail", "email", json!({}), "passwordless"),
        ("text", "sms", json!({}), "passwordless"),
        ("office", "ip", json!({}), "IP address list"),
    ];
    for (name, strategy, options, _) in &types {
        scope.odd_connection(name, strategy, options);
        scope.create(name, on(name).value("blog", "x")).await;
    }
    scope.odd_connection("entra", "waad", &json!({"waad_protocol": "openid-connect"}));
    scope.create("entra", on("entra").value("domain_hint", "example.com")).await;

    for (name, strategy, _, protocol) in &types {
        refused(&scope, name, "UnsupportedStrategy", true, &[protocol, strategy, "OAuth 2.0 or OpenID Connect"]).await;
        let object = scope.get(name).await;
        assert!(is(&object, "ResolvedRefs", "True", "ResolvedRefs"));
    }
    scope.until_ready("entra").await;
    assert_eq!(patches(&scope.auth0), 1, "only the connection that speaks OpenID Connect is written");
}

#[tokio::test]
async fn facebook_takes_ten_parameters() {
    let scope = World::shared().scope("facebook").await;
    scope.connection("friends", "facebook");
    let mut params = serde_json::Map::new();
    for number in 0..11 {
        params.insert(format!("p{number}"), json!({"value": "x"}));
    }
    scope.create("friends", on("friends").with("params", Value::from(params))).await;
    refused(&scope, "friends", "InvalidSpec", true, &["at most 10", "facebook"]).await;
    assert_eq!(patches(&scope.auth0), 0);

    scope.edit("friends", edit().without("p10")).await;
    let object = scope.until_ready("friends").await;
    assert_eq!(states(&object).len(), 10);
}

#[tokio::test]
async fn a_reserved_parameter_is_refused_until_the_tenant_allows_it_by_name() {
    let scope = World::shared().scope("reserved").await;
    scope.connection_with("login", "oidc", json!({"type": "back_channel", "issuer": "https://idp.example.com"}));
    scope.create("login", on("login").value("State", "x").value("blog", "y")).await;
    refused(&scope, "login", "ReservedParam", false, &["State", "allowedReservedParams"]).await;
    assert_eq!(patches(&scope.auth0), 0, "the other parameters wait too");

    let access = |reserved: &str| json!({"access": [{"namespaceSelector": {}, "connections": ["*"], "allowedReservedParams": [reserved]}]});
    scope.patch_tenant(access("nonce")).await;
    scope.looks(scope.auth0.connection("login")["id"].as_str().unwrap(), 1).await;
    assert!(is(&scope.get("login").await, "Accepted", "False", "ReservedParam"), "another name does not help");

    scope.patch_tenant(access("State")).await;
    scope.until_ready("login").await;
    assert_eq!(scope.auth0.upstream_params("login"), value("State", "x").value("blog", "y"));
}

#[tokio::test]
async fn a_namespace_that_is_not_admitted_may_do_nothing_until_its_labels_change() {
    let scope = World::shared().bare_scope("labels").await;
    scope.create_secret().await;
    let access = json!([{"namespaceSelector": {"matchLabels": {"team": "shop", "scope": scope.name}}, "connections": ["*"]}]);
    scope.create_tenant(tenant().with("access", json!(access))).await;
    scope.connection("blog", "wordpress");
    let before = scope.auth0.connection("blog");
    scope.create("blog", on("blog").value("blog", "x")).await;
    refused(&scope, "blog", "NotPermitted", false, &[&scope.name.clone(), "access entry"]).await;
    assert!(calls(&scope.auth0, "GET").is_empty(), "no connection is read for a namespace that is not admitted");

    scope.label_namespace(json!({"team": "shop"})).await;
    scope.until_in_sync("blog").await;
    scope.assert_connection(&before, "blog", &value("blog", "x"));

    scope.label_namespace(json!({"team": null})).await;
    let object = scope.until_condition("blog", "Accepted", "False", "NotPermitted").await;
    assert!(is(&object, "Ready", "False", "NotPermitted"));
    assert_stalled(&object, false);
    scope.assert_connection(&before, "blog", &value("blog", "x"));

    scope.label_namespace(json!({"team": "shop"})).await;
    scope.until_in_sync("blog").await;
    assert_eq!(patches(&scope.auth0), 1, "what was ours before is ours again, at no write");
}

#[tokio::test]
async fn a_connection_that_is_not_admitted_is_refused_by_name_without_a_call_and_by_id_after_its_name_is_known() {
    let scope = World::shared().bare_scope("globs").await;
    scope.create_secret().await;
    let access = |globs: Value| json!({"access": [{"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": globs}]});
    scope.create_tenant(access(json!(["shop-*", "exact"]))).await;
    let id = scope.connection("other", "wordpress");

    scope.create("by-name", on("other").value("named", "x")).await;
    let told = ["to use the connection other, only shop-*, exact; ask the platform team", "access entry"];
    refused(&scope, "by-name", "NotPermitted", false, &told).await;
    assert!(calls(&scope.auth0, "GET").is_empty());

    scope.create("by-id", on_id(&id).value("by_id", "x")).await;
    let object = scope.until_condition("by-id", "ResolvedRefs", "False", "ConnectionNotFound").await;
    assert!(message(&object, "ResolvedRefs").contains("access entry"), "{}", message(&object, "ResolvedRefs"));
    assert!(!calls(&scope.auth0, "GET").is_empty());
    assert_eq!(patches(&scope.auth0), 0);

    scope.patch_tenant(access(json!(["shop-*", "o*er"]))).await;
    scope.until_ready("by-name").await;
    scope.until_ready("by-id").await;
    assert_eq!(scope.auth0.upstream_params("other"), value("named", "x").value("by_id", "x"));
}

#[tokio::test]
async fn who_wrote_nearly_what_is_there_and_may_be_used_is_asked_whether_that_was_meant() {
    let scope = World::shared().bare_scope("meant").await;
    scope.create_secret().await;
    let access = json!([
        {"namespaceSelector": {"matchLabels": {"scope": scope.name}}, "connections": ["shop-*", "corporate-oidc"]},
        {"namespaceSelector": {"matchLabels": {"team": "another"}}, "connections": ["*"]},
    ]);
    scope.create_tenant(json!({"access": access})).await;
    scope.connection("shop-baskets", "oidc");
    scope.connection("corporate-odic-2", "oidc");
    scope.create("good", on("shop-baskets").value("blog", "x")).await;
    scope.until_ready("good").await;

    scope.create("near", on("shop-baskts").value("blog", "x")).await;
    let object = scope.until_condition("near", "ResolvedRefs", "False", "ConnectionNotFound").await;
    let said = "has no connection named shop-baskts (did you mean shop-baskets?); create it, or correct spec.connection";
    assert!(message(&object, "Ready").ends_with(said), "{}", message(&object, "Ready"));

    scope.create("denied", on("corporate-odic").value("blog", "x")).await;
    let said = "(did you mean corporate-oidc?), only shop-*, corporate-oidc; ask";
    refused(&scope, "denied", "NotPermitted", false, &[said]).await;

    let tenant = format!("{}x", scope.name);
    scope.create("orphan", on("shop-baskets").value("lang", "x").tenant(&tenant)).await;
    let object = scope.until_condition("orphan", "ResolvedRefs", "False", "TenantNotFound").await;
    let said = format!("there is no ClusterAuth0Tenant {tenant} (did you mean {}?); create it", scope.name);
    assert!(message(&object, "Ready").starts_with(&said), "{}", message(&object, "Ready"));
}

#[tokio::test]
async fn what_is_unusual_is_accepted_with_a_warning_and_carried_out() {
    let scope = World::shared().scope("warnings").await;
    let odd: [(&str, &str, Value, &str, &str); 8] = [
        ("future", "invented-tomorrow", json!({}), "blog", "does not know this type"),
        ("unlisted", "paypal", json!({}), "blog", "documents no upstream parameters"),
        ("twitter-plain", "twitter", json!({}), "blog", "OAuth 1"),
        ("twitter-one", "twitter", json!({"protocol": "oauth1"}), "blog", "OAuth 1"),
        ("one", "oauth1", json!({}), "blog", "OAuth 1"),
        ("notes", "evernote", json!({}), "blog", "OAuth 1"),
        ("scoped", "oauth2", json!({"scope": "a b"}), "scope", "replaces the scopes"),
        ("doubled", "oauth2", json!({"authParams": {"blog": "theirs"}}), "blog", "authParams"),
    ];
    for (name, strategy, options, param, _) in &odd {
        scope.odd_connection(name, strategy, options);
        scope.create(name, on(name).value(param, "x")).await;
    }
    scope.odd_connection("twitter-two", "twitter", &json!({"protocol": "oauth2"}));
    scope.create("twitter-two", on("twitter-two").value("blog", "x")).await;

    for (name, _, _, param, says) in &odd {
        let object = scope.until_ready(name).await;
        assert!(is(&object, "Accepted", "True", "AcceptedWithWarnings"), "{name}: {:#?}", object.status);
        assert!(message(&object, "Accepted").contains(says), "{}", message(&object, "Accepted"));
        assert_eq!(scope.auth0.upstream_params(name), value(*param, "x"));
        assert!(scope.until_event(name, "AcceptedWithWarnings").await.contains(says));
    }
    let object = scope.until_ready("twitter-two").await;
    assert!(is(&object, "Accepted", "True", "Accepted"));
}
