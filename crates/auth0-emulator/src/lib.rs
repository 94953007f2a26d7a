//! An emulated Auth0 tenant.
//!
//! It speaks HTTP/1.1, plain or over TLS ([`Emulator::secure`]), and does what the evidence says, including what hurts: a PATCH replaces the whole of `options`, reads hide
//! `options` without a scope, keys come back in another order, the server recomputes some keys and forgets others. It is never kinder
//! than the evidence (Auth0's `OpenAPI` document of the Management API v2, its documentation, recorded traffic of real tenants). What
//! Auth0 has and no evidence shows is answered with 501, and a line in the log, never with a guess.
//!
//! One emulator holds a tenant per domain and tells them apart by the `Host` header, so tests send every domain's requests to one
//! address. A tenant is set up, disturbed and looked at through its [`TenantHandle`]:
//!
//! ```
//! use auth0_emulator::{ALL_SCOPES, Emulator, Fault, Options};
//!
//! # fn main() -> Result<(), auth0_emulator::Error> {
//! let emulator = Emulator::start(Options::default())?;
//! let tenant = emulator.tenant("a.eu.auth0.com");
//! tenant.add_client("id", "secret", ALL_SCOPES);
//! tenant.create_connection(&serde_json::json!({"name": "blog", "strategy": "wordpress", "options": {}}))?;
//! tenant.inject(Fault::lose_answer().method("PATCH").times(1));
//! // ... requests to emulator.url() with `Host: a.eu.auth0.com` ...
//! assert!(tenant.writes().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A tenant needs no server: [`TenantHandle::alone`] makes one that is called in the same process, by [`TenantHandle::arrive`], and does
//! exactly what it would do over HTTP. With a clock of its own and `fastrand` seeded on the thread, the same calls get the same answers,
//! byte by byte.
//!
//! This crate knows nothing of the operator: it shares no code with it, or both would share their bugs.

mod answer;
mod authorize;
mod certificate;
mod clients;
mod connections;
mod derive;
mod exchange;
mod fate;
mod faults;
mod form;
mod handle;
mod journal;
mod json;
mod limits;
mod paging;
mod routes;
mod schema;
pub mod seed;
mod server;
mod tenant;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod under;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub use answer::Answer;
pub use exchange::{Arrival, Ending, Outcome, Request};
pub use faults::{EditBetween, Effect, Fault, RateLimited};
pub use handle::TenantHandle;
pub use journal::{Call, Origin};
pub use json::{Json, NotJson, Object};
pub use limits::{Limits, Rate};
pub use schema::{ALIASES, STRATEGIES};
pub use tenant::{ALL_SCOPES, Settings, TOOL_SCOPES};

/// Why the emulator did not start, or did not take a connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be bound, or the runtime not be built.
    #[error("the emulator could not start: {0}")]
    Start(#[from] std::io::Error),
    /// A document was refused; the text is the body the API would have answered.
    #[error("refused: {0}")]
    Refused(String),
}

/// How to start an emulator.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The domain of a tenant that answers every host no other tenant has. `None`: an unknown host is answered 404.
    pub any_host: Option<String>,
    /// What new tenants start with.
    pub settings: Settings,
}

/// A running emulator; dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    tenants: Arc<server::Tenants>,
    settings: Settings,
    /// Its own runtime, so that stopping ends every connection, hanging ones too, and any kind of test can use it.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Emulator {
    /// Binds and serves. Needs no runtime around it.
    pub fn start(options: Options) -> Result<Self, Error> {
        let any_host = options.any_host.map(|domain| TenantHandle::new(&domain.to_ascii_lowercase(), options.settings.clone()));
        let tenants = Arc::new(server::Tenants::new(any_host));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("auth0-emulator").enable_all().build()?;
        let address = serve(&runtime, options.port, None, &tenants)?;
        Ok(Self { address, tenants, settings: options.settings, runtime: Some(runtime) })
    }

    /// Serves a tenant over TLS on a port of 127.0.0.1 of its own, where it answers any host; 0 takes any free port. There it has
    /// another address than its domain, as a tenant with a custom domain has, so that its audience stays what it is.
    pub fn secure(&self, port: u16, tenant: &TenantHandle) -> Result<Secure, Error> {
        let Some(runtime) = &self.runtime else {
            return Err(std::io::Error::other("it is stopped").into());
        };
        let tls::Identity { acceptor, authority } = tls::identity(&[tenant.domain()])?;
        let tenants = Arc::new(server::Tenants::new(Some(tenant.clone())));
        let address = serve(runtime, port, Some(acceptor), &tenants)?;
        Ok(Secure { host: format!("localhost:{}", address.port()), authority })
    }

    /// `http://127.0.0.1:{port}`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The tenant of a domain, created when there is none yet.
    pub fn tenant(&self, domain: &str) -> TenantHandle {
        let domain = domain.to_ascii_lowercase();
        self.tenants.find_or_create(&domain, || TenantHandle::new(&domain, self.settings.clone()))
    }

    /// Stops at once; open connections are closed.
    pub fn stop(self) {
        drop(self);
    }
}

/// Binds a port of 127.0.0.1 and serves these tenants there.
fn serve(
    runtime: &tokio::runtime::Runtime,
    port: u16,
    tls: Option<tokio_rustls::TlsAcceptor>,
    tenants: &Arc<server::Tenants>,
) -> std::io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let service = server::router(Arc::clone(tenants)).into_make_service_with_connect_info::<wire::Line>();
    runtime.spawn(async move {
        if let Err(error) = axum::serve(wire::Door { listener, tls }, service).await {
            tracing::error!(%error, "the emulator stopped serving");
        }
    });
    Ok(address)
}

/// Where a tenant is served over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secure {
    /// `localhost` and the port.
    pub host: String,
    /// The certificate of the authority to trust, as PEM.
    pub authority: String,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An emulator for a person to play with.
#[derive(Debug)]
pub struct Play {
    /// The running emulator.
    pub emulator: Emulator,
    /// The tenant that answers any host.
    pub tenant: TenantHandle,
    /// What to print: address, client, and `curl` lines that work as they stand.
    pub recipe: String,
}

/// The domain of the tenant [`play`] starts.
pub const PLAY_DOMAIN: &str = "emulator.auth0.test";

/// The id and the secret of its client, which may do everything.
pub const PLAY_CLIENT: (&str, &str) = ("emulator-client", "emulator-secret");

/// Starts an emulator on a port with one tenant that answers any host and has so many connections (the five of [`seed::demo`] first). It
/// serves until it is dropped.
pub fn play(port: u16, connections: usize) -> Result<Play, Error> {
    let options = Options { port, any_host: Some(PLAY_DOMAIN.to_owned()), ..Options::default() };
    let emulator = Emulator::start(options)?;
    let tenant = emulator.tenant(PLAY_DOMAIN);
    let (client_id, client_secret) = PLAY_CLIENT;
    tenant.add_client(client_id, client_secret, ALL_SCOPES.iter().chain(&TOOL_SCOPES));
    seed::demo(&tenant)?;
    seed::many(&tenant, connections.saturating_sub(seed::DEMO.len()))?;
    for name in tenant.connection_names().iter().skip(connections) {
        tenant.delete_connection(name);
    }
    tenant.clear_journal();
    let recipe = recipe(&emulator.url(), &tenant, client_id, client_secret);
    Ok(Play { emulator, tenant, recipe })
}

/// The lines that get a person from nothing to a first PATCH.
fn recipe(url: &str, tenant: &TenantHandle, client_id: &str, client_secret: &str) -> String {
    let audience = tenant.audience();
    let count = tenant.connection_names().len();
    let first = tenant.connection_names().into_iter().next().unwrap_or_default();
    format!(
        r#"An emulated Auth0 tenant with {count} connections listens at {url}

  domain          {domain} (any Host header will do)
  client id       {client_id}
  client secret   {client_secret}
  audience        {audience}

Get a token:

  TOKEN=$(curl -s {url}/oauth/token -H 'content-type: application/json' -d '{{"grant_type":"client_credentials","client_id":"{client_id}","client_secret":"{client_secret}","audience":"{audience}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

List connections, or look one up:

  curl -s '{url}/api/v2/connections?take=50' -H "authorization: Bearer $TOKEN"
  curl -s '{url}/api/v2/connections?name={first}&take=1' -H "authorization: Bearer $TOKEN"

Change one (beware: the whole of `options` is replaced):

  curl -s -X PATCH '{url}/api/v2/connections/CONNECTION_ID' -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"options":{{"upstream_params":{{"screen_name":{{"alias":"login_hint"}}}}}}}}'

See what a login sends upstream:

  curl -si '{url}/authorize?client_id=app&response_type=code&redirect_uri=https://app.example.com/cb&connection={first}&login_hint=jane@example.com'
"#,
        domain = tenant.domain(),
    )
}
