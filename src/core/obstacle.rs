//! What kept a pass, or the authentication at a tenant, from its end: a value that the tenant, the write and the status share.
//!
//! Guarantees: the reason is one that `Synced` can have, and the message is safe to show.

use crate::api::reason::Reason;
use crate::model::document::DocumentError;

/// Something that kept a pass from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The reason of `Synced`.
    pub reason: ObstacleReason,
    /// What happened and what to do. Safe to show.
    pub message: String,
    /// Whether it is about the tenant as a whole (credentials, scopes, limits, network) and not about this object.
    pub tenant_wide: bool,
}

impl Obstacle {
    /// Whether it says nothing of the connection: neither that it is as declared nor that it is not.
    pub(crate) const fn leaves_unknown(&self) -> bool {
        match self.reason {
            ObstacleReason::Pending | ObstacleReason::TenantNotReady | ObstacleReason::RateLimited | ObstacleReason::RemoteUnavailable => {
                true
            }
            ObstacleReason::OptionsHidden | ObstacleReason::ConnectionNotFound | ObstacleReason::Rejected | ObstacleReason::ApplyFailed => {
                false
            }
        }
    }
}

/// The reasons that an obstacle can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObstacleReason {
    /// It is not this object's turn yet.
    Pending,
    /// The tenant can't be used at present.
    TenantNotReady,
    /// The tenant's request limit is reached.
    RateLimited,
    /// Auth0 does not answer, or not with anything to go by.
    RemoteUnavailable,
    /// The connection shows no options.
    OptionsHidden,
    /// The connection went between its read and the write.
    ConnectionNotFound,
    /// Auth0 refuses these parameters.
    Rejected,
    /// Anything else, which the message tells.
    ApplyFailed,
}

impl ObstacleReason {
    /// Of a connection that was read and can't be used.
    pub(crate) const fn of_document(error: DocumentError) -> Self {
        match error {
            DocumentError::OptionsHidden | DocumentError::OptionsUnusable => Self::OptionsHidden,
            DocumentError::NotAConnection(_) | DocumentError::NotAnId | DocumentError::ParamsNotAnObject => Self::ApplyFailed,
        }
    }
}

impl From<ObstacleReason> for Reason {
    fn from(reason: ObstacleReason) -> Self {
        match reason {
            ObstacleReason::Pending => Reason::Pending,
            ObstacleReason::TenantNotReady => Reason::TenantNotReady,
            ObstacleReason::RateLimited => Reason::RateLimited,
            ObstacleReason::RemoteUnavailable => Reason::RemoteUnavailable,
            ObstacleReason::OptionsHidden => Reason::OptionsHidden,
            ObstacleReason::ConnectionNotFound => Reason::ConnectionNotFound,
            ObstacleReason::Rejected => Reason::Rejected,
            ObstacleReason::ApplyFailed => Reason::ApplyFailed,
        }
    }
}
