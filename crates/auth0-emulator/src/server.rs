//! The HTTP side: hosts and bodies, and how an answer, or none, goes back over a socket.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};

use super::answer::Answer;
use super::exchange::{Ending, Request};
use super::handle::TenantHandle;
use super::wire::Line;

/// What the server reads of a body before it gives up; beyond [`MAX_BODY`](super::connections::MAX_BODY) the answer is 413 anyway.
const READ_LIMIT: usize = 16 * 1024 * 1024;

/// The tenants by domain, and the one that answers any other host.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    by_domain: Mutex<BTreeMap<String, TenantHandle>>,
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
    Router::new().fallback(move |ConnectInfo(line): ConnectInfo<Line>, request: http::Request<Body>| {
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

async fn serve(tenants: &Tenants, line: &Line, request: http::Request<Body>) -> Answer {
    let host = host(&request);
    let Some(tenant) = tenants.find(&host) else {
        return Answer::text(404, "text/plain; charset=utf-8", format!("Unknown host: {host}"));
    };
    let header = |headers: &HeaderMap, name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, READ_LIMIT).await.ok().map(Vec::from);
    let request = Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        authorization: header(&parts.headers, "authorization"),
        content_type: header(&parts.headers, "content-type"),
        correlation_id: header(&parts.headers, "x-correlation-id"),
        user_agent: header(&parts.headers, "user-agent"),
        body,
    };
    act(&tenant, line, request).await
}

/// Takes the call to the tenant, and does to the connection what becomes of the answer.
async fn act(tenant: &TenantHandle, line: &Line, request: Request) -> Answer {
    let arrival = tenant.arrive(request);
    let delay = arrival.delay();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match arrival.take_effect().ending {
        Ending::Answered(answer) => answer,
        Ending::HalfAnswered(answer) => {
            line.cut_after_body(answer.body.len() / 2);
            answer
        }
        Ending::Cut => {
            line.cut();
            Answer::error(500, "never seen: the connection is cut", None)
        }
        Ending::Silent => std::future::pending().await,
    }
}

/// The host a request is for: the authority of an absolute-form target, else the `Host` header, without the port.
fn host(request: &http::Request<Body>) -> String {
    let header = || request.headers().get("host").and_then(|host| host.to_str().ok()).map(str::to_owned);
    let authority = request.uri().authority().map(ToString::to_string).or_else(header).unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority.as_str(),
    };
    name.to_ascii_lowercase()
}
