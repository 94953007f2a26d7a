//! Connections as real tenants have them: foreign options beside `upstream_params`, nested, with nulls and odd numbers.

use serde_json::{Value, json};

use super::{Error, TenantHandle};

/// The names [`demo`] creates, in order.
pub const DEMO: [&str; 5] = ["wordpress", "twitter", "corporate-oidc", "contoso", "legacy-saml"];

/// Creates five connections: `wordpress`, X (strategy `twitter`) over `OAuth2`, a custom `oidc` provider, Entra ID (`waad`) over `OpenID Connect`, and `samlp`.
pub fn demo(tenant: &TenantHandle) -> Result<(), Error> {
    let bodies = [
        json!({"name": "wordpress", "strategy": "wordpress", "options": {
            "client_id": "78641", "client_secret": "wp-s3cr3t-9f2c", "authorizationURL": null, "tokenURL": null,
            "set_user_root_attributes": "on_each_login", "non_persistent_attrs": ["ethnicity"],
            "customHeaders": {"X-Source": "auth0"},
        }}),
        json!({"name": "twitter", "strategy": "twitter", "options": {
            "protocol": "oauth2", "client_id": "UkpZVlJ3b1RkR0pQ", "client_secret": "x-s3cr3t-71bb",
            "scope": ["tweet.read", "users.read"], "set_user_root_attributes": "on_first_login",
            "upstream_params": {"screen_name": {"alias": "login_hint"}},
        }}),
        json!({"name": "corporate-oidc", "strategy": "oidc", "display_name": "Corporate login", "show_as_button": true, "options": {
            "type": "back_channel", "client_id": "0oa1b2c3", "client_secret": "oidc-s3cr3t-55ee",
            "issuer": "https://login.corp.example.com", "discovery_url": "https://login.corp.example.com/.well-known/openid-configuration",
            "authorization_endpoint": "https://login.corp.example.com/authorize", "token_endpoint": "https://login.corp.example.com/token",
            "userinfo_endpoint": "https://login.corp.example.com/userinfo", "jwks_uri": "https://login.corp.example.com/jwks",
            "scope": "openid profile email", "domain_aliases": ["corp.example.com"], "icon_url": "https://corp.example.com/icon.png",
            "attribute_map": {"mapping_mode": "use_map", "userinfo_scope": "openid email",
                "attributes": {"email": "${context.tokenset.email}", "groups": "${context.userinfo.groups}"}},
            "connection_settings": {"pkce": "S256"}, "session_hint": {"max_age_factor": 1.0, "epoch": 9_007_199_254_740_993_i64, "note": null},
        }}),
        json!({"name": "contoso", "strategy": "waad", "display_name": "Contoso", "show_as_button": false, "options": {
            "client_id": "5c1b8f6e-0d1c-4b57-9c7e-1a2b3c4d5e6f", "client_secret": "waad~s3cr3t.8Q", "tenant_domain": "contoso.onmicrosoft.com",
            "domain": "contoso.onmicrosoft.com", "domain_aliases": ["contoso.com"], "identity_api": "microsoft-identity-platform-v2.0",
            "waad_protocol": "openid-connect", "use_wsfed": false, "useCommonEndpoint": false, "basic_profile": true, "ext_groups": true,
            "max_groups_to_retrieve": "250", "userid_attribute": "oid", "should_trust_email_verified_connection": "never_set_emails_as_verified",
        }}),
        json!({"name": "legacy-saml", "strategy": "samlp", "display_name": "Legacy SAML", "show_as_button": true, "options": {
            "signInEndpoint": "https://idp.legacy.example.com/saml/login", "signOutEndpoint": "https://idp.legacy.example.com/saml/logout",
            "signingCert": "bGVnYWN5", "signatureAlgorithm": "rsa-sha256", "digestAlgorithm": "sha256", "signSAMLRequest": true,
            "fieldsMap": {"email": ["emailaddress", "nameidentifier"], "family_name": "surname"}, "non_persistent_attrs": null,
            "idpinitiated": {"client_id": "Y2xpZW50", "client_protocol": "oidc", "client_authorizequery": "type=code&timeout=30"},
        }}),
    ];
    create_all(tenant, bodies)
}

/// Creates `count` connections `{strategy}-{number}` of mixed strategies; the same ones every time, ids aside.
pub fn many(tenant: &TenantHandle, count: usize) -> Result<(), Error> {
    create_all(tenant, (0..count).map(one))
}

fn create_all(tenant: &TenantHandle, bodies: impl IntoIterator<Item = Value>) -> Result<(), Error> {
    for body in bodies {
        tenant.create_connection(&body)?;
    }
    Ok(())
}

fn one(number: usize) -> Value {
    const STRATEGIES: [&str; 9] = ["oidc", "google-oauth2", "samlp", "okta", "oauth2", "waad", "github", "wordpress", "auth0"];
    let strategy = STRATEGIES[number % STRATEGIES.len()];
    let host = format!("https://idp-{number}.example.com");
    let credentials =
        json!({"client_id": format!("client-{number}"), "client_secret": format!("s3cr3t-{:08x}", (number * 2_654_435_761) & 0xffff_ffff)});
    let specific = match strategy {
        "oidc" => {
            json!({"type": "back_channel", "issuer": host, "discovery_url": format!("{host}/.well-known/openid-configuration"),
            "scope": "openid profile email", "domain_aliases": [format!("org-{number}.example.com")]})
        }
        "google-oauth2" => {
            json!({"email": true, "profile": true, "calendar": number.is_multiple_of(2), "allowed_audiences": []})
        }
        "samlp" => {
            json!({"signInEndpoint": format!("{host}/saml"), "signingCert": "Y2VydA==", "fieldsMap": {"email": ["mail"]}, "debug": false})
        }
        "okta" => {
            json!({"domain": format!("org-{number}.okta.com"), "scope": "openid", "issuer": format!("https://org-{number}.okta.com")})
        }
        "oauth2" => {
            json!({"authorizationURL": format!("{host}/authorize"), "tokenURL": format!("{host}/token"), "scope": ["read"],
            "scripts": {"fetchUserProfile": "function(token, ctx, cb) { cb(null, {}); }"}, "pkce_enabled": true, "timeout": 2.50})
        }
        "waad" => {
            json!({"tenant_domain": format!("org{number}.onmicrosoft.com"), "identity_api": "microsoft-identity-platform-v2.0",
            "basic_profile": true, "userid_attribute": "oid"})
        }
        "github" => json!({"email": true, "read_user": true, "non_persistent_attrs": null}),
        "auth0" => {
            json!({"disable_signup": true, "configuration": {"api_key": format!("key-{number}")}})
        }
        _ => json!({"authorizationURL": null, "tokenURL": null}),
    };
    let mut options = serde_json::Map::new();
    for part in [credentials, specific].iter().filter_map(Value::as_object) {
        options.extend(part.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    if strategy == "auth0" {
        options.remove("client_id");
        options.remove("client_secret");
    }
    if number % 4 == 1 {
        options.insert(
            "upstream_params".to_owned(),
            json!({"screen_name": {"alias": "login_hint"}, "audience": {"value": format!("api-{number}")}}),
        );
    }
    let mut body = json!({"name": format!("{strategy}-{number}"), "strategy": strategy, "options": options});
    if number % 5 == 2
        && let Some(body) = body.as_object_mut()
    {
        body.insert("display_name".to_owned(), format!("Login {number}").into());
    }
    body
}
