//! What is said of a failed call: what happened and what to do, in one or two sentences that are safe to show.

use std::fmt;
use std::time::Duration;

use super::{About, Failure, Unreached};
use crate::auth0::scopes::NEEDED_SCOPES;

/// How the token endpoint begins to say that it knows no API of the audience that was asked for.
const AUDIENCE_UNKNOWN: [&str; 2] = ["Service not enabled within domain", "Service not found"];

/// What helps where a tenant is reached by a custom domain and its tokens are not for its own API.
const AUDIENCE_REMEDY: &str = "; for a custom domain, create a ClusterAuth0Tenant with spec.audience set to \
                               https://<tenant>.<region>.auth0.com/api/v2/, that of the tenant's own domain";

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
                f.write_str("nothing answers at the tenant's domain; check network policies, firewalls and the proxy")
            }
            Self::Unreachable { why: Unreached::Tls } => f.write_str(
                "no trusted TLS connection to the tenant's domain; if a proxy inspects TLS, give its CA to the operator with --extra-ca",
            ),
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
                    "; have it corrected or removed at Auth0 by whoever set it: it was sent back as it was read; the change is tried again",
                )
            }
            Self::Rejected { message, about } => {
                f.write_str("Auth0 refused the change (400)")?;
                said(f, &[message])?;
                f.write_str(match about {
                    About::Params | About::Entry(_) => "; change the parameters accordingly",
                    About::Options | About::Foreign(_) => {
                        "; correct the other options of the connection first: they were sent back as they were read"
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
