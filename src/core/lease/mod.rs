//! Who of all operators in the cluster leads: what a Lease that was read means for whoever wants it.
//!
//! Guarantees: a Lease that somebody holds is never taken before it has stood unchanged for its whole length, as measured by
//! whoever wants it; what its dates say is read by nobody, so clocks may differ. One that was given back is free at once.
//! One that is absent or blank is free at once where no operator ever worked, as in a first installation. Elsewhere, and for
//! whoever saw somebody hold it, somebody deleted or emptied it, and its holder may still write: it is held until it has run out.
//!
//! Assumes: a renewal changes the Lease ([`Record::renewed`]).

use std::time::{Duration, Instant};

/// For how long a Lease is held after it was renewed.
pub(crate) const LENGTH: Duration = Duration::from_secs(20);
/// How often it is renewed.
pub(crate) const RENEWAL: Duration = Duration::from_secs(3);
/// After how long without a renewal the leader gives up: what it has begun ends before the Lease does.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(15);
/// How often who does not lead looks at it, and the pause before a request that failed is sent again.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// How long a request about it may take.
pub(crate) const REQUEST: Duration = Duration::from_secs(3);

/// The longest length of somebody else's that is believed: a slip of the hand must not stop the operator for a week.
const LONGEST: Duration = Duration::from_mins(1);

/// How long a Lease says that it lasts which was given back, in seconds, as other programs that use Leases have it.
const GIVEN_BACK: i64 = 1;

/// What a Lease says, each part as it was found; what can't be read is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who holds it.
    pub holder: Option<String>,
    /// For how many seconds it lasts.
    pub seconds: Option<i64>,
    /// Since when they have held it.
    pub acquired: Option<String>,
    /// When they renewed it last.
    pub renewed: Option<String>,
    /// How often it passed from one to another.
    pub transitions: Option<i64>,
}

impl Record {
    /// That of a holder.
    pub(crate) fn held(holder: &str, acquired: String, renewed: String, transitions: i64) -> Self {
        let seconds = i64::try_from(LENGTH.as_secs()).ok();
        Self { holder: Some(holder.to_owned()), seconds, acquired: Some(acquired), renewed: Some(renewed), transitions: Some(transitions) }
    }

    /// That of nobody, after this one.
    pub(crate) fn given_back(self, at: String) -> Self {
        Self { holder: Some(String::new()), seconds: Some(GIVEN_BACK), acquired: Some(at.clone()), renewed: Some(at), ..self }
    }

    fn holder(&self) -> Option<&str> {
        self.holder.as_deref().filter(|holder| !holder.is_empty())
    }

    fn is_given_back(&self) -> bool {
        self.holder().is_none() && self.seconds == Some(GIVEN_BACK)
    }

    fn is_blank(&self) -> bool {
        self.holder().is_none() && self.acquired.is_none() && self.renewed.is_none() && self.transitions.unwrap_or_default() == 0
    }

    /// How long it lasts from its last change. Never shorter than our own, whatever it says: all that it costs is time.
    fn length(&self) -> Duration {
        self.seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(LENGTH, Duration::from_secs).clamp(LENGTH, LONGEST)
    }

    /// The number of the next one who holds it.
    fn next_transition(&self) -> i64 {
        // Stored as 32 bits. What was no number counts on from nought.
        let next = self.transitions.filter(|count| *count >= 0).map_or(0, |count| count.saturating_add(1));
        if next > i64::from(i32::MAX) { 0 } else { next }
    }
}

/// What a Lease means for whoever wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be taken, as the so many-th.
    Free {
        /// The number of the new holder.
        transitions: i64,
        /// What the one before may have left.
        before: Before,
    },
    /// Somebody holds it, for so long at least.
    Held(Duration),
}

/// Who held a Lease that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nobody, or somebody who gave it back: nothing of theirs is under way.
    Settled,
    /// Somebody who let it run out: a write of theirs may be under way.
    RanOut,
    /// The one who asks, who could not renew it in time.
    Ourselves,
}

/// One who wants the Lease, and what it saw of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    identity: String,
    seen: Option<Record>,
    /// When `seen` was first seen.
    since: Option<Instant>,
    /// When it looked last.
    looked: Option<Instant>,
    /// Whether it is held by somebody, as far as it is known.
    held: bool,
    /// For how long the last holder's lasts.
    length: Duration,
}

impl Candidate {
    /// One that saw nothing yet. The identity is nobody else's, now or at any time.
    pub(crate) fn new(identity: String) -> Self {
        Self { identity, seen: None, since: None, looked: None, held: false, length: LENGTH }
    }

    /// As what it holds the Lease.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Takes in what was read just now: a Lease, or that there is none. `worked` is whether some operator ever worked in this
    /// cluster, as far as is known.
    pub(crate) fn sees(&mut self, record: Option<&Record>, worked: bool, now: Instant) -> Standing {
        let blank = Record::default();
        let known = record.unwrap_or(&blank);
        // Whoever renews it changes it, but one that is not there looks the same after somebody made it, and it was deleted again.
        let may_have_been_held = known.is_blank() && self.looked.is_some_and(|last| now.saturating_duration_since(last) > LOOK + REQUEST);
        if self.since.is_none() || self.seen.as_ref() != record || may_have_been_held {
            self.seen = record.cloned();
            self.since = Some(now);
        }
        self.looked = Some(now);
        let transitions = if record.is_some() { known.next_transition() } else { 0 };
        let free = |before| Standing::Free { transitions, before };
        if known.holder() == Some(&self.identity) {
            self.held = false;
            // It stays the same holder's.
            return Standing::Free {
                transitions: known.transitions.filter(|count| *count >= 0).unwrap_or_default(),
                before: Before::Ourselves,
            };
        }
        if known.is_given_back() || (known.is_blank() && !self.held && !worked) {
            self.held = false;
            return free(Before::Settled);
        }
        self.held = true;
        if !known.is_blank() {
            self.length = known.length();
        }
        let unchanged = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        match self.length.checked_sub(unchanged) {
            None | Some(Duration::ZERO) => free(Before::RanOut),
            Some(left) => Standing::Held(left),
        }
    }

    /// Forgets what was seen: it holds the Lease now, and whatever is seen afterwards is news.
    pub(crate) fn holds_it(&mut self) {
        *self = Self::new(std::mem::take(&mut self.identity));
    }
}

/// What the leader does about a Lease that is not as it left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is still its own: somebody edited it, or deleted it. It is written anew.
    Stands,
    /// Somebody else holds it, or did.
    Lost,
}

/// What the leader of this number does about what it found where its own Lease should be.
pub(crate) fn claim(identity: &str, transitions: i64, found: Option<&Record>) -> Claim {
    let Some(found) = found else { return Claim::Stands };
    match found.holder() {
        Some(holder) if holder == identity => Claim::Stands,
        Some(_) => Claim::Lost,
        // Nobody gives back what is ours: somebody had it meanwhile.
        None if found.is_given_back() || found.transitions.is_some_and(|count| count > transitions) => Claim::Lost,
        None => Claim::Stands,
    }
}

#[cfg(test)]
mod tests;
