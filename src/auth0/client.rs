//! The calls that are made to a tenant: four by the operator, and a list that commands ask for.
//!
//! Guarantees: a document that is returned is of the connection that was asked for; a call is repeated once, with a
//! new token, when the token was refused (401, and 403 `insufficient_scope`, since scopes are granted to new tokens
//! only), also when it is a write, because a refused write has not taken effect; it is repeated for no other reason. While
//! new tokens lack a scope too, fewer and fewer calls are repeated for it.
//! The observer sees every exchange, so what it counts is what the tenant counts.
//!
//! Assumes: the caller keeps to the tenant's budget. Fails: with [`Failure`].
//!
//! Source: "Auth0 Management API v2": `GET /connections`, `GET /connections/{id}`, `PATCH /connections/{id}`;
//! "Auth0 Authentication API": `POST /oauth/token`.

use std::fmt;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::call::{Call, Observer, Route};
use super::failure::Failure;
use super::limits::asked_pause;
use super::message::Complaint;
use super::redaction::Redactor;
use super::token::{Credentials, Granted, Token, TokenCache, TokenTrouble};
use super::transport::{Answer, Question, Transport};
use crate::model::document::{Document, DocumentError, Page, PatchBody};
use crate::model::domain::{Audience, Domain};
use crate::model::identity::{ConnectionId, ConnectionName};

/// How many connections one page of a list has: what every subscription permits ("Public Cloud tenants, the maximum is 50").
const PAGE: usize = 50;

/// One tenant. It is meant to be shared: all methods take `&self`.
pub(crate) struct Client {
    transport: Transport,
    domain: Domain,
    audience: Audience,
    credentials: Credentials,
    observer: Observer,
    tokens: TokenCache,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// Whether a call of the Management API may start now: asked right before each request, when the token for it is there.
pub(crate) type MayStart<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// A call of the Management API.
struct Ask<'a> {
    route: Route,
    method: Method,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: &'a str,
    correlation_id: Option<&'a str>,
    may_start: Option<MayStart<'a>>,
}

impl Client {
    /// A client for requests to `domain` with tokens for `audience`. A rotated secret takes a new client.
    pub(crate) fn new(transport: Transport, domain: Domain, audience: Audience, credentials: Credentials, observer: Observer) -> Self {
        Self { transport, domain, audience, credentials, observer, tokens: TokenCache::default() }
    }

    /// Makes sure of a token, and says what it grants.
    pub(crate) async fn authenticate(&self) -> Result<Granted, Failure> {
        Ok(self.token().await?.granted().clone())
    }

    /// Has the next call fetch a new token: newly granted scopes are in new tokens only. The old one is kept for the case
    /// that there is none to be had.
    pub(crate) async fn renew(&self) {
        self.tokens.renew().await;
    }

    /// Has the next call ask for a token although the last time failed a moment ago, unless the tenant asked for that pause.
    pub(crate) async fn try_again(&self) {
        self.tokens.try_again().await;
    }

    /// Why no new token could be had the last time; none when one could.
    pub(crate) async fn token_trouble(&self) -> Option<TokenTrouble> {
        self.tokens.trouble().await
    }

    /// A page of all connections, the first or the one that begins at `from`. Of each only what is read here is asked for, so
    /// that no more secrets travel than have to: `options` hold some, and can't be had in part.
    pub(crate) async fn list(&self, from: Option<&str>) -> Result<Page, Failure> {
        let route = Route::ListConnections;
        let take = PAGE.to_string();
        let mut query = vec![("take", take.as_str()), ("fields", "id,name,strategy,options"), ("include_fields", "true")];
        query.extend(from.map(|from| ("from", from)));
        let ask = Ask { query: &query, ..Ask::get(route, "/api/v2/connections") };
        let page = Document::parse_page(json(&self.ask(ask).await?, route)?).map_err(|error| unusable(error, route))?;
        let complete = page.is_paged || page.next.is_some() || page.connections.len() < PAGE;
        if complete { Ok(page) } else { Err(Failure::Malformed { route, what: "a list that may be cut off" }) }
    }

    /// The connection of this name; `None` when the tenant has none.
    pub(crate) async fn find(&self, name: &ConnectionName) -> Result<Option<Document>, Failure> {
        let route = Route::FindConnection;
        let query = [("name", name.as_str()), ("take", "1")];
        let ask = Ask { query: &query, ..Ask::get(route, "/api/v2/connections") };
        let list = Document::parse_list(json(&self.ask(ask).await?, route)?).map_err(|error| unusable(error, route))?;
        let Some(document) = list.into_iter().next() else { return Ok(None) };
        if document.name == *name {
            return Ok(Some(document));
        }
        // Whether Auth0 takes names by case is not known. Anything else means that the filter was lost on the way.
        if document.name.eq_ignore_ascii_case(name) {
            Ok(None)
        } else {
            Err(Failure::Malformed { route, what: "another connection than asked for" })
        }
    }

    /// The connection of this id; `None` when the tenant has none.
    pub(crate) async fn read(&self, id: &ConnectionId) -> Result<Option<Document>, Failure> {
        let route = Route::ReadConnection;
        let path = connection_path(id);
        match self.ask(Ask::get(route, &path)).await {
            Ok(body) => document(&body, id, route).map(Some),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Writes, and returns the connection as the answer shows it. `correlation_id` goes into the tenant's log, cut
    /// to 64 letters, digits, `-`, `_` and `.`.
    ///
    /// No PATCH starts where it may not, neither after a wait for a token nor the second time: a replica must not write when
    /// its lease may be another's, nor from a document that grew old, nor for what is not declared any more.
    pub(crate) async fn write(
        &self,
        id: &ConnectionId,
        body: &PatchBody,
        correlation_id: &str,
        may_start: MayStart<'_>,
    ) -> Result<Document, Failure> {
        let route = Route::WriteConnection;
        let path = connection_path(id);
        let query = &[];
        let ask = Ask {
            route,
            method: Method::PATCH,
            path: &path,
            query,
            body: body.as_str(),
            correlation_id: Some(correlation_id),
            may_start: Some(may_start),
        };
        // It says nothing about what is there: the write was accepted, and the next read shows what came of it.
        document(&self.ask(ask).await?, id, route).map_err(|failure| {
            let unreadable = matches!(failure, Failure::BadDocument { .. });
            if unreadable { Failure::Malformed { route, what: "a connection that can't be read" } } else { failure }
        })
    }

    /// Asks, and once more with a new token when the token was refused. Returns the body of a successful answer.
    async fn ask(&self, ask: Ask<'_>) -> Result<Vec<u8>, Failure> {
        let (first, serial) = self.ask_once(&ask).await?;
        match first {
            Err(Failure::Unauthorized { .. }) => {
                self.tokens.forget_refused(serial).await;
                self.ask_once(&ask).await?.0
            }
            Err(Failure::MissingScope { .. }) => {
                let Some(serial) = self.replace_lacking(serial).await else { return first };
                let second = self.ask_once(&ask).await.and_then(|(second, _)| second);
                self.tokens.note_replacement(serial, second.is_err()).await;
                second
            }
            concluded => concluded,
        }
    }

    /// Fetches a token in place of that of this fetch, which lacks a scope, if it may be better. Yields which it is.
    async fn replace_lacking(&self, serial: u64) -> Option<u64> {
        if !self.tokens.replace_lacking(serial).await {
            return None;
        }
        self.token().await.ok().map(|token| token.serial()).filter(|newer| *newer != serial)
    }

    /// The result, and which token it was reached with. The outer failure is one of getting there.
    async fn ask_once(&self, ask: &Ask<'_>) -> Result<(Result<Vec<u8>, Failure>, u64), Failure> {
        let token = self.token().await?;
        if ask.may_start.is_some_and(|may_start| !may_start()) {
            return Err(Failure::OutOfTime);
        }
        let answer = self.exchange(Question {
            route: ask.route,
            method: ask.method.clone(),
            path: ask.path,
            query: ask.query,
            bearer: Some(token.text()),
            correlation_id: ask.correlation_id,
            body: Some(ask.body).filter(|body| !body.is_empty()),
        });
        let answer = answer.await?;
        let mut secrets = self.credentials.secrets();
        secrets.push(token.text());
        Ok((body(answer, ask.route, &Redactor::new(secrets, ask.body)), token.serial()))
    }

    async fn token(&self) -> Result<Token, Failure> {
        self.tokens.get(|| self.fetch_token()).await
    }

    async fn fetch_token(&self) -> Result<Token, Failure> {
        let (route, asked_at) = (Route::Token, Instant::now());
        let body = self.credentials.token_request(&self.audience);
        let answer = self.exchange(Question {
            route,
            method: Method::POST,
            path: "/oauth/token",
            query: &[],
            bearer: None,
            correlation_id: None,
            body: Some(body.expose_secret()),
        });
        let body = token_body(answer.await?, &Redactor::new(self.credentials.secrets(), ""))?;
        Token::parse(&body, asked_at).map_err(|what| Failure::Malformed { route, what })
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Answer, Failure> {
        let (route, method, started) = (question.route, question.method.clone(), Instant::now());
        let result = self.transport.send(&self.domain, question).await;
        let (status, milliseconds) = (result.as_ref().ok().map(|answer| answer.status), started.elapsed().as_millis());
        tracing::debug!(%method, %route, status, milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX), "call");
        let call = Call { route, status: None, limit: None, retry_after: None, global: false, took: started.elapsed() };
        match &result {
            Ok(answer) => (self.observer)(&Call {
                status: Some(answer.status),
                limit: answer.limit,
                retry_after: answer.retry_after,
                global: answer.status == 429 && Complaint::parse(&answer.body).is_global_limit(),
                ..call
            }),
            // A request that never left was no exchange.
            Err(Failure::DomainNotAllowed { .. } | Failure::AddressNotAllowed { .. }) => {}
            Err(_) => (self.observer)(&call),
        }
        result
    }
}

impl<'a> Ask<'a> {
    fn get(route: Route, path: &'a str) -> Self {
        Self { route, method: Method::GET, path, query: &[], body: "", correlation_id: None, may_start: None }
    }
}

fn connection_path(id: &ConnectionId) -> String {
    format!("/api/v2/connections/{id}")
}

/// A body as text, if it is one whole JSON value and no error in disguise.
fn json(body: &[u8], route: Route) -> Result<&str, Failure> {
    let malformed = |what| Failure::Malformed { route, what };
    let text = std::str::from_utf8(body).map_err(|_| malformed("not text"))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(if error.is_eof() { "empty or cut short" } else { "not JSON" }))?;
    if is_error_body(text) { Err(malformed("an error with a successful status")) } else { Ok(text) }
}

fn is_error_body(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Disguised {
        #[serde(rename = "statusCode")]
        _status_code: IgnoredAny,
        #[serde(rename = "error")]
        _error: IgnoredAny,
    }
    // A list would be read as the struct's members in order.
    text.trim_start().starts_with('{') && serde_json::from_str::<Disguised>(text).is_ok()
}

/// The connection in an answer, if it is the one that was asked for.
fn document(body: &[u8], id: &ConnectionId, route: Route) -> Result<Document, Failure> {
    let document = Document::parse(json(body, route)?).map_err(|error| unusable(error, route))?;
    let is_it = document.id == *id;
    if is_it { Ok(document) } else { Err(Failure::Malformed { route, what: "another connection than asked for" }) }
}

/// What an answer amounts to that can't be read as a connection.
fn unusable(error: DocumentError, route: Route) -> Failure {
    match error {
        DocumentError::NotAnId => Failure::Malformed { route, what: "a connection whose id is none" },
        DocumentError::NotAConnection(_)
        | DocumentError::ParamsNotAnObject
        | DocumentError::OptionsHidden
        | DocumentError::OptionsUnusable => Failure::BadDocument { route, error },
    }
}

/// Sorts an answer of the Management API.
fn body(answer: Answer, route: Route, redactor: &Redactor<'_>) -> Result<Vec<u8>, Failure> {
    let status = answer.status;
    if let 200..=299 = status {
        return Ok(answer.body);
    }
    let complaint = Complaint::parse(&answer.body);
    let message = || complaint.text(redactor);
    Err(match (status, complaint.code.as_str()) {
        (429, _) => rate_limited(&answer, &complaint),
        // A token of a shape that the API doesn't know gets 400 with the code `Bearer`.
        (401, _) | (400, "Bearer") => Failure::Unauthorized { message: message() },
        (403, "insufficient_scope") => missing_scope(&complaint, redactor),
        (403, _) if route.is_write() && complaint.names_options_scope() => missing_scope(&complaint, redactor),
        (403, _) => Failure::Forbidden { message: message() },
        (400, _) if route.is_write() => Failure::Rejected { message: message(), about: complaint.about() },
        (404, "inexistent_connection") => Failure::Gone,
        _ => other(status, route, message()),
    })
}

/// `insufficient_scope` is also the code for features that the subscription lacks: then no scope is named.
fn missing_scope(complaint: &Complaint, redactor: &Redactor<'_>) -> Failure {
    let scopes = complaint.scopes(redactor);
    if scopes.is_empty() && complaint.is_about_subscription() {
        return Failure::Forbidden { message: complaint.text(redactor) };
    }
    Failure::MissingScope { scopes }
}

/// Sorts an answer of the token endpoint.
fn token_body(answer: Answer, redactor: &Redactor<'_>) -> Result<Vec<u8>, Failure> {
    let complaint = || Complaint::parse(&answer.body);
    match answer.status {
        200..=299 => Ok(answer.body),
        429 => Err(rate_limited(&answer, &complaint())),
        400 | 401 | 403 => {
            let complaint = complaint();
            Err(Failure::CredentialsRejected { error: complaint.safe_code(redactor), description: complaint.text(redactor) })
        }
        status => Err(other(status, Route::Token, complaint().text(redactor))),
    }
}

fn rate_limited(answer: &Answer, complaint: &Complaint) -> Failure {
    Failure::RateLimited { global: complaint.is_global_limit(), retry_after: asked_pause(answer.retry_after, answer.limit) }
}

fn other(status: u16, route: Route, message: String) -> Failure {
    match status {
        300..=399 => Failure::Redirected { status },
        400..=499 => Failure::ClientError { route, status, message },
        500..=599 => Failure::ServerError { route, status },
        _ => Failure::Malformed { route, what: "a status that HTTP doesn't know" },
    }
}
