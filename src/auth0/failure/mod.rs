//! Every way in which a call to a tenant can end badly, and what follows from it.
//!
//! Guarantees: the list is complete, and one exhaustive table says of each when to try again, what it may have done to the
//! connection, and how far it reaches. `Display` and `Debug` are safe to log and to put into a status: texts from a server went
//! through `redaction`. What it is to an object is for others to say.

mod text;

use std::time::Duration;

use super::call::Route;
use crate::model::document::DocumentError;
use crate::model::domain::Domain;

/// When a failed call is worth trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
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

/// What a failed call may have done to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// It may have changed it although no answer says so: a write whose answer was lost. A server error counts as one, because a
    /// gateway that gave up says nothing about what happened behind it.
    Possible,
    /// It may even do so later: the write may be under way still, at a gateway that gave up on it or on a connection that broke.
    /// Nothing may be written in its place before it must have ended.
    StillPossible,
}

/// All that follows from a failed call, but for what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consequences {
    /// When to try again.
    pub retry: Retry,
    /// What it may have done.
    pub effect: Effect,
    /// How far it reaches that no answer of Auth0's came.
    pub silence: Silence,
    /// Whether the tenant as a whole is in trouble, rather than this connection or this object: then an object that was in sync is
    /// not at fault.
    pub tenant_wide: bool,
}

/// How far it reaches that a call got no answer of Auth0's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Not at all: Auth0 answered, or was not asked.
    None,
    /// This call: others may fare better.
    Here,
    /// Every call: the host can't be reached.
    OfTheHost,
}

/// What a refused write (400) is about, as far as Auth0's message says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
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
pub(crate) enum Failure {
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
    /// The table.
    #[rustfmt::skip]
    #[allow(clippy::match_same_arms, reason = "a row for each, whatever the others say")]
    pub(crate) const fn consequences(&self) -> Consequences {
        match self {
            Self::DomainNotAllowed { .. } => row(Retry::Never, Effect::None, Silence::None, true),
            Self::AddressNotAllowed { .. } => row(Retry::ResyncPace, Effect::None, Silence::OfTheHost, true),
            Self::OutOfTime => row(Retry::Backoff, Effect::None, Silence::None, true),
            Self::Unreachable { .. } => row(Retry::Backoff, Effect::None, Silence::OfTheHost, true),
            Self::TimedOut { route } | Self::Interrupted { route } => row(Retry::Backoff, Effect::StillPossible.of(*route), Silence::Here, true),
            Self::RateLimited { retry_after, .. } => row(come_back(*retry_after), Effect::None, Silence::None, true),
            Self::CredentialsRejected { .. } => row(Retry::ResyncPace, Effect::None, Silence::None, true),
            Self::Unauthorized { .. } => row(Retry::ResyncPace, Effect::None, Silence::None, true),
            Self::MissingScope { .. } => row(Retry::ResyncPace, Effect::None, Silence::None, true),
            Self::Forbidden { .. } => row(Retry::Backoff, Effect::None, Silence::None, false),
            Self::Rejected { about: About::Params | About::Entry(_), .. } => row(Retry::Never, Effect::None, Silence::None, false),
            Self::Rejected { about: About::Options | About::Foreign(_), .. } => row(Retry::Backoff, Effect::None, Silence::None, false),
            Self::Gone => row(Retry::ResyncPace, Effect::None, Silence::None, false),
            Self::ClientError { route: Route::Token, .. } => row(Retry::ResyncPace, Effect::None, Silence::None, true),
            Self::ClientError { .. } => row(Retry::Backoff, Effect::None, Silence::None, false),
            Self::ServerError { route, status: 502 | 504 } => row(Retry::Backoff, Effect::StillPossible.of(*route), Silence::Here, true),
            Self::ServerError { route, .. } => row(Retry::Backoff, Effect::Possible.of(*route), Silence::Here, true),
            Self::Redirected { .. } => row(Retry::ResyncPace, Effect::None, Silence::OfTheHost, true),
            Self::TooLarge { route } | Self::Malformed { route, .. } => row(Retry::Backoff, Effect::Possible.of(*route), Silence::Here, true),
            Self::BadDocument { route, error } => row(read_again(*error), Effect::Possible.of(*route), Silence::None, is_hidden(*error)),
        }
    }

    /// When to try again.
    pub(crate) const fn retry(&self) -> Retry {
        self.consequences().retry
    }

    /// What it may have done to the connection.
    pub(crate) const fn effect(&self) -> Effect {
        self.consequences().effect
    }

    /// Whether a write may take effect even later.
    pub(crate) const fn may_still_land(&self) -> bool {
        matches!(self.effect(), Effect::StillPossible)
    }

    /// How far it reaches that no answer of Auth0's came.
    pub(crate) const fn silence(&self) -> Silence {
        self.consequences().silence
    }

    /// Whether the tenant as a whole is in trouble.
    pub(crate) const fn tenant_wide(&self) -> bool {
        self.consequences().tenant_wide
    }

    /// What happened and what to do, in one or two sentences that are safe to show.
    pub(crate) fn message(&self) -> String {
        self.to_string()
    }
}

const fn row(retry: Retry, effect: Effect, silence: Silence, tenant_wide: bool) -> Consequences {
    Consequences { retry, effect, silence, tenant_wide }
}

impl Effect {
    /// What a call of this route may have done: one that writes nothing has no effect.
    const fn of(self, route: Route) -> Self {
        if route.is_write() { self } else { Self::None }
    }
}

/// When the server asks to come back; it may not say.
const fn come_back(retry_after: Option<Duration>) -> Retry {
    match retry_after {
        Some(after) => Retry::After(after),
        None => Retry::After(Duration::from_secs(1)),
    }
}

/// What the operator's application may not see passes with a scope, which is found out about elsewhere too; what somebody has to put
/// right takes its time.
const fn read_again(error: DocumentError) -> Retry {
    match error {
        DocumentError::OptionsHidden | DocumentError::OptionsUnusable | DocumentError::NotAConnection(_) | DocumentError::NotAnId => {
            Retry::Backoff
        }
        DocumentError::ParamsNotAnObject => Retry::ResyncPace,
    }
}

const fn is_hidden(error: DocumentError) -> bool {
    matches!(error, DocumentError::OptionsHidden)
}
