//! What one connection needs: all objects that name it or hold a record on it, planned together, into one PATCH.
//!
//! Guarantees, for each parameter name:
//! - at most one object sets it, and which one does not depend on the order the objects come in;
//! - a live value that no record proves to be ours is replaced only where the object says `Overwrite` or the
//!   parameter was in sync here before, and is removed only where an object that is deleted has lost its record and
//!   declares exactly that value;
//! - a parameter that one object gives up and another wants changes hands in one PATCH;
//! - an object that only observes, is not admitted or is released neither takes part nor holds anything; its record goes
//!   when another object takes the name over;
//! - for an object whose changes Auth0 refused nothing is written, and what is there as it declares it is its own all the same;
//! - a record passes from one object to another only by way of a claim, also where nothing has to be written;
//! - nothing is planned where nothing differs.
//!
//! Assumes: the caller has checked each object's access, validity and policies, and says so by its [`Role`].

mod decide;
mod observe;
mod show;
mod value;

use std::collections::BTreeMap;

use self::decide::{Claimant, decide};
pub(crate) use self::show::{Line, When};
pub(crate) use self::value::Plan;
use crate::core::pass::claims::ConnectionRef;
use crate::core::world::Declared;
use crate::model::document::{Entry, Live};
use crate::model::identity::{Fingerprint, ObjectKey, Uid};

/// What an object may do on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Names this connection, and may write.
    Owner,
    /// Names this connection, and only wants to know what writing would do.
    Observer,
    /// Is being deleted, or names another connection where it was accepted: what it owns here goes.
    Leaver,
    /// Holds what it owns and writes nothing: it became invalid, or can't be managed here.
    Holder,
    /// Names this connection, and Auth0 refused its changes: nothing is written for it. What it declares it holds, and has where
    /// that is there already; what it owns and does not declare stays, but for what another object declares here.
    Rejected,
    /// Names another connection and is still to be accepted there: what it owns stays until then, but for what another
    /// object declares here.
    Mover,
    /// Has a record here and no say: it only observes, is not admitted any more, or is released. Another object that takes the name
    /// over has its claim stored before the record goes.
    Bystander,
}

impl Role {
    /// Whether it has a say in what is written.
    fn acts(self) -> bool {
        match self {
            Self::Owner | Self::Leaver | Self::Holder | Self::Rejected | Self::Mover => true,
            Self::Observer | Self::Bystander => false,
        }
    }
}

/// One object's part in a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Participant<'a> {
    /// The object.
    pub object: &'a Declared,
    /// What it may do.
    pub role: Role,
}

/// The connection as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionState<'a> {
    /// Where.
    pub connection_ref: ConnectionRef<'a>,
    /// The live parameters.
    pub live: &'a BTreeMap<String, Live>,
    /// What is known of the names that somebody keeps changing.
    pub disputes: &'a BTreeMap<String, Dispute>,
    /// Whether a write of ours without an answer may still take effect: then what is live is not the last word, and no
    /// record of what it may set goes.
    pub unsettled: bool,
}

/// What is known of a parameter that somebody keeps changing and that is set back each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// The object for which it is set back, and its generation: another one has no part in the dispute.
    pub owner: Uid,
    /// See `owner`.
    pub generation: i64,
    /// How often it was set back within the last hour.
    pub times: usize,
    /// When it was set back first within the last hour.
    pub since: Option<jiff::Timestamp>,
    /// Until when another value is left alone.
    pub until: Option<jiff::Timestamp>,
    /// Whether another value is left alone now.
    pub holds: bool,
    /// Whether a correction waits now, because the last one is less than a minute ago.
    pub paces: bool,
}

/// What is to be done about one parameter of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The live value is the declared one.
    InSync,
    /// Is to be set. `drift`: it was in sync here before, and somebody changed it.
    Write {
        /// Whether this corrects somebody's change.
        drift: bool,
        /// Whether the name is not there at all.
        absent: bool,
    },
    /// Is ours and no longer wanted: to be removed.
    Remove,
    /// Is recorded as ours and already gone.
    Gone,
    /// Was recorded as ours, and another object has it now.
    Handed,
    /// Was recorded as ours and holds a value that is not: left alone, no longer recorded.
    Left,
    /// Somebody else set another value before us.
    ExistingValue,
    /// Another object owns or claims the name.
    Conflicted(ObjectKey),
    /// Somebody sets another value again and again: left alone for a while.
    Contended,
    /// Was changed by somebody else, and is set back a minute after the last time.
    Paced {
        /// Whether the name is not there at all.
        absent: bool,
    },
}

/// One parameter of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamPlan {
    /// What is to be done.
    pub verdict: Verdict,
    /// The record as it is.
    pub before: Vec<Fingerprint>,
    /// The record to store before the write: for a new value it holds the new fingerprint already.
    pub claim: Vec<Fingerprint>,
    /// The record once the plan is carried out.
    pub after: Vec<Fingerprint>,
    /// Whether the parameter was in sync here before.
    pub applied: bool,
    /// That somebody keeps changing it, with this pass' own correction counted.
    pub dispute: Option<Dispute>,
}

/// One change of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is live; `None` where the name is not there.
    pub from: Option<Live>,
    /// The new entry; `None` removes.
    pub entry: Option<Entry>,
    /// The object that wants it, or the first that gives it up.
    pub actor: Uid,
    /// The other objects whose record this change touches.
    pub others: Vec<Uid>,
    /// Whether it corrects somebody's change.
    pub drift: bool,
}

impl Change {
    pub(super) fn is_for(&self, object: &Uid) -> bool {
        self.acted_for().any(|uid| uid == object)
    }

    /// The objects that want it: the one that sets the value, or everybody who gives up what goes. Where one gives up what another
    /// sets, the new value is no wish of its own.
    pub(super) fn wanted_by(&self) -> impl Iterator<Item = &Uid> {
        let others = if self.entry.is_none() { self.others.as_slice() } else { &[] };
        std::iter::once(&self.actor).chain(others)
    }

    /// The objects whose record it touches, the one that wants it first.
    pub(super) fn acted_for(&self) -> impl Iterator<Item = &Uid> {
        std::iter::once(&self.actor).chain(&self.others)
    }

    /// What it does to the name.
    pub fn effect(&self) -> Effect {
        match (&self.from, &self.entry) {
            (_, None) => Effect::Removes,
            (None, Some(_)) => Effect::Adds,
            (Some(_), Some(_)) => Effect::Changes,
        }
    }
}

/// What a plan does to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was not there.
    Adds,
    /// It had another value.
    Changes,
    /// It goes.
    Removes,
    /// It stays as it is, and is another object's from now on.
    Adopts,
}

/// Plans a connection. `all_observe`: the tenant only observes, so the observers are told what all of them would do together.
pub(crate) fn plan(state: ConnectionState<'_>, participants: &[Participant<'_>], all_observe: bool) -> Plan {
    let acting: Vec<Claimant<'_>> =
        participants.iter().filter(|part| part.role.acts()).map(|part| Claimant::new(*part, state.connection_ref)).collect();
    let mut plan = decide(state, acting);
    observe::lose(&mut plan, state, participants);
    for observer in participants.iter().filter(|part| part.role == Role::Observer) {
        observe::observe(&mut plan, state, (participants, all_observe), *observer);
    }
    plan.keys = participants.iter().map(|part| (part.object.uid.clone(), part.object.key.clone())).collect();
    plan
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
