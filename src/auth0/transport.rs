//! One HTTP client for all tenants: where a request may go, how long it may take, how much may come back.
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
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, NoProxy, Proxy, Response, Url, redirect, retry};

use super::addresses::{NotPublic, PublicOnly};
use super::call::{RateHeaders, Route};
use super::failure::{Failure, Unreached};
use super::headers::{Clock, rate_headers, retry_after};
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

/// The HTTP client. A clone shares its connections.
#[derive(Clone)]
pub struct Transport {
    client: Client,
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
        Ok(Self {
            client: builder.build().map_err(|_| TransportError::Client)?,
            allowed_domains: options.allowed_domains.clone(),
            endpoint,
            request_timeout: options.request_timeout,
            max_body: options.max_body,
        })
    }

    /// How long one request may take in all.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Sends one request and reads its answer. An answer of any status is an answer.
    pub(super) async fn send(&self, domain: &Domain, question: Question<'_>) -> Result<Answer, Failure> {
        if self.endpoint.is_none() && !self.allowed_domains.permits(domain) {
            return Err(Failure::DomainNotAllowed { domain: domain.clone() });
        }
        let route = question.route;
        let request = self.request(domain, question)?;
        let response = self.client.execute(request).await.map_err(|error| lost(&error, domain, route))?;
        let status = response.status();
        let headers = response.headers();
        let clock = Clock::of(headers);
        let (limit, retry_after) = (rate_headers(headers, clock), retry_after(headers, clock));
        let body = if status.is_success() {
            read_body(response, self.max_body, domain, route).await?
        } else {
            // The status says enough: that the rest of the answer is lost changes nothing.
            read_body(response, MAX_ERROR_BODY.min(self.max_body), domain, route).await.unwrap_or_default()
        };
        Ok(Answer { status: status.as_u16(), limit, retry_after, body })
    }

    fn request(&self, domain: &Domain, question: Question<'_>) -> Result<reqwest::Request, Failure> {
        let unsendable = Failure::Malformed { route: Route::Token, what: "a token that can't be sent in a header" };
        let mut url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://{domain}/")).map_err(|_| Failure::DomainNotAllowed { domain: domain.clone() })?,
        };
        url.set_path(question.path);
        if !question.query.is_empty() {
            url.query_pairs_mut().extend_pairs(question.query);
        }
        let mut request = reqwest::Request::new(question.method, url);
        let headers = request.headers_mut();
        if self.endpoint.is_some() {
            headers.insert(header::HOST, HeaderValue::from_str(domain.as_str()).map_err(|_| unsendable.clone())?);
        }
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
pub(super) struct Question<'a> {
    pub(super) route: Route,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) bearer: Option<&'a str>,
    pub(super) correlation_id: Option<&'a str>,
    /// JSON text.
    pub(super) body: Option<&'a str>,
}

/// A whole answer; of an error only as much as its message may need.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) limit: Option<RateHeaders>,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

async fn read_body(mut response: Response, limit: usize, domain: &Domain, route: Route) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error, domain, route))? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Failure::TooLarge { route });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What became of a request that got no whole answer. Nothing of the error's text is kept: it holds the address.
fn lost(error: &reqwest::Error, domain: &Domain, route: Route) -> Failure {
    let causes = || std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    if causes().any(<dyn Error>::is::<NotPublic>) {
        return Failure::AddressNotAllowed { domain: domain.clone() };
    }
    let why = match error {
        _ if error.is_dns() => Unreached::Name,
        _ if causes().any(is_tls) => Unreached::Tls,
        _ => Unreached::Connect,
    };
    match error {
        // First, because a connection that takes too long has sent nothing.
        _ if error.is_dns() || error.is_connect() => Failure::Unreachable { why },
        _ if error.is_timeout() => Failure::TimedOut { route },
        _ => Failure::Interrupted { route },
    }
}

fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    // An I/O error is silent about what it wraps unless it is asked, and may wrap another one.
    let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || wrapped.is_some_and(|inner| is_tls(inner))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::addresses::public;
    use super::super::certified;
    use super::super::scripted::{Reply, Server};
    use super::*;

    /// Looks every name up in the same list, through the same filter as the real one.
    struct Table(Vec<SocketAddr>);

    impl Resolve for Table {
        fn resolve(&self, _: Name) -> Resolving {
            let found = self.0.clone();
            Box::pin(async move { public(found.into_iter()) })
        }
    }

    /// Looks every name up in the same list, and filters nothing.
    struct Anywhere(Vec<SocketAddr>);

    impl Resolve for Anywhere {
        fn resolve(&self, _: Name) -> Resolving {
            let found = self.0.clone();
            Box::pin(async move { if found.is_empty() { Err("no such name".into()) } else { Ok(Box::new(found.into_iter()) as Addrs) } })
        }
    }

    async fn asked(resolver: impl Resolve + 'static) -> Failure {
        asked_of("example.auth0.com", resolver, &TransportOptions::default()).await.expect_err("no answer")
    }

    async fn asked_of(host: &str, resolver: impl Resolve + 'static, options: &TransportOptions) -> Result<u16, Failure> {
        install_crypto_provider();
        let certificates = extra_certificates(options).expect("certificates");
        let builder = base_client(options).https_only(true).tls_certs_merge(certificates).dns_resolver(resolver);
        let transport = Transport::finish(builder, options, None).expect("transport");
        let domain = Domain::parse(host).expect("domain");
        let route = Route::ReadConnection;
        let question = Question { route, method: Method::GET, path: "/", query: &[], bearer: None, correlation_id: None, body: None };
        transport.send(&domain, question).await.map(|answer| answer.status)
    }

    #[tokio::test]
    async fn a_certificate_must_be_trusted_and_be_that_of_the_host() {
        install_crypto_provider();
        let (address, pem) = certified::serve("example.auth0.com");
        let file = std::env::temp_dir().join(format!("upstream-params-operator-ca-{}.pem", std::process::id()));
        std::fs::write(&file, pem).expect("a file");
        let trusting = TransportOptions { extra_ca: Some(file.clone()), ..TransportOptions::default() };
        let untrusted = Err(Failure::Unreachable { why: Unreached::Tls });
        let anywhere = || Anywhere(vec![address]);
        assert_eq!(asked_of("example.auth0.com", anywhere(), &trusting).await, Ok(200));
        assert_eq!(asked_of("other.auth0.com", anywhere(), &trusting).await, untrusted);
        assert_eq!(asked_of("example.auth0.com", anywhere(), &TransportOptions::default()).await, untrusted);
        std::fs::remove_file(file).expect("removed");
    }

    #[tokio::test]
    async fn a_host_inside_a_private_network_gets_no_connection() {
        let server = Server::start(|_| Reply::Silence).await;
        let address: SocketAddr = server.url.trim_start_matches("http://").parse().expect("an address");
        let refused = Failure::AddressNotAllowed { domain: Domain::parse("example.auth0.com").expect("domain") };
        assert_eq!(asked(Table(vec![address])).await, refused);
        assert_eq!(asked(Table(vec![([169, 254, 169, 254], 443).into(), ([10, 0, 0, 1], 443).into()])).await, refused);
        assert!(server.received().is_empty());
    }

    #[tokio::test]
    async fn what_stands_in_the_way_of_a_connection_is_told_apart() {
        let server = Server::start(|_| Reply::Silence).await;
        let plain: SocketAddr = server.url.trim_start_matches("http://").parse().expect("an address");
        let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let noise = garbage.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = garbage.accept().await {
                // Read first: closing with bytes unread resets the connection before the other side sees an answer.
                let _ = stream.read_u8().await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        assert_eq!(asked(Anywhere(vec![noise])).await, Failure::Unreachable { why: Unreached::Tls });
        assert_eq!(asked(Anywhere(vec![])).await, Failure::Unreachable { why: Unreached::Name });
        drop(server);
        tokio::task::yield_now().await;
        assert_eq!(asked(Anywhere(vec![plain])).await, Failure::Unreachable { why: Unreached::Connect });
    }

    #[test]
    fn options_that_cannot_be_used_are_refused_without_showing_them() {
        install_crypto_provider();
        let error = |change: fn(&mut TransportOptions)| {
            let mut options = TransportOptions::default();
            change(&mut options);
            Transport::new(&options).expect_err("refused").to_string()
        };
        assert!(error(|options| options.endpoint_override = Some("https://example.com".to_owned())).starts_with("the endpoint override"));
        assert!(
            error(|options| options.endpoint_override = Some("http://u:p4ss@example.com/x".to_owned())).ends_with("write http://host:port")
        );
        assert!(error(|options| options.proxy = Some("::p4ss".to_owned())).starts_with("the proxy is not an address"));
        assert!(error(|options| options.extra_ca = Some("/nowhere.pem".into())).contains("can't be read"));
        assert!(error(|options| options.extra_ca = Some(file!().into())).contains("holds no PEM certificate"));
        assert!(error(|options| options.user_agent = "a\nb".to_owned()).starts_with("the HTTP client can't be built"));
    }

    #[test]
    fn a_correlation_id_is_cut_to_what_a_log_takes() {
        let header = |text: &str| correlation_id(text).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(header("a.b_c-1\r\nx: y"), Some("a.b_c-1xy".to_owned()));
        assert_eq!(header(&"a".repeat(100)), Some("a".repeat(64)));
        assert_eq!(header("é \n"), None);
    }
}
