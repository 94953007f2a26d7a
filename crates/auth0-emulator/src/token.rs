//! `POST /oauth/token`: the client-credentials grant for the Management API.
//!
//! Source: Auth0 documentation (Management API access tokens) and the error texts users reported of it.

use super::answer::Answer;
use super::certificate::{base64url, unbase64};
use super::json::{Json, Object};
use super::tenant::{Credential, State, Token, random_text};

/// A token request after its body was read, JSON or form alike.
pub(crate) fn issue(state: &mut State, body: &Object, basic: Option<(String, String)>) -> Answer {
    let text = |key: &str| body.get(key).and_then(Json::as_str);
    let Some(grant_type) = text("grant_type") else {
        return Answer::oauth(400, "invalid_request", "Missing required parameter: grant_type");
    };
    if grant_type != "client_credentials" {
        return Answer::oauth(403, "unsupported_grant_type", &format!("Unsupported grant type: {grant_type}"));
    }
    let (client_id, secret) = match basic {
        Some((client_id, secret)) => (Some(client_id), Some(secret)),
        None => (text("client_id").map(str::to_owned), text("client_secret").map(str::to_owned)),
    };
    let Some(client_id) = client_id else {
        return denied();
    };
    let Some(client) = state.clients.get(&client_id) else {
        return denied();
    };
    let Credential::Secret(expected) = &client.credential;
    if secret.as_ref() != Some(expected) {
        return denied();
    }
    let audience = format!("https://{}/api/v2/", state.domain);
    match text("audience") {
        None => {
            let message = "No audience parameter was provided, and no default audience has been configured";
            return Answer::oauth(403, "access_denied", message);
        }
        // The trailing slash belongs to the identifier.
        Some(asked) if asked != audience => {
            return Answer::oauth(403, "access_denied", &format!("Service not found: {asked}"));
        }
        Some(_) => {}
    }
    let Some(granted) = client.scopes.clone() else {
        let message = format!(
            "Client is not authorized to access \"{audience}\". You need to create a \"client-grant\" associated to this API. See: \
             https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants"
        );
        return Answer::oauth(403, "access_denied", &message);
    };
    let scopes: Vec<String> = match text("scope").map(str::split_whitespace) {
        Some(asked) => asked.filter(|scope| granted.iter().any(|held| held == scope)).map(str::to_owned).collect(),
        None => granted,
    };
    grant(state, client_id, scopes, &audience)
}

fn denied() -> Answer {
    Answer::oauth(401, "access_denied", "Unauthorized")
}

fn grant(state: &mut State, client_id: String, scopes: Vec<String>, audience: &str) -> Answer {
    let lifetime = state.settings.token_lifetime.as_secs();
    let now = state.clock().as_secs();
    let seconds = |seconds: u64| Json::Number(seconds.to_string());
    let scope = scopes.join(" ");
    let header = r#"{"alg":"RS256","typ":"JWT","kid":"emulator"}"#;
    let mut claims = Object::new();
    claims.insert("iss", Json::string(format!("https://{}/", state.domain)));
    claims.insert("sub", Json::string(format!("{client_id}@clients")));
    claims.insert("aud", Json::string(audience));
    claims.insert("iat", seconds(now));
    claims.insert("exp", seconds(now + lifetime));
    if !scope.is_empty() {
        claims.insert("scope", Json::string(&scope));
    }
    claims.insert("gty", Json::string("client-credentials"));
    claims.insert("azp", Json::string(&client_id));
    // The signature is random, of the length of RS256: the tenant knows its tokens by heart.
    let signature: String = random_text(342);
    let token = format!("{}.{}.{signature}", base64url(header.as_bytes()), base64url(claims.to_string().as_bytes()));
    let expires = state.now() + state.settings.token_lifetime.as_secs_f64();
    state.tokens.insert(token.clone(), Token { client_id, scopes, expires, revoked: false });

    let mut body = Object::new();
    body.insert("access_token", Json::string(token));
    if !scope.is_empty() && state.settings.token_names_scopes {
        body.insert("scope", Json::string(scope));
    }
    body.insert("expires_in", seconds(lifetime));
    body.insert("token_type", Json::string("Bearer"));
    Answer::json(200, &body.into()).with("cache-control", "no-store").with("pragma", "no-cache")
}

/// Finds the token of an `Authorization` header, or the answer that refuses it.
pub(crate) fn authenticate(state: &State, authorization: Option<&str>) -> Result<Token, Answer> {
    let Some(authorization) = authorization else {
        return Err(Answer::unauthorized("Missing authentication"));
    };
    let malformed = || Answer::error(400, "Bad HTTP authentication header format", Some("Bearer"));
    let Some((scheme, token)) = authorization.split_once(' ') else {
        return Err(malformed());
    };
    let known = state.tokens.get(token);
    let is_jwt = || {
        let parts: Vec<&str> = token.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && unbase64(part).is_some())
    };
    // What was issued is well formed.
    if !scheme.eq_ignore_ascii_case("bearer") || !(known.is_some() || is_jwt()) {
        return Err(malformed());
    }
    match known {
        Some(token) if token.revoked => Err(Answer::unauthorized("Invalid token")),
        Some(token) if token.expires <= state.now() => Err(Answer::unauthorized("Expired token received for JSON Web Token validation")),
        Some(token) => Ok(token.clone()),
        None => Err(Answer::unauthorized("Invalid signature received for JSON Web Token validation")),
    }
}
