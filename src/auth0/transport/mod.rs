//! How all tenants are reached: where a request may go, how long it may take, how much may come back.
//!
//! Guarantees: https to port 443 of the domain and nothing else, unless an endpoint override is set (tests and the
//! demo); TLS is always verified; a domain outside the allowed ones is refused here too, whoever asks; a host that
//! has only addresses inside private networks is refused, so that a name can't be pointed at the cluster or at a
//! cloud's metadata service; redirects are not followed; there are no cookies; a body is counted while it arrives,
//! whatever its length was announced to be.
//!
//! Proxy: the process' environment is not consulted. A proxy is an option, so that the command line, which reads the
//! settings in the environment, decides. Through a proxy it is the proxy that looks names up, so the check of
//! addresses is the proxy's then; that of domains and of TLS stays here.
//!
//! Assumes: [`install_crypto_provider`] ran. Fails: [`TransportError`] when it is built, [`Failure`] for each request.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, NoProxy, Proxy, Request, Response, Url, redirect, retry};

use crate::auth0::addresses::{NotPublic, PublicOnly};
use crate::auth0::call::{RateHeaders, Route};
use crate::auth0::failure::{Failure, Unreached};
use crate::auth0::headers::{Clock, rate_headers, retry_after};
use crate::clock::WallClock;
use crate::model::domain::{AllowedDomains, Domain};

/// How much of an error's body is read, in bytes: its message is short.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// Makes ring the cryptography of every TLS client of this process. May be called again: only the first call counts.
pub fn install_crypto_provider() {
    // An error says that a provider is there already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What a [`Transport`] is built from.
#[derive(Clone)]
pub struct TransportOptions {
    /// The domains that requests may go to.
    pub allowed_domains: AllowedDomains,
    /// How long a connection may take to come about, name lookup and TLS included. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a request may take in all, to the last byte of its answer. Default: 10 s.
    pub request_timeout: Duration,
    /// How large an answer may be, in bytes. Default: 4 MiB.
    pub max_body: usize,
    /// A file of PEM certificates that are trusted beside the system's.
    pub extra_ca: Option<PathBuf>,
    /// Whether a tenant may have addresses inside private networks only, as with a private link to Auth0. Default: no.
    pub permit_private_addresses: bool,
    /// The HTTP proxy to tunnel through, such as `http://proxy.example.com:3128`. May hold a password.
    pub proxy: Option<String>,
    /// The hosts that are reached without the proxy, in the form of the `NO_PROXY` variable.
    pub no_proxy: Option<String>,
    /// For tests and the demo only: a plain `http://host:port` that gets the requests for every domain, with the
    /// domain as `Host`.
    pub endpoint_override: Option<String>,
    /// The `User-Agent` header.
    pub user_agent: String,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            allowed_domains: AllowedDomains::default(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            max_body: 4 * 1024 * 1024,
            extra_ca: None,
            permit_private_addresses: false,
            proxy: None,
            no_proxy: None,
            endpoint_override: None,
            user_agent: concat!("upstream-params-operator/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a [`Transport`] can't be built.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The file of extra certificates can't be read.
    #[error("the extra CA file {} can't be read: {source}", path.display())]
    UnreadableCa {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file of extra certificates holds no certificate that can be used.
    #[error("the extra CA file {} holds no PEM certificate that can be used", path.display())]
    InvalidCa {
        /// The file.
        path: PathBuf,
    },
    /// The proxy is no address.
    #[error("the proxy is not an address; write http://host:port")]
    InvalidProxy,
    /// The endpoint override is no plain http address.
    #[error("the endpoint override is not a plain http address; write http://host:port")]
    InvalidOverride,
    /// The TLS library or the system's certificates can't be used.
    #[error(
        "the HTTP client can't be built; the system's CA certificates may be missing, or the user agent has characters that a header can't have"
    )]
    Client,
}

/// Sends a request and brings the whole answer. There is one that does it over a network; tests may have another.
pub trait HttpClient: Send + Sync {
    /// Sends it. Of the body of a successful answer at most `max_body` bytes are read, of any other as much as a message may need.
    fn execute(&self, request: Request, max_body: usize) -> Executing<'_>;
}

/// An answer on its way: with its whole body, or why there is none.
pub type Executing<'a> = Pin<Box<dyn Future<Output = Result<http::Response<Vec<u8>>, Lost>> + Send + 'a>>;

/// What became of a request that got no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The host has only addresses inside private networks. Nothing was sent.
    NotPublic,
    /// Nothing was sent.
    Unreached(Unreached),
    /// The time for it ran out.
    TimedOut,
    /// The connection ended before the answer did.
    Interrupted,
    /// The answer is larger than what is read.
    TooLarge,
}

impl Lost {
    fn failure(self, domain: &Domain, route: Route) -> Failure {
        match self {
            Self::NotPublic => Failure::AddressNotAllowed { domain: domain.clone() },
            Self::Unreached(why) => Failure::Unreachable { why },
            Self::TimedOut => Failure::TimedOut { route },
            Self::Interrupted => Failure::Interrupted { route },
            Self::TooLarge => Failure::TooLarge { route },
        }
    }
}

/// What all requests to tenants go through. A clone shares its connections.
#[derive(Clone)]
pub struct Transport {
    client: Arc<dyn HttpClient>,
    wall: WallClock,
    allowed_domains: AllowedDomains,
    endpoint: Option<Url>,
    request_timeout: Duration,
    max_body: usize,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("allowed_domains", &self.allowed_domains).finish_non_exhaustive()
    }
}

impl Transport {
    /// Builds the one client of the process. Reads the CA file, if there is one.
    pub fn new(options: &TransportOptions) -> Result<Self, TransportError> {
        let endpoint = options.endpoint_override.as_deref().map(plain_endpoint).transpose()?;
        let mut builder = base_client(options);
        builder = match &endpoint {
            // Nothing is encrypted, so an image without any CA certificates can run the demo.
            Some(_) => builder.tls_certs_only([]),
            None => builder.https_only(true).tls_certs_merge(extra_certificates(options)?),
        };
        let proxy = options.proxy.as_deref().filter(|_| endpoint.is_none());
        if let Some(proxy) = proxy {
            builder = builder.proxy(tunnel(proxy, options.no_proxy.as_deref())?);
        }
        if endpoint.is_none() && !options.permit_private_addresses {
            let exempt = proxy.and_then(|proxy| Url::parse(proxy).ok()).and_then(|url| url.host_str().map(str::to_owned));
            builder = builder.dns_resolver(PublicOnly { exempt });
        }
        Self::finish(builder, options, endpoint)
    }

    fn finish(builder: reqwest::ClientBuilder, options: &TransportOptions, endpoint: Option<Url>) -> Result<Self, TransportError> {
        let client = Network(builder.build().map_err(|_| TransportError::Client)?);
        Ok(Self { endpoint, ..Self::over(Arc::new(client), options, WallClock::system()) })
    }

    /// A transport over this client. Of the options, those about connections and certificates are the client's own business.
    pub fn over(client: Arc<dyn HttpClient>, options: &TransportOptions, wall: WallClock) -> Self {
        Self {
            client,
            wall,
            allowed_domains: options.allowed_domains.clone(),
            endpoint: None,
            request_timeout: options.request_timeout,
            max_body: options.max_body,
        }
    }

    /// The same, where an answer may be this large.
    pub(crate) fn with_max_body(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }

    /// How long one request may take in all.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Sends one request and reads its answer. An answer of any status is an answer.
    pub(in crate::auth0) async fn send(&self, domain: &Domain, question: Question<'_>) -> Result<Answer, Failure> {
        self.permits(domain)?;
        let route = question.route;
        let request = self.request(domain, question)?;
        let answer = self.client.execute(request, self.max_body).await.map_err(|lost| lost.failure(domain, route))?;
        let headers = answer.headers();
        let clock = Clock::of(headers, &self.wall);
        let (limit, retry_after) = (rate_headers(headers, clock), retry_after(headers, clock));
        Ok(Answer { status: answer.status().as_u16(), limit, retry_after, body: answer.into_body() })
    }

    /// Asks for a page of the tenant's own host, as a browser does; the answer is whole, but for the body of an error. Of the
    /// address only path and query count.
    pub(in crate::auth0) async fn visit(&self, domain: &Domain, page: &Url, cookies: &str) -> Result<http::Response<Vec<u8>>, Failure> {
        self.permits(domain)?;
        let route = Route::Authorize;
        let mut url = self.origin(domain)?;
        url.set_path(page.path());
        url.set_query(page.query());
        let mut request = self.addressed(domain, Method::GET, url)?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml"));
        if !cookies.is_empty() {
            let unsendable = |_| Failure::Malformed { route, what: "a cookie that can't be sent back" };
            let mut value = HeaderValue::from_str(cookies).map_err(unsendable)?;
            value.set_sensitive(true);
            headers.insert(header::COOKIE, value);
        }
        self.client.execute(request, self.max_body).await.map_err(|lost| lost.failure(domain, route))
    }

    fn permits(&self, domain: &Domain) -> Result<(), Failure> {
        let permitted = self.endpoint.is_some() || self.allowed_domains.permits(domain);
        if permitted { Ok(()) } else { Err(Failure::DomainNotAllowed { domain: domain.clone() }) }
    }

    /// Where requests for this domain go.
    fn origin(&self, domain: &Domain) -> Result<Url, Failure> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => Url::parse(&format!("https://{domain}/")).map_err(|_| Failure::DomainNotAllowed { domain: domain.clone() }),
        }
    }

    /// A request that says which domain it is for, also where another host takes it.
    fn addressed(&self, domain: &Domain, method: Method, url: Url) -> Result<Request, Failure> {
        let mut request = Request::new(method, url);
        if self.endpoint.is_some() {
            let refused = |_| Failure::DomainNotAllowed { domain: domain.clone() };
            request.headers_mut().insert(header::HOST, HeaderValue::from_str(domain.as_str()).map_err(refused)?);
        }
        Ok(request)
    }

    fn request(&self, domain: &Domain, question: Question<'_>) -> Result<Request, Failure> {
        let unsendable = Failure::Malformed { route: Route::Token, what: "a token that can't be sent in a header" };
        let mut url = self.origin(domain)?;
        url.set_path(question.path);
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(question.query);
        }
        let mut request = self.addressed(domain, question.method, url)?;
        let headers = request.headers_mut();
        if let Some(token) = question.bearer {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| unsendable)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        if let Some(id) = question.correlation_id.and_then(correlation_id) {
            headers.insert(HeaderName::from_static("x-correlation-id"), id);
        }
        if let Some(body) = question.body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_owned().into());
        }
        Ok(request)
    }
}

fn base_client(options: &TransportOptions) -> reqwest::ClientBuilder {
    let accept = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
    Client::builder()
        .user_agent(options.user_agent.as_str())
        .default_headers(accept)
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        // What is sent again, and when, is decided in one place only, which knows the limits: not here.
        .retry(retry::never())
        .no_proxy()
}

fn plain_endpoint(text: &str) -> Result<Url, TransportError> {
    let url = Url::parse(text).map_err(|_| TransportError::InvalidOverride)?;
    let plain = url.scheme() == "http" && url.host().is_some() && url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if plain { Ok(url) } else { Err(TransportError::InvalidOverride) }
}

fn extra_certificates(options: &TransportOptions) -> Result<Vec<Certificate>, TransportError> {
    let Some(path) = &options.extra_ca else { return Ok(Vec::new()) };
    let pem = std::fs::read(path).map_err(|source| TransportError::UnreadableCa { path: path.clone(), source })?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(TransportError::InvalidCa { path: path.clone() });
    }
    Ok(certificates)
}

fn tunnel(proxy: &str, no_proxy: Option<&str>) -> Result<Proxy, TransportError> {
    let proxy = Proxy::https(proxy).map_err(|_| TransportError::InvalidProxy)?;
    Ok(proxy.no_proxy(no_proxy.and_then(NoProxy::from_string)))
}

/// At most 64 plain characters, which is what Auth0 takes into its log; nothing when none is left.
fn correlation_id(text: &str) -> Option<HeaderValue> {
    let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(64).collect();
    HeaderValue::from_str(&plain).ok().filter(|_| !plain.is_empty())
}

/// One request to a tenant.
pub(in crate::auth0) struct Question<'a> {
    pub(in crate::auth0) route: Route,
    pub(in crate::auth0) method: Method,
    pub(in crate::auth0) path: &'a str,
    pub(in crate::auth0) query: &'a [(&'a str, &'a str)],
    pub(in crate::auth0) bearer: Option<&'a str>,
    pub(in crate::auth0) correlation_id: Option<&'a str>,
    /// JSON text.
    pub(in crate::auth0) body: Option<&'a str>,
}

/// A whole answer; of an error only as much as its message may need.
pub(in crate::auth0) struct Answer {
    pub(in crate::auth0) status: u16,
    pub(in crate::auth0) limit: Option<RateHeaders>,
    pub(in crate::auth0) retry_after: Option<Duration>,
    pub(in crate::auth0) body: Vec<u8>,
}

/// Over the network.
struct Network(Client);

impl HttpClient for Network {
    fn execute(&self, request: Request, max_body: usize) -> Executing<'_> {
        Box::pin(async move {
            let response = self.0.execute(request).await.map_err(|error| lost(&error))?;
            let mut answer = http::Response::new(Vec::new());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = response.headers().clone();
            *answer.body_mut() = if response.status().is_success() {
                read_body(response, max_body).await?
            } else {
                // The status says enough: that the rest of the answer is lost changes nothing.
                read_body(response, MAX_ERROR_BODY.min(max_body)).await.unwrap_or_default()
            };
            Ok(answer)
        })
    }
}

async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, Lost> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Lost::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What became of a request that got no whole answer. Nothing of the error's text is kept: it holds the address.
fn lost(error: &reqwest::Error) -> Lost {
    let causes = || std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    if causes().any(<dyn Error>::is::<NotPublic>) {
        return Lost::NotPublic;
    }
    let why = match error {
        _ if error.is_dns() => Unreached::Name,
        _ if causes().any(is_tls) => Unreached::Tls,
        _ => Unreached::Connect,
    };
    match error {
        // First, because a connection that takes too long has sent nothing.
        _ if error.is_dns() || error.is_connect() => Lost::Unreached(why),
        _ if error.is_timeout() => Lost::TimedOut,
        _ => Lost::Interrupted,
    }
}

fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    // An I/O error is silent about what it wraps unless it is asked, and may wrap another one.
    let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

#[cfg(test)]
mod tests;
