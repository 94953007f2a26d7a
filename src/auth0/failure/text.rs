//! What is said of a failed call: what happened and what to do, in one or two sentences that are safe to show.

use std::fmt;
use std::time::Duration;

use super::{About, Failure, Unreached};
use crate::auth0::scopes::NEEDED_SCOPES;

/// How the token endpoint begins to say that it knows no API of the audience that was asked for.
const AUDIENCE_UNKNOWN: [&str; 2] = ["Service not enabled within domain", "Service not found"];

/// What helps where a tenant is reached by a custom domain and its tokens are not for its own API.
const AUDIENCE_REMEDY: &str = "; for a custom domain, create a ClusterAuth0Tenant with the tenant's own host in \
                               spec.audience: https://<tenant>.<region>.auth0.com/api/v2/";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DomainNotAllowed { domain } => {
                write!(f, "{domain} is not in the operator's --allowed-domains; add it there")
            }
            Self::AddressNotAllowed { domain } => write!(
                f,
                "{domain} has private IP addresses only; correct the DNS record, or start the operator with --permit-private-addresses"
            ),
            Self::OutOfTime => f.write_str("there was not enough time left to write safely; the operator tries again"),
            Self::Unreachable { why: Unreached::Name } => {
                f.write_str("the tenant's domain has no IP address; check the domain and the cluster's DNS")
            }
            Self::Unreachable { why: Unreached::Connect } => {
                f.write_str("nothing answers at the tenant's domain; check network policies, firewalls and the proxy")
            }
            Self::Unreachable { why: Unreached::Tls } => f.write_str(
                "there is no trusted TLS connection to the tenant's domain; if a proxy inspects TLS, give the operator its CA with --extra-ca",
            ),
            Self::TimedOut { route } => write!(f, "Auth0 did not answer in time while {}; the operator tries again", route.doing()),
            Self::Interrupted { route } => {
                write!(f, "the network connection to Auth0 broke while {}; the operator tries again", route.doing())
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
                write!(f, "Auth0 refuses every change of the connection (400) because of {name}, which this object does not own")?;
                said(f, &[message])?;
                f.write_str(
                    "; correct or remove it at Auth0; the operator tries again",
                )
            }
            Self::Rejected { message, about } => {
                f.write_str("Auth0 refused the change (400)")?;
                said(f, &[message])?;
                f.write_str(match about {
                    About::Params | About::Entry(_) => "; change the parameters accordingly",
                    About::Options | About::Foreign(_) => {
                        "; correct the other options of the connection at Auth0, which the operator did not change"
                    }
                })
            }
            Self::Gone => f.write_str("the connection does not exist any more; create it, or correct spec.connection"),
            Self::ClientError { route, status, message } => {
                write!(f, "Auth0 answered {status} while {}", route.doing())?;
                said(f, &[message])
            }
            Self::ServerError { route, status } => {
                write!(f, "Auth0 answered {status} while {}; the operator tries again", route.doing())
            }
            Self::Redirected { status } => write!(
                f,
                "the tenant's domain answered with a redirect ({status}), which the operator does not follow; create a ClusterAuth0Tenant with the host of the Management API as domain"
            ),
            Self::TooLarge { route } => write!(f, "the answer was too large while {}; check what is between the operator and Auth0", route.doing()),
            Self::Malformed { route, what } => {
                write!(f, "the answer was not usable ({what}) while {}; check what is between the operator and Auth0", route.doing())
            }
            Self::BadDocument { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

fn rate_limited(f: &mut fmt::Formatter<'_>, global: bool, retry_after: Option<Duration>) -> fmt::Result {
    let whose = if global { "the tenant's global rate limit is reached" } else { "the tenant's rate limit for this endpoint is reached" };
    match retry_after {
        Some(after) => write!(f, "{whose}; the operator tries again after {} s", after.as_secs().max(1)),
        None => write!(f, "{whose}; the operator tries again when the limit allows"),
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
