//! The laws: what has to hold of every write, and of everything once it is at rest.
//!
//! They share no judgement with the operator: what a write may do is decided here anew, from the objects, their records and what
//! was read. A law counts what the writer could know: a version of an object counts if it was the latest that the process had
//! been shown when it sent the request, or is newer.

pub mod kept;
pub mod rest;
pub mod said;
pub mod seen;
#[cfg(test)]
mod tests;
pub mod write;

use std::fmt;

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// What is not ours goes back as it was read.
    Foreign,
    /// A write is built from a document that was read for it, at most two seconds before.
    Fresh,
    /// Nothing but `options` is sent, and the display name where there was one.
    Least,
    /// Nothing is written when nothing differs.
    Needed,
    /// A parameter is set only by whoever declares it, is admitted and may.
    Permitted,
    /// A parameter is removed only where a record proves it ours, and nobody declares it.
    Proved,
    /// What is written is claimed first.
    Claimed,
    /// One process writes at a time, and to a connection only one write is on its way.
    Alone,
    /// What Auth0 refused is not sent again before something changes, and nobody is told that for what is not his.
    Heard,
    /// What somebody keeps changing is set back at a pace.
    Patient,
    /// No more is asked than the tenant object allows.
    Budget,
    /// Nothing is asked in vain.
    Frugal,
    /// Whoever waits is looked at before others are looked at again and again.
    Fair,
    /// No secret, and no option that is not ours, is shown.
    Secret,
    /// No part of the operator ends by itself.
    Alive,
    /// After the last fault everything comes to rest.
    Rest,
    /// What a status says is so.
    True,
    /// Who is admitted and in nobody's way gets what it declares.
    Served,
    /// A parameter has one owner.
    OneOwner,
    /// Nothing stays that was ours and that nobody owns.
    NothingLeft,
    /// A status is whole: four conditions of this generation, as the tools that wait for it expect.
    Sound,
}

impl Law {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Foreign,
        Self::Fresh,
        Self::Least,
        Self::Needed,
        Self::Permitted,
        Self::Proved,
        Self::Claimed,
        Self::Alone,
        Self::Heard,
        Self::Patient,
        Self::Budget,
        Self::Frugal,
        Self::Fair,
        Self::Secret,
        Self::Alive,
        Self::Rest,
        Self::True,
        Self::Served,
        Self::OneOwner,
        Self::NothingLeft,
        Self::Sound,
    ];

    /// The law, as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Foreign => "options that are not ours are sent back exactly as they were read",
            Self::Fresh => "each write builds on its own read, which is at most two seconds old",
            Self::Least => "a write sends only the options, and the display name if there was one",
            Self::Needed => "nothing is written if nothing differs",
            Self::Permitted => "a parameter is set only for an object that declares it, that access permits, and that may write",
            Self::Proved => "a parameter is removed only if an ownership record proves that it is ours, and no object declares it",
            Self::Claimed => "the ownership record is stored before the value that it proves is written",
            Self::Alone => {
                "one process writes at a time, only while it holds the Lease, and never with two writes to one connection on their way"
            }
            Self::Heard => "what Auth0 refused is not sent again before something changes, and only objects that wanted it are told so",
            Self::Patient => {
                "what somebody keeps changing is set back twice at once, then at most once a minute; what failed is tried again at a limited pace"
            }
            Self::Budget => "the operator sends no more requests than the tenant object allows",
            Self::Frugal => {
                "no request is in vain: a connection at rest is read as often as the tenant object says, and no write uses a version \
                 that its process knows to be outdated"
            }
            Self::Fair => "whoever waits for a check gets it before the others were checked two dozen times, however small the budget is",
            Self::Secret => "no secret is shown, and no option that is not ours",
            Self::Alive => "no part of the operator stops by itself",
            Self::Rest => "after the last fault everything comes to rest",
            Self::True => "what a status says is true",
            Self::Served => {
                "an object that access permits gets what it declares, unless another object or a value of somebody else is in the way"
            }
            Self::OneOwner => "a parameter has one owner",
            Self::NothingLeft => "no parameter of ours stays that nobody owns",
            Self::Sound => "a status is complete: it has the conditions of its generation that tools wait for",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// What happened.
    pub text: String,
}

impl Violation {
    /// A violation of a law.
    pub fn of(law: Law, text: impl Into<String>) -> Self {
        Self { law, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}\n        {}", self.law, self.text)
    }
}
