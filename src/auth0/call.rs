//! One exchange with a tenant, as everybody but the two parties sees it: what was called, and what the answer says of limits.
//!
//! Holds nothing secret. It is the ground that the other modules of the edge stand on.

use std::sync::Arc;
use std::time::Duration;

/// What is called: a label for metrics, and what a limit is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Route {
    /// `POST /oauth/token`
    Token,
    /// `GET /api/v2/connections?take=`, a page of all; the operator itself never asks for it.
    ListConnections,
    /// `GET /api/v2/connections?name=`
    FindConnection,
    /// `GET /api/v2/connections/{id}`
    ReadConnection,
    /// `PATCH /api/v2/connections/{id}`
    WriteConnection,
    /// `GET /authorize`, and the steps behind it, as a browser goes them; the operator itself never does.
    Authorize,
}

impl Route {
    /// Every route.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it changes something at Auth0.
    pub const fn is_write(self) -> bool {
        match self {
            Self::WriteConnection => true,
            Self::Token | Self::ListConnections | Self::FindConnection | Self::ReadConnection | Self::Authorize => false,
        }
    }

    /// For a sentence: `while ...`.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::Token => "fetching a token",
            Self::ListConnections => "listing the connections",
            Self::FindConnection => "looking the connection up by name",
            Self::ReadConnection => "reading the connection",
            Self::WriteConnection => "writing the connection",
            Self::Authorize => "walking the login",
        }
    }
}

/// The `x-ratelimit-*` headers of an answer, as far as they were there and readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// How many requests the limit allows at once.
    pub limit: Option<u32>,
    /// How many of them are left.
    pub remaining: Option<u32>,
    /// How long after the answer the next one is added.
    pub reset: Option<Duration>,
}

/// One exchange with a tenant, as its observer sees it. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was called.
    pub route: Route,
    /// The HTTP status; `None` when there was no whole answer.
    pub status: Option<u16>,
    /// What the answer says of the limit.
    pub limit: Option<RateHeaders>,
    /// The answer's `Retry-After`, at most a day.
    pub retry_after: Option<Duration>,
    /// A 429 for the tenant's limit of all endpoints together.
    pub global: bool,
    /// From the request to the end of the answer, or to the failure.
    pub took: Duration,
}

/// Sees every exchange, in the task that made it: it must be quick, and must not panic.
pub(crate) type Observer = Arc<dyn Fn(&Call) + Send + Sync>;
