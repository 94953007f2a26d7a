//! What a read showed of a connection.

use std::time::Instant;

use crate::model::document::Document;
use crate::model::identity::ConnectionId;

/// A connection that was read, and when.
pub(super) struct Reading {
    pub(super) document: Document,
    /// When it was asked for: what it shows may be as old as the request.
    pub(super) asked_at: Instant,
    /// The id under which the connection was known before, when that one is gone.
    pub(super) gone: Option<ConnectionId>,
}
