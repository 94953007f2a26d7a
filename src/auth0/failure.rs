//! Every way in which a call to a tenant can end badly, and what follows from it.
//!
//! Guarantees: the list is complete, and every consequence is an exhaustive match: which reason a status gets, when to
//! try again, whether a write may have taken effect, whether the whole tenant is concerned. `Display` and `Debug` are
//! safe to log and to put into a status: texts from a server went through the redaction of `message`.

use std::fmt;
use std::time::Duration;

use super::call::Route;
use super::message::NEEDED_SCOPES;
use crate::api::reason::Reason;
use crate::model::document::DocumentError;
use crate::model::domain::Domain;

/// How the token endpoint begins to say that it knows no API of the audience that was asked for.
const AUDIENCE_UNKNOWN: [&str; 2] = ["Service not enabled within domain", "Service not found"];

/// What helps where a tenant is reached by a custom domain and its tokens are not for its own API.
const AUDIENCE_REMEDY: &str = "; for a custom domain, create a ClusterAuth0Tenant with spec.audience set to \
                               https://<tenant>.<region>.auth0.com/api/v2/, that of the tenant's own domain";

/// When a failed call is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After this time, which the server gave (or one second, when it gave none); then through the budget.
    After(Duration),
    /// Soon, then more and more slowly: it may pass by itself.
    Backoff,
    /// With the ordinary look at the tenant: somebody has to do something, and it costs nobody much to ask again.
    ResyncPace,
    /// Not before the object, the connection or the tenant object changes: the same call has the same end.
    Never,
}

/// Why no connection to a tenant came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// The host name has no address.
    Name,
    /// Nobody answers at the address, or the way there (a proxy) is closed.
    Connect,
    /// The certificate is not trusted, or the other side doesn't speak TLS.
    Tls,
}

/// How far it reaches that a call got no answer of Auth0's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Not at all: Auth0 answered, or was not asked.
    None,
    /// This call: others may fare better.
    Here,
    /// Every call: the host can't be reached.
    OfTheHost,
}

/// What a refused write (400) is about, as far as Auth0's message says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Something else than the upstream parameters: the other options, which were sent back as they were.
    Options,
    /// The upstream parameters as a whole.
    Params,
    /// One of them, by its path below `options.upstream_params`, such as `blog.value`. For decisions only: what is shown is
    /// a name that is known from elsewhere.
    Entry(String),
    /// An entry of this name that the write did not change: it was there, and was sent back as it was. Empty where the name
    /// is not known.
    Foreign(String),
}

/// How a call ended that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The domain is not among the operator's allowed domains. Nothing was sent.
    DomainNotAllowed {
        /// The tenant's domain.
        domain: Domain,
    },
    /// Every address of the host lies inside a private network. Nothing was sent.
    AddressNotAllowed {
        /// The tenant's domain.
        domain: Domain,
    },
    /// The write could not have ended by the time given for it, or what it rests on changed meanwhile. No PATCH that could take
    /// effect was sent.
    OutOfTime,
    /// No connection came about. Nothing was sent.
    Unreachable {
        /// What stood in the way.
        why: Unreached,
    },
    /// No whole answer in time.
    TimedOut {
        /// What was called.
        route: Route,
    },
    /// The connection broke after the request went out, before the whole answer was there.
    Interrupted {
        /// What was called.
        route: Route,
    },
    /// 429.
    RateLimited {
        /// The tenant's limit for all endpoints together, and not this endpoint's.
        global: bool,
        /// From `Retry-After`, else from `x-ratelimit-reset`.
        retry_after: Option<Duration>,
    },
    /// The token endpoint refused the credentials (400, 401, 403).
    CredentialsRejected {
        /// The OAuth 2 error code, such as `access_denied`. May be empty.
        error: String,
        /// Auth0's description. May be empty.
        description: String,
    },
    /// 401 of the Management API, also with a new token.
    Unauthorized {
        /// Auth0's message. May be empty.
        message: String,
    },
    /// 403 `insufficient_scope`, also with a new token.
    MissingScope {
        /// The scopes that the answer names, sorted. May be empty.
        scopes: Vec<String>,
    },
    /// 403 for another reason.
    Forbidden {
        /// Auth0's message. May be empty.
        message: String,
    },
    /// 400 for a write.
    Rejected {
        /// Auth0's message. May be empty.
        message: String,
        /// What the message is about: only of `upstream_params` can it be the changes that are wrong.
        about: About,
    },
    /// 404 `inexistent_connection` for a write.
    Gone,
    /// Another 4xx.
    ClientError {
        /// What was called.
        route: Route,
        /// The HTTP status.
        status: u16,
        /// Auth0's message. May be empty.
        message: String,
    },
    /// 5xx.
    ServerError {
        /// What was called.
        route: Route,
        /// The HTTP status.
        status: u16,
    },
    /// 3xx, which is not followed: it could carry the token to another host.
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// A successful answer that is larger than the limit.
    TooLarge {
        /// What was called.
        route: Route,
    },
    /// A successful answer that is not what was asked for.
    Malformed {
        /// What was called.
        route: Route,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A successful answer that is JSON, but no connection that can be used.
    BadDocument {
        /// What was called.
        route: Route,
        /// What is wrong with it.
        error: DocumentError,
    },
}

impl Failure {
    /// The reason of the `Synced` condition.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::DomainNotAllowed { .. }
            | Self::AddressNotAllowed { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::TimedOut { route: Route::Token }
            | Self::Interrupted { route: Route::Token }
            | Self::ClientError { route: Route::Token, .. }
            | Self::ServerError { route: Route::Token, .. }
            | Self::TooLarge { route: Route::Token }
            | Self::Malformed { route: Route::Token, .. } => Reason::TenantNotReady,
            Self::OutOfTime
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::ServerError { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => Reason::RemoteUnavailable,
            Self::BadDocument { error: DocumentError::OptionsHidden | DocumentError::OptionsUnusable, .. } => Reason::OptionsHidden,
            Self::Rejected { about: About::Params | About::Entry(_), .. } => Reason::Rejected,
            Self::Gone => Reason::ConnectionNotFound,
            Self::Forbidden { .. }
            | Self::Rejected { about: About::Options | About::Foreign(_), .. }
            | Self::ClientError { .. }
            | Self::BadDocument { .. } => Reason::ApplyFailed,
        }
    }

    /// When to try again.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::RateLimited { retry_after: Some(after), .. } => Retry::After(*after),
            Self::RateLimited { retry_after: None, .. } => Retry::After(Duration::from_secs(1)),
            Self::DomainNotAllowed { .. } | Self::Rejected { about: About::Params | About::Entry(_), .. } => Retry::Never,
            Self::AddressNotAllowed { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Redirected { .. }
            | Self::Gone
            | Self::ClientError { route: Route::Token, .. }
            | Self::BadDocument { error: DocumentError::OptionsHidden, .. } => Retry::ResyncPace,
            Self::OutOfTime
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Forbidden { .. }
            | Self::Rejected { about: About::Options | About::Foreign(_), .. }
            | Self::ClientError { .. }
            | Self::ServerError { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::BadDocument { .. } => Retry::Backoff,
        }
    }

    /// Whether the connection may have been changed although no answer says so: a write whose answer was lost. A server
    /// error counts as one, because a gateway that gave up says nothing about what happened behind it.
    pub const fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::TimedOut { route }
            | Self::Interrupted { route }
            | Self::ServerError { route, .. }
            | Self::TooLarge { route }
            | Self::Malformed { route, .. }
            | Self::BadDocument { route, .. } => route.is_write(),
            Self::DomainNotAllowed { .. }
            | Self::AddressNotAllowed { .. }
            | Self::OutOfTime
            | Self::Unreachable { .. }
            | Self::RateLimited { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Forbidden { .. }
            | Self::Rejected { .. }
            | Self::Gone
            | Self::ClientError { .. }
            | Self::Redirected { .. } => false,
        }
    }

    /// Whether a write may take effect even later: it may be under way still, at a gateway that gave up on it or on a
    /// connection that broke. Nothing may be written in its place before it must have ended.
    pub const fn may_still_land(&self) -> bool {
        match self {
            Self::TimedOut { route } | Self::Interrupted { route } | Self::ServerError { route, status: 502 | 504 } => route.is_write(),
            Self::DomainNotAllowed { .. }
            | Self::AddressNotAllowed { .. }
            | Self::OutOfTime
            | Self::Unreachable { .. }
            | Self::RateLimited { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Forbidden { .. }
            | Self::Rejected { .. }
            | Self::Gone
            | Self::ClientError { .. }
            | Self::ServerError { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::BadDocument { .. } => false,
        }
    }

    /// How far it reaches that no answer of Auth0's came.
    pub const fn silence(&self) -> Silence {
        match self {
            Self::AddressNotAllowed { .. } | Self::Unreachable { .. } | Self::Redirected { .. } => Silence::OfTheHost,
            Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::ServerError { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => Silence::Here,
            Self::DomainNotAllowed { .. }
            | Self::OutOfTime
            | Self::RateLimited { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::Forbidden { .. }
            | Self::Rejected { .. }
            | Self::Gone
            | Self::ClientError { .. }
            | Self::BadDocument { .. } => Silence::None,
        }
    }

    /// Whether the tenant as a whole is in trouble, rather than this connection or this object: then an object that
    /// was in sync is not at fault.
    pub const fn tenant_trouble(&self) -> bool {
        match self {
            Self::DomainNotAllowed { .. }
            | Self::AddressNotAllowed { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::RateLimited { .. }
            | Self::CredentialsRejected { .. }
            | Self::Unauthorized { .. }
            | Self::MissingScope { .. }
            | Self::ClientError { route: Route::Token, .. }
            | Self::ServerError { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { route: Route::Token }
            | Self::Malformed { route: Route::Token, .. }
            | Self::BadDocument { error: DocumentError::OptionsHidden, .. } => true,
            Self::OutOfTime
            | Self::Forbidden { .. }
            | Self::Rejected { .. }
            | Self::Gone
            | Self::ClientError { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. }
            | Self::BadDocument { .. } => false,
        }
    }

    /// What happened and what to do, in one or two sentences that are safe to show.
    pub fn message(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DomainNotAllowed { domain } => {
                write!(f, "the operator may not talk to {domain}; have it added to --allowed-domains")
            }
            Self::AddressNotAllowed { domain } => write!(
                f,
                "{domain} has addresses inside a private network only, and nothing is sent there; correct the DNS record, or start the operator with --permit-private-addresses if the tenant is reached that way"
            ),
            Self::OutOfTime => f.write_str("there was not enough time left to write safely; it is tried again"),
            Self::Unreachable { why: Unreached::Name } => {
                f.write_str("the tenant's domain has no address; check the domain and the cluster's DNS")
            }
            Self::Unreachable { why: Unreached::Connect } => {
                f.write_str("nobody answers at the tenant's domain; check network policies, firewalls and the proxy")
            }
            Self::Unreachable { why: Unreached::Tls } => {
                f.write_str("no trusted TLS connection to the tenant's domain; if a proxy opens TLS, give its CA to the operator")
            }
            Self::TimedOut { route } => write!(f, "Auth0 did not answer in time while {}; it is tried again", route.doing()),
            Self::Interrupted { route } => {
                write!(f, "the connection to Auth0 broke while {}; it is tried again", route.doing())
            }
            Self::RateLimited { global, retry_after } => rate_limited(f, *global, *retry_after),
            Self::CredentialsRejected { error, description } => {
                f.write_str("Auth0 refused the operator's credentials")?;
                said(f, &[description, error])?;
                f.write_str(if AUDIENCE_UNKNOWN.iter().any(|known| description.starts_with(known)) {
                    AUDIENCE_REMEDY
                } else {
                    "; correct the Secret, or authorize the application for the Management API"
                })
            }
            Self::Unauthorized { message } => {
                f.write_str("Auth0 refused a new token (401)")?;
                said(f, &[message])?;
                f.write_str(AUDIENCE_REMEDY)
            }
            Self::MissingScope { scopes } if scopes.is_empty() => {
                write!(f, "the operator's application lacks a scope (403); grant it {}", NEEDED_SCOPES.join(", "))
            }
            Self::MissingScope { scopes } => {
                write!(f, "the operator's application lacks a scope (403); grant it {}", scopes.join(", "))
            }
            Self::Forbidden { message } => {
                f.write_str("Auth0 does not permit this (403)")?;
                said(f, &[message])
            }
            Self::Rejected { message, about: About::Foreign(name) } => {
                let name = shown_name(name);
                write!(f, "Auth0 refuses every change of the connection (400) because of {name}, which is not this object's")?;
                said(f, &[message])?;
                f.write_str(
                    "; have it corrected or removed at Auth0 by whoever set it, it was sent back as it was; the change is tried again",
                )
            }
            Self::Rejected { message, about } => {
                f.write_str("Auth0 refused the change (400)")?;
                said(f, &[message])?;
                f.write_str(match about {
                    About::Params | About::Entry(_) => "; change the parameters accordingly",
                    About::Options | About::Foreign(_) => {
                        "; the other options of the connection have to be put right first, they were sent back as they were"
                    }
                })
            }
            Self::Gone => f.write_str("the tenant has no such connection any more; create it, or correct spec.connection"),
            Self::ClientError { route, status, message } => {
                write!(f, "Auth0 answered {status} while {}", route.doing())?;
                said(f, &[message])
            }
            Self::ServerError { route, status } => {
                write!(f, "Auth0 answered {status} while {}; it is tried again", route.doing())
            }
            Self::Redirected { status } => write!(
                f,
                "the tenant's domain answered with a redirect ({status}), which is never followed; create a ClusterAuth0Tenant whose domain is the host that serves the Management API"
            ),
            Self::TooLarge { route } => write!(f, "an answer was too large to be one of Auth0's, while {}", route.doing()),
            Self::Malformed { route, what } => {
                write!(f, "an unusable answer ({what}), while {}; check what is between the operator and Auth0", route.doing())
            }
            Self::BadDocument { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

fn rate_limited(f: &mut fmt::Formatter<'_>, global: bool, retry_after: Option<Duration>) -> fmt::Result {
    let whose =
        if global { "the tenant's global request limit is reached" } else { "the tenant's request limit for this endpoint is reached" };
    match retry_after {
        Some(after) => write!(f, "{whose}; it is tried again after {} s", after.as_secs().max(1)),
        None => write!(f, "{whose}; it is tried again when the limit allows"),
    }
}

/// The name of a foreign entry, which may be of any characters and any length.
fn shown_name(name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_graphic).take(128).collect();
    if plain.is_empty() { "one of its upstream parameters".to_owned() } else { format!("its upstream parameter {plain}") }
}

/// The first text that says anything.
fn said(f: &mut fmt::Formatter<'_>, texts: &[&String]) -> fmt::Result {
    match texts.iter().find(|text| !text.is_empty()) {
        Some(text) => write!(f, ": {text}"),
        None => Ok(()),
    }
}
