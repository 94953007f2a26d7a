//! `GET /authorize`: the redirect to the identity provider, with the connection's upstream parameters applied.
//!
//! A static value overrides what Auth0 itself would send (reported of `scope`); an alias is sent only when the call to `/authorize` has
//! the parameter it names. SAML, WS-Federation, LDAP, database and passwordless connections ignore upstream parameters.

use super::answer::Answer;
use super::form::encode;
use super::json::{Json, Object};
use super::tenant::{Connection, State, random_text};

type Pairs = Vec<(String, String)>;

fn value<'a>(pairs: &'a Pairs, key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn set(pairs: &mut Pairs, key: &str, value: impl Into<String>) {
    let value = value.into();
    match pairs.iter_mut().find(|(name, _)| name == key) {
        Some((_, place)) => *place = value,
        None => pairs.push((key.to_owned(), value)),
    }
}

fn url(base: &str, pairs: &Pairs) -> String {
    let query: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    let joint = if base.contains('?') { '&' } else { '?' };
    format!("{base}{joint}{}", query.join("&"))
}

/// Answers a call of `/authorize`.
pub(crate) fn answer(state: &State, query: &Pairs) -> Answer {
    for required in ["client_id", "response_type", "redirect_uri"] {
        if value(query, required).is_none() {
            return Answer::text(400, "text/html; charset=utf-8", format!("<h1>Oops!</h1><p>Missing required parameter: {required}</p>"));
        }
    }
    let Some(name) = value(query, "connection") else {
        return Answer::redirect(format!("https://{}/u/login?state={}", state.domain, random_text(32)));
    };
    let Some(connection) = state.connections.iter().find(|connection| connection.name() == name) else {
        let mut pairs = vec![
            ("error".to_owned(), "invalid_request".to_owned()),
            ("error_description".to_owned(), "the connection was not found".to_owned()),
        ];
        pairs.extend(value(query, "state").map(|state| ("state".to_owned(), state.to_owned())));
        return Answer::redirect(url(value(query, "redirect_uri").unwrap_or_default(), &pairs));
    };
    Answer::redirect(upstream(state, connection, query))
}

/// The protocol a connection speaks, as far as `/authorize` is concerned.
enum Protocol {
    OAuth2,
    OpenId,
    OAuth1,
    Saml,
    WsFederation,
    Local,
}

fn protocol(connection: &Connection) -> Protocol {
    let option = |key: &str| connection.options.get(key);
    match connection.strategy() {
        "samlp" | "pingfederate" => Protocol::Saml,
        "adfs" => Protocol::WsFederation,
        "waad" => {
            let wsfed =
                option("waad_protocol").and_then(Json::as_str) == Some("ws-federation") || option("use_wsfed").is_some_and(Json::is_true);
            if wsfed { Protocol::WsFederation } else { Protocol::OpenId }
        }
        "auth0" | "email" | "sms" | "ad" | "auth0-adldap" | "ip" => Protocol::Local,
        "oauth1" | "evernote" | "evernote-sandbox" => Protocol::OAuth1,
        "twitter" if option("protocol").and_then(Json::as_str) != Some("oauth2") => Protocol::OAuth1,
        "oidc" | "okta" | "auth0-oidc" | "google-oauth2" | "google-apps" | "apple" | "line" | "windowslive" => Protocol::OpenId,
        _ => Protocol::OAuth2,
    }
}

/// The authorization endpoint of a strategy; the options' own endpoint where the strategy has one.
fn endpoint(connection: &Connection) -> String {
    let option = |key: &str| connection.options.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
    let domain = |fallback: &'static str| option("domain").or_else(|| option("tenant_domain")).unwrap_or(fallback);
    let metadata =
        || connection.options.get("oidc_metadata").and_then(|metadata| metadata.get("authorization_endpoint")).and_then(Json::as_str);
    let own = option("authorization_endpoint").or_else(|| option("authorizationURL")).or_else(metadata);
    if let Some(own) = own {
        return own.to_owned();
    }
    match connection.strategy() {
        "google-oauth2" | "google-apps" => "https://accounts.google.com/o/oauth2/v2/auth".to_owned(),
        "facebook" => "https://www.facebook.com/v19.0/dialog/oauth".to_owned(),
        "github" => "https://github.com/login/oauth/authorize".to_owned(),
        "linkedin" => "https://www.linkedin.com/oauth/v2/authorization".to_owned(),
        "apple" => "https://appleid.apple.com/auth/authorize".to_owned(),
        "windowslive" => "https://login.live.com/oauth20_authorize.srf".to_owned(),
        "wordpress" => "https://public-api.wordpress.com/oauth2/authorize".to_owned(),
        "twitter" => "https://twitter.com/i/oauth2/authorize".to_owned(),
        "line" => "https://access.line.me/oauth2/v2.1/authorize".to_owned(),
        "salesforce" | "salesforce-community" => "https://login.salesforce.com/services/oauth2/authorize".to_owned(),
        "salesforce-sandbox" => "https://test.salesforce.com/services/oauth2/authorize".to_owned(),
        "waad" => format!("https://login.microsoftonline.com/{}/oauth2/v2.0/authorize", domain("common")),
        "okta" => format!("https://{}/oauth2/v1/authorize", domain("example.okta.com")),
        "oidc" | "auth0-oidc" => option("issuer")
            .map_or_else(|| "https://idp.invalid/authorize".to_owned(), |issuer| format!("{}/authorize", issuer.trim_end_matches('/'))),
        strategy => format!("https://www.{strategy}.com/oauth/authorize"),
    }
}

fn upstream(state: &State, connection: &Connection, query: &Pairs) -> String {
    let options = &connection.options;
    let option = |key: &str| options.get(key).and_then(Json::as_str);
    let mut pairs: Pairs = Vec::new();
    match protocol(connection) {
        Protocol::Local => {
            let page = format!("https://{}/u/login", state.domain);
            set(&mut pairs, "state", random_text(32));
            return url(&page, &pairs);
        }
        Protocol::Saml => {
            set(&mut pairs, "SAMLRequest", random_text(64));
            set(&mut pairs, "RelayState", random_text(32));
            return url(option("signInEndpoint").unwrap_or("https://idp.invalid/saml"), &pairs);
        }
        Protocol::WsFederation => {
            set(&mut pairs, "wa", "wsignin1.0");
            set(&mut pairs, "wtrealm", format!("urn:auth0:{}:{}", state.domain, connection.name()));
            set(&mut pairs, "wctx", random_text(32));
            let domain = option("domain").or_else(|| option("tenant_domain")).unwrap_or("common");
            let fallback = format!("https://login.microsoftonline.com/{domain}/wsfed");
            return url(option("signInEndpoint").unwrap_or(&fallback), &pairs);
        }
        Protocol::OAuth1 => {
            set(&mut pairs, "oauth_token", random_text(27));
            apply(&mut pairs, options, query);
            let own = option("userAuthorizationURL").or_else(|| option("userAuthorizationUrl"));
            return url(own.unwrap_or("https://api.twitter.com/oauth/authenticate"), &pairs);
        }
        Protocol::OAuth2 => {
            set(&mut pairs, "response_type", "code");
        }
        Protocol::OpenId => {
            if option("type") == Some("back_channel") || connection.strategy().starts_with("google") {
                set(&mut pairs, "response_type", "code");
            } else {
                set(&mut pairs, "response_type", "id_token");
                set(&mut pairs, "response_mode", "form_post");
            }
            set(&mut pairs, "nonce", random_text(32));
        }
    }
    set(&mut pairs, "redirect_uri", format!("https://{}/login/callback", state.domain));
    match options.get("scope") {
        Some(Json::String(scope)) if !scope.is_empty() => set(&mut pairs, "scope", scope),
        Some(Json::Array(scopes)) if !scopes.is_empty() => {
            let scopes: Vec<&str> = scopes.iter().filter_map(Json::as_str).collect();
            set(&mut pairs, "scope", scopes.join(" "));
        }
        _ => {}
    }
    set(&mut pairs, "state", random_text(32));
    set(&mut pairs, "client_id", option("client_id").unwrap_or("auth0-development-keys"));
    auth_params(&mut pairs, options, query);
    apply(&mut pairs, options, query);
    url(&endpoint(connection), &pairs)
}

/// A custom `oauth2` connection's own `authParams` and `authParamsMap`. Their precedence against upstream parameters is documented
/// nowhere; here upstream parameters win.
fn auth_params(pairs: &mut Pairs, options: &Object, query: &Pairs) {
    for (key, text) in options.get("authParams").and_then(Json::as_object).into_iter().flat_map(Object::iter) {
        if let Some(text) = text.as_str() {
            set(pairs, key, text);
        }
    }
    for (key, source) in options.get("authParamsMap").and_then(Json::as_object).into_iter().flat_map(Object::iter) {
        if let Some(text) = source.as_str().and_then(|source| value(query, source)) {
            set(pairs, key, text);
        }
    }
}

fn apply(pairs: &mut Pairs, options: &Object, query: &Pairs) {
    for (key, entry) in options.get("upstream_params").and_then(Json::as_object).into_iter().flat_map(Object::iter) {
        let text = match (entry.get("value"), entry.get("alias")) {
            (Some(Json::String(text)), _) => Some(text.as_str()),
            (_, Some(Json::String(alias))) => value(query, alias),
            _ => None,
        };
        if let Some(text) = text {
            set(pairs, key, text);
        }
    }
}
