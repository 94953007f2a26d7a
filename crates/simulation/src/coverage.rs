//! What histories reached: counted by kind and name, so that what was never reached can be listed.

use std::collections::BTreeMap;
use std::fmt;

use upstream_params_operator::api::reason::{EventReason, Reason};
use upstream_params_operator::api::upstream_params::ParamState;

use crate::noise::KINDS;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What people, networks and servers did.
    Happened,
    /// What happened at Auth0, faults among it.
    Auth0,
    /// What became of a call that was not plain.
    Fate,
    /// What the operator did to parameters, and calls it made.
    Call,
    /// The part of an object in a pass.
    Part,
    /// How a pass ended for an object.
    Outcome,
    /// A reason of a condition.
    Reason,
    /// A reason of an event.
    Event,
    /// The state of a parameter.
    State,
}

impl Kind {
    const ALL: [Self; 9] =
        [Self::Happened, Self::Auth0, Self::Fate, Self::Call, Self::Part, Self::Outcome, Self::Reason, Self::Event, Self::State];

    fn title(self) -> &'static str {
        match self {
            Self::Happened => "what happened",
            Self::Auth0 => "what happened at Auth0",
            Self::Fate => "what became of calls",
            Self::Call => "calls",
            Self::Part => "parts of objects",
            Self::Outcome => "outcomes",
            Self::Reason => "reasons of conditions",
            Self::Event => "reasons of events",
            Self::State => "states of parameters",
        }
    }

    /// All that there is to reach, where that is known.
    fn everything(self) -> Vec<String> {
        match self {
            Self::Reason => Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect(),
            Self::Event => EventReason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect(),
            Self::State => ParamState::ALL.iter().map(|state| state.as_str().to_owned()).collect(),
            Self::Part => PARTS.map(str::to_owned).to_vec(),
            Self::Outcome => OUTCOMES.map(str::to_owned).to_vec(),
            Self::Auth0 => KINDS.map(str::to_owned).to_vec(),
            Self::Happened | Self::Fate | Self::Call => Vec::new(),
        }
    }
}

/// The parts of an object, as the operator's log names them.
const PARTS: [&str; 12] = [
    "Owner",
    "Observer",
    "Leaver",
    "Mover",
    "RejectedLeaver",
    "Waiting",
    "NotPermitted",
    "Refused",
    "StillRejected",
    "Left",
    "Released",
    "ConnectionGone",
];

/// The outcomes of a pass, as the operator's log names them.
const OUTCOMES: [&str; 11] = [
    "Invalid",
    "TenantNotFound",
    "TenantNotReady",
    "NotPermitted",
    "ConnectionNotFound",
    "Unread",
    "Refused",
    "Planned",
    "StillRejected",
    "Released",
    "Displaced",
];

/// What was reached, and how often: for each kind by name. A name is copied when it is counted first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    names: [BTreeMap<String, u64>; Kind::ALL.len()],
    /// Of calls, whose names are made when they are shown: what was called, and the status of the answer.
    calls: BTreeMap<(&'static str, u16), u64>,
}

impl Coverage {
    /// Counts one.
    pub fn count(&mut self, kind: Kind, name: &str) {
        let names = &mut self.names[kind as usize];
        if let Some(count) = names.get_mut(name) {
            *count += 1;
        } else {
            names.insert(name.to_owned(), 1);
        }
    }

    /// Counts a call.
    pub fn count_call(&mut self, what: &'static str, status: u16) {
        *self.calls.entry((what, status)).or_default() += 1;
    }

    /// Adds what other histories reached.
    pub fn add(&mut self, other: Self) {
        for (names, more) in self.names.iter_mut().zip(other.names) {
            for (name, count) in more {
                *names.entry(name).or_default() += count;
            }
        }
        for (call, count) in other.calls {
            *self.calls.entry(call).or_default() += count;
        }
    }

    /// What was never reached, of all that is known.
    pub fn missing(&self, kind: Kind) -> Vec<String> {
        kind.everything().into_iter().filter(|name| !self.names[kind as usize].contains_key(name)).collect()
    }

    /// What was reached of a kind, each with how often.
    fn reached(&self, kind: Kind) -> Vec<String> {
        let named = self.names[kind as usize].iter().map(|(name, count)| format!("{name} {count}"));
        if kind == Kind::Call {
            return named.chain(self.calls.iter().map(|((what, status), count)| format!("{what} {status} {count}"))).collect();
        }
        named.collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL {
            let reached = self.reached(kind);
            writeln!(f, "{}: {}", kind.title(), if reached.is_empty() { "none".to_owned() } else { reached.join(", ") })?;
            let missing = self.missing(kind);
            if !missing.is_empty() {
                writeln!(f, "  never reached: {}", missing.join(", "))?;
            }
        }
        Ok(())
    }
}
