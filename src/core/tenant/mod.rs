//! What a tenant object amounts to: whether it serves, and whom it admits to what.
//!
//! Guarantees: of two objects for one Auth0 tenant exactly one serves, the older; nobody is admitted without an entry
//! that matches both the namespace's labels and the connection's name.

pub(crate) mod authentication;
pub(crate) mod evidence;
pub(crate) mod permitted;
pub(crate) mod request;
pub(crate) mod state;
pub(crate) mod triage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::core::{Selector, SelectorExt};
use secrecy::{ExposeSecret, SecretString};

use crate::api::reason::Reason;
use crate::api::rules;
use crate::api::tenant::{ClusterAuth0TenantSpec, RateLimit};
use crate::api::upstream_params::ManagementPolicy;
use crate::core::obstacle::Obstacle;
use crate::core::world::{DeclaredTenant, World};
use crate::model::domain::{AllowedDomains, Audience, Domain};

/// The time between two looks where a spec asks for none.
const USUAL_RESYNC: Duration = Duration::from_mins(10);

/// A tenant that can be served.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// The host that requests go to.
    pub domain: Domain,
    /// The audience of its tokens, whose host is the tenant's identity.
    pub audience: Audience,
    /// The application's client id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// What makes the credentials look wrong: said when Auth0 refuses them.
    pub oddity: Option<String>,
    /// The Secret they are from.
    pub secret: String,
    /// The namespace that it is in: that of the operator.
    pub namespace: String,
    /// Whether nothing at all may be written.
    pub observes: bool,
    /// How fast it may be asked.
    pub rate_limit: RateLimit,
    /// The time between two looks at each connection.
    pub resync: Duration,
    access: Access,
}

impl PartialEq for TenantSettings {
    fn eq(&self, other: &Self) -> bool {
        self.same_access(other)
            && (self.observes, &self.rate_limit, self.resync, &self.access)
                == (other.observes, &other.rate_limit, other.resync, &other.access)
    }
}

/// Whom a tenant admits to what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Access(Vec<Admission>);

#[derive(Clone, Debug, PartialEq)]
struct Admission {
    namespaces: Selector,
    connections: Vec<String>,
    reserved: BTreeSet<String>,
}

impl TenantSettings {
    /// Whether both reach the same tenant with the same credentials, so that a token of the one is good for the other.
    pub fn same_access(&self, other: &Self) -> bool {
        fn parts(settings: &TenantSettings) -> [&str; 4] {
            let TenantSettings { domain, audience, client_id, client_secret, .. } = settings;
            [domain.as_str(), audience.as_str(), client_id, client_secret.expose_secret()]
        }
        parts(self) == parts(other)
    }

    /// Whether any entry admits a namespace with these labels to any connection.
    pub fn admits_namespace(&self, labels: &BTreeMap<String, String>) -> bool {
        self.access.admits_namespace(labels)
    }

    /// Whether a namespace with these labels may manage the connection of this name; if so, with the reserved
    /// parameters it may set.
    pub fn admission(&self, labels: &BTreeMap<String, String>, connection: &str) -> Option<BTreeSet<String>> {
        self.access.admission(labels, connection)
    }
}

impl Access {
    /// What the `access` of a spec says.
    pub(crate) fn of(spec: &ClusterAuth0TenantSpec) -> Self {
        let admissions = spec.access.iter().filter_map(|entry| {
            // A selector that can't be read admits nobody.
            let namespaces = Selector::try_from(entry.namespace_selector.clone()).ok()?;
            let reserved = entry.allowed_reserved_params.iter().cloned().collect();
            Some(Admission { namespaces, connections: entry.connections.clone(), reserved })
        });
        Self(admissions.collect())
    }

    /// Whether any entry admits a namespace with these labels to any connection.
    pub(crate) fn admits_namespace(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().any(|admission| admission.namespaces.matches(labels))
    }

    /// Whether a namespace with these labels may manage the connection of this name; if so, with the reserved
    /// parameters it may set.
    pub(crate) fn admission(&self, labels: &BTreeMap<String, String>, connection: &str) -> Option<BTreeSet<String>> {
        let matching = |admission: &&Admission| {
            admission.namespaces.matches(labels) && admission.connections.iter().any(|pattern| glob_matches(pattern, connection))
        };
        let mut matching = self.0.iter().filter(matching).peekable();
        matching.peek()?;
        Some(matching.flat_map(|admission| admission.reserved.iter().cloned()).collect())
    }
}

/// Whether a pattern, in which `*` stands for any characters, matches the whole text.
///
/// Takes a time that grows with the length of both and no faster, whatever the pattern: the first place of a part leaves
/// most of the text to the next, so no other place needs a try, and searching for one part is linear.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    parts.all(|part| rest.split_once(part).map(|(_, after)| rest = after).is_some())
}

/// The first pattern of connections that admission refuses today, with the rule that it breaks: such an object is older
/// than the rule.
fn bad_pattern(spec: &ClusterAuth0TenantSpec) -> Option<String> {
    let patterns = spec.access.iter().enumerate().flat_map(|(entry, access)| {
        access
            .connections
            .iter()
            .enumerate()
            .map(move |(position, pattern)| (format!("spec.access[{entry}].connections[{position}]"), pattern))
    });
    patterns.into_iter().find_map(|(place, pattern)| rules::connection_glob(pattern).err().map(|rule| format!("{place}: {rule}")))
}

/// The time between two looks at each connection that a spec asks for. One from before the bounds of admission is kept above the
/// lower one, and a negative one says nothing.
pub(crate) fn resync_interval(spec: &ClusterAuth0TenantSpec) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(rules::MIN_RESYNC_SECONDS.unsigned_abs());
    u64::try_from(spec.resync_interval_seconds).map_or(USUAL_RESYNC, Duration::from_secs).max(SHORTEST)
}

/// What a tenant object amounts to.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// It serves.
    Serving(Box<TenantSettings>),
    /// Its content can't be used, and what to do.
    Refused(RefusedReason, String),
    /// Its Secret can't be used, and what to do.
    Unresolved(UnresolvedReason, String),
}

/// Why the content of a tenant object can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedReason {
    /// Its domain or audience is not what it has to be.
    InvalidDomain,
    /// Its spec breaks another rule.
    InvalidSpec,
    /// The operator may not talk to this host.
    DomainNotAllowed,
    /// An older object stands for the same Auth0 tenant.
    DuplicateTenant,
}

impl From<RefusedReason> for Reason {
    fn from(reason: RefusedReason) -> Self {
        match reason {
            RefusedReason::InvalidDomain => Reason::InvalidDomain,
            RefusedReason::InvalidSpec => Reason::InvalidSpec,
            RefusedReason::DomainNotAllowed => Reason::DomainNotAllowed,
            RefusedReason::DuplicateTenant => Reason::DuplicateTenant,
        }
    }
}

/// Why the Secret of a tenant object can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnresolvedReason {
    /// There is none of that name.
    SecretNotFound,
    /// It lacks a key, or the text under a key can't be used.
    SecretKeyMissing,
}

impl From<UnresolvedReason> for Reason {
    fn from(reason: UnresolvedReason) -> Self {
        match reason {
            UnresolvedReason::SecretNotFound => Reason::SecretNotFound,
            UnresolvedReason::SecretKeyMissing => Reason::SecretKeyMissing,
        }
    }
}

/// Resolves the tenant object of this name; `None` when there is no such object. `namespace` is the operator's own.
pub fn resolve(world: &World, name: &str, allowed: &AllowedDomains, namespace: &str) -> Option<Resolution> {
    resolve_with(world, name, allowed, namespace, None)
}

/// As [`resolve`], where the Secret may be away for a moment: then the credentials of the `kept` settings go on, for the same
/// host.
pub(crate) fn resolve_with(
    world: &World,
    name: &str,
    allowed: &AllowedDomains,
    namespace: &str,
    kept: Option<&TenantSettings>,
) -> Option<Resolution> {
    let tenant = world.tenant(name)?;
    Some(match validated(&tenant, allowed) {
        Err((reason, message)) => Resolution::Refused(reason, message),
        Ok(valid) => match older_twin(world, &tenant, allowed, &valid.audience) {
            Some(twin) => Resolution::Refused(
                RefusedReason::DuplicateTenant,
                format!("the ClusterAuth0Tenant {twin} is older and stands for the same Auth0 tenant; delete one of the two"),
            ),
            None => resolve_secret(world, valid, namespace, kept),
        },
    })
}

/// A spec that can be used, and what was read out of it.
struct Validated<'a> {
    spec: &'a ClusterAuth0TenantSpec,
    domain: Domain,
    audience: Audience,
}

fn validated<'a>(tenant: &'a DeclaredTenant, allowed: &AllowedDomains) -> Result<Validated<'a>, (RefusedReason, String)> {
    let invalid = |problem: String| (RefusedReason::InvalidDomain, problem);
    let spec =
        tenant.spec.as_ref().ok_or_else(|| invalid("the spec can't be read; apply it again as this version's CRD has it".to_owned()))?;
    let domain = Domain::parse(&spec.domain).map_err(|error| invalid(format!("spec.domain: {error}")))?;
    let audience = match &spec.audience {
        Some(audience) => Audience::parse(audience).map_err(|error| invalid(format!("spec.audience: {error}")))?,
        None => Audience::of(&domain),
    };
    if let Some(problem) = bad_pattern(spec) {
        return Err((RefusedReason::InvalidSpec, problem));
    }
    if allowed.permits(&domain) {
        Ok(Validated { spec, domain, audience })
    } else {
        Err((
            RefusedReason::DomainNotAllowed,
            format!(
                "spec.domain: the operator may not talk to {}; add it to --allowed-domains, or use a domain that is allowed",
                domain.as_str()
            ),
        ))
    }
}

fn older_twin(world: &World, tenant: &DeclaredTenant, allowed: &AllowedDomains, audience: &Audience) -> Option<String> {
    let rank = |tenant: &DeclaredTenant| (tenant.created, tenant.name.clone());
    let twin = world
        .tenants()
        .filter(|other| rank(other) < rank(tenant))
        .find(|other| validated(other, allowed).is_ok_and(|theirs| theirs.audience.identity() == audience.identity()));
    twin.map(|twin| twin.name.clone())
}

/// What is used of a Secret.
struct Found {
    client_id: String,
    client_secret: SecretString,
    oddity: Option<String>,
}

/// The credentials in a Secret, or what is wrong with it.
fn found(world: &World, secret: &str, namespace: &str) -> Result<Found, Resolution> {
    let Some(credentials) = world.credentials(secret) else {
        let message =
            format!("there is no Secret {secret} in the operator's namespace {namespace}; create it with clientId and clientSecret");
        return Err(Resolution::Unresolved(UnresolvedReason::SecretNotFound, message));
    };
    let flaws: Vec<String> = credentials.flaws.iter().map(|(member, flaw)| format!("{member} {}", flaw.message())).collect();
    if let (Some(client_id), Some(client_secret)) = (credentials.client_id, credentials.client_secret) {
        let oddity = (!flaws.is_empty()).then(|| format!("in the Secret {secret}, {}", flaws.join(", and ")));
        return Ok(Found { client_id, client_secret, oddity });
    }
    let others = match credentials.others.as_slice() {
        [] => String::new(),
        others => format!(" (it has {})", others.join(", ")),
    };
    let message = format!(
        "the Secret {secret} in the namespace {namespace} can't be used{others}: {}; it needs clientId and clientSecret as non-empty text",
        flaws.join(", and ")
    );
    Err(Resolution::Unresolved(UnresolvedReason::SecretKeyMissing, message))
}

fn resolve_secret(world: &World, valid: Validated<'_>, namespace: &str, kept: Option<&TenantSettings>) -> Resolution {
    let Validated { spec, domain, audience } = valid;
    let secret = &spec.credentials.secret_ref.name;
    let kept = kept.filter(|kept| kept.secret == *secret && kept.domain == domain && kept.audience == audience);
    let Found { client_id, client_secret, oddity } = match (found(world, secret, namespace), kept) {
        (Ok(found), _) => found,
        (Err(_), Some(kept)) => {
            Found { client_id: kept.client_id.clone(), client_secret: kept.client_secret.clone(), oddity: kept.oddity.clone() }
        }
        (Err(unresolved), None) => return unresolved,
    };
    Resolution::Serving(Box::new(TenantSettings {
        domain,
        audience,
        client_id,
        client_secret,
        oddity,
        secret: secret.clone(),
        namespace: namespace.to_owned(),
        observes: spec.management_policy == ManagementPolicy::Observe,
        rate_limit: spec.rate_limit.clone(),
        resync: resync_interval(spec),
        access: Access::of(spec),
    }))
}

/// What is known of the tenant's answer to our credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsState {
    /// Not tried yet by this process.
    Untried,
    /// The tenant could not be asked, or gave no answer to go by.
    Unknown(Obstacle),
    /// Accepted.
    Granted,
    /// Accepted, and there is trouble now that may pass before anybody is harmed by it; the text says which.
    Troubled(String),
    /// Refused; the text says what the tenant says.
    Refused(String),
    /// Accepted, but scopes are missing; the text names them.
    Lacking(String),
}

/// What is said of a tenant whose credentials were not tried.
pub(crate) const UNTRIED: &str = "the credentials have not been tried yet";

#[cfg(test)]
mod tests;
