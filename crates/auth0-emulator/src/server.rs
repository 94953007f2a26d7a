//! The HTTP side: hosts, bodies, faults, limits and the journal around what the tenant answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::http::{Request, Response, StatusCode};

use super::answer::Answer;
use super::authorize;
use super::certificate::unbase64;
use super::connections::{self, MAX_BODY};
use super::fate::Fate;
use super::faults::{self, Effect, RateLimited, Target};
use super::form::{decode, pairs};
use super::handle::TenantHandle;
use super::journal::{Call, Origin, mask};
use super::json::{Json, Object};
use super::limits::{Headers, Verdict};
use super::tenant::State;
use super::token;
use super::wire::Line;

/// What the server reads of a body before it gives up; beyond [`MAX_BODY`] the answer is 413 anyway.
const READ_LIMIT: usize = 16 * 1024 * 1024;

/// The tenants by domain, and the one that answers any other host.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    by_domain: Mutex<HashMap<String, TenantHandle>>,
    any_host: Option<TenantHandle>,
}

impl Tenants {
    pub(crate) fn new(any_host: Option<TenantHandle>) -> Self {
        let by_domain = any_host.iter().map(|tenant| (tenant.domain(), tenant.clone())).collect();
        Self { by_domain: Mutex::new(by_domain), any_host }
    }

    pub(crate) fn find_or_create(&self, domain: &str, create: impl FnOnce() -> TenantHandle) -> TenantHandle {
        let mut tenants = self.by_domain.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.entry(domain.to_ascii_lowercase()).or_insert_with(create).clone()
    }

    fn find(&self, host: &str) -> Option<TenantHandle> {
        let tenants = self.by_domain.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.get(host).or(self.any_host.as_ref()).cloned()
    }
}

pub(crate) fn router(tenants: Arc<Tenants>) -> Router {
    Router::new().fallback(move |ConnectInfo(line): ConnectInfo<Line>, request: Request<Body>| {
        let tenants = Arc::clone(&tenants);
        async move { respond(serve(&tenants, &line, request).await) }
    })
}

fn respond(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// What is left of a request when its transport is done.
struct Arrived {
    method: String,
    path: String,
    query: String,
    authorization: Option<String>,
    content_type: Option<String>,
    correlation_id: Option<String>,
    user_agent: Option<String>,
    /// `None` when the body was longer than the server reads.
    body: Option<Vec<u8>>,
}

async fn serve(tenants: &Tenants, line: &Line, request: Request<Body>) -> Answer {
    let host = host(&request);
    let Some(tenant) = tenants.find(&host) else {
        return Answer::text(404, "text/plain; charset=utf-8", format!("Unknown host: {host}"));
    };
    let header = |headers: &HeaderMap, name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, READ_LIMIT).await.ok().map(Vec::from);
    let arrived = Arrived {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header(&parts.headers, "authorization"),
        content_type: header(&parts.headers, "content-type"),
        correlation_id: header(&parts.headers, "x-correlation-id"),
        user_agent: header(&parts.headers, "user-agent"),
        body,
    };
    let answer = act(&tenant, line, &arrived).await;
    let date = date(tenant.lock().clock());
    match date {
        Some(date) => answer.with("date", date),
        None => answer,
    }
}

/// A time as the `Date` header has it (RFC 9110, section 5.6.7). Every server with a clock sends one (section 6.6.1).
fn date(clock: Duration) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(clock.as_secs()).ok()?).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

/// The host a request is for: the authority of an absolute-form target, else the `Host` header, without the port.
fn host(request: &Request<Body>) -> String {
    let header = || request.headers().get("host").and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = request.uri().authority().map(ToString::to_string).or_else(header).unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority.as_str(),
    };
    name.to_ascii_lowercase()
}

async fn act(tenant: &TenantHandle, line: &Line, arrived: &Arrived) -> Answer {
    let (seq, fate) = enter(tenant, arrived);
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    let close = |status: Option<u16>| {
        if let Some(call) = tenant.lock().call_mut(seq) {
            call.status = status;
        }
    };
    match fate.effect {
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::Drop) => {
            line.cut();
            Answer::error(500, "dropped", None)
        }
        Some(Effect::HangAfter) => {
            drop(take_effect(tenant, seq, arrived, &fate.edits));
            std::future::pending().await
        }
        Some(Effect::LoseAnswer) => {
            let answer = take_effect(tenant, seq, arrived, &fate.edits);
            line.cut();
            answer
        }
        Some(Effect::CutBody) => {
            let answer = take_effect(tenant, seq, arrived, &fate.edits);
            line.cut_after_body(answer.body.len() / 2);
            close(Some(answer.status));
            answer
        }
        Some(effect) => {
            let answer = instead(tenant, effect);
            close(Some(answer.status));
            answer
        }
        None => {
            let answer = take_effect(tenant, seq, arrived, &fate.edits);
            close(Some(answer.status));
            answer
        }
    }
}

/// The answers of faults that replace the call.
fn instead(tenant: &TenantHandle, effect: Effect) -> Answer {
    match effect {
        Effect::Status(status, Some(body)) => Answer::text(status, "application/json; charset=utf-8", body),
        Effect::Status(status, None) => {
            let message = if status == 500 { "An internal server error occurred" } else { "The request could not be answered" };
            Answer::error(status, message, None)
        }
        Effect::NotJson => {
            Answer::text(200, "text/html; charset=utf-8", "<!DOCTYPE html><html><body><h1>We'll be back soon</h1></body></html>")
        }
        Effect::ErrorBodyWith200 => {
            let mut answer = Answer::error(500, "An internal server error occurred", None);
            answer.status = 200;
            answer
        }
        Effect::HugeBody(bytes) => {
            Answer::text(200, "application/json; charset=utf-8", format!("{{\"padding\":\"{}\"}}", "x".repeat(bytes)))
        }
        Effect::Redirect(url) => Answer::redirect(url),
        Effect::RateLimited(limited) => rate_limited(tenant, &limited),
        Effect::Delay(_)
        | Effect::LoseAnswer
        | Effect::HangAfter
        | Effect::CutBody
        | Effect::Drop
        | Effect::Hang
        | Effect::EditBetween(_) => Answer::error(500, "not a replacing fault", None),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "UNIX seconds are not negative and fit")]
fn rate_limited(tenant: &TenantHandle, limited: &RateLimited) -> Answer {
    let mut answer = too_many(if limited.global { "Global limit has been reached" } else { "Endpoint limit has been reached" });
    if let Some(reset) = limited.reset {
        let reset = (tenant.lock().now().ceil() as u64).saturating_add(reset);
        answer = Headers { limit: 10, remaining: 0, reset }.on(answer);
    }
    match limited.retry_after {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    }
}

fn too_many(message: &str) -> Answer {
    Answer::error(429, message, Some("too_many_requests"))
}

/// Opens the journal's entry and decides the faults.
fn enter(tenant: &TenantHandle, arrived: &Arrived) -> (u64, Fate) {
    let mut state = tenant.lock();
    let body =
        arrived.body.as_deref().filter(|body| body.len() <= MAX_BODY).and_then(|body| any_body(body, arrived.content_type.as_deref()));
    let token_request = arrived.path == "/oauth/token";
    let body = if token_request { body.map(mask) } else { body };
    // Only what is masked is not the text that arrived.
    let arrived_text = arrived.body.as_deref().filter(|_| !token_request).and_then(|body| std::str::from_utf8(body).ok());
    let body_text = body.as_ref().map(|body| arrived_text.map_or_else(|| body.to_string(), str::to_owned));
    let client_id = body.as_ref().filter(|_| token_request).and_then(|body| body.get("client_id")).and_then(Json::as_str);
    let client_id = client_id.map(str::to_owned);
    let fate = Fate::of(effects(&mut state, arrived));
    let seq = state.open_call(Call {
        seq: 0,
        time_ms: 0,
        origin: Origin::Http,
        method: arrived.method.clone(),
        path: arrived.path.clone(),
        query: arrived.query.clone(),
        status: None,
        body: body.as_ref().map(Json::to_value),
        body_text,
        client_id,
        correlation_id: arrived.correlation_id.clone(),
        user_agent: arrived.user_agent.clone(),
        fault: fate.name,
    });
    (seq, fate)
}

fn effects(state: &mut State, arrived: &Arrived) -> Vec<Effect> {
    let query = pairs(&arrived.query);
    let named = query.iter().find(|(key, _)| key == "name").map(|(_, name)| name.as_str());
    let listing = arrived.path == "/api/v2/connections" && arrived.method == "GET";
    let wanted = match arrived.path.strip_prefix("/api/v2/connections/") {
        Some(id) => state.connections.iter().find(|connection| connection.id() == id),
        None if listing => named.and_then(|name| state.connections.iter().find(|connection| connection.name() == name)),
        None => None,
    };
    let wanted = wanted.map(|connection| (connection.name().to_owned(), connection.id().to_owned()));
    let target = Target {
        method: &arrived.method,
        path: &arrived.path,
        connection: wanted.as_ref().map(|(name, id)| (name.as_str(), id.as_str())),
        lists: listing && named.is_none(),
        body: arrived.body.as_deref().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default(),
    };
    faults::choose(&mut state.faults, &target)
}

/// Lets the call happen, and the edits of third parties right after it.
fn take_effect(tenant: &TenantHandle, seq: u64, arrived: &Arrived, edits: &[faults::EditBetween]) -> Answer {
    let mut state = tenant.lock();
    let answer = dispatch(&mut state, seq, arrived);
    for between in edits {
        let id = arrived.path.strip_prefix("/api/v2/connections/").map(str::to_owned);
        let query = pairs(&arrived.query);
        let named = query.into_iter().find(|(key, _)| key == "name").map(|(_, name)| name);
        let targets = match between.connection.clone().or(id).or(named) {
            Some(target) => vec![target],
            None => state.connections.iter().map(|connection| connection.id().to_owned()).collect(),
        };
        for target in targets {
            state.edit(&target, |options| (between.edit)(options));
        }
    }
    answer
}

fn dispatch(state: &mut State, seq: u64, arrived: &Arrived) -> Answer {
    let query = pairs(&arrived.query);
    match (arrived.method.as_str(), arrived.path.as_str()) {
        ("POST", "/oauth/token") => token_endpoint(state, seq, arrived),
        ("GET", "/authorize") => authorize::answer(state, &query),
        (method, path) => {
            let id = match path.strip_prefix("/api/v2/connections") {
                Some("") => None,
                Some(rest) => match rest.strip_prefix('/') {
                    Some(id) if !id.is_empty() && !id.contains('/') => Some(decode(id)),
                    _ => return Answer::no_route(),
                },
                None => return Answer::no_route(),
            };
            let routed = matches!((method, &id), ("GET", _) | ("POST", None) | ("PATCH" | "DELETE", Some(_)));
            if routed { api(state, seq, arrived, id.as_deref(), &query) } else { Answer::no_route() }
        }
    }
}

fn api(state: &mut State, seq: u64, arrived: &Arrived, id: Option<&str>, query: &[(String, String)]) -> Answer {
    let token = match token::authenticate(state, arrived.authorization.as_deref()) {
        Ok(token) => token,
        Err(refused) => return refused,
    };
    if let Some(call) = state.call_mut(seq) {
        call.client_id = Some(token.client_id.clone());
    }
    let now = state.now();
    let headers = match state.buckets.take(arrived.method == "GET", now) {
        Verdict::Unlimited => None,
        Verdict::Passed(headers) => Some(headers),
        Verdict::Refused { message, headers } => return headers.on(too_many(message)),
    };
    let body = json_body(arrived);
    let request = connections::Request { method: &arrived.method, id, query, body };
    let answer = connections::handle(state, &token, request);
    match headers {
        Some(headers) => headers.on(answer),
        None => answer,
    }
}

/// The body of an API call: JSON, unless another type is declared.
fn json_body(arrived: &Arrived) -> Result<Option<Json>, Answer> {
    let Some(body) = arrived.body.as_deref().filter(|body| body.len() <= MAX_BODY) else {
        return Err(Answer::error(413, &format!("Payload content length greater than maximum allowed: {MAX_BODY}"), None));
    };
    if body.is_empty() {
        return Ok(None);
    }
    let declared = arrived.content_type.as_deref().map(|declared| declared.split(';').next().unwrap_or_default().trim());
    if declared.is_some_and(|declared| !declared.eq_ignore_ascii_case("application/json")) {
        return Err(Answer::error(415, "Unsupported Media Type", None));
    }
    let text = std::str::from_utf8(body).ok();
    match text.and_then(|text| Json::parse(text).ok()) {
        Some(body) => Ok(Some(body)),
        None => Err(Answer::error(400, "Invalid request payload JSON format", None)),
    }
}

fn token_endpoint(state: &mut State, seq: u64, arrived: &Arrived) -> Answer {
    let body = arrived.body.as_deref().filter(|body| body.len() <= MAX_BODY);
    let Some(Json::Object(body)) = body.and_then(|body| any_body(body, arrived.content_type.as_deref())) else {
        return Answer::oauth(400, "invalid_request", "The request body could not be read as JSON or a form");
    };
    let basic = arrived.authorization.as_deref().and_then(basic);
    if let (Some((client_id, _)), Some(call)) = (&basic, state.call_mut(seq)) {
        call.client_id = Some(client_id.clone());
    }
    token::issue(state, &body, basic)
}

/// `Authorization: Basic` with form-encoded id and secret.
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(unbase64(credentials)?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decode(id), decode(secret)))
}

/// A body as JSON, or as a form when it is declared one.
fn any_body(body: &[u8], content_type: Option<&str>) -> Option<Json> {
    let text = std::str::from_utf8(body).ok()?;
    if content_type.is_some_and(|declared| declared.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")) {
        let form: Object = pairs(text).into_iter().map(|(key, value)| (key, Json::String(value))).collect();
        return Some(form.into());
    }
    Json::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read() {
        assert_eq!(basic("Basic YTpi"), Some(("a".to_owned(), "b".to_owned())));
        assert_eq!(basic("Bearer YTpi"), None);
    }
}
