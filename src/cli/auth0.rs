//! A tenant as commands read it: credentials from the environment or from the cluster, and all of its connections.
//!
//! Guarantees: nothing is ever written, as [`TenantReader`] has no way to; the scopes `read:connections` and
//! `read:connections_options` are enough; it asks no faster than a budget allows, waits as long as a 429 says, and repeats what may
//! pass by itself a few times, all within `--timeout`; of the options nothing is kept that may be a secret.
//! Fails: with one line that says what to set, to grant or to correct, and that holds no secret.

#![allow(clippy::doc_markdown, reason = "the comments are what --help prints, as plain text")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use parking_lot::Mutex;

use super::runtime::span;
use super::tenants::{Reach, given};
use crate::api::tenant::RateLimit;
use crate::auth0::{Budget, Call, Client, Credentials, Failure, Granted, Listing, Rate, Route, SharedSecret, Unreached};
use crate::clock;
use crate::core::tenant::evidence::READ_OPTIONS;
use crate::core::tenant::{self, Resolution, TenantSettings};
use crate::core::world::{SecretData, World, credentials};
use crate::model::document::{Document, DocumentError, Unreadable};
use crate::model::domain::{Audience, Domain};
use crate::model::identity::TenantIdentity;

/// The scope to list connections at all.
const READ: &str = "read:connections";

/// How fast a tenant is asked whose own limit is not known: what the smallest paid subscription permits for reads of connections.
const USUAL_RATE: (u32, u32) = (50, 5);

/// The pauses before a call that failed is repeated, where that may pass by itself.
const PAUSES: [Duration; 4] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// How much an answer may hold: a page of connections with large options is larger than anything that the operator reads.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// How a command authenticates at a tenant: under the names that auth0-deploy-cli and Auth0's Terraform provider have for it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Auth0")]
pub(super) struct CredentialArguments {
    /// The tenant's host name, such as example.eu.auth0.com.
    #[arg(long, env = "AUTH0_DOMAIN", hide_env_values = true)]
    domain: Option<String>,

    /// The audience of the Management API, for a custom domain: https://TENANT/api/v2/ with the tenant's own host [default: that of
    /// --domain].
    #[arg(long, env = "AUTH0_AUDIENCE", hide_env_values = true)]
    audience: Option<String>,

    /// The client id of an application with the scopes read:connections and read:connections_options. Set its secret in
    /// AUTH0_CLIENT_SECRET or in a file.
    #[arg(long, env = "AUTH0_CLIENT_ID", hide_env_values = true)]
    client_id: Option<String>,

    /// A file with the application's secret, instead of AUTH0_CLIENT_SECRET.
    #[arg(long)]
    client_secret_file: Option<PathBuf>,

    /// How long to read a tenant, with waits for its rate limit, such as 30s or 10m.
    #[arg(long, default_value = "10m", value_parser = duration)]
    timeout: Duration,
}

/// How long reading a tenant may take, as [`span`] reads it.
fn duration(text: &str) -> Result<Duration, String> {
    let span = span(text).ok_or("write a time such as 30s or 10m")?;
    let sensible = Duration::from_secs(1)..=Duration::from_hours(24 * 7);
    if sensible.contains(&span) { Ok(span) } else { Err("must be from 1s to 168h".to_owned()) }
}

impl CredentialArguments {
    /// Whether a tenant and credentials for it are given, so that none have to be taken from the cluster.
    pub(super) fn are_given(&self) -> bool {
        let said = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        said(&self.domain) && said(&self.client_id) && (self.client_secret_file.is_some() || given(None, "AUTH0_CLIENT_SECRET").is_some())
    }

    /// A reader of the tenant that flags and environment name.
    pub(super) fn reader(&self, reach: &Reach) -> anyhow::Result<TenantReader> {
        let GivenCredentials { place, secret, oddity } = self.given()?;
        let origin = Origin { place: "AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET".to_owned(), oddity };
        let (per_minute, burst) = USUAL_RATE;
        Ok(TenantReader::new(place, secret, Rate::new(per_minute, burst), origin, self.timeout, reach))
    }

    /// The credentials that are given, as the Secret of a tenant object would hold them.
    pub(super) fn as_secret(&self) -> anyhow::Result<SecretData> {
        let SharedSecret { client_id, client_secret } = self.given()?.secret;
        Ok(SecretData { client_id: Some(client_id), client_secret: Some(client_secret), ..SecretData::default() })
    }

    fn given(&self) -> anyhow::Result<GivenCredentials> {
        let secret = self.client_secret()?;
        let said = |text: &Option<String>| text.clone().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let (domain, client_id) = (said(&self.domain), said(&self.client_id));
        let missing: Vec<&str> =
            [("AUTH0_DOMAIN", domain.is_none()), ("AUTH0_CLIENT_ID", client_id.is_none()), ("AUTH0_CLIENT_SECRET", secret.is_none())]
                .into_iter()
                .filter_map(|(name, is_missing)| is_missing.then_some(name))
                .collect();
        let (Some(domain), Some(client_id), Some(secret)) = (domain, client_id, secret) else {
            bail!(
                "no credentials for a tenant: set {}, of an application with the scopes {READ} and {READ_OPTIONS}, or name a ClusterAuth0Tenant with --tenant",
                missing.join(", ")
            );
        };
        let domain = Domain::parse(&domain).context("--domain (or AUTH0_DOMAIN)")?;
        let audience = match said(&self.audience) {
            Some(text) => Audience::parse(&text).context("--audience (or AUTH0_AUDIENCE)")?,
            None => Audience::of(&domain),
        };
        let members = [(credentials::CLIENT_ID, client_id.as_bytes()), (credentials::CLIENT_SECRET, secret.as_slice())];
        let read = credentials::read(members.into_iter());
        let flaws: Vec<String> = read.flaws.iter().map(|(member, flaw)| format!("{} {}", variable(member), flaw.message())).collect();
        let (Some(client_id), Some(client_secret)) = (read.client_id, read.client_secret) else {
            bail!("the credentials cannot be used: {}", flaws.join(", and "));
        };
        let oddity = (!flaws.is_empty()).then(|| flaws.join(", and "));
        Ok(GivenCredentials { place: (domain, audience), secret: SharedSecret { client_id, client_secret }, oddity })
    }

    /// A reader of the tenant that these settings of a tenant object are of.
    pub(super) fn reader_of(&self, settings: &TenantSettings, reach: &Reach) -> TenantReader {
        let secret = SharedSecret { client_id: settings.client_id.clone(), client_secret: settings.client_secret.clone() };
        let RateLimit { reads_per_minute, burst, requests_per_minute: _ } = settings.rate_limit;
        let rate = Rate::new(reads_per_minute.unsigned_abs(), burst.unsigned_abs());
        let place = format!("the Secret {} in the namespace {}", settings.secret, settings.namespace);
        let origin = Origin { place, oddity: settings.oddity.clone() };
        TenantReader::new((settings.domain.clone(), settings.audience.clone()), secret, rate, origin, self.timeout, reach)
    }

    fn client_secret(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match &self.client_secret_file {
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("--client-secret-file: can't read {}", path.display()))?;
                Ok(Some(bytes))
            }
            None => Ok(given(None, "AUTH0_CLIENT_SECRET").map(String::into_bytes)),
        }
    }
}

/// Credentials that flags and environment give.
struct GivenCredentials {
    place: (Domain, Audience),
    secret: SharedSecret,
    oddity: Option<String>,
}

/// The variable that stands for a member of a Secret.
fn variable(member: &str) -> &'static str {
    if member == credentials::CLIENT_ID { "AUTH0_CLIENT_ID" } else { "AUTH0_CLIENT_SECRET" }
}

/// What the tenant object of this name amounts to for the operator, whose own namespace is given.
pub(super) fn settings(world: &World, name: &str, namespace: &str, reach: &Reach) -> anyhow::Result<TenantSettings> {
    match tenant::resolve(world, name, &reach.allowed, namespace) {
        Some(Resolution::Serving(settings)) => Ok(*settings),
        Some(Resolution::Refused(_, message) | Resolution::Unresolved(_, message)) => bail!("ClusterAuth0Tenant {name}: {message}"),
        None => {
            let known: Vec<&str> = world.tenants().map(|tenant| tenant.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bail!("--tenant: there is no ClusterAuth0Tenant {name}; the cluster has {known}")
        }
    }
}

/// Where credentials are from, for what is said when they are refused.
#[derive(Debug)]
struct Origin {
    place: String,
    oddity: Option<String>,
}

/// All connections of a tenant.
#[derive(Debug)]
pub(super) struct Connections {
    /// Those that can be read, by name. Of their options there is only what decisions ask for.
    pub(super) documents: Vec<Document>,
    /// Those that can't.
    pub(super) unreadable: Vec<Unreadable>,
}

/// Reads one tenant. There is no way to write through it.
#[derive(Debug)]
pub(super) struct TenantReader {
    client: Client,
    domain: Domain,
    audience: Audience,
    client_id: String,
    origin: Origin,
    budget: Arc<Mutex<Budget>>,
    calls: Arc<AtomicUsize>,
    timeout: Duration,
    deadline: Instant,
}

impl TenantReader {
    fn new(place: (Domain, Audience), secret: SharedSecret, rate: Rate, origin: Origin, timeout: Duration, reach: &Reach) -> Self {
        let ((domain, audience), now) = (place, clock::now());
        let budget = Arc::new(Mutex::new(Budget::new(rate, rate, now)));
        let calls = Arc::new(AtomicUsize::new(0));
        let (seen, counted, client_id) = (budget.clone(), calls.clone(), secret.client_id.clone());
        let observer = move |call: &Call| {
            let now = clock::now();
            let mut budget = seen.lock();
            // A renewed token repeats a request: where the bucket is empty then, the next call waits for both.
            budget.pay(call.route, now);
            budget.observe(call, now);
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let transport = reach.transport.clone().with_max_body(MAX_BODY);
        let client = Client::new(transport, domain.clone(), audience.clone(), Credentials::Secret(secret), Arc::new(observer));
        Self { client, domain, audience, client_id, origin, budget, calls, timeout, deadline: now + timeout }
    }

    /// The host that is asked.
    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Which tenant this is, whatever host it is reached by.
    pub(super) fn identity(&self) -> &TenantIdentity {
        self.audience.identity()
    }

    /// How many requests were sent so far, those for tokens included.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Makes sure of a token that may list connections, and yields the scopes that it grants; `None` when the tenant doesn't say.
    pub(super) async fn authenticate(&self) -> anyhow::Result<Option<Vec<String>>> {
        let Granted { scopes, token: _ } = self.repeat(Route::Token, || self.client.authenticate()).await?;
        if scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|scope| scope == READ)) {
            return Err(self.missing_scopes(&[READ, READ_OPTIONS]));
        }
        Ok(scopes)
    }

    /// All connections of the tenant.
    pub(super) async fn connections(&self) -> anyhow::Result<Connections> {
        let scopes = self.authenticate().await?;
        let (mut listing, mut from) = (Listing::default(), None::<String>);
        loop {
            let page = self.repeat(Route::ListConnections, || self.client.list(from.as_deref())).await?;
            from = listing.take_in(page).map_err(|failure| self.explained(failure))?;
            tracing::debug!(domain = %self.domain, pages = listing.pages(), "a page of connections");
            if from.is_none() {
                break;
            }
        }
        let (documents, unreadable) = listing.finish();
        let hidden = documents.iter().all(|document| matches!(document.live(), Err(DocumentError::OptionsHidden)));
        let lacks = scopes.is_none_or(|scopes| !scopes.iter().any(|scope| scope == READ_OPTIONS));
        // A tenant may show the options without the scope; where it hides them all, nothing could be said of any connection.
        if hidden && lacks && !documents.is_empty() {
            return Err(self.missing_scopes(&[READ_OPTIONS]));
        }
        Ok(Connections { documents, unreadable })
    }

    /// Calls when the budget allows it, and again where that may help.
    async fn repeat<T, F>(&self, route: Route, call: impl Fn() -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pauses = PAUSES.into_iter();
        loop {
            self.wait_for_turn(route).await?;
            let failure = match call().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let pause = if let Failure::RateLimited { retry_after, .. } = &failure {
                // The budget waits as long by itself, but not for the token endpoint, whose limit is none of its own.
                Some(retry_after.unwrap_or(Duration::from_secs(1)))
            } else {
                may_pass(&failure).then(|| pauses.next()).flatten()
            };
            let Some(pause) = pause else { return Err(self.explained(failure)) };
            let why = failure.message();
            if clock::now() + pause > self.deadline {
                bail!("{}: not read within {:?} (--timeout): {}", self.domain, self.timeout, given_up(&why));
            }
            tracing::warn!(domain = %self.domain, seconds = pause.as_secs(), "{}; waiting", given_up(&why));
            tokio::time::sleep(pause).await;
        }
    }

    async fn wait_for_turn(&self, route: Route) -> anyhow::Result<()> {
        if route == Route::Token {
            return Ok(());
        }
        let now = clock::now();
        let opens_at = self.budget.lock().reads.opens_at(now);
        if opens_at > self.deadline {
            bail!("{}: not read within {:?} (--timeout), because of its rate limit; give it more time", self.domain, self.timeout);
        }
        tokio::time::sleep(opens_at.saturating_duration_since(now)).await;
        Ok(())
    }

    fn missing_scopes(&self, scopes: &[&str]) -> anyhow::Error {
        anyhow!("{}: the application {} lacks a scope; grant it {}", self.domain, self.client_id, scopes.join(" and "))
    }

    /// What a failure means for whoever gave the command.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what is not put in other words here says itself what to do")]
    fn explained(&self, failure: Failure) -> anyhow::Error {
        let Self { domain, client_id, audience, .. } = self;
        let Origin { place, oddity } = &self.origin;
        let odd = oddity.as_ref().map(|oddity| format!("; {oddity}")).unwrap_or_default();
        match failure {
            Failure::MissingScope { .. } => self.missing_scopes(&[READ, READ_OPTIONS]),
            Failure::CredentialsRejected { error, description } => {
                let said =
                    [description, error].into_iter().find(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default();
                anyhow!(
                    "{domain}: Auth0 refused the credentials of the application {client_id}{said}; check {place}{odd}, and that the application is authorized for {}",
                    audience.as_str()
                )
            }
            Failure::DomainNotAllowed { .. } => anyhow!("{domain} is not in --allowed-domains; add it there"),
            Failure::Unreachable { why: Unreached::Name } => anyhow!("{domain} has no IP address; check the domain"),
            Failure::ClientError { route: Route::Token, status: 404, .. } => {
                anyhow!("{domain} has no token endpoint (404), so it is not an Auth0 tenant; check the domain")
            }
            other => anyhow!("{domain}: {}", given_up(&other.message())),
        }
    }
}

/// Whether a failure may pass by itself, in the time that somebody waits for a command. A name without an address is wrong more
/// often than not.
fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::TimedOut { .. }
            | Failure::Interrupted { .. }
            | Failure::ServerError { .. }
            | Failure::Malformed { .. }
            | Failure::Unreachable { why: Unreached::Connect }
    )
}

/// The message of a failure that is not the operator's, which would go on trying.
fn given_up(message: &str) -> &str {
    message.strip_suffix("; the operator tries again").unwrap_or(message)
}

#[cfg(test)]
mod tests;
