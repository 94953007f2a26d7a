//! What the API's schema accepts, and the message it refuses with.
//!
//! Source: Auth0's `OpenAPI` document of the Management API v2 (`ConnectionUpstreamParams`, `UpdateConnectionRequestContent`,
//! `CreateConnectionRequestContent`). No refusal of `upstream_params` was ever recorded: those messages follow the pattern of the
//! recorded ones, `Payload validation error: '<reason>' on property <path> (<description>).`

use super::json::{Json, Object};

/// The parameters of an `/authorize` call that an alias can name (`ConnectionUpstreamAliasEnum`).
pub const ALIASES: [&str; 12] = [
    "acr_values",
    "audience",
    "client_id",
    "display",
    "id_token_hint",
    "login_hint",
    "max_age",
    "prompt",
    "resource",
    "response_mode",
    "response_type",
    "ui_locales",
];

/// The strategies that can be created (`ConnectionIdentityProviderEnum`, 55 values).
pub const STRATEGIES: [&str; 55] = [
    "ad",
    "adfs",
    "amazon",
    "apple",
    "dropbox",
    "bitbucket",
    "auth0-oidc",
    "auth0",
    "baidu",
    "bitly",
    "box",
    "custom",
    "daccount",
    "dwolla",
    "email",
    "evernote-sandbox",
    "evernote",
    "exact",
    "facebook",
    "fitbit",
    "github",
    "google-apps",
    "google-oauth2",
    "instagram",
    "ip",
    "line",
    "linkedin",
    "oauth1",
    "oauth2",
    "office365",
    "oidc",
    "okta",
    "paypal",
    "paypal-sandbox",
    "pingfederate",
    "planningcenter",
    "salesforce-community",
    "salesforce-sandbox",
    "salesforce",
    "samlp",
    "sharepoint",
    "shopify",
    "shop",
    "sms",
    "soundcloud",
    "thirtysevensignals",
    "twitter",
    "untappd",
    "vkontakte",
    "waad",
    "weibo",
    "windowslive",
    "wordpress",
    "yahoo",
    "yandex",
];

/// The one value of the list's `strategy` filter that cannot be created.
pub(crate) const FILTER_ONLY_STRATEGY: &str = "auth0-adldap";

const DESCRIPTION: &str = "Options for adding parameters in the request to the upstream IdP";
const OPTIONS_DESCRIPTION: &str = "In order to return options in the response, the `read:connections_options` scope must be present";

/// Properties of a PATCH body besides `enabled_clients`, which is refused since its end of life on 2026-07-13.
/// `cross_app_access_resource_app` is in no published document yet but was recorded.
const UPDATE: [&str; 10] = [
    "display_name",
    "options",
    "is_domain_connection",
    "show_as_button",
    "realms",
    "metadata",
    "authentication",
    "connected_accounts",
    "cross_app_access_requesting_app",
    "cross_app_access_resource_app",
];

/// Properties of a POST body besides those of a PATCH.
const CREATE: [&str; 3] = ["name", "strategy", "enabled_clients"];

/// Facebook's own limit (`ConnectionUpstreamParamsFacebook`, `maxProperties`).
const FACEBOOK_LIMIT: usize = 10;

/// Why a body was refused: the whole `message`.
pub(crate) type Refusal = String;

fn refusal(reason: &str, property: &str, description: &str) -> Refusal {
    if description.is_empty() {
        format!("Payload validation error: '{reason}' on property {property}.")
    } else {
        format!("Payload validation error: '{reason}' on property {property} ({description}).")
    }
}

/// The body of `PATCH /api/v2/connections/{id}`.
pub(crate) fn update(body: &Json, legacy_enabled_clients: bool) -> Result<&Object, Refusal> {
    let body = top(body)?;
    let unknown = |key: &&str| {
        let legacy = legacy_enabled_clients && *key == "enabled_clients";
        !legacy && !UPDATE.contains(key)
    };
    additional(body, unknown)?;
    if body.is_empty() {
        return Err("Payload validation error: 'Too few properties defined (0), minimum 1'.".to_owned());
    }
    types(body)?;
    Ok(body)
}

/// The body of `POST /api/v2/connections`.
pub(crate) fn create(body: &Json) -> Result<&Object, Refusal> {
    let body = top(body)?;
    additional(body, |key| !UPDATE.contains(key) && !CREATE.contains(key))?;
    for required in ["name", "strategy"] {
        if !body.contains(required) {
            return Err(format!("Payload validation error: 'Missing required property: {required}'."));
        }
    }
    let name = body.get("name").unwrap_or(&Json::Null);
    match name.as_str() {
        None => {
            return Err(refusal(&format!("Expected type string but found type {}", name.kind()), "name", ""));
        }
        Some(name) if !is_name(name) => {
            let reason = format!("String does not match pattern ^[a-zA-Z0-9](-[a-zA-Z0-9]|[a-zA-Z0-9])*$: {name}");
            let description = "The name of the connection. Must start and end with an alphanumeric character and can only contain \
                               alphanumeric characters and '-'. Max length 128";
            return Err(refusal(&reason, "name", description));
        }
        Some(_) => {}
    }
    let strategy = body.get("strategy").unwrap_or(&Json::Null);
    if !strategy.as_str().is_some_and(|strategy| STRATEGIES.contains(&strategy)) {
        let reason = format!("No enum match for: {}", strategy.as_str().map_or_else(|| strategy.to_string(), str::to_owned));
        return Err(refusal(&reason, "strategy", "The identity provider identifier for the connection"));
    }
    types(body)?;
    Ok(body)
}

fn top(body: &Json) -> Result<&Object, Refusal> {
    body.as_object().ok_or_else(|| format!("Payload validation error: 'Expected type object but found type {}'.", body.kind()))
}

fn additional(body: &Object, unknown: impl Fn(&&str) -> bool) -> Result<(), Refusal> {
    let unknown: Vec<&str> = body.keys().filter(unknown).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!("Payload validation error: 'Additional properties not allowed: {}'.", unknown.join(",")))
    }
}

/// The types of the top-level properties both bodies share.
fn types(body: &Object) -> Result<(), Refusal> {
    for (key, value) in body.iter() {
        let expected: &[&str] = match key {
            "display_name" => &["string"],
            "options" | "metadata" | "authentication" | "connected_accounts" | "cross_app_access_requesting_app" => &["object"],
            "cross_app_access_resource_app" => &["object", "null"],
            "is_domain_connection" | "show_as_button" => &["boolean"],
            "realms" | "enabled_clients" => &["array"],
            _ => continue,
        };
        if !expected.contains(&value.kind()) {
            let reason = format!("Expected type {} but found type {}", expected[0], value.kind());
            return Err(refusal(&reason, key, if key == "options" { OPTIONS_DESCRIPTION } else { "" }));
        }
    }
    Ok(())
}

/// A PATCH of the clients of a connection: each with whether it may use it (`UpdateEnabledClientConnectionsRequestContent`). Its limit
/// is documented; no refusal was ever recorded, so that the messages follow the pattern of the recorded ones.
pub(crate) fn enabled_clients(body: &Json, most: usize) -> Result<Vec<(&str, bool)>, Refusal> {
    let bare = |reason: &str| format!("Payload validation error: '{reason}'.");
    let Json::Array(items) = body else {
        return Err(bare(&format!("Expected type array but found type {}", body.kind())));
    };
    match items.len() {
        0 => return Err(bare("Array is too short (0), minimum 1")),
        count if count > most => return Err(bare(&format!("Array is too long ({count}), maximum {most}"))),
        _ => {}
    }
    items.iter().enumerate().map(|(place, item)| enabled_client(place, item)).collect()
}

fn enabled_client(place: usize, item: &Json) -> Result<(&str, bool), Refusal> {
    let refused = |reason: String| refusal(&reason, &place.to_string(), "");
    let item = item.as_object().ok_or_else(|| refused(format!("Expected type object but found type {}", item.kind())))?;
    let unknown: Vec<&str> = item.keys().filter(|key| !["client_id", "status"].contains(key)).collect();
    if !unknown.is_empty() {
        return Err(refused(format!("Additional properties not allowed: {}", unknown.join(","))));
    }
    let wrong = |key: &str, expected: &str, found: &Json| {
        refusal(&format!("Expected type {expected} but found type {}", found.kind()), &format!("{place}.{key}"), "")
    };
    match (item.get("client_id"), item.get("status")) {
        (Some(Json::String(id)), Some(Json::Bool(status))) => Ok((id, *status)),
        (None, _) => Err(refused("Missing required property: client_id".to_owned())),
        (_, None) => Err(refused("Missing required property: status".to_owned())),
        (Some(Json::String(_)), Some(status)) => Err(wrong("status", "boolean", status)),
        (Some(id), _) => Err(wrong("client_id", "string", id)),
    }
}

/// `^[a-zA-Z0-9](-[a-zA-Z0-9]|[a-zA-Z0-9])*$`, at most 128 characters.
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    name.len() <= 128
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && !name.contains("--")
}

/// Checks `options.upstream_params`, when it is there. `facebook_limits` applies `ConnectionUpstreamParamsFacebook` (no `null`, at
/// most ten) instead of the general schema.
pub(crate) fn upstream_params(options: &Object, facebook_limits: bool) -> Result<(), Refusal> {
    const PROPERTY: &str = "options.upstream_params";
    let Some(params) = options.get("upstream_params") else {
        return Ok(());
    };
    let params = match params {
        Json::Null if !facebook_limits => return Ok(()),
        Json::Object(params) => params,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            let reason = format!("Expected type object but found type {}", params.kind());
            return Err(refusal(&reason, PROPERTY, DESCRIPTION));
        }
    };
    if facebook_limits && params.len() > FACEBOOK_LIMIT {
        let reason = format!("Too many properties defined ({}), maximum {FACEBOOK_LIMIT}", params.len());
        return Err(refusal(&reason, PROPERTY, DESCRIPTION));
    }
    for (name, param) in params.iter() {
        if let Some(reason) = entry(param) {
            return Err(refusal(&reason, &format!("{PROPERTY}.{name}"), ""));
        }
    }
    Ok(())
}

/// Why one entry breaks `oneOf: [ConnectionUpstreamAlias, ConnectionUpstreamValue]`. Neither branch requires its only property, so
/// the empty object matches both and is refused as well.
fn entry(param: &Json) -> Option<String> {
    let Some(members) = param.as_object() else {
        return Some(format!("Expected type object but found type {}", param.kind()));
    };
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (None, _) => Some("Data is valid against more than one schema from \"oneOf\": indices 0 and 1".to_owned()),
        (Some(("alias", Json::String(alias))), None) if ALIASES.contains(&alias.as_str()) => None,
        (Some(("value", Json::String(_))), None) => None,
        _ => Some("Data does not match any schemas from \"oneOf\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Result<(), Refusal> {
        params_of(text, false)
    }

    fn params_of(text: &str, facebook: bool) -> Result<(), Refusal> {
        let options = Json::parse(&format!("{{\"upstream_params\":{text}}}")).unwrap();
        upstream_params(options.as_object().unwrap(), facebook)
    }

    #[test]
    fn the_schema_accepts_what_the_document_accepts() {
        for text in [
            "null",
            "{}",
            r#"{"p":{"value":"x"}}"#,
            r#"{"p":{"alias":"login_hint"}}"#,
            r#"{"p":{"value":""}}"#,
            r#"{"":{"value":"x"},"a b":{"value":"x"},"state":{"value":"x"}}"#,
        ] {
            assert_eq!(params(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn the_schema_refuses_what_the_document_refuses() {
        for text in [
            "[]",
            "\"x\"",
            r#"{"p":{"value":"x","alias":"login_hint"}}"#,
            r#"{"p":{}}"#,
            r#"{"p":null}"#,
            r#"{"p":"x"}"#,
            r#"{"p":{"value":1}}"#,
            r#"{"p":{"value":true}}"#,
            r#"{"p":{"value":null}}"#,
            r#"{"p":{"alias":"scope"}}"#,
            r#"{"p":{"alias":"state"}}"#,
            r#"{"p":{"value":"x","foo":1}}"#,
        ] {
            let message = params(text).unwrap_err();
            assert!(message.starts_with("Payload validation error: '"), "{message}");
            assert!(message.contains("on property options.upstream_params"), "{message}");
        }
    }

    #[test]
    fn facebook_is_narrower() {
        let many = |count: usize| {
            let entries: Vec<String> = (0..count).map(|place| format!("\"p{place}\":{{\"value\":\"x\"}}")).collect();
            format!("{{{}}}", entries.join(","))
        };
        assert!(params_of("null", true).is_err());
        assert!(params_of(&many(10), true).is_ok());
        assert!(params_of(&many(11), true).is_err());
        assert!(params_of(&many(11), false).is_ok());
    }

    #[test]
    fn unknown_top_level_keys_are_listed() {
        let body = Json::parse(r#"{"name":"x","strategy":"y","options":{}}"#).unwrap();
        assert_eq!(update(&body, false).unwrap_err(), "Payload validation error: 'Additional properties not allowed: name,strategy'.");
        let body = Json::parse(r#"{"enabled_clients":[]}"#).unwrap();
        assert_eq!(update(&body, false).unwrap_err(), "Payload validation error: 'Additional properties not allowed: enabled_clients'.");
        assert!(update(&body, true).is_ok());
    }

    #[test]
    fn names_follow_the_pattern() {
        for (name, good) in [("a", true), ("a-b", true), ("a--b", false), ("-a", false), ("a_b", false), ("", false)] {
            assert_eq!(is_name(name), good, "{name}");
        }
        assert!(!is_name(&"a".repeat(129)));
    }
}
