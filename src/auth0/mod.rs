//! The tenant edge: everything this operator says to the Auth0 Management API, and everything it hears.
//!
//! Guarantees:
//!
//! - A request goes to the tenant's own host over verified TLS, or nowhere: [`Domain`](crate::model::domain::Domain) admits host names only,
//!   [`AllowedDomains`](crate::model::domain::AllowedDomains) is asked again in the [`Transport`], addresses inside a private network are refused, and a
//!   redirect is an error, so no credential travels on.
//! - Nothing waits or grows without bound: connecting, the whole request and the size of an answer are limited.
//! - An answer is believed only when it is what was asked for: whole, JSON, of the name or id in the request.
//! - What can be said of a failure is safe to say: [`Failure`] holds Auth0's own message without any value that this
//!   operator sent, and never a body, a URL, a header or a parser's error.
//! - A token is fetched once for many callers, ahead of its expiry, and at most once more when it is refused.
//!
//! Assumes: [`install_crypto_provider`] ran, a tokio runtime with I/O and time, and that the caller asks a
//! [`Budget`] before each call; the [`Client`] itself never waits for a limit and never repeats a call for one.
//!
//! Fails: every call ends in [`Failure`], which is complete: one table says of each variant when to try again,
//! what it may have done and how far it reaches. Nothing in here panics on what a server sends.

mod addresses;
mod browser;
mod call;
mod client;
mod failure;
mod headers;
mod limits;
mod listing;
mod message;
mod redaction;
mod scopes;
mod token;
mod transport;

#[cfg(test)]
mod certified;
#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

pub(crate) use browser::{Browser, Page};
pub(crate) use call::{Call, Route};
pub(crate) use client::Client;
pub use failure::Unreached;
pub(crate) use failure::{About, Failure, Retry, Silence};
pub use limits::{Budget, Rate};
pub(crate) use listing::Listing;
pub(crate) use scopes::NEEDED_SCOPES;
pub(crate) use token::{Credentials, Granted, SharedSecret};
pub use transport::{Executing, HttpClient, Lost, Transport, TransportOptions, install_crypto_provider};
