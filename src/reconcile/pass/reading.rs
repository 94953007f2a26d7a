//! What a read showed of a connection.

use crate::clock::Stopwatch;
use crate::model::document::Document;
use crate::model::identity::ConnectionId;

/// A connection that was read, and when.
pub(super) struct Reading {
    pub(super) document: Document,
    /// Started when it was asked for: what it shows may be as old as the request.
    pub(super) asked: Stopwatch,
    /// The id under which the connection was known before, when that one is gone.
    pub(super) gone: Option<ConnectionId>,
}
