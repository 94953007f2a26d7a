//! What the server adds to, recomputes in and drops from `options`, by strategy.
//!
//! Source: recorded traffic of real tenants (2022 to 2026). Where years differ the newest behaviour is emulated. A PATCH adds a default
//! only when the stored document already had the key: tenants differ in which defaults they know, and the stored document shows it.

use std::collections::BTreeMap;

use super::certificate;
use super::json::{Json, Object};

/// What a derivation may look at besides the options themselves.
pub(crate) struct Context<'a> {
    /// The tenant's domain, e.g. `a.eu.auth0.com`.
    pub(crate) domain: &'a str,
    /// The stored options, when this is a PATCH.
    pub(crate) before: Option<&'a Object>,
    /// Documents the outside world serves: discovery documents (JSON) and SAML metadata (XML) by URL.
    pub(crate) documents: &'a BTreeMap<String, String>,
}

impl Context<'_> {
    fn had(&self, key: &str) -> bool {
        self.before.is_none_or(|before| before.contains(key))
    }

    fn stored(&self, key: &str) -> Option<Json> {
        self.before.and_then(|before| before.get(key)).cloned()
    }

    /// Adds a default that a POST always gets and a PATCH gets when the stored document has the key.
    fn default(&self, options: &mut Object, key: &str, value: impl FnOnce() -> Json) {
        if self.had(key) {
            options.insert_missing(key, value);
        }
    }

    /// Adds what was stored under the key when the PATCH does not send it.
    fn keep(&self, options: &mut Object, key: &str) {
        if let Some(value) = self.before.and_then(|before| before.get(key)) {
            options.insert_missing(key, || value.clone());
        }
    }
}

/// Applies a strategy's derivations to options that were sent.
pub(crate) fn derive(strategy: &str, options: &mut Object, context: &Context<'_>) {
    match strategy {
        "auth0" => database(options, context),
        "oidc" => oidc(options, context, "front_channel", "bind_all"),
        "okta" => oidc(options, context, "back_channel", "basic_profile"),
        "samlp" | "pingfederate" => saml(options, context),
        "waad" => waad(options, context),
        "google-oauth2" => google(options, context),
        "facebook" => options.insert("scope", Json::string(flags(options, &["allow_context_profile_field"]).join(","))),
        "wordpress" => {
            options.insert_missing("profile", || Json::Bool(true));
            recompute_scope(options, flags_among(options, &[("profile", "profile")]));
        }
        "linkedin" => {
            options.insert_missing("profile", || Json::Bool(true));
            let names = [("basic_profile", "r_basicprofile"), ("profile", "r_liteprofile"), ("email", "r_emailaddress")];
            recompute_scope(options, flags_among(options, &names));
        }
        "github" => {
            let scope = flags(options, &["pkce_enabled"]).iter().map(|flag| github_scope(flag)).collect();
            recompute_scope(options, scope);
        }
        "windowslive" => {
            options.insert_missing("signin", || Json::Bool(true));
            options.insert_missing("scope", || Json::strings(["wl.signin"]));
        }
        "email" | "sms" => context.default(options, "brute_force_protection", || Json::Bool(true)),
        "ad" => {
            context.default(options, "ips", || Json::Null);
            context.default(options, "brute_force_protection", || Json::Bool(true));
        }
        _ => {}
    }
}

/// What an answer still echoes but the store does not keep: unset endpoints of built-in social strategies.
pub(crate) fn forget(strategy: &str, options: &mut Object) {
    if matches!(strategy, "twitter" | "wordpress") {
        for endpoint in ["authorizationURL", "tokenURL"] {
            if options.get(endpoint).is_some_and(Json::is_null) {
                options.remove(endpoint);
            }
        }
    }
}

/// The option keys that are `true`, in the order sent.
fn flags(options: &Object, not_scopes: &[&str]) -> Vec<String> {
    options.iter().filter(|(key, value)| value.is_true() && !not_scopes.contains(key)).map(|(key, _)| key.to_owned()).collect()
}

fn flags_among(options: &Object, names: &[(&str, &str)]) -> Vec<String> {
    let scope = |key: &str| names.iter().find(|(flag, _)| *flag == key).map(|(_, scope)| (*scope).to_owned());
    options.iter().filter(|(_, value)| value.is_true()).filter_map(|(key, _)| scope(key)).collect()
}

/// Sets `scope` to what the flags say. A scope sent with the same members keeps the order it was sent in.
fn recompute_scope(options: &mut Object, scope: Vec<String>) {
    if let Some(Json::Array(sent)) = options.get("scope") {
        let same = sent.len() == scope.len() && sent.iter().all(|item| item.as_str().is_some_and(|item| scope.iter().any(|s| s == item)));
        if same {
            return;
        }
    }
    options.insert("scope", Json::strings(scope));
}

fn google(options: &mut Object, context: &Context<'_>) {
    const SCOPES: [(&str, &str); 10] = [
        ("email", "email"),
        ("profile", "profile"),
        ("calendar", "https://www.googleapis.com/auth/calendar"),
        ("gmail", "https://mail.google.com/mail/feed/atom"),
        ("youtube", "https://gdata.youtube.com"),
        ("contacts", "https://www.google.com/m8/feeds/"),
        ("blogger", "https://www.blogger.com/feeds/"),
        ("google_drive", "https://www.googleapis.com/auth/drive"),
        ("google_drive_files", "https://www.googleapis.com/auth/drive.file"),
        ("tasks", "https://www.googleapis.com/auth/tasks"),
    ];
    context.default(options, "email", || Json::Bool(true));
    context.default(options, "profile", || Json::Bool(true));
    let scope = flags_among(options, &SCOPES);
    recompute_scope(options, scope);
}

fn github_scope(flag: &str) -> String {
    match flag {
        "email" => "user:email".to_owned(),
        "read_user" => "read:user".to_owned(),
        "follow" => "user:follow".to_owned(),
        "profile" => "user".to_owned(),
        "repo_status" => "repo:status".to_owned(),
        "read_org" => "read:org".to_owned(),
        "write_org" => "write:org".to_owned(),
        "admin_org" => "admin:org".to_owned(),
        other => other.to_owned(),
    }
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    members.into_iter().collect::<Object>().into()
}

/// Endpoints a discovery document fills in when they are sent as `null`.
const ENDPOINTS: [&str; 3] = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint"];

fn oidc(options: &mut Object, context: &Context<'_>, channel: &str, mapping: &str) {
    if options.get("type").is_none_or(Json::is_null) {
        match context.before {
            None => options.insert("type", Json::string(channel)),
            Some(_) => context.keep(options, "type"),
        }
    }
    if context.before.is_none() || options.contains("oidc_metadata") || context.had("oidc_metadata") {
        metadata(options, context);
    }
    // A schema version is the connection's own: a PATCH keeps the stored one.
    match context.before {
        None => options.insert_missing("schema_version", || Json::string("oidc-V4")),
        Some(_) => context.keep(options, "schema_version"),
    }
    context.default(options, "attribute_map", || object([("mapping_mode", Json::string(mapping))]));
    // Recorded: a POST defaults PKCE to `auto`, a PATCH that does not send it turns it off.
    let pkce = if context.before.is_none() { "auto" } else { "disabled" };
    context.default(options, "connection_settings", || object([("pkce", Json::string(pkce))]));
}

fn metadata(options: &mut Object, context: &Context<'_>) {
    if options.get("oidc_metadata").is_none_or(|sent| sent.as_object().is_none_or(Object::is_empty)) {
        let discovered = options.get("discovery_url").and_then(Json::as_str).map(str::to_owned).and_then(|url| discover(&url, context));
        if let Some(discovered) = discovered.or_else(|| context.stored("oidc_metadata")) {
            options.insert("oidc_metadata", discovered);
        }
    }
    let Some(Json::Object(metadata)) = options.get_mut("oidc_metadata") else {
        return;
    };
    for flag in
        ["claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"]
    {
        metadata.insert_missing(flag, || Json::Bool(false));
    }
    let known: Vec<Option<Json>> = ENDPOINTS.iter().map(|endpoint| metadata.get(endpoint).cloned()).collect();
    for (endpoint, known) in ENDPOINTS.into_iter().zip(known) {
        if options.get(endpoint).is_some_and(Json::is_null) {
            options.insert(endpoint, known.unwrap_or_else(|| Json::string("")));
        }
    }
}

/// The document behind a discovery URL: what the outside world serves, else what was fetched before, else a plausible one.
fn discover(url: &str, context: &Context<'_>) -> Option<Json> {
    if let Some(text) = context.documents.get(url) {
        return Json::parse(text).ok();
    }
    let same = context.before.and_then(|before| before.get("discovery_url")).and_then(Json::as_str) == Some(url);
    if let (true, Some(stored)) = (same, context.stored("oidc_metadata")) {
        return Some(stored);
    }
    let issuer = url.strip_suffix("/.well-known/openid-configuration")?.trim_end_matches('/');
    let at = |path: &str| Json::string(format!("{issuer}{path}"));
    Some(object([
        ("issuer", Json::string(issuer)),
        ("authorization_endpoint", at("/authorize")),
        ("token_endpoint", at("/oauth/token")),
        ("userinfo_endpoint", at("/userinfo")),
        ("jwks_uri", at("/.well-known/jwks.json")),
        ("response_types_supported", Json::strings(["code", "id_token", "code id_token"])),
        ("subject_types_supported", Json::strings(["public"])),
        ("id_token_signing_alg_values_supported", Json::strings(["RS256"])),
    ]))
}

fn saml(options: &mut Object, context: &Context<'_>) {
    if context.before.is_none() {
        options.insert_missing("assertion_decryption_settings", || {
            object([("algorithm_profile", Json::string("v2026-1")), ("algorithm_exceptions", Json::Array(Vec::new()))])
        });
    }
    if let Some(Json::Object(idp)) = options.get_mut("idpinitiated") {
        idp.insert_missing("enabled", || Json::Bool(true));
    }
    let url = options.get("metadataUrl").and_then(Json::as_str).map(str::to_owned);
    let inline = options.get("metadataXml").and_then(Json::as_str).filter(|xml| !xml.trim().is_empty()).map(str::to_owned);
    if inline.is_some() {
        // The document is read and not kept.
        options.remove("metadataXml");
    }
    match inline.or_else(|| url.as_ref().and_then(|url| context.documents.get(url).cloned())) {
        Some(xml) => saml_metadata(options, &xml),
        // The document behind an unknown URL cannot be fetched here: what it yielded before stays.
        None if url.is_some() => {
            if !options.contains("signingCert") {
                for key in ["signingCert", "signInEndpoint", "signOutEndpoint"] {
                    context.keep(options, key);
                }
            }
            context.keep(options, "bindingMethod");
        }
        None => {}
    }
    let Some(certificate) = options.get("signingCert").and_then(Json::as_str).and_then(certificate::read) else {
        return;
    };
    if let Some(expires) = certificate.expires {
        options.insert("expires", Json::string(expires));
    }
    options.insert("subject", certificate.subject.into());
    options.insert("thumbprints", Json::strings([certificate.thumbprint]));
    options.insert("cert", Json::string(certificate.pem));
}

/// Takes certificate, endpoints and binding out of SAML metadata, where the request did not give its own.
fn saml_metadata(options: &mut Object, xml: &str) {
    let certificate = between(xml, "X509Certificate>", "</").map(|body| body.split_whitespace().collect::<String>());
    if let Some(body) = certificate {
        // Auth0 stores the certificate as base64 of its PEM text.
        let lines: Vec<&str> = (0..body.len()).step_by(64).filter_map(|at| body.get(at..(at + 64).min(body.len()))).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        options.insert_missing("signingCert", || Json::string(certificate::base64(pem.as_bytes())));
    }
    let sign_in = between(xml, "SingleSignOnService", ">");
    let location = |tag: Option<&str>| tag.and_then(|tag| between(tag, "Location=\"", "\"")).map(str::to_owned);
    if let Some(location) = location(sign_in) {
        options.insert_missing("signInEndpoint", || Json::string(location));
    }
    if let Some(location) = location(between(xml, "SingleLogoutService", ">")) {
        options.insert_missing("signOutEndpoint", || Json::string(location));
    }
    if let Some(binding) = sign_in.and_then(|tag| between(tag, "Binding=\"", "\"")) {
        options.insert_missing("bindingMethod", || Json::string(binding));
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(&rest[..rest.find(end)?])
}

fn waad(options: &mut Object, context: &Context<'_>) {
    let new = context.before.is_none();
    let modern = options.get("identity_api").and_then(Json::as_str) == Some("microsoft-identity-platform-v2.0");
    if new && !modern {
        // Microsoft's signing certificates rotate; the emulator's are made up.
        options.insert_missing("thumbprints", || {
            Json::strings(["0f0e0d0c0b0a09080706050403020100f0e0d0c0", "00112233445566778899aabbccddeeff00112233"])
        });
        options.insert_missing("app_domain", || Json::string(context.domain));
    }
    context.keep(options, "thumbprints");
    context.keep(options, "app_domain");
    if new {
        options.insert_missing("identity_api", || Json::string("microsoft-identity-platform-v2.0"));
        options.insert_missing("useCommonEndpoint", || Json::Bool(false));
        options.insert_missing("should_trust_email_verified_connection", || Json::string("never_set_emails_as_verified"));
    }
    context.default(options, "waad_common_endpoint", || Json::Bool(false));
    if new {
        options.insert_missing("use_wsfed", || Json::Bool(false));
        options.insert_missing("waad_protocol", || Json::string("openid-connect"));
        options.insert_missing("userid_attribute", || Json::string("oid"));
    } else {
        // Recorded: a PATCH that leaves it out unsets it.
        context.default(options, "userid_attribute", || Json::Null);
    }
}

fn database(options: &mut Object, context: &Context<'_>) {
    if context.before.is_none() {
        options.insert_missing_at(0, "mfa", || object([("active", Json::Bool(true)), ("return_enroll_settings", Json::Bool(true))]));
        options.insert_missing("password_options", || Json::Object(Object::new()));
        options.insert_missing("strategy_version", || Json::number(2));
    }
    if let Some(Json::Object(sent)) = options.get_mut("password_options") {
        password_options(sent);
    }
    authentication_methods(options, context);
    context.default(options, "passkey_options", || {
        object([
            ("challenge_ui", Json::string("both")),
            ("progressive_enrollment_enabled", Json::Bool(true)),
            ("local_enrollment_enabled", Json::Bool(true)),
        ])
    });
    context.default(options, "brute_force_protection", || Json::Bool(true));
    if let Some(Json::Object(email)) = options.get_mut("attributes").and_then(|attributes| match attributes {
        Json::Object(attributes) => attributes.get_mut("email"),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => None,
    }) {
        email.insert_missing("verification_method", || Json::string("link"));
        email.insert_missing("unique", || Json::Bool(true));
    }
    if let Some(Json::Object(mut configuration)) = options.remove("configuration") {
        // Values come back encrypted, afresh on every write; echoing what a GET gave stores ciphertext of ciphertext.
        let keys: Vec<String> = configuration.keys().map(str::to_owned).collect();
        for key in keys {
            configuration.insert(key, Json::string(ciphertext()));
        }
        options.insert("configuration", configuration.into());
    }
}

/// A made-up ciphertext in the recorded form `2.0$<iv>$<tag>$<data>`.
fn ciphertext() -> String {
    let part = |bytes: usize| certificate::hex(&(0..bytes).map(|_| fastrand::u8(..)).collect::<Vec<u8>>());
    format!("2.0${}${}${}", part(16), part(16), part(32))
}

fn authentication_methods(options: &mut Object, context: &Context<'_>) {
    if !context.had("authentication_methods") && !options.contains("authentication_methods") {
        return;
    }
    options.insert_missing("authentication_methods", || Json::Object(Object::new()));
    let knows = |path: &[&str]| {
        let mut at = context.stored("authentication_methods");
        for key in path {
            at = at.and_then(|value| value.get(key).cloned());
        }
        context.before.is_none() || at.is_some()
    };
    let Some(Json::Object(methods)) = options.get_mut("authentication_methods") else {
        return;
    };
    let explicit = !methods.is_empty();
    methods.insert_missing("password", || object([("enabled", Json::Bool(true))]));
    if let Some(Json::Object(password)) = methods.get_mut("password") {
        password.insert_missing("enabled", || Json::Bool(true));
        if knows(&["password", "api_behavior"]) {
            password.insert_missing("api_behavior", || Json::string("required"));
        }
        if knows(&["password", "signup_behavior"]) {
            password.insert_missing("signup_behavior", || Json::string("allow"));
        }
    }
    methods.insert_missing("passkey", || object([("enabled", Json::Bool(false))]));
    for method in ["email_otp", "phone_otp"] {
        let wanted = if context.before.is_none() { explicit } else { knows(&[method]) };
        if wanted {
            methods.insert_missing(method, || object([("enabled", Json::Bool(false))]));
        }
    }
}

fn password_options(sent: &mut Object) {
    let strings = |items: &[&str]| Json::strings(items.iter().copied());
    let defaults: [(&str, Vec<(&str, Json)>); 4] = [
        (
            "complexity",
            vec![
                ("character_type_rule", Json::string("all")),
                ("identical_characters", Json::string("allow")),
                ("sequential_characters", Json::string("allow")),
                ("max_length_exceeded", Json::string("error")),
                ("min_length", Json::number(15)),
                ("character_types", Json::Array(Vec::new())),
            ],
        ),
        (
            "profile_data",
            vec![
                ("active", Json::Bool(false)),
                (
                    "blocked_fields",
                    strings(&[
                        "name",
                        "username",
                        "nickname",
                        "email",
                        "phone_number",
                        "user_metadata.name",
                        "user_metadata.first",
                        "user_metadata.last",
                    ]),
                ),
            ],
        ),
        ("history", vec![("active", Json::Bool(false)), ("size", Json::number(3))]),
        ("dictionary", vec![("active", Json::Bool(false)), ("custom", Json::Array(Vec::new())), ("default", Json::string("en_100k"))]),
    ];
    let mut full = Object::new();
    for (part, members) in defaults {
        let mut object: Object = members.into_iter().collect();
        if let Some(Json::Object(given)) = sent.get(part) {
            for (key, value) in given.iter() {
                object.insert(key, value.clone());
            }
        }
        full.insert(part, object.into());
    }
    for (key, value) in sent.iter() {
        full.insert_missing(key, || value.clone());
    }
    *sent = full;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(strategy: &str, sent: &str, before: Option<&str>) -> String {
        let object = |text: &str| match Json::parse(text).unwrap() {
            Json::Object(object) => object,
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_)) => panic!("not an object: {other}"),
        };
        let before = before.map(object);
        let mut options = object(sent);
        let context = Context { domain: "t.auth0.com", before: before.as_ref(), documents: &BTreeMap::new() };
        derive(strategy, &mut options, &context);
        options.to_string()
    }

    #[test]
    fn social_scopes_follow_the_flags() {
        assert_eq!(
            run("google-oauth2", r#"{"profile":true,"calendar":true,"youtube":false}"#, None),
            r#"{"profile":true,"calendar":true,"youtube":false,"email":true,"scope":["profile","https://www.googleapis.com/auth/calendar","email"]}"#
        );
        assert_eq!(
            run("facebook", r#"{"email":true,"public_profile":true}"#, None),
            r#"{"email":true,"public_profile":true,"scope":"email,public_profile"}"#
        );
        assert_eq!(run("wordpress", r#"{"scope":["email","profile"]}"#, None), r#"{"scope":["profile"],"profile":true}"#);
    }

    #[test]
    fn a_patch_of_oidc_turns_pkce_off_and_resets_the_map() {
        let before = r#"{"type":"back_channel","schema_version":"oidc-V4","attribute_map":{"x":1},"connection_settings":{"pkce":"auto"}}"#;
        assert_eq!(
            run("oidc", r#"{"client_id":"c"}"#, Some(before)),
            r#"{"client_id":"c","type":"back_channel","schema_version":"oidc-V4","attribute_map":{"mapping_mode":"bind_all"},"connection_settings":{"pkce":"disabled"}}"#
        );
    }

    #[test]
    fn what_the_store_did_not_know_is_not_added_by_a_patch() {
        assert_eq!(run("oidc", r#"{"client_id":"c"}"#, Some("{}")), r#"{"client_id":"c"}"#);
        assert_eq!(run("email", r#"{"from":"x"}"#, Some("{}")), r#"{"from":"x"}"#);
        assert_eq!(
            run("waad", r#"{"client_id":"c"}"#, Some(r#"{"userid_attribute":"oid"}"#)),
            r#"{"client_id":"c","userid_attribute":null}"#
        );
    }

    #[test]
    fn ciphertext_is_fresh_each_time() {
        let first = run("auth0", r#"{"configuration":{"a":"b"}}"#, Some("{}"));
        assert!(first.contains("\"2.0$"), "{first}");
        assert_ne!(first, run("auth0", r#"{"configuration":{"a":"b"}}"#, Some("{}")));
    }
}
