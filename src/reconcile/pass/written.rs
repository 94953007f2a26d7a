//! How a pass ended, before anybody is told.

use super::reading::Reading;
use crate::core::pass::member::Member;
use crate::core::pass::plan::Plan;
use crate::core::schedule::pace::Pace;
use crate::core::status::WriteOutcome;

/// The pass did what it could.
pub(super) struct Written {
    pub(super) reading: Reading,
    /// Those of whom something is to be said.
    pub(super) members: Vec<Member>,
    pub(super) plan: Plan,
    pub(super) ended: Ended,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an outcome, and how soon the connection is looked at again for it.
    With(WriteOutcome, Pace),
    /// The claims could not be stored in time, or what it rests on changed: read and plan again.
    NoResult,
    /// Several objects' changes were refused together: they go one by one.
    Split,
}

impl Ended {
    /// There was nothing to write.
    pub(super) const WITHOUT_A_WRITE: Self = Self::With(WriteOutcome::Nothing, Pace::Routine);
}
