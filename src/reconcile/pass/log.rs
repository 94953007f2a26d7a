//! The one line of a write.

use std::time::Duration;

use crate::auth0::Failure;
use crate::core::pass::plan::{self, Effect, Plan};
use crate::model::document::Document;
use crate::model::identity::ObjectKey;

/// What was changed of a login, for whom, and what the tenant's log calls it. Never a value.
pub(super) struct Line<'a> {
    pub(super) tenant: &'a str,
    pub(super) connection: &'a Document,
    pub(super) plan: &'a Plan,
    /// For whom it was written.
    pub(super) objects: &'a [ObjectKey],
    pub(super) correlation: &'a str,
    pub(super) took: Duration,
}

impl Line<'_> {
    /// Writes the line, with the failure if there is one.
    pub(super) fn log(&self, failure: Option<&Failure>) {
        let Self { tenant, connection, plan, objects, correlation, took } = self;
        let names = |test: &dyn Fn(&plan::Line<'_>) -> bool| listed(&plan.names(test));
        let with = |effect: Effect| names(&|line| line.effect == effect);
        let (added, changed, removed) = (with(Effect::Adds), with(Effect::Changes), with(Effect::Removes));
        let (drift, overwritten) = (names(&|line| line.drift), names(&|line| line.overwrites));
        let objects = listed(objects);
        let (cause, connection, id) = (cause(plan), connection.name.as_str(), connection.id.as_str());
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match failure {
            // It was not sent, or not again.
            Some(Failure::OutOfTime) => {}
            None => tracing::info!(
                tenant,
                connection,
                id,
                objects,
                cause,
                added,
                changed,
                removed,
                drift,
                overwritten,
                correlation,
                milliseconds,
                "wrote"
            ),
            Some(error) => tracing::warn!(
                tenant, connection, id, objects, cause, added, changed, removed, drift, overwritten, correlation, milliseconds,
                %error, "a write failed"
            ),
        }
    }
}

fn listed(all: &[impl ToString]) -> Option<String> {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn cause(plan: &Plan) -> &'static str {
    match plan.changes.values().filter(|change| change.drift).count() {
        0 => "edit",
        all if all == plan.changes.len() => "drift",
        _ => "edit and drift",
    }
}
