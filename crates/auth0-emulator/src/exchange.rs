//! One call, whatever it came by: faults, limits and the journal around what the tenant answers.
//!
//! A call has two phases. It arrives: the journal lists it, and the faults that meet it are decided. Then, after the delay that they
//! ask for, it takes effect, at once and as a whole. Whoever brings calls waits between the two and does what becomes of the answer:
//! over HTTP the server of this crate, in the same process whoever calls [`TenantHandle::arrive`].

use std::time::Duration;

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
use super::routes::{Route, no_evidence};
use super::tenant::State;
use super::token;
use super::{clients, under};

/// What is left of a request when its transport is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The raw query string without `?`, empty when there is none.
    pub query: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The header `X-Correlation-ID`.
    pub correlation_id: Option<String>,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The body; empty when there is none, `None` when it was longer than what is read.
    pub body: Option<Vec<u8>>,
}

/// A call that has arrived and has not taken effect yet.
#[derive(Debug)]
pub struct Arrival {
    tenant: TenantHandle,
    seq: u64,
    request: Request,
    fate: Fate,
}

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The status with which the tenant answered; `None` where a fault stood in its place and the call took no effect.
    pub carried_out: Option<u16>,
    /// What comes back.
    pub ending: Ending,
}

/// What comes back of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// The answer.
    Answered(Answer),
    /// The answer's headers and the first half of its body, rounded down; then the connection is closed.
    HalfAnswered(Answer),
    /// Nothing: the connection is closed.
    Cut,
    /// Nothing, ever: the connection stays open.
    Silent,
}

impl TenantHandle {
    /// A call arrives, in this process: exactly what happens to one that comes over HTTP.
    pub fn arrive(&self, request: Request) -> Arrival {
        let (seq, fate) = enter(&mut self.lock(), &request);
        Arrival { tenant: self.clone(), seq, request, fate }
    }
}

impl Arrival {
    /// How long the faults let it wait before it takes effect.
    pub fn delay(&self) -> Duration {
        self.fate.delay
    }

    /// Whether the tenant will carry it out: no fault stands in its place.
    pub fn is_carried_out(&self) -> bool {
        match &self.fate.effect {
            None | Some(Effect::LoseAnswer | Effect::HangAfter | Effect::CutBody) => true,
            Some(
                Effect::Status(..)
                | Effect::Delay(_)
                | Effect::Drop
                | Effect::NotJson
                | Effect::ErrorBodyWith200
                | Effect::HugeBody(_)
                | Effect::Hang
                | Effect::Redirect(_)
                | Effect::EditBetween(_)
                | Effect::RateLimited(_),
            ) => false,
        }
    }

    /// Lets it take effect, at once and as a whole.
    pub fn take_effect(self) -> Outcome {
        let carried_out = self.is_carried_out();
        let Self { tenant, seq, request, fate } = self;
        let mut state = tenant.lock();
        let answer = match &fate.effect {
            // Nothing happens, and nothing is said.
            Some(Effect::Hang) => return Outcome { carried_out: None, ending: Ending::Silent },
            Some(Effect::Drop) => return Outcome { carried_out: None, ending: Ending::Cut },
            Some(effect) if !carried_out => instead(&state, effect),
            _ => carry_out(&mut state, seq, &request, &fate.edits),
        };
        let status = answer.status;
        let dated = |answer: Answer| match date(state.clock()) {
            Some(date) => answer.with("date", date),
            None => answer,
        };
        let ending = match fate.effect {
            Some(Effect::HangAfter) => Ending::Silent,
            Some(Effect::LoseAnswer) => Ending::Cut,
            Some(Effect::CutBody) => Ending::HalfAnswered(dated(answer)),
            _ => Ending::Answered(dated(answer)),
        };
        let answered = matches!(ending, Ending::Answered(_) | Ending::HalfAnswered(_));
        if let (true, Some(call)) = (answered, state.call_mut(seq)) {
            call.status = Some(status);
        }
        Outcome { carried_out: carried_out.then_some(status), ending }
    }
}

/// The answers of faults that replace the call.
fn instead(state: &State, effect: &Effect) -> Answer {
    match effect {
        Effect::Status(status, Some(body)) => Answer::text(*status, "application/json; charset=utf-8", body.as_str()),
        Effect::Status(status, None) => {
            let message = if *status == 500 { "An internal server error occurred" } else { "The request could not be answered" };
            Answer::error(*status, message, None)
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
            Answer::text(200, "application/json; charset=utf-8", format!("{{\"padding\":\"{}\"}}", "x".repeat(*bytes)))
        }
        Effect::Redirect(url) => Answer::redirect(url.as_str()),
        Effect::RateLimited(limited) => rate_limited(state, limited),
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
fn rate_limited(state: &State, limited: &RateLimited) -> Answer {
    let mut answer = too_many(if limited.global { "Global limit has been reached" } else { "Endpoint limit has been reached" });
    if let Some(reset) = limited.reset {
        let reset = (state.now().ceil() as u64).saturating_add(reset);
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
fn enter(state: &mut State, request: &Request) -> (u64, Fate) {
    let fate = Fate::of(effects(state, request));
    let call = state.keeps_journal.then(|| entry(request, fate.name));
    (state.open_call(call), fate)
}

/// What the journal says of a call when it arrives.
fn entry(request: &Request, fault: Option<&'static str>) -> Call {
    let body =
        request.body.as_deref().filter(|body| body.len() <= MAX_BODY).and_then(|body| any_body(body, request.content_type.as_deref()));
    let token_request = request.path == "/oauth/token";
    let body = if token_request { body.map(mask) } else { body };
    // Only what is masked is not the text that request.
    let request_text = request.body.as_deref().filter(|_| !token_request).and_then(|body| std::str::from_utf8(body).ok());
    let body_text = body.as_ref().map(|body| request_text.map_or_else(|| body.to_string(), str::to_owned));
    let client_id = body.as_ref().filter(|_| token_request).and_then(|body| body.get("client_id")).and_then(Json::as_str);
    Call {
        seq: 0,
        time_ms: 0,
        origin: Origin::Http,
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        status: None,
        client_id: client_id.map(str::to_owned),
        body: body.as_ref().map(Json::to_value),
        body_text,
        correlation_id: request.correlation_id.clone(),
        user_agent: request.user_agent.clone(),
        fault,
    }
}

fn effects(state: &mut State, request: &Request) -> Vec<Effect> {
    if state.faults.is_empty() {
        return Vec::new();
    }
    let query = pairs(&request.query);
    let named = query.iter().find(|(key, _)| key == "name").map(|(_, name)| name.as_str());
    let listing = request.path == "/api/v2/connections" && request.method == "GET";
    let wanted = match request.path.strip_prefix("/api/v2/connections/") {
        Some(id) => state.connections.iter().find(|connection| connection.id() == id),
        None if listing => named.and_then(|name| state.connections.iter().find(|connection| connection.name() == name)),
        None => None,
    };
    let wanted = wanted.map(|connection| (connection.name().to_owned(), connection.id().to_owned()));
    let target = Target {
        method: &request.method,
        path: &request.path,
        connection: wanted.as_ref().map(|(name, id)| (name.as_str(), id.as_str())),
        lists: listing && named.is_none(),
        body: request.body.as_deref().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default(),
    };
    faults::choose(&mut state.faults, &target)
}

/// Lets the call happen, and the edits of third parties right after it.
fn carry_out(state: &mut State, seq: u64, request: &Request, edits: &[faults::EditBetween]) -> Answer {
    let answer = dispatch(state, seq, request);
    for between in edits {
        let id = request.path.strip_prefix("/api/v2/connections/").map(str::to_owned);
        let query = pairs(&request.query);
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

fn dispatch(state: &mut State, seq: u64, request: &Request) -> Answer {
    let query = pairs(&request.query);
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/oauth/token") => token_endpoint(state, seq, request),
        ("GET", "/authorize") => authorize::answer(state, &query),
        (method, path) => match Route::of(method, path) {
            Route::Nowhere => Answer::no_route(),
            Route::NoEvidence => no_evidence(method, path, "the emulator does not have it"),
            route @ (Route::Connections(_) | Route::Under(..) | Route::Clients | Route::DirectoryProvisionings) => {
                api(state, seq, request, &route, &query)
            }
        },
    }
}

fn api(state: &mut State, seq: u64, request: &Request, route: &Route, query: &[(String, String)]) -> Answer {
    let token = match token::authenticate(state, request.authorization.as_deref()) {
        Ok(token) => token,
        Err(refused) => return refused,
    };
    if let Some(call) = state.call_mut(seq) {
        call.client_id = Some(token.client_id.clone());
    }
    let now = state.now();
    let reads_connections = matches!(route, Route::Connections(_)) && request.method == "GET";
    let headers = match state.buckets.take(reads_connections, now) {
        Verdict::Unlimited => None,
        Verdict::Passed(headers) => Some(headers),
        Verdict::Refused { message, headers } => return headers.on(too_many(message)),
    };
    let body = json_body(request);
    let answer = match route {
        Route::Connections(id) => {
            let asked = connections::Request { method: &request.method, id: id.as_deref(), query, body };
            connections::handle(state, &token, asked)
        }
        Route::Under(id, what) => under::handle(state, &token, (id, *what), query, body),
        Route::Clients => clients::list(state, &token, query),
        Route::DirectoryProvisionings => under::directory_provisionings(state, &token, query),
        Route::NoEvidence | Route::Nowhere => Answer::no_route(),
    };
    match headers {
        Some(headers) => headers.on(answer),
        None => answer,
    }
}

/// The body of an API call: JSON, unless another type is declared.
fn json_body(request: &Request) -> Result<Option<Json>, Answer> {
    let Some(body) = request.body.as_deref().filter(|body| body.len() <= MAX_BODY) else {
        return Err(Answer::error(413, &format!("Payload content length greater than maximum allowed: {MAX_BODY}"), None));
    };
    if body.is_empty() {
        return Ok(None);
    }
    let declared = request.content_type.as_deref().map(|declared| declared.split(';').next().unwrap_or_default().trim());
    if declared.is_some_and(|declared| !declared.eq_ignore_ascii_case("application/json")) {
        return Err(Answer::error(415, "Unsupported Media Type", None));
    }
    let text = std::str::from_utf8(body).ok();
    match text.and_then(|text| Json::parse(text).ok()) {
        Some(body) => Ok(Some(body)),
        None => Err(Answer::error(400, "Invalid request payload JSON format", None)),
    }
}

fn token_endpoint(state: &mut State, seq: u64, request: &Request) -> Answer {
    let body = request.body.as_deref().filter(|body| body.len() <= MAX_BODY);
    let Some(Json::Object(body)) = body.and_then(|body| any_body(body, request.content_type.as_deref())) else {
        return Answer::oauth(400, "invalid_request", "The request body could not be read as JSON or a form");
    };
    let basic = request.authorization.as_deref().and_then(basic);
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

/// A time as the `Date` header has it (RFC 9110, section 5.6.7). Every server with a clock sends one (section 6.6.1).
fn date(clock: Duration) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(clock.as_secs()).ok()?).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
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
